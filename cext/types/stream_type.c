/* types/stream_type.c - what every type must be able to do, for streams: freeing in steps, copying, measuring. Layout: stream.h. */
#include "types/stream_block.h"

static void free_block(struct txn *t, const uint8_t *entry, void *arg)
{
    (void)arg;
    struct stream_ref ref;
    memcpy(&ref, entry, sizeof ref);
    txn_free(t, ref.off, block_at(ref.off)->cap);
}

static bool free_some(struct txn *t, enum encoding enc, shm_off root, uint64_t *budget)
{
    (void)enc;
    struct stream *s = shm_ptr(root);
    if (!bt_drain(t, &s->blocks, STREAM_REF, free_block, NULL, budget)) return false;
    if (!stream_groups_free_some(t, s, budget)) return false;
    txn_free(t, root, sizeof *s);
    return true;
}

/* Groups with many consumers or pending entries are rare and long: counted roughly. */
static uint64_t free_effort(enum encoding enc, shm_off root)
{
    (void)enc;
    const struct stream *s = shm_ptr(root);
    uint64_t effort = s->blocks.count + s->groups.count;
    for (uint32_t i = 0; i < s->groups.count && effort < 1000; i++) {
        const struct stream_group *g = stream_group_at(s, i);
        effort += g->pending.count + g->consumers.count;
    }
    return effort;
}

static void copy_group(struct txn *t, struct stream *to, const struct stream_group *from)
{
    struct stream_group *g = stream_group_create(t, to, stream_name(&from->name), from->last_id, from->entries_read);
    for (uint32_t i = 0; i < from->consumers.count; i++) {
        const struct stream_consumer *old = stream_consumer_at(from, i);
        struct stream_consumer *c = stream_consumer_create(t, g, stream_name(&old->name), old->seen_ms);
        c->active_ms = old->active_ms;
    }
    for (struct bt_cursor p = bt_first(&from->pending, STREAM_REF); p.leaf; bt_next(&p)) {
        struct stream_ref ref = stream_ref_at(p);
        const struct stream_nack *n = shm_ptr(ref.off);
        const struct stream_consumer *owner = shm_ptr(n->consumer);
        stream_nack_add(t, g, stream_consumer(g, stream_name(&owner->name)), ref.id, n->delivered_ms, n->deliveries);
    }
}

static shm_off copy(struct txn *t, enum encoding enc, shm_off root)
{
    (void)enc;
    const struct stream *from = shm_ptr(root);
    shm_off off = stream_create(t);
    struct stream *to = shm_ptr(off);
    for (struct bt_cursor c = bt_first(&from->blocks, STREAM_REF); c.leaf; bt_next(&c)) {
        struct stream_ref ref = stream_ref_at(c);
        const uint8_t *lp = block_at(ref.off)->lp;
        stream_adopt_block(t, to, ref.id, (struct slice){lp, lp_bytes(lp)});
    }
    to->length = from->length;
    to->entries_added = from->entries_added;
    to->last_id = from->last_id;
    to->first_id = from->first_id;
    to->max_deleted_id = from->max_deleted_id;
    for (uint32_t i = 0; i < from->groups.count; i++) copy_group(t, to, stream_group_at(from, i));
    return off;
}

/* Of the blocks, the first `samples` are looked at. */
static uint64_t blocks_memory(const struct stream *s, uint64_t samples)
{
    uint64_t seen = 0, bytes = 0;
    for (struct bt_cursor c = bt_first(&s->blocks, STREAM_REF); c.leaf && (!samples || seen < samples); bt_next(&c), seen++)
        bytes += arena_usable(block_at(stream_ref_at(c).off)->cap);
    return seen ? (uint64_t)((double)bytes / (double)seen * (double)s->blocks.count) : 0;
}

static uint64_t memory(enum encoding enc, shm_off root, uint64_t samples)
{
    (void)enc;
    const struct stream *s = shm_ptr(root);
    uint64_t n = arena_usable(sizeof *s) + bt_memory(&s->blocks) + blocks_memory(s, samples) + s->groups.cap * sizeof(shm_off);
    for (uint32_t i = 0; i < s->groups.count; i++) {
        const struct stream_group *g = stream_group_at(s, i);
        n += arena_usable(sizeof *g + g->name.n) + bt_memory(&g->pending) + g->consumers.cap * sizeof(shm_off);
        n += g->pending.count * arena_usable(sizeof(struct stream_nack));
        for (uint32_t k = 0; k < g->consumers.count; k++) {
            const struct stream_consumer *c = stream_consumer_at(g, k);
            n += arena_usable(sizeof *c + c->name.n) + bt_memory(&c->pending);
        }
    }
    return n;
}

const struct objtype stream_objtype = {"stream", free_some, free_effort, copy, memory};
