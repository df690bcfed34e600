/* types/hash_pack.c - the compact form of a hash: searching, splicing, becoming a table; and the items of that table. Layout: hash.h. */
#include "types/hash_pack.h"

#include "base/hash.h"
#include "shm/segment.h"

/* ---- packs ---- */

static ALWAYS_INLINE const uint8_t *body_after(const uint8_t *p) { return p + lp_body_bytes(p); }

/* Puts texts together in scratch memory: what is found lives as long as the command. */
static ALWAYS_INLINE void body_read(struct slice stem, const uint8_t *p, struct lp_value *v)
{
    stem_get(stem, p, v, unlikely(stem_is_at(p)) ? scratch_alloc(stem.n + stem_rest(p).n + 1) : NULL);
}

const uint8_t *pack_read(enum encoding enc, const struct pack_stems *stems, const uint8_t *p, struct hash_field *f)
{
    struct lp_value at = {0};
    body_read(stems->field, p, &f->field);
    p = body_after(p);
    body_read(stems->value, p, &f->value);
    p = body_after(p);
    f->expire_ms = -1;
    if (enc == ENC_LISTPACK_EX) {
        lp_get(p, &at);
        if (at.number > 0) f->expire_ms = at.number;
        p = body_after(p);
    }
    return p;
}

const uint8_t *pack_skip(enum encoding enc, const uint8_t *p)
{
    p = body_after(body_after(p));
    return enc == ENC_LISTPACK_EX ? body_after(p) : p;
}

const uint8_t *pack_find(enum encoding enc, shm_off root, struct slice field)
{
    if (!root) return NULL;
    const struct hash_pack *pack = pack_at(enc, root);
    struct stem_key key = stem_key(pack_stems(pack).field, field);
    for (const uint8_t *p = pack_fields(pack), *end = pack_end(pack); p < end; p = pack_skip(enc, p))
        if (stem_equals(p, &key)) return p;
    return NULL;
}

shm_off pack_new(struct txn *t, enum encoding enc, uint32_t bytes, uint32_t count)
{
    shm_off root = txn_alloc(t, (uint64_t)pack_prefix(enc) + bytes);
    if (pack_prefix(enc)) *(int64_t *)shm_ptr(root) = 0;
    *pack_at(enc, root) = (struct hash_pack){bytes, count};
    return root;
}

void pack_free(struct txn *t, enum encoding enc, shm_off root)
{
    txn_free(t, root, (uint64_t)pack_prefix(enc) + pack_at(enc, root)->bytes);
}

void pack_splice(struct txn *t, struct hash *h, const uint8_t *from, const uint8_t *to, const struct lp_item *items, uint32_t n,
                 int32_t more)
{
    struct hash_pack *pack = h->root ? pack_at(h->enc, h->root) : NULL;
    uint32_t prefix = pack_prefix(h->enc), old = pack ? pack->bytes : (uint32_t)sizeof *pack, added = 0;
    for (uint32_t i = 0; i < n; i++) added += lp_item_body_bytes(&items[i]);
    uint32_t gone = (uint32_t)(to - from), bytes = old - gone + added, count = (pack ? pack->count : 0) + (uint32_t)more;
    uint32_t at = pack ? (uint32_t)(from - (const uint8_t *)pack) : old;
    uint32_t tail = old - at - gone; /* bytes behind the change */
    bool stays = pack && arena_usable(prefix + old) == arena_usable(prefix + bytes) && (added == gone || tail <= 256);
    if (stays) {
        uint8_t *p = (uint8_t *)pack + at;
        if (added == gone) {
            txn_touch(t, p, added);
        } else {
            txn_touch(t, p, MAX(bytes, old) - at);
            memmove(p + added, p + gone, tail);
        }
        for (uint32_t i = 0; i < n; i++) p = lp_item_write_body(p, &items[i]);
        if (bytes == old && count == pack->count) return;
        txn_touch(t, pack, sizeof *pack);
        *pack = (struct hash_pack){bytes, count};
        return;
    }
    shm_off root = pack_new(t, h->enc, bytes, count);
    uint8_t *dst = (uint8_t *)(pack_at(h->enc, root) + 1);
    if (pack) {
        if (prefix) *(int64_t *)shm_ptr(root) = *(const int64_t *)shm_ptr(h->root);
        memcpy(dst, pack + 1, at - sizeof *pack);
    }
    dst += at - sizeof *pack;
    for (uint32_t i = 0; i < n; i++) dst = lp_item_write_body(dst, &items[i]);
    if (pack) {
        memcpy(dst, (const uint8_t *)pack + at + gone, tail);
        pack_free(t, h->enc, h->root);
    }
    h->root = root;
}

