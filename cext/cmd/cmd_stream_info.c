/* cmd/cmd_stream_info.c - XINFO STREAM, GROUPS, CONSUMERS: what is known of a stream. Reads only. */
#include "cmd/cmd_stream.h"

static const struct stream *xinfo_stream(struct cmd *c)
{
    struct key k = key_for(c, 2);
    bool wrong;
    const struct stream *s = stream_to_read(c, &k, &wrong);
    if (!s && !wrong) reply_error(c->out, ERR_NOSUCHKEY);
    return s;
}

static void field_int(struct cmd *c, const char *name, int64_t v)
{
    reply_cstring(c->out, name);
    reply_int(c->out, v);
}

static void field_id(struct cmd *c, const char *name, struct stream_id id)
{
    reply_cstring(c->out, name);
    reply_stream_id(c, id);
}

static void field_name(struct cmd *c, const struct stream_name *n)
{
    reply_cstring(c->out, "name");
    reply_slice(c->out, stream_name(n));
}

static void field_progress(struct cmd *c, const struct stream *s, const struct stream_group *g)
{
    uint64_t lag;
    reply_cstring(c->out, "entries-read");
    if (g->entries_read == STREAM_READ_UNKNOWN)
        reply_null(c->out);
    else
        reply_int(c->out, g->entries_read);
    reply_cstring(c->out, "lag");
    if (stream_group_lag(s, g, &lag))
        reply_int(c->out, (int64_t)lag);
    else
        reply_null(c->out);
}

/* ---- XINFO STREAM ---- */

/* Pending entries, at most `count` (0 = all), with their consumer's name or without. */
static void reply_pending(struct cmd *c, const struct btree *pending, uint64_t count, bool named)
{
    size_t place = reply_later(c->out);
    uint64_t n = 0;
    for (struct bt_cursor p = bt_first(pending, STREAM_REF); p.leaf && (!count || n < count); bt_next(&p), n++) {
        struct stream_ref ref = stream_ref_at(p);
        const struct stream_nack *nack = shm_ptr(ref.off);
        const struct stream_consumer *owner = shm_ptr(nack->consumer);
        reply_array(c->out, named ? 4 : 3);
        reply_stream_id(c, ref.id);
        if (named) reply_slice(c->out, stream_name(&owner->name));
        reply_int(c->out, nack->delivered_ms);
        reply_int(c->out, (int64_t)nack->deliveries);
    }
    reply_later_array(c->out, place, n);
}

static void full_consumer(struct cmd *c, const struct stream_consumer *consumer, uint64_t count)
{
    reply_map(c->out, 5);
    field_name(c, &consumer->name);
    field_int(c, "seen-time", consumer->seen_ms);
    field_int(c, "active-time", consumer->active_ms);
    field_int(c, "pel-count", (int64_t)consumer->pending.count);
    reply_cstring(c->out, "pending");
    reply_pending(c, &consumer->pending, count, false);
}

static void full_group(struct cmd *c, const struct stream *s, const struct stream_group *g, uint64_t count)
{
    reply_map(c->out, 7);
    field_name(c, &g->name);
    field_id(c, "last-delivered-id", g->last_id);
    field_progress(c, s, g);
    field_int(c, "pel-count", (int64_t)g->pending.count);
    reply_cstring(c->out, "pending");
    reply_pending(c, &g->pending, count, true);
    reply_cstring(c->out, "consumers");
    reply_array(c->out, g->consumers.count);
    for (uint32_t i = 0; i < g->consumers.count; i++) full_consumer(c, stream_consumer_at(g, i), count);
}

static void edge_entry(struct cmd *c, const char *name, const struct stream *s, bool newest)
{
    reply_cstring(c->out, name);
    if (!reply_stream_first(c, s, STREAM_ID_MIN, STREAM_ID_MAX, newest)) reply_null(c->out);
}

/* FULL [COUNT n]; replies the error and returns false. */
static bool full_options(struct cmd *c, bool *full, int64_t *count)
{
    *full = c->argc > 3;
    bool sound = c->argc == 3 || (c->argc == 4 && arg_is(c, 3, "full")) || (c->argc == 6 && arg_is(c, 3, "full") && arg_is(c, 4, "count"));
    if (!sound) {
        reply_errorf(c->out, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try XINFO HELP.",
                     (int)MIN(c->argv[1].n, (size_t)128), (const char *)c->argv[1].p);
        return false;
    }
    if (c->argc == 6 && !arg_i64(c, 5, count)) return false;
    if (*count < 0) *count = 10;
    return true;
}

void cmd_xinfo_stream(struct cmd *c)
{
    bool full;
    int64_t count = 10;
    const struct stream *s = xinfo_stream(c);
    if (!s || !full_options(c, &full, &count)) return;
    reply_map(c->out, full ? 9 : 10);
    field_int(c, "length", (int64_t)s->length);
    field_int(c, "radix-tree-keys", (int64_t)s->blocks.count);
    field_int(c, "radix-tree-nodes", (int64_t)s->blocks.count + 1);
    field_id(c, "last-generated-id", s->last_id);
    field_id(c, "max-deleted-entry-id", s->max_deleted_id);
    field_int(c, "entries-added", (int64_t)s->entries_added);
    field_id(c, "recorded-first-entry-id", s->first_id);
    if (!full) {
        field_int(c, "groups", s->groups.count);
        edge_entry(c, "first-entry", s, false);
        edge_entry(c, "last-entry", s, true);
        return;
    }
    reply_cstring(c->out, "entries");
    reply_stream_range(c, s, STREAM_ID_MIN, STREAM_ID_MAX, (uint64_t)count, false);
    reply_cstring(c->out, "groups");
    reply_array(c->out, s->groups.count);
    for (uint32_t i = 0; i < s->groups.count; i++) full_group(c, s, stream_group_at(s, i), (uint64_t)count);
}

/* ---- XINFO GROUPS, CONSUMERS ---- */

void cmd_xinfo_groups(struct cmd *c)
{
    const struct stream *s = xinfo_stream(c);
    if (!s) return;
    reply_array(c->out, s->groups.count);
    for (uint32_t i = 0; i < s->groups.count; i++) {
        const struct stream_group *g = stream_group_at(s, i);
        reply_map(c->out, 6);
        field_name(c, &g->name);
        field_int(c, "consumers", g->consumers.count);
        field_int(c, "pending", (int64_t)g->pending.count);
        field_id(c, "last-delivered-id", g->last_id);
        field_progress(c, s, g);
    }
}

void cmd_xinfo_consumers(struct cmd *c)
{
    const struct stream *s = xinfo_stream(c);
    if (!s) return;
    const struct stream_group *g = stream_group(s, c->argv[3]);
    if (!g) {
        reply_errorf(c->out, "NOGROUP No such consumer group '%.*s' for key name '%.*s'", (int)MIN(c->argv[3].n, (size_t)INT32_MAX),
                     (const char *)c->argv[3].p, (int)MIN(c->argv[2].n, (size_t)INT32_MAX), (const char *)c->argv[2].p);
        return;
    }
    reply_array(c->out, g->consumers.count);
    for (uint32_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *consumer = stream_consumer_at(g, i);
        reply_map(c->out, 4);
        field_name(c, &consumer->name);
        field_int(c, "pending", (int64_t)consumer->pending.count);
        field_int(c, "idle", MAX(c->now_ms - consumer->seen_ms, 0));
        field_int(c, "inactive", consumer->active_ms < 0 ? -1 : MAX(c->now_ms - consumer->active_ms, 0));
    }
}
