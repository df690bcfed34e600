/* types/set.h - sets of distinct members, unordered.
 *
 *   ENC_INTSET     root = intset (all members are canonical integers)
 *   ENC_LISTPACK   root = listpack, a member an entry
 *   ENC_HASHTABLE  root = struct htable; an item is length (1, or 255 and 4) | bytes
 *
 * When a set changes its encoding is Redis 7.2's: setTypeAdd, setTypeCreate, setTypeMaybeConvert in t_set.c. It never goes back.
 *
 * struct set is a copy of what the entry says (encoding and root): functions that change it change the copy, and the caller stores it
 * with ks_set_root() or deletes the key when nothing is left. All need the key's stripe; with a `t` also an open transaction.
 * Death: undone with the transaction. Not for: replies, events (cmd/cmd_set*.c).
 */
#ifndef SHOAL_TYPES_SET_H
#define SHOAL_TYPES_SET_H

#include "ds/htable.h"
#include "ds/listpack.h"
#include "keyspace/entry.h"

struct set {
    enum encoding enc; /* ENC_INTSET, ENC_LISTPACK or ENC_HASHTABLE */
    shm_off root;      /* 0 (not ENC_HASHTABLE) = empty and without memory yet */
};

/* ---- reading ---- */
static inline struct set set_of(const struct entry *e) { return (struct set){entry_enc(e), *entry_root(e)}; }
uint64_t set_count(const struct set *s);
bool set_has(const struct set *s, struct slice member);
/* Calls fn for each member until it returns false: text, or a number when v->text is NULL. */
void set_each(enum encoding enc, shm_off root, bool (*fn)(const struct lp_value *v, void *arg), void *arg);
/* SCAN: fn for every member of the cursor's part; the next cursor, 0 at the end. Intset and listpack are one part. */
uint64_t set_scan(const struct set *s, uint64_t cursor, bool (*fn)(const struct lp_value *v, void *arg), void *arg);
/* A member, each as likely as any other. The set is not empty. */
void set_random(const struct set *s, uint64_t (*random64)(void), struct lp_value *v);
/* The member of this place, for intset and listpack only. */
void set_at(const struct set *s, uint64_t index, struct lp_value *v);

/* A member as text; a number is printed into room. */
static ALWAYS_INLINE struct slice set_text(const struct lp_value *v, uint8_t room[NUM_I64_ROOM])
{
    return v->text ? (struct slice){v->text, v->n} : (struct slice){room, num_from_i64(room, v->number)};
}

/* ---- changing ---- */
bool set_add(struct txn *t, struct set *s, struct slice member);
bool set_remove(struct txn *t, struct set *s, struct slice member);

/* An empty set in the encoding that Redis would start with for this first member of so many. */
struct set set_create(struct txn *t, struct slice first, uint64_t count_hint);
/* Before many members are added: a compact set that would be too small for so many becomes a table. */
void set_expect(struct txn *t, struct set *s, uint64_t count_hint);
/* A set of n distinct members (at least one). */
struct set set_build(struct txn *t, const struct slice *members, uint64_t n);
struct set set_build_as(struct txn *t, enum encoding enc, const struct slice *members, uint64_t n);

#endif
