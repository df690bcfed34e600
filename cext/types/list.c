/* types/list.c - lists: both ends, reading, the change of encoding. Layout, locks, deaths: list.h. */
#include "types/list_node.h"

#include "keyspace/lazy.h"

#define NODE_ROOM_FIRST 44u /* bytes for elements in a list's first node: a block of 64 */

__attribute__((constructor)) static void register_type(void) { objtypes[OBJ_LIST] = &list_type; }

/* ---- room ---- */

static uint32_t log2_of(uint64_t n) { return 63u - (uint32_t)__builtin_clzll(n); }

/* Room for one more element at an end: the node anew, a size class larger in a listpack (they are near to each other: a short list is to
 * stay small), twice as large in a quicklist up to its limit. A node that has doubled since may get another stem. */
static NOINLINE shm_off node_grow(struct txn *t, struct list *l, shm_off off, struct slice s, enum list_end where, struct lp_item *item)
{
    uint8_t text[STEM_TEXT_MAX];
    const struct list_node *n = node_at(off);
    uint32_t used = node_used(n), bytes = lp_item_text(s.p, s.n).bytes; /* in any node */
    uint64_t need = (uint64_t)used + bytes, room = need < 384 ? need + need / 4 : need;
    if (is_quick(l)) { /* full, it will be as far below the limit as its stem makes it now */
        uint64_t full = node_limit() * used / MAX(node_weight(n), (uint64_t)1);
        room = MAX(need, MIN(2 * need, full));
    }
    bool doubled = log2_of(sizeof *n + node_stem(n).n + room - 1) > log2_of(n->size - 1); /* a power of two is the last of its kind */
    shm_off fresh = node_copy(t, is_quick(l), n, doubled ? node_best_stem(n, text) : node_stem(n), room - used, where);
    node_swap(t, l, off, fresh);
    *item = node_item(node_at(fresh), s);
    return fresh;
}

/* ---- both ends ---- */

/* A full node of a quicklist that has much room left, since its elements have become smaller than was thought, gives it up. */
static shm_off node_trim(struct txn *t, struct list *l, shm_off off)
{
    const struct list_node *n = node_at(off);
    if (is_plain(n) || n->size - node_used(n) <= n->size / 8) return off;
    shm_off fresh = node_copy(t, true, n, node_stem(n), 0, LIST_TAIL);
    node_swap(t, l, off, fresh);
    return fresh;
}

static void quick_push(struct txn *t, struct list *l, enum list_end where, struct slice s)
{
    shm_off end = where == LIST_HEAD ? list_first(l) : list_last(l);
    if (unlikely(is_large(s))) {
        node_link(t, l, node_of(t, true, s), where == LIST_HEAD ? 0 : end);
        return;
    }
    if (likely(node_allows(end, s.n))) {
        struct lp_item item = node_item(node_at(end), s);
        if (unlikely(node_gap(node_at(end), where) < item.bytes)) end = node_grow(t, l, end, s, where, &item);
        node_put(t, node_at(end), where, &item);
        list_count_add(t, l, 1);
        return;
    }
    struct slice stem = {0};
    if (end) {
        end = node_trim(t, l, end);
        stem = node_stem(node_at(end));
        if (!stem_begins(stem, s)) stem.n = 0;
    }
    struct lp_item item = stem_item(stem, s);
    uint64_t usual = node_limit() / 4; /* a long list: its nodes start larger */
    shm_off fresh = node_new(t, true, stem, MAX((uint64_t)item.bytes, usual - stem.n), where);
    node_put(t, node_at(fresh), where, &item);
    node_link(t, l, fresh, where == LIST_HEAD ? 0 : end);
}

/* The stem that suits texts which are to be pushed together. */
static struct slice stem_of(const struct slice *elements, uint32_t n)
{
    struct stem_vote vote;
    int64_t number;
    struct slice reference = elements[n / 2];
    if (num_parse_i64(reference.p, reference.n, &number)) return (struct slice){0};
    stem_vote_begin(&vote, reference);
    for (uint32_t i = 0; i < n; i++) {
        struct slice s = elements[i];
        if (s.n && s.p[0] <= '9' && num_parse_i64(s.p, s.n, &number)) continue;
        stem_vote_add(&vote, s);
    }
    return stem_vote_end(&vote);
}

