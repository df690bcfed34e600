/* types/stream.c - appending entries, and the blocks they go into. Layout and rules: stream.h. */
#include "types/stream_block.h"

#define BLOCK_HEADER ((uint32_t)sizeof(struct stream_block))
#define BLOCK_FIRST_CAP 128u   /* bytes of a new block, unless its first entry needs more */
#define BLOCK_LP_MAX (1u << 30) /* stream-node-max-bytes 0 means this */
#define HEAD_SMALL 127          /* counts up to this are one byte */

__attribute__((constructor)) static void register_type(void) { objtypes[OBJ_STREAM] = &stream_objtype; }

bool stream_id_next(struct stream_id *id)
{
    if (++id->seq) return true;
    if (++id->ms) return true;
    *id = STREAM_ID_MAX;
    return false;
}

bool stream_id_prev(struct stream_id *id)
{
    if (id->seq--) return true;
    if (id->ms--) return true;
    *id = STREAM_ID_MIN;
    return false;
}

shm_off stream_create(struct txn *t) { return txn_alloc_zero(t, sizeof(struct stream)); }

/* ---- inside a block ---- */

void block_head(const uint8_t *lp, struct block_head *h)
{
    const uint8_t *p = lp + LP_HEADER;
    h->live = lp_number(p);
    p = lp_after(p);
    h->deleted = lp_number(p);
    p = lp_after(p);
    h->fields = (uint32_t)lp_number(p);
    h->field = lp_after(p);
    h->entries = lp_after(lp_skip(h->field, h->fields));
}

void block_entry(const uint8_t *p, struct stream_id block, uint32_t master_fields, struct block_entry *e)
{
    e->flags = lp_number(p);
    p = lp_after(p);
    e->id.ms = block.ms + (uint64_t)lp_number(p);
    p = lp_after(p);
    e->id.seq = block.seq + (uint64_t)lp_number(p);
    p = lp_after(p);
    e->fields = master_fields;
    if (!(e->flags & STREAM_SAME)) {
        e->fields = (uint32_t)lp_number(p);
        p = lp_after(p);
    }
    e->body = p;
    e->after = lp_after(lp_skip(p, e->flags & STREAM_SAME ? e->fields : 2ull * e->fields));
}

const uint8_t *block_entry_before(const uint8_t *lp, const uint8_t *p)
{
    p = lp_prev(lp, p);
    int64_t back = p ? lp_number(p) : 0; /* 0: the end of the master entry */
    if (!back) return NULL;
    while (back--) p = lp_prev(lp, p);
    return p;
}

/* ---- blocks and their tree ---- */

struct bt_cursor block_for(const struct stream *s, struct stream_id id)
{
    struct bt_path path;
    bool exact = bt_find(&s->blocks, STREAM_REF, stream_ref_compare, &id, &path);
    if (exact) return bt_cursor_of(&path);
    struct bt_cursor c = {path.leaf, path.at};
    if (c.leaf) bt_prev(&c);
    return c;
}

static void ref_add(struct txn *t, struct btree *tree, struct stream_ref ref)
{
    struct bt_path path;
    bool there = bt_find(tree, STREAM_REF, stream_ref_compare, &ref.id, &path);
    DCHECK(!there);
    (void)there;
    bt_insert_at(t, tree, STREAM_REF, &path, (const uint8_t *)&ref);
}

/* The block of this id is another one now; the old one's memory is the caller's. */
static void block_moved(struct txn *t, struct stream *s, struct stream_ref fresh)
{
    struct bt_path path;
    ENSURE(bt_find(&s->blocks, STREAM_REF, stream_ref_compare, &fresh.id, &path));
    bt_replace_at(t, &s->blocks, STREAM_REF, &path, (const uint8_t *)&fresh);
    if (!stream_id_compare(fresh.id, s->tail.id)) TXN_SET(t, s->tail, fresh);
}

