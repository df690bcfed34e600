/* keyspace/lookup.c - finding keys, and what a look-up does besides: access clock, hit counters, noting what has expired.
 * Needs the key's stripe. A death here leaves nothing to repair: only access clocks are stored. */
#include <stdlib.h>

#include "base/clock.h"
#include "keyspace/internal.h"

void (*ks_expired_hook)(struct txn *t, const struct key *k);
void (*ks_fields_hook)(struct txn *t, const struct key *k, struct entry *e, uint32_t max);
bool ks_expiry_on = true;
bool ks_no_touch;

static int64_t now_ms;

int64_t ks_now_ms(void) { return now_ms; }
void ks_set_now_ms(int64_t ms) { now_ms = ms; }

bool entry_expired(const struct entry *e)
{
    return (e->flags & ENTRY_EXPIRES) && ks_expiry_on && now_ms > entry_expire(e);
}

static uint64_t entry_hash(shm_off item) { return key_hash(entry_key(shm_ptr(item))); }
const struct ht_ops ks_ops = {.hash = entry_hash};

static ALWAYS_INLINE bool entry_is(shm_off item, const void *name)
{
    const struct slice *want = name;
    struct slice k = entry_key(shm_ptr(item));
    return k.n == want->n && bytes_equal(k.p, want->p, k.n);
}

struct stripe *ks_stripe(const struct key *k)
{
    const struct keyspace *ks = shm_ptr(seg()->keyspace);
    shm_off table = ks->tables[k->db];
    return table ? &((struct db_table *)shm_ptr(table))->stripes[stripe_of(k->hash)] : NULL;
}

struct ht_place ks_place(const struct stripe *s, const struct key *k) { return ht_find(&s->keys, k->hash, entry_is, &k->name); }

/* ---- access clock ---- */

uint32_t lru_clock(void) { return (uint32_t)(now_ms / 1000) & 0xffffff; }

static uint32_t lfu_minutes(void) { return (uint32_t)(now_ms / 60000) & 0xffff; }

uint32_t lfu_decayed(uint32_t access)
{
    uint32_t counter = access & 0xff, then = access >> 8 & 0xffff;
    int64_t period = setting(SET_lfu_decay_time);
    uint32_t passed = (lfu_minutes() - then) & 0xffff;
    uint32_t steps = period > 0 ? passed / (uint32_t)period : 0;
    return steps >= counter ? 0 : counter - steps;
}

static uint32_t lfu_touch(uint32_t access)
{
    uint32_t counter = lfu_decayed(access);
    if (counter < 255) {
        uint32_t above = counter > LFU_INIT ? counter - LFU_INIT : 0;
        double p = 1.0 / ((double)above * (double)setting(SET_lfu_log_factor) + 1);
        if ((double)(ks_random() >> 11) * 0x1p-53 < p) counter++;
    }
    return lfu_minutes() << 8 | counter;
}

bool policy_is_lfu(void)
{
    int64_t p = setting(SET_maxmemory_policy);
    return p == 2 || p == 6; /* volatile-lfu, allkeys-lfu: settings.def */
}

uint32_t entry_idle_seconds(const struct entry *e) { return (lru_clock() - e->access) & 0xffffff; }
uint32_t entry_frequency(const struct entry *e) { return lfu_decayed(e->access); }

uint32_t access_clock_new(void) { return policy_is_lfu() ? lfu_minutes() << 8 | LFU_INIT : lru_clock(); }

void ks_touch(struct entry *e)
{
    if (unlikely(ks_no_touch)) return;
    uint32_t v = unlikely(policy_is_lfu()) ? lfu_touch(e->access) : lru_clock();
    if (v != e->access) store_access_clock(&e->access, v); /* once a second: other readers keep the line */
}

