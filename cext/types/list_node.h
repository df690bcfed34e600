/* types/list_node.h - nodes of lists, shared by list.c, list_edit.c and list_type.c only. Layout: list.h. */
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
static ALWAYS_INLINE uint32_t node_count(const struct list_node *n) { return n->count & ~LIST_PLAIN; }
static ALWAYS_INLINE bool is_plain(const struct list_node *n) { return n->count & LIST_PLAIN; }
static ALWAYS_INLINE uint32_t node_used(const struct list_node *n) { return n->tail - n->head; }
static ALWAYS_INLINE uint8_t *node_first(const struct list_node *n) { return (uint8_t *)(uintptr_t)n + n->head; }
static ALWAYS_INLINE uint8_t *node_end(const struct list_node *n) { return (uint8_t *)(uintptr_t)n + n->tail; }
static ALWAYS_INLINE shm_off list_first(const struct list *l) { return is_quick(l) ? list_root(l)->first : l->root; }
static ALWAYS_INLINE shm_off list_last(const struct list *l) { return is_quick(l) ? list_root(l)->last : l->root; }
static ALWAYS_INLINE shm_off node_next(const struct list *l, shm_off n) { return is_quick(l) ? links_of(n)->next : 0; }
static ALWAYS_INLINE shm_off node_prev(const struct list *l, shm_off n) { return is_quick(l) ? links_of(n)->prev : 0; }

/* A node of the list's kind, not linked, with room for `room` bytes of elements or a bit more; it has none yet: head = tail = at the
 * end (LIST_HEAD: it grows to the front) or at the start of the room. */
shm_off node_new(struct txn *t, bool linked, uint64_t room, enum list_end grows);
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
bool is_large(struct slice s);
/* May the element go into this node (0: no)? */
bool node_allows(shm_off n, size_t bytes);

#endif
