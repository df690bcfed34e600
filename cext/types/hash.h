/* types/hash.h - hashes: fields with values, and with times at which they expire.
 *
 *   ENC_LISTPACK     root = struct hash_pack: field value field value ... in listpack's entry encoding without its back-lengths
 *   ENC_LISTPACK_EX  root = int64_t earliest, struct hash_pack: field value expire_ms ... (0 = does not expire)
 *   ENC_HASHTABLE    root = struct hash_root: a table of items, each one allocation
 *
 * Fields that begin alike are kept without their common beginning, and so are values (ds/stem.h). The two stems stand between the pack's
 * head and its fields, if PACK_STEMS says so: u8 length, u8 length, bytes, bytes. They are chosen anew when the number of fields has doubled.
 *
 * A pack is changed in place when the change needs no other size class and moves few bytes, else built anew and swapped. It becomes a
 * table at hash-max-listpack-entries and -value, and never again a pack, as in Redis 7.2.
 *
 * item: flags (1) | field length (1 or 4) | value length (1 or 4) | expire_ms (8, if HASH_ITEM_EXPIRES) | field | value
 *
 * `earliest` is a lower bound of the fields' times, 0 = none expires. A field whose time is over is not found by hash_find(), not passed to
 * callbacks, not deleted by hash_delete() and new to hash_set(), but counts in hash_length() until hash_remove_expired() comes by: before
 * a command writes to a small hash, and with the active expiry, which walks through a table in steps.
 *
 * struct hash is a copy of what the entry says: functions that change it change the copy, and the caller stores it with ks_set_root().
 * All need the key's stripe; with a `t` also an open transaction. Death: undone with the transaction.
 */
#ifndef SHOAL_TYPES_HASH_H
#define SHOAL_TYPES_HASH_H

#include "ds/htable.h"
#include "ds/stem.h"
#include "keyspace/entry.h"
#include "keyspace/objtype.h"

struct hash {
    enum encoding enc;
    shm_off root;      /* 0 (ENC_LISTPACK only) = empty and without memory yet */
};
#define HASH_EMPTY ((struct hash){ENC_LISTPACK, 0})

struct hash_pack {
    uint32_t bytes;    /* of this head and the data: what was asked for at the allocation (without `earliest`) */
    uint32_t count;    /* fields; PACK_STEMS: stems stand before them */
};
#define PACK_STEMS (1u << 31)

struct pack_stems {
    struct slice field, value; /* n 0: none */
};
static inline uint32_t pack_count(const struct hash_pack *p) { return p->count & ~PACK_STEMS; }
static inline struct pack_stems pack_stems(const struct hash_pack *p)
{
    const uint8_t *at = (const uint8_t *)(p + 1);
    if (likely(!(p->count & PACK_STEMS))) return (struct pack_stems){0};
    return (struct pack_stems){{at + 2, at[0]}, {at + 2 + at[0], at[1]}};
}
/* Where the fields start. */
static inline const uint8_t *pack_fields(const struct hash_pack *p)
{
    const uint8_t *at = (const uint8_t *)(p + 1);
    return p->count & PACK_STEMS ? at + 2 + at[0] + at[1] : at;
}

struct hash_root {
    struct htable table;
    int64_t earliest;  /* unix time in milliseconds; 0 = no field expires */
    uint64_t cursor;   /* ht_scan() cursor of a walk for expired fields under way; 0 = none */
    int64_t next;      /* the earliest time of the fields which that walk has passed; 0 = none */
};

#define HASH_ITEM_LONG_FIELD 1u
#define HASH_ITEM_LONG_VALUE 2u
#define HASH_ITEM_EXPIRES 4u

/* One field as it is found. Texts point into the hash or into scratch memory; a number has text NULL. */
struct hash_field {
    struct lp_value field, value;
    int64_t expire_ms; /* -1 = does not expire */
};

static inline struct hash hash_of(const struct entry *e) { return (struct hash){entry_enc(e), *entry_root(e)}; }

/* ---- reading ---- */
uint64_t hash_length(const struct hash *h);
bool hash_find(const struct hash *h, struct slice field, struct hash_field *f);
/* A value as text: a number is printed into room. */
static ALWAYS_INLINE struct slice hash_text(const struct lp_value *v, uint8_t room[NUM_I64_ROOM])
{
    if (likely(v->text != NULL)) return (struct slice){v->text, v->n};
    return (struct slice){room, num_from_i64(room, v->number)};
}
typedef bool hash_fn(const struct hash_field *f, void *arg);
/* Calls fn for each field until it returns false. */
void hash_each(enum encoding enc, shm_off root, hash_fn *fn, void *arg);
/* The same, those whose time is over too. */
void hash_each_even_expired(enum encoding enc, shm_off root, hash_fn *fn, void *arg);
/* HSCAN: calls fn for the cursor's group of fields (a pack: for all); returns the next cursor, 0 at the end. */
uint64_t hash_scan(const struct hash *h, uint64_t cursor, hash_fn *fn, void *arg);
/* A random field; false: a few tries found none that lives. */
bool hash_random(const struct hash *h, struct hash_field *f);

/* ---- changing ---- */
/* Before `fields` pairs are added of which the longest text has `longest` bytes: a pack that they would not suit becomes a table. */
void hash_expect(struct txn *t, struct hash *h, uint64_t fields, uint64_t longest);
enum hash_ttl { HASH_TTL_CLEAR, HASH_TTL_KEEP };
/* True if the field is new. */
bool hash_set(struct txn *t, struct hash *h, struct slice field, struct slice value, enum hash_ttl ttl);
/* A hash that is empty afterwards is to be deleted by the caller. */
bool hash_delete(struct txn *t, struct hash *h, struct slice field);

/* ---- times of fields (hash_expire.c) ---- */
bool hash_field_expired(int64_t expire_ms);
/* Lower bound of the fields' times, 0 = none. */
int64_t hash_earliest(enum encoding enc, shm_off root);
/* A pack becomes one with places for times. */
void hash_allow_times(struct txn *t, struct hash *h);
/* The field must be there; -1 = does not expire any more. */
void hash_set_expire(struct txn *t, struct hash *h, struct slice field, int64_t expire_ms);
/* One step: removes at most `max` fields whose time is over, calling fn for each before; of a table it looks at a few hundred fields. A walk
 * that has come to its end makes `earliest` exact. */
uint64_t hash_remove_expired(struct txn *t, struct hash *h, uint64_t max, void (*fn)(struct slice field, void *arg), void *arg);

#endif
