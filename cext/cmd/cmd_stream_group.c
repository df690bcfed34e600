/* cmd/cmd_stream_group.c - XGROUP and its subcommands, XACK, XPENDING: consumer groups and what is pending in them.
 *
 * Here the commands themselves are logged: what they do follows from their arguments, but for "$", which is the stream's last id at that
 * moment and so the same at the replay.
 */
#include "cmd/cmd_stream.h"

static const char no_such_key[] = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
                                  "MKSTREAM option to create an empty stream automatically.";

/* ---- XGROUP ---- */

struct xgroup {
    struct key k;
    struct stream *s;       /* NULL: no such key (CREATE with MKSTREAM only) */
    struct stream_group *g;
    int64_t entries_read;
    bool mkstream;
};

static void reply_wrong_count(struct cmd *c)
{
    reply_errorf(c->out, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try XGROUP HELP.",
                 (int)MIN(c->argv[1].n, (size_t)128), (const char *)c->argv[1].p);
}

static bool xgroup_options(struct cmd *c, struct xgroup *x, bool create)
{
    x->entries_read = STREAM_READ_UNKNOWN;
    for (uint32_t i = 5; i < c->argc;) {
        if (create && arg_is(c, i, "mkstream")) {
            x->mkstream = true;
            i++;
        } else if (i + 1 < c->argc && arg_is(c, i, "entriesread")) {
            if (!arg_i64(c, i + 1, &x->entries_read)) return false;
            if (x->entries_read < 0 && x->entries_read != STREAM_READ_UNKNOWN) {
                reply_errorf(c->out, "ERR value for ENTRIESREAD must be positive or -1");
                return false;
            }
            i += 2;
        } else {
            reply_wrong_count(c);
            return false;
        }
    }
    return true;
}

static void reply_no_such_group(struct cmd *c, struct slice key, struct slice group)
{
    reply_errorf(c->out, "NOGROUP No such consumer group '%.*s' for key name '%.*s'", (int)MIN(group.n, (size_t)INT32_MAX),
                 (const char *)group.p, (int)MIN(key.n, (size_t)INT32_MAX), (const char *)key.p);
}

/* The stream at argv[2] and the group argv[3], which must be there unless told otherwise. */
static bool xgroup_find(struct cmd *c, struct xgroup *x, bool need_group)
{
    bool wrong;
    x->k = key_for(c, 2);
    x->s = stream_to_write(c, &x->k, &wrong);
    if (wrong) return false;
    if (!x->s && !x->mkstream) {
        reply_errorf(c->out, "%s", no_such_key);
        return false;
    }
    x->g = x->s ? stream_group(x->s, c->argv[3]) : NULL;
    if (x->g || !need_group) return true;
    reply_no_such_group(c, c->argv[2], c->argv[3]);
    return false;
}

/* The ID at argv[4]. `most`: arguments with each option once; as in Redis more are refused, but only once key and group are found. */
static bool xgroup_id(struct cmd *c, const struct xgroup *x, bool strict, uint32_t most, struct stream_id *id)
{
    if (c->argc > most) {
        reply_wrong_count(c);
        return false;
    }
    if (c->argv[4].n != 1 || c->argv[4].p[0] != '$') return arg_stream_id(c, 4, 0, strict, id);
    *id = x->s ? x->s->last_id : STREAM_ID_MIN;
    return true;
}

void cmd_xgroup_create(struct cmd *c)
{
    struct xgroup x = {0};
    struct stream_id id;
    if (!xgroup_options(c, &x, true) || !xgroup_find(c, &x, false) || !xgroup_id(c, &x, true, 8, &id)) return;
    if (x.g) {
        reply_errorf(c->out, "BUSYGROUP Consumer Group name already exists");
        return;
    }
    if (!x.s) x.s = stream_of(ks_set_object(c->txn, &x.k, OBJ_STREAM, ENC_STREAM, stream_create(c->txn), TTL_CLEAR));
    stream_group_create(c->txn, x.s, c->argv[3], id, x.entries_read);
    cmd_modified(c, &x.k, 't', "xgroup-create");
    reply_ok(c->out);
}

void cmd_xgroup_setid(struct cmd *c)
{
    struct xgroup x = {0};
    struct stream_id id;
    if (!xgroup_options(c, &x, false) || !xgroup_find(c, &x, true) || !xgroup_id(c, &x, false, 7, &id)) return;
    TXN_SET(c->txn, x.g->last_id, id);
    TXN_SET(c->txn, x.g->entries_read, x.entries_read);
    cmd_modified(c, &x.k, 't', "xgroup-setid");
    reply_ok(c->out);
}

void cmd_xgroup_destroy(struct cmd *c)
{
    struct xgroup x = {0};
    if (!xgroup_find(c, &x, false)) return;
    if (x.g) {
        stream_group_destroy(c->txn, x.s, x.g);
        cmd_modified(c, &x.k, 't', "xgroup-destroy");
    }
    reply_int(c->out, x.g != NULL);
}

void cmd_xgroup_createconsumer(struct cmd *c)
{
    struct xgroup x = {0};
    if (!xgroup_find(c, &x, true)) return;
    bool made = stream_consumer_create(c->txn, x.g, c->argv[4], c->now_ms) != NULL;
    if (made) cmd_modified(c, &x.k, 't', "xgroup-createconsumer");
    reply_int(c->out, made);
}

