/* snap/check_table.c - hash tables and trees of memory that may be damaged (check_mem.h). Layouts: ds/htable.h, ds/btree.h. Takes no lock. */
#include "base/le.h"
#include "snap/check_mem.h"

#define TWINS_MOST 64u /* items of a chain that are compared with each other */
#define BUCKET_BYTES ((uint64_t)sizeof(struct bucket))

/* ---- tables ---- */

static uint64_t one_chunk_bytes(uint32_t buckets)
{
    uint32_t n = 1;
    while (n < buckets) n *= 2;
    return n * BUCKET_BYTES;
}

static void check_head(struct checker *c, const struct htable *t)
{
    if (t->buckets > HT_MAX_BUCKETS || (!t->buckets && (t->count || t->overflow)))
        check_damage(c, "a table of %u buckets with %llu items", t->buckets, (unsigned long long)t->count);
    if (!t->buckets) return;
    if (t->buckets <= HT_CHUNK)
        check_block(c, t->dir, one_chunk_bytes(t->buckets), "a table's buckets");
    else
        check_block(c, t->dir, ht_dir_capacity(t->buckets) * 8ull, "a table's directory");
}

/* The chunk that begins with bucket `first`: its offset. */
static shm_off chunk_at(struct checker *c, const struct htable *t, uint32_t first)
{
    if (t->buckets <= HT_CHUNK) return t->dir;
    shm_off off = le_load64(check_view(c, t->dir + (first >> HT_CHUNK_BITS) * 8ull, 8));
    check_block(c, off, HT_CHUNK * BUCKET_BYTES, "a table's buckets");
    return off;
}

struct table_walk {
    struct checker *c;
    const struct htable *t;
    check_item_fn *fn;
    void *arg;
    uint64_t items, overflow;
};

/* The items of one bucket of a chain; returns the next bucket of the chain. */
static shm_off check_bucket(struct table_walk *w, const struct bucket *b, uint32_t index, uint64_t *twins, uint32_t *n)
{
    for (uint32_t m = ht_used_mask(b); m; m &= m - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(m);
        uint64_t hash;
        w->items++;
        if (w->items > w->t->count) check_damage(w->c, "a table has more than the %llu items that it counts", (unsigned long long)w->t->count);
        if (!w->fn(w->c, ht_slot(b, i), w->arg, &hash)) continue;
        if (ht_tag(hash) != b->tag[i] || ht_index(w->t, hash) != index) check_damage(w->c, "an item stands where it is not looked for");
        for (uint32_t k = 0; k < *n; k++)
            if (twins[k] == hash) check_damage(w->c, "an item is in its table twice");
        if (*n < TWINS_MOST) twins[(*n)++] = hash;
    }
    return ht_load5(b->next);
}

static void walk_chain(struct table_walk *w, const struct bucket *head, uint32_t index)
{
    uint64_t twins[TWINS_MOST];
    uint32_t n = 0;
    shm_off next = check_bucket(w, head, index, twins, &n);
    while (next) {
        if (++w->overflow > w->t->overflow) check_damage(w->c, "a table has more than the %u overflow buckets that it counts", w->t->overflow);
        struct scratch_mark mark = scratch_mark();
        next = check_bucket(w, check_view_block(w->c, next, BUCKET_BYTES, "an overflow bucket"), index, twins, &n);
        scratch_rewind(mark);
    }
}

void check_table(struct checker *c, const struct htable *t, check_item_fn *fn, void *arg)
{
    struct table_walk w = {.c = c, .t = t, .fn = fn, .arg = arg};
    check_head(c, t);
    for (uint32_t first = 0; first < t->buckets; first += HT_CHUNK) {
        struct scratch_mark mark = scratch_mark();
        uint32_t n = MIN(HT_CHUNK, t->buckets - first);
        const struct bucket *b = check_view(c, chunk_at(c, t, first), n * BUCKET_BYTES);
        for (uint32_t i = 0; i < n; i++) walk_chain(&w, b + i, first + i);
        scratch_rewind(mark);
    }
    if (w.items != t->count || w.overflow != t->overflow)
        check_damage(c, "a table counts %llu items and %u overflow buckets, and has %llu and %llu", (unsigned long long)t->count, t->overflow,
                     (unsigned long long)w.items, (unsigned long long)w.overflow);
}

