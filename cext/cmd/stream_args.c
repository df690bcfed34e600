/* cmd/stream_args.c - ids of streams as texts, entries as replies, and the records that replay changes of groups.
 *
 * Needs the key's stripe where a stream is read; records go to the open transaction. Nothing shared of its own.
 */
#include "base/num.h"
#include "cmd/cmd_stream.h"

#define ID_TEXT_MAX 127 /* longer texts are refused, as in Redis */

bool stream_id_parse(struct slice text, uint64_t missing_seq, bool strict, struct stream_id *id, bool *seq_given)
{
    if (seq_given) *seq_given = true;
    if (text.n > ID_TEXT_MAX) return false;
    if (text.n == 1 && (text.p[0] == '-' || text.p[0] == '+')) {
        *id = text.p[0] == '-' ? STREAM_ID_MIN : STREAM_ID_MAX;
        return !strict;
    }
    const uint8_t *dash = text.n ? memchr(text.p, '-', text.n) : NULL;
    size_t ms_n = dash ? (size_t)(dash - text.p) : text.n;
    if (!num_parse_u64(text.p, ms_n, &id->ms)) return false;
    id->seq = missing_seq;
    if (!dash) return true;
    size_t seq_n = text.n - ms_n - 1;
    if (seq_given && seq_n == 1 && dash[1] == '*') {
        *seq_given = false;
        id->seq = 0;
        return true;
    }
    return num_parse_u64(dash + 1, seq_n, &id->seq);
}

static bool bad_id(struct cmd *c)
{
    reply_error(c->out, ERR_BADSTREAMID);
    return false;
}

bool arg_stream_id(struct cmd *c, uint32_t i, uint64_t missing_seq, bool strict, struct stream_id *id)
{
    return stream_id_parse(c->argv[i], missing_seq, strict, id, NULL) || bad_id(c);
}

/* *open: the bound itself is left out. */
static bool arg_bound(struct cmd *c, uint32_t i, uint64_t missing_seq, struct stream_id *id, bool *open)
{
    struct slice s = c->argv[i];
    *open = s.n > 1 && s.p[0] == '(';
    if (*open) s = (struct slice){s.p + 1, s.n - 1};
    return stream_id_parse(s, missing_seq, *open, id, NULL) || bad_id(c);
}

bool arg_stream_start(struct cmd *c, uint32_t i, struct stream_id *id)
{
    bool open;
    if (!arg_bound(c, i, 0, id, &open)) return false;
    if (!open || stream_id_next(id)) return true;
    reply_errorf(c->out, "ERR invalid start ID for the interval");
    return false;
}

bool arg_stream_end(struct cmd *c, uint32_t i, struct stream_id *id)
{
    bool open;
    if (!arg_bound(c, i, UINT64_MAX, id, &open)) return false;
    if (!open || stream_id_prev(id)) return true;
    reply_errorf(c->out, "ERR invalid end ID for the interval");
    return false;
}

size_t stream_id_text(uint8_t *dst, struct stream_id id)
{
    size_t n = num_from_u64(dst, id.ms);
    dst[n++] = '-';
    return n + num_from_u64(dst + n, id.seq);
}

struct slice stream_id_slice(struct stream_id id)
{
    uint8_t *text = scratch_alloc(STREAM_ID_ROOM);
    return (struct slice){text, stream_id_text(text, id)};
}

struct slice number_slice(int64_t v)
{
    uint8_t *text = scratch_alloc(NUM_I64_ROOM);
    return (struct slice){text, num_from_i64(text, v)};
}

void reply_stream_id(struct cmd *c, struct stream_id id)
{
    uint8_t text[STREAM_ID_ROOM];
    reply_bulk(c->out, text, stream_id_text(text, id));
}

/* ---- entries ---- */

void reply_stream_entry(struct cmd *c, struct stream_iter *it, struct stream_id id, uint32_t fields)
{
    reply_array(c->out, 2);
    reply_stream_id(c, id);
    reply_array(c->out, 2ull * fields);
    for (; fields; fields--) {
        uint8_t froom[NUM_I64_ROOM], vroom[NUM_I64_ROOM];
        struct slice field, value;
        stream_pair(it, &field, froom, &value, vroom);
        reply_slice(c->out, field);
        reply_slice(c->out, value);
    }
}

