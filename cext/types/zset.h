/* types/zset.h - sorted sets: members in the order of (score, member), found by member, score, name or position.
 *
 *   ENC_LISTPACK   root = listpack of member, score, member, score ... in order; integral scores as numbers, others as text
 *   ENC_SKIPLIST   root = struct zset_root: a table of members and a counted B+-tree of their order (ds/htable.h, ds/btree.h)
 *
 * A member of the latter is one allocation: score (8) | length (1, or 255 and 4) | bytes. The tree's entries are score (8) and the
 * offset of the member (5): the score is there once more, so that a search seldom leaves the tree.
 *
 * A position ("rank") counts from 0 at the lowest score. Ranges of scores and of names are turned into ranges of ranks first:
 * zset_rank_of_score(), zset_rank_of_name(); so counting, limiting, removing and walking are the same for all kinds of ranges.
 *
 * struct zset is a copy of what the entry says (encoding and root): functions that change it change the copy, and the caller stores
 * it with ks_set_root() or deletes the key when nothing is left. All need the key's stripe; with a `t` also an open transaction.
 * Death: undone with the transaction. Not for: replies, events (cmd/cmd_zset*.c).
 */
#ifndef SHOAL_TYPES_ZSET_H
#define SHOAL_TYPES_ZSET_H

#include "ds/btree.h"
#include "ds/htable.h"
#include "ds/listpack.h"
#include "keyspace/entry.h"

struct zset {
    enum encoding enc; /* ENC_LISTPACK or ENC_SKIPLIST */
    shm_off root;      /* 0 (ENC_LISTPACK only) = empty and without memory yet */
};

struct zset_root {
    struct htable members; /* items: see above */
    struct btree order;
};

struct zmember {
    struct slice name; /* points into the set, or to `room` of what it was read with */
    double score;
};

/* ---- reading ---- */
static inline struct zset zset_of(const struct entry *e) { return (struct zset){entry_enc(e), *entry_root(e)}; }
uint64_t zset_count(const struct zset *z);
bool zset_score(const struct zset *z, struct slice name, double *score);
/* -1: no such member. */
int64_t zset_rank(const struct zset *z, struct slice name, double *score);
/* How many members have a score below `score` (or_equal: up to it). */
uint64_t zset_rank_of_score(const struct zset *z, double score, bool or_equal);
/* How many members come before `name` (or_equal: up to it), where all have the same score. */
uint64_t zset_rank_of_name(const struct zset *z, struct slice name, bool or_equal);

/* Walks from a rank upwards or downwards; good until the set changes. */
struct zset_walk {
    const uint8_t *lp, *p; /* listpack: the whole, the next member to give */
    struct bt_cursor c;
    bool packed, down;
    uint8_t room[NUM_I64_ROOM];
};
void zset_walk_from(const struct zset *z, struct zset_walk *w, uint64_t rank, bool down);
/* False: that was the last. The name is good until the next step. */
bool zset_walk_next(struct zset_walk *w, struct zmember *m);

/* Calls fn for each member, lowest first, until it returns false. */
void zset_each(enum encoding enc, shm_off root, bool (*fn)(const struct zmember *m, void *arg), void *arg);
/* SCAN: fn for every member of the cursor's part; the next cursor, 0 at the end. A listpack is one part. */
uint64_t zset_scan(const struct zset *z, uint64_t cursor, void (*fn)(const struct zmember *m, void *arg), void *arg);

/* ---- changing ---- */
enum zadd { /* what zset_add may do, and did */
    ZADD_INCR = 1, ZADD_NX = 2, ZADD_XX = 4, ZADD_GT = 8, ZADD_LT = 16,
    ZADD_NOP = 32, ZADD_NAN = 64, ZADD_ADDED = 128, ZADD_UPDATED = 256,
};
/* Adds the member or changes its score, as the first five bits allow; returns one or none of the last four. *now is its score after. */
uint32_t zset_add(struct txn *t, struct zset *z, struct slice name, double score, uint32_t how, double *now);
bool zset_remove(struct txn *t, struct zset *z, struct slice name);
/* Removes `n` members from rank `from` on. */
void zset_remove_ranks(struct txn *t, struct zset *z, uint64_t from, uint64_t n);

/* An empty set in the encoding that Redis would start with for so many members, the longest (as far as known) of so many bytes. */
struct zset zset_create(struct txn *t, uint64_t count_hint, size_t longest);
/* Before many members are added: a listpack that would be too small for so many becomes a table. */
void zset_expect(struct txn *t, struct zset *z, uint64_t count_hint);
/* A set of n members (at least one), distinct and in order. */
struct zset zset_build(struct txn *t, const struct zmember *members, uint64_t n);
/* The same in the encoding that `like` has. */
struct zset zset_build_as(struct txn *t, enum encoding enc, const struct zmember *members, uint64_t n);

/* (score, name) order; names as bytes. */
int zmember_compare(const struct zmember *a, const struct zmember *b);
int slice_compare(struct slice a, struct slice b);

/* For tests and integrity walks: is the whole consistent? */
bool zset_check(const struct zset *z);

#endif