void list_reserve(struct txn *t, struct list *l, enum list_end where, const struct slice *elements, uint32_t n)
{
    uint64_t bytes = 0;
    if (is_quick(l)) return;
    const struct list_node *old = l->root ? node_at(l->root) : NULL;
    struct slice stem = old && node_stem(old).n ? node_stem(old) : stem_of(elements, n);
    for (uint32_t i = 0; i < n; i++) bytes += stem_item(stem, elements[i]).bytes;
    if (!old)
        l->root = node_new(t, false, stem, MAX(bytes, NODE_ROOM_FIRST), where);
    else if (node_gap(old, where) < bytes)
        node_swap(t, l, l->root, node_copy(t, false, old, stem, bytes, where));
}

void list_push(struct txn *t, struct list *l, enum list_end where, struct slice s)
{
    if (is_quick(l)) {
        quick_push(t, l, where, s);
        return;
    }
    if (!l->root) l->root = node_new(t, false, (struct slice){0}, MAX(lp_item_text(s.p, s.n).bytes, NODE_ROOM_FIRST), where);
    struct lp_item item = node_item(node_at(l->root), s);
    if (unlikely(node_gap(node_at(l->root), where) < item.bytes)) node_grow(t, l, l->root, s, where, &item);
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
        const uint8_t *from = where == LIST_HEAD ? p : node_first(n), *to = where == LIST_HEAD ? node_end(n) : p;
        node_swap(t, l, off, node_part(t, is_quick(l), n, from, to));
        return;
    }
    uint32_t saved = 0;
    if (n->saved) saved = where == LIST_HEAD ? elements_sum(n, node_first(n), p).saved : elements_sum(n, p, node_end(n)).saved;
    if (where == LIST_HEAD) {
        txn_touch(t, node_first(n), at - n->head);
        txn_touch(t, &n->head, saved ? 16 : 8);
        n->head = at;
    } else {
        txn_touch(t, (uint8_t *)n + at, n->tail - at);
        txn_touch(t, &n->count, saved ? 12 : 8);
        n->tail = at;
    }
    n->count -= count;
    if (saved) n->saved -= saved;
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
    lazy_push(t, (uint32_t)OBJ_LIST << 4 | ENC_QUICKLIST, off, 1);
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
    if (likely(!list_exceeds(LIST_LP_OVERHEAD + (n ? node_weight(n) : 0) + bytes, count + (n ? node_count(n) : 0)))) return;
    struct list quick = {ENC_QUICKLIST, txn_alloc(t, sizeof(struct list_root))};
    *list_root(&quick) = (struct list_root){0};
    if (n) {
        node_link(t, &quick, node_copy(t, true, n, node_stem(n), 0, LIST_TAIL), 0);
        node_free(t, false, l->root);
    }
    *l = quick;
}

void list_settle(struct txn *t, struct list *l, bool shrinking)
{
    if (likely(!is_quick(l)) || list_root(l)->nodes != 1) return;
    shm_off only = list_first(l);
    const struct list_node *n = node_at(only);
    if (is_plain(n) || !list_suits_listpack(LIST_LP_OVERHEAD + node_weight(n), node_count(n), shrinking)) return;
    shm_off fresh = node_copy(t, false, n, node_stem(n), 0, LIST_TAIL);
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

void list_get(const struct list_place *at, struct lp_value *v, uint8_t room[LIST_TEXT_ROOM])
{
    const struct list_node *n = node_at(at->node);
    if (unlikely(is_plain(n)))
        *v = (struct lp_value){.text = at->p, .n = node_used(n)};
    else
        stem_get(node_stem(n), at->p, v, room);
}

struct slice list_text(const struct list_place *at, uint8_t room[LIST_TEXT_ROOM])
{
    struct lp_value v;
    list_get(at, &v, room);
    return v.text ? (struct slice){v.text, v.n} : (struct slice){room, num_from_i64(room, v.number)};
}

bool list_equals(const struct list_place *at, struct slice s)
{
    const struct list_node *n = node_at(at->node);
    if (unlikely(is_plain(n))) return node_used(n) == s.n && memcmp(at->p, s.p, s.n) == 0;
    if (likely(!stem_is_at(at->p))) return lp_equals(at->p, s.p, s.n);
    struct slice stem = node_stem(n), rest = stem_rest(at->p);
    return s.n == stem.n + rest.n && stem_begins(stem, s) && bytes_equal(s.p + stem.n, rest.p, rest.n);
}

void list_each(enum encoding enc, shm_off root, bool (*fn)(const struct lp_value *v, void *arg), void *arg)
{
    struct list l = {enc, root};
    struct list_place at;
    uint8_t room[LIST_TEXT_ROOM];
    if (!list_seek(&l, 0, &at)) return;
    do {
        struct lp_value v;
        list_get(&at, &v, room);
        if (!fn(&v, arg)) return;
    } while (list_step(&l, &at, LIST_TAIL));
}
