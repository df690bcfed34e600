/* types/list_node.h - nodes of lists, shared by the files types/list*.c only. Layout: list.h. */
#ifndef SHOAL_TYPES_LIST_NODE_H
#define SHOAL_TYPES_LIST_NODE_H

#include "keyspace/objtype.h"
#include "types/list.h"

extern const struct objtype list_type;

#define LIST_LP_OVERHEAD 7u /* header and end that a listpack of the same elements would have: Redis' limits count them */

static ALWAYS_INLINE struct list_node *node_at(shm_off off) { return shm_ptr(off); }
static ALWAYS_INLINE struct list_root *list_root(const struct list *l) { return shm_ptr(l->root); }
static ALWAYS_INLINE struct list_links *links_of(shm_off node) { return (struct list_links *)shm_ptr(node) - 1; }
static ALWAYS_INLINE bool is_quick(const struct list *l) { return l->enc == ENC_QUICKLIST; }
static ALWAYS_INLINE uint32_t node_count(const struct list_node *n) { return n->count & LIST_COUNT; }
static ALWAYS_INLINE bool is_plain(const struct list_node *n) { return n->count & LIST_PLAIN; }
static ALWAYS_INLINE uint32_t node_used(const struct list_node *n) { return n->tail - n->head; }
/* Bytes that a listpack would need for the elements. */
static ALWAYS_INLINE uint64_t node_weight(const struct list_node *n) { return (uint64_t)node_used(n) + n->saved; }
static ALWAYS_INLINE struct slice node_stem(const struct list_node *n)
{
    return (struct slice){(const uint8_t *)(n + 1), n->count >> LIST_STEM_SHIFT & STEM_MAX};
}
static ALWAYS_INLINE uint8_t *node_first(const struct list_node *n) { return (uint8_t *)(uintptr_t)n + n->head; }
static ALWAYS_INLINE uint8_t *node_end(const struct list_node *n) { return (uint8_t *)(uintptr_t)n + n->tail; }
static ALWAYS_INLINE uint32_t node_gap(const struct list_node *n, enum list_end where)
{
    return where == LIST_HEAD ? n->head - (uint32_t)(sizeof *n + node_stem(n).n) : n->size - n->tail;
}
static ALWAYS_INLINE shm_off list_first(const struct list *l) { return is_quick(l) ? list_root(l)->first : l->root; }
static ALWAYS_INLINE shm_off list_last(const struct list *l) { return is_quick(l) ? list_root(l)->last : l->root; }
static ALWAYS_INLINE shm_off node_next(const struct list *l, shm_off n) { return is_quick(l) ? links_of(n)->next : 0; }
static ALWAYS_INLINE shm_off node_prev(const struct list *l, shm_off n) { return is_quick(l) ? links_of(n)->prev : 0; }

/* ---- limits (the settings as Redis reads them) ---- */
bool is_large(struct slice s);
/* May an element of so many bytes go into this node (0: no)? */
bool node_allows(shm_off n, size_t bytes);
/* What a node weighs towards the limits beside its elements. */
uint32_t node_overhead(void);
/* Bytes that the elements of a quicklist's node may weigh. */
uint64_t node_limit(void);

/* ---- nodes ---- */
/* A node of the list's kind, not linked, with this stem and room for `room` bytes of elements or a bit more; it has none yet: head = tail =
 * at the end (LIST_HEAD: it grows to the front) or at the start of the room. */
shm_off node_new(struct txn *t, bool linked, struct slice stem, uint64_t room, enum list_end grows);
void node_free(struct txn *t, bool linked, shm_off n);
/* Links a node behind `after` (0: at the head) and counts it and its elements. */
void node_link(struct txn *t, struct list *l, shm_off n, shm_off after);
/* Unlinks, frees and uncounts it. */
void node_remove(struct txn *t, struct list *l, shm_off n);
/* `fresh`, which is not linked, takes the place of `old`, which is freed; counts change by the difference. */
void node_swap(struct txn *t, struct list *l, shm_off old, shm_off fresh);
/* Sets the element count of a quicklist. */
void list_count_add(struct txn *t, struct list *l, int64_t n);
/* A node for one element: packed, or plain if it is large. */
shm_off node_of(struct txn *t, bool linked, struct slice s);

/* ---- their elements ---- */
static ALWAYS_INLINE struct lp_item node_item(const struct list_node *n, struct slice s) { return stem_item(node_stem(n), s); }
/* Writes an element into the gap, which is large enough; announces it. */
void node_put(struct txn *t, struct list_node *n, enum list_end where, const struct lp_item *item);
/* Bytes that the elements [from, to) of a node would take in one with this stem. */
uint32_t elements_bytes(const struct list_node *n, const uint8_t *from, const uint8_t *to, struct slice stem);
/* What their stems save, and how many they are. */
struct elements_sum {
    uint32_t saved, count;
};
struct elements_sum elements_sum(const struct list_node *n, const uint8_t *from, const uint8_t *to);
/* Appends them to a node that was made in this transaction and has room. `to` may have another stem. */
void elements_append(struct list_node *to, const struct list_node *n, const uint8_t *from, const uint8_t *end);
/* A new unlinked node of the elements [from, to) of another, with its stem. */
shm_off node_part(struct txn *t, bool linked, const struct list_node *n, const uint8_t *from, const uint8_t *to);
/* A copy with this stem and room for `extra` more bytes or a bit more, at the end that grows. */
shm_off node_copy(struct txn *t, bool linked, const struct list_node *n, struct slice stem, uint64_t extra, enum list_end grows);
/* The stem that suits the node's elements; it points into the node or `room`. */
struct slice node_best_stem(const struct list_node *n, uint8_t room[STEM_TEXT_MAX]);

#endif
