/* types/set.c - sets: reading and changing. Layout, locks, deaths: set.h. */
#include "types/set.h"

#include "base/hash.h"
#include "base/num.h"
#include "ds/intset.h"
#include "keyspace/objtype.h"
#include "types/packed.h"

#define LONG_NAME 255u

/* ---- items of the table ---- */

static ALWAYS_INLINE struct htable *table(const struct set *s) { return shm_ptr(s->root); }
static ALWAYS_INLINE struct slice item_name(shm_off item)
{
    const uint8_t *p = shm_ptr(item);
    if (likely(*p != LONG_NAME)) return (struct slice){p + 1, *p};
    uint32_t n;
    memcpy(&n, p + 1, 4);
    return (struct slice){p + 5, n};
}
static ALWAYS_INLINE uint64_t item_bytes(size_t name) { return (name < LONG_NAME ? 1 : 5) + name; }

static shm_off item_new(struct txn *t, struct slice name)
{
    shm_off off = txn_alloc(t, item_bytes(name.n));
    uint8_t *p = shm_ptr(off);
    uint32_t n = (uint32_t)name.n;
    p[0] = n < LONG_NAME ? (uint8_t)n : LONG_NAME;
    if (n >= LONG_NAME) memcpy(p + 1, &n, 4);
    if (n) memcpy(p + item_bytes(n) - n, name.p, n);
    return off;
}

static void item_free(struct txn *t, shm_off item, void *arg)
{
    (void)arg;
    txn_free(t, item, item_bytes(item_name(item).n));
}

static uint64_t name_hash(struct slice name) { return hash_bytes(name.p, name.n, seg()->hash_seed); }
static uint64_t item_hash(shm_off item) { return name_hash(item_name(item)); }
static const struct ht_ops item_ops = {.hash = item_hash};

static ALWAYS_INLINE bool item_is(shm_off item, const void *name)
{
    const struct slice *want = name;
    struct slice have = item_name(item);
    return have.n == want->n && bytes_equal(have.p, want->p, have.n);
}

static ALWAYS_INLINE struct ht_place item_find(const struct htable *h, struct slice name, uint64_t hash)
{
    return ht_find(h, hash, item_is, &name);
}

static bool member_number(struct slice m, int64_t *v) { return m.n <= NUM_I64_ROOM && num_parse_i64(m.p, m.n, v); }

static const uint8_t *ints(const struct set *s) { return s->root ? shm_ptr(s->root) : intset_empty; }

/* ---- reading ---- */

uint64_t set_count(const struct set *s)
{
    if (s->enc == ENC_HASHTABLE) return table(s)->count;
    return s->enc == ENC_INTSET ? intset_count(ints(s)) : lp_count(packed_at(s->root));
}

bool set_has(const struct set *s, struct slice member)
{
    int64_t v;
    if (s->enc == ENC_HASHTABLE) return item_find(table(s), member, name_hash(member)).bucket != NULL;
    if (s->enc == ENC_INTSET) return member_number(member, &v) && intset_find(ints(s), v, NULL);
    return lp_find(lp_first(packed_at(s->root)), member.p, member.n, 0) != NULL;
}

struct each {
    bool (*fn)(const struct lp_value *v, void *arg);
    void *arg;
    bool go_on;
};

static void each_item(shm_off item, void *arg)
{
    struct each *e = arg;
    if (!e->go_on) return;
    struct slice name = item_name(item);
    struct lp_value v = {name.p, (uint32_t)name.n, 0};
    e->go_on = e->fn(&v, e->arg);
}

static void each_compact(const struct set *s, struct each *e)
{
    struct lp_value v = {0};
    if (s->enc == ENC_INTSET) {
        for (uint32_t i = 0, n = intset_count(ints(s)); i < n && e->go_on; i++) {
            v.number = intset_get(ints(s), i);
            e->go_on = e->fn(&v, e->arg);
        }
        return;
    }
    for (const uint8_t *p = lp_first(packed_at(s->root)); p && e->go_on; p = lp_next(p)) {
        lp_get(p, &v);
        e->go_on = e->fn(&v, e->arg);
    }
}

void set_each(enum encoding enc, shm_off root, bool (*fn)(const struct lp_value *v, void *arg), void *arg)
{
    struct set s = {enc, root};
    struct each e = {fn, arg, true};
    if (enc != ENC_HASHTABLE) {
        each_compact(&s, &e);
        return;
    }
    const struct htable *h = table(&s);
    for (uint32_t i = 0; i < h->buckets && e.go_on; i++) /* as ht_each(), but it ends when fn has enough */
        for (const struct bucket *b = ht_bucket(h, i); b; b = ht_next(b))
            for (uint32_t m = ht_used_mask(b); m; m &= m - 1) each_item(ht_slot(b, (uint32_t)__builtin_ctz(m)), &e);
}

