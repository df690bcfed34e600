/* types/hash.c - hashes: reading, setting and deleting fields, and what every type can do. Layout, locks, deaths: hash.h. */
#include "types/hash.h"

#include "keyspace/internal.h"
#include "types/hash_pack.h"

__attribute__((constructor)) static void register_type(void) { objtypes[OBJ_HASH] = &hash_type; }

/* ---- reading ---- */

uint64_t hash_length(const struct hash *h)
{
    if (!is_pack(h->enc)) return hash_root(h->root)->table.count;
    return h->root ? pack_count(pack_at(h->enc, h->root)) : 0;
}

bool hash_find(const struct hash *h, struct slice field, struct hash_field *f)
{
    if (is_pack(h->enc)) {
        const uint8_t *p = pack_find(h->enc, h->root, field);
        if (!p) return false;
        struct pack_stems stems = pack_stems(pack_at(h->enc, h->root));
        pack_read(h->enc, &stems, p, f);
    } else {
        uint64_t hash;
        struct hash_item_parts x;
        struct ht_place at = item_find(hash_root(h->root), field, &hash);
        if (!at.bucket) return false;
        item_read(at.item, &x);
        item_field(&x, f);
    }
    return likely(f->expire_ms < 0) || !hash_field_expired(f->expire_ms);
}

struct each {
    hash_fn *fn;
    void *arg;
    bool even_expired, stop;
};

static void each_item(shm_off item, void *arg)
{
    struct each *x = arg;
    struct hash_item_parts parts;
    struct hash_field f;
    if (x->stop) return;
    item_read(item, &parts);
    if (parts.expire_ms >= 0 && !x->even_expired && hash_field_expired(parts.expire_ms)) return;
    item_field(&parts, &f);
    x->stop = !x->fn(&f, x->arg);
}

static void each(enum encoding enc, shm_off root, struct each *x)
{
    if (!is_pack(enc)) {
        ht_each(&hash_root(root)->table, each_item, x);
        return;
    }
    const struct hash_pack *pack = root ? pack_at(enc, root) : NULL;
    if (!pack) return;
    struct pack_stems stems = pack_stems(pack);
    for (const uint8_t *p = pack_fields(pack); p < pack_end(pack) && !x->stop;) {
        struct hash_field f;
        p = pack_read(enc, &stems, p, &f);
        if (f.expire_ms >= 0 && !x->even_expired && hash_field_expired(f.expire_ms)) continue;
        x->stop = !x->fn(&f, x->arg);
    }
}

void hash_each(enum encoding enc, shm_off root, hash_fn *fn, void *arg)
{
    each(enc, root, &(struct each){.fn = fn, .arg = arg});
}

void hash_each_even_expired(enum encoding enc, shm_off root, hash_fn *fn, void *arg)
{
    each(enc, root, &(struct each){.fn = fn, .arg = arg, .even_expired = true});
}

uint64_t hash_scan(const struct hash *h, uint64_t cursor, hash_fn *fn, void *arg)
{
    struct each x = {.fn = fn, .arg = arg};
    if (!is_pack(h->enc)) return ht_scan(&hash_root(h->root)->table, cursor, each_item, &x);
    each(h->enc, h->root, &x);
    return 0;
}

uint64_t hash_scan_even_expired(const struct hash *h, uint64_t cursor, hash_fn *fn, void *arg)
{
    struct each x = {.fn = fn, .arg = arg, .even_expired = true};
    return ht_scan(&hash_root(h->root)->table, cursor, each_item, &x);
}

bool hash_random(const struct hash *h, struct hash_field *f)
{
    for (int tries = 0; tries < 16; tries++) {
        if (is_pack(h->enc)) {
            const struct hash_pack *pack = pack_at(h->enc, h->root);
            const uint8_t *p = pack_fields(pack);
            struct pack_stems stems = pack_stems(pack);
            for (uint64_t i = ks_random() % pack_count(pack); i; i--) p = pack_skip(h->enc, p);
            pack_read(h->enc, &stems, p, f);
        } else {
            struct hash_item_parts x;
            item_read(ht_random(&hash_root(h->root)->table, ks_random), &x);
            item_field(&x, f);
        }
        if (f->expire_ms < 0 || !hash_field_expired(f->expire_ms)) return true;
    }
    return false;
}

/* ---- changing ---- */

