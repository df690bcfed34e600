/* cmd/dispatch.c - the general way of a command: may it run, which stripes does it need, how does it end.
 *
 * The order of the checks and the words of refusals are Redis' (processCommand). Locks, memory, deaths: dispatch.h.
 */
#include "cmd/dispatch.h"

#include <stdlib.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "cmd/blocking.h"
#include "base/clock.h"
#include "cmd/handlers.h"
#include "cmd/monitor.h"
#include "cmd/multi.h"
#include "cmd/propagate.h"
#include "keyspace/evict.h"
#include "keyspace/lazy.h"
#include "keyspace/prefetch.h"
#include "shm/backlog.h"
#include "shm/segment.h"

#define MEMORY_TRIES 64u    /* growth steps that one command waits for */
#define RECOVER_TRIES 50u /* moments of waiting for others that free */
#define RECOVER_ITEMS 65536u /* freed in one transaction when memory is wanted at once */
#define MEMORY_WAIT_MS 1000u
#define LOADING_PATIENCE_MS 2000 /* after the start: commands wait for the dataset; later they are answered -LOADING */

void (*dispatch_slow)(const struct cmd *c, int64_t ns);
void (*dispatch_event)(const char *name, int64_t us);
uint64_t reply_gate;
uint32_t dispatch_ns_left[512];
uint8_t dispatch_ways[512];

static struct key_index *found_keys; /* of the command in hand */
static struct key_ref *key_refs;
static uint32_t keys_room;
static bool while_subscribed[512];   /* rows that a RESP2 subscriber may use */

static void make_key_room(uint32_t n)
{
    if (n <= keys_room) return;
    n = n < 64 ? 64 : n + n / 2;
    found_keys = realloc(found_keys, n * sizeof *found_keys);
    key_refs = realloc(key_refs, n * sizeof *key_refs);
    ENSURE(found_keys && key_refs);
    keys_room = n;
}

void dispatch_init(void)
{
    static const char *const subscriber[] = {"ping", "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe",
                                             "sunsubscribe", "quit", "reset"};
    const uint64_t never = CMD_LOCK_ALL | CMD_LOCK_SELF | CMD_LOCK_PATTERN | CMD_PYTHON | CMD_BLOCKING | CMD_NO_MULTI;
    ENSURE(command_count() <= ARRAY_LEN(dispatch_ways));
    make_key_room(64);
    ks_expired_hook = cmd_key_expired;
    evict_hook = cmd_key_evicted;
    for (uint32_t i = 0; i < command_count(); i++) {
        const struct command *s = command_at(i);
        if (!s->handler || !s->one_key || s->flags & never) continue;
        dispatch_ways[i] = s->flags & CMD_WRITE ? BATCH_WRITE : s->flags & CMD_READONLY ? BATCH_READ : BATCH_GENERAL;
        if (s->handler == cmd_get) dispatch_ways[i] = BATCH_GET;
    }
    for (size_t i = 0; i < ARRAY_LEN(subscriber); i++) {
        const struct command *s = command_by_name((struct slice){(const uint8_t *)subscriber[i], strlen(subscriber[i])});
        if (s) while_subscribed[s->index] = true;
    }
}

/* ---- checks ---- */

static uint32_t word(const _Atomic uint32_t *w) { return atomic_load_explicit(w, memory_order_relaxed); }

static bool needs_auth(const struct client *cl) { return !cl->authenticated && setting(SET_auth_required); }

static bool resp2_subscriber(const struct client *cl) { return cl->flags & CLIENT_FLAG_PUBSUB && cl->resp == 2; }

static COLD bool too_few_replicas(int64_t wanted)
{
    int64_t lag = setting(SET_min_replicas_max_lag);
    return lag > 0 && replicas_good(0, lag * 1000) < wanted;
}

static bool lacks_replicas(void)
{
    int64_t wanted = setting(SET_min_replicas_to_write);
    return unlikely(wanted > 0) && too_few_replicas(wanted);
}

bool dispatch_gate(const struct client *cl)
{
    const struct seg_header *h = seg();
    return cl->flags & (CLIENT_FLAG_MULTI | CLIENT_FLAG_PUBSUB | CLIENT_FLAG_PRIMARY) || is_replica() || cl->reply_mode != CLIENT_REPLY_ON || needs_auth(cl) ||
           !word(&h->serving) || word(&h->clients_paused) || word(&h->write_error) || evict_needed() || lacks_replicas() ||
           monitor_any();
}