/* ---- stems of a pack ---- */

/* The stems that suit the pack best. Their bytes lie in scratch memory, as all texts of the pack may. */
static struct pack_stems best_stems(enum encoding enc, const struct hash_pack *pack)
{
    struct stem_vote votes[2];
    bool begun[2] = {false, false};
    struct pack_stems now = pack_stems(pack);
    struct slice best[2] = {{0}, {0}};
    const uint8_t *middle = pack_fields(pack), *end = pack_end(pack);
    struct hash_field f;
    for (uint32_t i = pack_count(pack) / 2; i; i--) middle = pack_skip(enc, middle);
    pack_read(enc, &now, middle, &f);
    const struct lp_value reference[2] = {f.field, f.value};
    for (int k = 0; k < 2; k++) {
        if (!reference[k].text) continue;
        stem_vote_begin(&votes[k], (struct slice){reference[k].text, reference[k].n});
        begun[k] = true;
    }
    for (const uint8_t *p = pack_fields(pack); p < end;) {
        p = pack_read(enc, &now, p, &f);
        if (begun[0] && f.field.text) stem_vote_add(&votes[0], (struct slice){f.field.text, f.field.n});
        if (begun[1] && f.value.text) stem_vote_add(&votes[1], (struct slice){f.value.text, f.value.n});
    }
    for (int k = 0; k < 2; k++)
        if (begun[k]) best[k] = stem_vote_end(&votes[k]);
    return (struct pack_stems){best[0], best[1]};
}

/* The field at p as items for other stems; returns where the next one starts. */
static const uint8_t *items_for(enum encoding enc, const struct pack_stems *old, const struct pack_stems *stems, const uint8_t *p,
                                struct lp_item items[3])
{
    struct hash_field f;
    uint8_t room[NUM_I64_ROOM];
    const uint8_t *next = pack_read(enc, old, p, &f);
    items[0] = f.field.text ? stem_item(stems->field, hash_text(&f.field, room)) : lp_item_number(f.field.number);
    items[1] = f.value.text ? stem_item(stems->value, hash_text(&f.value, room)) : lp_item_number(f.value.number);
    items[2] = lp_item_number(MAX(f.expire_ms, (int64_t)0));
    return next;
}

void pack_choose_stems(struct txn *t, struct hash *h)
{
    const struct hash_pack *pack = pack_at(h->enc, h->root);
    struct scratch_mark mark = scratch_mark();
    struct pack_stems old = pack_stems(pack), stems = best_stems(h->enc, pack);
    uint32_t head = stems.field.n || stems.value.n ? (uint32_t)(2 + stems.field.n + stems.value.n) : 0, n = h->enc == ENC_LISTPACK_EX ? 3 : 2;
    uint32_t bytes = (uint32_t)sizeof *pack + head;
    struct lp_item items[3];
    for (const uint8_t *p = pack_fields(pack); p < pack_end(pack);) {
        p = items_for(h->enc, &old, &stems, p, items);
        for (uint32_t i = 0; i < n; i++) bytes += lp_item_body_bytes(&items[i]);
    }
    if (bytes < pack->bytes) {
        shm_off root = pack_new(t, h->enc, bytes, pack_count(pack) | (head ? PACK_STEMS : 0));
        uint8_t *dst = (uint8_t *)(pack_at(h->enc, root) + 1);
        if (n == 3) *(int64_t *)shm_ptr(root) = *(const int64_t *)shm_ptr(h->root);
        if (head) {
            *dst++ = (uint8_t)stems.field.n;
            *dst++ = (uint8_t)stems.value.n;
            if (stems.field.n) memcpy(dst, stems.field.p, stems.field.n), dst += stems.field.n;
            if (stems.value.n) memcpy(dst, stems.value.p, stems.value.n), dst += stems.value.n;
        }
        for (const uint8_t *p = pack_fields(pack); p < pack_end(pack);) {
            p = items_for(h->enc, &old, &stems, p, items);
            for (uint32_t i = 0; i < n; i++) dst = lp_item_write_body(dst, &items[i]);
        }
        pack_free(t, h->enc, h->root);
        h->root = root;
    }
    scratch_rewind(mark);
}

/* ---- items ---- */

