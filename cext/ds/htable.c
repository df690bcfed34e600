/* ds/htable.c - growing and shrinking a table bucket by bucket; adding, removing, walking. Layout and cursor: ds/htable.h.
 *
 * Owns nothing of its own: memory and lock are the owner's. A death in the middle is undone with the owner's transaction.
 */
#include "ds/htable.h"

#define BUCKET_BYTES ((uint64_t)sizeof(struct bucket))
#define CHUNK_BYTES (HT_CHUNK * BUCKET_BYTES)

struct carried { /* an item on its way from one chain to another */
    shm_off item;
    uint64_t hash;
};

uint32_t ht_match_portable(const struct bucket *b, uint8_t tag)
{
    uint32_t m = 0;
    for (uint32_t i = 0; i < HT_SLOTS; i++) m |= (uint32_t)(b->tag[i] == tag) << i;
    return m;
}

static void store5(uint8_t *p, shm_off off)
{
    uint64_t v = off >> 3;
    uint32_t lo = (uint32_t)v;
    memcpy(p, &lo, 4);
    p[4] = (uint8_t)(v >> 32);
}

static uint32_t highest_power(uint32_t n) { return 1u << (31 - __builtin_clz(n)); }

/* Stores an item into an empty slot. */
static void slot_fill(struct txn *x, struct bucket *b, uint32_t i, uint8_t tag, shm_off item)
{
    txn_touch(x, &b->tag[i], 1);
    txn_touch(x, b->off + 5 * i, 5);
    b->tag[i] = tag;
    store5(b->off + 5 * i, item);
}

static struct bucket *chain_extend(struct txn *x, struct htable *t, struct bucket *head)
{
    shm_off off = txn_alloc_zero(x, BUCKET_BYTES);
    struct bucket *b = shm_ptr(off);
    memcpy(b->next, head->next, 5);
    txn_touch(x, head->next, 5);
    store5(head->next, off);
    TXN_SET(x, t->overflow, t->overflow + 1);
    return b;
}

static void chain_add(struct txn *x, struct htable *t, struct bucket *head, uint8_t tag, shm_off item)
{
    for (struct bucket *b = head; b; b = ht_next(b)) {
        uint32_t empty = ht_match(b, 0);
        if (empty) {
            slot_fill(x, b, (uint32_t)__builtin_ctz(empty), tag, item);
            return;
        }
    }
    slot_fill(x, chain_extend(x, t, head), 0, tag, item);
}

/* ---- the directory ---- */

/* Makes bucket number t->buckets exist (zeroed) and counts it. */
static void bucket_append(struct txn *x, struct htable *t)
{
    uint32_t n = t->buckets;
    txn_touch(x, t, sizeof *t);
    if (n == 0) {
        t->dir = txn_alloc_zero(x, BUCKET_BYTES);
    } else if (n < HT_CHUNK && (n & (n - 1)) == 0) { /* the small chunk is full: twice as large */
        shm_off bigger = txn_alloc_zero(x, 2 * n * BUCKET_BYTES);
        memcpy(shm_ptr(bigger), shm_ptr(t->dir), n * BUCKET_BYTES);
        txn_free(x, t->dir, n * BUCKET_BYTES);
        t->dir = bigger;
    } else if (n % HT_CHUNK == 0) {
        uint32_t chunks = n >> HT_CHUNK_BITS, have = ht_dir_capacity(n), need = ht_dir_capacity(n + 1);
        shm_off chunk = txn_alloc_zero(x, CHUNK_BYTES);
        if (need != have) {
            shm_off dir = txn_alloc_zero(x, need * 8ull);
            if (have)
                memcpy(shm_ptr(dir), shm_ptr(t->dir), chunks * 8ull);
            else
                *(uint64_t *)shm_ptr(dir) = t->dir;
            if (have) txn_free(x, t->dir, have * 8ull);
            t->dir = dir;
        }
        uint64_t *entry = (uint64_t *)shm_ptr(t->dir) + chunks;
        TXN_SET(x, *entry, chunk);
    } else {
        struct bucket *b = ht_bucket(t, n); /* the chunk has it already, perhaps as a shrink left it */
        txn_touch(x, b, sizeof *b);
        memset(b, 0, sizeof *b);
    }
    t->buckets = n + 1;
}

