/* snap/save_list.c - lists as RDB_LIST_QUICKLIST_2: nodes u, each: kind u (plain or packed) and a string, the element or a listpack.
 *
 * A node of ours holds a listpack's elements without its header and end (types/list.h); those are added here.
 */
#include "base/le.h"
#include "snap/rdb_save.h"
#include "types/list.h"

static void save_packed(struct rdb_out *o, struct mem_reader *r, shm_off node, const struct list_node *n)
{
    uint32_t used = n->tail - n->head, bytes = LP_EMPTY_BYTES + used;
    uint8_t *lp = scratch_alloc(bytes);
    le_store32(lp, bytes);
    le_store16(lp + 4, (uint16_t)MIN(n->count, (uint32_t)LP_COUNT_UNKNOWN));
    memcpy(lp + LP_HEADER, mem_view(r, node + n->head, used), used);
    lp[bytes - 1] = LP_END;
    rdb_put_len(o, RDB_NODE_PACKED);
    rdb_put_blob(o, lp, bytes);
}

static void save_node(struct rdb_out *o, struct mem_reader *r, shm_off node)
{
    const struct list_node *n = mem_view(r, node, sizeof *n);
    if (n->count & LIST_PLAIN) {
        rdb_put_len(o, RDB_NODE_PLAIN);
        rdb_save_bytes(o, r, node + n->head, n->tail - n->head);
    } else {
        save_packed(o, r, node, n);
    }
}

void rdb_save_list(struct rdb_out *o, struct mem_reader *r, enum encoding enc, shm_off root)
{
    if (enc == ENC_LISTPACK) {
        rdb_put_len(o, 1);
        save_node(o, r, root);
        return;
    }
    const struct list_root *l = mem_view(r, root, sizeof *l);
    rdb_put_len(o, l->nodes);
    for (shm_off node = l->first; node;) {
        struct scratch_mark mark = scratch_mark();
        const struct list_links *links = mem_view(r, node - sizeof *links, sizeof *links);
        shm_off next = links->next;
        save_node(o, r, node);
        scratch_rewind(mark);
        node = next;
    }
}