uint64_t ks_random(void)
{
    static uint64_t state;
    if (!state) state = (uint64_t)clock_mono_us() * 0x9e3779b97f4a7c15ull ^ (uint64_t)my_slot_index << 32 ^ seg()->hash_seed;
    state += 0x9e3779b97f4a7c15ull;
    return hash_u64(state, seg()->hash_seed);
}

/* ---- look-ups ---- */

/* Keys that reads found expired, to be removed when nothing is held. A full list forgets: the active expiry finds them. */
static struct noted {
    uint64_t hash;
    uint32_t db, len;
    uint8_t *name;
} noted[64];
static uint32_t noted_count;

static COLD void note_expired(const struct key *k)
{
    if (noted_count == ARRAY_LEN(noted) || is_replica() || ks_expire_held()) return;
    uint8_t *copy = malloc(k->name.n + 1); /* private; handed over before anything can fail */
    if (!copy) return;
    memcpy(copy, k->name.p, k->name.n);
    noted[noted_count++] = (struct noted){k->hash, k->db, (uint32_t)k->name.n, copy};
}

void ks_note_expired_entry(const struct entry *e, uint32_t db)
{
    const struct key k = key_make(entry_key(e), db);
    note_expired(&k);
}

struct entry *ks_peek(const struct key *k)
{
    struct stripe *s = ks_stripe(k);
    if (!s) return NULL;
    struct ht_place at = ks_place(s, k);
    if (!at.bucket) return NULL;
    struct entry *e = shm_ptr(at.item);
    return unlikely(entry_expired(e)) ? NULL : e;
}

void ks_note_if_expired(const struct key *k)
{
    struct stripe *s = ks_stripe(k);
    struct ht_place at = s ? ks_place(s, k) : (struct ht_place){0};
    if (at.bucket && entry_expired(shm_ptr(at.item))) note_expired(k);
}

struct entry *ks_read(const struct key *k)
{
    struct stripe *s = ks_stripe(k);
    struct ht_place at = s ? ks_place(s, k) : (struct ht_place){0};
    if (likely(at.bucket)) {
        struct entry *e = shm_ptr(at.item);
        if (likely(!entry_expired(e))) {
            ks_touch(e);
            stat_add(STAT_HITS, 1);
            return e;
        }
        note_expired(k);
    }
    stat_add(STAT_MISSES, 1);
    return NULL;
}

struct entry *ks_write(struct txn *t, const struct key *k)
{
    struct stripe *s = ks_stripe(k);
    if (!s) return NULL;
    struct ht_place at = ks_place(s, k);
    if (!at.bucket) return NULL;
    struct entry *e = shm_ptr(at.item);
    if (unlikely(entry_expired(e))) {
        ks_remove_expired(t, k);
        return NULL;
    }
    ks_touch(e);
    return e;
}

void ks_remove_expired(struct txn *t, const struct key *k)
{
    if (!ks_delete(t, k)) return;
    stat_add(STAT_EXPIRED, 1);
    if (ks_expired_hook) ks_expired_hook(t, k);
}

/* Runs one removal as a transaction of its own; gives up (the active expiry tries again) when there is no memory for it. */
static void remove_in_own_txn(const struct key *k)
{
    struct txn *t = &my_txn;
    jmp_buf failed, *outer = t->on_fail;
    t->on_fail = &failed;
    txn_begin(t);
    if (setjmp(failed) == 0) {
        txn_lock_stripe(t, stripe_of(k->hash));
        struct stripe *s = ks_stripe(k);
        struct ht_place at = s ? ks_place(s, k) : (struct ht_place){0};
        if (at.bucket && entry_expired(shm_ptr(at.item))) ks_remove_expired(t, k);
        txn_commit(t);
    } else {
        txn_abort(t);
    }
    t->on_fail = outer;
    scratch_reset();
}

void ks_expire_noted(void)
{
    while (noted_count) {
        struct noted n = noted[--noted_count];
        struct key k = {{n.name, n.len}, n.hash, n.db};
        remove_in_own_txn(&k);
        free(n.name);
    }
}