/* Takes the last bucket away; its chain is empty and it has no overflow. */
static void bucket_drop(struct txn *x, struct htable *t)
{
    uint32_t n = t->buckets - 1;
    txn_touch(x, t, sizeof *t);
    if (n == 0) {
        txn_free(x, t->dir, BUCKET_BYTES);
        t->dir = 0;
    } else if (n < HT_CHUNK) {
        if ((n & (n - 1)) == 0) {
            shm_off smaller = txn_alloc(x, n * BUCKET_BYTES);
            memcpy(shm_ptr(smaller), shm_ptr(t->dir), n * BUCKET_BYTES);
            txn_free(x, t->dir, 2 * n * BUCKET_BYTES);
            t->dir = smaller;
        }
    } else if (n % HT_CHUNK == 0) {
        uint32_t chunks = n >> HT_CHUNK_BITS, have = ht_dir_capacity(n + 1), need = ht_dir_capacity(n);
        uint64_t *entries = shm_ptr(t->dir);
        txn_free(x, entries[chunks], CHUNK_BYTES);
        if (need != have) {
            shm_off old = t->dir;
            if (need) {
                shm_off dir = txn_alloc(x, need * 8ull);
                memcpy(shm_ptr(dir), entries, need * 8ull);
                t->dir = dir;
            } else {
                t->dir = entries[0];
            }
            txn_free(x, old, have * 8ull);
        }
    }
    t->buckets = n;
}

/* ---- splitting and joining ---- */

static uint32_t chain_count(const struct bucket *b)
{
    uint32_t n = 0;
    for (; b; b = ht_next(b)) n += (uint32_t)__builtin_popcount(ht_used_mask(b));
    return n;
}

/* Reads a chain's items with their hashes; the items' memory is fetched ahead. */
static uint32_t chain_carry(const struct ht_ops *ops, const struct bucket *head, struct carried *out)
{
    uint32_t n = 0;
    for (const struct bucket *b = head; b; b = ht_next(b))
        for (uint32_t m = ht_used_mask(b); m; m &= m - 1) {
            out[n].item = ht_slot(b, (uint32_t)__builtin_ctz(m));
            __builtin_prefetch(shm_ptr(out[n].item));
            n++;
        }
    for (uint32_t i = 0; i < n; i++) out[i].hash = ops->hash(out[i].item);
    return n;
}

/* Empties a chain: its overflow buckets are freed, the head is zeroed but for `due`. */
static void chain_reset(struct txn *x, struct htable *t, struct bucket *head)
{
    for (const struct bucket *b = ht_next(head); b;) {
        const struct bucket *next = ht_next(b);
        txn_free(x, shm_offset(b), BUCKET_BYTES);
        TXN_SET(x, t->overflow, t->overflow - 1);
        b = next;
    }
    txn_touch(x, head, sizeof *head);
    memset(head->tag, 0, sizeof *head - offsetof(struct bucket, tag));
}

static struct carried *carried_room(struct carried *local, uint32_t local_n, uint32_t n)
{
    return n <= local_n ? local : scratch_alloc(n * sizeof(struct carried));
}

static void grow(struct txn *x, struct htable *t, const struct ht_ops *ops)
{
    uint32_t n = t->buckets;
    if (n >= HT_MAX_BUCKETS) return;
    bucket_append(x, t);
    if (n == 0) return;
    uint32_t m = highest_power(n), from = n - m;
    struct bucket *old = ht_bucket(t, from), *fresh = ht_bucket(t, n);
    struct carried local[64], *items = carried_room(local, 64, chain_count(old));
    uint32_t count = chain_carry(ops, old, items);
    chain_reset(x, t, old);
    fresh->due = old->due; /* fresh was announced by bucket_append */
    for (uint32_t i = 0; i < count; i++) {
        struct bucket *to = (items[i].hash & (2 * m - 1)) == n ? fresh : old;
        chain_add(x, t, to, ht_tag(items[i].hash), items[i].item);
    }
}

static void shrink(struct txn *x, struct htable *t, const struct ht_ops *ops)
{
    uint32_t last = t->buckets - 1, to = last & (highest_power(last) - 1);
    struct bucket *from = ht_bucket(t, last), *into = ht_bucket(t, to);
    struct carried local[64], *items = carried_room(local, 64, chain_count(from));
    uint32_t count = chain_carry(ops, from, items), due = from->due;
    chain_reset(x, t, from);
    if (due && (!into->due || due < into->due)) TXN_SET(x, into->due, due);
    for (uint32_t i = 0; i < count; i++) chain_add(x, t, into, ht_tag(items[i].hash), items[i].item);
    bucket_drop(x, t);
}

