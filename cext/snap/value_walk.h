/* snap/value_walk.h - the elements of lists, sets, sorted sets and hashes, one by one, whatever the encoding.
 *
 * For whoever writes values element by element (RESP bases). Reads through a mem_reader, a node at a time; scratch memory is rewound
 * after each element, so a value of any size costs a few hundred KiB. Takes no locks: see mem_reader.h.
 */
#ifndef SHOAL_SNAP_VALUE_WALK_H
#define SHOAL_SNAP_VALUE_WALK_H

#include "snap/mem_reader.h"

/* Text as it is found: at s.p; or, when s.p is NULL, s.n bytes at `off` that are too many to be viewed at once. */
struct walk_text {
    struct slice s;
    shm_off off;
};

struct walk_item {
    struct walk_text text;  /* element, member, field */
    struct walk_text value; /* of a field */
    double score;           /* of a sorted set's member */
    int64_t expire_ms;      /* of a field; -1 = does not expire */
};
typedef void walk_fn(const struct walk_item *item, void *arg);

/* How many there are (fields whose time is over too). `e` is a view of an entry that is no string and no stream. */
uint64_t value_count(struct mem_reader *r, const struct entry *e);
/* Lists and sorted sets in their order. */
void value_each(struct mem_reader *r, const struct entry *e, walk_fn *fn, void *arg);

/* A hash table's item (types/hash.h) taken apart; its texts lie behind what was viewed when they are longer. */
#define HASH_ITEM_GUESS 64u /* most are smaller; what stands in front of the texts always is */
struct hash_item_view {
    struct slice field, value;
    int64_t expire_ms; /* -1 = none */
    size_t bytes;      /* of the whole item */
};
void hash_item_take_apart(const uint8_t *item, struct hash_item_view *x);

#endif
