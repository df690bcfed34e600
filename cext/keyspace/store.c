/* keyspace/store.c - making entries, changing their values, expiries and names, removing them.
 *
 * An entry is changed in place when its new form has the same size class and shape, else a new one takes its place in the table and the
 * old is freed after the commit. Needs the stripe and a transaction; a death in the middle is undone with it.
 */
#include "base/num.h"
#include "keyspace/internal.h"
#include "keyspace/lazy.h"
#include "keyspace/objtype.h"

struct form { /* what an entry is to look like */
    enum obj_type type;
    enum encoding enc;
    size_t vlen;       /* ENC_EMBSTR, ENC_RAW: bytes inline */
    int64_t expire_ms; /* -1 = none */
};

static size_t form_size(const struct form *f, size_t klen)
{
    return sizeof(struct entry) + (f->expire_ms >= 0 ? 8 : 0) + value_part_size(f->enc) + (klen > UINT16_MAX ? 4 : 0) + klen + f->vlen;
}

/* Writes header, expiry, lengths and key into fresh memory; the value part of other encodings is the caller's. */
static void form_write(struct entry *e, const struct form *f, struct slice name, uint32_t access)
{
    bool long_key = name.n > UINT16_MAX;
    e->access = access;
    e->kind = (uint8_t)((uint32_t)f->type << 4 | f->enc);
    e->flags = (uint8_t)((f->expire_ms >= 0 ? ENTRY_EXPIRES : 0) | (long_key ? ENTRY_LONG_KEY : 0));
    e->klen = long_key ? 0 : (uint16_t)name.n;
    if (f->expire_ms >= 0) memcpy(e + 1, &f->expire_ms, 8);
    char *p = entry_body(e);
    if (f->enc == ENC_EMBSTR || f->enc == ENC_RAW) {
        uint32_t n = (uint32_t)f->vlen;
        memcpy(p, &n, 4);
    }
    p += value_part_size(f->enc);
    if (long_key) {
        uint32_t n = (uint32_t)name.n;
        memcpy(p, &n, 4);
        p += 4;
    }
    memcpy(p, name.p, name.n);
}

struct stripe *ks_stripe_make(const struct key *k)
{
    struct stripe *s = ks_stripe(k);
    return likely(s != NULL) ? s : (ks_table_make(k->db), ks_stripe(k));
}

void due_note(struct txn *t, struct stripe *s, struct bucket *head, int64_t ms)
{
    uint32_t u = expire_unit(ms);
    if (!head->due || u < head->due) TXN_SET(t, head->due, u);
    if (!s->due || u < s->due) TXN_SET(t, s->due, u);
    if (s->expire_cursor && (!s->due_next || u < s->due_next)) TXN_SET(t, s->due_next, u);
}

void ks_note_due(struct txn *t, const struct key *k, int64_t ms)
{
    struct stripe *s = ks_stripe(k);
    due_note(t, s, ht_bucket(&s->keys, ht_index(&s->keys, k->hash)), ms);
}

int64_t entry_due(const struct entry *e)
{
    const struct objtype *ops = objtypes[entry_type(e)];
    return ops && ops->due ? ops->due(entry_enc(e), *entry_root(e)) : 0;
}

/* The value of a new entry may have parts that expire. */
static void parts_note(struct txn *t, const struct key *k, const struct entry *e)
{
    int64_t ms = entry_due(e);
    if (unlikely(ms > 0)) ks_note_due(t, k, ms);
}

static void expiry_count(struct txn *t, struct stripe *s, int64_t before, int64_t after)
{
    if ((before >= 0) == (after >= 0)) return;
    TXN_SET(t, s->expires, after >= 0 ? s->expires + 1 : s->expires - 1);
}

/* Frees what hangs outside the entry: a long string, a collection. */
static void outside_free(struct txn *t, const struct entry *e)
{
    if (entry_type(e) != OBJ_STRING)
        value_free(t, entry_type(e), entry_enc(e), *entry_root(e));
    else if (entry_enc(e) == ENC_EXT)
        txn_free(t, entry_ext(e)->off, entry_ext(e)->cap);
}

/* Puts a new entry of this form under the key, in place of the one at `at` if there is one, whose memory is freed (but not what hangs
 * outside it). The value's bytes are the caller's to store. */