/* ---- what owners call ---- */

struct bucket *ht_insert(struct txn *x, struct htable *t, const struct ht_ops *ops, uint64_t h, shm_off item)
{
    if (unlikely(t->count >= (uint64_t)t->buckets * HT_FILL)) grow(x, t, ops);
    TXN_SET(x, t->count, t->count + 1);
    struct bucket *head = ht_bucket(t, ht_index(t, h));
    chain_add(x, t, head, ht_tag(h), item);
    return head;
}

void ht_replace(struct txn *x, struct ht_place at, shm_off item)
{
    uint8_t *p = at.bucket->off + 5 * at.slot;
    txn_touch(x, p, 5);
    store5(p, item);
}

/* Fills the hole at (b, i) with the last item of the chain's last overflow bucket and frees that bucket when it is empty. */
static void chain_close_hole(struct txn *x, struct htable *t, struct bucket *head, struct bucket *b, uint32_t i)
{
    struct bucket *before = head, *last = ht_next(head);
    if (!last) return;
    for (struct bucket *n; (n = ht_next(last)); last = n) before = last;
    uint32_t used = ht_used_mask(last);
    if (last != b && used) {
        uint32_t from = (uint32_t)__builtin_ctz(used);
        slot_fill(x, b, i, last->tag[from], ht_slot(last, from));
        txn_touch(x, &last->tag[from], 1);
        last->tag[from] = 0;
        used &= used - 1;
    }
    if (!used) {
        txn_touch(x, before->next, 5);
        memset(before->next, 0, 5);
        txn_free(x, shm_offset(last), BUCKET_BYTES);
        TXN_SET(x, t->overflow, t->overflow - 1);
    }
}

void ht_remove(struct txn *x, struct htable *t, const struct ht_ops *ops, uint64_t h, struct ht_place at)
{
    txn_touch(x, &at.bucket->tag[at.slot], 1);
    at.bucket->tag[at.slot] = 0;
    TXN_SET(x, t->count, t->count - 1);
    struct bucket *head = ht_bucket(t, ht_index(t, h));
    if (unlikely(ht_load5(head->next))) chain_close_hole(x, t, head, at.bucket, at.slot);
    if (unlikely(t->count < (uint64_t)t->buckets * HT_SHRINK) && t->buckets > 1) shrink(x, t, ops);
    if (unlikely(!t->count && t->buckets == 1)) {
        chain_reset(x, t, ht_bucket(t, 0));
        bucket_drop(x, t);
    }
}

bool ht_drain(struct txn *x, struct htable *t, void (*free_item)(struct txn *, shm_off item, void *arg), void *arg, uint64_t *budget)
{
    while (t->buckets) {
        struct bucket *head = ht_bucket(t, t->buckets - 1);
        uint64_t n = 0;
        for (struct bucket *b = head; b; b = ht_next(b))
            for (uint32_t m = ht_used_mask(b); m; m &= m - 1, n++)
                if (free_item) free_item(x, ht_slot(b, (uint32_t)__builtin_ctz(m)), arg);
        chain_reset(x, t, head);
        bucket_drop(x, t);
        TXN_SET(x, t->count, t->count - n);
        n += 1;
        if (*budget <= n) {
            *budget = 0;
            return t->buckets == 0;
        }
        *budget -= n;
    }
    return true;
}

void ht_clear(struct txn *x, struct htable *t)
{
    uint64_t all = UINT64_MAX;
    ht_drain(x, t, NULL, NULL, &all);
}

void ht_reserve(struct txn *x, struct htable *t, uint64_t items)
{
    uint32_t want = (uint32_t)MIN((items + HT_FILL - 1) / HT_FILL, (uint64_t)HT_MAX_BUCKETS);
    DCHECK(t->count == 0 && t->buckets == 0);
    if (!want) return;
    txn_touch(x, t, sizeof *t);
    if (want <= HT_CHUNK) {
        uint32_t room = highest_power(want);
        t->dir = txn_alloc_zero(x, (room < want ? 2 * room : room) * BUCKET_BYTES);
    } else {
        uint32_t chunks = (want + HT_CHUNK - 1) >> HT_CHUNK_BITS;
        t->dir = txn_alloc_zero(x, ht_dir_capacity(want) * 8ull);
        for (uint32_t i = 0; i < chunks; i++) {
            shm_off chunk = txn_alloc_zero(x, CHUNK_BYTES);
            ((uint64_t *)shm_ptr(t->dir))[i] = chunk;
        }
    }
    t->buckets = want;
}

