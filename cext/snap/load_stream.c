/* snap/load_stream.c - streams of RDB_STREAM, _2 and _3. Format: save_stream.c; _1 ends its counters after the last id and knows no entries
 * read, _3 has each consumer's active time behind its seen time.
 */
#include "base/le.h"
#include "snap/rdb_load.h"
#include "types/stream.h"

struct loading {
    struct rdb_in *in;
    struct txn *t;
    struct stream *s;
    unsigned type;
};

static struct stream_id raw_id(const uint8_t *p) { return (struct stream_id){be_load64(p), be_load64(p + 8)}; }

static bool get_raw_id(struct rdb_in *in, struct stream_id *id)
{
    if (!rdb_have(in, 16)) return false;
    *id = raw_id(in->p);
    in->p += 16;
    return true;
}

static bool get_id(struct rdb_in *in, struct stream_id *id) { return rdb_get_len(in, &id->ms) && rdb_get_len(in, &id->seq); }

static bool load_block(struct loading *l, struct stream_id *before, uint64_t *live)
{
    struct slice key, lp;
    uint64_t n;
    if (!rdb_get_string(l->in, &key) || key.n != 16 || !rdb_get_string(l->in, &lp)) return false;
    struct stream_id id = raw_id(key.p);
    /* ids that do not grow would be the same block twice, or entries out of order */
    if (l->s->blocks.count && stream_id_compare(id, *before) <= 0) return false;
    if (lp.n < LP_EMPTY_BYTES || !stream_block_sound(lp.p, lp.n, &n))
        return rdb_refuse(l->in, "Stream listpack integrity check failed.");
    stream_adopt_block(l->t, l->s, id, lp);
    *before = id;
    *live += n;
    return true;
}

static bool load_blocks(struct loading *l, uint64_t *live)
{
    uint64_t n;
    struct stream_id before = STREAM_ID_MIN;
    if (!rdb_get_count(l->in, 2, &n)) return false;
    for (; n; n--) {
        struct scratch_mark mark = scratch_mark();
        if (!load_block(l, &before, live)) return false;
        scratch_rewind(mark);
    }
    return true;
}

static bool load_counters(struct loading *l, uint64_t live)
{
    struct stream *s = l->s;
    if (!rdb_get_len(l->in, &s->length) || !get_id(l->in, &s->last_id)) return false;
    if (l->type == RDB_STREAM) {
        s->first_id = stream_edge(s, false);
        s->entries_added = s->length;
    } else if (!get_id(l->in, &s->first_id) || !get_id(l->in, &s->max_deleted_id) || !rdb_get_len(l->in, &s->entries_added)) {
        return false;
    }
    if (s->length == live && (!live || stream_id_compare(stream_edge(s, true), s->last_id) <= 0)) return true;
    return rdb_refuse(l->in, "Stream length or last ID is not that of its entries");
}

/* A time in milliseconds; one before 1970 is none. */
static bool get_time(struct rdb_in *in, int64_t *ms)
{
    uint64_t v;
    if (!rdb_get_u64(in, &v)) return false;
    *ms = v > INT64_MAX ? 0 : (int64_t)v;
    return true;
}

static bool load_pending(struct loading *l, struct stream_group *g)
{
    uint64_t n, deliveries;
    int64_t ms;
    struct stream_id id;
    if (!rdb_get_count(l->in, 25, &n)) return false;
    for (; n; n--) {
        if (!get_raw_id(l->in, &id) || !get_time(l->in, &ms) || !rdb_get_len(l->in, &deliveries)) return false;
        if (stream_nack(g, id)) return rdb_refuse(l->in, "Duplicated global PEL entry loading stream consumer group");
        stream_nack_add(l->t, g, NULL, id, ms, deliveries);
    }
    return true;
}

static bool load_consumer(struct loading *l, struct stream_group *g)
{
    struct slice name;
    int64_t seen, active;
    uint64_t n;
    struct stream_id id;
    if (!rdb_get_string(l->in, &name) || name.n > RDB_STRING_MAX || !get_time(l->in, &seen)) return false;
    active = seen;
    if (l->type == RDB_STREAM_3 && !get_time(l->in, &active)) return false;
    struct stream_consumer *c = stream_consumer_create(l->t, g, name, seen);
    if (!c) return rdb_refuse(l->in, "Duplicate stream consumer detected");
    if (!rdb_get_count(l->in, 16, &n)) return false;
    c->active_ms = active;
    for (; n; n--) {
        if (!get_raw_id(l->in, &id)) return false;
        struct stream_nack *nack = stream_nack(g, id);
        if (!nack || nack->consumer) return rdb_refuse(l->in, "Consumer entry not found in group global PEL, or there twice");
        stream_nack_give(l->t, nack, id, c);
    }
    return true;
}

/* Every pending entry must have got its consumer: commands follow it. */
static bool all_owned(const struct stream_group *g)
{
    uint64_t owned = 0;
    for (uint32_t i = 0; i < g->consumers.count; i++) owned += stream_consumer_at(g, i)->pending.count;
    return owned == g->pending.count;
}

static bool load_group(struct loading *l)
{
    struct slice name;
    struct stream_id last;
    uint64_t read, n;
    struct scratch_mark mark = scratch_mark();
    if (!rdb_get_string(l->in, &name) || !get_id(l->in, &last)) return false;
    if (l->type == RDB_STREAM)
        read = (uint64_t)stream_entries_up_to(l->s, last);
    else if (!rdb_get_len(l->in, &read))
        return false;
    struct stream_group *g = stream_group_create(l->t, l->s, name, last, (int64_t)read);
    scratch_rewind(mark);
    if (!g || !load_pending(l, g) || !rdb_get_count(l->in, 10, &n)) return false;
    for (; n; n--) {
        mark = scratch_mark();
        if (!load_consumer(l, g)) return false;
        scratch_rewind(mark);
    }
    return all_owned(g) || rdb_refuse(l->in, "Pending entries of a stream consumer group without consumer");
}

enum rdb_result rdb_load_stream(struct rdb_in *in, unsigned type, struct txn *t, struct rdb_value *v)
{
    uint64_t live = 0, n;
    *v = (struct rdb_value){OBJ_STREAM, ENC_STREAM, stream_create(t)};
    struct loading l = {in, t, shm_ptr(v->root), type};
    if (!load_blocks(&l, &live) || !load_counters(&l, live) || !rdb_get_count(in, 5, &n)) return RDB_IS_BAD;
    for (; n; n--)
        if (!load_group(&l)) return RDB_IS_BAD;
    return RDB_LOADED;
}