void block_remove(struct txn *t, struct stream *s, struct stream_ref ref)
{
    struct bt_path path;
    ENSURE(bt_find(&s->blocks, STREAM_REF, stream_ref_compare, &ref.id, &path));
    bt_remove_at(t, &s->blocks, STREAM_REF, &path);
    txn_free(t, ref.off, block_at(ref.off)->cap);
    if (stream_id_compare(ref.id, s->tail.id)) return;
    struct bt_cursor last = bt_last(&s->blocks, STREAM_REF);
    struct stream_ref tail = {0};
    if (last.leaf) tail = stream_ref_at(last);
    TXN_SET(t, s->tail, tail);
}

static shm_off block_alloc(struct txn *t, uint32_t lp_bytes, uint32_t cap)
{
    shm_off off = txn_alloc(t, MAX(cap, lp_bytes + BLOCK_HEADER));
    block_at(off)->cap = MAX(cap, lp_bytes + BLOCK_HEADER);
    block_at(off)->pad = 0;
    return off;
}

shm_off block_set_head(struct txn *t, struct stream *s, struct stream_ref ref, int64_t live, int64_t deleted)
{
    struct stream_block *b = block_at(ref.off);
    const struct lp_item items[2] = {lp_item_number(live), lp_item_number(deleted)};
    struct lp_edit edit;
    ENSURE(lp_plan(b->lp, b->lp + LP_HEADER, 2, items, 2, &edit));
    if (edit.new_bytes == edit.old_bytes) {
        txn_touch(t, b->lp, edit.at + lp_edit_reach(&edit));
        lp_apply(b->lp, &edit);
        return ref.off;
    }
    shm_off off = block_alloc(t, edit.new_bytes, 0);
    lp_build(block_at(off)->lp, b->lp, &edit);
    block_moved(t, s, (struct stream_ref){ref.id, off});
    txn_free(t, ref.off, b->cap);
    return off;
}

/* ---- appending ---- */

static struct lp_item *items_room(struct lp_item *local, uint64_t have, uint64_t need)
{
    return need <= have ? local : scratch_alloc(need * sizeof(struct lp_item));
}

/* The items of an entry; returns how many. */
static uint32_t entry_items(struct lp_item *items, bool same, struct stream_id less, const struct slice *pairs, uint32_t fields)
{
    struct lp_item *it = items;
    *it++ = lp_item_number(same ? STREAM_SAME : 0);
    *it++ = lp_item_number((int64_t)less.ms);
    *it++ = lp_item_number((int64_t)less.seq);
    if (!same) *it++ = lp_item_number(fields);
    for (uint32_t i = 0; i < fields; i++) {
        if (!same) *it++ = lp_item_text(pairs[2 * i].p, pairs[2 * i].n);
        *it++ = lp_item_text(pairs[2 * i + 1].p, pairs[2 * i + 1].n);
    }
    *it = lp_item_number(it - items);
    return (uint32_t)(it + 1 - items);
}

/* The last block will not grow any more: give back what it does not need. */
static void block_seal(struct txn *t, struct stream *s)
{
    struct stream_block *b = block_at(s->tail.off);
    uint32_t need = lp_bytes(b->lp) + BLOCK_HEADER;
    if (arena_usable(need) >= arena_usable(b->cap)) return;
    shm_off off = block_alloc(t, need - BLOCK_HEADER, 0);
    memcpy(block_at(off)->lp, b->lp, need - BLOCK_HEADER);
    txn_free(t, s->tail.off, b->cap);
    block_moved(t, s, (struct stream_ref){s->tail.id, off});
}