void ht_fill(struct txn *x, struct htable *t, uint64_t h, shm_off item)
{
    struct bucket *head = ht_bucket(t, ht_index(t, h)), *b = head;
    while (b && !ht_match(b, 0)) b = ht_next(b);
    if (!b) { /* as chain_extend(), without announcing */
        shm_off off = txn_alloc_zero(x, BUCKET_BYTES);
        b = shm_ptr(off);
        memcpy(b->next, head->next, 5);
        store5(head->next, off);
        t->overflow++;
    }
    uint32_t i = (uint32_t)__builtin_ctz(ht_match(b, 0));
    b->tag[i] = ht_tag(h);
    store5(b->off + 5 * i, item);
    t->count++;
}

/* ---- walking ---- */

static uint64_t reverse_bits(uint64_t v)
{
    v = (v >> 1 & 0x5555555555555555ull) | (v & 0x5555555555555555ull) << 1;
    v = (v >> 2 & 0x3333333333333333ull) | (v & 0x3333333333333333ull) << 2;
    v = (v >> 4 & 0x0f0f0f0f0f0f0f0full) | (v & 0x0f0f0f0f0f0f0f0full) << 4;
    return __builtin_bswap64(v);
}

/* The next cursor under a mask: counts with its bits reversed, so buckets that split later lie behind it. */
static uint64_t cursor_next(uint64_t v, uint64_t mask) { return reverse_bits(reverse_bits(v | ~mask) + 1); }

static void chain_each(const struct bucket *b, void (*fn)(shm_off, void *), void *arg)
{
    for (; b; b = ht_next(b))
        for (uint32_t m = ht_used_mask(b); m; m &= m - 1) fn(ht_slot(b, (uint32_t)__builtin_ctz(m)), arg);
}

uint64_t ht_scan(const struct htable *t, uint64_t cursor, void (*fn)(shm_off item, void *arg), void *arg)
{
    if (!t->buckets) return 0;
    uint32_t n = t->buckets, m = highest_power(n);
    uint32_t i = (uint32_t)(cursor & (m - 1));
    chain_each(ht_bucket(t, i), fn, arg);
    if (i < n - m) chain_each(ht_bucket(t, i + m), fn, arg); /* split already: its other half belongs to the same cursor */
    return cursor_next(cursor, m - 1);
}

void ht_each(const struct htable *t, void (*fn)(shm_off item, void *arg), void *arg)
{
    for (uint32_t i = 0; i < t->buckets; i++) chain_each(ht_bucket(t, i), fn, arg);
}

#define EVEN_CHAIN 16u /* chains are hardly ever longer */

shm_off ht_random(const struct htable *t, uint64_t (*random64)(void))
{
    if (!t->count) return 0;
    for (;;) {
        const struct bucket *head = ht_bucket(t, (uint32_t)(random64() % t->buckets));
        uint32_t n = chain_count(head), pick = (uint32_t)(random64() % MAX(n, EVEN_CHAIN));
        if (pick >= n) continue; /* each item is as likely as any other, unless its chain is very long */
        for (const struct bucket *b = head; b; b = ht_next(b))
            for (uint32_t m = ht_used_mask(b); m; m &= m - 1)
                if (pick-- == 0) return ht_slot(b, (uint32_t)__builtin_ctz(m));
    }
}

uint64_t ht_memory(const struct htable *t)
{
    uint64_t n = t->buckets;
    if (!n) return 0;
    if (n <= HT_CHUNK) return ((n & (n - 1)) ? 2ull * highest_power((uint32_t)n) : n) * BUCKET_BYTES + t->overflow * BUCKET_BYTES;
    return round_up(n, HT_CHUNK) * BUCKET_BYTES + ht_dir_capacity((uint32_t)n) * 8ull + t->overflow * BUCKET_BYTES;
}
