/* snap/save_list.c - lists as RDB_LIST_QUICKLIST_2: nodes u, each: kind u (plain or packed) and a string, the element or a listpack.
 *
 * A node of ours holds a listpack's elements without its header and end, perhaps without their common beginning (types/list.h).
 */
#include "base/le.h"
#include "snap/rdb_save.h"
#include "types/list.h"

/* Elements with the node's stem before them again: used + saved bytes. */
static void write_whole(uint8_t *to, struct slice stem, const uint8_t *p, const uint8_t *end)
{
    uint8_t room[STEM_TEXT_MAX];
    for (; p < end; p = lp_after(p)) {
        struct lp_value v;
        stem_get(stem, p, &v, room);
        struct lp_item item = v.text ? lp_item_text(v.text, v.n) : lp_item_number(v.number);
        to = lp_item_write(to, &item);
    }
}

static void save_packed(struct rdb_out *o, struct mem_reader *r, shm_off node, const struct list_node *n)
{
    uint32_t used = n->tail - n->head, stem_bytes = n->count >> LIST_STEM_SHIFT & STEM_MAX, bytes = LP_EMPTY_BYTES + used + n->saved;
    uint8_t *lp = scratch_alloc(bytes);
    le_store32(lp, bytes);
    le_store16(lp + 4, (uint16_t)MIN(n->count & LIST_COUNT, (uint32_t)LP_COUNT_UNKNOWN));
    const uint8_t *elements = mem_view(r, node + n->head, used);
    if (stem_bytes)
        write_whole(lp + LP_HEADER, (struct slice){mem_view(r, node + sizeof *n, stem_bytes), stem_bytes}, elements, elements + used);
    else
        memcpy(lp + LP_HEADER, elements, used);
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
