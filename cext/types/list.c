/* types/list.c - lists: nodes and their memory, both ends, reading, the change of encoding. Layout, locks, deaths: list.h. */
#include "types/list_node.h"

#include "keyspace/lazy.h"

#define NODE_ROOM_FIRST 48u  /* bytes for elements in a list's first node: a block of 64 */
#define SIZE_SAFETY_LIMIT 8192u /* bytes of a listpack that is limited by a number of elements */

__attribute__((constructor)) static void register_type(void) { objtypes[OBJ_LIST] = &list_type; }

/* ---- limits ---- */

static int64_t fill(void) { return setting(SET_list_max_listpack_size); }

static uint64_t size_limit(int64_t f) { return f >= 0 ? UINT64_MAX : 2048ull << MIN(-f, (int64_t)5); }
static uint64_t count_limit(int64_t f) { return f < 0 ? UINT64_MAX : f == 0 ? 1 : (uint64_t)f; }

bool list_exceeds(uint64_t bytes, uint64_t count)
{
    int64_t f = fill();
    if (f < 0) return bytes > size_limit(f);
    return bytes > SIZE_SAFETY_LIMIT || count > count_limit(f);
}

bool is_large(struct slice s)
{
    int64_t threshold = setting(SET_quicklist_packed_threshold);
    return s.n >= (uint64_t)threshold || s.n >= LP_MAX_BYTES - 64;
}

/* What a node weighs towards the limits beside its elements. */
static uint32_t node_overhead(void)
{
    return fill() < 0 ? sizeof(struct list_links) + sizeof(struct list_node) : LIST_LP_OVERHEAD;
}

bool node_allows(shm_off n, size_t bytes)
{
    if (!n || is_plain(node_at(n))) return false;
    return !list_exceeds((uint64_t)node_used(node_at(n)) + node_overhead() + bytes + 8, node_count(node_at(n)) + 1ull);
}

/* ---- nodes ---- */

static uint64_t block_size(bool linked, uint64_t size) { return size + (linked ? sizeof(struct list_links) : 0); }

shm_off node_new(struct txn *t, bool linked, uint64_t room, enum list_end grows)
{
    uint64_t block = arena_usable(block_size(linked, sizeof(struct list_node) + room));
    shm_off off = txn_alloc(t, block);
    if (linked) {
        *(struct list_links *)shm_ptr(off) = (struct list_links){0, 0};
        off += sizeof(struct list_links);
    }
    uint32_t size = (uint32_t)(block - block_size(linked, 0));
    uint32_t at = grows == LIST_HEAD ? size : (uint32_t)sizeof(struct list_node);
    *node_at(off) = (struct list_node){.size = size, .head = at, .count = 0, .tail = at};
    return off;
}

void node_free(struct txn *t, bool linked, shm_off n)
{
    txn_free(t, n - block_size(linked, 0), block_size(linked, node_at(n)->size));
}

void list_count_add(struct txn *t, struct list *l, int64_t n)
{
    struct list_root *r = list_root(l);
    TXN_SET(t, r->count, r->count + (uint64_t)n);
}

static void set_next(struct txn *t, struct list *l, shm_off n, shm_off next)
{
    if (n)
        TXN_SET(t, links_of(n)->next, next);
    else
        TXN_SET(t, list_root(l)->first, next);
}

static void set_prev(struct txn *t, struct list *l, shm_off n, shm_off prev)
{
    if (n)
        TXN_SET(t, links_of(n)->prev, prev);
    else
        TXN_SET(t, list_root(l)->last, prev);
}

void node_link(struct txn *t, struct list *l, shm_off n, shm_off after)
{
    shm_off before = after ? links_of(after)->next : list_root(l)->first;
    *links_of(n) = (struct list_links){after, before};
    set_next(t, l, after, n);
    set_prev(t, l, before, n);
    struct list_root *r = list_root(l);
    txn_touch(t, &r->count, 16);
    r->count += node_count(node_at(n));
    r->nodes++;
}

