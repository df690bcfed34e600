/* snap/check_value.c - one check per type and encoding. Layouts: keyspace/entry.h, types/list.h, set.h, zset.h, hash.h. Locks: check_mem.h. */
#include "snap/check_value.h"

#include <math.h>

#include "base/le.h"
#include "ds/intset.h"
#include "types/hash_pack.h"
#include "types/list_node.h"
#include "types/set.h"
#include "types/zset_item.h"

#define ITEM_GUESS 64u /* most items are smaller: one view is enough */

/* ---- rows of elements: listpack's entries, with or without back-lengths, with or without a stem ---- */

/* Bytes of the element at p, which lies in [p, end). */
static uint64_t element_bytes(struct checker *c, const uint8_t *p, const uint8_t *end, bool back, uint32_t stem)
{
    uint64_t left = (uint64_t)(end - p);
    uint32_t head = *p < 0xC0 ? 1 : *p == 0xF0 ? 5 : *p < 0xF0 || *p == LP_STEMMED_LONG ? 2 : 1;
    bool stemmed = *p >= LP_STEMMED && *p <= LP_STEMMED_LONG;
    if (left < head || *p == LP_END || (stemmed && !stem)) check_damage(c, "a row of elements holds byte %u where one begins", *p);
    uint64_t body = *p == 0xF0 ? 5 + (uint64_t)le_load32(p + 1) : lp_body_bytes(p);
    if (body > left) check_damage(c, "a row's element of %llu bytes goes beyond its end", (unsigned long long)body);
    if (!back) return body;
    uint64_t n = body + lp_back_bytes((uint32_t)body);
    if (n > left || lp_step_back(p + n) != p) check_damage(c, "the way back over a row's element is wrong");
    return n;
}

static const uint8_t *check_listpack(struct checker *c, shm_off root, const char *what)
{
    uint32_t n = lp_bytes(check_view(c, root, LP_HEADER));
    const uint8_t *lp = check_view_block(c, root, n, what);
    if (!lp_validate(lp, n, true, NULL, NULL)) check_damage(c, "%s is not sound", what);
    if (!lp_first(lp)) check_damage(c, "%s is empty", what);
    return lp;
}

/* ---- lists ---- */

static void check_packed_node(struct checker *c, shm_off off, const struct list_node *head)
{
    const uint8_t *n = check_view(c, off, head->size), *end = n + head->tail;
    uint32_t count = 0, saved = 0, stem = head->count >> LIST_STEM_SHIFT & STEM_MAX;
    for (const uint8_t *p = n + head->head; p < end; count++) {
        uint64_t bytes = element_bytes(c, p, end, true, stem);
        saved += stem_saves(stem, p);
        p += bytes;
    }
    if (!count || count != (head->count & LIST_COUNT) || saved != head->saved)
        check_damage(c, "a list's node counts %u elements, and has %u", head->count & LIST_COUNT, count);
}

/* Returns its elements. */
static uint32_t check_list_node(struct checker *c, shm_off off, bool linked)
{
    struct scratch_mark mark = scratch_mark();
    struct list_node n;
    check_read(c, off, &n, sizeof n);
    uint32_t before = linked ? (uint32_t)sizeof(struct list_links) : 0;
    check_block(c, off - before, (uint64_t)before + n.size, "a list's node");
    uint32_t stem = n.count & LIST_PLAIN ? 0 : n.count >> LIST_STEM_SHIFT & STEM_MAX;
    if (n.head < sizeof n + stem || n.head > n.tail || n.tail > n.size) check_damage(c, "a list's node whose elements are not within it");
    if (!(n.count & LIST_PLAIN))
        check_packed_node(c, off, &n);
    else if ((n.count & LIST_COUNT) != 1)
        check_damage(c, "a list's large element that counts as %u", n.count & LIST_COUNT);
    scratch_rewind(mark);
    return n.count & LIST_COUNT;
}