/* `error` is the whole text with its code. */
static enum verdict refuse(struct cmd *c, const char *error)
{
    if (c->spec) counter_add(&my_slot->cmd_rejected[c->spec->index], 1);
    multi_refused(c->client);
    if (c->spec && c->spec->handler == cmd_exec)
        multi_exec_refused(c, error);
    else
        reply_errorf(c->out, "%s", error);
    return VERDICT_REFUSED;
}

static enum verdict refuse_id(struct cmd *c, enum error_id e) { return refuse(c, error_text(e)); }

static COLD enum verdict unknown(struct cmd *c)
{
    char text[512] = "ERR ";
    struct slice name = c->argv[0];
    if ((name.n == 5 && strncasecmp((const char *)name.p, "host:", 5) == 0) ||
        (name.n == 4 && strncasecmp((const char *)name.p, "post", 4) == 0)) { /* a browser was tricked into talking to us */
        client_close_asap(c->client);
        return VERDICT_REFUSED;
    }
    size_t n = command_unknown_text(c->argv, c->argc, text + 4, sizeof text - 4);
    multi_refused(c->client);
    reply_error_text(c->out, text, n + 4);
    return VERDICT_REFUSED;
}

static COLD enum verdict wrong_arity(struct cmd *c)
{
    char text[128];
    snprintf(text, sizeof text, error_text(ERR_ARITY), c->spec->fullname);
    counter_add(&my_slot->cmd_rejected[c->spec->index], 1);
    multi_refused(c->client);
    if (c->spec->handler == cmd_exec)
        multi_exec_refused(c, text + strlen("ERR "));
    else
        reply_errorf(c->out, "%s", text);
    return VERDICT_REFUSED;
}

/* What EXEC would run counts as EXEC's own. */
static uint64_t flags_with_queue(const struct cmd *c)
{
    return c->spec->flags | (c->spec->handler == cmd_exec ? multi_flags(c->client) : 0);
}

static bool ends_multi(const struct command *s)
{
    return s->handler == cmd_exec || s->handler == cmd_discard || s->handler == cmd_reset || s->handler == cmd_quit;
}

static COLD bool make_room(void)
{
    int64_t begun = clock_mono_us();
    bool fits = evict_make_room();
    if (dispatch_event) dispatch_event("eviction-cycle", clock_mono_us() - begun);
    return fits;
}

static COLD enum verdict refuse_log(struct cmd *c)
{
    char text[200];
    uint32_t why = word(&seg()->log_failed);
    snprintf(text, sizeof text, "MISCONF Errors writing to the AOF file: %s", why ? strerror((int)why) : "a new base is being written");
    return refuse(c, text);
}

static enum verdict check_state(struct cmd *c, uint64_t flags)
{
    const struct seg_header *h = seg();
    uint32_t error = word(&h->write_error);
    if (evict_needed() && !make_room()) {
        bool refused = flags & CMD_DENYOOM || (client_in_multi(c->client) && !ends_multi(c->spec));
        if (refused) return refuse_id(c, ERR_OOM);
    }
    if (unlikely(error) && (flags & CMD_WRITE || c->spec->handler == cmd_ping)) {
        if (error & 1 && setting(SET_stop_writes_on_bgsave_error)) return refuse_id(c, ERR_MISCONF_RDB);
        if (error & 2) return refuse_log(c);
    }
    if (unlikely(is_replica())) {
        if (flags & CMD_WRITE && setting(SET_replica_read_only)) return refuse_id(c, ERR_READONLY);
    } else if (unlikely(flags & CMD_WRITE && lacks_replicas())) {
        return refuse_id(c, ERR_NOREPLICAS);
    }
    if (resp2_subscriber(c->client) && !while_subscribed[c->spec->index]) {
        char text[256];
        snprintf(text, sizeof text, error_text(ERR_SUBSCRIBED), c->spec->fullname);
        return refuse(c, text);
    }
    if (unlikely(is_replica()) && !setting(SET_replica_serve_stale_data) && !(flags & CMD_STALE) && !link_is_up()) return refuse_id(c, ERR_MASTERDOWN);
    if (!word(&h->serving) && !(c->spec->flags & CMD_LOADING)) {
        /* Redis answers nobody while a short load runs; here others listen already, so their commands wait as long */
        int64_t since = c->now_ms - (int64_t)atomic_load_explicit(&h->started_ms, memory_order_relaxed);
        return since >= 0 && since < LOADING_PATIENCE_MS ? VERDICT_HELD : refuse_id(c, ERR_LOADING);
    }
    return VERDICT_RUN;
}

