/* cmd/cmd_stream_read.c - XREAD and XREADGROUP: entries behind given ids of several streams, alone or as a group's consumer.
 *
 * XREADGROUP changes the group: each entry delivered becomes pending and the group's last id moves. What is logged are these effects
 * (XCLAIM per entry, then XGROUP SETID), never the command. Reading one's own history (an id instead of ">") changes delivery
 * times and counts only, which Redis does not log either.
 *
 * A command that may wait and finds nothing waits for its streams (cmd/blocking.h); when one of them gets an entry, or loses its group,
 * the command is carried out again.
 */
#include "cmd/blocking.h"
#include "cmd/cmd_stream.h"

struct reading {
    struct slice group, consumer; /* group.p NULL: XREAD */
    bool noack, blocks;
    int64_t timeout_ms;           /* 0 = for ever */
    uint64_t count;               /* 0 = all */
    uint32_t first, n;            /* streams: keys from argv[first], ids from argv[first + n] */
    struct target {
        struct stream *s;         /* NULL: no such key */
        struct stream_group *g;
        struct stream_id after;
        bool news;                /* ">": what the group has not delivered yet */
    } *at;
};

static bool refuse(struct cmd *c, const char *error)
{
    reply_errorf(c->out, "ERR %s", error);
    return false;
}

/* ---- arguments ---- */

static bool read_timeout(struct cmd *c, uint32_t i, struct reading *r)
{
    if (!arg_i64_or(c, i, &r->timeout_ms, "ERR timeout is not an integer or out of range")) return false;
    if (r->timeout_ms < 0) return refuse(c, "timeout is negative");
    if (r->timeout_ms > INT64_MAX - c->now_ms) return refuse(c, "timeout is out of range");
    r->blocks = true;
    return true;
}

static bool read_streams(struct cmd *c, uint32_t i, struct reading *r)
{
    r->first = i;
    if ((c->argc - i) % 2)
        return refuse(c, "Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.");
    r->n = (c->argc - i) / 2;
    r->at = scratch_alloc(r->n * sizeof *r->at);
    memset(r->at, 0, r->n * sizeof *r->at);
    return true;
}

static bool read_options(struct cmd *c, bool grouped, struct reading *r)
{
    for (uint32_t i = 1; i < c->argc && !r->first; i++) {
        uint32_t more = c->argc - i - 1;
        int64_t count;
        if (more && arg_is(c, i, "block")) {
            if (!read_timeout(c, ++i, r)) return false;
        } else if (more && arg_is(c, i, "count")) {
            if (!arg_i64(c, ++i, &count)) return false;
            r->count = count < 0 ? 0 : (uint64_t)count;
        } else if (more && arg_is(c, i, "streams")) {
            if (!read_streams(c, i + 1, r)) return false;
        } else if (more >= 2 && arg_is(c, i, "group")) {
            if (!grouped) return refuse(c, "The GROUP option is only supported by XREADGROUP. You called XREAD instead.");
            r->group = c->argv[i + 1];
            r->consumer = c->argv[i + 2];
            i += 2;
        } else if (arg_is(c, i, "noack")) {
            if (!grouped) return refuse(c, "The NOACK option is only supported by XREADGROUP. You called XREAD instead.");
            r->noack = true;
        } else {
            r->first = 0;
            break;
        }
    }
    if (!r->first) {
        reply_error(c->out, ERR_SYNTAX);
        return false;
    }
    return !grouped || r->group.p ? true : refuse(c, "Missing GROUP option for XREADGROUP");
}

/* The stream, its group and the id from which to read. */
static bool read_target(struct cmd *c, bool grouped, const struct reading *r, uint32_t i)
{
    struct target *t = &r->at[i];
    struct key k = key_for(c, r->first + i);
    struct slice id = c->argv[r->first + r->n + i];
    bool wrong;
    t->s = grouped ? stream_to_write(c, &k, &wrong) : stream_to_read(c, &k, &wrong);
    if (wrong) return false;
    if (grouped) {
        t->g = t->s ? stream_group(t->s, r->group) : NULL;
        if (!t->g) {
            reply_no_group(c, k.name, r->group, " in XREADGROUP with GROUP option");
            return false;
        }
    }
    if (id.n == 1 && id.p[0] == '$') {
        if (grouped)
            return refuse(c, "The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by "
                             "specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result "
                             "set.");
        t->after = t->s ? t->s->last_id : STREAM_ID_MIN;
        return true;
    }
    if (id.n == 1 && id.p[0] == '>') {
        if (!grouped)
            return refuse(c, "The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.");
        t->news = true;
        return true;
    }
    return arg_stream_id(c, r->first + r->n + i, 0, true, &t->after);
}

/* ---- delivering ---- */

/* The group has read up to the entry. */
static void group_advance(struct cmd *c, const struct stream *s, struct stream_group *g, struct stream_id id)
{
    int64_t read = g->entries_read;
    if (read != STREAM_READ_UNKNOWN && !stream_has_tombstone(s, id, STREAM_ID_MAX))
        read++;
    else if (s->entries_added)
        read = stream_entries_up_to(s, id);
    if (read != g->entries_read) TXN_SET(c->txn, g->entries_read, read);
    TXN_SET(c->txn, g->last_id, id);
}

