/* ds/htable.h - the one hash table of Shoal: keyspace stripes, hash fields, set members, sorted-set members.
 *
 * Linear hashing: the table grows and shrinks one bucket at a time, so there is never a rehash. Buckets are cache lines in chunks of
 * 16; a directory holds the chunks' offsets. Items are allocations of the owner's; the table keeps their offsets (40 bits in units of
 * 8 bytes: 8 TiB) and one byte of their hash (tag), which is compared for nine items at once.
 *
 *   struct bucket   due  tag[9]  off[9] (5 bytes each)  next (5 bytes: overflow bucket)
 *
 * With n buckets, m = the largest power of two <= n: a hash lives in bucket h & (2m-1) if that is < n, else in h & (m-1). So SCAN's
 * reverse-binary cursor works as it does over two tables of m and 2m buckets: whatever is there all the time is seen.
 *
 * The owner's lock guards the table; every store is announced to the transaction, so growing needs no repair of its own.
 */
#ifndef SHOAL_DS_HTABLE_H
#define SHOAL_DS_HTABLE_H

#include "shm/txn.h"

#define HT_SLOTS 9u
#define HT_CHUNK_BITS 4u
#define HT_CHUNK (1u << HT_CHUNK_BITS) /* buckets per chunk */
#define HT_FILL 7u                     /* items per bucket at which the table grows */
#define HT_SHRINK 2u                   /* items per bucket at which it shrinks */
#define HT_MAX_BUCKETS (1u << 31)

struct bucket {
    uint32_t due;                /* keyspace: no item of this chain expires before this (expire_unit(), rounded down); 0 = none */
    uint8_t tag[HT_SLOTS];       /* 0 = empty */
    uint8_t pad;
    uint8_t off[HT_SLOTS * 5];   /* little-endian, unaligned */
    uint8_t next[5];             /* overflow bucket, same form; 0 = none */
};
_Static_assert(sizeof(struct bucket) == CACHE_LINE, "a bucket is one cache line");

struct htable {                  /* lies in its owner's memory (stripe or collection root); all zero = empty */
    uint64_t count;              /* items */
    shm_off dir;                 /* uint64_t[] of chunk offsets; with at most HT_CHUNK buckets the one chunk itself */
    uint32_t buckets;            /* n; 0 = nothing allocated yet */
    uint32_t overflow;           /* overflow buckets, for memory reports */
};

/* What differs between uses; functions are called with the item's offset. */
struct ht_ops {
    uint64_t (*hash)(shm_off item); /* of the item's key; reads the item */
};

static ALWAYS_INLINE uint8_t ht_tag(uint64_t h) { uint8_t t = (uint8_t)(h >> 56); return t ? t : 1; }
static ALWAYS_INLINE uint64_t ht_load5(const uint8_t *p)
{
    uint32_t lo;
    memcpy(&lo, p, 4);
    return ((uint64_t)lo | (uint64_t)p[4] << 32) << 3;
}

static ALWAYS_INLINE uint32_t ht_index(const struct htable *t, uint64_t h)
{
    uint32_t n = t->buckets, m = 1u << (31 - __builtin_clz(n));
    uint32_t i = (uint32_t)h & (2 * m - 1);
    return i < n ? i : i & (m - 1);
}

static ALWAYS_INLINE uint32_t ht_dir_capacity(uint32_t buckets) /* entries of the directory for n buckets */
{
    uint32_t chunks = (buckets + HT_CHUNK - 1) >> HT_CHUNK_BITS;
    return chunks <= 1 ? 0 : 1u << (32 - __builtin_clz(chunks - 1));
}

static ALWAYS_INLINE struct bucket *ht_bucket(const struct htable *t, uint32_t i)
{
    shm_off chunk = t->buckets <= HT_CHUNK ? t->dir : ((const uint64_t *)shm_ptr(t->dir))[i >> HT_CHUNK_BITS];
    return (struct bucket *)shm_ptr(chunk) + (i & (HT_CHUNK - 1));
}

