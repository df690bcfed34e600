/* types/stream_read.c - walking a range of entries in both directions; what can be told without walking. Layout: stream.h. */
#include "types/stream_block.h"

/* Opens the block at the cursor: `p` is its first entry, or its end when going backwards. */
static void open_block(struct stream_iter *it)
{
    it->lp = it->p = NULL;
    if (!it->at.leaf) return;
    struct stream_ref ref = stream_ref_at(it->at);
    struct block_head h;
    it->block_id = ref.id;
    it->lp = block_at(ref.off)->lp;
    block_head(it->lp, &h);
    it->fields = h.field;
    it->master_fields = h.fields;
    it->p = it->reverse ? lp_end(it->lp) : h.entries;
}

void stream_iterate(struct stream_iter *it, const struct stream *s, struct stream_id from, struct stream_id to, bool reverse)
{
    *it = (struct stream_iter){.s = s, .from = from, .to = to, .reverse = reverse};
    it->at = block_for(s, reverse ? to : from);
    if (!it->at.leaf && !reverse) it->at = bt_first(&s->blocks, STREAM_REF);
    open_block(it);
}

static void leave_block(struct stream_iter *it)
{
    if (it->reverse)
        bt_prev(&it->at);
    else
        bt_next(&it->at);
    open_block(it);
}

/* The next entry of the block whatever it is; false: the block is done. */
static bool step(struct stream_iter *it, struct block_entry *e)
{
    if (it->reverse) {
        it->entry = it->p = block_entry_before(it->lp, it->p);
        if (!it->p) return false;
    } else {
        if (*it->p == LP_END) return false;
        it->entry = it->p;
    }
    block_entry(it->entry, it->block_id, it->master_fields, e);
    if (!it->reverse) it->p = e->after;
    return true;
}

bool stream_next(struct stream_iter *it, struct stream_id *id, uint32_t *fields)
{
    struct block_entry e;
    while (it->lp) {
        if (!step(it, &e)) {
            leave_block(it);
            continue;
        }
        if (it->reverse ? stream_id_compare(e.id, it->from) < 0 : stream_id_compare(e.id, it->to) > 0) break;
        if (e.flags & STREAM_DELETED) continue;
        if (it->reverse ? stream_id_compare(e.id, it->to) > 0 : stream_id_compare(e.id, it->from) < 0) continue;
        it->same = e.flags & STREAM_SAME;
        it->field = it->same ? it->fields : e.body;
        it->value = it->same ? e.body : lp_after(e.body);
        *id = e.id;
        *fields = e.fields;
        return true;
    }
    it->lp = NULL;
    return false;
}

void stream_pair(struct stream_iter *it, struct slice *field, uint8_t froom[NUM_I64_ROOM], struct slice *value,
                 uint8_t vroom[NUM_I64_ROOM])
{
    *field = lp_text(it->field, froom);
    *value = lp_text(it->value, vroom);
    const uint8_t *after = lp_after(it->value);
    if (it->same) {
        it->field = lp_after(it->field);
        it->value = after;
    } else if (*after != LP_END) { /* behind the last pair this is the back-count, which nobody asks for */
        it->field = after;
        it->value = lp_after(after);
    }
}

bool stream_has(const struct stream *s, struct stream_id id)
{
    struct stream_iter it;
    struct stream_id found;
    uint32_t fields;
    stream_iterate(&it, s, id, id, false);
    return stream_next(&it, &found, &fields);
}

struct stream_id stream_edge(const struct stream *s, bool newest)
{
    struct stream_iter it;
    struct stream_id found;
    uint32_t fields;
    stream_iterate(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, newest);
    return stream_next(&it, &found, &fields) ? found : STREAM_ID_MIN;
}