void node_remove(struct txn *t, struct list *l, shm_off n)
{
    struct list_links *k = links_of(n);
    set_next(t, l, k->prev, k->next);
    set_prev(t, l, k->next, k->prev);
    struct list_root *r = list_root(l);
    txn_touch(t, &r->count, 16);
    r->count -= node_count(node_at(n));
    r->nodes--;
    node_free(t, true, n);
}

void node_swap(struct txn *t, struct list *l, shm_off old, shm_off fresh)
{
    if (is_quick(l)) {
        *links_of(fresh) = *links_of(old);
        set_next(t, l, links_of(old)->prev, fresh);
        set_prev(t, l, links_of(old)->next, fresh);
        int64_t more = (int64_t)node_count(node_at(fresh)) - (int64_t)node_count(node_at(old));
        if (more) list_count_add(t, l, more);
    } else {
        l->root = fresh;
    }
    node_free(t, is_quick(l), old);
}

/* A copy of the elements in a new node with room for `room` bytes, at the end that does not grow. */
static shm_off node_copy(struct txn *t, bool linked, const struct list_node *n, uint64_t room, enum list_end grows)
{
    shm_off off = node_new(t, linked, room, grows);
    struct list_node *fresh = node_at(off);
    uint32_t used = node_used(n);
    if (grows == LIST_HEAD)
        fresh->head -= used;
    else
        fresh->tail += used;
    fresh->count = n->count;
    memcpy(node_first(fresh), node_first(n), used);
    return off;
}

/* Room for `bytes` more at an end: the node anew, a size class larger in a listpack (they are near to each other: a short list is to stay
 * small), twice as large in a quicklist up to its limit. */
static NOINLINE shm_off node_grow(struct txn *t, struct list *l, shm_off off, uint32_t bytes, enum list_end where)
{
    const struct list_node *n = node_at(off);
    uint64_t need = (uint64_t)node_used(n) + bytes, room = need < 384 ? need + need / 4 : need;
    if (is_quick(l)) {
        uint64_t limit = (fill() < 0 ? size_limit(fill()) : SIZE_SAFETY_LIMIT) - sizeof(struct list_links) - sizeof(struct list_node);
        room = MAX(need, MIN(2 * need, limit));
    }
    shm_off fresh = node_copy(t, is_quick(l), n, room, where);
    node_swap(t, l, off, fresh);
    return fresh;
}

/* Writes an element into the gap, which is large enough. */
static ALWAYS_INLINE void node_put(struct txn *t, struct list_node *n, enum list_end where, const struct lp_item *item)
{
    if (where == LIST_HEAD) {
        uint8_t *p = node_first(n) - item->bytes;
        cow_touch(shm_offset(p), item->bytes);
        lp_item_write(p, item);
        txn_touch(t, &n->head, 8);
        n->head -= item->bytes;
    } else {
        uint8_t *p = node_end(n);
        cow_touch(shm_offset(p), item->bytes);
        lp_item_write(p, item);
        txn_touch(t, &n->count, 8);
        n->tail += item->bytes;
    }
    n->count++;
}

static ALWAYS_INLINE uint32_t node_gap(const struct list_node *n, enum list_end where)
{
    return where == LIST_HEAD ? n->head - (uint32_t)sizeof *n : n->size - n->tail;
}

shm_off node_of(struct txn *t, bool linked, struct slice s)
{
    if (is_large(s)) {
        shm_off off = node_new(t, linked, s.n, LIST_TAIL);
        struct list_node *n = node_at(off);
        memcpy(node_first(n), s.p, s.n);
        n->tail += (uint32_t)s.n;
        n->count = 1 | LIST_PLAIN;
        return off;
    }
    struct lp_item item = lp_item_text(s.p, s.n);
    shm_off off = node_new(t, linked, item.bytes, LIST_TAIL);
    node_put(t, node_at(off), LIST_TAIL, &item);
    return off;
}

