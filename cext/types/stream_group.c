/* types/stream_group.c - consumer groups, consumers and pending entries. Layout: stream.h.
 *
 * Groups and consumers stay where they were allocated for all their life, so nacks and callers may keep their offsets; only the rows that
 * list them by name move when they grow.
 */
#include "types/stream_block.h"

#define ROW_FIRST 4u

/* ---- rows of named things ---- */

static struct stream_name *row_at(const struct stream_row *r, uint32_t i)
{
    return shm_ptr(((const shm_off *)shm_ptr(r->items))[i]);
}

/* Where the name is, or would be; true when it is there. */
static bool row_find(const struct stream_row *r, struct slice name, uint32_t *at)
{
    uint32_t lo = 0, n = r->count;
    while (n) {
        uint32_t half = n / 2;
        struct slice s = stream_name(row_at(r, lo + half));
        int order = memcmp(s.p, name.p, MIN(s.n, name.n));
        if (!order) order = (s.n > name.n) - (s.n < name.n);
        if (!order) {
            *at = lo + half;
            return true;
        }
        if (order < 0) {
            lo += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    *at = lo;
    return false;
}

static void row_insert(struct txn *t, struct stream_row *r, uint32_t at, shm_off item)
{
    txn_touch(t, r, sizeof *r);
    if (r->count == r->cap) {
        uint32_t cap = r->cap ? 2 * r->cap : ROW_FIRST;
        shm_off items = txn_alloc(t, cap * sizeof(shm_off));
        if (r->cap) {
            memcpy(shm_ptr(items), shm_ptr(r->items), r->count * sizeof(shm_off));
            txn_free(t, r->items, r->cap * sizeof(shm_off));
        }
        r->items = items;
        r->cap = cap;
    }
    shm_off *items = shm_ptr(r->items);
    txn_touch(t, items + at, (r->count - at + 1) * sizeof *items);
    memmove(items + at + 1, items + at, (r->count - at) * sizeof *items);
    items[at] = item;
    r->count++;
}

static void row_remove(struct txn *t, struct stream_row *r, uint32_t at)
{
    shm_off *items = shm_ptr(r->items);
    txn_touch(t, r, sizeof *r);
    if (--r->count == 0) {
        txn_free(t, r->items, r->cap * sizeof(shm_off));
        *r = (struct stream_row){0};
        return;
    }
    txn_touch(t, items + at, (r->count - at) * sizeof *items);
    memmove(items + at, items + at + 1, (r->count - at) * sizeof *items);
}

/* A zeroed thing of `size` bytes with its name behind it. */
static void *named_new(struct txn *t, size_t size, struct slice name)
{
    struct stream_name *n = shm_ptr(txn_alloc_zero(t, size + name.n));
    n->at = (uint32_t)size;
    n->n = (uint32_t)name.n;
    memcpy((uint8_t *)n + size, name.p, name.n);
    return n;
}

static void named_free(struct txn *t, const struct stream_name *n) { txn_free(t, shm_offset(n), (uint64_t)n->at + n->n); }

/* ---- groups ---- */

struct stream_group *stream_group_at(const struct stream *s, uint32_t i) { return (void *)row_at(&s->groups, i); }

struct stream_group *stream_group(const struct stream *s, struct slice name)
{
    uint32_t at;
    return row_find(&s->groups, name, &at) ? stream_group_at(s, at) : NULL;
}

struct stream_group *stream_group_create(struct txn *t, struct stream *s, struct slice name, struct stream_id last, int64_t entries_read)
{
    uint32_t at;
    if (row_find(&s->groups, name, &at)) return NULL;
    struct stream_group *g = named_new(t, sizeof *g, name);
    g->last_id = last;
    g->entries_read = entries_read;
    row_insert(t, &s->groups, at, shm_offset(g));
    return g;
}

static void free_nack(struct txn *t, const uint8_t *entry, void *arg)
{
    (void)arg;
    struct stream_ref ref;
    memcpy(&ref, entry, sizeof ref);
    txn_free(t, ref.off, sizeof(struct stream_nack));
}

static bool group_free_some(struct txn *t, struct stream_group *g, uint64_t *budget)
{
    while (g->consumers.count) {
        struct stream_consumer *c = stream_consumer_at(g, g->consumers.count - 1);
        if (!bt_drain(t, &c->pending, STREAM_REF, NULL, NULL, budget)) return false;
        named_free(t, &c->name);
        row_remove(t, &g->consumers, g->consumers.count - 1);
    }
    if (!bt_drain(t, &g->pending, STREAM_REF, free_nack, NULL, budget)) return false;
    named_free(t, &g->name);
    return true;
}

void stream_group_destroy(struct txn *t, struct stream *s, struct stream_group *g)
{
    uint32_t at;
    uint64_t all = UINT64_MAX;
    ENSURE(row_find(&s->groups, stream_name(&g->name), &at));
    row_remove(t, &s->groups, at);
    group_free_some(t, g, &all);
}

bool stream_groups_free_some(struct txn *t, struct stream *s, uint64_t *budget)
{
    while (s->groups.count) {
        if (!*budget || !group_free_some(t, stream_group_at(s, s->groups.count - 1), budget)) return false;
        row_remove(t, &s->groups, s->groups.count - 1);
    }
    return true;
}

/* ---- how far a group has read ---- */

bool stream_has_tombstone(const struct stream *s, struct stream_id from, struct stream_id to)
{
    if (!s->length || stream_id_is_zero(s->max_deleted_id)) return false;
    if (stream_id_compare(s->first_id, s->max_deleted_id) > 0) return false;
    return stream_id_compare(from, s->max_deleted_id) <= 0 && stream_id_compare(s->max_deleted_id, to) <= 0;
}

int64_t stream_entries_up_to(const struct stream *s, struct stream_id id)
{
    if (!s->entries_added) return 0;
    int with_last = stream_id_compare(id, s->last_id);
    if (!s->length && with_last <= 0) return (int64_t)s->entries_added;
    if (with_last == 0) return (int64_t)s->entries_added;
    if (with_last > 0) return STREAM_READ_UNKNOWN;
    bool whole = stream_id_is_zero(s->max_deleted_id) || stream_id_compare(s->max_deleted_id, s->first_id) < 0;
    int with_first = stream_id_compare(id, s->first_id);
    if (whole && with_first <= 0) return (int64_t)(s->entries_added - s->length) + (with_first == 0);
    return STREAM_READ_UNKNOWN;
}

bool stream_group_lag(const struct stream *s, const struct stream_group *g, uint64_t *lag)
{
    int64_t read = g->entries_read;
    if (!s->entries_added) {
        *lag = 0;
        return true;
    }
    if (read == STREAM_READ_UNKNOWN || stream_has_tombstone(s, g->last_id, STREAM_ID_MAX)) read = stream_entries_up_to(s, g->last_id);
    if (read == STREAM_READ_UNKNOWN) return false;
    *lag = s->entries_added - (uint64_t)read;
    return true;
}

/* ---- consumers ---- */

struct stream_consumer *stream_consumer_at(const struct stream_group *g, uint32_t i) { return (void *)row_at(&g->consumers, i); }

struct stream_consumer *stream_consumer(const struct stream_group *g, struct slice name)
{
    uint32_t at;
    return row_find(&g->consumers, name, &at) ? stream_consumer_at(g, at) : NULL;
}

struct stream_consumer *stream_consumer_create(struct txn *t, struct stream_group *g, struct slice name, int64_t now_ms)
{
    uint32_t at;
    if (row_find(&g->consumers, name, &at)) return NULL;
    struct stream_consumer *c = named_new(t, sizeof *c, name);
    c->seen_ms = now_ms;
    c->active_ms = -1;
    row_insert(t, &g->consumers, at, shm_offset(c));
    return c;
}

void stream_consumer_destroy(struct txn *t, struct stream_group *g, struct stream_consumer *c)
{
    uint32_t at;
    for (struct bt_cursor p; (p = bt_first(&c->pending, STREAM_REF)).leaf;) stream_nack_remove(t, g, stream_ref_at(p).id);
    ENSURE(row_find(&g->consumers, stream_name(&c->name), &at));
    row_remove(t, &g->consumers, at);
    named_free(t, &c->name);
}

/* ---- pending entries ---- */

struct bt_cursor stream_pending_from(const struct btree *pending, struct stream_id id)
{
    struct bt_path path;
    bt_find(pending, STREAM_REF, stream_ref_compare, &id, &path);
    return bt_cursor_of(&path);
}

static bool pending_find(const struct btree *pending, struct stream_id id, struct stream_ref *ref)
{
    struct bt_path path;
    if (!bt_find(pending, STREAM_REF, stream_ref_compare, &id, &path)) return false;
    memcpy(ref, bt_leaf_entry(path.leaf, STREAM_REF, path.at), sizeof *ref);
    return true;
}

static void pending_add(struct txn *t, struct btree *pending, struct stream_ref ref)
{
    struct bt_path path;
    bool there = bt_find(pending, STREAM_REF, stream_ref_compare, &ref.id, &path);
    ENSURE(!there);
    bt_insert_at(t, pending, STREAM_REF, &path, (const uint8_t *)&ref);
}

static void pending_remove(struct txn *t, struct btree *pending, struct stream_id id)
{
    struct bt_path path;
    ENSURE(bt_find(pending, STREAM_REF, stream_ref_compare, &id, &path));
    bt_remove_at(t, pending, STREAM_REF, &path);
}

static struct stream_consumer *nack_owner(const struct stream_nack *n) { return shm_ptr(n->consumer); }

struct stream_nack *stream_nack(const struct stream_group *g, struct stream_id id)
{
    struct stream_ref ref;
    return pending_find(&g->pending, id, &ref) ? shm_ptr(ref.off) : NULL;
}

struct stream_nack *stream_nack_add(struct txn *t, struct stream_group *g, struct stream_consumer *c, struct stream_id id, int64_t ms,
                                    uint64_t deliveries)
{
    shm_off off = txn_alloc(t, sizeof(struct stream_nack));
    *(struct stream_nack *)shm_ptr(off) = (struct stream_nack){ms, deliveries, c ? shm_offset(c) : 0};
    pending_add(t, &g->pending, (struct stream_ref){id, off});
    if (c) pending_add(t, &c->pending, (struct stream_ref){id, off});
    return shm_ptr(off);
}

void stream_nack_give(struct txn *t, struct stream_nack *n, struct stream_id id, struct stream_consumer *c)
{
    if (n->consumer == shm_offset(c)) return;
    if (n->consumer) pending_remove(t, &nack_owner(n)->pending, id);
    pending_add(t, &c->pending, (struct stream_ref){id, shm_offset(n)});
    TXN_SET(t, n->consumer, shm_offset(c));
}

bool stream_nack_remove(struct txn *t, struct stream_group *g, struct stream_id id)
{
    struct stream_nack *n = stream_nack(g, id);
    if (!n) return false;
    pending_remove(t, &g->pending, id);
    if (n->consumer) pending_remove(t, &nack_owner(n)->pending, id);
    txn_free(t, shm_offset(n), sizeof *n);
    return true;
}
