/* types/zset.c - sorted sets: reading and changing. Layout, locks, deaths: zset.h; building, copying, freeing: zset_type.c. */
#include "types/zset.h"

#include <math.h>

#include "base/num.h"
#include "keyspace/lazy.h"
#include "types/packed.h"
#include "types/zset_item.h"

int slice_compare(struct slice a, struct slice b)
{
    size_t n = MIN(a.n, b.n);
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : a.n < b.n ? -1 : a.n > b.n;
}

int zmember_compare(const struct zmember *a, const struct zmember *b)
{
    return a->score < b->score ? -1 : a->score > b->score ? 1 : slice_compare(a->name, b->name);
}

/* ---- listpack ---- */

double zpacked_score(const uint8_t *p)
{
    struct lp_value v;
    lp_get(p, &v);
    if (!v.text) return (double)v.number;
    double d = 0;
    if (!num_parse_double(v.text, v.n, &d)) d = NAN; /* only what another program wrote */
    return d;
}

void zpacked_items(const struct zmember *m, struct lp_item items[2], uint8_t score_text[NUM_DOUBLE_ROOM])
{
    int64_t whole;
    items[0] = lp_item_text(m->name.p, m->name.n);
    items[1] = num_double_to_i64(m->score, &whole) ? lp_item_number(whole) : lp_item_text(score_text, num_from_double(score_text, m->score));
}

static bool packed_find(const struct zset *z, struct slice name, const uint8_t **at, double *score)
{
    const uint8_t *lp = packed_at(z->root);
    *at = lp_find(lp_first(lp), name.p, name.n, 1);
    if (!*at) return false;
    *score = zpacked_score(lp_next(*at));
    return true;
}

/* The entry before which a member belongs; NULL: at the end. */
static const uint8_t *packed_place(const uint8_t *lp, const struct zmember *m)
{
    uint8_t room[NUM_I64_ROOM];
    for (const uint8_t *p = lp_first(lp); p;) {
        const uint8_t *s = lp_next(p);
        double score = zpacked_score(s);
        if (score > m->score || (score == m->score && slice_compare(lp_text(p, room), m->name) > 0)) return p;
        p = lp_next(s);
    }
    return NULL;
}

static void packed_put(struct txn *t, struct zset *z, const uint8_t *at, uint32_t remove, const struct lp_item *items, uint32_t n)
{
    struct lp_edit e;
    ENSURE(lp_plan(packed_at(z->root), at, remove, items, n, &e));
    z->root = packed_edit(t, z->root, &e);
}

static void packed_insert(struct txn *t, struct zset *z, const struct zmember *m)
{
    struct lp_item items[2];
    uint8_t text[NUM_DOUBLE_ROOM];
    zpacked_items(m, items, text);
    packed_put(t, z, packed_place(packed_at(z->root), m), 0, items, 2);
}

static bool packed_fits(const struct zset *z, struct slice name)
{
    uint64_t n = lp_count(packed_at(z->root)) / 2;
    return (int64_t)n + 1 <= setting(SET_zset_max_listpack_entries) && (int64_t)name.n <= setting(SET_zset_max_listpack_value) &&
           lp_bytes(packed_at(z->root)) + name.n < LP_MAX_BYTES - 64;
}

/* ---- table and tree ---- */

uint64_t zitem_hash(shm_off item)
{
    struct slice name = zitem_name(item);
    return hash_bytes(name.p, name.n, seg()->hash_seed);
}
const struct ht_ops zitem_ops = {.hash = zitem_hash};

static ALWAYS_INLINE struct ht_place member_find(const struct zset_root *r, struct slice name, uint64_t h)
{
    return ht_find(&r->members, h, zitem_is, &name);
}

static void order_remove(struct txn *t, struct zset_root *r, shm_off item)
{
    struct bt_path p;
    struct zmember m = {zitem_name(item), zitem_score(item)};
    ENSURE(bt_find(&r->order, ZORDER_BYTES, zorder_compare, &m, &p));
    bt_remove_at(t, &r->order, ZORDER_BYTES, &p);
}

