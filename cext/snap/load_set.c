/* snap/load_set.c - sets of RDB_SET, _INTSET and _LISTPACK. A member twice makes the value bad. */
#include "ds/intset.h"
#include "snap/rdb_load.h"
#include "types/set.h"

static const char listpack_bad[] = "Set listpack integrity check failed.";

struct loading {
    struct txn *t;
    struct set s;
    bool made;
    uint64_t count; /* how many members are announced */
};

static bool add(struct loading *x, struct slice member)
{
    if (!x->made) x->s = set_create(x->t, member, x->count);
    x->made = true;
    return set_add(x->t, &x->s, member);
}

static bool load_members(struct rdb_in *in, struct loading *x)
{
    if (!rdb_get_count(in, 1, &x->count)) return false;
    for (uint64_t n = x->count; n; n--) {
        struct scratch_mark mark = scratch_mark();
        struct slice s;
        if (!rdb_get_string(in, &s)) return false;
        if (!add(x, s)) return rdb_refuse(in, "Duplicate set members detected");
        scratch_rewind(mark);
    }
    return true;
}

static bool load_listpack(struct rdb_in *in, struct loading *x)
{
    struct slice s;
    uint8_t room[NUM_I64_ROOM];
    if (!rdb_get_string(in, &s)) return false;
    if (!lp_validate(s.p, s.n, true, NULL, NULL)) return rdb_refuse(in, listpack_bad);
    x->count = lp_count(s.p);
    for (const uint8_t *p = lp_first(s.p); p; p = lp_next(p))
        if (!add(x, lp_text(p, room))) return rdb_refuse(in, listpack_bad);
    return true;
}

static bool load_intset(struct rdb_in *in, struct loading *x)
{
    struct slice s;
    uint8_t room[NUM_I64_ROOM];
    if (!rdb_get_string(in, &s)) return false;
    if (!intset_validate(s.p, s.n, true)) return rdb_refuse(in, "Intset integrity check failed.");
    x->count = intset_count(s.p);
    if (x->count <= (uint64_t)MAX(setting(SET_set_max_intset_entries), 1)) {
        x->s = (struct set){ENC_INTSET, txn_alloc(x->t, s.n)};
        memcpy(shm_ptr(x->s.root), s.p, s.n);
        x->made = true;
        return true;
    }
    for (uint32_t i = 0; i < x->count; i++)
        if (!add(x, (struct slice){room, num_from_i64(room, intset_get(s.p, i))})) return false;
    return true;
}

enum rdb_result rdb_load_set(struct rdb_in *in, unsigned type, struct txn *t, struct rdb_value *v)
{
    struct loading x = {.t = t};
    bool sound = type == RDB_SET ? load_members(in, &x) : type == RDB_SET_INTSET ? load_intset(in, &x) : load_listpack(in, &x);
    if (!sound) return RDB_IS_BAD;
    if (!x.made || !set_count(&x.s)) return RDB_IS_EMPTY;
    *v = (struct rdb_value){OBJ_SET, x.s.enc, x.s.root};
    return RDB_LOADED;
}
