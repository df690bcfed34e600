/* cmd/cmd_expire.c - times to live: EXPIRE and its relatives, TTL and its relatives, PERSIST.
 *
 * What is logged is the point in time (PEXPIREAT), and a time that is over deletes at once and is logged as DEL; a replayed
 * PEXPIREAT with a time that is over by now is kept, and the key goes when it is looked at.
 *
 * Locks, transaction and death: as cmd/cmd.h says of handlers.
 */
#include "cmd/cmd_string.h"

enum { EXPIRE_NX = 1, EXPIRE_XX = 2, EXPIRE_GT = 4, EXPIRE_LT = 8 };

static bool parse_conditions(struct cmd *c, uint32_t *seen)
{
    static const char *const words[] = {"NX", "XX", "GT", "LT"};
    for (uint32_t i = 3, w; i < c->argc; i++) {
        for (w = 0; w < ARRAY_LEN(words) && !arg_is(c, i, words[w]); w++) {}
        if (w == ARRAY_LEN(words)) {
            reply_errorf(c->out, "ERR Unsupported option %.*s", (int)MIN(c->argv[i].n, 128), (const char *)c->argv[i].p);
            return false;
        }
        *seen |= 1u << w;
    }
    if (*seen & EXPIRE_NX && *seen & ~(uint32_t)EXPIRE_NX)
        reply_error(c->out, ERR_NX_AND_XX);
    else if (*seen & EXPIRE_GT && *seen & EXPIRE_LT)
        reply_error(c->out, ERR_GT_AND_LT);
    else
        return true;
    return false;
}

static bool conditions_hold(uint32_t seen, int64_t current, int64_t at)
{
    if (seen & EXPIRE_NX && current >= 0) return false;
    if (seen & EXPIRE_XX && current < 0) return false;
    if (seen & EXPIRE_GT && (current < 0 || at <= current)) return false;
    return !(seen & EXPIRE_LT && current >= 0 && at >= current);
}

/* The argument as unix time in milliseconds; negative times are allowed, overflows are not. */
static bool parse_time(struct cmd *c, int64_t unit, int64_t base, int64_t *at)
{
    if (!arg_i64(c, 2, at)) return false;
    if (!__builtin_mul_overflow(*at, unit, at) && !__builtin_add_overflow(*at, base, at)) return true;
    reply_bad_expire(c);
    return false;
}

static void expire_key(struct cmd *c, int64_t unit, int64_t base)
{
    struct key k = key_for(c, 1);
    uint32_t seen = 0;
    int64_t at;
    if (c->argc > 3 && !parse_conditions(c, &seen)) return;
    if (!parse_time(c, unit, base, &at)) return;
    struct entry *e = ks_write(c->txn, &k);
    if (!e || (seen && !conditions_hold(seen, entry_expire(e), at))) {
        reply_int(c->out, 0);
        return;
    }
    if (at <= c->now_ms && (!c->replaying || at < 0)) {
        ks_delete(c->txn, &k);
        cmd_modified(c, &k, 'g', "del");
        propagate_del(c, k.name);
    } else {
        ks_set_expire(c->txn, &k, e, at);
        cmd_modified(c, &k, 'g', "expire");
        propagate_pexpireat(c, k.name, at);
    }
    reply_int(c->out, 1);
}

void cmd_expire(struct cmd *c)
{
    expire_key(c, 1000, c->now_ms);
}

void cmd_pexpire(struct cmd *c)
{
    expire_key(c, 1, c->now_ms);
}

void cmd_expireat(struct cmd *c)
{
    expire_key(c, 1000, 0);
}

void cmd_pexpireat(struct cmd *c)
{
    expire_key(c, 1, 0);
}

void cmd_persist(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e = ks_write(c->txn, &k);
    if (!e || entry_expire(e) < 0) {
        reply_int(c->out, 0);
        return;
    }
    ks_set_expire(c->txn, &k, e, -1);
    cmd_modified(c, &k, 'g', "persist");
    reply_int(c->out, 1);
}

/* ---- asking ---- */

/* -2 no key, -1 no expiry, else the time from `base` on, in units of `unit` milliseconds, rounded. */
static void reply_ttl(struct cmd *c, int64_t unit, int64_t base)
{
    struct key k = key_for(c, 1);
    const struct entry *e = ks_peek(&k);
    stat_add(e ? STAT_HITS : STAT_MISSES, 1);
    int64_t at = e ? entry_expire(e) : -2;
    if (at >= 0) at = (MAX(at - base, 0) + unit / 2) / unit;
    reply_int(c->out, at);
}

void cmd_ttl(struct cmd *c)
{
    reply_ttl(c, 1000, c->now_ms);
}

void cmd_pttl(struct cmd *c)
{
    reply_ttl(c, 1, c->now_ms);
}

void cmd_expiretime(struct cmd *c)
{
    reply_ttl(c, 1000, 0);
}

void cmd_pexpiretime(struct cmd *c)
{
    reply_ttl(c, 1, 0);
}
