/* snap/load_hash.c - hashes of RDB_HASH, _ZIPMAP, _ZIPLIST, _LISTPACK and of the forms with fields' expiries. A field twice makes the value
 * bad. Fields whose time is over are taken in: they are not seen, and removed with the next write or in their turn.
 */
#include "ds/ziplist.h"
#include "ds/zipmap.h"
#include "snap/rdb_load.h"
#include "types/hash.h"

#define EXPIRE_MAX ((1ull << 46) - 1) /* Redis' largest time of a field, milliseconds */

struct loading {
    struct txn *t;
    struct hash h;
};

static bool add(struct loading *x, struct slice field, struct slice value, uint64_t expire_ms)
{
    if (expire_ms > EXPIRE_MAX) return false;
    hash_expect(x->t, &x->h, 1, MAX(field.n, value.n));
    if (!hash_set(x->t, &x->h, field, value, HASH_TTL_CLEAR)) return false;
    if (expire_ms) hash_set_expire(x->t, &x->h, field, (int64_t)expire_ms);
    return true;
}

static struct slice value_text(const struct lp_value *v, uint8_t room[NUM_I64_ROOM])
{
    return v->text ? (struct slice){v->text, v->n} : (struct slice){room, num_from_i64(room, v->number)};
}

/* RDB_HASH and the forms in which each field has its time before it, or (Valkey) behind its value. */
static bool load_fields(struct rdb_in *in, unsigned type, uint64_t base, struct loading *x)
{
    uint64_t n, ttl = 0;
    if (!rdb_get_count(in, 2, &n)) return false;
    if (n > (uint64_t)setting(SET_hash_max_listpack_entries)) hash_expect(x->t, &x->h, n, 0);
    for (; n; n--) {
        struct scratch_mark mark = scratch_mark();
        struct slice field, value;
        if (type != RDB_HASH && type != RDB_HASH_VALKEY && !rdb_get_len(in, &ttl)) return false;
        if (type == RDB_HASH_TTL && ttl) ttl += base - 1;
        if (!rdb_get_string(in, &field) || !rdb_get_string(in, &value)) return false;
        if (type == RDB_HASH_VALKEY && (!rdb_get_u64(in, &ttl) || (int64_t)ttl < -1)) return rdb_bad(in);
        if (ttl == UINT64_MAX) ttl = 0;
        if (!add(x, field, value, ttl)) return rdb_refuse(in, "Duplicate hash fields detected");
        scratch_rewind(mark);
    }
    return true;
}

static bool load_zipmap(struct slice s, struct loading *x)
{
    struct zipmap_reader z;
    struct slice field, value;
    if (!zipmap_open(&z, s.p, s.n)) return false;
    while (zipmap_next(&z, &field, &value))
        if (!add(x, field, value, 0)) return false;
    return zipmap_done(&z) && x->h.root;
}

static bool load_ziplist(struct slice s, struct loading *x)
{
    struct ziplist_reader z;
    struct lp_value field, value;
    uint8_t a[NUM_I64_ROOM], b[NUM_I64_ROOM];
    if (!ziplist_open(&z, s.p, s.n)) return false;
    while (ziplist_next(&z, &field))
        if (!ziplist_next(&z, &value) || !add(x, value_text(&field, a), value_text(&value, b), 0)) return false;
    return ziplist_done(&z);
}

static bool load_listpack(struct rdb_in *in, struct slice s, bool times, struct loading *x)
{
    uint8_t a[NUM_I64_ROOM], b[NUM_I64_ROOM];
    if (!lp_validate(s.p, s.n, true, NULL, NULL) || lp_count(s.p) % (times ? 3 : 2)) return false;
    for (const uint8_t *p = lp_first(s.p); p; p = lp_next(p)) {
        struct slice field = lp_text(p, a), value = lp_text(p = lp_next(p), b);
        struct lp_value at = {0};
        if (times) lp_get(p = lp_next(p), &at);
        if (at.text || at.number < 0) return false;
        if (!add(x, field, value, (uint64_t)at.number)) return rdb_refuse(in, "Hash integrity check failed: listpack with dup elements");
    }
    return true;
}

static bool load(struct rdb_in *in, unsigned type, struct loading *x)
{
    struct slice s;
    uint64_t base = 0;
    if ((type == RDB_HASH_TTL || type == RDB_HASH_LISTPACK_TTL) && !rdb_get_u64(in, &base)) return false;
    if (type == RDB_HASH || type == RDB_HASH_TTL || type == RDB_HASH_TTL_OLD || type == RDB_HASH_VALKEY)
        return load_fields(in, type, base, x);
    if (!rdb_get_string(in, &s)) return false;
    if (type == RDB_HASH_ZIPMAP) return load_zipmap(s, x) || rdb_refuse(in, "Zipmap integrity check failed.");
    if (type == RDB_HASH_ZIPLIST) return load_ziplist(s, x) || rdb_refuse(in, "Hash ziplist integrity check failed.");
    if (load_listpack(in, s, type != RDB_HASH_LISTPACK, x)) return true;
    return in->why ? false : rdb_refuse(in, "Hash listpack integrity check failed.");
}

enum rdb_result rdb_load_hash(struct rdb_in *in, unsigned type, struct txn *t, struct rdb_value *v)
{
    struct loading x = {t, HASH_EMPTY};
    if (!load(in, type, &x)) return RDB_IS_BAD;
    if (!x.h.root || !hash_length(&x.h)) return RDB_IS_EMPTY;
    *v = (struct rdb_value){OBJ_HASH, x.h.enc, x.h.root};
    return RDB_LOADED;
}