static struct entry *entry_put(struct txn *t, struct stripe *s, const struct key *k, struct ht_place at, const struct form *f)
{
    shm_off off = txn_alloc(t, form_size(f, k->name.n));
    struct entry *e = shm_ptr(off), *old = at.bucket ? shm_ptr(at.item) : NULL;
    int64_t before = old ? entry_expire(old) : -1;
    form_write(e, f, k->name, old ? old->access : access_clock_new());
    if (old) {
        ht_replace(t, at, off);
        txn_free(t, at.item, entry_size(old));
    } else {
        ht_insert(t, &s->keys, &ks_ops, k->hash, off);
    }
    expiry_count(t, s, before, f->expire_ms);
    if (f->expire_ms >= 0) due_note(t, s, ht_bucket(&s->keys, ht_index(&s->keys, k->hash)), f->expire_ms);
    return e;
}

#define EXPIRY_KEEP INT64_MIN /* as enum ks_ttl and ks_set_bytes_until() ask: -1 none, a time, or what the old entry has */

static ALWAYS_INLINE int64_t expiry_of(enum ks_ttl ttl) { return ttl == TTL_KEEP ? EXPIRY_KEEP : -1; }

static int64_t expiry_for(const struct entry *old, int64_t expiry)
{
    if (expiry != EXPIRY_KEEP) return expiry;
    return old && !entry_expired(old) ? entry_expire(old) : -1;
}

/* The string entry of this form for the key: in place where shape and class allow, announced for all its value bytes. */
static struct entry *string_place(struct txn *t, const struct key *k, enum encoding enc, size_t n, int64_t expiry)
{
    struct stripe *s = ks_stripe_make(k);
    struct ht_place at = ks_place(s, k);
    struct entry *old = at.bucket ? shm_ptr(at.item) : NULL;
    struct form f = {OBJ_STRING, enc, n, expiry_for(old, expiry)};
    if (likely(old && entry_type(old) == OBJ_STRING)) {
        enum encoding was = entry_enc(old);
        bool same_shape = value_part_size(was) == value_part_size(enc) && was != ENC_EXT && enc != ENC_EXT &&
                          (f.expire_ms >= 0) == ((old->flags & ENTRY_EXPIRES) != 0);
        if (likely(same_shape)) {
            ks_touch(old);
            if (f.expire_ms >= 0 && f.expire_ms != entry_expire(old)) ks_set_expire(t, k, old, f.expire_ms);
            uint64_t have = entry_size(old), want = form_size(&f, k->name.n);
            if (likely(have == want && was == enc)) {
                uint8_t *value = (uint8_t *)old + want - n;
                if (enc == ENC_INT)
                    txn_touch(t, entry_int(old), 8);
                else
                    txn_touch(t, value, n);
                return old;
            }
            if (arena_usable(have) == arena_usable(want)) {
                txn_touch(t, old, MAX(have, want));
                old->kind = (uint8_t)((uint32_t)OBJ_STRING << 4 | enc);
                if (enc != ENC_INT) {
                    uint32_t len = (uint32_t)n;
                    memcpy(entry_body(old), &len, 4);
                }
                return old;
            }
        }
    }
    if (old) outside_free(t, old);
    return entry_put(t, s, k, at, &f);
}

/* A string too long to be inline: an allocation of its own, with `cap` >= n bytes. */
static struct entry *ext_put(struct txn *t, const struct key *k, size_t n, size_t cap, int64_t expiry, uint8_t **room)
{
    struct stripe *s = ks_stripe_make(k);
    struct ht_place at = ks_place(s, k);
    struct entry *old = at.bucket ? shm_ptr(at.item) : NULL;
    struct form f = {OBJ_STRING, ENC_EXT, 0, expiry_for(old, expiry)};
    shm_off off = txn_alloc(t, cap);
    if (old) outside_free(t, old);
    struct entry *e = entry_put(t, s, k, at, &f);
    *entry_ext(e) = (struct entry_ext){n, cap, off};
    *room = shm_ptr(off);
    return e;
}

static struct entry *bytes_put(struct txn *t, const struct key *k, size_t n, enum encoding enc, int64_t expiry, uint8_t **room)
{
    if (unlikely(n > ENTRY_INLINE_MAX)) return ext_put(t, k, n, n, expiry, room);
    struct entry *e = string_place(t, k, enc, n, expiry);
    struct slice key = entry_key(e);
    *room = (uint8_t *)(uintptr_t)key.p + key.n;
    return e;
}

