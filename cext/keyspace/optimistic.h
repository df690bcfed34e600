/* keyspace/optimistic.h - reading a key without taking its stripe's lock.
 *
 *     optimistic_find()     notes the lock word's version, finds the entry
 *     ... copy what is wanted to private memory ...
 *     optimistic_confirm()  true: nobody has held the lock meanwhile, so the copy is what a locked read would have given
 *
 * Why it is right. Everything a look-up reads (the database's table, stripe, directory, buckets, entry) is stored to only by who holds
 * the stripe's lock, and its memory is freed only in a transaction that holds it. Each release adds one to the version, so an unchanged
 * version without an owner says: no store, no free, no reuse between find and confirm. The acquire in lock_read_begin makes all stores of
 * earlier owners visible; the fence in lock_read_retry keeps our loads before the second look. A dead owner's lock stays
 * taken until its heir has repaired, so half-done work is never believed.
 *
 * Why it is safe while it is wrong. Until confirm() the bytes may be torn or belong to something else: every offset is checked
 * against the committed arena before it is followed, chains are followed a bounded number of steps, lengths are bounded by what an
 * entry may have. Nothing is stored: an access clock that would have to move makes the answer UNSURE, for the store could hit
 * memory that is somebody else's by then. UNSURE means: take the lock.
 */
#ifndef SHOAL_KEYSPACE_OPTIMISTIC_H
#define SHOAL_KEYSPACE_OPTIMISTIC_H

#include "keyspace/internal.h"

enum optimistic { OPTIMISTIC_UNSURE, OPTIMISTIC_FOUND, OPTIMISTIC_NONE };

#define OPTIMISTIC_CHAIN 4u /* buckets followed */
#define OPTIMISTIC_ENTRY_MAX (sizeof(struct entry) + 8 + sizeof(struct entry_ext) + UINT16_MAX + ENTRY_INLINE_MAX)

/* What an access now would store in an entry's clock: of optimistic_find(); ANY: accesses leave no trace, UNSURE: it depends on
 * the entry, so do not try. */
#define OPTIMISTIC_CLOCK_ANY UINT32_MAX
#define OPTIMISTIC_CLOCK_UNSURE (UINT32_MAX - 1)
static inline uint32_t optimistic_clock(bool no_touch)
{
    return no_touch ? OPTIMISTIC_CLOCK_ANY : policy_is_lfu() ? OPTIMISTIC_CLOCK_UNSURE : lru_clock();
}

struct optimistic_read {
    lock_word *word;
    uint64_t version;
    const struct entry *entry; /* FOUND */
    uint64_t first, last;      /* bounds of what may be read */
};

static ALWAYS_INLINE bool optimistic_within(const struct optimistic_read *r, uint64_t off, uint64_t n)
{
    return off >= r->first && off + n <= r->last && off + n > off;
}

static ALWAYS_INLINE bool optimistic_is(const struct optimistic_read *r, shm_off item, struct slice name, bool *unsure)
{
    if (unlikely(!optimistic_within(r, item, OPTIMISTIC_ENTRY_MAX))) {
        *unsure = true;
        return false;
    }
    const struct entry *e = shm_ptr(item);
    uint8_t flags = *(const volatile uint8_t *)&e->flags;
    if (unlikely(flags & ENTRY_LONG_KEY)) {
        *unsure = true;
        return false;
    }
    struct slice key = entry_key(e);
    return key.n == name.n && memcmp(key.p, name.p, name.n) == 0;
}

static ALWAYS_INLINE enum optimistic optimistic_find(struct optimistic_read *r, const struct key *k, uint32_t clock)
{
    r->word = &stripe_lock_at(stripe_of(k->hash))->word;
    r->version = lock_read_begin(r->word);
    if (unlikely(r->version == LOCK_BUSY || k->name.n > UINT16_MAX)) return OPTIMISTIC_UNSURE;
    r->first = seg()->arena_off;
    r->last = r->first + atomic_load_explicit(&seg()->arena_committed, memory_order_relaxed);
    const struct keyspace *ks = shm_ptr(seg()->keyspace);
    uint64_t table = *(const volatile shm_off *)&ks->tables[k->db];
    if (!table) return OPTIMISTIC_NONE;
    if (unlikely(!optimistic_within(r, table, sizeof(struct db_table)))) return OPTIMISTIC_UNSURE;
    const struct htable *t = &((const struct db_table *)shm_ptr(table))->stripes[stripe_of(k->hash)].keys;
    struct htable seen = {.dir = *(const volatile shm_off *)&t->dir, .buckets = *(const volatile uint32_t *)&t->buckets};
    if (!seen.buckets) return OPTIMISTIC_NONE;
    uint32_t i = ht_index(&seen, k->hash);
    uint64_t chunk = seen.dir;
    if (seen.buckets > HT_CHUNK) {
        uint64_t at = seen.dir + 8ull * (i >> HT_CHUNK_BITS);
        if (unlikely(!optimistic_within(r, at, 8))) return OPTIMISTIC_UNSURE;
        chunk = *(const volatile uint64_t *)shm_ptr(at);
    }
    uint64_t at = chunk + (uint64_t)(i & (HT_CHUNK - 1)) * sizeof(struct bucket);
    uint8_t tag = ht_tag(k->hash);
    for (uint32_t steps = 0; at; steps++) {
        if (unlikely(steps == OPTIMISTIC_CHAIN || !optimistic_within(r, at, sizeof(struct bucket)))) return OPTIMISTIC_UNSURE;
        const struct bucket *b = shm_ptr(at);
        bool unsure = false;
        for (uint32_t m = ht_match(b, tag); m; m &= m - 1) {
            shm_off item = ht_slot(b, (uint32_t)__builtin_ctz(m));
            if (!optimistic_is(r, item, k->name, &unsure)) continue;
            const struct entry *e = shm_ptr(item);
            r->entry = e;
            bool stale_clock = clock != OPTIMISTIC_CLOCK_ANY && *(const volatile uint32_t *)&e->access != clock;
            return stale_clock || entry_expired(e) ? OPTIMISTIC_UNSURE : OPTIMISTIC_FOUND;
        }
        if (unlikely(unsure)) return OPTIMISTIC_UNSURE;
        at = ht_load5(b->next);
    }
    return OPTIMISTIC_NONE;
}

/* The bytes of the string found, bounded but not yet to be believed; false: not a short string. */
static ALWAYS_INLINE bool optimistic_string(const struct optimistic_read *r, struct slice *value)
{
    uint8_t kind = *(const volatile uint8_t *)&r->entry->kind;
    uint32_t n;
    if (unlikely(kind != (OBJ_STRING << 4 | ENC_EMBSTR) && kind != (OBJ_STRING << 4 | ENC_RAW))) return false;
    memcpy(&n, entry_body(r->entry), sizeof n);
    const uint8_t *p = (const uint8_t *)entry_body(r->entry) + 4 + r->entry->klen;
    if (unlikely(n > ENTRY_INLINE_MAX || !optimistic_within(r, shm_offset(p), n + 1))) return false;
    *value = (struct slice){p, n};
    return true;
}

static ALWAYS_INLINE bool optimistic_confirm(const struct optimistic_read *r) { return likely(!lock_read_retry(r->word, r->version)); }

#endif
