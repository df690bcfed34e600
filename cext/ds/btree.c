/* ds/btree.c - changing the counted B+-tree: splits, merges, building, draining. Layout, order, locks: ds/btree.h.
 *
 * A change first makes room from the leaf upwards (keeping the path), then stores. A death in the middle is undone with the owner's
 * transaction: every store to an older node is announced; new nodes are announced by their allocation.
 */
#include "ds/btree.h"

#define CLASS_FULL 3u /* BT_LEAF_BYTES_MIN << 3 == BT_LEAF_BYTES */
_Static_assert(BT_LEAF_BYTES_MIN << CLASS_FULL == BT_LEAF_BYTES, "size class of a full leaf");

static uint32_t leaf_full(uint32_t esz) { return (BT_LEAF_BYTES - BT_LEAF_HEADER) / esz; }

/* ---- ranks ---- */

uint64_t bt_rank(const struct bt_path *p)
{
    uint64_t rank = p->at;
    for (uint32_t h = 0; h < p->depth; h++)
        for (uint32_t i = 0; i < p->up[h].at; i++) rank += *bt_below(p->up[h].node, i);
    return rank;
}

void bt_seek(const struct btree *t, uint32_t esz, uint64_t rank, struct bt_path *p)
{
    p->leaf = NULL;
    p->depth = p->at = 0;
    if (!t->root) return;
    struct bt_node *n = shm_ptr(t->root);
    p->depth = n->level;
    while (n->level) {
        uint32_t i = 0;
        while (i + 1u < n->count && rank >= *bt_below(n, i)) rank -= *bt_below(n, i++);
        p->up[n->level - 1].node = n;
        p->up[n->level - 1].at = i;
        n = bt_child(n, esz, i);
    }
    p->leaf = n;
    p->at = (uint32_t)MIN(rank, (uint64_t)n->count);
}

struct bt_cursor bt_at_rank(const struct btree *t, uint32_t esz, uint64_t rank)
{
    struct bt_path p;
    if (rank >= t->count) return (struct bt_cursor){0};
    bt_seek(t, esz, rank, &p);
    return (struct bt_cursor){p.leaf, p.at};
}

struct bt_cursor bt_first(const struct btree *t, uint32_t esz) { return bt_at_rank(t, esz, 0); }
struct bt_cursor bt_last(const struct btree *t, uint32_t esz) { return t->count ? bt_at_rank(t, esz, t->count - 1) : (struct bt_cursor){0}; }

/* ---- nodes ---- */

static struct bt_node *leaf_new(struct txn *x, struct btree *t, uint32_t size)
{
    struct bt_node *n = shm_ptr(txn_alloc(x, BT_LEAF_BYTES_MIN << size));
    *n = (struct bt_node){.size = (uint8_t)size};
    t->leaves++; /* the caller has touched the tree */
    return n;
}

static struct bt_node *inner_new(struct txn *x, struct btree *t, uint32_t level)
{
    ENSURE(level <= BT_HEIGHT_MAX);
    struct bt_node *n = shm_ptr(txn_alloc(x, BT_INNER_BYTES));
    memset(n, 0, BT_INNER_HEADER);
    n->level = (uint8_t)level;
    t->inners++;
    return n;
}

static void node_free(struct txn *x, struct btree *t, struct bt_node *n)
{
    txn_free(x, shm_offset(n), n->level ? BT_INNER_BYTES : bt_leaf_bytes(n));
    if (n->level)
        t->inners--;
    else
        t->leaves--;
}

static void set_count(struct txn *x, struct bt_node *n, uint32_t count) { TXN_SET(x, n->count, (uint16_t)count); }

static void set_neighbour(struct txn *x, uint8_t field[5], const struct bt_node *n)
{
    txn_touch(x, field, 5);
    bt_store5(field, n ? shm_offset(n) : 0);
}

/* Moves n fields of `width` bytes up or down; announces what is stored. */
static void shift(struct txn *x, uint8_t *from, uint8_t *to, size_t bytes)
{
    if (!bytes) return;
    txn_touch(x, to, bytes);
    memmove(to, from, bytes);
}

