/* cmd/cmd_string.c - GET, SET and their relatives: whole strings.
 *
 * The benchmark's hot paths are here: GET, SET with three arguments, MSET and MGET parse nothing and call the keyspace once per key.
 * An expiry is always logged as a point in time (SET key value PXAT ms, PEXPIREAT), so a replay does not lengthen it.
 *
 * Locks, transaction and death: as cmd/cmd.h says of handlers.
 */
#include "cmd/cmd_string.h"

#include "cmd/command_table.h"

void reply_bad_expire(struct cmd *c)
{
    reply_errorf(c->out, "ERR invalid expire time in '%s' command", c->spec->fullname);
}

bool expire_time(struct cmd *c, uint32_t kind, struct slice value, int64_t *at)
{
    bool seconds = kind & (SET_EX | SET_EXAT), relative = kind & (SET_EX | SET_PX);
    if (!num_parse_i64(value.p, value.n, at)) {
        reply_error(c->out, ERR_NOTINT);
        return false;
    }
    if (*at > 0 && (!seconds || *at <= INT64_MAX / 1000)) {
        if (seconds) *at *= 1000;
        if (!relative || *at <= INT64_MAX - c->now_ms) {
            if (relative) *at += c->now_ms;
            return true;
        }
    }
    reply_bad_expire(c);
    return false;
}

void propagate_set(struct cmd *c, struct slice key, struct slice value, int64_t at)
{
    struct digits d;
    if (!log_on()) return;
    struct slice when = {d.text, num_from_i64(d.text, at)};
    cmd_propagate(c, at < 0 ? 3 : 5, (const struct slice[]){SLICE("SET"), key, value, SLICE("PXAT"), when});
}

void propagate_pexpireat(struct cmd *c, struct slice key, int64_t at)
{
    struct digits d;
    if (!log_on()) return;
    struct slice when = {d.text, num_from_i64(d.text, at)};
    cmd_propagate(c, 3, (const struct slice[]){SLICE("PEXPIREAT"), key, when});
}

void propagate_del(struct cmd *c, struct slice key)
{
    if (log_on()) cmd_propagate(c, 2, (const struct slice[]){SLICE("DEL"), key});
}

/* ---- reading ---- */

/* Replies the string at k or null; false when the reply was WRONGTYPE. */
static ALWAYS_INLINE bool reply_value(struct cmd *c, const struct key *k, struct entry **found)
{
    struct entry *e = *found = ks_read(k);
    if (!e) {
        reply_null(c->out);
        return true;
    }
    if (wrong_type(c, e, OBJ_STRING)) return false;
    reply_string(c, e);
    return true;
}

void cmd_get(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e;
    reply_value(c, &k, &e);
}

void cmd_mget(struct cmd *c)
{
    reply_array(c->out, c->nkeys);
    for (uint32_t n = 0; n < c->nkeys; n++) {
        struct key k = key_nth(c, n);
        const struct entry *e = ks_read(&k);
        if (e && entry_type(e) == OBJ_STRING)
            reply_string(c, e);
        else
            reply_null(c->out);
    }
}

/* ---- storing ---- */

/* SET with GET but without an expiry is logged without the word GET. */
static void propagate_without_get(struct cmd *c)
{
    if (!log_on()) return;
    struct slice *argv = scratch_alloc(c->argc * sizeof *argv);
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->argc; i++)
        if (i < 3 || !arg_is(c, i, "GET")) argv[n++] = c->argv[i];
    cmd_propagate(c, n, argv);
}

static bool parse_set_options(struct cmd *c, uint32_t *seen, struct slice *when)
{
    const struct opt rows[] = {
        {"EX", OPT_SLICE, when, SET_EX, SET_KEEPTTL | (SET_TIMES & ~SET_EX)},
        {"PX", OPT_SLICE, when, SET_PX, SET_KEEPTTL | (SET_TIMES & ~SET_PX)},
        {"NX", OPT_FLAG, NULL, SET_IF_ABSENT, SET_IF_THERE},
        {"XX", OPT_FLAG, NULL, SET_IF_THERE, SET_IF_ABSENT},
        {"GET", OPT_FLAG, NULL, SET_GET, 0},
        {"KEEPTTL", OPT_FLAG, NULL, SET_KEEPTTL, SET_TIMES},
        {"EXAT", OPT_SLICE, when, SET_EXAT, SET_KEEPTTL | (SET_TIMES & ~SET_EXAT)},
        {"PXAT", OPT_SLICE, when, SET_PXAT, SET_KEEPTTL | (SET_TIMES & ~SET_PXAT)},
    };
    return parse_options(c, 3, rows, ARRAY_LEN(rows), seen);
}

/* Stores with an expiry; `at` is one. */
static void set_until(struct cmd *c, const struct key *k, struct slice value, int64_t at)
{
    ks_set_bytes_until(c->txn, k, value, at);
    cmd_modified(c, k, '$', "set");
    cmd_notify(c, k, 'g', "expire");
    propagate_set(c, k->name, value, at);
}

