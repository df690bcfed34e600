/* snap/load_zset.c - sorted sets of RDB_ZSET, _ZSET_2, _ZIPLIST and _LISTPACK. A member twice or a score that is no number makes the value
 * bad. A sound listpack in order, within the limits, is taken as it is.
 */
#include "ds/ziplist.h"
#include "snap/rdb_load.h"
#include "types/zset.h"

#include <math.h>

struct loading {
    struct txn *t;
    struct zset z;
    bool made;
};

static bool add(struct loading *x, uint64_t count, struct slice name, double score)
{
    double now;
    if (isnan(score)) return false;
    if (!x->made) x->z = zset_create(x->t, count, name.n);
    x->made = true;
    return zset_add(x->t, &x->z, name, score, 0, &now) & ZADD_ADDED;
}

static struct slice value_text(const struct lp_value *v, uint8_t room[NUM_I64_ROOM])
{
    return v->text ? (struct slice){v->text, v->n} : (struct slice){room, num_from_i64(room, v->number)};
}

static bool value_score(const struct lp_value *v, double *score)
{
    if (!v->text) {
        *score = (double)v->number;
        return true;
    }
    return num_parse_double(v->text, v->n, score) && !isnan(*score);
}

static bool load_members(struct rdb_in *in, unsigned type, struct loading *x)
{
    uint64_t count;
    if (!rdb_get_count(in, 2, &count)) return false;
    for (uint64_t n = count; n; n--) {
        struct scratch_mark mark = scratch_mark();
        struct slice name;
        double score;
        if (!rdb_get_string(in, &name)) return false;
        if (!(type == RDB_ZSET ? rdb_get_double_text : rdb_get_double)(in, &score)) return false;
        if (!add(x, count, name, score)) return rdb_refuse(in, "Duplicate zset fields detected");
        scratch_rewind(mark);
    }
    return true;
}

static bool load_ziplist(struct slice s, struct loading *x)
{
    struct ziplist_reader z;
    struct lp_value name, score_value;
    uint8_t room[NUM_I64_ROOM];
    double score;
    if (!ziplist_open(&z, s.p, s.n)) return false;
    while (ziplist_next(&z, &name)) {
        if (!ziplist_next(&z, &score_value) || !value_score(&score_value, &score)) return false;
        if (!add(x, ziplist_said_count(&z) / 2, value_text(&name, room), score)) return false;
    }
    return ziplist_done(&z);
}

/* Are the members of the listpack in order, each once, short enough to be kept as they are? */
static bool listpack_fits(struct slice s, uint64_t count)
{
    struct zmember before, m;
    uint8_t rooms[2][NUM_I64_ROOM];
    unsigned turn = 0;
    if (count > (uint64_t)setting(SET_zset_max_listpack_entries)) return false;
    for (const uint8_t *p = lp_first(s.p); p; p = lp_next(lp_next(p)), turn ^= 1) {
        struct lp_value v;
        lp_get(lp_next(p), &v);
        m.name = lp_text(p, rooms[turn]);
        if (!value_score(&v, &m.score) || m.name.n > (uint64_t)setting(SET_zset_max_listpack_value)) return false;
        if (p != lp_first(s.p) && zmember_compare(&before, &m) >= 0) return false;
        if (lp_find(lp_next(lp_next(p)), m.name.p, m.name.n, 1)) return false;
        before = m;
    }
    return true;
}

static bool load_listpack(struct slice s, struct loading *x)
{
    uint8_t room[NUM_I64_ROOM];
    if (!lp_validate(s.p, s.n, true, NULL, NULL) || lp_count(s.p) % 2) return false;
    uint64_t count = lp_count(s.p) / 2;
    if (count && listpack_fits(s, count)) {
        x->z = (struct zset){ENC_LISTPACK, txn_alloc(x->t, s.n)};
        memcpy(shm_ptr(x->z.root), s.p, s.n);
        x->made = true;
        return true;
    }
    for (const uint8_t *p = lp_first(s.p); p; p = lp_next(lp_next(p))) {
        struct lp_value v;
        double score;
        lp_get(lp_next(p), &v);
        if (!value_score(&v, &score) || !add(x, count, lp_text(p, room), score)) return false;
    }
    return true;
}

enum rdb_result rdb_load_zset(struct rdb_in *in, unsigned type, struct txn *t, struct rdb_value *v)
{
    struct loading x = {.t = t};
    struct slice s;
    bool sound;
    if (type == RDB_ZSET || type == RDB_ZSET_2)
        sound = load_members(in, type, &x);
    else
        sound = rdb_get_string(in, &s) &&
                (type == RDB_ZSET_ZIPLIST ? load_ziplist(s, &x) || rdb_refuse(in, "Zset ziplist integrity check failed.")
                                          : load_listpack(s, &x) || rdb_refuse(in, "Zset listpack integrity check failed."));
    if (!sound) return RDB_IS_BAD;
    if (!x.made) return RDB_IS_EMPTY;
    *v = (struct rdb_value){OBJ_ZSET, x.z.enc, x.z.root};
    return RDB_LOADED;
}
