/* types/zset_type.c - sorted sets as wholes: building, converting, copying, freeing, measuring. Layout, locks, deaths: zset.h. */
#include "base/num.h"
#include "keyspace/lazy.h"
#include "keyspace/objtype.h"
#include "types/packed.h"
#include "types/zset_item.h"

/* ---- building ---- */

struct source { /* members in order: from an array or from a set */
    struct txn *t;
    struct zset_root *root;
    const struct zmember *members;
    struct zset_walk walk;
};

static void next_entry(uint8_t *entry, void *arg)
{
    struct source *s = arg;
    struct zmember m;
    if (s->members)
        m = *s->members++;
    else
        ENSURE(zset_walk_next(&s->walk, &m));
    shm_off item = zitem_new(s->t, m.name, m.score);
    ht_fill(s->t, &s->root->members, hash_bytes(m.name.p, m.name.n, seg()->hash_seed), item);
    zorder_entry(entry, m.score, item);
}

static struct zset table_build(struct txn *t, struct source *s, uint64_t n)
{
    struct zset z = {ENC_SKIPLIST, txn_alloc_zero(t, sizeof(struct zset_root))};
    s->t = t;
    s->root = zset_root(&z);
    ht_reserve(t, &s->root->members, n);
    bt_build(t, &s->root->order, ZORDER_BYTES, n, next_entry, s);
    return z;
}

void zset_to_table(struct txn *t, struct zset *z)
{
    struct source s = {0};
    zset_walk_from(z, &s.walk, 0, false);
    struct zset fresh = table_build(t, &s, zset_count(z));
    packed_free(t, z->root);
    *z = fresh;
}

static struct zset packed_build(struct txn *t, const struct zmember *members, uint64_t n)
{
    struct lp_item *items = scratch_alloc(2 * n * sizeof *items);
    uint8_t(*texts)[NUM_DOUBLE_ROOM] = scratch_alloc(n * NUM_DOUBLE_ROOM);
    struct lp_edit e;
    for (uint64_t i = 0; i < n; i++) zpacked_items(&members[i], items + 2 * i, texts[i]);
    ENSURE(lp_plan(lp_empty, NULL, 0, items, (uint32_t)(2 * n), &e));
    return (struct zset){ENC_LISTPACK, packed_edit(t, 0, &e)};
}

struct zset zset_build_as(struct txn *t, enum encoding enc, const struct zmember *members, uint64_t n)
{
    if (enc == ENC_LISTPACK) return packed_build(t, members, n);
    struct source s = {.members = members};
    return table_build(t, &s, n);
}

struct zset zset_build(struct txn *t, const struct zmember *members, uint64_t n)
{
    size_t longest = 0, total = 0;
    for (uint64_t i = 0; i < n; i++) {
        longest = MAX(longest, members[i].name.n);
        total += members[i].name.n;
    }
    bool packed = (int64_t)n <= setting(SET_zset_max_listpack_entries) && (int64_t)longest <= setting(SET_zset_max_listpack_value) &&
                  total + n * 64 < LP_MAX_BYTES;
    return zset_build_as(t, packed ? ENC_LISTPACK : ENC_SKIPLIST, members, n);
}

void zset_keep_few(struct txn *t, struct zset *z, uint64_t from, uint64_t n)
{
    uint64_t count = zset_count(z), stay = count - n, k = 0;
    struct zmember *members = scratch_alloc((stay + 1) * sizeof *members);
    struct zset_walk w;
    shm_off old = z->root;
    zset_walk_from(z, &w, 0, false);
    while (k < from && zset_walk_next(&w, &members[k])) k++;
    if (k < stay) zset_walk_from(z, &w, from + n, false);
    while (k < stay && zset_walk_next(&w, &members[k])) k++;
    *z = zset_build_as(t, ENC_SKIPLIST, members, stay);
    value_free(t, OBJ_ZSET, ENC_SKIPLIST, old);
}

