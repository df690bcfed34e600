/* types/stream_trim.c - deleting entries: marks in their block, and whole blocks when nothing in them lives. Layout: stream.h. */
#include "types/stream_block.h"

void stream_refresh_first(struct txn *t, struct stream *s)
{
    struct stream_id first = s->length ? stream_edge(s, false) : STREAM_ID_MIN;
    TXN_SET(t, s->first_id, first);
}

/* Marks the entry at p, whose flags are below 128 and so one byte. */
static void mark_deleted(struct txn *t, const uint8_t *p)
{
    uint8_t *flags = (uint8_t *)(uintptr_t)p;
    txn_touch(t, flags, 1);
    *flags |= STREAM_DELETED;
}

bool stream_delete(struct txn *t, struct stream *s, struct stream_id id)
{
    struct stream_iter it;
    struct stream_id found;
    uint32_t fields;
    stream_iterate(&it, s, id, id, false);
    if (!stream_next(&it, &found, &fields)) return false;
    struct stream_ref ref = stream_ref_at(it.at);
    struct block_head h;
    block_head(it.lp, &h);
    if (h.live <= 1) {
        block_remove(t, s, ref);
    } else {
        mark_deleted(t, it.entry);
        block_set_head(t, s, ref, h.live - 1, h.deleted + 1);
    }
    TXN_SET(t, s->length, s->length - 1);
    if (stream_id_compare(id, s->max_deleted_id) > 0) TXN_SET(t, s->max_deleted_id, id);
    if (!s->length || !stream_id_compare(id, s->first_id)) stream_refresh_first(t, s);
    return true;
}

/* ---- trimming ---- */

/* The id of a block's last entry, live or not. */
static struct stream_id block_last_id(struct stream_ref ref)
{
    const uint8_t *lp = block_at(ref.off)->lp, *p = block_entry_before(lp, lp_end(lp));
    struct block_head h;
    struct block_entry e;
    block_head(lp, &h);
    if (!p) return ref.id;
    block_entry(p, ref.id, h.fields, &e);
    return e.id;
}

static bool goes_whole(const struct stream *s, const struct stream_trim *how, struct stream_ref ref, uint64_t live)
{
    if (how->by_id) return stream_id_compare(block_last_id(ref), how->minid) < 0;
    return s->length - live >= how->maxlen;
}

/* Deletes from the front of the block what must go; returns how many. */
static uint64_t trim_inside(struct txn *t, struct stream *s, const struct stream_trim *how, struct stream_ref ref)
{
    struct block_head h;
    uint64_t gone = 0;
    const uint8_t *lp = block_at(ref.off)->lp;
    block_head(lp, &h);
    for (const uint8_t *p = h.entries; *p != LP_END;) {
        struct block_entry e;
        block_entry(p, ref.id, h.fields, &e);
        if (how->by_id ? stream_id_compare(e.id, how->minid) >= 0 : s->length - gone <= how->maxlen) break;
        if (!(e.flags & STREAM_DELETED)) {
            mark_deleted(t, p);
            gone++;
        }
        p = e.after;
    }
    if (gone == (uint64_t)h.live)
        block_remove(t, s, ref);
    else if (gone)
        block_set_head(t, s, ref, h.live - (int64_t)gone, h.deleted + (int64_t)gone);
    if (gone) TXN_SET(t, s->length, s->length - gone);
    return gone;
}

uint64_t stream_trim(struct txn *t, struct stream *s, const struct stream_trim *how)
{
    uint64_t gone = 0;
    for (;;) {
        if (!how->by_id && s->length <= how->maxlen) break;
        struct bt_cursor c = bt_first(&s->blocks, STREAM_REF);
        if (!c.leaf) break;
        struct stream_ref ref = stream_ref_at(c);
        struct block_head h;
        block_head(block_at(ref.off)->lp, &h);
        if (how->limit && gone + (uint64_t)h.live > (uint64_t)how->limit) break;
        if (!goes_whole(s, how, ref, (uint64_t)h.live)) {
            if (!how->approx) gone += trim_inside(t, s, how, ref);
            break;
        }
        block_remove(t, s, ref);
        TXN_SET(t, s->length, s->length - (uint64_t)h.live);
        gone += (uint64_t)h.live;
    }
    if (gone) stream_refresh_first(t, s);
    return gone;
}