void hash_expect(struct txn *t, struct hash *h, uint64_t fields, uint64_t longest)
{
    if (!is_pack(h->enc)) return;
    if (fields > (uint64_t)setting(SET_hash_max_listpack_entries))
        hash_to_table(t, h, fields);
    else if (longest > (uint64_t)setting(SET_hash_max_listpack_value))
        hash_to_table(t, h, 0);
}

#define STEMS_FROM 4u /* fields from which on stems are looked for */

static bool pack_set(struct txn *t, struct hash *h, struct slice field, struct slice value, enum hash_ttl ttl)
{
    const struct hash_pack *pack = h->root ? pack_at(h->enc, h->root) : NULL;
    struct pack_stems stems = {0};
    if (pack) stems = pack_stems(pack);
    struct lp_item items[3] = {stem_item(stems.field, field), stem_item(stems.value, value), lp_item_number(0)};
    uint32_t n = h->enc == ENC_LISTPACK_EX ? 3 : 2;
    const uint8_t *p = pack_find(h->enc, h->root, field);
    if (p) {
        struct hash_field f;
        const uint8_t *after = pack_skip(h->enc, p);
        bool over = false;
        if (n == 3) {
            pack_read(h->enc, &stems, p, &f);
            over = f.expire_ms >= 0 && hash_field_expired(f.expire_ms);
            if (ttl == HASH_TTL_KEEP && f.expire_ms >= 0 && !over) items[2] = lp_item_number(f.expire_ms);
        }
        p += lp_body_bytes(p);
        pack_splice(t, h, p, after, items + 1, n - 1, 0);
        return over;
    }
    const uint8_t *end = pack ? pack_end(pack) : NULL;
    uint32_t count = (pack ? pack_count(pack) : 0) + 1;
    pack_splice(t, h, end, end, items, n, 1);
    if (count >= STEMS_FROM && (count & (count - 1)) == 0) pack_choose_stems(t, h);
    return true;
}

/* Another value for an item: over the old one where shape and size class allow. */
static void item_change(struct txn *t, struct ht_place at, struct slice value, int64_t expire_ms)
{
    struct hash_item_parts old, x;
    item_read(at.item, &old);
    x = (struct hash_item_parts){old.field, value, expire_ms};
    bool same_shape = (old.value.n > 255) == (value.n > 255) && (old.expire_ms >= 0) == (expire_ms >= 0);
    if (likely(same_shape && expire_ms < 0 && arena_usable(item_size(&old)) == arena_usable(item_size(&x)))) {
        uint8_t *dst = (uint8_t *)(uintptr_t)old.value.p;
        if (value.n != old.value.n) {
            uint8_t *length = (uint8_t *)(uintptr_t)old.field.p - (value.n > 255 ? 4 : 1);
            txn_touch(t, length, (size_t)(old.field.p - length));
            if (value.n > 255)
                le_store32(length, (uint32_t)value.n);
            else
                *length = (uint8_t)value.n;
        }
        if (value.n) txn_touch(t, dst, value.n);
        memcpy(dst, value.p, value.n);
        return;
    }
    ht_replace(t, at, item_new(t, &x));
    txn_free(t, at.item, item_size(&old));
}

static bool table_set(struct txn *t, struct hash *h, struct slice field, struct slice value, enum hash_ttl ttl)
{
    struct hash_root *r = hash_root(h->root);
    uint64_t hash;
    struct ht_place at = item_find(r, field, &hash);
    struct hash_item_parts x = {field, value, -1};
    if (!at.bucket) {
        ht_insert(t, &r->table, &hash_ht_ops, hash, item_new(t, &x));
        return true;
    }
    item_read(at.item, &x);
    bool over = x.expire_ms >= 0 && hash_field_expired(x.expire_ms);
    item_change(t, at, value, ttl == HASH_TTL_KEEP && !over ? x.expire_ms : -1);
    return over;
}

bool hash_set(struct txn *t, struct hash *h, struct slice field, struct slice value, enum hash_ttl ttl)
{
    if (is_pack(h->enc)) {
        uint64_t longest = MAX(field.n, value.n);
        const struct hash_pack *pack = h->root ? pack_at(h->enc, h->root) : NULL;
        bool too_large = pack && (pack->bytes + field.n + value.n + 64 > PACK_BYTES_MAX || pack_count(pack) >= PACK_COUNT_MAX);
        if (too_large || longest > (uint64_t)setting(SET_hash_max_listpack_value) || longest > PACK_BYTES_MAX) hash_to_table(t, h, 0);
    }
    if (!is_pack(h->enc)) return table_set(t, h, field, value, ttl);
    bool fresh = pack_set(t, h, field, value, ttl);
    if (fresh && hash_length(h) > (uint64_t)setting(SET_hash_max_listpack_entries)) hash_to_table(t, h, 0);
    return fresh;
}

