/* keyspace/evict.c - sampling, the pool of candidates, removing. What it is and what a death means: evict.h. */
#include "keyspace/evict.h"

#include <stdlib.h>

#include "base/clock.h"
#include "keyspace/internal.h"
#include "keyspace/lazy.h"

#define POOL_SIZE 16u
#define LOOK_BUCKETS 16u       /* chains looked at per sample and stripe; for volatile policies more, since few keys may qualify */
#define LOOK_VOLATILE 256u
#define STRIPES_MOST 64u       /* visited for one removal, unless nothing was found */
#define BUDGET_US 5000         /* then the command may run although it does not fit yet */

void (*evict_hook)(struct txn *t, const struct key *k);

enum policy { /* settings.def: maxmemory-policy */
    POLICY_NONE, POLICY_VOLATILE_LRU, POLICY_VOLATILE_LFU, POLICY_VOLATILE_RANDOM, POLICY_VOLATILE_TTL,
    POLICY_ALL_LRU, POLICY_ALL_LFU, POLICY_ALL_RANDOM
};

static bool wants_volatile(enum policy p) { return p <= POLICY_VOLATILE_TTL; }

static struct candidate { /* sorted, best last */
    uint64_t score, hash;
    uint32_t db, len;
    uint8_t *name;
} pool[POOL_SIZE];
static uint32_t pooled;

static int64_t used_bytes(void)
{
    uint32_t n = MIN(seg()->workers + 8, SLOT_MAX); /* no process sits in a later slot */
    int64_t sum = seg_startup_bytes();
    for (uint32_t i = 0; i < n; i++) sum += *(volatile int64_t *)&slot_at(i)->used_bytes;
    return sum;
}

bool evict_needed(void)
{
    int64_t most = setting(SET_maxmemory);
    if (likely(most <= 0) || (is_replica() && setting(SET_replica_ignore_maxmemory))) return false;
    return used_bytes() > most;
}

/* ---- the pool ---- */

static void pool_drop(uint32_t i)
{
    free(pool[i].name);
    memmove(&pool[i], &pool[i + 1], (--pooled - i) * sizeof *pool);
}

static void pool_add(const struct entry *e, uint32_t db, uint64_t score)
{
    struct slice name = entry_key(e);
    uint64_t hash = key_hash(name);
    uint32_t at = pooled;
    for (uint32_t i = 0; i < pooled; i++)
        if (pool[i].hash == hash && pool[i].db == db) return;
    if (pooled == POOL_SIZE) {
        if (score <= pool[0].score) return;
        pool_drop(0);
        at = pooled;
    }
    while (at > 0 && pool[at - 1].score > score) at--;
    uint8_t *copy = malloc(name.n + 1);
    if (!copy) return;
    memcpy(copy, name.p, name.n);
    memmove(&pool[at + 1], &pool[at], (pooled - at) * sizeof *pool);
    pool[at] = (struct candidate){score, hash, db, (uint32_t)name.n, copy};
    pooled++;
}

/* The higher, the sooner it goes. */
static uint64_t score_of(enum policy p, const struct entry *e)
{
    switch (p) {
    case POLICY_ALL_LRU:
    case POLICY_VOLATILE_LRU:
        return (lru_clock() - e->access) & 0xffffff;
    case POLICY_ALL_LFU:
    case POLICY_VOLATILE_LFU:
        return 255 - lfu_decayed(e->access);
    case POLICY_VOLATILE_TTL:
        return (uint64_t)(INT64_MAX - entry_expire(e));
    default:
        return ks_random();
    }
}

/* ---- sampling ---- */

/* Returns how many entries it looked at. */
static uint32_t sample_table(const struct stripe *s, uint32_t db, enum policy p)
{
    uint32_t wanted = (uint32_t)setting(SET_maxmemory_samples), look = wants_volatile(p) ? LOOK_VOLATILE : LOOK_BUCKETS, seen = 0;
    if (!s->keys.count || (wants_volatile(p) && !s->expires)) return 0;
    uint32_t at = (uint32_t)(ks_random() % s->keys.buckets);
    for (uint32_t n = 0; n < MIN(look, s->keys.buckets) && seen < wanted; n++, at++) {
        if (at >= s->keys.buckets) at = 0;
        for (const struct bucket *b = ht_bucket(&s->keys, at); b && seen < wanted; b = ht_next(b))
            for (uint32_t m = ht_used_mask(b); m && seen < wanted; m &= m - 1) {
                const struct entry *e = shm_ptr(ht_slot(b, (uint32_t)__builtin_ctz(m)));
                if (wants_volatile(p) && !(e->flags & ENTRY_EXPIRES)) continue;
                pool_add(e, db, score_of(p, e));
                seen++;
            }
    }
    return seen;
}

