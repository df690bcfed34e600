/* types/zset_item.h - members and tree entries of large sorted sets, shared by zset.c and zset_type.c only. Layout: zset.h. */
#ifndef SHOAL_TYPES_ZSET_ITEM_H
#define SHOAL_TYPES_ZSET_ITEM_H

#include "base/hash.h"
#include "types/zset.h"

#define ZORDER_BYTES 13u
#define ZNAME_LONG 255u /* length byte: four bytes of length follow */

static ALWAYS_INLINE struct zset_root *zset_root(const struct zset *z) { return shm_ptr(z->root); }

static ALWAYS_INLINE double zitem_score(shm_off item) { return *(const double *)shm_ptr(item); }
static ALWAYS_INLINE struct slice zitem_name(shm_off item)
{
    const uint8_t *p = (const uint8_t *)shm_ptr(item) + 8;
    if (likely(*p != ZNAME_LONG)) return (struct slice){p + 1, *p};
    uint32_t n;
    memcpy(&n, p + 1, 4);
    return (struct slice){p + 5, n};
}
static ALWAYS_INLINE uint64_t zitem_bytes(size_t name) { return 8 + (name < ZNAME_LONG ? 1 : 5) + name; }

static ALWAYS_INLINE bool zitem_is(shm_off item, const void *name)
{
    const struct slice *want = name;
    struct slice have = zitem_name(item);
    return have.n == want->n && bytes_equal(have.p, want->p, have.n);
}

static inline shm_off zitem_new(struct txn *t, struct slice name, double score)
{
    shm_off off = txn_alloc(t, zitem_bytes(name.n));
    uint8_t *p = shm_ptr(off);
    memcpy(p, &score, 8);
    uint32_t n = (uint32_t)name.n;
    p[8] = n < ZNAME_LONG ? (uint8_t)n : ZNAME_LONG;
    if (n >= ZNAME_LONG) memcpy(p + 9, &n, 4);
    if (n) memcpy(p + zitem_bytes(n) - n, name.p, n);
    return off;
}
static inline void zitem_free(struct txn *t, shm_off item) { txn_free(t, item, zitem_bytes(zitem_name(item).n)); }

uint64_t zitem_hash(shm_off item);
extern const struct ht_ops zitem_ops;

/* ---- entries of the tree ---- */
static ALWAYS_INLINE double zorder_score(const uint8_t *entry)
{
    double d;
    memcpy(&d, entry, 8);
    return d;
}
static ALWAYS_INLINE shm_off zorder_item(const uint8_t *entry) { return bt_load5(entry + 8); }
static ALWAYS_INLINE void zorder_entry(uint8_t *entry, double score, shm_off item)
{
    memcpy(entry, &score, 8);
    bt_store5(entry + 8, item);
}
/* key: struct zmember. */
static ALWAYS_INLINE int zorder_compare(const uint8_t *entry, const void *key)
{
    const struct zmember *m = key;
    double score = zorder_score(entry);
    if (score != m->score) return score < m->score ? -1 : 1;
    return slice_compare(zitem_name(zorder_item(entry)), m->name);
}

/* ---- listpack ---- */
double zpacked_score(const uint8_t *p);
/* The two entries of a member; the text of a score that is no integer is written to score_text. */
void zpacked_items(const struct zmember *m, struct lp_item items[2], uint8_t score_text[NUM_DOUBLE_ROOM]);

/* Turns a listpack into table and tree. */
void zset_to_table(struct txn *t, struct zset *z);
/* Takes n members from rank `from` on away by building the set anew from the few that stay; the old is freed in the background. */
void zset_keep_few(struct txn *t, struct zset *z, uint64_t from, uint64_t n);

#endif