/* Bit i set: slot i of the bucket has this tag. */
uint32_t ht_match_portable(const struct bucket *b, uint8_t tag);
#if defined(__SSE2__)
#include <emmintrin.h>
static ALWAYS_INLINE uint32_t ht_match(const struct bucket *b, uint8_t tag)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)b->tag); /* 7 bytes too many: still inside the bucket */
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8((char)tag))) & ((1u << HT_SLOTS) - 1);
}
#else
static ALWAYS_INLINE uint32_t ht_match(const struct bucket *b, uint8_t tag) { return ht_match_portable(b, tag); }
#endif
static ALWAYS_INLINE uint32_t ht_used_mask(const struct bucket *b) { return ht_match(b, 0) ^ ((1u << HT_SLOTS) - 1); }

static ALWAYS_INLINE shm_off ht_slot(const struct bucket *b, uint32_t i) { return ht_load5(b->off + 5 * i); }
static ALWAYS_INLINE struct bucket *ht_next(const struct bucket *b)
{
    shm_off off = ht_load5(b->next);
    return off ? shm_ptr(off) : NULL;
}

struct ht_place { /* where an item is in its table; good until the table changes */
    struct bucket *bucket; /* NULL = not found */
    uint32_t slot;
    shm_off item;
};

/* Finds the item for which `eq(item, key)` holds. `eq` should be a constant so that it is inlined. */
static ALWAYS_INLINE struct ht_place ht_find(const struct htable *t, uint64_t h, bool (*eq)(shm_off, const void *), const void *key)
{
    if (unlikely(!t->buckets)) return (struct ht_place){0};
    uint8_t tag = ht_tag(h);
    for (struct bucket *b = ht_bucket(t, ht_index(t, h)); b; b = ht_next(b))
        for (uint32_t m = ht_match(b, tag); m; m &= m - 1) {
            uint32_t i = (uint32_t)__builtin_ctz(m);
            shm_off item = ht_slot(b, i);
            if (likely(eq(item, key))) return (struct ht_place){b, i, item};
        }
    return (struct ht_place){0};
}

/* Adds an item that is not there yet; may grow the table by a bucket. Returns the bucket it went to. */
struct bucket *ht_insert(struct txn *x, struct htable *t, const struct ht_ops *ops, uint64_t h, shm_off item);
/* The item at `at` is replaced by `item` (same key, moved). */
void ht_replace(struct txn *x, struct ht_place at, shm_off item);
/* Removes the item at `at` (its memory stays the owner's); may shrink the table by a bucket. */
void ht_remove(struct txn *x, struct htable *t, const struct ht_ops *ops, uint64_t h, struct ht_place at);
/* Frees buckets and directory (not the items): the table is empty afterwards. */
void ht_clear(struct txn *x, struct htable *t);
/* Frees the table bucket by bucket, calling free_item (may be NULL) for each item, until *budget (items and buckets) is used up; the
 * table must not be used otherwise any more. True when nothing is left. */
bool ht_drain(struct txn *x, struct htable *t, void (*free_item)(struct txn *, shm_off item, void *arg), void *arg, uint64_t *budget);
/* Sizes a new, empty table for `items`, so that filling it splits nothing. */
void ht_reserve(struct txn *x, struct htable *t, uint64_t items);
/* Adds an item that is not there yet to a table of memory from this very transaction, sized by ht_reserve(): costs no undo records. */
void ht_fill(struct txn *x, struct htable *t, uint64_t h, shm_off item);

/* SCAN: calls `fn(item, arg)` for every item of the cursor's bucket group; returns the next cursor, 0 at the end. */
uint64_t ht_scan(const struct htable *t, uint64_t cursor, void (*fn)(shm_off item, void *arg), void *arg);

/* Walks all items; `fn` must not change the table. */
void ht_each(const struct htable *t, void (*fn)(shm_off item, void *arg), void *arg);
/* An item, each as likely as any other unless its chain is very long; 0 when empty. */
shm_off ht_random(const struct htable *t, uint64_t (*random64)(void));

/* Bytes of buckets and directory. */
uint64_t ht_memory(const struct htable *t);

#endif
