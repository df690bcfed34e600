/* cmd/client.h - one connection as commands see it.
 *
 * A client belongs to one worker and lives in its private memory; nobody else ever reads it. What others may know of it is its
 * struct client_record in the segment, which client_publish() and the setters below keep up to date. net/ makes and ends clients,
 * reads their input and writes their output; cmd/ reads and changes what is here. A worker's death takes its clients with it: the
 * kernel closes the sockets, the heir sweeps the records and whatever watched, waited or subscribed in the slot's name.
 */
#ifndef SHOAL_CMD_CLIENT_H
#define SHOAL_CMD_CLIENT_H

#include "base/base.h"
#include "resp/parser.h"
#include "shm/client_record.h"

struct cmd;
struct command;
struct replica;
struct reply;

enum client_reply_mode { CLIENT_REPLY_ON, CLIENT_REPLY_OFF, CLIENT_REPLY_SKIP, CLIENT_REPLY_SKIP_NEXT };

enum client_class { CLIENT_NORMAL, CLIENT_REPLICA, CLIENT_PUBSUB }; /* rows of client-output-buffer-limit */

enum client_listed { CLIENT_ON_NONE, CLIENT_ON_RUNNABLE, CLIENT_ON_PAUSED }; /* which of the worker's lists it stands on */

struct out_chunk { /* output that the socket has not taken yet */
    struct out_chunk *next;
    uint8_t *data;
    size_t len, sent;
    size_t cap; /* bytes of `data` */
    uint64_t lsn; /* may leave when this is durable; 0 = at once */
};

struct client {
    /* identity */
    uint64_t id;
    int fd;                       /* -1: a client without a socket (replay, scripts, internal jobs) */
    uint32_t db;                  /* selected database */
    uint8_t resp;                 /* 2 or 3; change it with client_set_resp() */
    bool authenticated;           /* may run commands although auth is required */
    uint8_t reply_mode;           /* enum client_reply_mode */
    uint8_t listed;               /* enum client_listed */
    uint32_t flags;               /* enum client_flag; change them with client_set_flags() */
    struct client_record *record; /* never NULL; of a client without a socket a private one */
    char *user;                   /* zero-terminated, malloc'ed; NULL = default user */
    struct slice name, lib_name, lib_version; /* whole texts, malloc'ed; n 0 = none. client_set_text() */

    /* what commands hang on a client; the owner frees it in its client_closed_* function below */
    struct multi *multi;          /* queue of MULTI (cmd/multi.h); NULL outside */
    struct watch *watches;        /* watched keys (cmd/multi.h) */
    struct blocked *blocked;      /* what it waits for (cmd/blocking.h); while not NULL its input is not executed */
    struct subscriptions *pubsub; /* channels and patterns */
    struct tracking *tracking;
    struct replica *replica;      /* what it has said as a replica (cmd/replica.h) */
    bool away;                    /* its Python command goes on by itself (client_answer); while set its input is not executed */

    /* input: the lent buffer of the worker while it is read, a private copy of what was not complete */
    uint8_t *query;               /* private; NULL or kept empty while nothing is left over */
    size_t query_len, query_at, query_cap; /* bytes in it, where the next command starts, allocated */
    struct parser parser;         /* state of a command that is not complete */

    uint64_t counted_memory;      /* what of it is in slot.client_memory (net/crowd.h) */
    uint64_t link_at;             /* CLIENT_FLAG_PRIMARY: position in its stream where its input begins (net/primary.h) */
    uint64_t wrote_lsn;           /* of its last write that was logged; 0 = none (WAITAOF) */

    /* output not yet taken by the socket */
    struct out_chunk *out_first, *out_last;
    size_t out_bytes;             /* waiting, in all chunks */
    size_t out_memory;            /* allocated by them */
    uint32_t out_chunks;
    bool wants_write;             /* EPOLLOUT is registered */
    bool output_held;             /* a replica that gets its file first (net/replica.h) */
    int64_t soft_since_ms;        /* when the soft limit was first passed, monotonic; 0 = it is not */

    /* life */
    bool close_asap;              /* to be freed at the end of this turn; nothing is executed or written any more */
    bool close_after_reply;       /* its input is ignored; closed once the output is out */
    bool unix_socket;
    int64_t created_ms, active_ms; /* monotonic: connected, last input */
    uint64_t net_in, net_out, commands;
    struct client *next, *prev;             /* all clients of the worker */
    struct client *next_listed, *prev_listed; /* on the list that `listed` names */
    struct client *next_closing;            /* close_asap list */
    struct client *next_by_id;              /* hash by id */
    struct client *next_gated, *prev_gated; /* whose first output waits for the disk (net/output.c) */
    bool gated;
    uint32_t linger_window;       /* the last one in which it was served (net/linger.h) */
};

static ALWAYS_INLINE bool client_in_multi(const struct client *c) { return c->flags & CLIENT_FLAG_MULTI; }

/* Sets and clears flags, here and in the record. */
void client_set_flags(struct client *c, uint32_t set, uint32_t clear);
void client_set_db(struct client *c, uint32_t db);
/* From the next reply on; `out` is the reply being built (its form changes at once). */
void client_set_resp(struct client *c, struct reply *out, uint8_t resp);
enum client_text { CLIENT_TEXT_NAME, CLIENT_TEXT_LIB_NAME, CLIENT_TEXT_LIB_VERSION };
/* Copies the text (n 0 = none); false: out of memory. */
bool client_set_text(struct client *c, enum client_text which, struct slice text);
/* user NULL: the default user. */
bool client_set_user(struct client *c, const char *user, bool authenticated);
/* Numbers of queued commands (-1 outside MULTI), of watched keys, of subscriptions go to the record. */
void client_set_multi_count(struct client *c, int32_t n);
void client_set_watch_count(struct client *c, uint32_t n);

/* The connection ends when its pending output is out; later input is ignored (QUIT). */
void client_close_after_reply(struct client *c);
/* The connection ends at the end of this turn, without more output (CLIENT KILL). Safe from anywhere. */
void client_close_asap(struct client *c);

/* This worker's client with that id, NULL if there is none. */
struct client *client_find(uint64_t id);
/* Ends the connection `id` of any worker; `slot` as its record says. False: its worker's inbox stays full. */
bool client_kill(uint32_t slot, uint64_t id);

/* Appends to the client's output outside of a command of its own (push messages, replies to waiters), to be sent in this turn. */
void client_push(struct client *c, const void *p, size_t n);
/* The same for what tells of no key: it never waits for the disk itself (but stays behind what does). */
void client_push_ungated(struct client *c, const void *p, size_t n);

/* The end of a command that went on by itself (`away`): its reply, and the client goes on. */
void client_answer(struct client *c, const void *p, size_t n);

/* A blocked client goes on: its input is looked at again in this turn. The caller has set c->blocked to NULL and replied. */
void client_resume(struct client *c);

/* ---- what cmd/multi.c provides to the dispatcher ---- */

/* In MULTI, a valid command that must be queued: copies it and replies +QUEUED. */
void multi_queue(struct cmd *c);
/* A command was refused while queueing: EXEC will answer EXECABORT. Nothing happens outside MULTI. */
void multi_refused(struct client *c);
/* The client is being freed, or reset: frees the queue, gives up the watched keys. */
void multi_client_closed(struct client *c);

#endif