static void check_list(struct checker *c, enum encoding enc, shm_off root)
{
    if (enc == ENC_LISTPACK) {
        check_list_node(c, root, false);
        return;
    }
    struct list_root r;
    check_read_block(c, root, &r, sizeof r, "a list's head");
    uint64_t count = 0, nodes = 0;
    shm_off before = 0;
    for (shm_off at = r.first; at; nodes++) {
        struct scratch_mark mark = scratch_mark();
        if (nodes >= r.nodes) check_damage(c, "a list has more than the %llu nodes that it counts", (unsigned long long)r.nodes);
        struct list_links l;
        check_read(c, at - sizeof l, &l, sizeof l);
        if (l.prev != before) check_damage(c, "a list's node is not linked to the one before it");
        count += check_list_node(c, at, true);
        before = at;
        at = l.next;
        scratch_rewind(mark);
    }
    if (!count || count != r.count || nodes != r.nodes || before != r.last)
        check_damage(c, "a list counts %llu elements in %llu nodes, and has %llu in %llu", (unsigned long long)r.count, (unsigned long long)r.nodes,
                     (unsigned long long)count, (unsigned long long)nodes);
}

/* ---- sets and sorted sets ---- */

/* Length (1, or 255 and 4) and text at `before` bytes behind the item's begin: its text; the item is checked. */
static struct slice check_member(struct checker *c, shm_off item, uint32_t before, const uint8_t **whole)
{
    const uint8_t *p = check_view_guess(c, item, ITEM_GUESS);
    uint64_t n = p[before], head = before + 1u;
    if (n == 255) {
        n = le_load32(p + before + 1);
        head += 4;
    }
    check_block(c, item, head + n, "a member");
    if (head + n > ITEM_GUESS) p = check_view(c, item, head + n);
    if (whole) *whole = p;
    return (struct slice){p + head, n};
}

static uint64_t text_hash(struct slice s) { return hash_bytes(s.p, s.n, seg()->hash_seed); }

static bool set_item(struct checker *c, shm_off item, void *arg, uint64_t *hash)
{
    (void)arg;
    struct scratch_mark mark = scratch_mark();
    *hash = text_hash(check_member(c, item, 0, NULL));
    scratch_rewind(mark);
    return true;
}

static void check_set(struct checker *c, enum encoding enc, shm_off root)
{
    if (enc == ENC_LISTPACK) {
        check_listpack(c, root, "a set's listpack");
    } else if (enc == ENC_INTSET) {
        uint64_t n = intset_bytes(check_view(c, root, INTSET_HEADER));
        if (!intset_validate(check_view_block(c, root, n, "a set's numbers"), n, true)) check_damage(c, "a set's numbers are not in order");
    } else {
        struct htable t;
        check_read_block(c, root, &t, sizeof t, "a set's head");
        if (!t.count) check_damage(c, "an empty set");
        check_table(c, &t, set_item, NULL);
    }
}

struct zset_sum { /* what the table and the tree must have in common, and the member before */
    uint64_t items;
    double score;
    struct slice name; /* in `room`, or in malloc'ed memory that is kept for the next: see remember() */
    bool any;
    uint8_t *room;
    uint64_t cap;
};

static uint64_t item_mark(shm_off item) { return item * 0x9e3779b97f4a7c15ull >> 7; }

static bool zset_item_of_table(struct checker *c, shm_off item, void *arg, uint64_t *hash)
{
    struct zset_sum *s = arg;
    struct scratch_mark mark = scratch_mark();
    *hash = text_hash(check_member(c, item, 8, NULL));
    s->items += item_mark(item);
    scratch_rewind(mark);
    return true;
}

static void in_order(struct checker *c, const struct zset_sum *s, double score, struct slice name)
{
    if (isnan(score)) check_damage(c, "a sorted set's score is no number");
    if (s->any && (s->score > score || (s->score == score && slice_compare(s->name, name) >= 0))) check_damage(c, "a sorted set is not in order");
}

#define NAME_COMPARED 256u /* bytes of a name that the next one is compared with */