uint64_t set_scan(const struct set *s, uint64_t cursor, bool (*fn)(const struct lp_value *v, void *arg), void *arg)
{
    struct each e = {fn, arg, true};
    if (s->enc == ENC_HASHTABLE) return ht_scan(table(s), cursor, each_item, &e);
    each_compact(s, &e);
    return 0;
}

void set_at(const struct set *s, uint64_t index, struct lp_value *v)
{
    *v = (struct lp_value){0};
    if (s->enc == ENC_INTSET)
        v->number = intset_get(ints(s), (uint32_t)index);
    else
        lp_get(lp_seek(packed_at(s->root), (int64_t)index), v);
}

/* A random bucket and a random place of 32 in its chain, until there is an item: so every item is as likely (chains are shorter). */
static shm_off random_item(const struct htable *h, uint64_t (*random64)(void))
{
    for (;;) {
        uint64_t r = random64();
        const struct bucket *b = ht_bucket(h, (uint32_t)((r >> 8) % h->buckets));
        uint32_t at = r & 31;
        for (; b; b = ht_next(b)) {
            uint32_t used = ht_used_mask(b), n = (uint32_t)__builtin_popcount(used);
            if (at >= n) {
                at -= n;
                continue;
            }
            while (at--) used &= used - 1;
            return ht_slot(b, (uint32_t)__builtin_ctz(used));
        }
    }
}

void set_random(const struct set *s, uint64_t (*random64)(void), struct lp_value *v)
{
    if (s->enc != ENC_HASHTABLE) {
        set_at(s, random64() % set_count(s), v);
        return;
    }
    struct slice name = item_name(random_item(table(s), random64));
    *v = (struct lp_value){name.p, (uint32_t)name.n, 0};
}

/* ---- building ---- */

static struct set ints_build(struct txn *t, const struct slice *members, uint64_t n)
{
    struct set s = {ENC_INTSET, 0};
    for (uint64_t i = 0; i < n; i++) set_add(t, &s, members[i]);
    return s;
}

static struct set packed_build(struct txn *t, const struct slice *members, uint64_t n)
{
    struct lp_item *items = scratch_alloc(n * sizeof *items);
    struct lp_edit e;
    for (uint64_t i = 0; i < n; i++) items[i] = lp_item_text(members[i].p, members[i].n);
    ENSURE(lp_plan(lp_empty, NULL, 0, items, (uint32_t)n, &e));
    return (struct set){ENC_LISTPACK, packed_edit(t, 0, &e)};
}

static struct set table_new(struct txn *t, uint64_t count)
{
    struct set s = {ENC_HASHTABLE, txn_alloc_zero(t, sizeof(struct htable))};
    ht_reserve(t, table(&s), count);
    return s;
}

/* Only into a table that table_new() has made large enough in this transaction. */
static void table_fill(struct txn *t, const struct set *s, struct slice name)
{
    ht_fill(t, table(s), name_hash(name), item_new(t, name));
}

struct set set_build_as(struct txn *t, enum encoding enc, const struct slice *members, uint64_t n)
{
    if (enc == ENC_INTSET) return ints_build(t, members, n);
    if (enc == ENC_LISTPACK) return packed_build(t, members, n);
    struct set s = table_new(t, n);
    for (uint64_t i = 0; i < n; i++) table_fill(t, &s, members[i]);
    return s;
}

struct set set_build(struct txn *t, const struct slice *members, uint64_t n)
{
    bool numbers = true;
    uint64_t longest = 0, total = 0;
    int64_t v;
    for (uint64_t i = 0; i < n; i++) {
        longest = MAX(longest, members[i].n);
        total += members[i].n;
        if (numbers && !member_number(members[i], &v)) numbers = false;
    }
    bool small = n <= (uint64_t)setting(SET_set_max_listpack_entries) && longest <= (uint64_t)setting(SET_set_max_listpack_value) &&
                 total + n * 16 < LP_MAX_BYTES;
    if (numbers) return set_build_as(t, n <= (uint64_t)setting(SET_set_max_intset_entries) ? ENC_INTSET : ENC_HASHTABLE, members, n);
    return set_build_as(t, small ? ENC_LISTPACK : ENC_HASHTABLE, members, n);
}

