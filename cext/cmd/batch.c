/* cmd/batch.c - executes a batch of one client's commands: cache lines first, then the short way where it is open.
 * Locks and deaths: dispatch.h.
 */
#include <setjmp.h>

#include "cmd/blocking.h"
#include "cmd/dispatch.h"
#include "cmd/monitor.h"
#include "cmd/propagate.h"
#include "keyspace/optimistic.h"
#include "keyspace/prefetch.h"
#include "shm/replica_link.h"
#include "shm/ring.h"

void batch_add(struct batch *b, const struct slice *argv, uint32_t argc, size_t end)
{
    struct batch_command *k = &b->commands[b->count++];
    const struct command *spec = command_lookup(argv, argc);
    *k = (struct batch_command){.argv = argv, .argc = argc, .spec = spec, .end = end};
    if (unlikely(!spec) || dispatch_ways[spec->index] == BATCH_GENERAL || !command_arity_ok(spec, argc)) return;
    k->way = dispatch_ways[spec->index];
    k->hash = key_hash(argv[spec->one_key]);
    __builtin_prefetch(stripe_lock_at(stripe_of(k->hash)), 1);
}

static void fetch_ahead(const struct batch *b, uint32_t db)
{
    uint64_t hashes[BATCH_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->count; i++)
        if (b->commands[i].way != BATCH_GENERAL) hashes[n++] = b->commands[i].hash;
    ks_prefetch(db, hashes, n);
}

/* ---- running ---- */

struct run { /* one batch_run(): what must survive a longjmp lies here */
    struct cmd c;
    struct batch *b;
    struct command_clock clock;
    uint32_t i, tries;
    size_t mark;
    bool all, gate;
    bool group;    /* group_commit_on() */
    uint64_t lsn;  /* last one of this process before the batch */
    uint32_t access_clock; /* optimistic_clock() of the client */
    struct key_ref one;
    jmp_buf failed;
};

/* GET without the lock. False: nothing was replied, take it. */
static ALWAYS_INLINE bool get_unlocked(struct cmd *c, const struct batch_command *k, uint32_t clock, bool group)
{
    const struct key key = {k->argv[1], k->hash, c->db};
    struct optimistic_read r;
    enum optimistic o = optimistic_find(&r, &key, clock);
    struct slice value;
    if (o == OPTIMISTIC_UNSURE || (o == OPTIMISTIC_FOUND && !optimistic_string(&r, &value))) return false;
    size_t mark = reply_mark(c->out);
    if (o == OPTIMISTIC_FOUND)
        reply_slice(c->out, value);
    else
        reply_null(c->out);
    if (unlikely(group)) gate_key(k->hash); /* before the confirmation, which vouches for it too */
    if (unlikely(!optimistic_confirm(&r))) {
        reply_rewind(c->out, mark);
        stat_add(STAT_OPTIMISTIC_RETRIES, 1);
        return false;
    }
    stat_add(o == OPTIMISTIC_FOUND ? STAT_HITS : STAT_MISSES, 1);
    return true;
}

static ALWAYS_INLINE void short_way(struct cmd *c, const struct batch_command *k, uint32_t clock, bool group)
{
    struct txn *t = c->txn;
    if (k->way == BATCH_GET && likely(clock != OPTIMISTIC_CLOCK_UNSURE) && get_unlocked(c, k, clock, group)) return;
    if (k->way != BATCH_WRITE) {
        txn_lock_stripe(t, stripe_of(k->hash));
        k->spec->handler(c);
        if (unlikely(group)) gate_key(k->hash);
        txn_unlock(t);
        return;
    }
    txn_begin(t);
    txn_lock_stripe(t, stripe_of(k->hash));
    k->spec->handler(c);
    if (unlikely(group)) gate_key(k->hash);
    if (log_on()) cmd_log_sent(c);
    blocking_commit(t);
    if (likely(c->dirty)) stat_add(STAT_DIRTY, c->dirty);
}

static void prepare(struct run *r, const struct batch_command *k)
{
    struct cmd *c = &r->c;
    c->spec = k->spec;
    c->argv = k->argv;
    c->argc = k->argc;
    c->db = c->client->db;
    c->dirty = 0;
    c->propagate = PROPAGATE_AS_SENT;
    c->keys = &r->one;
    c->nkeys = 0;
    c->key_next = 0;
    r->mark = c->out->len;
}

/* `before`: the mode when the command began. CLIENT REPLY ON answers even when this reply was to be skipped. */
static COLD void apply_reply_mode(struct cmd *c, uint8_t before, size_t mark)
{
    uint8_t *mode = &c->client->reply_mode;
    bool skip = before == CLIENT_REPLY_SKIP && *mode == CLIENT_REPLY_SKIP;
    if (skip || *mode == CLIENT_REPLY_OFF) reply_rewind(c->out, mark);
    if (skip) *mode = CLIENT_REPLY_ON;
    if (*mode == CLIENT_REPLY_SKIP_NEXT) *mode = CLIENT_REPLY_SKIP;
}

