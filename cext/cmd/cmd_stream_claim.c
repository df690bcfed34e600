/* cmd/cmd_stream_claim.c - XCLAIM and XAUTOCLAIM: pending entries change their consumer.
 *
 * Logged as one XCLAIM with all its circumstances per entry, so that a replay needs no clock. An entry that was deleted from the stream
 * meanwhile stops being pending; the record of that is an XCLAIM too, which at the replay finds the entry missing and does the same.
 */
#include "cmd/cmd_stream.h"

struct claiming {
    struct key k;
    struct stream *s;
    struct stream_group *g;
    struct stream_consumer *consumer;
    int64_t min_idle;
    int64_t delivered_ms;
    int64_t retries;   /* -1: one more than before, but not with justid */
    bool justid, force;
};

static bool claim_group(struct cmd *c, struct claiming *x)
{
    bool wrong;
    x->k = key_for(c, 1);
    x->s = stream_to_write(c, &x->k, &wrong);
    if (wrong) return false;
    x->g = x->s ? stream_group(x->s, c->argv[2]) : NULL;
    if (x->g) return true;
    reply_no_group(c, c->argv[1], c->argv[2], "");
    return false;
}

/* The entry is pending but not in the stream any more. */
static void forget(struct cmd *c, struct claiming *x, struct stream_id id, const struct stream_nack *n)
{
    log_claim(c, x->k.name, x->g, id, n);
    stream_nack_remove(c->txn, x->g, id);
    c->dirty++;
}

/* Gives a pending entry to the consumer, replies it and logs that. */
static void claim(struct cmd *c, struct claiming *x, struct stream_id id, struct stream_nack *n)
{
    stream_nack_give(c->txn, n, id, x->consumer);
    txn_touch(c->txn, n, offsetof(struct stream_nack, consumer));
    n->delivered_ms = x->delivered_ms;
    if (x->retries >= 0)
        n->deliveries = (uint64_t)x->retries;
    else if (!x->justid)
        n->deliveries++;
    TXN_SET(c->txn, x->consumer->active_ms, c->now_ms);
    if (x->justid)
        reply_stream_id(c, id);
    else
        reply_stream_first(c, x->s, id, id, false);
    log_claim(c, x->k.name, x->g, id, n);
    c->dirty++;
}

/* ---- XCLAIM ---- */

static bool xclaim_options(struct cmd *c, uint32_t i, struct claiming *x, struct stream_id *last)
{
    int64_t ms = -1;
    for (; i < c->argc; i++) {
        bool more = i + 1 < c->argc;
        if (arg_is(c, i, "force")) {
            x->force = true;
        } else if (arg_is(c, i, "justid")) {
            x->justid = true;
        } else if (more && arg_is(c, i, "idle")) {
            if (!arg_i64_or(c, ++i, &ms, "ERR Invalid IDLE option argument for XCLAIM")) return false;
            ms = ms < 0 && c->now_ms > INT64_MAX + ms ? INT64_MAX : c->now_ms - ms;
        } else if (more && arg_is(c, i, "time")) {
            if (!arg_i64_or(c, ++i, &ms, "ERR Invalid TIME option argument for XCLAIM")) return false;
        } else if (more && arg_is(c, i, "retrycount")) {
            if (!arg_i64_or(c, ++i, &x->retries, "ERR Invalid RETRYCOUNT option argument for XCLAIM")) return false;
        } else if (more && arg_is(c, i, "lastid")) {
            if (!arg_stream_id(c, ++i, 0, true, last)) return false;
        } else {
            reply_errorf(c->out, "ERR Unrecognized XCLAIM option '%.*s'", (int)MIN(c->argv[i].n, (size_t)128), (const char *)c->argv[i].p);
            return false;
        }
    }
    /* a time that makes no sense is now: clients' clocks differ */
    x->delivered_ms = ms < 0 || ms > c->now_ms ? c->now_ms : ms;
    return true;
}

static bool claim_id(struct cmd *c, struct claiming *x, struct stream_id id)
{
    struct stream_nack *n = stream_nack(x->g, id);
    if (!stream_has(x->s, id)) {
        if (n) forget(c, x, id, n);
        return false;
    }
    if (n && x->min_idle && c->now_ms - n->delivered_ms < x->min_idle) return false;
    if (!n && x->force) n = stream_nack_add(c->txn, x->g, x->consumer, id, c->now_ms, 1);
    if (n) claim(c, x, id, n);
    return n != NULL;
}