static void order_insert(struct txn *t, struct zset_root *r, shm_off item)
{
    struct bt_path p;
    struct zmember m = {zitem_name(item), zitem_score(item)};
    uint8_t entry[ZORDER_BYTES];
    bt_find(&r->order, ZORDER_BYTES, zorder_compare, &m, &p);
    zorder_entry(entry, m.score, item);
    bt_insert_at(t, &r->order, ZORDER_BYTES, &p, entry);
}

/* A member whose neighbours in its leaf allow it stays where it is and only gets the new score. */
static void order_move(struct txn *t, struct zset_root *r, shm_off item, double score)
{
    struct bt_path p;
    struct zmember m = {zitem_name(item), zitem_score(item)};
    uint8_t entry[ZORDER_BYTES];
    ENSURE(bt_find(&r->order, ZORDER_BYTES, zorder_compare, &m, &p));
    zorder_entry(entry, score, item);
    bool after_before = p.at > 0 && zorder_score(bt_leaf_entry(p.leaf, ZORDER_BYTES, p.at - 1)) < score;
    bool before_after = p.at + 1 < p.leaf->count && zorder_score(bt_leaf_entry(p.leaf, ZORDER_BYTES, p.at + 1)) > score;
    if (after_before && before_after) {
        bt_replace_at(t, &r->order, ZORDER_BYTES, &p, entry);
    } else {
        bt_remove_at(t, &r->order, ZORDER_BYTES, &p);
        m.score = score;
        bt_find(&r->order, ZORDER_BYTES, zorder_compare, &m, &p);
        bt_insert_at(t, &r->order, ZORDER_BYTES, &p, entry);
    }
    double *field = shm_ptr(item);
    TXN_SET(t, *field, score);
}

/* ---- what owners call ---- */

uint64_t zset_count(const struct zset *z)
{
    return z->enc == ENC_SKIPLIST ? zset_root(z)->members.count : lp_count(packed_at(z->root)) / 2;
}

bool zset_score(const struct zset *z, struct slice name, double *score)
{
    const uint8_t *at;
    if (z->enc == ENC_LISTPACK) return packed_find(z, name, &at, score);
    struct ht_place p = member_find(zset_root(z), name, hash_bytes(name.p, name.n, seg()->hash_seed));
    if (!p.bucket) return false;
    *score = zitem_score(p.item);
    return true;
}

int64_t zset_rank(const struct zset *z, struct slice name, double *score)
{
    if (z->enc == ENC_LISTPACK) {
        int64_t rank = 0;
        for (const uint8_t *p = lp_first(packed_at(z->root)); p; rank++) {
            const uint8_t *s = lp_next(p);
            if (lp_equals(p, name.p, name.n)) {
                *score = zpacked_score(s);
                return rank;
            }
            p = lp_next(s);
        }
        return -1;
    }
    if (!zset_score(z, name, score)) return -1;
    struct bt_path p;
    struct zmember m = {name, *score};
    ENSURE(bt_find(&zset_root(z)->order, ZORDER_BYTES, zorder_compare, &m, &p));
    return (int64_t)bt_rank(&p);
}

/* Ranks of bounds in the tree: entries "before" the bound compare as -1, all others as 1. */
static int compare_score_below(const uint8_t *entry, const void *key) { return zorder_score(entry) < *(const double *)key ? -1 : 1; }
static int compare_score_upto(const uint8_t *entry, const void *key) { return zorder_score(entry) <= *(const double *)key ? -1 : 1; }
static int compare_name_below(const uint8_t *entry, const void *key)
{
    return slice_compare(zitem_name(zorder_item(entry)), *(const struct slice *)key) < 0 ? -1 : 1;
}
static int compare_name_upto(const uint8_t *entry, const void *key)
{
    return slice_compare(zitem_name(zorder_item(entry)), *(const struct slice *)key) <= 0 ? -1 : 1;
}

