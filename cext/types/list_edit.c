/* types/list_edit.c - changes in the middle of lists: insert, replace, remove by value.
 *
 * A node is changed by building it anew and swapping it in; only an element of equal size is overwritten. Where a quicklist splits and
 * joins its nodes is Redis' (quicklist.c). Layout, locks, deaths: list.h.
 */
#include "types/list_node.h"

/* The node anew, with the elements [p, after) replaced by `text` (NULL: nothing). Returns the new node. */
static shm_off node_splice(struct txn *t, struct list *l, shm_off off, const uint8_t *p, const uint8_t *after, const struct slice *text)
{
    const struct list_node *n = node_at(off);
    uint32_t before = (uint32_t)(p - node_first(n)), behind = (uint32_t)(node_end(n) - after);
    struct lp_item item = {0};
    if (text) item = node_item(n, *text);
    shm_off fresh = node_new(t, is_quick(l), node_stem(n), (uint64_t)before + item.bytes + behind, LIST_TAIL);
    elements_append(node_at(fresh), n, node_first(n), p);
    if (text) node_put(t, node_at(fresh), LIST_TAIL, &item);
    elements_append(node_at(fresh), n, after, node_end(n));
    node_swap(t, l, off, fresh);
    return fresh;
}

/* ---- joining ---- */

static bool may_join(shm_off a, shm_off b)
{
    if (!a || !b || is_plain(node_at(a)) || is_plain(node_at(b))) return false;
    return !list_exceeds(node_weight(node_at(a)) + node_weight(node_at(b)) + node_overhead(),
                         (uint64_t)node_count(node_at(a)) + node_count(node_at(b)));
}

/* a is right before b; returns the node that holds both. */
static shm_off join(struct txn *t, struct list *l, shm_off a, shm_off b)
{
    const struct list_node *x = node_at(a), *y = node_at(b);
    shm_off off = node_copy(t, true, x, node_stem(x), elements_bytes(y, node_first(y), node_end(y), node_stem(x)), LIST_TAIL);
    elements_append(node_at(off), y, node_first(y), node_end(y));
    node_remove(t, l, b);
    node_swap(t, l, a, off);
    return off;
}

/* Joins the neighbours of a node, and it with them, as far as the limits allow. */
static void join_around(struct txn *t, struct list *l, shm_off center)
{
    shm_off prev = links_of(center)->prev, next = links_of(center)->next;
    shm_off prev2 = prev ? links_of(prev)->prev : 0, next2 = next ? links_of(next)->next : 0;
    if (may_join(prev2, prev)) join(t, l, prev2, prev);
    if (may_join(next, next2)) join(t, l, next, next2);
    prev = links_of(center)->prev;
    if (may_join(prev, center)) center = join(t, l, prev, center);
    next = links_of(center)->next;
    if (may_join(center, next)) join(t, l, center, next);
}

/* ---- insert ---- */

/* Cuts a packed node in two at p: [head, p) and [p, tail), neither empty. Returns the first, linked; the second follows it. */
static shm_off split(struct txn *t, struct list *l, shm_off off, const uint8_t *p)
{
    const struct list_node *n = node_at(off);
    shm_off a = node_part(t, true, n, node_first(n), p), b = node_part(t, true, n, p, node_end(n));
    node_link(t, l, b, off);
    node_swap(t, l, off, a);
    return a;
}

/* Adds an element at an end of a packed node. */
static void put_at_end(struct txn *t, struct list *l, shm_off n, enum list_end where, const struct slice *s)
{
    const uint8_t *p = where == LIST_HEAD ? node_first(node_at(n)) : node_end(node_at(n));
    node_splice(t, l, n, p, p, s);
}

static void insert_large(struct txn *t, struct list *l, const struct list_place *at, const uint8_t *p, struct slice s)
{
    const struct list_node *n = node_at(at->node);
    shm_off before = p > node_first(n) ? at->node : links_of(at->node)->prev; /* the new node stands behind this one */
    if (!is_plain(n) && p > node_first(n) && p < node_end(n)) before = split(t, l, at->node, p);
    node_link(t, l, node_of(t, true, s), before);
}

void list_insert(struct txn *t, struct list *l, const struct list_place *at, bool after, struct slice s)
{
    const struct list_node *n = node_at(at->node);
    const uint8_t *p = !after ? at->p : is_plain(n) ? node_end(n) : lp_after(at->p); /* the new element is to stand before this */
    if (is_quick(l) && is_large(s)) {
        insert_large(t, l, at, p, s);
        return;
    }
    if (!is_quick(l) || node_allows(at->node, s.n)) {
        node_splice(t, l, at->node, p, p, &s);
        return;
    }
    bool at_tail = after && p == node_end(n), at_head = !after && p == node_first(n);
    shm_off prev = links_of(at->node)->prev, next = links_of(at->node)->next;
    if (at_tail && node_allows(next, s.n)) {
        put_at_end(t, l, next, LIST_HEAD, &s);
    } else if (at_head && node_allows(prev, s.n)) {
        put_at_end(t, l, prev, LIST_TAIL, &s);
    } else if (at_tail || at_head || is_plain(n)) {
        node_link(t, l, node_of(t, true, s), after ? at->node : prev);
    } else { /* a full node is cut; the new part gets the element: behind the old one if `after`, before it if not */
        shm_off first = split(t, l, at->node, p), second = links_of(first)->next;
        if (after) {
            put_at_end(t, l, second, LIST_HEAD, &s);
            join_around(t, l, first);
        } else {
            put_at_end(t, l, first, LIST_TAIL, &s);
            join_around(t, l, second);
        }
    }
}

