/* types/list_node.c - nodes of lists: limits, memory, links, copying elements from one to another. Layout, locks, deaths: list.h.
 *
 * What is copied between nodes of different stems is taken apart and put together anew, else it is copied as bytes.
 */
#include "types/list_node.h"

#define SIZE_SAFETY_LIMIT 8192u /* bytes of a listpack that is limited by a number of elements */

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

bool list_suits_listpack(uint64_t bytes, uint64_t count, bool shrinking)
{
    int64_t f = fill();
    uint32_t part = shrinking ? 2 : 1;
    return bytes <= size_limit(f) / part && count <= count_limit(f) / part;
}

bool is_large(struct slice s)
{
    int64_t threshold = setting(SET_quicklist_packed_threshold);
    return s.n >= (uint64_t)threshold || s.n >= LP_MAX_BYTES - 64;
}

uint32_t node_overhead(void)
{
    return fill() < 0 ? sizeof(struct list_links) + sizeof(struct list_node) : LIST_LP_OVERHEAD;
}

uint64_t node_limit(void)
{
    return (fill() < 0 ? size_limit(fill()) : SIZE_SAFETY_LIMIT) - sizeof(struct list_links) - sizeof(struct list_node);
}

bool node_allows(shm_off n, size_t bytes)
{
    if (!n || is_plain(node_at(n))) return false;
    return !list_exceeds(node_weight(node_at(n)) + node_overhead() + bytes + 8, node_count(node_at(n)) + 1ull);
}

/* ---- nodes ---- */

static uint64_t block_size(bool linked, uint64_t size) { return size + (linked ? sizeof(struct list_links) : 0); }