void reply_stream_range(struct cmd *c, const struct stream *s, struct stream_id from, struct stream_id to, uint64_t count, bool reverse)
{
    struct stream_iter it;
    struct stream_id id;
    uint32_t fields;
    uint64_t n = 0;
    size_t place = reply_later(c->out);
    stream_iterate(&it, s, from, to, reverse);
    while (stream_next(&it, &id, &fields)) {
        reply_stream_entry(c, &it, id, fields);
        if (++n == count) break;
    }
    reply_later_array(c->out, place, n);
}

bool reply_stream_first(struct cmd *c, const struct stream *s, struct stream_id from, struct stream_id to, bool reverse)
{
    struct stream_iter it;
    struct stream_id id;
    uint32_t fields;
    stream_iterate(&it, s, from, to, reverse);
    if (!stream_next(&it, &id, &fields)) return false;
    reply_stream_entry(c, &it, id, fields);
    return true;
}

/* ---- looking up ---- */

struct stream *stream_to_read(struct cmd *c, const struct key *k, bool *wrong)
{
    const struct entry *e = ks_read(k);
    *wrong = wrong_type(c, e, OBJ_STREAM);
    return e && !*wrong ? stream_of(e) : NULL;
}

struct stream *stream_to_write(struct cmd *c, const struct key *k, bool *wrong)
{
    const struct entry *e = ks_write(c->txn, k);
    *wrong = wrong_type(c, e, OBJ_STREAM);
    return e && !*wrong ? stream_of(e) : NULL;
}

void reply_no_group(struct cmd *c, struct slice key, struct slice group, const char *tail)
{
    reply_errorf(c->out, "NOGROUP No such key '%.*s' or consumer group '%.*s'%s", (int)MIN(key.n, (size_t)INT32_MAX), (const char *)key.p,
                 (int)MIN(group.n, (size_t)INT32_MAX), (const char *)group.p, tail);
}

/* ---- records ---- */

void log_claim(struct cmd *c, struct slice key, const struct stream_group *g, struct stream_id id, const struct stream_nack *n)
{
    if (!log_on()) return;
    const struct stream_consumer *owner = shm_ptr(n->consumer);
    const struct slice argv[14] = {
        SLICE("XCLAIM"), key, stream_name(&g->name), stream_name(&owner->name), SLICE("0"), stream_id_slice(id),
        SLICE("TIME"), number_slice(n->delivered_ms), SLICE("RETRYCOUNT"), number_slice((int64_t)n->deliveries), SLICE("FORCE"),
        SLICE("JUSTID"), SLICE("LASTID"), stream_id_slice(g->last_id),
    };
    cmd_propagate(c, 14, argv);
}

void log_group_id(struct cmd *c, struct slice key, const struct stream_group *g)
{
    if (!log_on()) return;
    const struct slice argv[7] = {
        SLICE("XGROUP"), SLICE("SETID"), key, stream_name(&g->name), stream_id_slice(g->last_id), SLICE("ENTRIESREAD"),
        number_slice(g->entries_read),
    };
    cmd_propagate(c, 7, argv);
}

struct stream_consumer *consumer_for(struct cmd *c, const struct key *k, struct stream_group *g, struct slice name)
{
    struct stream_consumer *consumer = stream_consumer(g, name);
    if (consumer) {
        TXN_SET(c->txn, consumer->seen_ms, c->now_ms);
        return consumer;
    }
    consumer = stream_consumer_create(c->txn, g, name, c->now_ms);
    cmd_modified(c, k, 't', "xgroup-createconsumer");
    if (log_on()) {
        const struct slice argv[5] = {SLICE("XGROUP"), SLICE("CREATECONSUMER"), k->name, stream_name(&g->name), name};
        cmd_propagate(c, 5, argv);
    }
    return consumer;
}