struct zset zset_create(struct txn *t, uint64_t count_hint, size_t longest)
{
    if (count_hint <= (uint64_t)setting(SET_zset_max_listpack_entries) && longest <= (uint64_t)setting(SET_zset_max_listpack_value))
        return (struct zset){ENC_LISTPACK, 0};
    return (struct zset){ENC_SKIPLIST, txn_alloc_zero(t, sizeof(struct zset_root))};
}

void zset_expect(struct txn *t, struct zset *z, uint64_t count_hint)
{
    if (z->enc == ENC_LISTPACK && count_hint > (uint64_t)setting(SET_zset_max_listpack_entries)) zset_to_table(t, z);
}

/* ---- the type's row ---- */

static void item_gone(struct txn *t, shm_off item, void *arg)
{
    (void)arg;
    zitem_free(t, item);
}

static bool zset_free_some(struct txn *t, enum encoding enc, shm_off root, uint64_t *budget)
{
    if (enc == ENC_LISTPACK) {
        packed_free(t, root);
        return true;
    }
    struct zset_root *r = shm_ptr(root);
    if (!bt_drain(t, &r->order, ZORDER_BYTES, NULL, NULL, budget)) return false;
    if (!ht_drain(t, &r->members, item_gone, NULL, budget)) return false;
    txn_free(t, root, sizeof *r);
    return true;
}

static uint64_t zset_free_effort(enum encoding enc, shm_off root)
{
    return enc == ENC_LISTPACK ? 1 : ((const struct zset_root *)shm_ptr(root))->members.count;
}

static shm_off zset_copy(struct txn *t, enum encoding enc, shm_off root)
{
    if (enc == ENC_LISTPACK) return packed_copy(t, root);
    struct zset z = {enc, root};
    struct source s = {0};
    zset_walk_from(&z, &s.walk, 0, false);
    return table_build(t, &s, zset_count(&z)).root;
}

static uint64_t zset_memory(enum encoding enc, shm_off root, uint64_t samples)
{
    if (enc == ENC_LISTPACK) return arena_usable(lp_bytes(shm_ptr(root)));
    struct zset z = {enc, root};
    const struct zset_root *r = zset_root(&z);
    uint64_t n = r->members.count, seen = 0, bytes = 0;
    struct zset_walk w;
    struct zmember m;
    zset_walk_from(&z, &w, 0, false);
    while ((!samples || seen < samples) && zset_walk_next(&w, &m)) {
        bytes += arena_usable(zitem_bytes(m.name.n));
        seen++;
    }
    uint64_t items = seen ? (uint64_t)((double)bytes / (double)seen * (double)n) : 0;
    return arena_usable(sizeof *r) + ht_memory(&r->members) + bt_memory(&r->order) + items;
}

static const struct objtype zset_objtype = {
    .name = "zset", .free_some = zset_free_some, .free_effort = zset_free_effort, .copy = zset_copy, .memory = zset_memory,
};

__attribute__((constructor)) static void zset_register(void) { objtypes[OBJ_ZSET] = &zset_objtype; }

/* ---- integrity ---- */

static int compare_entries(const uint8_t *entry, const void *key)
{
    struct zmember m = {zitem_name(zorder_item(key)), zorder_score(key)};
    return zorder_compare(entry, &m);
}

bool zset_check(const struct zset *z)
{
    if (z->enc == ENC_SKIPLIST) {
        const struct zset_root *r = zset_root(z);
        if (r->members.count != r->order.count || !bt_check(&r->order, ZORDER_BYTES, compare_entries)) return false;
    }
    struct zset_walk w;
    struct zmember m, last;
    uint8_t room[NUM_I64_ROOM];
    uint64_t n = 0;
    zset_walk_from(z, &w, 0, false);
    for (; zset_walk_next(&w, &m); n++) {
        double score;
        if (!zset_score(z, m.name, &score) || score != m.score) return false;
        if (n && zmember_compare(&last, &m) >= 0) return false;
        last = m;
        if (m.name.p == w.room) { /* a printed number is overwritten by the next step */
            memcpy(room, m.name.p, m.name.n);
            last.name.p = room;
        }
    }
    return n == zset_count(z);
}
