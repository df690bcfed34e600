/* snap/load_list.c - lists of RDB_LIST, _ZIPLIST, _QUICKLIST and _QUICKLIST_2, element by element: our nodes are our own.
 *
 * Empty ziplists and listpacks within a quicklist are passed over, as Redis does.
 */
#include "ds/ziplist.h"
#include "snap/rdb_load.h"
#include "types/list.h"

struct loading {
    struct txn *t;
    struct list l;
};

static void add(struct loading *x, struct slice s)
{
    list_expect(x->t, &x->l, s.n, 1);
    list_push(x->t, &x->l, LIST_TAIL, s);
}

static void add_value(struct loading *x, const struct lp_value *v)
{
    uint8_t room[NUM_I64_ROOM];
    add(x, v->text ? (struct slice){v->text, v->n} : (struct slice){room, num_from_i64(room, v->number)});
}

static bool add_ziplist(struct loading *x, struct slice s)
{
    struct ziplist_reader z;
    struct lp_value v;
    if (!ziplist_open(&z, s.p, s.n)) return false;
    while (ziplist_next(&z, &v)) add_value(x, &v);
    return ziplist_done(&z);
}

static bool add_listpack(struct loading *x, struct slice s)
{
    if (!lp_validate(s.p, s.n, true, NULL, NULL)) return false;
    for (const uint8_t *p = lp_first(s.p); p; p = lp_next(p)) {
        struct lp_value v;
        lp_get(p, &v);
        add_value(x, &v);
    }
    return true;
}

/* One item of the outer row. */
static bool load_item(struct rdb_in *in, unsigned type, struct loading *x)
{
    struct slice s;
    uint64_t kind = 0;
    if (type == RDB_LIST_QUICKLIST_2 && (!rdb_get_len(in, &kind) || (kind != RDB_NODE_PLAIN && kind != RDB_NODE_PACKED))) return false;
    if (!rdb_get_string(in, &s)) return false;
    if (type == RDB_LIST || kind == RDB_NODE_PLAIN) {
        if (s.n >= LP_MAX_BYTES || (kind == RDB_NODE_PLAIN && !s.n)) return rdb_refuse(in, "Quicklist node is empty or too large");
        add(x, s);
        return true;
    }
    if (kind == RDB_NODE_PACKED) return add_listpack(x, s) || rdb_refuse(in, "Quicklist listpack integrity check failed.");
    return add_ziplist(x, s) || rdb_refuse(in, type == RDB_LIST_ZIPLIST ? "List ziplist integrity check failed."
                                                                        : "Quicklist ziplist integrity check failed.");
}

enum rdb_result rdb_load_list(struct rdb_in *in, unsigned type, struct txn *t, struct rdb_value *v)
{
    struct loading x = {t, LIST_EMPTY};
    uint64_t n = 1;
    if (type != RDB_LIST_ZIPLIST && !rdb_get_count(in, 1, &n)) return RDB_IS_BAD;
    for (; n; n--) {
        struct scratch_mark mark = scratch_mark();
        if (!load_item(in, type, &x)) return RDB_IS_BAD;
        scratch_rewind(mark);
    }
    if (!x.l.root || !list_length(&x.l)) return RDB_IS_EMPTY;
    list_settle(t, &x.l, false);
    *v = (struct rdb_value){OBJ_LIST, x.l.enc, x.l.root};
    return RDB_LOADED;
}