/* ---- both ends ---- */

static void quick_push(struct txn *t, struct list *l, enum list_end where, struct slice s)
{
    shm_off end = where == LIST_HEAD ? list_first(l) : list_last(l);
    if (unlikely(is_large(s))) {
        node_link(t, l, node_of(t, true, s), where == LIST_HEAD ? 0 : end);
        return;
    }
    struct lp_item item = lp_item_text(s.p, s.n);
    if (likely(node_allows(end, s.n))) {
        if (unlikely(node_gap(node_at(end), where) < item.bytes)) end = node_grow(t, l, end, item.bytes, where);
        node_put(t, node_at(end), where, &item);
        list_count_add(t, l, 1);
        return;
    }
    uint64_t usual = (fill() < 0 ? size_limit(fill()) : SIZE_SAFETY_LIMIT) / 4; /* a long list: its nodes start larger */
    shm_off fresh = node_new(t, true, MAX((uint64_t)item.bytes, usual - 32), where);
    node_put(t, node_at(fresh), where, &item);
    node_link(t, l, fresh, where == LIST_HEAD ? 0 : end);
}

void list_reserve(struct txn *t, struct list *l, enum list_end where, const struct slice *elements, uint32_t n)
{
    uint64_t bytes = 0;
    if (is_quick(l)) return;
    for (uint32_t i = 0; i < n; i++) bytes += lp_item_text(elements[i].p, elements[i].n).bytes;
    if (!l->root)
        l->root = node_new(t, false, MAX(bytes, NODE_ROOM_FIRST), where);
    else if (node_gap(node_at(l->root), where) < bytes)
        node_grow(t, l, l->root, (uint32_t)bytes, where);
}

void list_push(struct txn *t, struct list *l, enum list_end where, struct slice s)
{
    if (is_quick(l)) {
        quick_push(t, l, where, s);
        return;
    }
    struct lp_item item = lp_item_text(s.p, s.n);
    if (!l->root)
        l->root = node_new(t, false, MAX(item.bytes, NODE_ROOM_FIRST), where);
    else if (unlikely(node_gap(node_at(l->root), where) < item.bytes))
        node_grow(t, l, l->root, item.bytes, where);
    node_put(t, node_at(l->root), where, &item);
}

/* Gives up n < count elements of one node. Announces their bytes too (see the head of list.h). */
static void node_drop(struct txn *t, struct list *l, shm_off off, enum list_end where, uint32_t count)
{
    struct list_node *n = node_at(off);
    const uint8_t *p = where == LIST_HEAD ? node_first(n) : node_end(n);
    for (uint32_t i = 0; i < count; i++) p = where == LIST_HEAD ? lp_after(p) : lp_step_back(p);
    uint32_t at = (uint32_t)(p - (const uint8_t *)n);
    uint32_t left = where == LIST_HEAD ? n->tail - at : at - n->head;
    if (n->size > 4 * NODE_ROOM_FIRST && left < n->size / 4) { /* mostly gap: a smaller node */
        shm_off fresh = node_new(t, is_quick(l), left + left / 8, LIST_TAIL);
        memcpy(node_first(node_at(fresh)), where == LIST_HEAD ? p : node_first(n), left);
        node_at(fresh)->tail += left;
        node_at(fresh)->count = n->count - count;
        node_swap(t, l, off, fresh);
        return;
    }
    if (where == LIST_HEAD) {
        txn_touch(t, node_first(n), at - n->head);
        txn_touch(t, &n->head, 8);
        n->head = at;
    } else {
        txn_touch(t, (uint8_t *)n + at, n->tail - at);
        txn_touch(t, &n->count, 8);
        n->tail = at;
    }
    n->count -= count;
    if (is_quick(l)) list_count_add(t, l, -(int64_t)count);
}

