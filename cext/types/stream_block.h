/* types/stream_block.h - inside the blocks of streams, shared by stream*.c only. Layout: stream.h. */
#ifndef SHOAL_TYPES_STREAM_BLOCK_H
#define SHOAL_TYPES_STREAM_BLOCK_H

#include "keyspace/objtype.h"
#include "types/stream.h"

static ALWAYS_INLINE int stream_ref_compare(const uint8_t *entry, const void *key)
{
    struct stream_id id;
    memcpy(&id, entry, sizeof id);
    return stream_id_compare(id, *(const struct stream_id *)key);
}
static ALWAYS_INLINE struct stream_block *block_at(shm_off off) { return shm_ptr(off); }
static ALWAYS_INLINE shm_off block_off(const struct stream_block *b) { return shm_offset(b); }

/* The number at p; 0 if there is a text (no sound block has one there). */
static ALWAYS_INLINE int64_t lp_number(const uint8_t *p)
{
    struct lp_value v;
    lp_get(p, &v);
    return v.text ? 0 : v.number;
}
static ALWAYS_INLINE const uint8_t *lp_skip(const uint8_t *p, uint64_t n)
{
    while (n--) p = lp_after(p);
    return p;
}

struct block_head { /* the master entry, decoded */
    int64_t live, deleted;
    uint32_t fields;
    const uint8_t *field;   /* first field name */
    const uint8_t *entries; /* behind the master entry */
};
void block_head(const uint8_t *lp, struct block_head *h);

struct block_entry { /* an entry, decoded */
    struct stream_id id;
    int64_t flags;
    uint32_t fields;
    const uint8_t *body;  /* first field, or first value with STREAM_SAME */
    const uint8_t *after; /* behind the entry: the next one or LP_END */
};
void block_entry(const uint8_t *p, struct stream_id block, uint32_t master_fields, struct block_entry *e);
/* The entry before p (which may be the end of the listpack); NULL: p is the first. */
const uint8_t *block_entry_before(const uint8_t *lp, const uint8_t *p);

/* The block that an id would be in: the last one that does not begin behind it; leaf NULL = none. */
struct bt_cursor block_for(const struct stream *s, struct stream_id id);
/* Sets the counts in a block's master entry; the block may move (then the tree and the tail know). Returns where it is. */
shm_off block_set_head(struct txn *t, struct stream *s, struct stream_ref ref, int64_t live, int64_t deleted);
/* Takes a block out of the tree and frees it. */
void block_remove(struct txn *t, struct stream *s, struct stream_ref ref);
/* Sets first_id to the oldest live entry. */
void stream_refresh_first(struct txn *t, struct stream *s);

extern const struct objtype stream_objtype;

/* Frees groups until the budget is used up; true when none are left. */
bool stream_groups_free_some(struct txn *t, struct stream *s, uint64_t *budget);

#endif
