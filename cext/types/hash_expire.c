/* types/hash_expire.c - times at which fields of a hash expire: setting, finding the earliest, removing. Layout, locks, deaths: hash.h. */
#include "types/hash_pack.h"

#include "keyspace/keyspace.h"

bool hash_field_expired(int64_t expire_ms) { return ks_expiry_on && ks_now_ms() > expire_ms; }

int64_t hash_earliest(enum encoding enc, shm_off root)
{
    if (enc == ENC_HASHTABLE) return hash_root(root)->earliest;
    return enc == ENC_LISTPACK_EX ? *(const int64_t *)shm_ptr(root) : 0;
}

static void set_earliest(struct txn *t, struct hash *h, int64_t ms)
{
    int64_t *at = h->enc == ENC_HASHTABLE ? &hash_root(h->root)->earliest : shm_ptr(h->root);
    if (*at != ms) TXN_SET(t, *at, ms);
}

/* A pack whose fields have places for times. */
static void pack_extend(struct txn *t, struct hash *h)
{
    const struct hash_pack *old = pack_at(ENC_LISTPACK, h->root);
    shm_off root = pack_new(t, ENC_LISTPACK_EX, old->bytes + pack_count(old), old->count); /* the number 0 takes one byte */
    uint8_t *dst = (uint8_t *)(pack_at(ENC_LISTPACK_EX, root) + 1);
    size_t stems = (size_t)(pack_fields(old) - (const uint8_t *)(old + 1));
    struct lp_item none = lp_item_number(0);
    memcpy(dst, old + 1, stems);
    dst += stems;
    for (const uint8_t *p = pack_fields(old), *next; p < pack_end(old); p = next) {
        next = pack_skip(ENC_LISTPACK, p);
        memcpy(dst, p, (size_t)(next - p));
        dst = lp_item_write_body(dst + (next - p), &none);
    }
    pack_free(t, ENC_LISTPACK, h->root);
    *h = (struct hash){ENC_LISTPACK_EX, root};
}

void hash_allow_times(struct txn *t, struct hash *h)
{
    if (h->enc == ENC_LISTPACK && h->root) pack_extend(t, h);
}

static void table_set_expire(struct txn *t, struct hash_root *r, struct slice field, int64_t expire_ms)
{
    uint64_t hash;
    struct ht_place at = item_find(r, field, &hash);
    ENSURE(at.bucket != NULL);
    struct hash_item_parts x;
    item_read(at.item, &x);
    if (x.expire_ms >= 0 && expire_ms >= 0) {
        uint8_t *p = (uint8_t *)(uintptr_t)x.field.p - 8;
        txn_touch(t, p, 8);
        le_store64(p, (uint64_t)expire_ms);
        return;
    }
    uint64_t old = item_size(&x);
    x.expire_ms = expire_ms;
    ht_replace(t, at, item_new(t, &x));
    txn_free(t, at.item, old);
}

void hash_set_expire(struct txn *t, struct hash *h, struct slice field, int64_t expire_ms)
{
    if (h->enc == ENC_LISTPACK) {
        if (expire_ms < 0) return;
        pack_extend(t, h);
    }
    if (h->enc == ENC_HASHTABLE) {
        table_set_expire(t, hash_root(h->root), field, expire_ms);
    } else {
        const uint8_t *p = pack_find(h->enc, h->root, field), *after;
        ENSURE(p != NULL);
        after = pack_skip(h->enc, p);
        p += lp_body_bytes(p);
        p += lp_body_bytes(p);
        struct lp_item item = lp_item_number(MAX(expire_ms, 0));
        pack_splice(t, h, p, after, &item, 1, 0);
    }
    if (expire_ms < 0) return;
    int64_t earliest = hash_earliest(h->enc, h->root);
    if (!earliest || expire_ms < earliest) set_earliest(t, h, expire_ms);
    if (h->enc != ENC_HASHTABLE || !hash_root(h->root)->cursor) return;
    struct hash_root *r = hash_root(h->root);
    if (!r->next || expire_ms < r->next) TXN_SET(t, r->next, expire_ms);
}

struct expiring {
    struct slice *found; /* copies in scratch memory */
    uint64_t count, max;
    int64_t earliest;    /* of those that live */
    bool more;           /* some were left for lack of room */
};

static bool note_expired(const struct hash_field *f, void *arg)
{
    struct expiring *x = arg;
    uint8_t room[NUM_I64_ROOM];
    if (f->expire_ms < 0) return true;
    if (!hash_field_expired(f->expire_ms)) {
        if (!x->earliest || f->expire_ms < x->earliest) x->earliest = f->expire_ms;
        return true;
    }
    if (x->count == x->max) {
        x->more = true;
        return false;
    }
    struct slice field = hash_text(&f->field, room);
    uint8_t *copy = scratch_alloc(field.n + 1);
    memcpy(copy, field.p, field.n);
    x->found[x->count++] = (struct slice){copy, field.n};
    return true;
}

#define STEP_BUCKETS 64u

/* A few buckets of a table, on from where the last step ended. */
static void table_step(struct txn *t, struct hash *h, struct expiring *x)
{
    struct hash_root *r = hash_root(h->root);
    uint64_t cursor = r->cursor;
    x->earliest = cursor ? r->next : 0;
    for (uint32_t i = 0; i < STEP_BUCKETS && !x->more; i++) {
        uint64_t before = cursor;
        cursor = hash_scan_even_expired(h, cursor, note_expired, x);
        if (x->more) cursor = before; /* not all of this bucket's fit: it is looked at again */
        if (!cursor) break;
    }
    bool done = !cursor && !x->more;
    txn_touch(t, &r->earliest, 3 * sizeof(int64_t));
    if (done) r->earliest = x->earliest;
    r->cursor = cursor;
    r->next = done ? 0 : x->earliest;
}

uint64_t hash_remove_expired(struct txn *t, struct hash *h, uint64_t max, void (*fn)(struct slice field, void *arg), void *arg)
{
    int64_t earliest = hash_earliest(h->enc, h->root);
    if (!earliest || !hash_field_expired(earliest)) return 0;
    max = MIN(max, hash_length(h));
    struct expiring x = {.found = scratch_alloc((max + 1) * sizeof(struct slice)), .max = max};
    if (h->enc == ENC_HASHTABLE) {
        table_step(t, h, &x);
    } else {
        hash_each_even_expired(h->enc, h->root, note_expired, &x);
        if (!x.more) set_earliest(t, h, x.earliest);
    }
    for (uint64_t i = 0; i < x.count; i++) {
        fn(x.found[i], arg);
        hash_drop(t, h, x.found[i]);
    }
    return x.count;
}