/* Cuts whole nodes off at an end into a list of their own that is freed in the background: those up to and with `last` (seen from the
 * end), of which there are `nodes` with `count` elements; others remain. */
static void detach_nodes(struct txn *t, struct list *l, enum list_end where, shm_off last, uint64_t nodes, uint64_t count)
{
    shm_off off = txn_alloc(t, sizeof(struct list_root));
    struct list_root *cut = shm_ptr(off), *r = list_root(l);
    *cut = (struct list_root){.count = count, .nodes = nodes};
    if (where == LIST_HEAD) {
        cut->first = r->first, cut->last = last;
        shm_off rest = links_of(last)->next;
        TXN_SET(t, links_of(last)->next, 0);
        TXN_SET(t, r->first, rest);
        TXN_SET(t, links_of(rest)->prev, 0);
    } else {
        cut->last = r->last, cut->first = last;
        shm_off rest = links_of(last)->prev;
        TXN_SET(t, links_of(last)->prev, 0);
        TXN_SET(t, r->last, rest);
        TXN_SET(t, links_of(rest)->next, 0);
    }
    txn_touch(t, &r->count, 16);
    r->count -= count;
    r->nodes -= nodes;
    lazy_push(t, (uint32_t)OBJ_LIST << 4 | ENC_QUICKLIST, off);
}

/* Takes as many whole nodes away as n covers, all but the list's last; returns what is left of n. */
static uint64_t drop_nodes(struct txn *t, struct list *l, enum list_end where, uint64_t n)
{
    uint64_t nodes = 0, count = 0;
    shm_off last = 0, at = where == LIST_HEAD ? list_first(l) : list_last(l);
    while (nodes + 1 < list_root(l)->nodes && count + node_count(node_at(at)) <= n) {
        count += node_count(node_at(at));
        nodes++;
        last = at;
        at = where == LIST_HEAD ? links_of(at)->next : links_of(at)->prev;
    }
    if (nodes > LAZY_EFFORT)
        detach_nodes(t, l, where, last, nodes, count);
    else
        for (; nodes; nodes--) node_remove(t, l, where == LIST_HEAD ? list_first(l) : list_last(l));
    return n - count;
}

void list_drop(struct txn *t, struct list *l, enum list_end where, uint64_t n)
{
    if (is_quick(l) && n > 0) n = drop_nodes(t, l, where, n);
    if (!n) return;
    shm_off end = where == LIST_HEAD ? list_first(l) : list_last(l);
    if (n < node_count(node_at(end))) {
        node_drop(t, l, end, where, (uint32_t)n);
    } else if (is_quick(l)) {
        node_remove(t, l, end);
    } else {
        node_free(t, false, end);
        *l = LIST_EMPTY;
    }
}

/* ---- encodings ---- */

void list_expect(struct txn *t, struct list *l, uint64_t bytes, uint64_t count)
{
    if (is_quick(l)) return;
    const struct list_node *n = l->root ? node_at(l->root) : NULL;
    if (likely(!list_exceeds(LIST_LP_OVERHEAD + (n ? node_used(n) : 0) + bytes, count + (n ? node_count(n) : 0)))) return;
    struct list quick = {ENC_QUICKLIST, txn_alloc(t, sizeof(struct list_root))};
    *list_root(&quick) = (struct list_root){0};
    if (n) {
        node_link(t, &quick, node_copy(t, true, n, node_used(n), LIST_TAIL), 0);
        node_free(t, false, l->root);
    }
    *l = quick;
}