/* Stores into a gap that shift() may have left (announced once more: the gap's own bytes). */
static void store(struct txn *x, void *to, const void *from, size_t bytes)
{
    txn_touch(x, to, bytes);
    memcpy(to, from, bytes);
}

/* ---- children of an inner node ---- */

static void child_insert(struct txn *x, struct bt_node *n, uint32_t esz, uint32_t i, const uint8_t *first, const struct bt_node *child,
                         uint64_t below)
{
    uint32_t after = n->count - i;
    uint8_t off[5];
    bt_store5(off, shm_offset(child));
    shift(x, (uint8_t *)bt_below(n, i), (uint8_t *)bt_below(n, i + 1), 8 * (size_t)after);
    shift(x, bt_child_field(n, esz, i), bt_child_field(n, esz, i + 1), 5 * (size_t)after);
    shift(x, bt_first_entry(n, esz, i), bt_first_entry(n, esz, i + 1), (size_t)esz * after);
    store(x, bt_below(n, i), &below, 8);
    store(x, bt_child_field(n, esz, i), off, 5);
    store(x, bt_first_entry(n, esz, i), first, esz);
    set_count(x, n, n->count + 1u);
}

static void child_remove(struct txn *x, struct bt_node *n, uint32_t esz, uint32_t i)
{
    uint32_t after = n->count - i - 1;
    shift(x, (uint8_t *)bt_below(n, i + 1), (uint8_t *)bt_below(n, i), 8 * (size_t)after);
    shift(x, bt_child_field(n, esz, i + 1), bt_child_field(n, esz, i), 5 * (size_t)after);
    shift(x, bt_first_entry(n, esz, i + 1), bt_first_entry(n, esz, i), (size_t)esz * after);
    set_count(x, n, n->count - 1u);
}

/* Copies children [from, from+k) of `src` to the end of `dst`, whose stores the caller has announced; returns the entries below. */
static uint64_t children_copy(struct bt_node *dst, const struct bt_node *src, uint32_t esz, uint32_t from, uint32_t k)
{
    uint64_t below = 0;
    for (uint32_t i = 0; i < k; i++) below += *bt_below(src, from + i);
    memcpy(bt_below(dst, dst->count), bt_below(src, from), 8 * (size_t)k);
    memcpy(bt_child_field(dst, esz, dst->count), bt_child_field(src, esz, from), 5 * (size_t)k);
    memcpy(bt_first_entry(dst, esz, dst->count), bt_first_entry(src, esz, from), (size_t)esz * k);
    return below;
}

/* The first entry of the node at height h of the path has changed: so have those of its ancestors while it is their first child. */
static void first_changed(struct txn *x, uint32_t esz, const struct bt_path *p, uint32_t h, const uint8_t *first)
{
    for (; h < p->depth; h++) {
        store(x, bt_first_entry(p->up[h].node, esz, p->up[h].at), first, esz);
        if (p->up[h].at) return;
    }
}

/* ---- growing ---- */

/* Puts a new root above the path's highest node. */
static void root_raise(struct txn *x, struct btree *t, uint32_t esz, struct bt_path *p)
{
    struct bt_node *old = shm_ptr(t->root), *n = inner_new(x, t, old->level + 1u);
    const uint8_t *first = old->level ? bt_first_entry(old, esz, 0) : bt_leaf_entry(old, esz, 0);
    child_insert(x, n, esz, 0, first, old, t->count);
    t->root = shm_offset(n);
    p->up[p->depth].node = n;
    p->up[p->depth].at = 0;
    p->depth++;
}