struct set set_create(struct txn *t, struct slice first, uint64_t count_hint)
{
    int64_t v;
    if (member_number(first, &v) && count_hint <= (uint64_t)setting(SET_set_max_intset_entries)) return (struct set){ENC_INTSET, 0};
    if (count_hint <= (uint64_t)setting(SET_set_max_listpack_entries)) return (struct set){ENC_LISTPACK, 0};
    return (struct set){ENC_HASHTABLE, txn_alloc_zero(t, sizeof(struct htable))};
}

/* ---- converting ---- */

struct conversion {
    struct txn *t;
    struct set to;
    struct lp_item *items;
    uint32_t n;
};

static bool convert_to_table(const struct lp_value *v, void *arg)
{
    struct conversion *c = arg;
    uint8_t room[NUM_I64_ROOM];
    table_fill(c->t, &c->to, set_text(v, room));
    return true;
}

static bool convert_to_packed(const struct lp_value *v, void *arg)
{
    struct conversion *c = arg;
    c->items[c->n++] = lp_item_value(v);
    return true;
}

static void compact_free(struct txn *t, const struct set *s)
{
    if (!s->root) return;
    txn_free(t, s->root, s->enc == ENC_INTSET ? intset_bytes(ints(s)) : lp_bytes(packed_at(s->root)));
}

static void become_table(struct txn *t, struct set *s, uint64_t expect)
{
    struct conversion c = {.t = t, .to = table_new(t, MAX(expect, set_count(s)))};
    set_each(s->enc, s->root, convert_to_table, &c);
    compact_free(t, s);
    *s = c.to;
}

static void become_packed(struct txn *t, struct set *s)
{
    struct conversion c = {.items = scratch_alloc((set_count(s) + 1) * sizeof(struct lp_item))};
    struct lp_edit e;
    set_each(s->enc, s->root, convert_to_packed, &c);
    ENSURE(lp_plan(lp_empty, NULL, 0, c.items, c.n, &e));
    shm_off off = packed_edit(t, 0, &e);
    compact_free(t, s);
    *s = (struct set){ENC_LISTPACK, off};
}

void set_expect(struct txn *t, struct set *s, uint64_t count_hint)
{
    if ((s->enc == ENC_LISTPACK && count_hint > (uint64_t)setting(SET_set_max_listpack_entries)) ||
        (s->enc == ENC_INTSET && count_hint > (uint64_t)setting(SET_set_max_intset_entries)))
        become_table(t, s, count_hint);
}

/* ---- changing ---- */

static void ints_store(struct txn *t, struct set *s, const struct intset_plan *p)
{
    uint64_t old = s->root ? intset_bytes(ints(s)) : 0;
    if (s->root && !p->widens && arena_usable(old) == arena_usable(p->new_bytes)) {
        uint8_t *is = shm_ptr(s->root);
        txn_touch(t, is, INTSET_HEADER);
        txn_touch(t, is + p->at, p->reach);
        intset_apply(is, p);
        return;
    }
    shm_off fresh = txn_alloc(t, p->new_bytes);
    intset_build(shm_ptr(fresh), ints(s), p);
    if (s->root) txn_free(t, s->root, old);
    s->root = fresh;
}

/* May a member of n bytes join the set as a listpack? Of an intset, the widest member counts. */
static bool packed_allows(const struct set *s, size_t n)
{
    uint64_t count = set_count(s), longest = n, bytes = s->enc == ENC_LISTPACK ? lp_bytes(packed_at(s->root)) : 0;
    if (s->enc == ENC_INTSET && count) {
        uint8_t room[NUM_I64_ROOM];
        size_t a = num_from_i64(room, intset_get(ints(s), 0)), b = num_from_i64(room, intset_get(ints(s), (uint32_t)count - 1));
        longest = MAX(longest, MAX(a, b));
        bytes = 11 * count;
    }
    return count < (uint64_t)setting(SET_set_max_listpack_entries) && longest <= (uint64_t)setting(SET_set_max_listpack_value) &&
           bytes + n + 16 < LP_MAX_BYTES;
}

static bool ints_add(struct txn *t, struct set *s, struct slice member)
{
    int64_t v;
    if (member_number(member, &v)) {
        struct intset_plan p;
        if (!intset_plan_add(ints(s), v, &p)) return false;
        ints_store(t, s, &p);
        uint64_t limit = MIN((uint64_t)setting(SET_set_max_intset_entries), UINT64_C(1) << 30);
        if (set_count(s) > limit) become_table(t, s, 0);
        return true;
    }
    if (!packed_allows(s, member.n)) {
        become_table(t, s, set_count(s) + 1);
        table_fill(t, s, member);
        return true;
    }
    become_packed(t, s);
    return set_add(t, s, member);
}