static ALWAYS_INLINE enum encoding bytes_encoding(size_t n) { return n <= EMBSTR_MAX ? ENC_EMBSTR : ENC_RAW; }

static struct entry *int_put(struct txn *t, const struct key *k, int64_t value, int64_t expiry)
{
    struct entry *e = string_place(t, k, ENC_INT, 0, expiry);
    *entry_int(e) = value;
    return e;
}

static ALWAYS_INLINE struct entry *value_put(struct txn *t, const struct key *k, struct slice value, int64_t expiry)
{
    int64_t number;
    if (value.n <= 20 && num_parse_i64(value.p, value.n, &number)) return int_put(t, k, number, expiry);
    uint8_t *room;
    struct entry *e = bytes_put(t, k, value.n, bytes_encoding(value.n), expiry, &room);
    memcpy(room, value.p, value.n);
    return e;
}

struct entry *ks_set_bytes(struct txn *t, const struct key *k, struct slice value, enum ks_ttl ttl)
{
    return value_put(t, k, value, expiry_of(ttl));
}

struct entry *ks_set_bytes_until(struct txn *t, const struct key *k, struct slice value, int64_t expire_ms)
{
    return value_put(t, k, value, expire_ms);
}

struct entry *ks_set_raw(struct txn *t, const struct key *k, struct slice value, enum ks_ttl ttl)
{
    uint8_t *room;
    struct entry *e = bytes_put(t, k, value.n, ENC_RAW, expiry_of(ttl), &room);
    if (value.n) memcpy(room, value.p, value.n);
    return e;
}

struct entry *ks_set_room(struct txn *t, const struct key *k, size_t n, enum ks_ttl ttl, uint8_t **room)
{
    return bytes_put(t, k, n, bytes_encoding(n), expiry_of(ttl), room);
}

struct entry *ks_set_int(struct txn *t, const struct key *k, int64_t value, enum ks_ttl ttl)
{
    return int_put(t, k, value, expiry_of(ttl));
}

/* The bytes of a string entry as text, numbers written into buf (at least 24 bytes). */
static struct slice string_text(const struct entry *e, uint8_t *buf)
{
    if (entry_enc(e) != ENC_INT) return entry_bytes(e);
    return (struct slice){buf, num_from_i64(buf, *entry_int(e))};
}

struct entry *ks_string_resize(struct txn *t, const struct key *k, struct entry *e, size_t n, uint8_t **bytes)
{
    uint8_t digits[24];
    struct slice old = string_text(e, digits);
    size_t keep = MIN(old.n, n);
    if (entry_enc(e) == ENC_EXT && n <= entry_ext(e)->cap && n > ENTRY_INLINE_MAX) {
        struct entry_ext *x = entry_ext(e);
        *bytes = shm_ptr(x->off);
        if (n > old.n) {
            txn_touch(t, *bytes + old.n, n - old.n);
            memset(*bytes + old.n, 0, n - old.n);
        }
        TXN_SET(t, x->len, n);
        return e;
    }
    if (entry_enc(e) == ENC_RAW && n <= ENTRY_INLINE_MAX && arena_usable(entry_size(e)) == arena_usable(entry_size(e) - old.n + n)) {
        uint32_t len = (uint32_t)n;
        *bytes = (uint8_t *)(uintptr_t)old.p;
        if (n > old.n) {
            txn_touch(t, *bytes + old.n, n - old.n);
            memset(*bytes + old.n, 0, n - old.n);
        }
        txn_touch(t, entry_body(e), 4);
        memcpy(entry_body(e), &len, 4);
        return e;
    }
    struct stripe *s = ks_stripe(k);
    struct ht_place at = ks_place(s, k);
    struct entry *fresh;
    if (n > ENTRY_INLINE_MAX) { /* room to grow: twice, at most a mebibyte more */
        size_t cap = n > old.n && old.n ? n + MIN(n, (size_t)1 << 20) : n;
        struct form f = {OBJ_STRING, ENC_EXT, 0, entry_expire(e)};
        shm_off off = txn_alloc(t, cap);
        memcpy(shm_ptr(off), old.p, keep);
        outside_free(t, e);
        fresh = entry_put(t, s, k, at, &f);
        *entry_ext(fresh) = (struct entry_ext){n, cap, off};
        *bytes = shm_ptr(off);
    } else {
        struct form f = {OBJ_STRING, ENC_RAW, n, entry_expire(e)};
        outside_free(t, e);
        fresh = entry_put(t, s, k, at, &f);
        *bytes = (uint8_t *)(uintptr_t)entry_bytes(fresh).p;
        memcpy(*bytes, old.p, keep);
    }
    memset(*bytes + keep, 0, n - keep);
    return fresh;
}