/* Makes sure that the inner node at height h has room for one more child. `keep_full`: the tree grows at its end. */
static void inner_make_room(struct txn *x, struct btree *t, uint32_t esz, struct bt_path *p, uint32_t h, bool keep_full)
{
    struct bt_node *n = p->up[h].node;
    uint32_t cap = bt_inner_capacity(esz);
    if (n->count < cap) return;
    if (h + 1 == p->depth)
        root_raise(x, t, esz, p);
    else
        inner_make_room(x, t, esz, p, h + 1, keep_full);
    uint32_t k = keep_full ? cap / 8 + 1 : cap / 2, stay = cap - k;
    struct bt_node *right = inner_new(x, t, n->level), *parent = p->up[h + 1].node;
    uint64_t below = children_copy(right, n, esz, stay, k);
    right->count = (uint16_t)k;
    set_count(x, n, stay);
    uint64_t *left_below = bt_below(parent, p->up[h + 1].at);
    TXN_SET(x, *left_below, *left_below - below);
    child_insert(x, parent, esz, p->up[h + 1].at + 1, bt_first_entry(right, esz, 0), right, below);
    if (p->up[h].at >= stay) {
        p->up[h].node = right;
        p->up[h].at -= stay;
        p->up[h + 1].at++;
    }
}

/* Splits the path's full leaf. The new entry's place decides how: at an end of the tree the old entries stay together. */
static void leaf_split(struct txn *x, struct btree *t, uint32_t esz, struct bt_path *p, const uint8_t *entry)
{
    struct bt_node *left = p->leaf, *next = bt_neighbour(left->next);
    bool at_end = !next && p->at == left->count, at_start = !bt_load5(left->prev) && p->at == 0;
    if (!p->depth)
        root_raise(x, t, esz, p);
    else
        inner_make_room(x, t, esz, p, 0, at_end);
    uint32_t stay = at_end ? left->count : at_start ? 0 : left->count / 2u, k = left->count - stay;
    struct bt_node *right = leaf_new(x, t, CLASS_FULL);
    memcpy(bt_leaf_entry(right, esz, 0), bt_leaf_entry(left, esz, stay), (size_t)esz * k);
    right->count = (uint16_t)k;
    bt_store5(right->prev, shm_offset(left));
    if (next) bt_store5(right->next, shm_offset(next));
    txn_touch(x, left, BT_LEAF_HEADER);
    left->count = (uint16_t)stay;
    bt_store5(left->next, shm_offset(right));
    if (next) set_neighbour(x, next->prev, right);
    struct bt_node *parent = p->up[0].node;
    uint64_t *below = bt_below(parent, p->up[0].at);
    TXN_SET(x, *below, *below - k);
    child_insert(x, parent, esz, p->up[0].at + 1, k ? bt_leaf_entry(right, esz, 0) : entry, right, k);
    if (at_end || (p->at > stay && !at_start)) {
        p->leaf = right;
        p->at -= stay;
        p->up[0].at++;
    }
}

/* Moves the last k entries of `left` to the front of `right`, its neighbour under the same parent as child i and i + 1. */
static void shift_right(struct txn *x, uint32_t esz, struct bt_node *parent, uint32_t i, struct bt_node *left, struct bt_node *right,
                        uint32_t k)
{
    uint64_t *below = bt_below(parent, i);
    txn_touch(x, bt_leaf_entry(right, esz, 0), (size_t)esz * (right->count + k));
    memmove(bt_leaf_entry(right, esz, k), bt_leaf_entry(right, esz, 0), (size_t)esz * right->count);
    memcpy(bt_leaf_entry(right, esz, 0), bt_leaf_entry(left, esz, left->count - k), (size_t)esz * k);
    set_count(x, right, right->count + k);
    set_count(x, left, left->count - k);
    txn_touch(x, below, 16);
    below[0] -= k;
    below[1] += k;
    store(x, bt_first_entry(parent, esz, i + 1), bt_leaf_entry(right, esz, 0), esz);
}