bool hash_delete(struct txn *t, struct hash *h, struct slice field)
{
    struct hash_field f;
    if (hash_earliest(h->enc, h->root) && !hash_find(h, field, &f)) return false; /* its time may be over */
    return hash_drop(t, h, field);
}

bool hash_drop(struct txn *t, struct hash *h, struct slice field)
{
    if (!is_pack(h->enc)) {
        struct hash_root *r = hash_root(h->root);
        uint64_t hash;
        struct ht_place at = item_find(r, field, &hash);
        if (!at.bucket) return false;
        struct hash_item_parts x;
        item_read(at.item, &x);
        uint64_t size = item_size(&x);
        ht_remove(t, &r->table, &hash_ht_ops, hash, at);
        txn_free(t, at.item, size);
        return true;
    }
    const uint8_t *p = pack_find(h->enc, h->root, field);
    if (!p) return false;
    pack_splice(t, h, p, pack_skip(h->enc, p), NULL, 0, -1);
    return true;
}

/* ---- the type's row ---- */

static void free_item(struct txn *t, shm_off item, void *arg)
{
    (void)arg;
    struct hash_item_parts x;
    item_read(item, &x);
    txn_free(t, item, item_size(&x));
}

static bool hash_free_some(struct txn *t, enum encoding enc, shm_off root, uint64_t *budget)
{
    if (is_pack(enc)) {
        if (root) pack_free(t, enc, root);
        return true;
    }
    if (!ht_drain(t, &hash_root(root)->table, free_item, NULL, budget)) return false;
    txn_free(t, root, sizeof(struct hash_root));
    return true;
}

static uint64_t hash_free_effort(enum encoding enc, shm_off root) { return is_pack(enc) ? 1 : hash_root(root)->table.count; }

struct copying {
    struct txn *t;
    struct hash_root *to;
};

static void copy_item(shm_off item, void *arg)
{
    struct copying *c = arg;
    struct hash_item_parts x;
    item_read(item, &x);
    ht_insert(c->t, &c->to->table, &hash_ht_ops, hash_ht_ops.hash(item), item_new(c->t, &x));
}

static shm_off hash_copy(struct txn *t, enum encoding enc, shm_off root)
{
    if (is_pack(enc)) {
        uint64_t bytes = (uint64_t)pack_prefix(enc) + pack_at(enc, root)->bytes;
        shm_off copy = txn_alloc(t, bytes);
        memcpy(shm_ptr(copy), shm_ptr(root), bytes);
        return copy;
    }
    shm_off copy = txn_alloc_zero(t, sizeof(struct hash_root));
    struct copying c = {t, hash_root(copy)};
    c.to->earliest = hash_root(root)->earliest;
    ht_reserve(t, &c.to->table, hash_root(root)->table.count);
    ht_each(&hash_root(root)->table, copy_item, &c);
    return copy;
}

struct measuring {
    uint64_t bytes, seen, samples;
};

static void measure_item(shm_off item, void *arg)
{
    struct measuring *m = arg;
    if (m->samples && m->seen >= m->samples) return;
    struct hash_item_parts x;
    item_read(item, &x);
    m->bytes += arena_usable(item_size(&x));
    m->seen++;
}

static uint64_t hash_memory(enum encoding enc, shm_off root, uint64_t samples)
{
    if (is_pack(enc)) return arena_usable((uint64_t)pack_prefix(enc) + pack_at(enc, root)->bytes);
    const struct htable *table = &hash_root(root)->table;
    struct measuring m = {.samples = samples};
    for (uint64_t cursor = 0; (cursor = ht_scan(table, cursor, measure_item, &m)) != 0;)
        if (samples && m.seen >= samples) break;
    return sizeof(struct hash_root) + ht_memory(table) + (m.seen ? m.bytes * table->count / m.seen : 0);
}

const struct objtype hash_type = {
    .name = "hash", .free_some = hash_free_some, .free_effort = hash_free_effort, .copy = hash_copy, .memory = hash_memory,
    .due = hash_earliest};
