/* types/list.h - lists: rows of elements that grow and shrink at both ends.
 *
 *   ENC_LISTPACK   root = the one node
 *   ENC_QUICKLIST  root = struct list_root; nodes doubly linked
 *
 * A node is one block with a gap at both ends; between them lie elements in listpack's entry encoding:
 *   [prev, next (only in a quicklist)]  size head count tail saved  stem | gap | element ... | gap |
 * So a push at either end writes the element into the gap and announces two words of the header: what lies in a gap is reachable by nobody
 * and needs no undo. In return a pop announces the bytes it gives up, for a later push of the same transaction may write over them.
 * A node without room is built anew, a bit larger, with its elements at the end that is not growing. An element of at least
 * quicklist-packed-threshold bytes has a "plain" node of its own, as bytes without encoding.
 *
 * Elements that begin alike are kept without their common beginning, the node's stem (ds/stem.h). It is chosen when a node that has doubled
 * is built anew; a new node of a quicklist takes over its neighbour's. `saved` is what the listpack of the same elements would need more:
 * limits and encodings count with it, so they do not depend on stems.
 *
 * Where nodes are split, filled and joined, and when a list changes its encoding, is Redis 7.2's (quicklist.c, t_list.c), but that a node
 * limited by size holds 29 bytes less: its block with the header is the limit, a size class of its own.
 *
 * struct list is a copy of what the entry says (encoding and root): functions that change it change the copy, and the caller stores it
 * with ks_set_root(). All need the key's stripe; with a `t` also an open transaction. Death: undone with the transaction.
 * Not for: replies, events (cmd/cmd_list.c).
 */
#ifndef SHOAL_TYPES_LIST_H
#define SHOAL_TYPES_LIST_H

#include "ds/stem.h"
#include "keyspace/entry.h"

enum list_end { LIST_HEAD, LIST_TAIL };

struct list {
    enum encoding enc; /* ENC_LISTPACK or ENC_QUICKLIST */
    shm_off root;      /* 0 (ENC_LISTPACK only) = empty and without memory yet */
};
#define LIST_EMPTY ((struct list){ENC_LISTPACK, 0})

struct list_node {
    uint32_t size;  /* bytes from here to the end of the block */
    uint32_t head;  /* where the first element starts, from here */
    uint32_t count; /* elements (LIST_COUNT), bytes of the stem, which follows (6 bits); LIST_PLAIN: one element, as bytes without encoding */
    uint32_t tail;  /* behind the last element */
    uint32_t saved; /* bytes that the elements would have more in a listpack */
};
#define LIST_PLAIN (1u << 31)
#define LIST_STEM_SHIFT 24
#define LIST_COUNT ((1u << LIST_STEM_SHIFT) - 1)
#define LIST_TEXT_ROOM STEM_TEXT_MAX /* bytes of the buffer in which an element's text may be put together */

struct list_links { /* before a node of a quicklist */
    shm_off prev, next; /* struct list_node; 0 = none */
};

struct list_root {
    shm_off first, last; /* struct list_node */
    uint64_t count;      /* elements in all nodes */
    uint64_t nodes;
};

/* A place in a list: an element. Good until the list changes. */
struct list_place {
    shm_off node;
    const uint8_t *p;
};

static inline struct list list_of(const struct entry *e) { return (struct list){entry_enc(e), *entry_root(e)}; }

uint64_t list_length(const struct list *l);

/* ---- reading ---- */
/* index from the head, negative from the tail; false: outside. Walks from the nearer end. */
bool list_seek(const struct list *l, int64_t index, struct list_place *at);
/* One element on, towards `to`; false: that was the last. */
bool list_step(const struct list *l, struct list_place *at, enum list_end to);
/* A text points into the list or into room. */
void list_get(const struct list_place *at, struct lp_value *v, uint8_t room[LIST_TEXT_ROOM]);
/* As text; a number too is printed into room. */
struct slice list_text(const struct list_place *at, uint8_t room[LIST_TEXT_ROOM]);
bool list_equals(const struct list_place *at, struct slice s);
/* Calls fn for each element from the head on until it returns false; v->text is good during the call. */
void list_each(enum encoding enc, shm_off root, bool (*fn)(const struct lp_value *v, void *arg), void *arg);

/* ---- changing ---- */
/* Before elements of so many bytes and number are added: a list that would be too large for a listpack becomes a quicklist. */
void list_expect(struct txn *t, struct list *l, uint64_t bytes, uint64_t count);
/* After elements were removed or replaced: a quicklist of one small node becomes a listpack. `shrinking`: only below half the limit. */
void list_settle(struct txn *t, struct list *l, bool shrinking);
/* Room in a listpack for n elements, so that pushing them builds the node anew only once. */
void list_reserve(struct txn *t, struct list *l, enum list_end where, const struct slice *elements, uint32_t n);
void list_push(struct txn *t, struct list *l, enum list_end where, struct slice s);
/* Removes n <= length elements at an end. A list that is empty afterwards is to be deleted by the caller. */
void list_drop(struct txn *t, struct list *l, enum list_end where, uint64_t n);
void list_insert(struct txn *t, struct list *l, const struct list_place *at, bool after, struct slice s);
void list_replace(struct txn *t, struct list *l, const struct list_place *at, struct slice s);
/* Removes elements equal to s: at most `limit` (0 = all), beginning at `from`. Returns how many. */
uint64_t list_remove(struct txn *t, struct list *l, struct slice s, enum list_end from, uint64_t limit);

/* The settings as Redis reads them: would a listpack of so many bytes and elements be too large? */
bool list_exceeds(uint64_t bytes, uint64_t count);
/* May a quicklist of one node of so many bytes and elements become a listpack (see list_settle)? */
bool list_suits_listpack(uint64_t bytes, uint64_t count, bool shrinking);

#endif
