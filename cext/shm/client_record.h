/* shm/client_record.h - what every process may know of every connection: CLIENT LIST, INFO clients, limits across workers.
 *
 * Writer: the worker that serves the connection (relaxed stores; text fields under `sequence`, odd while they change). Readers: any
 * process; a torn text is noticed by the sequence and read again. Records of a dead worker are swept by its heir.
 */
#ifndef SHOAL_SHM_CLIENT_RECORD_H
#define SHOAL_SHM_CLIENT_RECORD_H

#include <stdatomic.h>
#include <stdint.h>

#define CLIENT_NAME_MAX 128 /* bytes of a name or library text that CLIENT LIST of another worker shows */
#define CLIENT_ADDR_MAX 112

enum client_flag { /* CLIENT LIST flags */
    CLIENT_FLAG_MULTI = 1 << 0,
    CLIENT_FLAG_BLOCKED = 1 << 1,
    CLIENT_FLAG_DIRTY_CAS = 1 << 2,
    CLIENT_FLAG_CLOSE_AFTER_REPLY = 1 << 3,
    CLIENT_FLAG_CLOSE_ASAP = 1 << 4,
    CLIENT_FLAG_UNIX_SOCKET = 1 << 5,
    CLIENT_FLAG_NO_EVICT = 1 << 6,
    CLIENT_FLAG_NO_TOUCH = 1 << 7,
    CLIENT_FLAG_MONITOR = 1 << 8,
    CLIENT_FLAG_PUBSUB = 1 << 9,
    CLIENT_FLAG_TRACKING = 1 << 10,
    CLIENT_FLAG_REPLICA = 1 << 11,
    CLIENT_FLAG_READONLY = 1 << 12,
    CLIENT_FLAG_PRIMARY = 1 << 13, /* whom we follow (shm/replica_link.h) */
};

struct client_record {
    _Atomic uint64_t id;       /* 0 = free record */
    _Atomic uint32_t slot;     /* of the worker that serves it */
    _Atomic uint32_t sequence; /* odd while a text field changes */
    _Atomic uint64_t created_ms;  /* monotonic */
    _Atomic uint64_t active_ms;   /* last command, monotonic */
    _Atomic uint32_t flags;       /* enum client_flag */
    _Atomic uint32_t db;
    _Atomic uint32_t resp;        /* 2 or 3 */
    _Atomic uint32_t command;     /* struct command index + 1 of the last command, 0 = none yet */
    _Atomic int32_t multi;        /* queued commands, -1 outside MULTI */
    _Atomic uint32_t watches;
    _Atomic uint32_t fd;
    _Atomic uint32_t subscriptions, pattern_subscriptions, shard_subscriptions;
    _Atomic uint64_t query_bytes, query_free, argv_bytes, multi_bytes, reply_bytes, output_list_bytes, output_list_length;
    _Atomic uint64_t net_in, net_out, commands;
    _Atomic uint64_t memory;      /* bytes held for it, for maxmemory-clients (net/crowd.h) */
    char user[64];
    char name[CLIENT_NAME_MAX];
    char lib_name[64];
    char lib_version[64];
    char addr[CLIENT_ADDR_MAX];  /* "ip:port" or the socket's path + ":0" */
    char laddr[CLIENT_ADDR_MAX];
};

#endif
