/* cmd/cmd_counter.c - numbers in strings: INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT.
 *
 * A string that is stored as a number is changed in place: eight announced bytes. The floating point result is logged as
 * SET key value KEEPTTL, so a replay does not depend on the machine's arithmetic.
 *
 * Locks, transaction and death: as cmd/cmd.h says of handlers.
 */
#include <math.h>

#include "cmd/cmd_string.h"

/* The number at e (NULL: 0); replies the error. */
static ALWAYS_INLINE bool integer_at(struct cmd *c, const struct entry *e, int64_t *v)
{
    *v = 0;
    if (!e) return true;
    if (wrong_type(c, e, OBJ_STRING)) return false;
    if (likely(entry_enc(e) == ENC_INT)) {
        *v = *entry_int(e);
        return true;
    }
    struct slice s = entry_bytes(e);
    if (num_parse_i64(s.p, s.n, v)) return true;
    reply_error(c->out, ERR_NOTINT);
    return false;
}

static ALWAYS_INLINE void add_integer(struct cmd *c, int64_t delta)
{
    struct key k = key_for(c, 1);
    struct entry *e = ks_write(c->txn, &k);
    int64_t v;
    if (!integer_at(c, e, &v)) return;
    if (__builtin_add_overflow(v, delta, &v)) {
        reply_error(c->out, ERR_OVERFLOW);
        return;
    }
    if (likely(e && entry_enc(e) == ENC_INT))
        TXN_SET(c->txn, *entry_int(e), v);
    else
        ks_set_int(c->txn, &k, v, TTL_KEEP);
    cmd_modified(c, &k, '$', "incrby");
    reply_int(c->out, v);
}

void cmd_incr(struct cmd *c)
{
    add_integer(c, 1);
}

void cmd_decr(struct cmd *c)
{
    add_integer(c, -1);
}

void cmd_incrby(struct cmd *c)
{
    int64_t delta;
    if (arg_i64(c, 2, &delta)) add_integer(c, delta);
}

void cmd_decrby(struct cmd *c)
{
    int64_t delta;
    if (!arg_i64(c, 2, &delta)) return;
    if (delta == INT64_MIN)
        reply_errorf(c->out, "ERR decrement would overflow");
    else
        add_integer(c, -delta);
}

static bool long_double_at(struct cmd *c, const struct entry *e, long double *v)
{
    struct digits room;
    struct slice s = string_bytes(e, &room);
    *v = 0;
    if (!e || num_parse_ldouble(s.p, s.n, v)) return true;
    reply_error(c->out, ERR_NOTFLOAT);
    return false;
}

void cmd_incrbyfloat(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e = ks_write(c->txn, &k);
    long double v, delta;
    uint8_t text[NUM_LDOUBLE_ROOM], *room;
    if (wrong_type(c, e, OBJ_STRING) || !long_double_at(c, e, &v) || !arg_long_double(c, 2, &delta)) return;
    v += delta;
    if (isnan(v) || isinf(v)) {
        reply_error(c->out, ERR_NAN_OR_INFINITY);
        return;
    }
    struct slice s = {text, num_from_ldouble(text, v)};
    ks_set_room(c->txn, &k, s.n, TTL_KEEP, &room);
    memcpy(room, s.p, s.n);
    cmd_modified(c, &k, '$', "incrbyfloat");
    reply_slice(c->out, s);
    if (log_on()) cmd_propagate(c, 4, (const struct slice[]){SLICE("SET"), k.name, s, SLICE("KEEPTTL")});
}
