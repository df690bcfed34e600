/* snap/save_set.c - sets as RDB_SET_INTSET (the intset as it is) or RDB_SET (members u, each a string). */
#include "ds/intset.h"
#include "ds/listpack.h"
#include "snap/mem_walk.h"
#include "snap/rdb_save.h"

struct saving {
    struct rdb_out *o;
    struct mem_reader *r;
};

static void save_intset(struct rdb_out *o, struct mem_reader *r, shm_off root)
{
    uint64_t n = intset_bytes(mem_view(r, root, INTSET_HEADER));
    rdb_put_blob(o, mem_view(r, root, n), n);
}

static void save_listpack_members(struct rdb_out *o, struct mem_reader *r, shm_off root)
{
    const uint8_t *lp = mem_view(r, root, LP_HEADER);
    lp = mem_view(r, root, lp_bytes(lp));
    rdb_put_len(o, lp_count(lp));
    for (const uint8_t *p = lp_first(lp); p; p = lp_next(p)) {
        uint8_t room[NUM_I64_ROOM];
        struct slice s = lp_text(p, room);
        rdb_put_string(o, s.p, s.n);
    }
}

static void save_item(shm_off item, void *arg)
{
    struct saving *s = arg;
    struct scratch_mark mark = scratch_mark();
    rdb_save_member(s->o, s->r, item);
    scratch_rewind(mark);
}

void rdb_save_set(struct rdb_out *o, struct mem_reader *r, enum encoding enc, shm_off root)
{
    if (enc == ENC_INTSET) {
        save_intset(o, r, root);
    } else if (enc == ENC_LISTPACK) {
        save_listpack_members(o, r, root);
    } else {
        struct saving s = {o, r};
        const struct htable *t = mem_view(r, root, sizeof *t);
        rdb_put_len(o, t->count);
        mem_htable_each(r, t, save_item, &s);
    }
}
