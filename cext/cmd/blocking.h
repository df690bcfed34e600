/* cmd/blocking.h - commands that wait (BLPOP, BZPOPMIN, XREAD BLOCK ...): who waits, who serves whom, and how it ends.
 *
 * A command that finds nothing calls cmd_block(): in its own transaction it writes down itself (struct waiter: row, arguments, database,
 * protocol) and registers for its keys (keyspace/interest.h, oldest first). Its client then waits; its input is not executed.
 *
 * Whoever changes a key for which somebody waits (cmd_changed() notes it) serves the waiters in his own transaction, at the end of his command
 * or EXEC: blocking_serve() runs each waiter's command again, in order of arrival, until it waits no more. What it replies is kept in the
 * waiter's record, its registrations go, and the record's state becomes SERVED: popped element, log record and reply are one transaction.
 * In the log they are units of their own (shm/ring.h), as Redis writes them: a MULTI around both is not needed, since nobody has an answer yet.
 * After the commit the owner is told (INBOX_UNBLOCK) and passes the reply on.
 *
 * Why so: a client that waits for several keys, or whose element goes to another list, is claimed by locks alone: the server needs all
 * stripes of the waiter's keys, and when it does not hold them its command starts again with every stripe (TXN_MORE_STRIPES). So there is
 * never a second server and never a claim to be given back. Running the command again, instead of a special way for each type, makes the
 * words, the log and later effects (a BLMOVE whose destination is awaited too) those of the command itself.
 *
 * Locks: a waiter's state and reply are changed under the stripes of all its keys; list links only by the process of its slot.
 * Death of the server before its commit: everything is undone, the client waits on; after it: the owner finds the state SERVED when it
 * looks through its waiters, ten times a second, so a message that was never sent delays a reply but loses none. Death of the owner: its heir
 * removes waiters and registrations (blocking_sweep); what had been popped for the client went with its connection, as in Redis.
 */
#ifndef SHOAL_CMD_BLOCKING_H
#define SHOAL_CMD_BLOCKING_H

#include "cmd/client.h"
#include "cmd/cmd.h"

/* ---- for handlers ---- */

/* May this call wait? Not in EXEC, scripts and replays: it answers at once then. */
static inline bool cmd_may_block(const struct cmd *c) { return !c->in_exec && !c->replaying; }
/* A timeout in seconds (a float); *ms 0 = for ever. ERR timeout is not a float or out of range, and so on. */
bool arg_timeout(struct cmd *c, uint32_t i, int64_t *ms);
/* The client waits for argv[first .. first + n): keys of its row; the command is run again when one of them has changed and holds a type of
 * `wants` (bit per enum obj_type, BLOCK_GONE: also when the key is gone). Nothing was replied or changed. */
#define BLOCK_GONE (UINT64_C(1) << 32)
void cmd_block(struct cmd *c, uint32_t first, uint32_t n, int64_t timeout_ms, uint64_t wants);

/* WAIT and WAITAOF: the client waits for no key, but for its writes to be safe in so many places (cmd/cmd_wait.c). Private to its worker;
 * only slot.sync_wait_lsn asks the log writer for a wake-up. */
struct sync_wait {
    uint64_t lsn; /* the client's last write */
    int64_t local, replicas; /* wanted: 0 or 1; how many */
    bool aof;     /* WAITAOF */
    bool placed;  /* `at` is known */
    uint64_t at;  /* position in the stream (shm/backlog.h) that replicas must have acknowledged */
};
void cmd_block_sync(struct cmd *c, const struct sync_wait *w, int64_t timeout_ms);
/* True: it has its end, and `out` the reply. */
bool sync_wait_over(struct sync_wait *w, struct reply *out);
/* What is so far, as a reply. */
void sync_wait_reply(struct sync_wait *w, struct reply *out);

/* ---- for cmd.c and whoever drives transactions ---- */

extern uint32_t blocking_noted;  /* keys to be looked at in this transaction */
extern uint32_t blocking_told;   /* clients served in it, and one that begins to wait */
/* A key has changed for which somebody is interested. */
void blocking_note(const struct key *k);
/* SWAPDB: all keys of a database have changed that somebody waits for. */
void blocking_note_db(uint32_t db);
/* Before the commit, after the command's own log record. May leave through txn_fail. */
void blocking_serve(struct txn *t);
/* After the commit: tells the owners. */
void blocking_tell(void);
/* After a rollback. */
void blocking_forget(void);

/* The end of a bracket that runs commands. */
static ALWAYS_INLINE void blocking_commit(struct txn *t)
{
    if (unlikely(blocking_noted)) blocking_serve(t);
    txn_commit(t);
    if (unlikely(blocking_told)) blocking_tell();
}

/* ---- for the worker that owns the client ---- */

enum unblock_reason { UNBLOCK_SERVED, UNBLOCK_TIMEOUT, UNBLOCK_ERROR };
struct unblock_message { /* INBOX_UNBLOCK */
    uint64_t client_id;
    uint64_t reason;
};
void blocking_message(const struct unblock_message *m);
/* Ends what is over; monotonic milliseconds. */
void blocking_expire(int64_t now_ms);
/* When the next timeout ends, INT64_MAX = none does. */
int64_t blocking_next_ms(void);
/* Looks through all waiters for served ones that nobody told of. */
void blocking_check(void);
/* Ends those waits for the disk that are over. */
void blocking_check_syncs(void);
/* Asks the log writer for a wake-up; false: look again instead of sleeping. */
bool blocking_may_sleep(void);
/* The client goes away. */
void blocking_client_closed(struct client *c);
/* CLIENT UNBLOCK, from any process: true if that client was waiting. */
bool blocking_unblock(struct client_record *r, uint64_t client_id, bool error);

/* The heir, in its slot, before interest_sweep(): removes what the dead process' clients waited for. */
void blocking_sweep(void);

#endif
