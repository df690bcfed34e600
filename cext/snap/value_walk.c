/* snap/value_walk.c - one walk per type and encoding. What is passed: value_walk.h; the layouts: types/list.h, set.h, zset.h, hash.h. */
#include "snap/value_walk.h"

#include "ds/intset.h"
#include "snap/mem_walk.h"
#include "types/hash_pack.h"
#include "types/list.h"
#include "types/set.h"
#include "types/zset_item.h"

struct walk {
    struct mem_reader *r;
    walk_fn *fn;
    void *arg;
};

static void pass(const struct walk *w, struct slice text)
{
    struct walk_item item = {.text = {.s = text}, .expire_ms = -1};
    w->fn(&item, w->arg);
}

static struct slice text_of(const struct lp_value *v, uint8_t room[NUM_I64_ROOM])
{
    return v->text ? (struct slice){v->text, v->n} : (struct slice){room, num_from_i64(room, v->number)};
}

static const uint8_t *whole_listpack(struct mem_reader *r, shm_off off)
{
    return mem_view(r, off, lp_bytes(mem_view(r, off, LP_HEADER)));
}

/* ---- lists ---- */

static void each_of_node(const struct walk *w, shm_off node)
{
    struct list_node n = *(const struct list_node *)mem_view(w->r, node, sizeof n);
    uint32_t used = n.tail - n.head;
    if (n.count & LIST_PLAIN && used > MEM_PIECE) {
        struct walk_item item = {.text = {.s = {NULL, used}, .off = node + n.head}, .expire_ms = -1};
        w->fn(&item, w->arg);
        return;
    }
    const uint8_t *p = mem_view(w->r, node + n.head, used), *end = p + used;
    if (n.count & LIST_PLAIN) {
        pass(w, (struct slice){p, used});
        return;
    }
    uint32_t stem_bytes = n.count >> LIST_STEM_SHIFT & STEM_MAX;
    struct slice stem = {stem_bytes ? mem_view(w->r, node + sizeof n, stem_bytes) : NULL, stem_bytes};
    for (uint8_t room[STEM_TEXT_MAX], digits[NUM_I64_ROOM]; p < end; p = lp_after(p)) {
        struct lp_value v;
        stem_get(stem, p, &v, room);
        pass(w, text_of(&v, digits));
    }
}

static void each_of_list(const struct walk *w, enum encoding enc, shm_off root)
{
    if (enc == ENC_LISTPACK) {
        each_of_node(w, root);
        return;
    }
    shm_off node = ((const struct list_root *)mem_view(w->r, root, sizeof(struct list_root)))->first;
    while (node) {
        struct scratch_mark mark = scratch_mark();
        shm_off next = ((const struct list_links *)mem_view(w->r, node - sizeof(struct list_links), sizeof(struct list_links)))->next;
        each_of_node(w, node);
        scratch_rewind(mark);
        node = next;
    }
}

/* ---- sets and sorted sets ---- */

#define MEMBER_GUESS 64u

/* Length (1, or 255 and 4) and bytes at off. */
static struct slice member(struct mem_reader *r, shm_off off)
{
    const uint8_t *p = mem_view_upto(r, off, MEMBER_GUESS);
    uint32_t n = *p, head = 1;
    if (n == 255) {
        memcpy(&n, p + 1, 4);
        head = 5;
    }
    return (struct slice){head + n > MEMBER_GUESS ? (const uint8_t *)mem_view(r, off + head, n) : p + head, n};
}

static void set_item(shm_off item, void *arg)
{
    const struct walk *w = arg;
    struct scratch_mark mark = scratch_mark();
    pass(w, member(w->r, item));
    scratch_rewind(mark);
}

static void each_of_set(const struct walk *w, enum encoding enc, shm_off root)
{
    uint8_t room[NUM_I64_ROOM];
    if (enc == ENC_INTSET) {
        const uint8_t *is = mem_view(w->r, root, intset_bytes(mem_view(w->r, root, INTSET_HEADER)));
        for (uint32_t i = 0; i < intset_count(is); i++) pass(w, (struct slice){room, num_from_i64(room, intset_get(is, i))});
    } else if (enc == ENC_LISTPACK) {
        for (const uint8_t *p = lp_first(whole_listpack(w->r, root)); p; p = lp_next(p)) pass(w, lp_text(p, room));
    } else {
        mem_htable_each(w->r, mem_view(w->r, root, sizeof(struct htable)), set_item, (void *)(uintptr_t)w);
    }
}

static void zset_member(const uint8_t *entry, void *arg)
{
    const struct walk *w = arg;
    struct scratch_mark mark = scratch_mark();
    struct walk_item item = {.text = {.s = member(w->r, zorder_item(entry) + 8)}, .score = zorder_score(entry), .expire_ms = -1};
    w->fn(&item, w->arg);
    scratch_rewind(mark);
}

