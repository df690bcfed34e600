/* ds/btree.h - a counted B+-tree of small fixed-size entries: the order of a sorted set's members and of a stream's blocks.
 *
 * An entry is `esz` bytes (4 to 64, a constant of the owner's); its order is the owner's compare function. Entries are unique.
 * Leaves hold entries packed and are linked both ways; inner nodes hold for every child its first entry, its offset and how many
 * entries lie below it, so a position is found from a rank and a rank from a position in O(log n).
 *
 *   leaf   | count u16 | level 0 | size class u8 | next 5 | prev 5 | entry[] |             512 bytes: one copy-on-write block
 *   inner  | count u16 | level | pad | pad 4 | below u64[cap] | child 5[cap] | first esz[cap] |    1,024 bytes
 *
 * While the tree is one leaf, that leaf has 64, 128, 256 or 512 bytes, as it needs. First entries are exact: equal to the first
 * entry of the leftmost leaf below. So an entry may name memory of its owner's, as long as it is removed before that memory is freed.
 * A full leaf at either end of the tree is left full when the new entry continues it, so ascending (or descending) inserts pack
 * leaves; neighbours are merged when both fit into three quarters of a node.
 *
 * The owner's lock guards the tree. Stores are announced to the transaction, so a death in the middle is undone with it.
 * Not for: the memory that entries name.
 */
#ifndef SHOAL_DS_BTREE_H
#define SHOAL_DS_BTREE_H

#include "shm/txn.h"

#define BT_LEAF_BYTES 512u
#define BT_LEAF_BYTES_MIN 64u
#define BT_INNER_BYTES 1024u
#define BT_LEAF_HEADER 14u
#define BT_INNER_HEADER 8u
#define BT_HEIGHT_MAX 16u /* of inner nodes: at least 9 children each, so more than any arena holds */

struct btree {        /* lies in its owner's memory; all zero = empty */
    shm_off root;     /* 0 = no entries */
    uint64_t count;   /* entries */
    uint32_t leaves;
    uint32_t inners;
};

struct bt_node {      /* the part that leaves and inner nodes share */
    uint16_t count;   /* entries or children */
    uint8_t level;    /* 0 = leaf */
    uint8_t size;     /* leaf: its bytes are BT_LEAF_BYTES_MIN << size */
    uint8_t next[5];  /* leaf: neighbours, offset / 8, 0 = none */
    uint8_t prev[5];
};
_Static_assert(sizeof(struct bt_node) == BT_LEAF_HEADER, "leaf header");

/* < 0: the entry comes before the key; 0: it is the key. */
typedef int bt_compare(const uint8_t *entry, const void *key);

/* The way from the root to a place between or at entries; good until the tree changes (the changing functions keep it good). */
struct bt_path {
    struct bt_node *leaf; /* NULL: the tree is empty */
    uint32_t at;          /* entry in the leaf; may be the leaf's count: behind its last entry */
    uint32_t depth;       /* inner nodes above the leaf */
    struct {
        struct bt_node *node;
        uint32_t at; /* child */
    } up[BT_HEIGHT_MAX]; /* [0] is the leaf's parent */
};

/* An entry, for walking. */
struct bt_cursor {
    const struct bt_node *leaf; /* NULL: beyond the end */
    uint32_t at;
};

/* ---- layout ---- */
static ALWAYS_INLINE uint32_t bt_leaf_bytes(const struct bt_node *leaf) { return BT_LEAF_BYTES_MIN << leaf->size; }
static ALWAYS_INLINE uint32_t bt_leaf_capacity(const struct bt_node *leaf, uint32_t esz)
{
    return (bt_leaf_bytes(leaf) - BT_LEAF_HEADER) / esz;
}
static ALWAYS_INLINE uint32_t bt_inner_capacity(uint32_t esz) { return (BT_INNER_BYTES - BT_INNER_HEADER) / (13 + esz); }
static ALWAYS_INLINE uint8_t *bt_leaf_entry(const struct bt_node *leaf, uint32_t esz, uint32_t i)
{
    return (uint8_t *)(uintptr_t)leaf + BT_LEAF_HEADER + (size_t)esz * i;
}
static ALWAYS_INLINE uint64_t *bt_below(const struct bt_node *n, uint32_t i)
{
    return (uint64_t *)(void *)((uint8_t *)(uintptr_t)n + BT_INNER_HEADER) + i;
}
static ALWAYS_INLINE uint8_t *bt_child_field(const struct bt_node *n, uint32_t esz, uint32_t i)
{
    return (uint8_t *)(uintptr_t)n + BT_INNER_HEADER + 8 * (size_t)bt_inner_capacity(esz) + 5 * (size_t)i;
}
static ALWAYS_INLINE uint8_t *bt_first_entry(const struct bt_node *n, uint32_t esz, uint32_t i)
{
    return (uint8_t *)(uintptr_t)n + BT_INNER_HEADER + 13 * (size_t)bt_inner_capacity(esz) + (size_t)esz * i;
}
static ALWAYS_INLINE shm_off bt_load5(const uint8_t *p)
{
    uint32_t lo;
    memcpy(&lo, p, 4);
    return ((uint64_t)lo | (uint64_t)p[4] << 32) << 3;
}
static ALWAYS_INLINE void bt_store5(uint8_t *p, shm_off off)
{
    uint64_t v = off >> 3;
    uint32_t lo = (uint32_t)v;
    memcpy(p, &lo, 4);
    p[4] = (uint8_t)(v >> 32);
}
static ALWAYS_INLINE struct bt_node *bt_child(const struct bt_node *n, uint32_t esz, uint32_t i)
{
    return shm_ptr(bt_load5(bt_child_field(n, esz, i)));
}
static ALWAYS_INLINE struct bt_node *bt_neighbour(const uint8_t field[5])
{
    shm_off off = bt_load5(field);
    return off ? shm_ptr(off) : NULL;
}

