/* types/list_edit.c - changes in the middle of lists: insert, replace, remove by value.
 *
 * A node is changed by building it anew and swapping it in; only an element of equal size is overwritten. Where a quicklist splits and
 * joins its nodes is Redis' (quicklist.c). Layout, locks, deaths: list.h.
 */
#include "types/list_node.h"

/* A new unlinked node: the bytes [from, to) of another, which are `count` elements. */
static shm_off node_part(struct txn *t, const uint8_t *from, const uint8_t *to, uint32_t count)
{
    shm_off off = node_new(t, true, (uint64_t)(to - from), LIST_TAIL);
    struct list_node *part = node_at(off);
    memcpy(node_first(part), from, (size_t)(to - from));
    part->tail += (uint32_t)(to - from);
    part->count = count;
    return off;
}

/* The node anew, with `gone` elements from p on (to `after`) replaced by the item (NULL: nothing). Returns the new node. */
static shm_off node_splice(struct txn *t, struct list *l, shm_off off, const uint8_t *p, const uint8_t *after, uint32_t gone,
                           const struct lp_item *item)
{
    const struct list_node *n = node_at(off);
    uint32_t before = (uint32_t)(p - node_first(n)), behind = (uint32_t)(node_end(n) - after), bytes = item ? item->bytes : 0;
    shm_off fresh = node_new(t, is_quick(l), (uint64_t)before + bytes + behind, LIST_TAIL);
    struct list_node *f = node_at(fresh);
    uint8_t *dst = node_first(f);
    memcpy(dst, node_first(n), before);
    if (item) lp_item_write(dst + before, item);
    memcpy(dst + before + bytes, after, behind);
    f->tail += before + bytes + behind;
    f->count = n->count - gone + (item != NULL);
    node_swap(t, l, off, fresh);
    return fresh;
}

/* ---- joining ---- */

static bool may_join(shm_off a, shm_off b)
{
    if (!a || !b || is_plain(node_at(a)) || is_plain(node_at(b))) return false;
    uint32_t overhead = setting(SET_list_max_listpack_size) < 0 ? 32 : LIST_LP_OVERHEAD;
    return !list_exceeds((uint64_t)node_used(node_at(a)) + node_used(node_at(b)) + overhead,
                         (uint64_t)node_count(node_at(a)) + node_count(node_at(b)));
}

/* a is right before b; returns the node that holds both. */
static shm_off join(struct txn *t, struct list *l, shm_off a, shm_off b)
{
    const struct list_node *x = node_at(a), *y = node_at(b);
    uint32_t n = node_used(x), m = node_used(y);
    shm_off off = node_new(t, true, (uint64_t)n + m, LIST_TAIL);
    struct list_node *both = node_at(off);
    memcpy(node_first(both), node_first(x), n);
    memcpy(node_first(both) + n, node_first(y), m);
    both->tail += n + m;
    both->count = node_count(x) + node_count(y);
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

static uint32_t count_between(const uint8_t *from, const uint8_t *to)
{
    uint32_t n = 0;
    for (; from < to; from = lp_after(from)) n++;
    return n;
}

/* Cuts a packed node in two at p: [head, p) and [p, tail), neither empty. Returns the first, linked; the second follows it. */
static shm_off split(struct txn *t, struct list *l, shm_off off, const uint8_t *p)
{
    const struct list_node *n = node_at(off);
    uint32_t before = count_between(node_first(n), p);
    shm_off a = node_part(t, node_first(n), p, before), b = node_part(t, p, node_end(n), node_count(n) - before);
    node_link(t, l, b, off);
    node_swap(t, l, off, a);
    return a;
}

/* Adds the item at an end of a packed node. */
static void put_at_end(struct txn *t, struct list *l, shm_off n, enum list_end where, const struct lp_item *item)
{
    const uint8_t *p = where == LIST_HEAD ? node_first(node_at(n)) : node_end(node_at(n));
    node_splice(t, l, n, p, p, 0, item);
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
    struct lp_item item = lp_item_text(s.p, s.n);
    if (!is_quick(l) || node_allows(at->node, s.n)) {
        node_splice(t, l, at->node, p, p, 0, &item);
        return;
    }
    bool at_tail = after && p == node_end(n), at_head = !after && p == node_first(n);
    shm_off prev = links_of(at->node)->prev, next = links_of(at->node)->next;
    if (at_tail && node_allows(next, s.n)) {
        put_at_end(t, l, next, LIST_HEAD, &item);
    } else if (at_head && node_allows(prev, s.n)) {
        put_at_end(t, l, prev, LIST_TAIL, &item);
    } else if (at_tail || at_head || is_plain(n)) {
        node_link(t, l, node_of(t, true, s), after ? at->node : prev);
    } else { /* a full node is cut; the new part gets the element: behind the old one if `after`, before it if not */
        shm_off first = split(t, l, at->node, p), second = links_of(first)->next;
        if (after) {
            put_at_end(t, l, second, LIST_HEAD, &item);
            join_around(t, l, first);
        } else {
            put_at_end(t, l, first, LIST_TAIL, &item);
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
    if (after < node_end(n)) { /* what is behind it: a node of its own */
        uint32_t behind = count_between(after, node_end(n));
        node_link(t, l, node_part(t, after, node_end(n), behind), off);
    }
    shm_off first = p > node_first(n) ? node_part(t, node_first(n), p, count_between(node_first(n), p)) : 0;
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
    struct lp_item item = lp_item_text(s.p, s.n);
    const uint8_t *after = lp_after(at->p);
    if ((size_t)(after - at->p) == item.bytes) {
        uint8_t *p = (uint8_t *)n + (at->p - (const uint8_t *)n);
        txn_touch(t, p, item.bytes);
        lp_item_write(p, &item);
        return;
    }
    node_splice(t, l, at->node, at->p, after, 1, &item);
}

/* ---- remove by value ---- */

/* Which elements of a node go: at most `limit` that equal s, from one end on. Marks are in scratch memory, one a removed element, in
 * the order found. */
static uint32_t find_equal(const struct list_node *n, struct slice s, enum list_end from, uint64_t limit, const uint8_t **found)
{
    uint32_t count = 0;
    int64_t number;
    bool is_number = num_parse_i64(s.p, s.n, &number);
    const uint8_t *p = from == LIST_HEAD ? node_first(n) : node_end(n);
    for (uint32_t i = node_count(n); i && count < limit; i--) {
        if (from == LIST_TAIL) p = lp_step_back(p);
        struct lp_value v;
        lp_get(p, &v);
        bool same = v.text ? v.n == s.n && bytes_equal(v.text, s.p, s.n) : is_number && v.number == number;
        if (same) found[count++] = p;
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
    shm_off fresh = node_new(t, is_quick(l), node_used(n), LIST_TAIL);
    struct list_node *f = node_at(fresh);
    uint8_t *dst = node_first(f);
    const uint8_t *p = node_first(n);
    for (uint32_t i = 0; i <= count; i++) {
        const uint8_t *to = i == count ? node_end(n) : gone[from == LIST_HEAD ? i : count - 1 - i];
        memcpy(dst, p, (size_t)(to - p));
        dst += to - p;
        if (i < count) p = lp_after(to);
    }
    f->tail = (uint32_t)(dst - (uint8_t *)f);
    f->count = n->count - count;
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
