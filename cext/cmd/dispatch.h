/* cmd/dispatch.h - from parsed arguments to an executed command.
 *
 * A batch is up to BATCH_MAX commands of one client's input. It is filled with batch_add(), which looks up the row, hashes the key of a
 * one-key command and starts fetching its stripe into the cache; batch_run() fetches buckets and entries of all of them and then
 * executes one after the other. Two ways for one command:
 *   short    one key, nothing in the way (no MULTI, pause, limits ...): lock the stripe, run, unlock;
 *   general  all checks in Redis' order, then the locks that the row's keys and flags ask for.
 *
 * Memory: txn_fail() comes back to batch_run(), which rolls the command back, waits for the arena to grow and runs it again, once.
 * Locks: those of the command's stripes, while it runs. Death: the bracket's (shm/txn.h); batch and clients are private.
 */
#ifndef SHOAL_CMD_DISPATCH_H
#define SHOAL_CMD_DISPATCH_H

#include "base/ticks.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/command_table.h"
#include "cmd/observe.h"

#define BATCH_MAX 64u

/* All but GENERAL: one key, the short way is possible. GET: may be answered without the lock (keyspace/optimistic.h). */
enum batch_way { BATCH_GENERAL, BATCH_READ, BATCH_WRITE, BATCH_GET };

struct batch_command {
    const struct slice *argv;
    uint32_t argc;
    uint8_t way;                /* enum batch_way */
    const struct command *spec; /* NULL: unknown */
    uint64_t hash;              /* of the one key */
    size_t end;                 /* the caller's: where the next command starts in its input */
};

struct batch {
    uint32_t count;
    struct batch_command commands[BATCH_MAX];
};

/* The command's arguments must stay where they are until batch_run() returns. */
void batch_add(struct batch *b, const struct slice *argv, uint32_t argc, size_t end);

/* Executes the batch and empties it. Returns how many were executed: fewer when the client is being closed, waits for something, or is
 * held back by CLIENT PAUSE (*held). At most `room` bytes of reply are passed by one command. */
uint32_t batch_run(struct batch *b, struct client *cl, struct reply *out, size_t room, bool *held);

/* Executes one row inside an open bracket that holds its stripes (EXEC, scripts): handler, statistics, log. No checks. */
void dispatch_run(struct cmd *c);

/* Executes a command for an internal client (replay, scripts' callers): existence, arity and locks as usual, no other checks. */
void dispatch_internal(struct client *cl, struct reply *out, const struct slice *argv, uint32_t argc, bool replaying);

/* Private buffers and look-ups of the dispatcher; once per process after txn_init(). */
void dispatch_init(void);

/* Group commit (appendfsync always): what has been replied since the caller set it to 0 may leave when this LSN is durable; 0 = at once. */
extern uint64_t reply_gate;
static ALWAYS_INLINE void gate_raise(uint64_t lsn)
{
    if (lsn > reply_gate) reply_gate = lsn;
}
/* A reply tells of this key. */
static ALWAYS_INLINE void gate_key(uint64_t hash) { gate_raise(stripe_recent_lsn(stripe_lock_at(stripe_of(hash)), hash)); }
/* A reply may tell of anything that has been committed. */
static ALWAYS_INLINE void gate_all(void) { gate_raise(atomic_load_explicit(&seg()->lsn, memory_order_acquire)); }

/* A slow command, or an event of LATENCY, goes to its log (net/slow.c). */
extern void (*dispatch_slow)(const struct cmd *c, int64_t ns);
extern void (*dispatch_event)(const char *name, int64_t us);
/* A command goes to those who MONITOR; NULL = nobody does. */

/* ---- between batch.c and dispatch.c ---- */

enum verdict { VERDICT_RUN, VERDICT_REFUSED, VERDICT_QUEUED, VERDICT_HELD };

/* All checks before a command may run, in Redis' order; what is refused or queued has been replied to. */
enum verdict dispatch_check(struct cmd *c);
/* Takes the locks that the row and its keys ask for, runs it, commits; may leave through txn_fail. `all`: every stripe. */
void dispatch_general(struct cmd *c, bool all);
/* After txn_fail() out of a command: nothing is held any more, its reply is gone. True: run it again. */
bool dispatch_recover(struct cmd *c, size_t mark, uint32_t *tries, bool *all);
extern uint8_t dispatch_ways[512]; /* enum batch_way of each row */
/* Is something in the way of the short way for this client? */
bool dispatch_gate(const struct client *cl);

struct command_clock { /* one per batch: the end of a command is the start of the next */
    int64_t last, slow; /* ticks */
    bool times;         /* latency-tracking */
};
void dispatch_clock_start(struct command_clock *k);
void dispatch_clock_limit(struct command_clock *k); /* reads again what counts as slow */
void dispatch_account_slow(struct cmd *c, int64_t ticks) NOINLINE;
extern uint32_t dispatch_ns_left[512]; /* nanoseconds of each command not yet counted as microseconds */

static ALWAYS_INLINE void counter_add(_Atomic uint64_t *p, uint64_t n)
{
    atomic_store_explicit(p, atomic_load_explicit(p, memory_order_relaxed) + n, memory_order_relaxed);
}

/* Counts one call; the next starts now. */
static ALWAYS_INLINE void dispatch_account(struct cmd *c, struct command_clock *k)
{
    int64_t now = ticks_now(), ticks = now - k->last;
    uint32_t i = c->spec->index;
    uint64_t took = (uint64_t)MAX(ticks_to_ns(ticks), 0), ns = took + dispatch_ns_left[i], us = ns / 1000;
    counter_add(&my_slot->cmd_calls[i], 1);
    if (us) counter_add(&my_slot->cmd_usec[i], us);
    dispatch_ns_left[i] = (uint32_t)(ns - us * 1000);
    if (k->times) observe_time(i, took);
    if (unlikely(c->out->errors != c->out->errors_counted)) {
        counter_add(&my_slot->cmd_failed[i], 1);
        observe_errors(c->out);
    }
    if (unlikely(ticks > k->slow)) dispatch_account_slow(c, ticks);
    k->last = now;
}

#endif
