/* snap/transfer.c - taking keys out for another server. Protocol, locks, deaths: transfer.h. */
#include "snap/transfer.h"

#include <stdlib.h>

#include "cmd/blocking.h"
#include "cmd/propagate.h"
#include "keyspace/interest.h"
#include "shm/segment.h"
#include "snap/dump.h"

static struct transfer *make(uint32_t db, uint32_t n, const struct slice *names)
{
    size_t text = 0;
    for (uint32_t i = 0; i < n; i++) text += names[i].n;
    struct transfer *x = calloc(1, sizeof *x + n * sizeof x->keys[0] + text);
    if (!x) return NULL;
    uint8_t *at = (uint8_t *)&x->keys[n];
    x->count = n;
    for (uint32_t i = 0; i < n; i++) {
        if (names[i].n) memcpy(at, names[i].p, names[i].n);
        x->keys[i].key = key_make((struct slice){at, names[i].n}, db);
        at += names[i].n;
    }
    return x;
}

void transfer_free(struct transfer *x)
{
    for (uint32_t i = 0; i < x->count; i++) free(x->keys[i].payload);
    free(x);
}

static void map_of(const struct transfer *x, uint64_t map[STRIPE_COUNT / 64])
{
    memset(map, 0, STRIPE_COUNT / 8);
    for (uint32_t i = 0; i < x->count; i++) {
        uint32_t s = stripe_of(x->keys[i].key.hash);
        map[s / 64] |= 1ull << (s % 64);
    }
}

/* Copies the payload; it stays in the process' own memory. */
static void take_payload(struct transfer_key *k)
{
    const struct entry *e = ks_read(&k->key);
    if (!e) return;
    struct slice payload;
    free(k->payload);
    k->payload = NULL;
    k->state = TRANSFER_TOO_LARGE;
    if (!dump_payload(e, &payload)) return;
    k->payload = malloc(payload.n);
    if (!k->payload) return;
    memcpy(k->payload, payload.p, payload.n);
    k->payload_bytes = payload.n;
    k->expire_ms = MAX(entry_expire(e), 0);
    k->state = TRANSFER_READY;
}

/* ---- transactions ---- */

#define TRIES 64u      /* growth steps that one transaction waits for */
#define WAIT_MS 1000u

typedef void body_fn(struct txn *t, struct transfer *x);

/* Runs `body`, which may be run several times, in one transaction over the stripes of all keys. False: no memory; nothing has changed. */
static bool in_txn(struct transfer *x, body_fn *body)
{
    struct txn *t = &my_txn;
    const struct scratch_mark mark = scratch_mark();
    jmp_buf *outer = t->on_fail, failed;
    uint64_t map[STRIPE_COUNT / 64];
    volatile bool all = false;
    volatile uint32_t tries = 0;
    map_of(x, map);
    t->on_fail = &failed;
    if (setjmp(failed)) {
        txn_abort(t);
        blocking_forget();
        scratch_rewind(mark);
        if (t->failure == TXN_MORE_STRIPES) {
            all = true;
        } else if (t->failure != TXN_NO_MEMORY || ++tries > TRIES || !txn_wait_room(t, WAIT_MS)) {
            t->on_fail = outer;
            return false;
        }
    }
    txn_begin(t);
    if (all)
        txn_lock_all(t);
    else
        txn_lock_map(t, map);
    body(t, x);
    blocking_commit(t);
    t->on_fail = outer;
    scratch_rewind(mark);
    return true;
}

static void watch_keys(struct txn *t, struct transfer *x)
{
    for (uint32_t i = 0; i < x->count; i++) x->keys[i].watch = interest_watch(t, &x->keys[i].key, my_slot_index, 0);
}

static void take_payloads(struct txn *t UNUSED, struct transfer *x)
{
    for (uint32_t i = 0; i < x->count; i++) take_payload(&x->keys[i]);
}

/* First what may fail, then what takes private memory. */
static void watch_and_take(struct txn *t, struct transfer *x)
{
    watch_keys(t, x);
    take_payloads(t, x);
}

struct transfer *transfer_begin(uint32_t db, uint32_t n, const struct slice *names, bool watch)
{
    struct transfer *x = make(db, n, names);
    if (x && in_txn(x, watch ? watch_and_take : take_payloads)) return x;
    if (x) transfer_free(x);
    return NULL;
}

static bool unchanged(const struct transfer_key *k) { return !k->watch || !interest_changed(k->watch, &k->key); }

static void unwatch(struct txn *t, struct transfer *x)
{
    for (uint32_t i = 0; i < x->count; i++)
        if (x->keys[i].watch) interest_remove(t, x->keys[i].watch);
}

/* One DEL for all that go, as one record. */
static void log_removed(struct txn *t, const struct transfer *x)
{
    struct slice *argv = scratch_alloc((x->count + 1) * sizeof *argv);
    uint32_t argc = 1;
    argv[0] = SLICE("DEL");
    for (uint32_t i = 0; i < x->count; i++)
        if (x->keys[i].outcome == TRANSFER_REMOVED) argv[argc++] = x->keys[i].key.name;
    if (argc > 1 && log_on()) cmd_log(t, x->keys[0].key.db, argc, argv);
}

static void remove_arrived(struct txn *t, struct transfer *x)
{
    for (uint32_t i = 0; i < x->count; i++) {
        struct transfer_key *k = &x->keys[i];
        k->outcome = k->state;
        if (k->state != TRANSFER_ARRIVED) continue;
        k->outcome = TRANSFER_CHANGED;
        if (!unchanged(k) || !ks_write(t, &k->key) || !ks_delete(t, &k->key)) continue;
        k->outcome = TRANSFER_REMOVED;
        cmd_changed(t, &k->key, 'g', "del");
    }
    unwatch(t, x);
    log_removed(t, x);
}

bool transfer_end(struct transfer *x)
{
    bool done = in_txn(x, remove_arrived);
    if (!done) in_txn(x, unwatch); /* needs next to nothing; what it cannot do, the heir does one day */
    for (uint32_t i = 0; i < x->count; i++) {
        x->keys[i].watch = 0;
        if (!done) continue;
        x->keys[i].state = x->keys[i].outcome;
        if (x->keys[i].state == TRANSFER_REMOVED) stat_add(STAT_DIRTY, 1);
    }
    return done;
}