static bool append_to_new(struct txn *t, struct stream *s, struct stream_id id, const struct slice *pairs, uint32_t fields)
{
    struct lp_item local[72], *items = items_room(local, ARRAY_LEN(local), 2ull * fields + 8);
    struct lp_edit edit;
    uint32_t n = 0;
    items[n++] = lp_item_number(1);
    items[n++] = lp_item_number(0);
    items[n++] = lp_item_number(fields);
    for (uint32_t i = 0; i < fields; i++) items[n++] = lp_item_text(pairs[2 * i].p, pairs[2 * i].n);
    items[n++] = lp_item_number(0);
    n += entry_items(items + n, true, STREAM_ID_MIN, pairs, fields);
    if (!lp_plan(lp_empty, NULL, 0, items, n, &edit)) return false;
    if (s->tail.off) block_seal(t, s);
    shm_off off = block_alloc(t, edit.new_bytes, BLOCK_FIRST_CAP);
    lp_build(block_at(off)->lp, lp_empty, &edit);
    struct stream_ref ref = {id, off};
    ref_add(t, &s->blocks, ref);
    TXN_SET(t, s->tail, ref);
    return true;
}

static bool same_fields(const struct block_head *h, const struct slice *pairs, uint32_t fields)
{
    if (h->fields != fields) return false;
    const uint8_t *p = h->field;
    for (uint32_t i = 0; i < fields; i++, p = lp_after(p))
        if (!lp_equals(p, pairs[2 * i].p, pairs[2 * i].n)) return false;
    return true;
}

/* A larger allocation for the last block: twice as much, up to a full node. */
static struct stream_block *tail_grow(struct txn *t, struct stream *s, uint32_t lp_need)
{
    struct stream_block *b = block_at(s->tail.off);
    int64_t node = setting(SET_stream_node_max_bytes);
    uint64_t twice = 2ull * b->cap, full = node > 0 && node < BLOCK_LP_MAX ? (uint64_t)node : BLOCK_LP_MAX;
    shm_off off = block_alloc(t, lp_need, (uint32_t)MIN(twice, full));
    memcpy(block_at(off)->lp, b->lp, lp_bytes(b->lp));
    txn_free(t, s->tail.off, b->cap);
    block_moved(t, s, (struct stream_ref){s->tail.id, off});
    return block_at(off);
}

static bool append_to_tail(struct txn *t, struct stream *s, struct stream_id id, const struct slice *pairs, uint32_t fields)
{
    struct stream_block *b = block_at(s->tail.off);
    struct block_head h;
    block_head(b->lp, &h);
    struct lp_item local[72], *items = items_room(local, ARRAY_LEN(local), 2ull * fields + 8);
    struct stream_id less = {id.ms - s->tail.id.ms, id.seq - s->tail.id.seq};
    struct lp_edit edit;
    uint32_t n = entry_items(items, same_fields(&h, pairs, fields), less, pairs, fields);
    if (!lp_plan(b->lp, NULL, 0, items, n, &edit)) return false;
    if (edit.new_bytes + BLOCK_HEADER > b->cap) b = tail_grow(t, s, edit.new_bytes);
    txn_touch(t, b->lp, LP_HEADER + 2); /* header and the count of live entries */
    txn_touch(t, b->lp + edit.at, 1);   /* the end mark; what lies behind it is nobody's */
    txn_fresh(t, b->lp + edit.at, edit.new_bytes - edit.at);
    lp_apply(b->lp, &edit);
    if (likely(h.live < HEAD_SMALL))
        b->lp[LP_HEADER] = (uint8_t)(h.live + 1);
    else
        block_set_head(t, s, s->tail, h.live + 1, h.deleted);
    return true;
}

/* Does the entry need a block of its own? Redis' rule: sizes of the fields and values alone are counted. */
static bool tail_is_full(const struct stream *s, const struct slice *pairs, uint32_t fields)
{
    const uint8_t *lp = block_at(s->tail.off)->lp;
    int64_t max = setting(SET_stream_node_max_bytes), entries = setting(SET_stream_node_max_entries);
    uint64_t bytes = lp_bytes(lp);
    for (uint32_t i = 0; i < 2 * fields; i++) bytes += pairs[i].n;
    if (bytes >= (max > 0 && max < BLOCK_LP_MAX ? (uint64_t)max : BLOCK_LP_MAX)) return true;
    const uint8_t *live = lp + LP_HEADER;
    return entries && lp_number(live) + lp_number(lp_after(live)) >= entries;
}