static bool paused(struct cmd *c, uint64_t flags)
{
    struct seg_header *h = seg();
    uint32_t what = word(&h->clients_paused);
    if (likely(!what)) return false;
    if (c->now_ms >= atomic_load_explicit(&h->pause_until_ms, memory_order_relaxed)) {
        uint32_t seen = what; /* over: whoever notices first takes it away */
        atomic_compare_exchange_strong(&h->clients_paused, &seen, 0);
        return false;
    }
    return what == 2 || flags & (CMD_WRITE | CMD_MAY_REPLICATE);
}

enum verdict dispatch_check(struct cmd *c)
{
    if (unlikely(!c->spec)) return unknown(c);
    if (unlikely(!command_arity_ok(c->spec, c->argc))) return wrong_arity(c);
    if (unlikely(!c->spec->handler)) return wrong_arity(c);
    if (unlikely(!(c->spec->flags & CMD_NO_AUTH) && needs_auth(c->client))) return refuse_id(c, ERR_NOAUTH);
    if (unlikely(client_in_multi(c->client) && c->spec->flags & CMD_NO_MULTI)) return refuse_id(c, ERR_NOTINMULTI);
    if (likely(!(c->client->flags & CLIENT_FLAG_PRIMARY))) { /* what the primary has done is done here, too */
        uint64_t flags = flags_with_queue(c);
        enum verdict v = check_state(c, flags);
        if (unlikely(v != VERDICT_RUN)) return v;
        if (unlikely(paused(c, flags))) return VERDICT_HELD;
    }
    if (client_in_multi(c->client) && !ends_multi(c->spec) && c->spec->handler != cmd_multi && c->spec->handler != cmd_watch) {
        multi_queue(c);
        return VERDICT_QUEUED;
    }
    return VERDICT_RUN;
}

/* ---- locks ---- */

enum plan { PLAN_FREE, PLAN_ONE, PLAN_MANY, PLAN_ALL };

static enum plan plan_for(struct cmd *c, bool all)
{
    uint64_t flags = c->spec->flags;
    if (flags & (CMD_LOCK_SELF | CMD_PYTHON)) all = false;
    else if (flags & CMD_LOCK_ALL || (flags & CMD_LOCK_PATTERN && command_reads_by_pattern(c->argv, c->argc))) all = true;
    int n = command_keys(c->spec, c->argv, c->argc, found_keys, keys_room);
    if (n > (int)keys_room) {
        make_key_room((uint32_t)n);
        n = command_keys(c->spec, c->argv, c->argc, found_keys, keys_room);
    }
    if (n < 0 && !(flags & (CMD_LOCK_SELF | CMD_PYTHON))) all = true; /* the handler may look at a key before it sees the error */
    c->nkeys = n > 0 ? (uint32_t)n : 0;
    c->keys = key_refs;
    for (uint32_t i = 0; i < c->nkeys; i++) key_refs[i] = (struct key_ref){found_keys[i].pos, key_hash(c->argv[found_keys[i].pos])};
    if (all) return PLAN_ALL;
    if (flags & (CMD_LOCK_SELF | CMD_PYTHON)) return PLAN_FREE;
    return c->nkeys == 0 ? PLAN_FREE : c->nkeys == 1 ? PLAN_ONE : PLAN_MANY;
}

static void fetch_ahead(const struct cmd *c)
{
    uint64_t hashes[PREFETCH_MAX];
    for (uint32_t i = 0; i < c->nkeys;) {
        uint32_t n = 0;
        while (n < PREFETCH_MAX && i < c->nkeys) hashes[n++] = c->keys[i++].hash;
        ks_prefetch(c->db, hashes, n);
    }
}

static void lock_keys(struct txn *t, const struct cmd *c)
{
    uint64_t map[STRIPE_COUNT / 64] = {0};
    for (uint32_t i = 0; i < c->nkeys; i++) {
        uint32_t s = stripe_of(c->keys[i].hash);
        map[s / 64] |= 1ull << (s % 64);
    }
    txn_lock_map(t, map);
    fetch_ahead(c);
}

void dispatch_general(struct cmd *c, bool all)
{
    struct txn *t = c->txn;
    enum plan plan = plan_for(c, all);
    bool bracket = c->spec->flags & (CMD_WRITE | CMD_BLOCKING) && plan != PLAN_FREE; /* XREAD waits: that is written down */
    bool group = group_commit_on();
    if (plan == PLAN_FREE) {
        c->spec->handler(c);
        if (group && (c->nkeys || c->spec->flags & (CMD_LOCK_SELF | CMD_MAY_REPLICATE))) gate_all();
        return;
    }
    if (bracket) txn_begin(t);
    if (plan == PLAN_ONE)
        txn_lock_stripe(t, stripe_of(c->keys[0].hash));
    else if (plan == PLAN_MANY)
        lock_keys(t, c);
    else
        txn_lock_all(t);
    c->spec->handler(c);
    if (group && plan == PLAN_ALL) gate_all();
    for (uint32_t i = 0; group && i < c->nkeys; i++) gate_key(c->keys[i].hash);
    if (bracket) {
        cmd_log_sent(c);
        blocking_commit(t);
        if (c->dirty) stat_add(STAT_DIRTY, c->dirty);
    } else {
        txn_unlock(t);
    }
}