static void zset_entry_of_tree(struct checker *c, const uint8_t *entry, void *arg)
{
    struct zset_sum *s = arg;
    const uint8_t *item;
    struct slice name = check_member(c, zorder_item(entry), 8, &item);
    double score = zorder_score(entry), own;
    memcpy(&own, item, 8);
    if (memcmp(&own, &score, 8) != 0) check_damage(c, "a sorted set's member has another score than its place");
    struct slice begin = {name.p, MIN(name.n, (size_t)NAME_COMPARED)};
    if (begin.n < NAME_COMPARED || s->name.n < NAME_COMPARED || slice_compare(s->name, begin) != 0) in_order(c, s, score, begin);
    memcpy(s->room, begin.p, begin.n);
    s->name = (struct slice){s->room, begin.n};
    s->score = score;
    s->any = true;
    s->items -= item_mark(zorder_item(entry));
}

static void check_zset_table(struct checker *c, shm_off root)
{
    uint8_t room[NAME_COMPARED];
    struct zset_root r;
    check_read_block(c, root, &r, sizeof r, "a sorted set's head");
    struct zset_sum s = {.room = room, .name = {room, 0}};
    if (!r.members.count || r.members.count != r.order.count)
        check_damage(c, "a sorted set has %llu members, and %llu in order", (unsigned long long)r.members.count, (unsigned long long)r.order.count);
    check_table(c, &r.members, zset_item_of_table, &s);
    check_tree(c, &r.order, ZORDER_BYTES, zset_entry_of_tree, &s);
    if (s.items) check_damage(c, "a sorted set's members are not those that are in order");
}

static void check_zset(struct checker *c, enum encoding enc, shm_off root)
{
    if (enc != ENC_LISTPACK) {
        check_zset_table(c, root);
        return;
    }
    uint8_t rooms[2][NUM_I64_ROOM];
    struct zset_sum s = {0};
    const uint8_t *lp = check_listpack(c, root, "a sorted set's listpack");
    for (const uint8_t *p = lp_first(lp), *score; p; p = lp_next(score)) {
        score = lp_next(p);
        if (!score) check_damage(c, "a sorted set's last member has no score");
        struct slice name = lp_text(p, rooms[s.any && s.name.p == rooms[0]]);
        in_order(c, &s, zpacked_score(score), name);
        s = (struct zset_sum){.name = name, .score = zpacked_score(score), .any = true};
    }
}

/* ---- hashes ---- */

static bool hash_item(struct checker *c, shm_off item, void *arg, uint64_t *hash)
{
    (void)arg;
    struct scratch_mark mark = scratch_mark();
    const uint8_t *p = check_view_guess(c, item, ITEM_GUESS);
    uint8_t flags = *p;
    uint32_t f = flags & HASH_ITEM_LONG_FIELD ? 4 : 1, v = flags & HASH_ITEM_LONG_VALUE ? 4 : 1;
    uint32_t head = 1 + f + v + (flags & HASH_ITEM_EXPIRES ? 8 : 0);
    if (flags > 7) check_damage(c, "a field with flags %u", flags);
    uint64_t field = f == 4 ? le_load32(p + 1) : p[1], value = v == 4 ? le_load32(p + 1 + f) : p[1 + f];
    check_block(c, item, head + field + value, "a field");
    if (head + field > ITEM_GUESS) p = check_view(c, item, head + field);
    *hash = text_hash((struct slice){p + head, field});
    scratch_rewind(mark);
    return true;
}

static void check_hash_pack(struct checker *c, enum encoding enc, shm_off root)
{
    uint32_t prefix = pack_prefix(enc), count = 0;
    struct hash_pack head;
    check_read(c, root + prefix, &head, sizeof head);
    check_block(c, root, (uint64_t)prefix + head.bytes, "a hash");
    if (head.bytes < sizeof head + (head.count & PACK_STEMS ? 2 : 0)) check_damage(c, "a hash of %u bytes", head.bytes);
    const struct hash_pack *pack = check_view(c, root + prefix, head.bytes);
    const uint8_t *end = pack_end(pack), *p = pack_fields(pack);
    if (p > end) check_damage(c, "a hash whose stems are not within it");
    struct pack_stems stems = pack_stems(pack);
    for (; p < end; count++)
        for (int i = 0; i < (enc == ENC_LISTPACK_EX ? 3 : 2); i++) {
            if (p >= end) check_damage(c, "a hash's last field is not whole");
            p += element_bytes(c, p, end, false, (uint32_t)(i == 0 ? stems.field.n : i == 1 ? stems.value.n : 0));
        }
    if (!count || count != pack_count(pack)) check_damage(c, "a hash counts %u fields, and has %u", pack_count(pack), count);
}