void cmd_xgroup_delconsumer(struct cmd *c)
{
    struct xgroup x = {0};
    if (!xgroup_find(c, &x, true)) return;
    struct stream_consumer *consumer = stream_consumer(x.g, c->argv[4]);
    uint64_t pending = consumer ? consumer->pending.count : 0;
    if (consumer) {
        stream_consumer_destroy(c->txn, x.g, consumer);
        cmd_modified(c, &x.k, 't', "xgroup-delconsumer");
    }
    reply_int(c->out, (int64_t)pending);
}

/* ---- XACK ---- */

void cmd_xack(struct cmd *c)
{
    struct key k = key_for(c, 1);
    bool wrong;
    const struct stream *s = stream_to_write(c, &k, &wrong);
    if (wrong) return;
    struct stream_group *g = s ? stream_group(s, c->argv[2]) : NULL;
    if (!g) {
        reply_int(c->out, 0);
        return;
    }
    struct stream_id *ids = scratch_alloc(c->argc * sizeof *ids);
    for (uint32_t i = 3; i < c->argc; i++)
        if (!arg_stream_id(c, i, 0, true, &ids[i])) return;
    int64_t acknowledged = 0;
    for (uint32_t i = 3; i < c->argc; i++) acknowledged += stream_nack_remove(c->txn, g, ids[i]);
    c->dirty += (uint64_t)acknowledged; /* Redis has no event for this, and watchers do not fail */
    reply_int(c->out, acknowledged);
}

/* ---- XPENDING ---- */

static void reply_consumer_name(struct cmd *c, const struct stream_nack *n)
{
    const struct stream_consumer *owner = shm_ptr(n->consumer);
    reply_slice(c->out, stream_name(&owner->name));
}

static void pending_summary(struct cmd *c, const struct stream_group *g)
{
    reply_array(c->out, 4);
    reply_int(c->out, (int64_t)g->pending.count);
    if (!g->pending.count) {
        reply_null(c->out);
        reply_null(c->out);
        reply_null_array(c->out);
        return;
    }
    reply_stream_id(c, stream_ref_at(bt_first(&g->pending, STREAM_REF)).id);
    reply_stream_id(c, stream_ref_at(bt_last(&g->pending, STREAM_REF)).id);
    size_t place = reply_later(c->out);
    uint64_t n = 0;
    for (uint32_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *consumer = stream_consumer_at(g, i);
        if (!consumer->pending.count) continue;
        reply_array(c->out, 2);
        reply_slice(c->out, stream_name(&consumer->name));
        reply_bulk_int(c->out, (int64_t)consumer->pending.count);
        n++;
    }
    reply_later_array(c->out, place, n);
}

struct pending_args {
    int64_t min_idle, count;
    struct stream_id from, to;
    uint32_t consumer; /* argument; 0 = all */
};

static bool pending_parse(struct cmd *c, struct pending_args *a)
{
    uint32_t at = 3;
    if (c->argc != 3 && (c->argc < 6 || c->argc > 9)) {
        reply_error(c->out, ERR_SYNTAX);
        return false;
    }
    if (c->argc == 3) return true;
    if (arg_is(c, 3, "idle")) {
        if (!arg_i64(c, 4, &a->min_idle)) return false;
        if (c->argc < 8) {
            reply_error(c->out, ERR_SYNTAX);
            return false;
        }
        at = 5;
    }
    if (!arg_i64(c, at + 2, &a->count) || !arg_stream_start(c, at, &a->from) || !arg_stream_end(c, at + 1, &a->to)) return false;
    if (at + 3 < c->argc) a->consumer = at + 3;
    return true;
}

static void pending_list(struct cmd *c, const struct btree *pending, const struct pending_args *a)
{
    size_t place = reply_later(c->out);
    int64_t n = 0;
    for (struct bt_cursor p = stream_pending_from(pending, a->from); p.leaf && n < a->count; bt_next(&p)) {
        struct stream_ref ref = stream_ref_at(p);
        const struct stream_nack *nack = shm_ptr(ref.off);
        int64_t idle = c->now_ms - nack->delivered_ms;
        if (stream_id_compare(ref.id, a->to) > 0) break;
        if (a->min_idle && idle < a->min_idle) continue;
        reply_array(c->out, 4);
        reply_stream_id(c, ref.id);
        reply_consumer_name(c, nack);
        reply_int(c->out, MAX(idle, 0));
        reply_int(c->out, (int64_t)nack->deliveries);
        n++;
    }
    reply_later_array(c->out, place, (uint64_t)n);
}

void cmd_xpending(struct cmd *c)
{
    struct pending_args a = {0};
    if (!pending_parse(c, &a)) return;
    struct key k = key_for(c, 1);
    bool wrong;
    const struct stream *s = stream_to_read(c, &k, &wrong);
    if (wrong) return;
    const struct stream_group *g = s ? stream_group(s, c->argv[2]) : NULL;
    if (!g) {
        reply_no_group(c, k.name, c->argv[2], "");
    } else if (c->argc == 3) {
        pending_summary(c, g);
    } else {
        const struct stream_consumer *consumer = a.consumer ? stream_consumer(g, c->argv[a.consumer]) : NULL;
        if (a.consumer && !consumer)
            reply_array(c->out, 0);
        else
            pending_list(c, consumer ? &consumer->pending : &g->pending, &a);
    }
}
