/* cmd/cmd_hash.c - the commands on hashes that read and write fields. Walking: cmd_hash_walk.c; times of fields: cmd_hash_expire.c.
 *
 * Locks, transaction and death: as cmd/cmd.h says of handlers.
 */
#include "cmd/cmd_hash.h"

#include <math.h>

#include "base/num.h"
#include "cmd/command_table.h"

void hash_store(struct cmd *c, const struct key *k, struct entry *e, const struct hash *h)
{
    if (e)
        ks_set_root(c->txn, e, h->enc, h->root);
    else
        ks_set_object(c->txn, k, OBJ_HASH, h->enc, h->root, TTL_CLEAR);
    if (hash_length(h)) return;
    ks_delete(c->txn, k);
    cmd_notify(c, k, 'g', "del");
}

bool hash_for_read(struct cmd *c, const struct key *k, const struct entry **e, struct hash *h)
{
    *e = ks_read(k);
    if (wrong_type(c, *e, OBJ_HASH)) return false;
    *h = *e ? hash_of(*e) : HASH_EMPTY;
    return true;
}

/* ---- storing ---- */

static bool pairs_ok(struct cmd *c)
{
    if (c->argc % 2 == 0) return true;
    reply_errorf(c->out, "ERR wrong number of arguments for '%s' command", c->spec->fullname);
    return false;
}

/* Stores the pairs from argv[2] on; returns how many fields are new, -1: an error was replied. */
static int64_t set_pairs(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e;
    struct hash h;
    int64_t created = 0;
    uint64_t longest = 0;
    if (!pairs_ok(c) || !hash_for_write(c, &k, &e, &h)) return -1;
    for (uint32_t i = 2; i < c->argc; i++) longest = MAX(longest, c->argv[i].n);
    hash_expect(c->txn, &h, (c->argc - 2) / 2, longest);
    for (uint32_t i = 2; i < c->argc; i += 2) created += hash_set(c->txn, &h, c->argv[i], c->argv[i + 1], HASH_TTL_CLEAR);
    hash_store(c, &k, e, &h);
    c->dirty += (c->argc - 2) / 2 - 1;
    cmd_modified(c, &k, 'h', "hset");
    return created;
}

void cmd_hset(struct cmd *c)
{
    int64_t created = set_pairs(c);
    if (created >= 0) reply_int(c->out, created);
}

void cmd_hmset(struct cmd *c)
{
    if (set_pairs(c) >= 0) reply_ok(c->out);
}

void cmd_hsetnx(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e;
    struct hash h;
    struct hash_field f;
    if (!hash_for_write(c, &k, &e, &h)) return;
    if (hash_find(&h, c->argv[2], &f)) {
        reply_int(c->out, 0);
        return;
    }
    hash_expect(c->txn, &h, 1, MAX(c->argv[2].n, c->argv[3].n));
    hash_set(c->txn, &h, c->argv[2], c->argv[3], HASH_TTL_CLEAR);
    hash_store(c, &k, e, &h);
    cmd_modified(c, &k, 'h', "hset");
    reply_int(c->out, 1);
}

void cmd_hincrby(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e;
    struct hash h;
    struct hash_field f;
    int64_t by, value = 0;
    uint8_t text[NUM_I64_ROOM];
    if (!arg_i64(c, 3, &by) || !hash_for_write(c, &k, &e, &h)) return;
    if (hash_find(&h, c->argv[2], &f)) {
        value = f.value.number;
        if (f.value.text && !num_parse_i64(f.value.text, f.value.n, &value)) {
            reply_error(c->out, ERR_HASHNOTINT);
            return;
        }
    }
    if (__builtin_add_overflow(value, by, &value)) {
        reply_error(c->out, ERR_OVERFLOW);
        return;
    }
    hash_set(c->txn, &h, c->argv[2], (struct slice){text, num_from_i64(text, value)}, HASH_TTL_KEEP);
    hash_store(c, &k, e, &h);
    cmd_modified(c, &k, 'h', "hincrby");
    reply_int(c->out, value);
}