/* Memory that waits to be freed is freed before a command is refused for want of it; false: there was none. */
static bool free_waiting(void) { return my_slot->lazy_head && (lazy_step(RECOVER_ITEMS) || !my_slot->lazy_head); }

/* Others free what was flushed: a moment later there may be memory. False: nobody does, or it has taken too long. */
static bool others_free(uint32_t *tries)
{
    const struct timespec moment = {0, 2000000};
    for (uint32_t i = 0; i < SLOT_MAX && *tries < RECOVER_TRIES; i++) {
        if (!*(const volatile shm_off *)&slot_at(i)->lazy_head) continue;
        nanosleep(&moment, NULL);
        ++*tries;
        return true;
    }
    return false;
}

bool dispatch_recover(struct cmd *c, size_t mark, uint32_t *tries, bool *all)
{
    struct txn *t = c->txn;
    if (t->active)
        txn_abort(t);
    else
        txn_unlock(t);
    blocking_forget();
    reply_rewind(c->out, mark);
    scratch_reset();
    if (t->failure == TXN_MORE_STRIPES) {
        *all = true;
        return true;
    }
    if (t->failure == TXN_NO_MEMORY && (free_waiting() || others_free(tries))) return true;
    if (t->failure == TXN_NO_MEMORY && (*tries)++ < MEMORY_TRIES && txn_wait_room(t, MEMORY_WAIT_MS)) return true;
    if (t->failure == TXN_TOO_LARGE)
        reply_errorf(c->out, "ERR the command is too large to be logged");
    else
        reply_error(c->out, ERR_OOM);
    return false;
}

/* ---- inside a bracket, and for ourselves ---- */

void dispatch_clock_limit(struct command_clock *k)
{
    int64_t us = setting(SET_slowlog_log_slower_than), latency = setting(SET_latency_monitor_threshold) * 1000;
    if (us < 0) us = INT64_MAX / 4000000;
    if (latency > 0) us = MIN(us, latency);
    k->slow = ticks_from_us(us) - (us == 0);
}

void dispatch_clock_start(struct command_clock *k)
{
    dispatch_clock_limit(k);
    k->last = ticks_now();
    k->times = setting(SET_latency_tracking);
}

void dispatch_account_slow(struct cmd *c, int64_t ticks)
{
    if (dispatch_slow) dispatch_slow(c, ticks_to_ns(ticks));
}

void dispatch_run(struct cmd *c)
{
    struct command_clock clock;
    dispatch_clock_start(&clock);
    c->spec->handler(c);
    if (c->spec->flags & CMD_WRITE) cmd_log_sent(c);
    if (monitor_any()) monitor_command(c);
    if (c->dirty) stat_add(STAT_DIRTY, c->dirty);
    stat_add(STAT_COMMANDS, 1);
    dispatch_account(c, &clock);
}

void dispatch_internal(struct client *cl, struct reply *out, const struct slice *argv, uint32_t argc, bool replaying)
{
    struct { /* must survive a longjmp */
        struct cmd c;
        size_t mark;
        uint32_t tries;
        bool all;
        jmp_buf failed;
    } r = {.c = {.client = cl, .out = out, .txn = &my_txn, .argv = argv, .argc = argc, .replaying = replaying}};
    r.mark = reply_mark(out);
    r.c.spec = command_lookup(argv, argc);
    if (!r.c.spec) {
        unknown(&r.c);
        return;
    }
    if (!command_arity_ok(r.c.spec, argc) || !r.c.spec->handler) {
        wrong_arity(&r.c);
        return;
    }
    jmp_buf *before = my_txn.on_fail;
    bool again = true;
    if (setjmp(r.failed)) again = dispatch_recover(&r.c, r.mark, &r.tries, &r.all);
    if (again) {
        my_txn.on_fail = &r.failed;
        r.c.db = cl->db;
        r.c.now_ms = ks_now_ms();
        r.c.dirty = 0;
        r.c.propagate = PROPAGATE_AS_SENT;
        dispatch_general(&r.c, r.all);
    }
    my_txn.on_fail = before;
}
