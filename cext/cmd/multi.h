/* cmd/multi.h - what MULTI and WATCH hang on a client: the queue of commands and the watched keys.
 *
 * Both lie in the worker's private memory. The registrations of the watched keys are in the segment (keyspace/interest.h); they go with
 * EXEC, DISCARD, UNWATCH, RESET and the end of the client. A worker's death takes queue and list with it; its heir sweeps the registrations.
 */
#ifndef SHOAL_CMD_MULTI_H
#define SHOAL_CMD_MULTI_H

#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/command_table.h"

struct queued {                /* one command; a single allocation with its arguments, hashes and bytes */
    const struct command *spec;
    uint32_t argc, nkeys;
    bool all_stripes;          /* needs every stripe */
    bool afterwards;           /* runs in Python: EXEC runs it when nothing is held any more */
    uint32_t db;               /* afterwards: the database selected where it stands in the queue, */
    size_t reply_at;           /* where its reply belongs, */
    struct view *view;         /* what it is shown (cmd/view.h); NULL = what is there when it runs, */
    bool uncounted;            /* and whether CONFIG RESETSTAT stands behind it */
    size_t bytes;              /* of the allocation */
    struct key_ref *keys;      /* as cmd.keys */
    struct slice argv[];
};

struct multi {
    struct queued **queue;
    uint32_t count, cap;
    bool refused;              /* a command was refused while queueing: EXEC will not run */
    uint64_t flags;            /* CMD_... that any of the queued commands has */
    size_t bytes;              /* of all queued commands */
};

/* A queued command as EXEC runs it. */
struct cmd queued_command(const struct cmd *exec, struct queued *q);

struct watch {
    struct watch *next;
    struct key key;            /* its name follows */
    shm_off registration;
    uint8_t name[];
};

/* MULTI: false when there is no memory. */
bool multi_begin(struct client *c);
/* Frees the queue and leaves MULTI; keeps the watched keys. */
void multi_end(struct client *c);
/* Flags of the commands that EXEC would run, 0 outside MULTI: the dispatcher refuses and holds back EXEC by them. */
static ALWAYS_INLINE uint64_t multi_flags(const struct client *c) { return c->multi ? c->multi->flags : 0; }
/* EXEC itself was refused (`error` without the '-'): replies EXECABORT with it and leaves MULTI. */
void multi_exec_refused(struct cmd *c, const char *error);

/* A key the client does not watch yet, not registered; NULL when there is no memory. */
struct watch *watch_new(const struct key *k);
bool watch_has(const struct client *c, const struct key *k);
/* Gives up every watched key (takes stripes; nothing may be held). */
void watch_forget_all(struct client *c);
/* Frees the list after its registrations were removed in a transaction. */
void watch_free_list(struct client *c);

#endif