/* Moves the first k entries of `right` to the end of `left`. */
static void shift_left(struct txn *x, uint32_t esz, struct bt_node *parent, uint32_t i, struct bt_node *left, struct bt_node *right,
                       uint32_t k)
{
    uint64_t *below = bt_below(parent, i);
    store(x, bt_leaf_entry(left, esz, left->count), bt_leaf_entry(right, esz, 0), (size_t)esz * k);
    shift(x, bt_leaf_entry(right, esz, k), bt_leaf_entry(right, esz, 0), (size_t)esz * (right->count - k));
    set_count(x, left, left->count + k);
    set_count(x, right, right->count - k);
    txn_touch(x, below, 16);
    below[0] += k;
    below[1] -= k;
    store(x, bt_first_entry(parent, esz, i + 1), bt_leaf_entry(right, esz, 0), esz);
}

/* Makes room in the path's full leaf by giving entries to a neighbour that has room: so leaves are fuller than splits alone leave
 * them. False: neither has. */
static bool leaf_share(struct txn *x, uint32_t esz, struct bt_path *p)
{
    if (!p->depth) return false;
    struct bt_node *leaf = p->leaf, *parent = p->up[0].node;
    uint32_t i = p->up[0].at, full = leaf_full(esz), enough = full - full / 6;
    struct bt_node *right = i + 1u < parent->count ? bt_child(parent, esz, i + 1) : NULL;
    if (right && right->count <= enough) {
        uint32_t k = (leaf->count - right->count + 1u) / 2, stay = leaf->count - k;
        shift_right(x, esz, parent, i, leaf, right, k);
        if (p->at > stay) {
            p->leaf = right;
            p->at -= stay;
            p->up[0].at++;
        }
        return true;
    }
    struct bt_node *left = i ? bt_child(parent, esz, i - 1) : NULL;
    if (!left || left->count > enough) return false;
    uint32_t k = (leaf->count - left->count + 1u) / 2, had = left->count;
    shift_left(x, esz, parent, i - 1, left, leaf, k);
    if (p->at <= k) {
        p->leaf = left;
        p->at += had;
        p->up[0].at--;
    } else {
        p->at -= k;
    }
    return true;
}

/* The one leaf of a small tree becomes twice as large. */
static void leaf_grow(struct txn *x, struct btree *t, uint32_t esz, struct bt_path *p)
{
    struct bt_node *old = p->leaf, *n = leaf_new(x, t, old->size + 1u);
    n->count = old->count;
    memcpy(bt_leaf_entry(n, esz, 0), bt_leaf_entry(old, esz, 0), (size_t)esz * old->count);
    node_free(x, t, old);
    t->root = shm_offset(n);
    p->leaf = n;
}

void bt_insert_at(struct txn *x, struct btree *t, uint32_t esz, struct bt_path *p, const uint8_t *entry)
{
    txn_touch(x, t, sizeof *t);
    if (!p->leaf) {
        uint32_t size = 0;
        while ((BT_LEAF_BYTES_MIN << size) < BT_LEAF_HEADER + esz) size++;
        *p = (struct bt_path){.leaf = leaf_new(x, t, size)};
        t->root = shm_offset(p->leaf);
    }
    while (unlikely(p->leaf->count == bt_leaf_capacity(p->leaf, esz))) {
        if (p->leaf->size < CLASS_FULL)
            leaf_grow(x, t, esz, p);
        else if (!leaf_share(x, esz, p))
            leaf_split(x, t, esz, p, entry);
    }
    struct bt_node *leaf = p->leaf;
    uint8_t *at = bt_leaf_entry(leaf, esz, p->at);
    size_t after = (size_t)esz * (leaf->count - p->at);
    txn_touch(x, at, after + esz);
    memmove(at + esz, at, after);
    memcpy(at, entry, esz);
    set_count(x, leaf, leaf->count + 1u);
    t->count++;
    for (uint32_t h = 0; h < p->depth; h++) {
        uint64_t *below = bt_below(p->up[h].node, p->up[h].at);
        TXN_SET(x, *below, *below + 1);
    }
    if (p->at == 0) first_changed(x, esz, p, 0, entry);
}

void bt_replace_at(struct txn *x, struct btree *t, uint32_t esz, struct bt_path *p, const uint8_t *entry)
{
    (void)t;
    store(x, bt_leaf_entry(p->leaf, esz, p->at), entry, esz);
    if (p->at == 0) first_changed(x, esz, p, 0, entry);
}