void cmd_xclaim(struct cmd *c)
{
    struct claiming x = {.retries = -1};
    if (!claim_group(c, &x)) return;
    if (!arg_i64_or(c, 4, &x.min_idle, "ERR Invalid min-idle-time argument for XCLAIM")) return;
    if (x.min_idle < 0) x.min_idle = 0;
    struct stream_id *ids = scratch_alloc(c->argc * sizeof *ids), last = STREAM_ID_MIN;
    uint32_t end = 5;
    while (end < c->argc && stream_id_parse(c->argv[end], 0, true, &ids[end], NULL)) end++;
    if (!xclaim_options(c, end, &x, &last)) return;
    cmd_propagate_nothing(c);
    bool log_last = stream_id_compare(last, x.g->last_id) > 0;
    if (log_last) TXN_SET(c->txn, x.g->last_id, last);
    x.consumer = consumer_for(c, &x.k, x.g, c->argv[3]);
    size_t place = reply_later(c->out);
    uint64_t n = 0, dirty = c->dirty;
    for (uint32_t i = 5; i < end; i++) n += claim_id(c, &x, ids[i]);
    reply_later_array(c->out, place, n);
    if (log_last && c->dirty == dirty) { /* else the XCLAIMs have told it */
        log_group_id(c, x.k.name, x.g);
        c->dirty++;
    }
}

/* ---- XAUTOCLAIM ---- */

#define ATTEMPTS_PER_ENTRY 10 /* pending entries looked at for each that may be claimed */

static bool xautoclaim_options(struct cmd *c, struct claiming *x, int64_t *count)
{
    for (uint32_t i = 6; i < c->argc; i++) {
        if (i + 1 < c->argc && arg_is(c, i, "count")) {
            if (!arg_i64_or(c, ++i, count, "ERR COUNT must be > 0")) return false;
            if (*count < 1 || *count > INT64_MAX / (int64_t)sizeof(struct stream_id)) {
                reply_errorf(c->out, "ERR COUNT must be > 0");
                return false;
            }
        } else if (arg_is(c, i, "justid")) {
            x->justid = true;
        } else {
            reply_error(c->out, ERR_SYNTAX);
            return false;
        }
    }
    return true;
}

/* Ids of entries that were pending but are gone from their stream, collected in scratch memory. */
struct gone {
    struct stream_id *ids;
    uint64_t n, cap;
};

static void gone_add(struct gone *g, struct stream_id id)
{
    if (g->n == g->cap) {
        uint64_t cap = g->cap ? 2 * g->cap : 16;
        struct stream_id *more = scratch_alloc(cap * sizeof *more);
        if (g->n) memcpy(more, g->ids, g->n * sizeof *more);
        g->ids = more;
        g->cap = cap;
    }
    g->ids[g->n++] = id;
}

/* Claims from `at` on, at most `count` entries; returns how many. *at is where the next call would begin, 0-0 at the end. */
static uint64_t claim_from(struct cmd *c, struct claiming *x, struct stream_id *at, int64_t count, struct gone *gone)
{
    uint64_t n = 0;
    int64_t attempts = count > INT64_MAX / ATTEMPTS_PER_ENTRY ? INT64_MAX : count * ATTEMPTS_PER_ENTRY;
    for (;;) {
        struct bt_cursor p = stream_pending_from(&x->g->pending, *at); /* anew: forgetting one changes the tree */
        if (!p.leaf) {
            *at = STREAM_ID_MIN;
            return n;
        }
        struct stream_ref ref = stream_ref_at(p);
        struct stream_nack *nack = shm_ptr(ref.off);
        *at = ref.id;
        if (!attempts-- || !count) return n;
        if (!stream_has(x->s, ref.id)) {
            forget(c, x, ref.id, nack);
            gone_add(gone, ref.id);
            count--;
        } else if (!x->min_idle || c->now_ms - nack->delivered_ms >= x->min_idle) {
            claim(c, x, ref.id, nack);
            n++;
            count--;
        }
        if (!stream_id_next(at)) {
            *at = STREAM_ID_MIN;
            return n;
        }
    }
}

void cmd_xautoclaim(struct cmd *c)
{
    struct claiming x = {.retries = -1, .delivered_ms = c->now_ms};
    struct stream_id at;
    struct gone gone = {0};
    int64_t count = 100;
    if (!arg_i64_or(c, 4, &x.min_idle, "ERR Invalid min-idle-time argument for XAUTOCLAIM") || !arg_stream_start(c, 5, &at)) return;
    if (x.min_idle < 0) x.min_idle = 0;
    if (!xautoclaim_options(c, &x, &count) || !claim_group(c, &x)) return;
    cmd_propagate_nothing(c);
    x.consumer = consumer_for(c, &x.k, x.g, c->argv[3]);
    /* the cursor comes first but is known last: the entries are written behind a place that is filled later */
    size_t start = reply_mark(c->out);
    size_t place = reply_later(c->out);
    uint64_t n = claim_from(c, &x, &at, count, &gone);
    reply_later_array(c->out, place, n);
    size_t bytes = reply_mark(c->out) - start;
    uint8_t *entries = scratch_alloc(bytes + 1);
    memcpy(entries, c->out->buf + start, bytes);
    reply_rewind(c->out, start);
    reply_array(c->out, 3);
    reply_stream_id(c, at);
    reply_raw(c->out, entries, bytes);
    reply_array(c->out, gone.n);
    for (uint64_t i = 0; i < gone.n; i++) reply_stream_id(c, gone.ids[i]);
}
