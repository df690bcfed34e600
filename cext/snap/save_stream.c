/* snap/save_stream.c - streams as RDB_STREAM_2: blocks as they are, then counters, groups, pending entries, consumers.
 *
 *   blocks u, each: string of 16 bytes (id, big-endian), string (listpack) | length u | last ms, seq u | first | largest deleted | added u
 *   groups u, each: name | last ms, seq u | entries read u (-1 as 64 bits) | pending u, each: id 16 bytes, time 8, deliveries u |
 *     consumers u, each: name | seen 8 | pending u, each: id 16 bytes                                  (u: a length)
 */
#include "base/le.h"
#include "snap/mem_walk.h"
#include "snap/rdb_save.h"
#include "types/stream.h"

struct saving {
    struct rdb_out *o;
    struct mem_reader *r;
};

static struct stream_ref ref_of(const uint8_t *entry)
{
    struct stream_ref ref;
    memcpy(&ref, entry, sizeof ref);
    return ref;
}

static void put_raw_id(struct rdb_out *o, struct stream_id id)
{
    uint8_t raw[16];
    be_store64(raw, id.ms);
    be_store64(raw + 8, id.seq);
    rdb_put_raw(o, raw, sizeof raw);
}

static void put_id(struct rdb_out *o, struct stream_id id)
{
    rdb_put_len(o, id.ms);
    rdb_put_len(o, id.seq);
}

static void save_block(const uint8_t *entry, void *arg)
{
    struct saving *s = arg;
    struct stream_ref ref = ref_of(entry);
    rdb_put_len(s->o, 16);
    put_raw_id(s->o, ref.id);
    rdb_save_listpack(s->o, s->r, ref.off + offsetof(struct stream_block, lp));
}

static void save_pending(const uint8_t *entry, void *arg)
{
    struct saving *s = arg;
    struct stream_ref ref = ref_of(entry);
    const struct stream_nack *n = mem_view(s->r, ref.off, sizeof *n);
    put_raw_id(s->o, ref.id);
    rdb_put_u64(s->o, (uint64_t)n->delivered_ms);
    rdb_put_len(s->o, n->deliveries);
}

static void save_own_pending(const uint8_t *entry, void *arg)
{
    put_raw_id(((struct saving *)arg)->o, ref_of(entry).id);
}

/* The fixed part of a group or consumer; its name is written. */
static const void *save_name(struct saving *s, shm_off off, size_t size)
{
    const struct stream_name *n = mem_view(s->r, off, size);
    const uint8_t *text = mem_view(s->r, off + n->at, n->n);
    rdb_put_string(s->o, text, n->n);
    return n;
}

static void save_row(struct saving *s, const struct stream_row *row, void (*save)(struct saving *, shm_off))
{
    rdb_put_len(s->o, row->count);
    for (uint32_t i = 0; i < row->count; i++) {
        struct scratch_mark mark = scratch_mark();
        save(s, le_load64(mem_view(s->r, row->items + i * sizeof(shm_off), sizeof(shm_off))));
        scratch_rewind(mark);
    }
}

static void save_consumer(struct saving *s, shm_off off)
{
    const struct stream_consumer *c = save_name(s, off, sizeof *c);
    rdb_put_u64(s->o, (uint64_t)c->seen_ms);
    rdb_put_len(s->o, c->pending.count);
    mem_btree_each(s->r, &c->pending, STREAM_REF, save_own_pending, s);
}

static void save_group(struct saving *s, shm_off off)
{
    const struct stream_group *g = save_name(s, off, sizeof *g);
    put_id(s->o, g->last_id);
    rdb_put_len(s->o, (uint64_t)g->entries_read);
    rdb_put_len(s->o, g->pending.count);
    mem_btree_each(s->r, &g->pending, STREAM_REF, save_pending, s);
    save_row(s, &g->consumers, save_consumer);
}

void rdb_save_stream(struct rdb_out *o, struct mem_reader *r, enum encoding enc, shm_off root)
{
    (void)enc;
    struct saving s = {o, r};
    const struct stream *st = mem_view(r, root, sizeof *st);
    rdb_put_len(o, st->blocks.count);
    mem_btree_each(r, &st->blocks, STREAM_REF, save_block, &s);
    rdb_put_len(o, st->length);
    put_id(o, st->last_id);
    put_id(o, st->first_id);
    put_id(o, st->max_deleted_id);
    rdb_put_len(o, st->entries_added);
    save_row(&s, &st->groups, save_group);
}