bool set_add(struct txn *t, struct set *s, struct slice member)
{
    if (s->enc == ENC_HASHTABLE) {
        uint64_t h = name_hash(member);
        if (item_find(table(s), member, h).bucket) return false;
        ht_insert(t, table(s), &item_ops, h, item_new(t, member));
        return true;
    }
    if (s->enc == ENC_INTSET) return ints_add(t, s, member);
    if (set_has(s, member)) return false;
    if (!packed_allows(s, member.n)) {
        become_table(t, s, set_count(s) + 1);
        table_fill(t, s, member);
        return true;
    }
    struct lp_item item = lp_item_text(member.p, member.n);
    struct lp_edit e;
    ENSURE(lp_plan(packed_at(s->root), NULL, 0, &item, 1, &e));
    s->root = packed_edit(t, s->root, &e);
    return true;
}

bool set_remove(struct txn *t, struct set *s, struct slice member)
{
    if (s->enc == ENC_HASHTABLE) {
        uint64_t h = name_hash(member);
        struct ht_place p = item_find(table(s), member, h);
        if (!p.bucket) return false;
        ht_remove(t, table(s), &item_ops, h, p);
        item_free(t, p.item, NULL);
        return true;
    }
    if (s->enc == ENC_INTSET) {
        struct intset_plan p;
        int64_t v;
        if (!member_number(member, &v) || !intset_plan_remove(ints(s), v, &p)) return false;
        ints_store(t, s, &p);
        return true;
    }
    const uint8_t *at = lp_find(lp_first(packed_at(s->root)), member.p, member.n, 0);
    if (!at) return false;
    struct lp_edit e;
    ENSURE(lp_plan(packed_at(s->root), at, 1, NULL, 0, &e));
    s->root = packed_edit(t, s->root, &e);
    return true;
}

/* ---- the type's row ---- */

static bool set_free_some(struct txn *t, enum encoding enc, shm_off root, uint64_t *budget)
{
    struct set s = {enc, root};
    if (enc != ENC_HASHTABLE) {
        compact_free(t, &s);
        return true;
    }
    if (!ht_drain(t, table(&s), item_free, NULL, budget)) return false;
    txn_free(t, root, sizeof(struct htable));
    return true;
}

static uint64_t set_free_effort(enum encoding enc, shm_off root)
{
    return enc == ENC_HASHTABLE ? ((const struct htable *)shm_ptr(root))->count : 1;
}

static shm_off set_copy(struct txn *t, enum encoding enc, shm_off root)
{
    struct set s = {enc, root};
    if (enc == ENC_LISTPACK) return packed_copy(t, root);
    if (enc == ENC_INTSET) {
        uint64_t n = intset_bytes(ints(&s));
        shm_off fresh = txn_alloc(t, n);
        memcpy(shm_ptr(fresh), ints(&s), n);
        return fresh;
    }
    struct conversion c = {.t = t, .to = table_new(t, set_count(&s))};
    set_each(enc, root, convert_to_table, &c);
    return c.to.root;
}

struct measure {
    uint64_t samples, seen, bytes;
};

static bool measure_one(const struct lp_value *v, void *arg)
{
    struct measure *m = arg;
    m->bytes += arena_usable(item_bytes(v->n));
    return ++m->seen != m->samples;
}

static uint64_t set_memory(enum encoding enc, shm_off root, uint64_t samples)
{
    struct set s = {enc, root};
    if (enc == ENC_INTSET) return arena_usable(intset_bytes(ints(&s)));
    if (enc == ENC_LISTPACK) return arena_usable(lp_bytes(packed_at(root)));
    struct measure m = {.samples = samples};
    set_each(enc, root, measure_one, &m);
    uint64_t items = m.seen ? (uint64_t)((double)m.bytes / (double)m.seen * (double)set_count(&s)) : 0;
    return arena_usable(sizeof(struct htable)) + ht_memory(table(&s)) + items;
}

static const struct objtype set_objtype = {
    .name = "set", .free_some = set_free_some, .free_effort = set_free_effort, .copy = set_copy, .memory = set_memory,
};

__attribute__((constructor)) static void set_register(void) { objtypes[OBJ_SET] = &set_objtype; }
