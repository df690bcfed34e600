/* types/list_type.c - what every type can do, for lists: freeing step by step, copying, memory. Row: keyspace/objtype.h. */
#include "keyspace/objtype.h"
#include "types/list_node.h"

static bool list_free_some(struct txn *t, enum encoding enc, shm_off root, uint64_t *budget)
{
    if (enc == ENC_LISTPACK) {
        if (root) node_free(t, false, root);
        return true;
    }
    struct list l = {enc, root};
    while (list_first(&l)) {
        if (!*budget) return false;
        if (*budget != UINT64_MAX) --*budget;
        node_remove(t, &l, list_first(&l));
    }
    txn_free(t, root, sizeof(struct list_root));
    return true;
}

static uint64_t list_free_effort(enum encoding enc, shm_off root)
{
    return enc == ENC_LISTPACK ? 1 : ((const struct list_root *)shm_ptr(root))->nodes;
}

static shm_off copy_node(struct txn *t, bool linked, const struct list_node *n) { return node_copy(t, linked, n, node_stem(n), 0, LIST_TAIL); }

static shm_off list_copy(struct txn *t, enum encoding enc, shm_off root)
{
    if (enc == ENC_LISTPACK) return copy_node(t, false, node_at(root));
    struct list from = {enc, root}, to = {enc, txn_alloc(t, sizeof(struct list_root))};
    *list_root(&to) = (struct list_root){0};
    for (shm_off n = list_first(&from); n; n = node_next(&from, n)) node_link(t, &to, copy_node(t, true, node_at(n)), list_last(&to));
    return to.root;
}

static uint64_t list_memory(enum encoding enc, shm_off root, uint64_t samples)
{
    if (enc == ENC_LISTPACK) return node_at(root)->size;
    struct list l = {enc, root};
    uint64_t bytes = 0, seen = 0;
    for (shm_off n = list_first(&l); n && (!samples || seen < samples); n = node_next(&l, n), seen++)
        bytes += node_at(n)->size + sizeof(struct list_links);
    return sizeof(struct list_root) + (seen ? bytes * list_root(&l)->nodes / seen : 0);
}

const struct objtype list_type = {
    .name = "list", .free_some = list_free_some, .free_effort = list_free_effort, .copy = list_copy, .memory = list_memory};
