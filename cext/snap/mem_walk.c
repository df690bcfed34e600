/* snap/mem_walk.c - see mem_walk.h. */
#include "snap/mem_walk.h"

#include "base/le.h"

/* A node in the size it has. */
static const struct bt_node *node_view(struct mem_reader *r, shm_off off)
{
    const struct bt_node *n = mem_view(r, off, BT_LEAF_HEADER);
    return mem_view(r, off, n->level ? BT_INNER_BYTES : bt_leaf_bytes(n));
}

void mem_btree_each(struct mem_reader *r, const struct btree *t, uint32_t esz, void (*fn)(const uint8_t *entry, void *arg), void *arg)
{
    struct scratch_mark mark = scratch_mark();
    shm_off at = t->root;
    while (at) {
        const struct bt_node *n = node_view(r, at);
        if (n->level) {
            at = bt_load5(bt_child_field(n, esz, 0));
        } else {
            for (uint32_t i = 0; i < n->count; i++) fn(bt_leaf_entry(n, esz, i), arg);
            at = bt_load5(n->next);
        }
        scratch_rewind(mark);
    }
}

static void bucket_each(struct mem_reader *r, const struct bucket *b, void (*fn)(shm_off item, void *arg), void *arg)
{
    for (;;) {
        for (uint32_t m = ht_used_mask(b); m; m &= m - 1) fn(ht_slot(b, (uint32_t)__builtin_ctz(m)), arg);
        shm_off next = ht_load5(b->next);
        if (!next) return;
        b = mem_view(r, next, sizeof *b);
    }
}

void mem_htable_each(struct mem_reader *r, const struct htable *t, void (*fn)(shm_off item, void *arg), void *arg)
{
    uint32_t buckets = t->buckets;
    shm_off dir = t->dir;
    for (uint32_t first = 0; first < buckets; first += HT_CHUNK) {
        struct scratch_mark mark = scratch_mark();
        uint32_t n = MIN(HT_CHUNK, buckets - first);
        shm_off chunk = dir;
        if (buckets > HT_CHUNK) chunk = le_load64(mem_view(r, dir + (first >> HT_CHUNK_BITS) * 8ull, 8));
        const struct bucket *b = mem_view(r, chunk, n * sizeof *b);
        for (uint32_t i = 0; i < n; i++) bucket_each(r, b + i, fn, arg);
        scratch_rewind(mark);
    }
}