/* ---- shrinking ---- */

/* Roots with one child go. */
static void root_lower(struct txn *x, struct btree *t, uint32_t esz)
{
    struct bt_node *n = shm_ptr(t->root);
    while (n->level && n->count == 1) {
        struct bt_node *child = bt_child(n, esz, 0);
        node_free(x, t, n);
        t->root = shm_offset(child);
        n = child;
    }
}

/* Appends all of `right` to `left`, its neighbour under the same parent, and frees it. */
static void leaf_join(struct txn *x, struct btree *t, uint32_t esz, struct bt_node *left, struct bt_node *right)
{
    struct bt_node *next = bt_neighbour(right->next);
    store(x, bt_leaf_entry(left, esz, left->count), bt_leaf_entry(right, esz, 0), (size_t)esz * right->count);
    txn_touch(x, left, BT_LEAF_HEADER);
    left->count = (uint16_t)(left->count + right->count);
    memcpy(left->next, right->next, 5);
    if (next) set_neighbour(x, next->prev, left);
    node_free(x, t, right);
}

static void inner_join(struct txn *x, struct btree *t, uint32_t esz, struct bt_node *left, struct bt_node *right)
{
    uint32_t k = right->count;
    txn_touch(x, bt_below(left, left->count), 8 * (size_t)k);
    txn_touch(x, bt_child_field(left, esz, left->count), 5 * (size_t)k);
    txn_touch(x, bt_first_entry(left, esz, left->count), (size_t)esz * k);
    children_copy(left, right, esz, 0, k);
    set_count(x, left, left->count + k);
    node_free(x, t, right);
}

/* Joins the node under the path's height h (0: the leaf) with a neighbour when both fit well into one; so upwards. */
static void join_if_small(struct txn *x, struct btree *t, uint32_t esz, struct bt_path *p, uint32_t h)
{
    for (; h < p->depth; h++) {
        struct bt_node *parent = p->up[h].node;
        uint32_t i = p->up[h].at, cap = h ? bt_inner_capacity(esz) : leaf_full(esz), limit = cap * 3 / 4;
        uint32_t mine = bt_child(parent, esz, i)->count;
        if (mine * 2 > limit) return;
        if (i + 1u < parent->count && mine + bt_child(parent, esz, i + 1)->count <= limit)
            ;
        else if (i && mine + bt_child(parent, esz, i - 1)->count <= limit)
            i--;
        else
            return;
        struct bt_node *left = bt_child(parent, esz, i), *right = bt_child(parent, esz, i + 1);
        uint64_t moved = *bt_below(parent, i + 1), *below = bt_below(parent, i);
        TXN_SET(x, *below, *below + moved);
        child_remove(x, parent, esz, i + 1);
        if (h)
            inner_join(x, t, esz, left, right);
        else
            leaf_join(x, t, esz, left, right);
    }
}

/* The path's leaf is empty: it goes, and ancestors that become empty with it. */
static void leaf_drop(struct txn *x, struct btree *t, uint32_t esz, struct bt_path *p)
{
    struct bt_node *prev = bt_neighbour(p->leaf->prev), *next = bt_neighbour(p->leaf->next);
    if (prev) set_neighbour(x, prev->next, next);
    if (next) set_neighbour(x, next->prev, prev);
    node_free(x, t, p->leaf);
    for (uint32_t h = 0; h < p->depth; h++) {
        struct bt_node *n = p->up[h].node;
        if (n->count == 1) {
            node_free(x, t, n);
            continue;
        }
        child_remove(x, n, esz, p->up[h].at);
        if (p->up[h].at == 0) first_changed(x, esz, p, h + 1, bt_first_entry(n, esz, 0));
        join_if_small(x, t, esz, p, h + 1);
        root_lower(x, t, esz);
        return;
    }
    t->root = 0;
}