static void each_of_zset(const struct walk *w, enum encoding enc, shm_off root)
{
    if (enc != ENC_LISTPACK) {
        const struct zset_root *z = mem_view(w->r, root, sizeof *z);
        mem_btree_each(w->r, &z->order, ZORDER_BYTES, zset_member, (void *)(uintptr_t)w);
        return;
    }
    uint8_t room[NUM_I64_ROOM];
    for (const uint8_t *p = lp_first(whole_listpack(w->r, root)), *score; p; p = lp_next(score)) {
        score = lp_next(p);
        struct walk_item item = {.text = {.s = lp_text(p, room)}, .score = zpacked_score(score), .expire_ms = -1};
        w->fn(&item, w->arg);
    }
}

/* ---- hashes ---- */

void hash_item_take_apart(const uint8_t *item, struct hash_item_view *x)
{
    const uint8_t *p = item;
    uint8_t flags = *p++;
    x->field.n = flags & HASH_ITEM_LONG_FIELD ? le_load32(p) : *p;
    p += flags & HASH_ITEM_LONG_FIELD ? 4 : 1;
    x->value.n = flags & HASH_ITEM_LONG_VALUE ? le_load32(p) : *p;
    p += flags & HASH_ITEM_LONG_VALUE ? 4 : 1;
    x->expire_ms = flags & HASH_ITEM_EXPIRES ? (int64_t)le_load64(p) : -1;
    p += flags & HASH_ITEM_EXPIRES ? 8 : 0;
    x->field.p = p;
    x->value.p = p + x->field.n;
    x->bytes = (size_t)(x->value.p - item) + x->value.n;
}

static void hash_item(shm_off off, void *arg)
{
    const struct walk *w = arg;
    struct scratch_mark mark = scratch_mark();
    struct hash_item_view x;
    const uint8_t *p = mem_view_upto(w->r, off, HASH_ITEM_GUESS);
    hash_item_take_apart(p, &x);
    size_t head = (size_t)(x.field.p - p) + x.field.n;
    bool apart = x.value.n > MEM_PIECE; /* the value is passed by its place */
    if (x.bytes > HASH_ITEM_GUESS) hash_item_take_apart(mem_view(w->r, off, apart ? head : x.bytes), &x);
    struct walk_item item = {.text = {.s = x.field}, .value = {.s = x.value}, .expire_ms = x.expire_ms};
    if (apart) item.value = (struct walk_text){{NULL, x.value.n}, off + head};
    w->fn(&item, w->arg);
    scratch_rewind(mark);
}

static void each_of_hash(const struct walk *w, enum encoding enc, shm_off root)
{
    if (enc == ENC_HASHTABLE) {
        const struct hash_root *h = mem_view(w->r, root, sizeof *h);
        mem_htable_each(w->r, &h->table, hash_item, (void *)(uintptr_t)w);
        return;
    }
    root += pack_prefix(enc);
    const struct hash_pack *pack = mem_view(w->r, root, sizeof *pack);
    pack = mem_view(w->r, root, pack->bytes);
    struct pack_stems stems = pack_stems(pack);
    for (const uint8_t *p = pack_fields(pack); p < pack_end(pack);) {
        uint8_t room[2][NUM_I64_ROOM];
        struct hash_field f;
        p = pack_read(enc, &stems, p, &f);
        struct walk_item item = {.text = {.s = text_of(&f.field, room[0])}, .value = {.s = text_of(&f.value, room[1])},
                                 .expire_ms = f.expire_ms};
        w->fn(&item, w->arg);
    }
}

/* ---- all ---- */

typedef void each_fn(const struct walk *, enum encoding, shm_off);
static each_fn *const each[8] = {
    [OBJ_LIST] = each_of_list, [OBJ_SET] = each_of_set, [OBJ_ZSET] = each_of_zset, [OBJ_HASH] = each_of_hash,
};

void value_each(struct mem_reader *r, const struct entry *e, walk_fn *fn, void *arg)
{
    struct scratch_mark mark = scratch_mark();
    struct walk w = {r, fn, arg};
    each[entry_type(e)](&w, entry_enc(e), *entry_root(e));
    scratch_rewind(mark);
}

static void count_one(const struct walk_item *item, void *arg)
{
    (void)item;
    ++*(uint64_t *)arg;
}

uint64_t value_count(struct mem_reader *r, const struct entry *e)
{
    struct scratch_mark mark = scratch_mark();
    enum encoding enc = entry_enc(e);
    shm_off root = *entry_root(e);
    uint64_t n = 0;
    switch (entry_type(e)) {
    case OBJ_LIST:
        if (enc == ENC_QUICKLIST) n = ((const struct list_root *)mem_view(r, root, sizeof(struct list_root)))->count;
        break;
    case OBJ_SET:
        if (enc == ENC_HASHTABLE) n = ((const struct htable *)mem_view(r, root, sizeof(struct htable)))->count;
        break;
    case OBJ_ZSET:
        if (enc != ENC_LISTPACK) n = ((const struct zset_root *)mem_view(r, root, sizeof(struct zset_root)))->order.count;
        break;
    case OBJ_HASH:
        if (enc == ENC_HASHTABLE) n = ((const struct hash_root *)mem_view(r, root, sizeof(struct hash_root)))->table.count;
        break;
    default:
        ENSURE(false);
    }
    scratch_rewind(mark);
    if (!n) value_each(r, e, count_one, &n); /* compact forms: they are small */
    return n;
}
