/* types/stream.h - streams: entries by 128-bit id, in listpack blocks that are byte for byte Redis' own, and consumer groups.
 *
 *   root = struct stream (ENC_STREAM)
 *   blocks   counted B+-tree (ds/btree.h) of {block's id, struct stream_block}, in order of id
 *   groups   sorted row of struct stream_group; each has its pending entries as a B+-tree of {entry's id, struct stream_nack}, and a sorted row
 *            of struct stream_consumer, each with its own tree over the same nacks
 *
 * A block is a listpack: the master entry (live entries, deleted ones, number of fields, the field names, 0), then the entries:
 *   flags | ms and sequence less the block's id | [number of fields | field | value ...] or [value ...] | listpack elements before this one
 * STREAM_SAME: the fields are the master entry's. STREAM_DELETED: not there any more. A block has room for growth behind its listpack
 * while it is the last one; an append writes there and announces the header and the end mark only. A block that others follow is trimmed
 * to its size. Where a new block begins is Redis' rule (stream-node-max-bytes, stream-node-max-entries).
 *
 * All functions need the key's stripe; with a `t` also an open transaction. Death: undone with the transaction.
 * Not for: replies, ids as text, events (cmd/cmd_stream*.c).
 */
#ifndef SHOAL_TYPES_STREAM_H
#define SHOAL_TYPES_STREAM_H

#include "ds/btree.h"
#include "ds/listpack.h"
#include "keyspace/entry.h"

struct stream_id {
    uint64_t ms, seq;
};
#define STREAM_ID_MIN ((struct stream_id){0, 0})
#define STREAM_ID_MAX ((struct stream_id){UINT64_MAX, UINT64_MAX})

static ALWAYS_INLINE int stream_id_compare(struct stream_id a, struct stream_id b)
{
    if (a.ms != b.ms) return a.ms < b.ms ? -1 : 1;
    return a.seq == b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}
static inline bool stream_id_is_zero(struct stream_id id) { return !id.ms && !id.seq; }
/* The next and previous id; false: there is none. */
bool stream_id_next(struct stream_id *id);
bool stream_id_prev(struct stream_id *id);

struct stream_ref {       /* what the trees hold */
    struct stream_id id;
    shm_off off;          /* struct stream_block or struct stream_nack */
};
#define STREAM_REF ((uint32_t)sizeof(struct stream_ref))

struct stream_row {       /* a row of named things, sorted by name */
    shm_off items;        /* shm_off[cap] */
    uint32_t count, cap;
};

struct stream {
    uint64_t length;                 /* live entries */
    uint64_t entries_added;          /* ever */
    struct stream_id last_id;        /* these four words change with every append */
    struct stream_id first_id;       /* of the oldest live entry; 0-0 without any */
    struct stream_id max_deleted_id;
    struct stream_ref tail;          /* last block; off 0 = no blocks */
    struct btree blocks;
    struct stream_row groups;        /* struct stream_group */
};

struct stream_block {
    uint32_t cap;                    /* bytes of the allocation */
    uint32_t pad;
    uint8_t lp[];
};

struct stream_name {                 /* groups and consumers begin with this */
    uint32_t at;                     /* bytes from here to the name, which is the end of the allocation */
    uint32_t n;
};

#define STREAM_READ_UNKNOWN (-1)     /* entries_read */

struct stream_group {
    struct stream_name name;
    struct stream_id last_id;        /* last entry that was delivered */
    int64_t entries_read;            /* entries before last_id, deleted ones included; or STREAM_READ_UNKNOWN */
    struct btree pending;            /* of struct stream_nack */
    struct stream_row consumers;     /* struct stream_consumer */
};

struct stream_consumer {
    struct stream_name name;
    int64_t seen_ms;                 /* last attempt to read or claim */
    int64_t active_ms;               /* last time it got something; -1 = never */
    struct btree pending;            /* the nacks that are its own */
};

struct stream_nack {                 /* an entry that was delivered and not acknowledged */
    int64_t delivered_ms;
    uint64_t deliveries;
    shm_off consumer;
};

#define STREAM_DELETED 1
#define STREAM_SAME 2

static inline struct stream *stream_of(const struct entry *e) { return shm_ptr(*entry_root(e)); }
static inline struct slice stream_name(const struct stream_name *n) { return (struct slice){(const uint8_t *)n + n->at, n->n}; }

/* ---- entries ---- */
shm_off stream_create(struct txn *t);
/* An entry with an id above last_id; `pairs` fields and values, in turn. False (nothing done): larger than a listpack can be. */
bool stream_append(struct txn *t, struct stream *s, struct stream_id id, const struct slice *pairs, uint32_t fields);
/* False: there is no such entry. */
bool stream_delete(struct txn *t, struct stream *s, struct stream_id id);
/* Is there a live entry with this id? */
bool stream_has(const struct stream *s, struct stream_id id);
/* The oldest or newest live entry's id; 0-0 when there is none. */
struct stream_id stream_edge(const struct stream *s, bool newest);