struct entry *ks_set_object(struct txn *t, const struct key *k, enum obj_type type, enum encoding enc, shm_off root, enum ks_ttl ttl)
{
    struct stripe *s = ks_stripe_make(k);
    struct ht_place at = ks_place(s, k);
    struct entry *old = at.bucket ? shm_ptr(at.item) : NULL;
    struct form f = {type, enc, 0, expiry_for(old, expiry_of(ttl))};
    if (old) outside_free(t, old);
    struct entry *e = entry_put(t, s, k, at, &f);
    *entry_root(e) = root;
    parts_note(t, k, e);
    return e;
}

void ks_set_root(struct txn *t, struct entry *e, enum encoding enc, shm_off root)
{
    uint8_t kind = (uint8_t)((uint32_t)entry_type(e) << 4 | enc);
    if (kind != e->kind) TXN_SET(t, e->kind, kind);
    if (*entry_root(e) != root) TXN_SET(t, *entry_root(e), root);
}

/* Another entry with the same value under `k` with this expiry; what hangs outside moves with it. */
static struct entry *entry_reshape(struct txn *t, struct stripe *s, const struct key *k, struct ht_place at, const struct entry *from,
                                   int64_t expire_ms)
{
    enum encoding enc = entry_enc(from);
    struct slice v = enc == ENC_EMBSTR || enc == ENC_RAW ? entry_bytes(from) : (struct slice){0};
    struct form f = {entry_type(from), enc, v.n, expire_ms};
    struct entry *e = entry_put(t, s, k, at, &f);
    if (enc == ENC_EMBSTR || enc == ENC_RAW)
        memcpy((uint8_t *)(uintptr_t)entry_bytes(e).p, v.p, v.n);
    else
        memcpy(entry_body(e), entry_body(from), value_part_size(enc));
    e->access = from->access;
    parts_note(t, k, e);
    return e;
}

struct entry *ks_set_expire(struct txn *t, const struct key *k, struct entry *e, int64_t expire_ms)
{
    struct stripe *s = ks_stripe(k);
    int64_t before = entry_expire(e);
    if (before < 0 && expire_ms < 0) return e;
    if (before >= 0 && expire_ms >= 0) {
        int64_t *field = (int64_t *)(void *)(e + 1);
        TXN_SET(t, *field, expire_ms);
        due_note(t, s, ht_bucket(&s->keys, ht_index(&s->keys, k->hash)), expire_ms);
        return e;
    }
    return entry_reshape(t, s, k, ks_place(s, k), e, expire_ms);
}

/* Takes the entry out of the table and frees its own memory. */
static void entry_drop(struct txn *t, struct stripe *s, const struct key *k, struct ht_place at)
{
    const struct entry *e = shm_ptr(at.item);
    expiry_count(t, s, entry_expire(e), -1);
    uint64_t size = entry_size(e);
    uint32_t buckets = s->keys.buckets;
    ht_remove(t, &s->keys, &ks_ops, k->hash, at);
    if (unlikely(s->keys.buckets < buckets && s->expire_cursor)) TXN_SET(t, s->due_next, DUE_AT_ONCE); /* see there */
    txn_free(t, at.item, size);
}

bool ks_delete(struct txn *t, const struct key *k)
{
    struct stripe *s = ks_stripe(k);
    struct ht_place at = s ? ks_place(s, k) : (struct ht_place){0};
    if (!at.bucket) return false;
    outside_free(t, shm_ptr(at.item));
    entry_drop(t, s, k, at);
    return true;
}

struct entry *ks_rename(struct txn *t, const struct key *from, const struct key *to)
{
    struct stripe *a = ks_stripe(from), *b = ks_stripe_make(to);
    struct ht_place at = ks_place(a, from);
    ENSURE(at.bucket != NULL);
    const struct entry *e = shm_ptr(at.item);
    struct entry *moved = entry_reshape(t, b, to, ks_place(b, to), e, entry_expire(e));
    entry_drop(t, a, from, ks_place(a, from)); /* found again: adding may have split its bucket */
    return moved;
}