void list_settle(struct txn *t, struct list *l, bool shrinking)
{
    if (likely(!is_quick(l)) || list_root(l)->nodes != 1) return;
    int64_t f = fill();
    shm_off only = list_first(l);
    const struct list_node *n = node_at(only);
    uint64_t bytes = size_limit(f), count = count_limit(f);
    if (shrinking) bytes /= 2, count /= 2;
    if (is_plain(n) || LIST_LP_OVERHEAD + node_used(n) > bytes || node_count(n) > count) return;
    shm_off fresh = node_copy(t, false, n, node_used(n), LIST_TAIL);
    node_free(t, true, only);
    txn_free(t, l->root, sizeof(struct list_root));
    *l = (struct list){ENC_LISTPACK, fresh};
}

/* ---- reading ---- */

uint64_t list_length(const struct list *l)
{
    if (is_quick(l)) return list_root(l)->count;
    return l->root ? node_count(node_at(l->root)) : 0;
}

static const uint8_t *node_seek(const struct list_node *n, uint64_t i)
{
    if (is_plain(n)) return node_first(n);
    const uint8_t *p = node_first(n);
    uint32_t count = node_count(n);
    if (i < count / 2) {
        while (i--) p = lp_after(p);
        return p;
    }
    p = node_end(n);
    for (uint64_t k = count - i; k; k--) p = lp_step_back(p);
    return p;
}

bool list_seek(const struct list *l, int64_t index, struct list_place *at)
{
    uint64_t length = list_length(l);
    uint64_t i = index >= 0 ? (uint64_t)index : length - (0 - (uint64_t)index);
    if (i >= length || (index < 0 && 0 - (uint64_t)index > length)) return false;
    if (i <= length / 2) {
        at->node = list_first(l);
        while (i >= node_count(node_at(at->node))) i -= node_count(node_at(at->node)), at->node = node_next(l, at->node);
    } else {
        uint64_t back = length - i; /* counted from the end, 1 = the last */
        at->node = list_last(l);
        while (back > node_count(node_at(at->node))) back -= node_count(node_at(at->node)), at->node = node_prev(l, at->node);
        i = node_count(node_at(at->node)) - back;
    }
    at->p = node_seek(node_at(at->node), i);
    return true;
}

bool list_step(const struct list *l, struct list_place *at, enum list_end to)
{
    const struct list_node *n = node_at(at->node);
    if (to == LIST_TAIL) {
        const uint8_t *p = is_plain(n) ? node_end(n) : lp_after(at->p);
        if (likely(p < node_end(n))) {
            at->p = p;
            return true;
        }
        at->node = node_next(l, at->node);
        if (at->node) at->p = node_first(node_at(at->node));
    } else {
        if (likely(at->p > node_first(n))) {
            at->p = lp_step_back(at->p);
            return true;
        }
        at->node = node_prev(l, at->node);
        if (at->node) at->p = node_seek(node_at(at->node), node_count(node_at(at->node)) - 1);
    }
    return at->node != 0;
}

void list_get(const struct list_place *at, struct lp_value *v)
{
    const struct list_node *n = node_at(at->node);
    if (unlikely(is_plain(n)))
        *v = (struct lp_value){.text = at->p, .n = node_used(n)};
    else
        lp_get(at->p, v);
}

struct slice list_text(const struct list_place *at, uint8_t room[NUM_I64_ROOM])
{
    const struct list_node *n = node_at(at->node);
    return unlikely(is_plain(n)) ? (struct slice){at->p, node_used(n)} : lp_text(at->p, room);
}

bool list_equals(const struct list_place *at, struct slice s)
{
    const struct list_node *n = node_at(at->node);
    if (likely(!is_plain(n))) return lp_equals(at->p, s.p, s.n);
    return node_used(n) == s.n && memcmp(at->p, s.p, s.n) == 0;
}

void list_each(enum encoding enc, shm_off root, bool (*fn)(const struct lp_value *v, void *arg), void *arg)
{
    struct list l = {enc, root};
    struct list_place at;
    if (!list_seek(&l, 0, &at)) return;
    do {
        struct lp_value v;
        list_get(&at, &v);
        if (!fn(&v, arg)) return;
    } while (list_step(&l, &at, LIST_TAIL));
}