/* A command of our primary: its commit says that we have the stream up to its end (shm/replica_link.h). What MULTI has queued counts with EXEC. */
static COLD void link_before(const struct run *r, struct client *cl)
{
    my_txn.link_at = cl->link_at + r->b->commands[r->i].end;
    my_txn.link_db = &cl->db;
}

static COLD void link_after(const struct run *r, struct client *cl)
{
    my_txn.link_at = 0;
    if (!client_in_multi(cl)) link_store(cl->link_at + r->b->commands[r->i].end, cl->db);
}

/* Everything that may stand in the way is looked at. False: the command waits (it is not consumed). */
static bool general_way(struct run *r)
{
    struct cmd *c = &r->c;
    struct client *cl = c->client;
    uint8_t mode = cl->reply_mode;
    enum verdict v = dispatch_check(c);
    if (v == VERDICT_HELD) return false;
    if (v == VERDICT_RUN) {
        if (my_txn.last_lsn != r->lsn) cl->wrote_lsn = my_txn.last_lsn; /* WAITAOF asks */
        atomic_store_explicit(&cl->record->command, c->spec->index + 1, memory_order_relaxed);
        const bool from_primary = cl->flags & CLIENT_FLAG_PRIMARY;
        if (unlikely(from_primary)) link_before(r, cl);
        dispatch_general(c, r->all);
        if (unlikely(from_primary)) link_after(r, cl);
        if (monitor_any()) monitor_command(c);
        my_txn.on_fail = &r->failed; /* EXEC and others bring their own */
        dispatch_clock_limit(&r->clock); /* CONFIG SET may have changed it */
        dispatch_account(c, &r->clock);
    } else if (c->out->errors != c->out->errors_counted) {
        observe_errors(c->out);
    }
    if (unlikely(mode != CLIENT_REPLY_ON || cl->reply_mode != mode)) apply_reply_mode(c, mode, r->mark);
    scratch_reset();
    r->gate = dispatch_gate(cl);
    ks_no_touch = cl->flags & CLIENT_FLAG_NO_TOUCH;
    return true;
}

static bool stopped(const struct client *cl) { return cl->close_asap || cl->close_after_reply || cl->blocked || cl->away; }

static uint32_t finish(struct run *r, struct batch *b)
{
    struct client *cl = r->c.client;
    uint32_t done = r->i;
    if (done) {
        const struct command *last = b->commands[done - 1].spec;
        if (last) atomic_store_explicit(&cl->record->command, last->index + 1, memory_order_relaxed);
    }
    cl->commands += done;
    stat_add(STAT_COMMANDS, done);
    stat_add(STAT_BATCHES, 1);
    my_txn.on_fail = NULL;
    scratch_reset();
    if (unlikely(my_txn.last_lsn != r->lsn)) {
        cl->wrote_lsn = my_txn.last_lsn;
        if (r->group) {
            gate_raise(my_txn.last_lsn);
            ring_wake_writer();
        }
    }
    if (!ring_short()) ks_expire_noted();
    b->count = 0;
    return done;
}

uint32_t batch_run(struct batch *b, struct client *cl, struct reply *out, size_t room, bool *held)
{
    struct run r;
    r.c = (struct cmd){.client = cl, .out = out, .txn = &my_txn, .now_ms = ks_now_ms()};
    r.b = b;
    r.i = r.tries = 0;
    r.all = false;
    r.group = group_commit_on();
    r.lsn = my_txn.last_lsn;
    r.gate = dispatch_gate(cl);
    r.access_clock = optimistic_clock(cl->flags & CLIENT_FLAG_NO_TOUCH);
    *held = false;
    ks_no_touch = cl->flags & CLIENT_FLAG_NO_TOUCH;
    if (b->count > 1) fetch_ahead(b, cl->db);
    dispatch_clock_start(&r.clock);
    my_txn.on_fail = &r.failed;
    if (setjmp(r.failed) && (my_txn.link_at = 0, !dispatch_recover(&r.c, r.mark, &r.tries, &r.all))) {
        dispatch_account(&r.c, &r.clock);
        r.i++;
    }
    for (; r.i < b->count; r.i++) {
        const struct batch_command *k = &b->commands[r.i];
        if (unlikely(out->len > room && r.i)) break;
        prepare(&r, k);
        if (likely(k->way != BATCH_GENERAL && !r.gate && !r.all)) {
            r.one = (struct key_ref){(uint32_t)k->spec->one_key, k->hash};
            r.c.nkeys = 1;
            short_way(&r.c, k, r.access_clock, r.group);
            dispatch_account(&r.c, &r.clock);
        } else {
            if (unlikely(!general_way(&r))) {
                *held = true;
                break;
            }
            r.tries = 0;
            r.all = false;
            if (unlikely(stopped(cl))) {
                r.i++;
                break;
            }
        }
    }
    return finish(&r, b);
}