static NOINLINE void set_with_options(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct slice when = {0};
    struct entry *old;
    uint32_t seen = 0;
    int64_t at = -1;
    if (!parse_set_options(c, &seen, &when)) return;
    if (seen & SET_TIMES && !expire_time(c, seen & SET_TIMES, when, &at)) return;
    if (seen & SET_GET && !reply_value(c, &k, &old)) return;
    if (seen & (SET_IF_ABSENT | SET_IF_THERE | SET_KEEPTTL)) {
        bool there = ks_write(c->txn, &k) != NULL;
        if ((seen & SET_IF_ABSENT && there) || (seen & SET_IF_THERE && !there)) {
            if (!(seen & SET_GET)) reply_null(c->out);
            return;
        }
    }
    if (at >= 0) {
        set_until(c, &k, c->argv[2], at);
    } else {
        ks_set_bytes(c->txn, &k, c->argv[2], seen & SET_KEEPTTL ? TTL_KEEP : TTL_CLEAR);
        cmd_modified(c, &k, '$', "set");
        if (seen & SET_GET) propagate_without_get(c);
    }
    if (!(seen & SET_GET)) reply_ok(c->out);
}

void cmd_set(struct cmd *c)
{
    if (unlikely(c->argc > 3)) {
        set_with_options(c);
        return;
    }
    struct key k = key_for(c, 1);
    ks_set_bytes(c->txn, &k, c->argv[2], TTL_CLEAR);
    cmd_modified(c, &k, '$', "set");
    reply_ok(c->out);
}

static void set_expiring(struct cmd *c, uint32_t kind)
{
    struct key k = key_for(c, 1);
    int64_t at;
    if (!expire_time(c, kind, c->argv[2], &at)) return;
    set_until(c, &k, c->argv[3], at);
    reply_ok(c->out);
}

void cmd_setex(struct cmd *c)
{
    set_expiring(c, SET_EX);
}

void cmd_psetex(struct cmd *c)
{
    set_expiring(c, SET_PX);
}

void cmd_setnx(struct cmd *c)
{
    struct key k = key_for(c, 1);
    if (ks_write(c->txn, &k)) {
        reply_int(c->out, 0);
        return;
    }
    ks_set_bytes(c->txn, &k, c->argv[2], TTL_CLEAR);
    cmd_modified(c, &k, '$', "set");
    reply_int(c->out, 1);
}

void cmd_getset(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *old;
    if (!reply_value(c, &k, &old)) return;
    ks_set_bytes(c->txn, &k, c->argv[2], TTL_CLEAR);
    cmd_modified(c, &k, '$', "set");
    propagate_set(c, k.name, c->argv[2], -1);
}

/* ---- reading and changing the expiry, or deleting ---- */

static void delete_and_log(struct cmd *c, const struct key *k)
{
    ks_delete(c->txn, k);
    cmd_modified(c, k, 'g', "del");
    propagate_del(c, k->name);
}

void cmd_getdel(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e;
    if (reply_value(c, &k, &e) && e) delete_and_log(c, &k);
}

void cmd_getex(struct cmd *c)
{
    struct slice when = {0};
    const struct opt rows[] = {
        {"EX", OPT_SLICE, &when, SET_EX, SET_PERSIST | (SET_TIMES & ~SET_EX)},
        {"PX", OPT_SLICE, &when, SET_PX, SET_PERSIST | (SET_TIMES & ~SET_PX)},
        {"EXAT", OPT_SLICE, &when, SET_EXAT, SET_PERSIST | (SET_TIMES & ~SET_EXAT)},
        {"PXAT", OPT_SLICE, &when, SET_PXAT, SET_PERSIST | (SET_TIMES & ~SET_PXAT)},
        {"PERSIST", OPT_FLAG, NULL, SET_PERSIST, SET_TIMES},
    };
    struct key k = key_for(c, 1);
    uint32_t seen = 0;
    int64_t at;
    if (!parse_options(c, 2, rows, ARRAY_LEN(rows), &seen)) return;
    struct entry *e = ks_read(&k);
    if (!e) {
        reply_null(c->out);
        return;
    }
    if (wrong_type(c, e, OBJ_STRING)) return;
    if (seen & SET_TIMES && !expire_time(c, seen & SET_TIMES, when, &at)) return;
    reply_string(c, e);
    if (seen & (SET_EXAT | SET_PXAT) && at <= c->now_ms && !c->replaying) {
        delete_and_log(c, &k);
    } else if (seen & SET_TIMES) {
        ks_set_expire(c->txn, &k, e, at);
        cmd_modified(c, &k, 'g', "expire");
        propagate_pexpireat(c, k.name, at);
    } else if (seen & SET_PERSIST && entry_expire(e) >= 0) {
        ks_set_expire(c->txn, &k, e, -1);
        cmd_modified(c, &k, 'g', "persist");
        if (log_on()) cmd_propagate(c, 2, (const struct slice[]){SLICE("PERSIST"), k.name});
    }
}

/* ---- several keys ---- */

static void set_all(struct cmd *c)
{
    for (uint32_t n = 0; n < c->nkeys; n++) {
        struct key k = key_nth(c, n);
        ks_set_bytes(c->txn, &k, c->argv[c->keys[n].arg + 1], TTL_CLEAR);
        cmd_modified(c, &k, '$', "set");
    }
}

static bool odd_arguments(struct cmd *c)
{
    if (c->argc % 2) return false;
    reply_errorf(c->out, "ERR wrong number of arguments for '%s' command", c->spec->fullname);
    return true;
}

void cmd_mset(struct cmd *c)
{
    if (odd_arguments(c)) return;
    set_all(c);
    reply_ok(c->out);
}

void cmd_msetnx(struct cmd *c)
{
    if (odd_arguments(c)) return;
    for (uint32_t n = 0; n < c->nkeys; n++) {
        struct key k = key_nth(c, n);
        if (ks_write(c->txn, &k)) {
            reply_int(c->out, 0);
            return;
        }
    }
    set_all(c);
    reply_int(c->out, 1);
}