/* The effect: the field's new value, and its time again if it has one, since HSET clears it. */
static void propagate_float(struct cmd *c, struct slice text, int64_t expire_ms)
{
    struct slice set[4] = {SLICE("HSET"), c->argv[1], c->argv[2], text};
    cmd_propagate(c, 4, set);
    if (expire_ms < 0) return;
    uint8_t ms[NUM_I64_ROOM];
    struct slice at[6] = {SLICE("HPEXPIREAT"), c->argv[1], {ms, num_from_i64(ms, expire_ms)}, SLICE("FIELDS"), SLICE("1"), c->argv[2]};
    cmd_propagate(c, 6, at);
}

void cmd_hincrbyfloat(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e;
    struct hash h;
    struct hash_field f = {.expire_ms = -1};
    long double by, value = 0;
    if (!arg_long_double(c, 3, &by)) return;
    if (isnan(by) || isinf(by)) {
        reply_errorf(c->out, "ERR value is NaN or Infinity");
        return;
    }
    if (!hash_for_write(c, &k, &e, &h)) return;
    if (hash_find(&h, c->argv[2], &f)) {
        value = (long double)f.value.number;
        if (f.value.text && !num_parse_ldouble(f.value.text, f.value.n, &value)) {
            reply_error(c->out, ERR_HASHNOTFLOAT);
            return;
        }
    } else {
        f.expire_ms = -1;
    }
    value += by;
    if (isnan(value) || isinf(value)) {
        reply_error(c->out, ERR_NAN_OR_INFINITY);
        return;
    }
    uint8_t *digits = scratch_alloc(NUM_LDOUBLE_ROOM);
    struct slice text = {digits, num_from_ldouble(digits, value)};
    hash_set(c->txn, &h, c->argv[2], text, HASH_TTL_KEEP);
    hash_store(c, &k, e, &h);
    cmd_modified(c, &k, 'h', "hincrbyfloat");
    propagate_float(c, text, f.expire_ms);
    reply_slice(c->out, text);
}

void cmd_hdel(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e;
    struct hash h;
    uint64_t deleted = 0;
    if (!hash_for_write(c, &k, &e, &h)) return;
    for (uint32_t i = 2; e && i < c->argc && hash_length(&h); i++) deleted += hash_delete(c->txn, &h, c->argv[i]);
    if (deleted) {
        c->dirty += deleted;
        cmd_notify(c, &k, 'h', "hdel");
        hash_store(c, &k, e, &h);
    }
    reply_int(c->out, (int64_t)deleted);
}

/* ---- reading ---- */

static void reply_field_value(struct cmd *c, const struct hash *h, struct slice field)
{
    struct hash_field f;
    if (!hash_find(h, field, &f))
        reply_null(c->out);
    else if (likely(f.value.text != NULL))
        reply_bulk(c->out, f.value.text, f.value.n);
    else
        reply_bulk_int(c->out, f.value.number);
}

void cmd_hget(struct cmd *c)
{
    struct key k = key_for(c, 1);
    const struct entry *e;
    struct hash h;
    if (hash_for_read(c, &k, &e, &h)) reply_field_value(c, &h, c->argv[2]);
}

void cmd_hmget(struct cmd *c)
{
    struct key k = key_for(c, 1);
    const struct entry *e;
    struct hash h;
    if (!hash_for_read(c, &k, &e, &h)) return;
    reply_array(c->out, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++) reply_field_value(c, &h, c->argv[i]);
}

void cmd_hlen(struct cmd *c)
{
    struct key k = key_for(c, 1);
    const struct entry *e;
    struct hash h;
    if (hash_for_read(c, &k, &e, &h)) reply_int(c->out, (int64_t)hash_length(&h));
}

void cmd_hstrlen(struct cmd *c)
{
    struct key k = key_for(c, 1);
    const struct entry *e;
    struct hash h;
    struct hash_field f;
    uint8_t room[NUM_I64_ROOM];
    if (!hash_for_read(c, &k, &e, &h)) return;
    reply_int(c->out, hash_find(&h, c->argv[2], &f) ? (int64_t)hash_text(&f.value, room).n : 0);
}

void cmd_hexists(struct cmd *c)
{
    struct key k = key_for(c, 1);
    const struct entry *e;
    struct hash h;
    struct hash_field f;
    if (hash_for_read(c, &k, &e, &h)) reply_int(c->out, hash_find(&h, c->argv[2], &f));
}
