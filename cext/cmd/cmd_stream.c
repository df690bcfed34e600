/* cmd/cmd_stream.c - XADD XTRIM XDEL XLEN XRANGE XREVRANGE XSETID: the entries of streams (types/stream.h).
 *
 * XADD is logged with the id it gave, and a trim that was cut short (~, LIMIT) as the exact one it came to, so that a replay ends up
 * with the same entries.
 */
#include "base/num.h"
#include "cmd/cmd_stream.h"

#define ENTRY_BYTES_MAX (1u << 30) /* fields and values of one entry, as Redis limits them */

/* ---- trimming as an option ---- */

struct trim_args {
    struct stream_trim how;
    bool given;
    bool limit_given;
    bool no_mkstream;
    bool id_given;     /* else "*" */
    bool seq_given;
    struct stream_id id;
};

/* The threshold behind MAXLEN or MINID at argv[*i]; leaves *i at it. */
static bool trim_threshold(struct cmd *c, uint32_t *i, bool by_id, struct trim_args *a)
{
    if (a->given) {
        reply_errorf(c->out, "ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
        return false;
    }
    struct slice next = c->argv[*i + 1];
    bool operator = c->argc - *i - 1 >= 2 && next.n == 1 && (next.p[0] == '~' || next.p[0] == '=');
    a->how.approx = operator && next.p[0] == '~';
    a->how.by_id = by_id;
    a->given = true;
    *i += operator ? 2 : 1;
    if (by_id) return arg_stream_id(c, *i, 0, true, &a->how.minid);
    int64_t maxlen;
    if (!arg_i64(c, *i, &maxlen)) return false;
    if (maxlen < 0) {
        reply_errorf(c->out, "ERR The MAXLEN argument must be >= 0.");
        return false;
    }
    a->how.maxlen = (uint64_t)maxlen;
    return true;
}

static bool trim_limit(struct cmd *c, uint32_t i, struct trim_args *a)
{
    if (!arg_i64(c, i, &a->how.limit)) return false;
    if (a->how.limit < 0) {
        reply_errorf(c->out, "ERR The LIMIT argument must be >= 0.");
        return false;
    }
    a->limit_given = true;
    return true;
}

/* What must hold between the options, and the limit that nobody gave. */
static bool trim_settle(struct cmd *c, struct trim_args *a, bool xadd)
{
    const char *error = NULL;
    if (a->how.limit && !a->given)
        error = "LIMIT cannot be used without specifying a trimming strategy";
    else if (!xadd && !a->given)
        error = "XTRIM must be called with a trimming strategy";
    else if (!c->replaying && a->limit_given && !a->how.approx)
        error = "LIMIT cannot be used without the special ~ option";
    if (error) {
        reply_errorf(c->out, "ERR syntax error, %s", error);
        return false;
    }
    if (c->replaying) {
        a->how.limit = 0;
    } else if (a->how.approx && !a->limit_given) {
        int64_t entries = setting(SET_stream_node_max_entries);
        a->how.limit = entries <= 0 ? 10000 : entries > 10000 ? 1000000 : 100 * entries;
    }
    return true;
}

/* Parses from argv[2] on. XADD: up to and with the id, whose place is *at. */
static bool trim_parse(struct cmd *c, bool xadd, struct trim_args *a, uint32_t *at)
{
    uint32_t i = 2;
    for (; i < c->argc; i++) {
        bool more = i + 1 < c->argc;
        if (xadd && c->argv[i].n == 1 && c->argv[i].p[0] == '*') break;
        if (more && arg_is(c, i, "maxlen")) {
            if (!trim_threshold(c, &i, false, a)) return false;
        } else if (more && arg_is(c, i, "minid")) {
            if (!trim_threshold(c, &i, true, a)) return false;
        } else if (more && arg_is(c, i, "limit")) {
            if (!trim_limit(c, ++i, a)) return false;
        } else if (xadd && arg_is(c, i, "nomkstream")) {
            a->no_mkstream = true;
        } else if (xadd) {
            if (!stream_id_parse(c->argv[i], 0, true, &a->id, &a->seq_given)) {
                reply_error(c->out, ERR_BADSTREAMID);
                return false;
            }
            a->id_given = true;
            break;
        } else {
            reply_error(c->out, ERR_SYNTAX);
            return false;
        }
    }
    *at = i;
    return trim_settle(c, a, xadd);
}

/* The trim that was done, as exact arguments; returns how many. */
static uint32_t trim_record(const struct stream *s, const struct trim_args *a, struct slice argv[3])
{
    struct stream_id first = s->first_id;
    if (!s->length) { /* nothing is left: all up to the last id went */
        first = s->last_id;
        stream_id_next(&first);
    }
    argv[0] = a->how.by_id ? SLICE("MINID") : SLICE("MAXLEN");
    argv[1] = SLICE("=");
    if (!a->how.approx)
        argv[2] = a->how.by_id ? stream_id_slice(a->how.minid) : number_slice((int64_t)a->how.maxlen);
    else
        argv[2] = a->how.by_id ? stream_id_slice(first) : number_slice((int64_t)s->length);
    return 3;
}

/* ---- XADD ---- */

/* The id the entry gets; replies the error and returns false. */
static bool xadd_id(struct cmd *c, const struct trim_args *a, struct stream_id last, struct stream_id *id)
{
    bool sound = true;
    if (!stream_id_compare(last, STREAM_ID_MAX)) {
        reply_errorf(c->out, "ERR The stream has exhausted the last possible ID, unable to add more items");
        return false;
    }
    *id = a->id;
    if (!a->id_given) {
        *id = (struct stream_id){(uint64_t)c->now_ms, 0};
        if (id->ms <= last.ms) {
            *id = last;
            stream_id_next(id);
        }
    } else if (!a->seq_given && a->id.ms == last.ms) {
        *id = last;
        sound = last.seq != UINT64_MAX;
        id->seq++;
    }
    if (sound && stream_id_compare(*id, last) > 0) return true;
    reply_errorf(c->out, "ERR The ID specified in XADD is equal or smaller than the target stream top item");
    return false;
}

static void xadd_log(struct cmd *c, const struct stream *s, const struct trim_args *a, struct stream_id id, uint32_t pairs_at)
{
    if (!log_on() || (a->id_given && a->seq_given && !a->how.approx)) return;
    struct slice *argv = scratch_alloc((c->argc + 8) * sizeof *argv);
    uint32_t n = 0;
    argv[n++] = SLICE("XADD");
    argv[n++] = c->argv[1];
    if (a->given) n += trim_record(s, a, argv + n);
    argv[n++] = stream_id_slice(id);
    memcpy(argv + n, c->argv + pairs_at, (c->argc - pairs_at) * sizeof *argv);
    cmd_propagate(c, n + c->argc - pairs_at, argv);
}

static bool entry_too_large(struct cmd *c, uint32_t from)
{
    uint64_t bytes = 0;
    for (uint32_t i = from; i < c->argc; i++) bytes += c->argv[i].n;
    return bytes > ENTRY_BYTES_MAX;
}

void cmd_xadd(struct cmd *c)
{
    struct trim_args a = {.seq_given = true};
    uint32_t at;
    bool wrong;
    if (!trim_parse(c, true, &a, &at)) return;
    uint32_t pairs_at = at + 1;
    if (pairs_at + 2 > c->argc || (c->argc - pairs_at) % 2) {
        reply_errorf(c->out, "ERR wrong number of arguments for 'xadd' command");
        return;
    }
    if (a.id_given && a.seq_given && stream_id_is_zero(a.id)) {
        reply_errorf(c->out, "ERR The ID specified in XADD must be greater than 0-0");
        return;
    }
    struct key k = key_for(c, 1);
    struct stream *s = stream_to_write(c, &k, &wrong);
    struct stream_id id;
    if (wrong) return;
    if (!s && a.no_mkstream) {
        reply_null(c->out);
        return;
    }
    if (!xadd_id(c, &a, s ? s->last_id : STREAM_ID_MIN, &id)) return;
    struct txn_savepoint before = txn_savepoint(c->txn);
    if (!s) s = stream_of(ks_set_object(c->txn, &k, OBJ_STREAM, ENC_STREAM, stream_create(c->txn), TTL_CLEAR));
    if (entry_too_large(c, pairs_at) || !stream_append(c->txn, s, id, c->argv + pairs_at, (c->argc - pairs_at) / 2)) {
        txn_rollback_to(c->txn, before);
        reply_errorf(c->out, "ERR Elements are too large to be stored");
        return;
    }
    reply_stream_id(c, id);
    cmd_modified(c, &k, 't', "xadd");
    if (a.given && stream_trim(c->txn, s, &a.how)) cmd_notify(c, &k, 't', "xtrim");
    xadd_log(c, s, &a, id, pairs_at);
}

void cmd_xtrim(struct cmd *c)
{
    struct trim_args a = {0};
    uint32_t at;
    bool wrong;
    if (!trim_parse(c, false, &a, &at)) return;
    struct key k = key_for(c, 1);
    struct stream *s = stream_to_write(c, &k, &wrong);
    if (wrong) return;
    uint64_t gone = s ? stream_trim(c->txn, s, &a.how) : 0;
    if (gone) {
        cmd_modified(c, &k, 't', "xtrim");
        c->dirty += gone - 1;
        if (a.how.approx && log_on()) {
            struct slice argv[5] = {SLICE("XTRIM"), k.name};
            cmd_propagate(c, 2 + trim_record(s, &a, argv + 2), argv);
        }
    }
    reply_int(c->out, (int64_t)gone);
}

/* ---- single entries ---- */

void cmd_xdel(struct cmd *c)
{
    struct key k = key_for(c, 1);
    bool wrong;
    struct stream *s = stream_to_write(c, &k, &wrong);
    if (wrong) return;
    if (!s) {
        reply_int(c->out, 0);
        return;
    }
    struct stream_id *ids = scratch_alloc(c->argc * sizeof *ids);
    for (uint32_t i = 2; i < c->argc; i++)
        if (!arg_stream_id(c, i, 0, true, &ids[i])) return;
    uint64_t gone = 0;
    for (uint32_t i = 2; i < c->argc; i++) gone += stream_delete(c->txn, s, ids[i]);
    if (gone) {
        cmd_modified(c, &k, 't', "xdel");
        c->dirty += gone - 1;
    }
    reply_int(c->out, (int64_t)gone);
}

void cmd_xlen(struct cmd *c)
{
    struct key k = key_for(c, 1);
    bool wrong;
    const struct stream *s = stream_to_read(c, &k, &wrong);
    if (!wrong) reply_int(c->out, s ? (int64_t)s->length : 0);
}

static void range(struct cmd *c, bool reverse)
{
    struct stream_id from, to;
    int64_t count = -1;
    bool wrong;
    if (!arg_stream_start(c, reverse ? 3 : 2, &from) || !arg_stream_end(c, reverse ? 2 : 3, &to)) return;
    const struct opt options[] = {{"COUNT", OPT_I64, &count, 1, 0}};
    uint32_t seen = 0;
    if (!parse_options(c, 4, options, 1, &seen)) return;
    if (seen && count < 0) count = 0;
    struct key k = key_for(c, 1);
    const struct stream *s = stream_to_read(c, &k, &wrong);
    if (wrong) return;
    if (!s)
        reply_array(c->out, 0);
    else if (!count)
        reply_null_array(c->out);
    else
        reply_stream_range(c, s, from, to, count < 0 ? 0 : (uint64_t)count, reverse);
}

void cmd_xrange(struct cmd *c) { range(c, false); }
void cmd_xrevrange(struct cmd *c) { range(c, true); }

/* ---- XSETID ---- */

struct setid_args {
    struct stream_id id, max_deleted;
    int64_t entries_added; /* -1 = not given */
};

static bool setid_parse(struct cmd *c, struct setid_args *a)
{
    if (!arg_stream_id(c, 2, 0, true, &a->id)) return false;
    for (uint32_t i = 3; i < c->argc; i += 2) {
        bool more = i + 1 < c->argc;
        if (more && arg_is(c, i, "entriesadded")) {
            if (!arg_i64(c, i + 1, &a->entries_added)) return false;
            if (a->entries_added < 0) {
                reply_errorf(c->out, "ERR entries_added must be positive");
                return false;
            }
        } else if (more && arg_is(c, i, "maxdeletedid")) {
            if (!arg_stream_id(c, i + 1, 0, true, &a->max_deleted)) return false;
            if (stream_id_compare(a->id, a->max_deleted) < 0) {
                reply_errorf(c->out, "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
                return false;
            }
        } else {
            reply_error(c->out, ERR_SYNTAX);
            return false;
        }
    }
    return true;
}

void cmd_xsetid(struct cmd *c)
{
    struct setid_args a = {.entries_added = -1};
    bool wrong;
    if (!setid_parse(c, &a)) return;
    struct key k = key_for(c, 1);
    struct stream *s = stream_to_write(c, &k, &wrong);
    if (wrong) return;
    if (!s) {
        reply_error(c->out, ERR_NOSUCHKEY);
        return;
    }
    if (s->length && stream_id_compare(a.id, stream_edge(s, true)) < 0) {
        reply_errorf(c->out, "ERR The ID specified in XSETID is smaller than the target stream top item");
        return;
    }
    if (s->length && a.entries_added >= 0 && s->length > (uint64_t)a.entries_added) {
        reply_errorf(c->out, "ERR The entries_added specified in XSETID is smaller than the target stream length");
        return;
    }
    TXN_SET(c->txn, s->last_id, a.id);
    if (a.entries_added >= 0) TXN_SET(c->txn, s->entries_added, (uint64_t)a.entries_added);
    if (!stream_id_is_zero(a.max_deleted)) TXN_SET(c->txn, s->max_deleted_id, a.max_deleted);
    cmd_modified(c, &k, 't', "xsetid");
    reply_ok(c->out);
}