/* ---- replace ---- */

/* A large element takes the place of a packed one: the node is cut around it. */
static void replace_by_large(struct txn *t, struct list *l, const struct list_place *at, struct slice s)
{
    struct list_node *n = node_at(at->node);
    const uint8_t *p = at->p, *after = lp_after(p);
    shm_off off = at->node, large = node_of(t, true, s);
    if (node_count(n) == 1) {
        node_swap(t, l, off, large);
        return;
    }
    if (after < node_end(n)) node_link(t, l, node_part(t, true, n, after, node_end(n)), off); /* what is behind it: a node of its own */
    shm_off first = p > node_first(n) ? node_part(t, true, n, node_first(n), p) : 0;
    if (first) {
        node_link(t, l, large, off);
        node_swap(t, l, off, first);
    } else {
        node_swap(t, l, off, large);
    }
    join_around(t, l, large);
}

void list_replace(struct txn *t, struct list *l, const struct list_place *at, struct slice s)
{
    struct list_node *n = node_at(at->node);
    if (is_quick(l) && is_plain(n)) {
        node_swap(t, l, at->node, node_of(t, true, s)); /* in Redis too a small element gets a node of its own here, or joins the next */
        return;
    }
    if (is_quick(l) && is_large(s)) {
        replace_by_large(t, l, at, s);
        return;
    }
    struct lp_item item = node_item(n, s);
    const uint8_t *after = lp_after(at->p);
    if ((size_t)(after - at->p) == item.bytes) {
        uint8_t *p = (uint8_t *)n + (at->p - (const uint8_t *)n);
        uint32_t stem = (uint32_t)node_stem(n).n, saved = n->saved - stem_saves(stem, p) + stem_item_saves(stem, &item);
        txn_touch(t, p, item.bytes);
        lp_item_write(p, &item);
        if (saved != n->saved) TXN_SET(t, n->saved, saved);
        return;
    }
    node_splice(t, l, at->node, at->p, after, &s);
}

/* ---- remove by value ---- */

/* Which elements of a node go: at most `limit` that equal s, from one end on. Marks are in scratch memory, one a removed element, in
 * the order found. */
static uint32_t find_equal(const struct list_node *n, struct slice s, enum list_end from, uint64_t limit, const uint8_t **found)
{
    uint32_t count = 0;
    struct stem_key key = stem_key(node_stem(n), s);
    const uint8_t *p = from == LIST_HEAD ? node_first(n) : node_end(n);
    for (uint32_t i = node_count(n); i && count < limit; i--) {
        if (from == LIST_TAIL) p = lp_step_back(p);
        if (stem_equals(p, &key)) found[count++] = p;
        if (from == LIST_HEAD) p = lp_after(p);
    }
    return count;
}

static void node_without(struct txn *t, struct list *l, shm_off off, const uint8_t *const *gone, uint32_t count, enum list_end from)
{
    const struct list_node *n = node_at(off);
    if (count == node_count(n) && is_quick(l)) {
        node_remove(t, l, off);
        return;
    }
    if (count == node_count(n)) {
        node_free(t, false, off);
        *l = LIST_EMPTY;
        return;
    }
    uint32_t left = node_used(n);
    for (uint32_t i = 0; i < count; i++) left -= (uint32_t)(lp_after(gone[i]) - gone[i]);
    shm_off fresh = node_new(t, is_quick(l), node_stem(n), left, LIST_TAIL);
    const uint8_t *p = node_first(n);
    for (uint32_t i = 0; i <= count; i++) {
        const uint8_t *to = i == count ? node_end(n) : gone[from == LIST_HEAD ? i : count - 1 - i];
        elements_append(node_at(fresh), n, p, to);
        if (i < count) p = lp_after(to);
    }
    node_swap(t, l, off, fresh);
}

uint64_t list_remove(struct txn *t, struct list *l, struct slice s, enum list_end from, uint64_t limit)
{
    uint64_t removed = 0;
    if (!limit) limit = UINT64_MAX;
    const uint8_t **found = NULL;
    uint32_t room = 0;
    for (shm_off off = from == LIST_HEAD ? list_first(l) : list_last(l), next; off && removed < limit; off = next) {
        const struct list_node *n = node_at(off);
        next = from == LIST_HEAD ? node_next(l, off) : node_prev(l, off);
        if (is_plain(n)) {
            if (node_used(n) != s.n || memcmp(node_first(n), s.p, s.n) != 0) continue;
            node_remove(t, l, off);
            removed++;
            continue;
        }
        if (node_count(n) > room) found = scratch_alloc((room = node_count(n)) * sizeof *found);
        uint32_t count = find_equal(n, s, from, limit - removed, found);
        if (count) node_without(t, l, off, found, count, from);
        removed += count;
    }
    return removed;
}