shm_off node_new(struct txn *t, bool linked, struct slice stem, uint64_t room, enum list_end grows)
{
    uint64_t block = arena_usable(block_size(linked, sizeof(struct list_node) + stem.n + room));
    shm_off off = txn_alloc(t, block);
    if (linked) {
        *(struct list_links *)shm_ptr(off) = (struct list_links){0, 0};
        off += sizeof(struct list_links);
    }
    uint32_t size = (uint32_t)(block - block_size(linked, 0));
    uint32_t at = grows == LIST_HEAD ? size : (uint32_t)(sizeof(struct list_node) + stem.n);
    *node_at(off) = (struct list_node){.size = size, .head = at, .count = (uint32_t)stem.n << LIST_STEM_SHIFT, .tail = at};
    if (stem.n) memcpy(node_at(off) + 1, stem.p, stem.n);
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

/* ---- elements ---- */

void node_put(struct txn *t, struct list_node *n, enum list_end where, const struct lp_item *item)
{
    uint8_t *p = where == LIST_HEAD ? node_first(n) - item->bytes : node_end(n);
    uint32_t saved = stem_item_saves((uint32_t)node_stem(n).n, item);
    cow_touch(shm_offset(p), item->bytes);
    lp_item_write(p, item);
    if (where == LIST_HEAD) {
        txn_touch(t, &n->head, saved ? 16 : 8);
        n->head -= item->bytes;
    } else {
        txn_touch(t, &n->count, saved ? 12 : 8);
        n->tail += item->bytes;
    }
    n->count++;
    if (saved) n->saved += saved;
}

shm_off node_of(struct txn *t, bool linked, struct slice s)
{
    const struct slice none = {0};
    if (is_large(s)) {
        shm_off off = node_new(t, linked, none, s.n, LIST_TAIL);
        struct list_node *n = node_at(off);
        memcpy(node_first(n), s.p, s.n);
        n->tail += (uint32_t)s.n;
        n->count = 1 | LIST_PLAIN;
        return off;
    }
    struct lp_item item = lp_item_text(s.p, s.n);
    shm_off off = node_new(t, linked, none, item.bytes, LIST_TAIL);
    node_put(t, node_at(off), LIST_TAIL, &item);
    return off;
}

static bool same_stem(struct slice a, struct slice b) { return a.n == b.n && (!a.n || memcmp(a.p, b.p, a.n) == 0); }

/* The element at p as an item for another stem; `room` holds its text meanwhile. */
static struct lp_item item_for(struct slice old, struct slice stem, const uint8_t *p, uint8_t room[STEM_TEXT_MAX])
{
    struct lp_value v;
    stem_get(old, p, &v, room);
    return v.text ? stem_item(stem, (struct slice){v.text, v.n}) : lp_item_number(v.number);
}

uint32_t elements_bytes(const struct list_node *n, const uint8_t *from, const uint8_t *to, struct slice stem)
{
    uint8_t room[STEM_TEXT_MAX];
    uint32_t bytes = 0;
    if (same_stem(node_stem(n), stem)) return (uint32_t)(to - from);
    for (const uint8_t *p = from; p < to; p = lp_after(p)) bytes += item_for(node_stem(n), stem, p, room).bytes;
    return bytes;
}

struct elements_sum elements_sum(const struct list_node *n, const uint8_t *from, const uint8_t *to)
{
    struct elements_sum sum = {0, 0};
    uint32_t stem = (uint32_t)node_stem(n).n;
    for (const uint8_t *p = from; p < to; p = lp_after(p), sum.count++) sum.saved += stem_saves(stem, p);
    return sum;
}

void elements_append(struct list_node *to, const struct list_node *n, const uint8_t *from, const uint8_t *end)
{
    struct slice old = node_stem(n), stem = node_stem(to);
    if (same_stem(old, stem)) {
        bool all = from == node_first(n) && end == node_end(n);
        struct elements_sum sum = all ? (struct elements_sum){n->saved, node_count(n)} : elements_sum(n, from, end);
        memcpy(node_end(to), from, (size_t)(end - from));
        to->tail += (uint32_t)(end - from);
        to->count += sum.count;
        to->saved += sum.saved;
        return;
    }
    uint8_t room[STEM_TEXT_MAX];
    for (const uint8_t *p = from; p < end; p = lp_after(p)) {
        struct lp_item item = item_for(old, stem, p, room);
        lp_item_write(node_end(to), &item);
        to->tail += item.bytes;
        to->count++;
        to->saved += stem_item_saves((uint32_t)stem.n, &item);
    }
}

shm_off node_part(struct txn *t, bool linked, const struct list_node *n, const uint8_t *from, const uint8_t *to)
{
    shm_off off = node_new(t, linked, node_stem(n), (uint64_t)(to - from), LIST_TAIL);
    elements_append(node_at(off), n, from, to);
    return off;
}

/* Do nearly all elements have the node's stem already? */
static bool stem_suits(const struct list_node *n)
{
    uint64_t stem = node_stem(n).n, count = node_count(n);
    return stem && n->saved >= (count - count / 8) * (stem - 1);
}

/* The first text from the middle of the node on; p NULL: there is none. */
static struct slice middle_text(const struct list_node *n, uint8_t room[STEM_TEXT_MAX])
{
    const uint8_t *p = node_first(n);
    struct lp_value v;
    for (uint32_t i = node_count(n) / 2; i; i--) p = lp_after(p);
    for (; p < node_end(n); p = lp_after(p)) {
        stem_get(node_stem(n), p, &v, room);
        if (v.text) return (struct slice){v.text, v.n};
    }
    return (struct slice){0};
}

struct slice node_best_stem(const struct list_node *n, uint8_t room[STEM_TEXT_MAX])
{
    uint8_t text[STEM_TEXT_MAX];
    struct stem_vote vote;
    struct lp_value v;
    if (stem_suits(n) || is_plain(n)) return node_stem(n);
    struct slice reference = middle_text(n, room);
    if (!reference.p) return (struct slice){0};
    stem_vote_begin(&vote, reference);
    for (const uint8_t *p = node_first(n); p < node_end(n); p = lp_after(p)) {
        stem_get(node_stem(n), p, &v, text);
        if (v.text) stem_vote_add(&vote, (struct slice){v.text, v.n});
    }
    return stem_vote_end(&vote);
}

shm_off node_copy(struct txn *t, bool linked, const struct list_node *n, struct slice stem, uint64_t extra, enum list_end grows)
{
    uint32_t used = is_plain(n) ? node_used(n) : elements_bytes(n, node_first(n), node_end(n), stem);
    shm_off off = node_new(t, linked, stem, used + extra, grows);
    struct list_node *fresh = node_at(off);
    if (is_plain(n)) {
        memcpy(node_first(fresh), node_first(n), used);
        fresh->tail += used;
        fresh->count = n->count;
        return off;
    }
    if (grows == LIST_HEAD) fresh->head = fresh->tail = fresh->size - used;
    elements_append(fresh, n, node_first(n), node_end(n));
    return off;
}