void check_chain_of(struct checker *c, const struct htable *t, uint64_t hash, bool (*fn)(struct checker *c, shm_off item, void *arg), void *arg)
{
    check_head(c, t);
    if (!t->buckets) return;
    uint32_t i = ht_index(t, hash);
    shm_off at = chunk_at(c, t, i & ~(HT_CHUNK - 1)) + (i & (HT_CHUNK - 1)) * BUCKET_BYTES;
    for (uint32_t n = 0; at; n++) {
        if (n > t->overflow) check_damage(c, "a table has more than the %u overflow buckets that it counts", t->overflow);
        const struct bucket *b = check_view(c, at, BUCKET_BYTES);
        for (uint32_t m = ht_match(b, ht_tag(hash)); m; m &= m - 1)
            if (!fn(c, ht_slot(b, (uint32_t)__builtin_ctz(m)), arg)) return;
        at = ht_load5(b->next);
        if (at) check_block(c, at, BUCKET_BYTES, "an overflow bucket");
    }
}

/* ---- trees ---- */

struct tree_walk {
    struct checker *c;
    const struct btree *t;
    uint32_t esz;
    check_entry_fn *fn;
    void *arg;
    shm_off last, next; /* the leaf before, and where it says that the next one is */
    uint32_t leaves, inners;
};

static void check_first(struct tree_walk *w, const uint8_t *said, const uint8_t *is)
{
    if (said && memcmp(said, is, w->esz) != 0) check_damage(w->c, "a tree's node begins with another entry than the node above it says");
}

static uint64_t check_leaf(struct tree_walk *w, shm_off off, uint32_t size, const uint8_t *first)
{
    if (size > 3) check_damage(w->c, "a tree's leaf of size %u", size);
    const struct bt_node *n = check_view_block(w->c, off, BT_LEAF_BYTES_MIN << size, "a tree's leaf");
    if (!n->count || n->count > bt_leaf_capacity(n, w->esz)) check_damage(w->c, "a tree's leaf of %u entries", n->count);
    if (bt_load5(n->prev) != w->last || (w->last && w->next != off)) check_damage(w->c, "a tree's leaf is not linked to its neighbours");
    w->last = off;
    w->next = bt_load5(n->next);
    w->leaves++;
    check_first(w, first, bt_leaf_entry(n, w->esz, 0));
    for (uint32_t i = 0; i < n->count; i++) {
        struct scratch_mark mark = scratch_mark();
        w->fn(w->c, bt_leaf_entry(n, w->esz, i), w->arg);
        scratch_rewind(mark);
    }
    return n->count;
}

/* How many entries lie below the node at off. */
static uint64_t check_node(struct tree_walk *w, shm_off off, uint32_t level, const uint8_t *first)
{
    struct scratch_mark mark = scratch_mark();
    struct bt_node head;
    const struct bt_node *n;
    uint64_t sum = 0;
    check_read(w->c, off, &head, BT_LEAF_HEADER);
    if (head.level != level || w->leaves > w->t->leaves || w->inners > w->t->inners) check_damage(w->c, "a tree's nodes are not as it counts them");
    if (!level) {
        sum = check_leaf(w, off, head.size, first);
    } else {
        w->inners++;
        n = check_view_block(w->c, off, BT_INNER_BYTES, "a tree's node");
        if (!n->count || n->count > bt_inner_capacity(w->esz)) check_damage(w->c, "a tree's node of %u children", n->count);
        check_first(w, first, bt_first_entry(n, w->esz, 0));
        for (uint32_t i = 0; i < n->count; i++) {
            uint64_t below = check_node(w, bt_load5(bt_child_field(n, w->esz, i)), level - 1, bt_first_entry(n, w->esz, i));
            if (below != *bt_below(n, i)) check_damage(w->c, "a tree's node counts entries wrong");
            sum += below;
        }
    }
    scratch_rewind(mark);
    return sum;
}

void check_tree(struct checker *c, const struct btree *t, uint32_t esz, check_entry_fn *fn, void *arg)
{
    struct tree_walk w = {.c = c, .t = t, .esz = esz, .fn = fn, .arg = arg};
    if (!t->root) {
        if (t->count || t->leaves || t->inners) check_damage(c, "a tree without nodes counts entries");
        return;
    }
    struct bt_node root;
    check_read(c, t->root, &root, BT_LEAF_HEADER);
    if (root.level > BT_HEIGHT_MAX) check_damage(c, "a tree of %u levels", root.level);
    uint64_t n = check_node(&w, t->root, root.level, NULL);
    if (n != t->count || w.leaves != t->leaves || w.inners != t->inners || w.next)
        check_damage(c, "a tree counts %llu entries in %u leaves, and has %llu in %u", (unsigned long long)t->count, t->leaves, (unsigned long long)n, w.leaves);
}