/* ---- finding (esz and compare should be constants: everything is inlined) ---- */

/* First of n entries at p that does not come before the key. */
static ALWAYS_INLINE uint32_t bt_lower_bound(const uint8_t *p, uint32_t n, uint32_t esz, bt_compare *compare, const void *key)
{
    uint32_t lo = 0;
    while (n) {
        uint32_t half = n / 2;
        if (compare(p + (size_t)(lo + half) * esz, key) < 0) {
            lo += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return lo;
}

/* The child whose range holds the key: the last one that begins before it or at it. */
static ALWAYS_INLINE uint32_t bt_child_for(const struct bt_node *n, uint32_t esz, bt_compare *compare, const void *key)
{
    uint32_t i = bt_lower_bound(bt_first_entry(n, esz, 0), n->count, esz, compare, key);
    if (i < n->count && compare(bt_first_entry(n, esz, i), key) == 0) return i;
    return i ? i - 1 : 0;
}

/* The place of the first entry that does not come before the key; true when it is the key. Such a place is where the key is to be
 * inserted. It may lie behind the last entry of a leaf: bt_cursor_of() steps on. */
static ALWAYS_INLINE bool bt_find(const struct btree *t, uint32_t esz, bt_compare *compare, const void *key, struct bt_path *p)
{
    p->leaf = NULL;
    p->depth = p->at = 0;
    if (unlikely(!t->root)) return false;
    struct bt_node *n = shm_ptr(t->root);
    p->depth = n->level;
    while (n->level) {
        uint32_t i = bt_child_for(n, esz, compare, key), h = n->level - 1u;
        p->up[h].node = n;
        p->up[h].at = i;
        n = bt_child(n, esz, i);
    }
    p->leaf = n;
    p->at = bt_lower_bound(bt_leaf_entry(n, esz, 0), n->count, esz, compare, key);
    return p->at < n->count && compare(bt_leaf_entry(n, esz, p->at), key) == 0;
}

/* How many entries come before the place. */
uint64_t bt_rank(const struct bt_path *p);
/* The place of the entry of this rank (from 0); rank = count: behind the last one. */
void bt_seek(const struct btree *t, uint32_t esz, uint64_t rank, struct bt_path *p);

/* ---- walking ---- */
static ALWAYS_INLINE const uint8_t *bt_entry(struct bt_cursor c, uint32_t esz) { return bt_leaf_entry(c.leaf, esz, c.at); }
static ALWAYS_INLINE void bt_next(struct bt_cursor *c)
{
    if (likely(++c->at < c->leaf->count)) return;
    c->leaf = bt_neighbour(c->leaf->next);
    c->at = 0;
}
static ALWAYS_INLINE void bt_prev(struct bt_cursor *c)
{
    if (likely(c->at-- > 0)) return;
    c->leaf = bt_neighbour(c->leaf->prev);
    c->at = c->leaf ? c->leaf->count - 1u : 0;
}
/* The entry at the place, or the next one when the place is behind the end of its leaf. */
static ALWAYS_INLINE struct bt_cursor bt_cursor_of(const struct bt_path *p)
{
    struct bt_cursor c = {p->leaf, p->at};
    if (c.leaf && c.at >= c.leaf->count) {
        c.leaf = bt_neighbour(c.leaf->next);
        c.at = 0;
    }
    return c;
}
struct bt_cursor bt_at_rank(const struct btree *t, uint32_t esz, uint64_t rank); /* leaf NULL: there is none */
struct bt_cursor bt_first(const struct btree *t, uint32_t esz);
struct bt_cursor bt_last(const struct btree *t, uint32_t esz);

/* ---- changing ---- */

/* Puts the entry where bt_find() found that it belongs. Afterwards the path is at the new entry. */
void bt_insert_at(struct txn *x, struct btree *t, uint32_t esz, struct bt_path *p, const uint8_t *entry);
/* Takes the entry at the path away. The path is void afterwards. */
void bt_remove_at(struct txn *x, struct btree *t, uint32_t esz, struct bt_path *p);
/* Stores another entry of the same place in the order over the one at the path. */
void bt_replace_at(struct txn *x, struct btree *t, uint32_t esz, struct bt_path *p, const uint8_t *entry);
/* Removes `n` entries from rank `from` on; calls fn (may be NULL) with each before it goes. */
void bt_remove_range(struct txn *x, struct btree *t, uint32_t esz, uint64_t from, uint64_t n,
                     void (*fn)(struct txn *, const uint8_t *entry, void *arg), void *arg);

/* Fills an empty tree with n entries that next() writes in order; leaves are packed. Costs no undo memory but 16 bytes a node. */
void bt_build(struct txn *x, struct btree *t, uint32_t esz, uint64_t n, void (*next)(uint8_t *entry, void *arg), void *arg);

/* Frees the tree from its end, leaf by leaf, with fn (may be NULL) for each entry, until *budget entries are gone. The tree must not
 * be used otherwise any more. True when nothing is left. */
bool bt_drain(struct txn *x, struct btree *t, uint32_t esz, void (*fn)(struct txn *, const uint8_t *entry, void *arg), void *arg,
              uint64_t *budget);

/* Bytes of all nodes. */
uint64_t bt_memory(const struct btree *t);
/* For tests and integrity walks: counts, first entries, links and order (compare gets two entries). */
bool bt_check(const struct btree *t, uint32_t esz, bt_compare *compare);

#endif
