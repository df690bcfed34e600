/* keyspace/entry.h - one key with its value: a single allocation in the arena.
 *
 *   | struct entry (8) | expire_ms (8, if ENTRY_EXPIRES) | value part | key bytes |
 *
 * value part by encoding:
 *   ENC_INT            int64_t
 *   ENC_EMBSTR/ENC_RAW uint32_t length; the value's bytes follow the key bytes
 *   ENC_EXT            struct entry_ext: a long string in an allocation of its own (reported as "raw")
 *   collections        shm_off of the type's root
 *
 * expire_ms: -1 is never stored. A value of at most ENTRY_INLINE_MAX bytes is inline. Entries move (a new allocation takes the place
 * in the table) when they gain or lose the expiry or change size class; what hangs below a root stays where it is.
 * Everything but `access` is written inside a transaction under the stripe's lock.
 */
#ifndef SHOAL_KEYSPACE_ENTRY_H
#define SHOAL_KEYSPACE_ENTRY_H

#include "shm/txn.h"

enum obj_type { OBJ_STRING = 0, OBJ_LIST = 1, OBJ_SET = 2, OBJ_ZSET = 3, OBJ_HASH = 4, OBJ_STREAM = 6 };

enum encoding { /* values are ours; names as OBJECT ENCODING says them: encoding_name() */
    ENC_INT = 0,
    ENC_EMBSTR,
    ENC_RAW,
    ENC_EXT,
    ENC_LISTPACK,
    ENC_QUICKLIST,
    ENC_INTSET,
    ENC_HASHTABLE,
    ENC_SKIPLIST, /* counted B+-tree and table; "skiplist" to clients */
    ENC_STREAM,
    ENC_LISTPACK_EX, /* hash whose fields may expire */
    ENC_COUNT
};
const char *encoding_name(enum encoding e);
const char *type_name(enum obj_type t);

#define ENTRY_EXPIRES 1u   /* flags: has expire_ms */
#define ENTRY_LONG_KEY 2u  /* key length in 4 bytes before the key instead of klen */
#define ENTRY_INLINE_MAX 8192u
#define EMBSTR_MAX 44u     /* Redis' border between embstr and raw */

struct entry {
    uint32_t access;  /* LRU: seconds (24 bits); LFU: minutes << 8 | counter; written without a bracket */
    uint8_t kind;     /* type << 4 | encoding */
    uint8_t flags;
    uint16_t klen;    /* key bytes, unless ENTRY_LONG_KEY */
};

struct entry_ext {
    uint64_t len;     /* bytes of the string */
    uint64_t cap;     /* bytes asked for at its allocation */
    shm_off off;
};

static ALWAYS_INLINE enum obj_type entry_type(const struct entry *e) { return (enum obj_type)(e->kind >> 4); }
static ALWAYS_INLINE enum encoding entry_enc(const struct entry *e) { return (enum encoding)(e->kind & 15); }
static ALWAYS_INLINE char *entry_body(const struct entry *e)
{
    return (char *)(uintptr_t)(e + 1) + ((e->flags & ENTRY_EXPIRES) ? 8 : 0);
}
/* -1 = does not expire; else unix time in milliseconds. */
static ALWAYS_INLINE int64_t entry_expire(const struct entry *e)
{
    return (e->flags & ENTRY_EXPIRES) ? *(const int64_t *)(const void *)(e + 1) : -1;
}
static ALWAYS_INLINE size_t value_part_size(enum encoding enc)
{
    return enc == ENC_EMBSTR || enc == ENC_RAW ? 4 : enc == ENC_EXT ? sizeof(struct entry_ext) : 8;
}
static ALWAYS_INLINE struct slice entry_key(const struct entry *e)
{
    const char *p = entry_body(e) + value_part_size(entry_enc(e));
    if (unlikely(e->flags & ENTRY_LONG_KEY)) {
        uint32_t n;
        memcpy(&n, p, 4);
        return (struct slice){(const uint8_t *)p + 4, n};
    }
    return (struct slice){(const uint8_t *)p, e->klen};
}
static ALWAYS_INLINE shm_off *entry_root(const struct entry *e) { return (shm_off *)(void *)entry_body(e); }
static ALWAYS_INLINE int64_t *entry_int(const struct entry *e) { return (int64_t *)(void *)entry_body(e); }
static ALWAYS_INLINE struct entry_ext *entry_ext(const struct entry *e) { return (struct entry_ext *)(void *)entry_body(e); }
static ALWAYS_INLINE bool entry_is_string_bytes(const struct entry *e)
{
    return entry_type(e) == OBJ_STRING && entry_enc(e) != ENC_INT;
}
/* Bytes of a string that is not ENC_INT, where they lie. */
static ALWAYS_INLINE struct slice entry_bytes(const struct entry *e)
{
    if (unlikely(entry_enc(e) == ENC_EXT)) return (struct slice){shm_ptr(entry_ext(e)->off), entry_ext(e)->len};
    struct slice k = entry_key(e);
    uint32_t n;
    memcpy(&n, entry_body(e), 4);
    return (struct slice){k.p + k.n, n};
}
/* What the whole entry was allocated with. */
uint64_t entry_size(const struct entry *e);

#endif