struct stream_trim {
    bool by_id;                 /* else by length */
    bool approx;                /* only whole blocks */
    uint64_t maxlen;
    struct stream_id minid;
    int64_t limit;              /* approx: most entries to remove; 0 = any number */
};
/* Returns how many entries went. */
uint64_t stream_trim(struct txn *t, struct stream *s, const struct stream_trim *how);

/* Takes over a block as it comes from a file (a sound listpack, see stream_block_sound), in order of id; counts nothing. */
void stream_adopt_block(struct txn *t, struct stream *s, struct stream_id id, struct slice lp);
/* Is the listpack (itself sound) a block? *live: its live entries. Every function here is safe on a sound one. */
bool stream_block_sound(const uint8_t *lp, size_t n, uint64_t *live);

/* ---- reading ---- */
struct stream_iter {
    const struct stream *s;
    struct stream_id from, to;  /* inclusive, from <= to */
    bool reverse;
    bool started;
    struct bt_cursor at;        /* block */
    struct stream_id block_id;
    const uint8_t *lp;          /* NULL: no more blocks */
    const uint8_t *p;           /* forward: next entry; reverse: the entry before which to look; NULL = block is done */
    const uint8_t *fields;      /* first master field */
    uint32_t master_fields;
    /* the entry that stream_next returned */
    const uint8_t *entry;       /* its flags */
    const uint8_t *field, *value; /* next to be returned */
    bool same;
};
void stream_iterate(struct stream_iter *it, const struct stream *s, struct stream_id from, struct stream_id to, bool reverse);
/* The next live entry; false at the end. */
bool stream_next(struct stream_iter *it, struct stream_id *id, uint32_t *fields);
/* Its next field and value; call `fields` times. Numbers are printed into the rooms. */
void stream_pair(struct stream_iter *it, struct slice *field, uint8_t froom[NUM_I64_ROOM], struct slice *value,
                 uint8_t vroom[NUM_I64_ROOM]);

/* ---- groups ---- */
struct stream_group *stream_group(const struct stream *s, struct slice name);        /* NULL = none */
struct stream_group *stream_group_at(const struct stream *s, uint32_t i);
/* NULL: there is one of that name. */
struct stream_group *stream_group_create(struct txn *t, struct stream *s, struct slice name, struct stream_id last, int64_t entries_read);
void stream_group_destroy(struct txn *t, struct stream *s, struct stream_group *g);
/* How many entries the group still has to read; false: not known. */
bool stream_group_lag(const struct stream *s, const struct stream_group *g, uint64_t *lag);
/* How many entries, deleted ones included, come up to `id`; STREAM_READ_UNKNOWN if that cannot be told. */
int64_t stream_entries_up_to(const struct stream *s, struct stream_id id);
/* Could an entry between the ids have been deleted (so that counting is in vain)? */
bool stream_has_tombstone(const struct stream *s, struct stream_id from, struct stream_id to);

struct stream_consumer *stream_consumer(const struct stream_group *g, struct slice name);
struct stream_consumer *stream_consumer_at(const struct stream_group *g, uint32_t i);
struct stream_consumer *stream_consumer_create(struct txn *t, struct stream_group *g, struct slice name, int64_t now_ms);
/* Its pending entries are forgotten by the group too. */
void stream_consumer_destroy(struct txn *t, struct stream_group *g, struct stream_consumer *c);

/* ---- pending entries ---- */
struct stream_nack *stream_nack(const struct stream_group *g, struct stream_id id); /* NULL = none */
/* A new one; the id is pending nowhere in the group. */
struct stream_nack *stream_nack_add(struct txn *t, struct stream_group *g, struct stream_consumer *c, struct stream_id id, int64_t ms,
                                    uint64_t deliveries);
/* Makes it c's; the time and the count are the caller's to change (txn_touch). */
void stream_nack_give(struct txn *t, struct stream_nack *n, struct stream_id id, struct stream_consumer *c);
bool stream_nack_remove(struct txn *t, struct stream_group *g, struct stream_id id);
/* The first pending entry at or behind the id; leaf NULL = none. Read with stream_ref_at, go on with bt_next. */
struct bt_cursor stream_pending_from(const struct btree *pending, struct stream_id id);
static inline struct stream_ref stream_ref_at(struct bt_cursor c)
{
    struct stream_ref r;
    memcpy(&r, bt_entry(c, STREAM_REF), sizeof r);
    return r;
}

#endif