/* The entry is pending for the consumer, whoever it was pending for before. */
static void entry_pending(struct cmd *c, struct slice key, struct stream_group *g, struct stream_consumer *consumer, struct stream_id id)
{
    struct stream_nack *n = stream_nack(g, id);
    if (n) {
        stream_nack_give(c->txn, n, id, consumer);
        txn_touch(c->txn, n, offsetof(struct stream_nack, consumer));
        n->delivered_ms = c->now_ms;
        n->deliveries = 1;
    } else {
        n = stream_nack_add(c->txn, g, consumer, id, c->now_ms, 1);
    }
    log_claim(c, key, g, id, n);
}

static void reply_news(struct cmd *c, struct slice key, const struct reading *r, const struct target *t, struct stream_consumer *consumer)
{
    struct stream_iter it;
    struct stream_id id, from = t->g->last_id;
    uint32_t fields;
    uint64_t n = 0;
    size_t place = reply_later(c->out);
    stream_id_next(&from);
    stream_iterate(&it, t->s, from, STREAM_ID_MAX, false);
    while (stream_next(&it, &id, &fields)) {
        group_advance(c, t->s, t->g, id);
        reply_stream_entry(c, &it, id, fields);
        if (!r->noack) entry_pending(c, key, t->g, consumer, id);
        if (++n == r->count) break;
    }
    if (n && !r->noack) TXN_SET(c->txn, consumer->active_ms, c->now_ms);
    if (n) log_group_id(c, key, t->g); /* the XCLAIMs tell the last id, but not how many entries were read */
    reply_later_array(c->out, place, n);
}

/* What is pending for the consumer behind an id; entries that are gone have null for their fields. */
static void reply_history(struct cmd *c, const struct reading *r, const struct target *t, struct stream_consumer *consumer)
{
    struct stream_id from = t->after;
    uint64_t n = 0;
    size_t place = reply_later(c->out);
    struct bt_cursor p = {0};
    if (stream_id_next(&from)) p = stream_pending_from(&consumer->pending, from);
    for (; p.leaf; bt_next(&p)) {
        struct stream_ref ref = stream_ref_at(p);
        if (reply_stream_first(c, t->s, ref.id, ref.id, false)) {
            struct stream_nack *nack = shm_ptr(ref.off);
            txn_touch(c->txn, nack, offsetof(struct stream_nack, consumer));
            nack->delivered_ms = c->now_ms;
            nack->deliveries++;
        } else {
            reply_array(c->out, 2);
            reply_stream_id(c, ref.id);
            reply_null_array(c->out);
        }
        if (++n == r->count) break;
    }
    reply_later_array(c->out, place, n);
}

/* Is there something to give from this stream? A history always is, even an empty one. */
static bool target_ready(const struct target *t)
{
    if (!t->s) return false;
    if (t->g && !t->news) return true;
    return t->s->length && stream_id_compare(stream_edge(t->s, true), t->g ? t->g->last_id : t->after) > 0;
}

static void serve(struct cmd *c, const struct reading *r, uint32_t i)
{
    const struct target *t = &r->at[i];
    struct key k = key_for(c, r->first + i);
    if (c->out->resp == 2) reply_array(c->out, 2);
    reply_slice(c->out, k.name);
    if (t->g) {
        struct stream_consumer *consumer = consumer_for(c, &k, t->g, r->consumer);
        if (t->news)
            reply_news(c, k.name, r, t, consumer);
        else
            reply_history(c, r, t, consumer);
        c->dirty++;
        return;
    }
    struct stream_id from = t->after;
    if (stream_id_next(&from))
        reply_stream_range(c, t->s, from, STREAM_ID_MAX, r->count, false);
    else
        reply_array(c->out, 0);
}

/* What is run again is the command with the ids that "$" stands for now. A consumer also wants to hear of a key that is gone or is
 * something else, and of a destroyed group: that ends his waiting with an error. */
static void wait_for_news(struct cmd *c, bool grouped, const struct reading *r)
{
    struct slice *argv = scratch_alloc(c->argc * sizeof *argv);
    struct cmd again = *c;
    memcpy(argv, c->argv, c->argc * sizeof *argv);
    for (uint32_t i = 0; i < r->n && !grouped; i++) argv[r->first + r->n + i] = stream_id_slice(r->at[i].after);
    again.argv = argv;
    cmd_block(&again, r->first, r->n, r->timeout_ms, grouped ? UINT64_MAX : UINT64_C(1) << OBJ_STREAM);
}

static void read_command(struct cmd *c, bool grouped)
{
    struct reading r = {0};
    uint64_t served = 0;
    if (!read_options(c, grouped, &r)) return;
    if (grouped) cmd_propagate_nothing(c);
    for (uint32_t i = 0; i < r.n; i++)
        if (!read_target(c, grouped, &r, i)) return;
    size_t place = 0;
    for (uint32_t i = 0; i < r.n; i++) {
        if (!target_ready(&r.at[i])) {
            struct key k = key_for(c, r.first + i);
            if (grouped) consumer_for(c, &k, r.at[i].g, r.consumer);
            continue;
        }
        if (!served++) place = reply_later(c->out);
        serve(c, &r, i);
    }
    if (!served && r.blocks && cmd_may_block(c))
        wait_for_news(c, grouped, &r);
    else if (served && c->out->resp == 2)
        reply_later_array(c->out, place, served);
    else if (served)
        reply_later_map(c->out, place, served);
    else
        reply_null_array(c->out);
}

void cmd_xread(struct cmd *c) { read_command(c, false); }
void cmd_xreadgroup(struct cmd *c) { read_command(c, true); }
