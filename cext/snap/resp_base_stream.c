/* snap/resp_base_stream.c - the commands that make a stream: XADD for each entry, XSETID for its counters, then its groups with XGROUP,
 * their consumers and the entries that wait for them with XCLAIM. Frame: resp_base.h; layout: types/stream.h. */
#include "base/le.h"
#include "base/num.h"
#include "snap/mem_walk.h"
#include "snap/resp_base.h"
#include "types/stream_block.h"

struct making {
    struct rdb_out *o;
    struct mem_reader *r;
    struct slice key, group, consumer;
};

static struct stream_ref ref_of(const uint8_t *entry)
{
    struct stream_ref ref;
    memcpy(&ref, entry, sizeof ref);
    return ref;
}

static void put_id(struct rdb_out *o, struct stream_id id)
{
    uint8_t text[2 * NUM_I64_ROOM + 1];
    size_t n = num_from_u64(text, id.ms);
    text[n++] = '-';
    n += num_from_u64(text + n, id.seq);
    resp_put_bulk(o, (struct slice){text, n});
}

static void put_entry(struct making *m, const struct block_head *h, const struct block_entry *e)
{
    uint8_t room[NUM_I64_ROOM];
    bool same = e->flags & STREAM_SAME;
    const uint8_t *field = h->field, *p = e->body;
    resp_put_command(m->o, 3 + 2ull * e->fields);
    resp_put_word(m->o, "XADD");
    resp_put_bulk(m->o, m->key);
    put_id(m->o, e->id);
    for (uint32_t i = 0; i < e->fields; i++) {
        const uint8_t **name = same ? &field : &p;
        resp_put_bulk(m->o, lp_text(*name, room));
        *name = lp_after(*name);
        resp_put_bulk(m->o, lp_text(p, room));
        p = lp_after(p);
    }
}

static void put_block(const uint8_t *entry, void *arg)
{
    struct making *m = arg;
    struct stream_ref ref = ref_of(entry);
    struct scratch_mark mark = scratch_mark();
    shm_off at = ref.off + offsetof(struct stream_block, lp);
    const uint8_t *lp = mem_view(m->r, at, lp_bytes(mem_view(m->r, at, LP_HEADER)));
    struct block_head h;
    struct block_entry e;
    block_head(lp, &h);
    for (const uint8_t *p = h.entries; *p != LP_END && !rdb_failed(m->o); p = e.after) {
        block_entry(p, ref.id, h.fields, &e);
        if (!(e.flags & STREAM_DELETED)) put_entry(m, &h, &e);
    }
    scratch_rewind(mark);
}

/* An entry that goes at once leaves a stream without any. */
static void put_empty(struct making *m)
{
    resp_put_command(m->o, 7);
    resp_put_word(m->o, "XADD");
    resp_put_bulk(m->o, m->key);
    resp_put_word(m->o, "MAXLEN");
    resp_put_number(m->o, 0);
    put_id(m->o, (struct stream_id){0, 1});
    resp_put_word(m->o, "x");
    resp_put_word(m->o, "y");
}

static void put_counters(struct making *m, const struct stream *s)
{
    resp_put_command(m->o, 7);
    resp_put_word(m->o, "XSETID");
    resp_put_bulk(m->o, m->key);
    put_id(m->o, s->last_id);
    resp_put_word(m->o, "ENTRIESADDED");
    resp_put_number(m->o, (int64_t)s->entries_added);
    resp_put_word(m->o, "MAXDELETEDID");
    put_id(m->o, s->max_deleted_id);
}

/* ---- groups ---- */

static void put_pending(const uint8_t *entry, void *arg)
{
    struct making *m = arg;
    struct stream_ref ref = ref_of(entry);
    struct scratch_mark mark = scratch_mark();
    const struct stream_nack *n = mem_view(m->r, ref.off, sizeof *n);
    resp_put_command(m->o, 12);
    resp_put_word(m->o, "XCLAIM");
    resp_put_bulk(m->o, m->key);
    resp_put_bulk(m->o, m->group);
    resp_put_bulk(m->o, m->consumer);
    resp_put_number(m->o, 0);
    put_id(m->o, ref.id);
    resp_put_word(m->o, "TIME");
    resp_put_number(m->o, n->delivered_ms);
    resp_put_word(m->o, "RETRYCOUNT");
    resp_put_number(m->o, (int64_t)n->deliveries);
    resp_put_word(m->o, "JUSTID");
    resp_put_word(m->o, "FORCE");
    scratch_rewind(mark);
}

static const void *view_named(struct making *m, shm_off off, size_t size, struct slice *name)
{
    const struct stream_name *n = mem_view(m->r, off, size);
    *name = (struct slice){mem_view(m->r, off + n->at, n->n), n->n};
    return n;
}

static void each_of_row(struct making *m, const struct stream_row *row, void (*fn)(struct making *, shm_off))
{
    struct stream_row copy = *row;
    for (uint32_t i = 0; i < copy.count && !rdb_failed(m->o); i++) {
        struct scratch_mark mark = scratch_mark();
        fn(m, le_load64(mem_view(m->r, copy.items + i * sizeof(shm_off), sizeof(shm_off))));
        scratch_rewind(mark);
    }
}

static void put_consumer(struct making *m, shm_off off)
{
    const struct stream_consumer *c = view_named(m, off, sizeof *c, &m->consumer);
    resp_put_command(m->o, 5);
    resp_put_word(m->o, "XGROUP");
    resp_put_word(m->o, "CREATECONSUMER");
    resp_put_bulk(m->o, m->key);
    resp_put_bulk(m->o, m->group);
    resp_put_bulk(m->o, m->consumer);
    mem_btree_each(m->r, &c->pending, STREAM_REF, put_pending, m);
}

static void put_group(struct making *m, shm_off off)
{
    const struct stream_group *g = view_named(m, off, sizeof *g, &m->group);
    resp_put_command(m->o, 7);
    resp_put_word(m->o, "XGROUP");
    resp_put_word(m->o, "CREATE");
    resp_put_bulk(m->o, m->key);
    resp_put_bulk(m->o, m->group);
    put_id(m->o, g->last_id);
    resp_put_word(m->o, "ENTRIESREAD");
    resp_put_number(m->o, g->entries_read);
    each_of_row(m, &g->consumers, put_consumer);
}

void resp_base_stream(struct rdb_out *o, struct mem_reader *r, struct slice key, shm_off root)
{
    struct making m = {.o = o, .r = r, .key = key};
    const struct stream *s = mem_view(r, root, sizeof *s);
    if (s->length)
        mem_btree_each(r, &s->blocks, STREAM_REF, put_block, &m);
    else
        put_empty(&m);
    put_counters(&m, s);
    each_of_row(&m, &s->groups, put_group);
}
