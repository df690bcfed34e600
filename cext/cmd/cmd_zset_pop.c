/* cmd/cmd_zset_pop.c - taking members from the ends of sorted sets: ZPOPMIN, ZPOPMAX, ZMPOP, and BZPOPMIN, BZPOPMAX, BZMPOP, which wait
 * when there is nothing (cmd/blocking.h). Those for several keys are logged as the ZPOP that they were. */
#include "cmd/blocking.h"
#include "cmd/cmd_zset.h"

#define WANTS_ZSET (UINT64_C(1) << OBJ_ZSET)

uint64_t zset_pop(struct cmd *c, const struct key *k, struct entry *e, enum zset_end end, uint64_t n, enum zpop_form form)
{
    struct zset z = zset_of(e);
    uint64_t count = zset_count(&z), take = MIN(n, count);
    bool pairs = form == ZPOP_PAIRS || form == ZPOP_KEY_PAIRS;
    if (form == ZPOP_KEY_PAIRS) {
        reply_array(c->out, 2);
        reply_slice(c->out, k->name);
    }
    reply_array(c->out, pairs ? take : 2 * take + (form == ZPOP_KEY_FLAT));
    if (form == ZPOP_KEY_FLAT) reply_slice(c->out, k->name);
    struct zset_walk w;
    struct zmember m;
    zset_walk_from(&z, &w, end == ZSET_MAX ? count - 1 : 0, end == ZSET_MAX);
    for (uint64_t i = 0; i < take && zset_walk_next(&w, &m); i++) {
        if (pairs) reply_array(c->out, 2);
        reply_slice(c->out, m.name);
        reply_double(c->out, m.score);
    }
    const char *event = end == ZSET_MAX ? "zpopmax" : "zpopmin";
    if (take == count) {
        ks_delete(c->txn, k);
        cmd_modified(c, k, 'z', event);
        cmd_notify(c, k, 'g', "del");
    } else {
        zset_remove_ranks(c->txn, &z, end == ZSET_MAX ? count - take : 0, take);
        zset_store(c, k, e, &z);
        cmd_modified(c, k, 'z', event);
    }
    c->dirty += take - 1;
    return take;
}

static void pop_generic(struct cmd *c, enum zset_end end)
{
    int64_t n = 1;
    bool counted = c->argc == 3;
    if (c->argc > 3) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (counted && !arg_i64_range(c, 2, 0, INT64_MAX, &n)) return;
    struct key k = key_for(c, 1);
    struct entry *e = ks_write(c->txn, &k);
    if (wrong_type(c, e, OBJ_ZSET)) return;
    if (e && n)
        zset_pop(c, &k, e, end, (uint64_t)n, counted && c->out->resp == 3 ? ZPOP_PAIRS : ZPOP_FLAT);
    else
        reply_array(c->out, 0);
}

void cmd_zpopmin(struct cmd *c) { pop_generic(c, ZSET_MIN); }
void cmd_zpopmax(struct cmd *c) { pop_generic(c, ZSET_MAX); }

/* numkeys key... MIN|MAX [COUNT count] from argv[at] on; false: the error was replied. */
static bool mpop_parse(struct cmd *c, uint32_t at, uint32_t *keys, enum zset_end *end, int64_t *count)
{
    int64_t n;
    *count = -1;
    if (!arg_i64_or(c, at, &n, "ERR numkeys should be greater than 0")) return false;
    if (n < 1) {
        reply_error(c->out, ERR_NUMKEYS);
        return false;
    }
    if (n >= (int64_t)(c->argc - at - 1)) {
        reply_error(c->out, ERR_SYNTAX);
        return false;
    }
    uint32_t where = at + 1 + (uint32_t)n;
    bool ok = true;
    if (arg_is(c, where, "MIN"))
        *end = ZSET_MIN;
    else if (arg_is(c, where, "MAX"))
        *end = ZSET_MAX;
    else
        ok = false;
    for (uint32_t i = where + 1; ok && i < c->argc; i += 2) {
        ok = *count < 0 && arg_is(c, i, "COUNT") && i + 1 < c->argc;
        if (!ok) break;
        if (!arg_i64_or(c, i + 1, count, "ERR count should be greater than 0")) return false;
        if (*count < 1) {
            reply_error(c->out, ERR_BADCOUNT);
            return false;
        }
    }
    if (!ok) reply_error(c->out, ERR_SYNTAX);
    if (*count < 0) *count = 1;
    *keys = (uint32_t)n;
    return ok;
}

static void log_popped(struct cmd *c, const struct key *k, enum zset_end end, uint64_t n)
{
    uint8_t digits[NUM_I64_ROOM];
    struct slice argv[3] = {end == ZSET_MAX ? SLICE("ZPOPMAX") : SLICE("ZPOPMIN"), k->name, {digits, num_from_u64(digits, n)}};
    cmd_propagate(c, 3, argv);
}

/* Pops from the first of the keys that has members; true when it is done, false when none has any. */
static bool pop_first(struct cmd *c, uint32_t first, uint32_t keys, enum zset_end end, uint64_t n, enum zpop_form form)
{
    for (uint32_t i = 0; i < keys; i++) {
        struct key k = key_for(c, first + i);
        struct entry *e = ks_write(c->txn, &k);
        if (wrong_type(c, e, OBJ_ZSET)) return true;
        if (!e) continue;
        log_popped(c, &k, end, zset_pop(c, &k, e, end, n, form));
        return true;
    }
    return false;
}

static void mpop_generic(struct cmd *c, uint32_t at, bool waits)
{
    uint32_t keys;
    enum zset_end end;
    int64_t count, timeout = 0;
    if (!mpop_parse(c, at, &keys, &end, &count) || (waits && !arg_timeout(c, 1, &timeout))) return;
    if (pop_first(c, at + 1, keys, end, (uint64_t)count, ZPOP_KEY_PAIRS)) return;
    if (waits && cmd_may_block(c))
        cmd_block(c, at + 1, keys, timeout, WANTS_ZSET);
    else
        reply_null_array(c->out);
}

void cmd_zmpop(struct cmd *c) { mpop_generic(c, 1, false); }
void cmd_bzmpop(struct cmd *c) { mpop_generic(c, 2, true); }

static void blocking_pop(struct cmd *c, enum zset_end end)
{
    int64_t timeout;
    if (!arg_timeout(c, c->argc - 1, &timeout)) return;
    if (pop_first(c, 1, c->argc - 2, end, 1, ZPOP_KEY_FLAT)) return;
    if (cmd_may_block(c))
        cmd_block(c, 1, c->argc - 2, timeout, WANTS_ZSET);
    else
        reply_null_array(c->out);
}

void cmd_bzpopmin(struct cmd *c) { blocking_pop(c, ZSET_MIN); }
void cmd_bzpopmax(struct cmd *c) { blocking_pop(c, ZSET_MAX); }
