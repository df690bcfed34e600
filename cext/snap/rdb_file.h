/* snap/rdb_file.h - whole RDB files: written from a snapshot, read into the keyspace.
 *
 * Writing: version 10, or newer when a value needs it (the number in front is then put right at the end). The caller has opened the file
 * and does fsync and rename. Progress is in header.progress_*.
 *
 * Reading: every version up to RDB_VERSION_MAX. Nothing in the file is trusted: what is wrong is told with its offset and the
 * keyspace is left with what was read before it (the caller decides). Each key is a transaction of its own, without a log record.
 */
#ifndef SHOAL_SNAP_RDB_FILE_H
#define SHOAL_SNAP_RDB_FILE_H

#include "snap/rdb_in.h"
#include "snap/snapshot.h"

enum rdb_file_flags {
    RDB_FILE_COMPRESS = 1,  /* rdbcompression */
    RDB_FILE_CHECKSUM = 2,  /* rdbchecksum: write it, believe it */
    RDB_FILE_AOF_BASE = 4,  /* says so in an aux field */
    RDB_FILE_REPLICA = 8,   /* for replicas: FLUSHALL does not end it, the stream goes on behind the cut */
    RDB_FILE_IGNORE_EXPIRED = 16, /* reading: keys whose time is over are not kept (a primary's RDB, not an AOF base) */
};

/* Writes the running snapshot to fd, from its current offset (0). 0, or -1 with a message. */
int rdb_file_save(int fd, uint32_t flags, char *err, size_t errlen);

struct rdb_file_info {
    uint64_t keys, expired, bytes; /* kept; passed over because their time was over; bytes read */
    uint64_t empty;                /* passed over because they held nothing */
    int64_t created_s;             /* aux ctime, 0 = none */
    int64_t used_mem;              /* aux used-mem */
    unsigned version;
    bool aof_base;
};

/* Reads fd from its current offset up to and including the end record; an AOF with an RDB preamble goes on at info->bytes.
 * 0, or -1 with a message that says at which byte. */
int rdb_file_load(int fd, uint32_t flags, struct rdb_file_info *info, char *err, size_t errlen);

/* How the message of a load begins that failed because a loading process died: with the keyspace emptied it may be tried again. */
#define RDB_LOADER_DIED "a loading process died"
/* Most processes that load a large file at once, for the persistence process; 1: it does it alone. */
extern unsigned rdb_team_most;
/* Told every few seconds how far a large file is read. NULL = nobody. */
extern void (*rdb_load_progress)(uint64_t bytes);
/* Puts right what the loaders of a dead persistence process left; called by its heir, in its slot, before it takes any lock. */
void rdb_team_abandon(void);

/* Told of every key that is passed over because it holds nothing (outside a transaction). NULL = nobody. */
extern void (*rdb_file_empty_key)(struct slice key);

#endif