/* Takes k entries out of the path's leaf. */
static void remove_from_leaf(struct txn *x, struct btree *t, uint32_t esz, struct bt_path *p, uint32_t k)
{
    struct bt_node *leaf = p->leaf;
    txn_touch(x, t, sizeof *t);
    shift(x, bt_leaf_entry(leaf, esz, p->at + k), bt_leaf_entry(leaf, esz, p->at), (size_t)esz * (leaf->count - p->at - k));
    set_count(x, leaf, leaf->count - k);
    t->count -= k;
    for (uint32_t h = 0; h < p->depth; h++) {
        uint64_t *below = bt_below(p->up[h].node, p->up[h].at);
        TXN_SET(x, *below, *below - k);
    }
    if (!leaf->count) {
        leaf_drop(x, t, esz, p);
        return;
    }
    if (p->at == 0) first_changed(x, esz, p, 0, bt_leaf_entry(leaf, esz, 0));
    join_if_small(x, t, esz, p, 0);
    root_lower(x, t, esz);
}

void bt_remove_at(struct txn *x, struct btree *t, uint32_t esz, struct bt_path *p) { remove_from_leaf(x, t, esz, p, 1); }

void bt_remove_range(struct txn *x, struct btree *t, uint32_t esz, uint64_t from, uint64_t n,
                     void (*fn)(struct txn *, const uint8_t *entry, void *arg), void *arg)
{
    while (n && from < t->count) {
        struct bt_path p;
        bt_seek(t, esz, from, &p);
        uint32_t k = (uint32_t)MIN(n, (uint64_t)(p.leaf->count - p.at));
        for (uint32_t i = 0; fn && i < k; i++) fn(x, bt_leaf_entry(p.leaf, esz, p.at + i), arg);
        remove_from_leaf(x, t, esz, &p, k);
        n -= k;
    }
}

/* ---- building and draining ---- */

struct builder {
    struct txn *x;
    struct btree *t;
    uint32_t esz;
    struct bt_node *open[BT_HEIGHT_MAX]; /* [h]: the inner node at level h + 1 that is being filled */
};

static uint64_t below_sum(const struct bt_node *n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n->count; i++) sum += *bt_below(n, i);
    return sum;
}

/* Hangs a finished node under the open node of level h + 1. All memory here is new: nothing to announce. */
static void builder_add(struct builder *b, uint32_t h, struct bt_node *child, const uint8_t *first, uint64_t below)
{
    struct bt_node *n = b->open[h];
    if (n && n->count == bt_inner_capacity(b->esz)) {
        builder_add(b, h + 1, n, bt_first_entry(n, b->esz, 0), below_sum(n));
        n = NULL;
    }
    if (!n) n = b->open[h] = inner_new(b->x, b->t, h + 1);
    *bt_below(n, n->count) = below;
    bt_store5(bt_child_field(n, b->esz, n->count), shm_offset(child));
    memcpy(bt_first_entry(n, b->esz, n->count), first, b->esz);
    n->count++;
}

static struct bt_node *builder_finish(struct builder *b, struct bt_node *leaf)
{
    if (!b->open[0]) return leaf;
    builder_add(b, 0, leaf, bt_leaf_entry(leaf, b->esz, 0), leaf->count);
    uint32_t h = 0;
    for (; h + 1 < BT_HEIGHT_MAX && b->open[h + 1]; h++) {
        struct bt_node *n = b->open[h];
        builder_add(b, h + 1, n, bt_first_entry(n, b->esz, 0), below_sum(n));
    }
    return b->open[h];
}