bool stream_append(struct txn *t, struct stream *s, struct stream_id id, const struct slice *pairs, uint32_t fields)
{
    bool fresh = !s->tail.off || tail_is_full(s, pairs, fields);
    if (!(fresh ? append_to_new : append_to_tail)(t, s, id, pairs, fields)) return false;
    txn_touch(t, s, offsetof(struct stream, first_id));
    s->length++;
    s->entries_added++;
    s->last_id = id;
    if (s->length == 1) TXN_SET(t, s->first_id, id);
    return true;
}

void stream_adopt_block(struct txn *t, struct stream *s, struct stream_id id, struct slice lp)
{
    shm_off off = block_alloc(t, (uint32_t)lp.n, 0);
    memcpy(block_at(off)->lp, lp.p, lp.n);
    struct stream_ref ref = {id, off};
    ref_add(t, &s->blocks, ref);
    TXN_SET(t, s->tail, ref);
}

/* ---- bytes from outside ---- */

/* One entry of a block from p on; returns what follows it, NULL: not sound. Counts elements, so that back-counts can be trusted. */
static const uint8_t *entry_sound(const uint8_t *p, const uint8_t *end, uint32_t master_fields, bool *deleted)
{
    struct lp_value v[4];
    const uint8_t *at = p;
    uint64_t elements = 3;
    for (int i = 0; i < 3; i++, at = lp_after(at)) {
        if (at >= end) return NULL;
        lp_get(at, &v[i]);
        if (v[i].text) return NULL;
    }
    if (*p > (STREAM_SAME | STREAM_DELETED)) return NULL; /* one byte, so that it can be changed where it is */
    uint64_t body = master_fields;
    if (!(v[0].number & STREAM_SAME)) {
        if (at >= end) return NULL;
        lp_get(at, &v[3]);
        if (v[3].text || v[3].number < 0 || v[3].number > UINT32_MAX / 2) return NULL;
        body = 2 * (uint64_t)v[3].number;
        at = lp_after(at);
        elements++;
    }
    for (elements += body; body; body--, at = lp_after(at))
        if (at >= end) return NULL;
    if (at >= end) return NULL;
    lp_get(at, &v[3]);
    if (v[3].text || (uint64_t)v[3].number != elements) return NULL;
    *deleted = v[0].number & STREAM_DELETED;
    return lp_after(at);
}

bool stream_block_sound(const uint8_t *lp, size_t n, uint64_t *live)
{
    if (!lp_validate(lp, n, true, NULL, NULL)) return false;
    const uint8_t *end = lp + n - 1, *p = lp + LP_HEADER;
    struct lp_value head[3], mark;
    for (int i = 0; i < 3; i++, p = lp_after(p)) {
        if (p >= end) return false;
        lp_get(p, &head[i]);
        if (head[i].text || head[i].number < 0 || head[i].number > UINT32_MAX) return false;
    }
    for (int64_t i = 0; i < head[2].number; i++, p = lp_after(p))
        if (p >= end) return false;
    if (p >= end) return false;
    lp_get(p, &mark);
    if (mark.text || mark.number != 0) return false;
    p = lp_after(p);
    int64_t alive = 0, dead = 0;
    while (p < end) {
        bool deleted;
        p = entry_sound(p, end, (uint32_t)head[2].number, &deleted);
        if (!p) return false;
        *(deleted ? &dead : &alive) += 1;
    }
    *live = (uint64_t)alive;
    if (alive <= HEAD_SMALL && lp[LP_HEADER] > HEAD_SMALL) return false; /* a count that is longer than it must be */
    return alive == head[0].number && dead == head[1].number && alive + dead > 0;
}