static void check_hash(struct checker *c, enum encoding enc, shm_off root)
{
    if (enc != ENC_HASHTABLE) {
        check_hash_pack(c, enc, root);
        return;
    }
    struct hash_root r;
    check_read_block(c, root, &r, sizeof r, "a hash's head");
    if (!r.table.count) check_damage(c, "an empty hash");
    check_table(c, &r.table, hash_item, NULL);
}

/* ---- entries ---- */

#define ENTRY_GUESS 128u
#define BITS(a, b, d) (1u << (a) | 1u << (b) | 1u << (d))

static const uint16_t encodings[8] = { /* that a type may have */
    [OBJ_STRING] = BITS(ENC_INT, ENC_EMBSTR, ENC_RAW) | 1u << ENC_EXT, [OBJ_LIST] = BITS(ENC_LISTPACK, ENC_QUICKLIST, ENC_QUICKLIST),
    [OBJ_SET] = BITS(ENC_INTSET, ENC_LISTPACK, ENC_HASHTABLE), [OBJ_ZSET] = BITS(ENC_LISTPACK, ENC_SKIPLIST, ENC_SKIPLIST),
    [OBJ_HASH] = BITS(ENC_LISTPACK, ENC_LISTPACK_EX, ENC_HASHTABLE), [OBJ_STREAM] = 1u << ENC_STREAM,
};

struct slice check_entry_key(struct checker *c, shm_off off, const struct entry **out)
{
    if (off % 8) check_damage(c, "the place of a key is offset %llu", (unsigned long long)off);
    const struct entry *e = (const void *)check_view_guess(c, off, ENTRY_GUESS);
    if (e->kind >> 4 > 7 || !(encodings[e->kind >> 4] >> (e->kind & 15) & 1) || e->flags > (ENTRY_EXPIRES | ENTRY_LONG_KEY))
        check_damage(c, "the place of a key holds kind %u and flags %u", e->kind, e->flags);
    struct slice key = entry_key(e); /* its length is within 44 bytes */
    uint64_t head = (uint64_t)(key.p - (const uint8_t *)e), size = head + key.n;
    uint32_t value = 0;
    if (entry_enc(e) == ENC_EMBSTR || entry_enc(e) == ENC_RAW) memcpy(&value, entry_body(e), 4);
    check_block(c, off, size + value, "a key");
    if (size > ENTRY_GUESS) e = check_view(c, off, size);
    *out = e;
    return (struct slice){(const uint8_t *)e + head, key.n};
}

static void check_long_string(struct checker *c, const struct entry_ext *x)
{
    if (x->len > x->cap) check_damage(c, "a string of %llu bytes in room for %llu", (unsigned long long)x->len, (unsigned long long)x->cap);
    check_block(c, x->off, x->cap, "a string");
}

uint8_t check_entry(struct checker *c, shm_off off, struct slice *key)
{
    const struct entry *e;
    *key = check_entry_key(c, off, &e);
    if (e->flags & ENTRY_EXPIRES && entry_expire(e) == -1) check_damage(c, "a key that expires has no time for it");
    enum encoding enc = entry_enc(e);
    switch (entry_type(e)) {
    case OBJ_STRING:
        if (enc == ENC_EXT) check_long_string(c, entry_ext(e));
        break;
    case OBJ_LIST: check_list(c, enc, *entry_root(e)); break;
    case OBJ_SET: check_set(c, enc, *entry_root(e)); break;
    case OBJ_ZSET: check_zset(c, enc, *entry_root(e)); break;
    case OBJ_HASH: check_hash(c, enc, *entry_root(e)); break;
    case OBJ_STREAM: check_stream(c, *entry_root(e)); break;
    }
    return e->flags;
}
