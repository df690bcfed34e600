/* keyspace/expire.c - active expiry: finding keys whose time is over without looking at the others.
 *
 * Every bucket chain and every stripe keeps a lower bound of its keys' expiries (`due`), so a stripe where nothing is due costs one
 * read, and one where something is due a walk over its buckets, a cache line each. Bounds are made exact by the walk. Processes take
 * different stripes (index modulo shares). A removal is a transaction of its own; a death in one is undone like any other.
 */
#include "base/clock.h"
#include "keyspace/internal.h"

#define STEP_KEYS 32u    /* removals per transaction */
#define STEP_BUCKETS 512u /* chains looked at per hold of the stripe */

/* Removes the key, or what is over of its value. */
static void entry_expire_now(struct txn *t, struct entry *e, uint32_t db)
{
    struct slice name = entry_key(e);
    uint8_t *copy = scratch_alloc(name.n + 1);
    memcpy(copy, name.p, name.n);
    struct key k = key_make((struct slice){copy, name.n}, db);
    if (entry_expired(e))
        ks_remove_expired(t, &k);
    else
        ks_fields_hook(t, &k, e, STEP_KEYS);
}

/* When something of the entry expires next, 0 = never. */
static int64_t entry_next_due(const struct entry *e)
{
    int64_t key = entry_expire(e), parts = ks_fields_hook ? entry_due(e) : 0;
    return key < 0 ? parts : parts > 0 ? MIN(key, parts) : key;
}

/* Removes what is over in one chain; returns the chain's exact new bound. Past `limit` removals it leaves the chain due. */
static uint32_t chain_expire(struct txn *t, struct stripe *s, uint32_t db, uint32_t index, uint32_t *removed, uint32_t limit)
{
    bool again = true;
    uint32_t due = 0;
    while (again) { /* removing may move other items of the chain, so it starts anew */
        again = false;
        due = 0;
        if (index >= s->keys.buckets) return 0;
        for (struct bucket *b = ht_bucket(&s->keys, index); b && !again; b = ht_next(b))
            for (uint32_t m = ht_used_mask(b); m; m &= m - 1) {
                struct entry *e = shm_ptr(ht_slot(b, (uint32_t)__builtin_ctz(m)));
                int64_t ms = entry_next_due(e);
                if (!ms) continue;
                if (ms < ks_now_ms()) {
                    if (*removed >= limit) return expire_unit(ms);
                    entry_expire_now(t, e, db);
                    ++*removed;
                    again = true;
                    break;
                }
                uint32_t u = expire_unit(ms);
                if (!due || u < due) due = u;
            }
    }
    return due;
}

/* One transaction's worth of the walk over a stripe; true when the walk came to its end. */
static bool walk_step(struct txn *t, struct stripe *s, uint32_t db, uint32_t now, uint32_t *removed)
{
    uint32_t i = s->expire_cursor, looked = 0, start = *removed;
    uint32_t next_due = i ? s->due_next : 0;
    for (; i < s->keys.buckets && looked < STEP_BUCKETS && *removed - start < STEP_KEYS; i++, looked++) {
        struct bucket *b = ht_bucket(&s->keys, i);
        if (b->due && b->due <= now) {
            uint32_t buckets = s->keys.buckets, due = chain_expire(t, s, db, i, removed, start + STEP_KEYS);
            if (s->keys.buckets < buckets) next_due = DUE_AT_ONCE;
            if (i >= s->keys.buckets) break;
            b = ht_bucket(&s->keys, i);
            if (b->due != due) TXN_SET(t, b->due, due);
        }
        if (b->due && (!next_due || b->due < next_due)) next_due = b->due;
    }
    bool done = i >= s->keys.buckets;
    TXN_SET(t, s->expire_cursor, done ? 0 : i);
    TXN_SET(t, s->due_next, done ? 0 : next_due);
    if (done) TXN_SET(t, s->due, next_due);
    return done;
}

static bool step_in_txn(uint32_t stripe, uint32_t db, uint32_t now, uint32_t *removed)
{
    struct txn *t = &my_txn;
    jmp_buf failed, *outer = t->on_fail;
    volatile bool done = true;
    t->on_fail = &failed;
    txn_begin(t);
    if (setjmp(failed) == 0) {
        txn_lock_stripe(t, stripe);
        const struct keyspace *ks = shm_ptr(seg()->keyspace);
        if (ks->tables[db]) {
            struct stripe *s = &((struct db_table *)shm_ptr(ks->tables[db]))->stripes[stripe];
            done = walk_step(t, s, db, now, removed);
        }
        txn_commit(t);
    } else {
        txn_abort(t); /* no memory for undo records; the next cycle tries again */
    }
    t->on_fail = outer;
    scratch_reset();
    return done;
}

/* False: time is up. *looked: keys that may expire, in the stripes it passed. */
static bool walk_stripes(uint32_t share, uint32_t shares, int64_t deadline, uint32_t *removed, uint64_t *looked)
{
    static uint32_t at; /* private: where this process's last cycle ended */
    uint32_t now = expire_unit(ks_now_ms());
    const struct keyspace *ks = shm_ptr(seg()->keyspace);
    for (uint32_t n = 0; n < STRIPE_COUNT; n++, at = (at + 1) % STRIPE_COUNT) {
        if (at % shares != share) continue;
        for (uint32_t db = 0; db < ks->databases; db++) {
            shm_off table = *(const volatile shm_off *)&ks->tables[db];
            if (!table) continue;
            const struct stripe *s = &((struct db_table *)shm_ptr(table))->stripes[at];
            uint32_t due = *(const volatile uint32_t *)&s->due;
            *looked += *(const volatile uint64_t *)&s->expires;
            if (!due || due > now) continue;
            while (!step_in_txn(at, db, now, removed))
                if (clock_mono_us() > deadline) return false;
        }
        if (clock_mono_us() > deadline) return false;
    }
    return true;
}

/* The share of keys that were over, as an average that forgets slowly, in millionths of a percent: as Redis, which samples. */
static void note_stale(uint32_t removed, uint64_t looked)
{
    _Atomic uint64_t *stale = &my_slot->stats[STAT_EXPIRE_STALE];
    double now = looked ? (double)MIN(removed, looked) * 1e8 / (double)looked : 0;
    double before = (double)atomic_load_explicit(stale, memory_order_relaxed);
    atomic_store_explicit(stale, (uint64_t)(now * 0.05 + before * 0.95), memory_order_relaxed);
}

uint32_t ks_expire_cycle(uint32_t share, uint32_t shares, uint32_t budget_us)
{
    if (!ks_expiry_on || !setting(SET_active_expire_enabled) || ks_expire_held() || is_replica()) return 0;
    int64_t begun = clock_mono_us();
    uint32_t removed = 0;
    uint64_t looked = 0;
    if (!walk_stripes(share, shares, begun + budget_us, &removed, &looked)) stat_add(STAT_EXPIRE_CAPPED, 1);
    stat_add(STAT_EXPIRE_US, (uint64_t)(clock_mono_us() - begun));
    note_stale(removed, looked);
    return removed;
}