/* Looks at one stripe of every database. */
static uint32_t sample_stripe(uint32_t stripe, enum policy p)
{
    uint32_t seen = 0;
    const struct keyspace *ks = shm_ptr(seg()->keyspace);
    txn_lock_stripe(&my_txn, stripe);
    for (uint32_t db = 0; db < ks->databases; db++)
        if (ks->tables[db]) seen += sample_table(&((const struct db_table *)shm_ptr(ks->tables[db]))->stripes[stripe], db, p);
    txn_unlock(&my_txn);
    return seen;
}

/* Looks at as many entries as maxmemory-samples says, in one stripe after the other (small stripes hold few); further when the pool is
 * empty still. A pool that is not half full gets more, so that the first choices are not blind. */
static void fill_pool(enum policy p)
{
    uint32_t at = (uint32_t)ks_random() % STRIPE_COUNT, seen = 0;
    uint32_t wanted = (uint32_t)setting(SET_maxmemory_samples) * (pooled < POOL_SIZE / 2 ? 4 : 1);
    for (uint32_t n = 0; n < STRIPE_COUNT && (seen < wanted || !pooled); n++) {
        if (n >= STRIPES_MOST && pooled) return;
        seen += sample_stripe((at + n * 61) % STRIPE_COUNT, p);
    }
}

/* ---- removing ---- */

/* Still there, still of the right kind, and not used since it was sampled. */
static bool still_qualifies(const struct key *k, enum policy p, uint64_t score)
{
    const struct stripe *s = ks_stripe(k);
    struct ht_place at = s ? ks_place(s, k) : (struct ht_place){0};
    if (!at.bucket) return false;
    const struct entry *e = shm_ptr(at.item);
    if (wants_volatile(p) && !(e->flags & ENTRY_EXPIRES)) return false;
    return p == POLICY_ALL_RANDOM || p == POLICY_VOLATILE_RANDOM || score_of(p, e) >= score;
}

/* Removes the pool's best that is still there. */
static bool remove_best(enum policy p)
{
    struct txn *t = &my_txn;
    jmp_buf failed, *outer = t->on_fail;
    volatile bool removed = false;
    t->on_fail = &failed;
    while (pooled && !removed) {
        const struct candidate *c = &pool[pooled - 1];
        struct key k = {{c->name, c->len}, c->hash, c->db};
        txn_begin(t);
        if (setjmp(failed) == 0) {
            txn_lock_stripe(t, stripe_of(k.hash));
            removed = still_qualifies(&k, p, c->score) && ks_delete(t, &k);
            if (removed && evict_hook) evict_hook(t, &k);
            txn_commit(t);
        } else {
            txn_abort(t); /* no memory for undo records or the log: the next is tried */
            removed = false;
        }
        pool_drop(pooled - 1);
    }
    t->on_fail = outer;
    scratch_reset();
    return removed;
}

bool evict_make_room(void)
{
    static enum policy pooled_for;
    enum policy p = (enum policy)setting(SET_maxmemory_policy);
    int64_t until = 0;
    if (!evict_needed()) return true;
    if (p == POLICY_NONE) return false;
    if (p != pooled_for) {
        while (pooled) pool_drop(0);
        pooled_for = p;
    }
    while (evict_needed()) {
        bool removed = false;
        for (uint32_t tries = 0; tries < 4 && !removed; tries++) {
            fill_pool(p);
            removed = remove_best(p);
        }
        if (!removed) return lazy_step(1024);
        stat_add(STAT_EVICTED, 1);
        lazy_step(1024);
        int64_t now = clock_mono_us();
        if (!until) until = now + BUDGET_US;
        if (now > until) break;
    }
    return true;
}