void item_read(shm_off item, struct hash_item_parts *x)
{
    const uint8_t *p = shm_ptr(item);
    uint8_t flags = *p++;
    x->field.n = flags & HASH_ITEM_LONG_FIELD ? le_load32(p) : *p;
    p += flags & HASH_ITEM_LONG_FIELD ? 4 : 1;
    x->value.n = flags & HASH_ITEM_LONG_VALUE ? le_load32(p) : *p;
    p += flags & HASH_ITEM_LONG_VALUE ? 4 : 1;
    x->expire_ms = -1;
    if (unlikely(flags & HASH_ITEM_EXPIRES)) {
        x->expire_ms = (int64_t)le_load64(p);
        p += 8;
    }
    x->field.p = p;
    x->value.p = p + x->field.n;
}

uint64_t item_size(const struct hash_item_parts *x)
{
    return 1 + (x->field.n > 255 ? 4 : 1) + (x->value.n > 255 ? 4 : 1) + (x->expire_ms >= 0 ? 8 : 0) + x->field.n + x->value.n;
}

shm_off item_new(struct txn *t, const struct hash_item_parts *x)
{
    shm_off item = txn_alloc(t, item_size(x));
    uint8_t *p = shm_ptr(item);
    bool long_field = x->field.n > 255, long_value = x->value.n > 255;
    *p++ = (uint8_t)((long_field ? HASH_ITEM_LONG_FIELD : 0) | (long_value ? HASH_ITEM_LONG_VALUE : 0) |
                     (x->expire_ms >= 0 ? HASH_ITEM_EXPIRES : 0));
    if (long_field)
        le_store32(p, (uint32_t)x->field.n), p += 4;
    else
        *p++ = (uint8_t)x->field.n;
    if (long_value)
        le_store32(p, (uint32_t)x->value.n), p += 4;
    else
        *p++ = (uint8_t)x->value.n;
    if (x->expire_ms >= 0) le_store64(p, (uint64_t)x->expire_ms), p += 8;
    memcpy(p, x->field.p, x->field.n);
    memcpy(p + x->field.n, x->value.p, x->value.n);
    return item;
}

static uint64_t item_hash(shm_off item)
{
    struct hash_item_parts x;
    item_read(item, &x);
    return hash_bytes(x.field.p, x.field.n, seg()->hash_seed);
}
const struct ht_ops hash_ht_ops = {.hash = item_hash};

static ALWAYS_INLINE bool item_is(shm_off item, const void *key)
{
    const struct slice *want = key;
    struct hash_item_parts x;
    item_read(item, &x);
    return x.field.n == want->n && bytes_equal(x.field.p, want->p, want->n);
}

struct ht_place item_find(const struct hash_root *r, struct slice field, uint64_t *hash)
{
    *hash = hash_bytes(field.p, field.n, seg()->hash_seed);
    return ht_find(&r->table, *hash, item_is, &field);
}

void item_field(const struct hash_item_parts *x, struct hash_field *f)
{
    f->field = (struct lp_value){.text = x->field.p, .n = (uint32_t)x->field.n};
    f->value = (struct lp_value){.text = x->value.p, .n = (uint32_t)x->value.n};
    f->expire_ms = x->expire_ms;
}

/* ---- pack to table ---- */

void hash_to_table(struct txn *t, struct hash *h, uint64_t expected)
{
    shm_off root = txn_alloc_zero(t, sizeof(struct hash_root));
    struct hash_root *r = hash_root(root);
    const struct hash_pack *pack = h->root ? pack_at(h->enc, h->root) : NULL;
    expected = MAX(expected, pack ? pack_count(pack) : 0);
    ht_reserve(t, &r->table, expected);
    if (pack) {
        r->earliest = hash_earliest(h->enc, h->root);
        struct pack_stems stems = pack_stems(pack);
        for (const uint8_t *p = pack_fields(pack); p < pack_end(pack);) {
            struct hash_field f;
            uint8_t room[2][NUM_I64_ROOM];
            p = pack_read(h->enc, &stems, p, &f);
            struct hash_item_parts x = {hash_text(&f.field, room[0]), hash_text(&f.value, room[1]), f.expire_ms};
            shm_off item = item_new(t, &x);
            ht_insert(t, &r->table, &hash_ht_ops, hash_bytes(x.field.p, x.field.n, seg()->hash_seed), item);
        }
        pack_free(t, h->enc, h->root);
    }
    *h = (struct hash){ENC_HASHTABLE, root};
}