uint64_t zset_rank_of_score(const struct zset *z, double score, bool or_equal)
{
    struct bt_path path;
    if (z->enc == ENC_SKIPLIST) {
        if (or_equal)
            bt_find(&zset_root(z)->order, ZORDER_BYTES, compare_score_upto, &score, &path);
        else
            bt_find(&zset_root(z)->order, ZORDER_BYTES, compare_score_below, &score, &path);
        return bt_rank(&path);
    }
    uint64_t rank = 0;
    for (const uint8_t *p = lp_first(packed_at(z->root)); p; rank++) {
        const uint8_t *s = lp_next(p);
        double have = zpacked_score(s);
        if (or_equal ? have > score : have >= score) break;
        p = lp_next(s);
    }
    return rank;
}

uint64_t zset_rank_of_name(const struct zset *z, struct slice name, bool or_equal)
{
    struct bt_path path;
    if (z->enc == ENC_SKIPLIST) {
        if (or_equal)
            bt_find(&zset_root(z)->order, ZORDER_BYTES, compare_name_upto, &name, &path);
        else
            bt_find(&zset_root(z)->order, ZORDER_BYTES, compare_name_below, &name, &path);
        return bt_rank(&path);
    }
    uint64_t rank = 0;
    uint8_t room[NUM_I64_ROOM];
    for (const uint8_t *p = lp_first(packed_at(z->root)); p; rank++) {
        int c = slice_compare(lp_text(p, room), name);
        if (or_equal ? c > 0 : c >= 0) break;
        p = lp_next(lp_next(p));
    }
    return rank;
}

/* ---- walking ---- */

void zset_walk_from(const struct zset *z, struct zset_walk *w, uint64_t rank, bool down)
{
    w->packed = z->enc == ENC_LISTPACK;
    w->down = down;
    if (!w->packed) {
        w->c = bt_at_rank(&zset_root(z)->order, ZORDER_BYTES, rank);
        return;
    }
    w->lp = packed_at(z->root);
    w->p = rank <= UINT32_MAX ? lp_seek(w->lp, (int64_t)(rank * 2)) : NULL;
}

bool zset_walk_next(struct zset_walk *w, struct zmember *m)
{
    if (w->packed) {
        if (!w->p) return false;
        const uint8_t *s = lp_next(w->p);
        m->name = lp_text(w->p, w->room);
        m->score = zpacked_score(s);
        const uint8_t *before = w->down ? lp_prev(w->lp, w->p) : NULL;
        w->p = !w->down ? lp_next(s) : before ? lp_prev(w->lp, before) : NULL;
        return true;
    }
    if (!w->c.leaf) return false;
    const uint8_t *entry = bt_entry(w->c, ZORDER_BYTES);
    m->score = zorder_score(entry);
    m->name = zitem_name(zorder_item(entry));
    if (w->down)
        bt_prev(&w->c);
    else
        bt_next(&w->c);
    if (w->c.leaf) __builtin_prefetch(shm_ptr(zorder_item(bt_entry(w->c, ZORDER_BYTES))));
    return true;
}

void zset_each(enum encoding enc, shm_off root, bool (*fn)(const struct zmember *m, void *arg), void *arg)
{
    struct zset z = {enc, root};
    struct zset_walk w;
    struct zmember m;
    zset_walk_from(&z, &w, 0, false);
    while (zset_walk_next(&w, &m) && fn(&m, arg)) {}
}

struct scan {
    void (*fn)(const struct zmember *m, void *arg);
    void *arg;
};

static void scan_one(shm_off item, void *arg)
{
    const struct scan *s = arg;
    struct zmember m = {zitem_name(item), zitem_score(item)};
    s->fn(&m, s->arg);
}

uint64_t zset_scan(const struct zset *z, uint64_t cursor, void (*fn)(const struct zmember *m, void *arg), void *arg)
{
    struct scan s = {fn, arg};
    if (z->enc == ENC_SKIPLIST) return ht_scan(&zset_root(z)->members, cursor, scan_one, &s);
    struct zset_walk w;
    struct zmember m;
    zset_walk_from(z, &w, 0, false);
    while (zset_walk_next(&w, &m)) fn(&m, arg);
    return 0;
}

/* ---- changing ---- */

