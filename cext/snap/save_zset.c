/* snap/save_zset.c - sorted sets as RDB_ZSET_LISTPACK (the listpack as it is) or RDB_ZSET_2 (members u, each: string, binary score). */
#include "snap/mem_walk.h"
#include "snap/rdb_save.h"
#include "types/zset_item.h"

struct saving {
    struct rdb_out *o;
    struct mem_reader *r;
};

static void save_member(const uint8_t *entry, void *arg)
{
    struct saving *s = arg;
    struct scratch_mark mark = scratch_mark();
    rdb_save_member(s->o, s->r, zorder_item(entry) + 8); /* behind the score: types/zset.h */
    rdb_put_double(s->o, zorder_score(entry));
    scratch_rewind(mark);
}

void rdb_save_zset(struct rdb_out *o, struct mem_reader *r, enum encoding enc, shm_off root)
{
    if (enc == ENC_LISTPACK) {
        rdb_save_listpack(o, r, root);
        return;
    }
    struct saving s = {o, r};
    const struct zset_root *z = mem_view(r, root, sizeof *z);
    rdb_put_len(o, z->order.count);
    mem_btree_each(r, &z->order, ZORDER_BYTES, save_member, &s);
}