void bt_build(struct txn *x, struct btree *t, uint32_t esz, uint64_t n, void (*next)(uint8_t *entry, void *arg), void *arg)
{
    DCHECK(!t->root);
    if (!n) return;
    struct builder b = {.x = x, .t = t, .esz = esz};
    txn_touch(x, t, sizeof *t);
    uint32_t size = 0, full = leaf_full(esz);
    while (size < CLASS_FULL && BT_LEAF_HEADER + esz * n > (BT_LEAF_BYTES_MIN << size)) size++;
    struct bt_node *leaf = leaf_new(x, t, size);
    for (uint64_t i = 0; i < n; i++) {
        if (leaf->count == full) {
            builder_add(&b, 0, leaf, bt_leaf_entry(leaf, esz, 0), leaf->count);
            struct bt_node *fresh = leaf_new(x, t, CLASS_FULL);
            bt_store5(leaf->next, shm_offset(fresh));
            bt_store5(fresh->prev, shm_offset(leaf));
            leaf = fresh;
        }
        next(bt_leaf_entry(leaf, esz, leaf->count), arg);
        leaf->count++;
    }
    t->count = n;
    t->root = shm_offset(builder_finish(&b, leaf));
}

bool bt_drain(struct txn *x, struct btree *t, uint32_t esz, void (*fn)(struct txn *, const uint8_t *entry, void *arg), void *arg,
              uint64_t *budget)
{
    if (t->root) txn_touch(x, t, sizeof *t);
    while (t->root && *budget) {
        struct bt_node *n = shm_ptr(t->root), *parent = NULL;
        for (; n->level && n->count; n = bt_child(n, esz, n->count - 1u)) parent = n;
        if (!n->level) {
            for (uint32_t i = 0; fn && i < n->count; i++) fn(x, bt_leaf_entry(n, esz, i), arg);
            t->count -= n->count;
        }
        *budget -= MIN(*budget, (uint64_t)n->count + 1);
        node_free(x, t, n);
        if (parent)
            set_count(x, parent, parent->count - 1u);
        else
            t->root = 0;
    }
    return !t->root;
}

/* ---- inspection ---- */

uint64_t bt_memory(const struct btree *t)
{
    if (!t->root) return 0;
    if (t->leaves == 1) return bt_leaf_bytes(shm_ptr(t->root)) + t->inners * (uint64_t)BT_INNER_BYTES;
    return t->leaves * (uint64_t)BT_LEAF_BYTES + t->inners * (uint64_t)BT_INNER_BYTES;
}

struct check {
    uint32_t esz, leaves, inners;
    bt_compare *compare;
    const struct bt_node *last; /* leaf seen before */
    const uint8_t *entry;       /* entry seen before */
};

/* Number of entries below n; UINT64_MAX = something is wrong. */
static uint64_t check_node(struct check *c, const struct bt_node *n, uint32_t level)
{
    if (n->level != level || !n->count) return UINT64_MAX;
    if (!level) {
        if (n->count > bt_leaf_capacity(n, c->esz) || bt_neighbour(n->prev) != c->last) return UINT64_MAX;
        if (c->last && bt_neighbour(c->last->next) != n) return UINT64_MAX;
        for (uint32_t i = 0; i < n->count; i++) {
            const uint8_t *e = bt_leaf_entry(n, c->esz, i);
            if (c->entry && c->compare(c->entry, e) >= 0) return UINT64_MAX;
            c->entry = e;
        }
        c->last = n;
        c->leaves++;
        return n->count;
    }
    uint64_t sum = 0;
    c->inners++;
    for (uint32_t i = 0; i < n->count; i++) {
        const struct bt_node *low = bt_child(n, c->esz, i);
        uint64_t below = check_node(c, low, level - 1);
        const uint8_t *first = low->level ? bt_first_entry(low, c->esz, 0) : bt_leaf_entry(low, c->esz, 0);
        if (below == UINT64_MAX || below != *bt_below(n, i) || memcmp(first, bt_first_entry(n, c->esz, i), c->esz) != 0)
            return UINT64_MAX;
        sum += below;
    }
    return sum;
}

bool bt_check(const struct btree *t, uint32_t esz, bt_compare *compare)
{
    if (!t->root) return t->count == 0 && !t->leaves && !t->inners;
    struct check c = {.esz = esz, .compare = compare};
    const struct bt_node *root = shm_ptr(t->root);
    if (root->level && root->count < 2) return false;
    if (check_node(&c, root, root->level) != t->count || bt_neighbour(c.last->next)) return false;
    return c.leaves == t->leaves && c.inners == t->inners;
}