/* What becomes of a member that is there, as the options say; sets *score to its new score. */
static uint32_t decide(uint32_t how, double old, double *score)
{
    if (how & ZADD_NX) return ZADD_NOP;
    if (how & ZADD_INCR) {
        *score += old;
        if (isnan(*score)) return ZADD_NAN;
    }
    if ((how & ZADD_LT && *score >= old) || (how & ZADD_GT && *score <= old)) return ZADD_NOP;
    return *score != old ? ZADD_UPDATED : 0;
}

static uint32_t packed_add(struct txn *t, struct zset *z, struct zmember *m, uint32_t how, double *now)
{
    const uint8_t *at;
    double old;
    if (packed_find(z, m->name, &at, &old)) {
        *now = old;
        uint32_t done = decide(how, old, &m->score);
        if (done & (ZADD_NOP | ZADD_NAN)) return done;
        *now = m->score;
        if (done) {
            packed_put(t, z, at, 2, NULL, 0);
            packed_insert(t, z, m);
        }
        return done;
    }
    *now = m->score;
    if (how & ZADD_XX) return ZADD_NOP;
    if (!packed_fits(z, m->name)) {
        zset_to_table(t, z);
        return zset_add(t, z, m->name, m->score, 0, now);
    }
    packed_insert(t, z, m);
    return ZADD_ADDED;
}

uint32_t zset_add(struct txn *t, struct zset *z, struct slice name, double score, uint32_t how, double *now)
{
    struct zmember m = {name, score};
    if (isnan(score)) return ZADD_NAN;
    if (z->enc == ENC_LISTPACK) return packed_add(t, z, &m, how, now);
    struct zset_root *r = zset_root(z);
    uint64_t h = hash_bytes(name.p, name.n, seg()->hash_seed);
    struct ht_place p = member_find(r, name, h);
    if (p.bucket) {
        *now = zitem_score(p.item);
        uint32_t done = decide(how, *now, &m.score);
        if (done & (ZADD_NOP | ZADD_NAN)) return done;
        if (done) order_move(t, r, p.item, m.score);
        *now = m.score;
        return done;
    }
    *now = score;
    if (how & ZADD_XX) return ZADD_NOP;
    shm_off item = zitem_new(t, name, score);
    ht_insert(t, &r->members, &zitem_ops, h, item);
    order_insert(t, r, item);
    return ZADD_ADDED;
}

bool zset_remove(struct txn *t, struct zset *z, struct slice name)
{
    const uint8_t *at;
    double score;
    if (z->enc == ENC_LISTPACK) {
        if (!packed_find(z, name, &at, &score)) return false;
        packed_put(t, z, at, 2, NULL, 0);
        return true;
    }
    struct zset_root *r = zset_root(z);
    uint64_t h = hash_bytes(name.p, name.n, seg()->hash_seed);
    struct ht_place p = member_find(r, name, h);
    if (!p.bucket) return false;
    order_remove(t, r, p.item);
    ht_remove(t, &r->members, &zitem_ops, h, p);
    zitem_free(t, p.item);
    return true;
}

static void forget_member(struct txn *t, const uint8_t *entry, void *arg)
{
    struct zset_root *r = arg;
    shm_off item = zorder_item(entry);
    struct slice name = zitem_name(item);
    uint64_t h = hash_bytes(name.p, name.n, seg()->hash_seed);
    struct ht_place p = member_find(r, name, h);
    ENSURE(p.item == item);
    ht_remove(t, &r->members, &zitem_ops, h, p);
    zitem_free(t, item); /* its memory stays as it is until the commit, so the tree may still name it */
}

void zset_remove_ranks(struct txn *t, struct zset *z, uint64_t from, uint64_t n)
{
    if (!n) return;
    if (z->enc == ENC_LISTPACK)
        packed_put(t, z, lp_seek(packed_at(z->root), (int64_t)(from * 2)), (uint32_t)(n * 2), NULL, 0);
    else if (n > LAZY_EFFORT && zset_count(z) - n < n / 4 && n < zset_count(z))
        zset_keep_few(t, z, from, n);
    else
        bt_remove_range(t, &zset_root(z)->order, ZORDER_BYTES, from, n, forget_member, zset_root(z));
}
