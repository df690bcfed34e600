/* keyspace/prefetch.c - stripes first, then buckets, then entries. Why it needs no lock: prefetch.h. */
#include "keyspace/prefetch.h"

static struct bucket *bucket_of(const struct stripe *s, uint64_t hash, uint64_t first, uint64_t end)
{
    struct htable t = {.dir = *(const volatile shm_off *)&s->keys.dir, .buckets = *(const volatile uint32_t *)&s->keys.buckets};
    if (!t.buckets) return NULL;
    uint32_t i = ht_index(&t, hash);
    uint64_t chunk = t.dir;
    if (t.buckets > HT_CHUNK) {
        uint64_t at = t.dir + 8ull * (i >> HT_CHUNK_BITS);
        if (at < first || at + 8 > end) return NULL;
        chunk = *(const volatile uint64_t *)shm_ptr(at);
    }
    uint64_t at = chunk + (uint64_t)(i & (HT_CHUNK - 1)) * sizeof(struct bucket);
    return at < first || at + sizeof(struct bucket) > end ? NULL : shm_ptr(at);
}

void ks_prefetch(uint32_t db, const uint64_t *hashes, uint32_t n)
{
    const struct keyspace *ks = shm_ptr(seg()->keyspace);
    shm_off off = *(const volatile shm_off *)&ks->tables[db];
    uint64_t first = seg()->arena_off, end = first + atomic_load_explicit(&seg()->arena_committed, memory_order_relaxed);
    const struct bucket *buckets[PREFETCH_MAX];
    DCHECK(n <= PREFETCH_MAX);
    if (!off) return;
    const struct db_table *table = shm_ptr(off);
    for (uint32_t i = 0; i < n; i++) __builtin_prefetch(&table->stripes[stripe_of(hashes[i])]);
    for (uint32_t i = 0; i < n; i++) {
        buckets[i] = bucket_of(&table->stripes[stripe_of(hashes[i])], hashes[i], first, end);
        if (buckets[i]) __builtin_prefetch(buckets[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t m = buckets[i] ? ht_match(buckets[i], ht_tag(hashes[i])) : 0;
        if (!m) continue;
        const char *entry = shm_base + ht_slot(buckets[i], (uint32_t)__builtin_ctz(m));
        __builtin_prefetch(entry);
        __builtin_prefetch(entry + CACHE_LINE);
    }
}
