/* types/hash_pack.h - the compact form of a hash, shared by the files types/hash*.c only. Layout: hash.h. */
#ifndef SHOAL_TYPES_HASH_PACK_H
#define SHOAL_TYPES_HASH_PACK_H

#include "types/hash.h"

#define PACK_BYTES_MAX (64u << 20) /* larger ones become tables whatever the settings */
#define PACK_COUNT_MAX 1000000u

extern const struct objtype hash_type;

static ALWAYS_INLINE bool is_pack(enum encoding enc) { return enc != ENC_HASHTABLE; }
static ALWAYS_INLINE uint32_t pack_prefix(enum encoding enc) { return enc == ENC_LISTPACK_EX ? 8 : 0; }
static ALWAYS_INLINE struct hash_pack *pack_at(enum encoding enc, shm_off root) { return shm_ptr(root + pack_prefix(enc)); }
static ALWAYS_INLINE const uint8_t *pack_end(const struct hash_pack *p) { return (const uint8_t *)p + p->bytes; }
static ALWAYS_INLINE struct hash_root *hash_root(shm_off root) { return shm_ptr(root); }

/* Reads the field at p; returns where the next one starts. */
const uint8_t *pack_read(enum encoding enc, const struct pack_stems *stems, const uint8_t *p, struct hash_field *f);
/* Only where the next one starts. */
const uint8_t *pack_skip(enum encoding enc, const uint8_t *p);
/* Where the field starts, NULL = not there. Looks at no times. */
const uint8_t *pack_find(enum encoding enc, shm_off root, struct slice field);
/* Replaces the bytes [from, to) of the pack by the items; it has `more` fields afterwards. from NULL: there is no pack yet. */
void pack_splice(struct txn *t, struct hash *h, const uint8_t *from, const uint8_t *to, const struct lp_item *items, uint32_t n,
                 int32_t more);
/* A pack of so many bytes (as in its head) of which only the head is written: `count` with its flag. */
shm_off pack_new(struct txn *t, enum encoding enc, uint32_t bytes, uint32_t count);
/* Chooses stems anew: the pack is built anew if that makes it smaller. */
void pack_choose_stems(struct txn *t, struct hash *h);
void pack_free(struct txn *t, enum encoding enc, shm_off root);

/* ---- items of the table ---- */
struct hash_item_parts { /* an item taken apart */
    struct slice field, value;
    int64_t expire_ms; /* -1 = none */
};
void item_read(shm_off item, struct hash_item_parts *x);
uint64_t item_size(const struct hash_item_parts *x);
shm_off item_new(struct txn *t, const struct hash_item_parts *x);
struct ht_place item_find(const struct hash_root *r, struct slice field, uint64_t *hash);
void item_field(const struct hash_item_parts *x, struct hash_field *f);
extern const struct ht_ops hash_ht_ops;

/* hash_delete(), also if the field's time is over. */
bool hash_drop(struct txn *t, struct hash *h, struct slice field);
/* hash_scan(), also those whose time is over. */
uint64_t hash_scan_even_expired(const struct hash *h, uint64_t cursor, hash_fn *fn, void *arg);

/* Pack to table. */
void hash_to_table(struct txn *t, struct hash *h, uint64_t expected);

#endif
