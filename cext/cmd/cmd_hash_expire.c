/* cmd/cmd_hash_expire.c - times at which fields expire (HEXPIRE and its family, Redis 7.4), and the removal of fields whose time is over.
 *
 * Removal is part of the transaction that finds it necessary: a command that writes the hash, or a step of the active expiry
 * (keyspace/expire.c through ks_fields_hook). It is logged as HDEL, so a replay needs no clock.
 * Locks, transaction and death: as cmd/cmd.h says of handlers.
 */
#include "base/num.h"
#include "cmd/cmd_hash.h"
#include "cmd/command_table.h"
#include "cmd/propagate.h"
#include "keyspace/interest.h"

#define SMALL_HASH 256u /* fields: a larger table is left to the active expiry */
#define EXPIRE_MAX_MS (INT64_C(0x0000FFFFFFFFFFFE) >> 2) /* as Redis 7.4 limits the times of fields */

/* ---- removal ---- */

struct removing {
    struct txn *t;
    const struct key *k;
};

static void log_removed(struct slice field, void *arg)
{
    const struct removing *r = arg;
    const struct slice argv[3] = {SLICE("HDEL"), r->k->name, field};
    if (log_on()) cmd_log(r->t, r->k->db, 3, argv);
    stat_add(STAT_EXPIRED_FIELDS, 1);
}

/* Removes at most `max` fields; true when the key is gone with them. */
static bool remove_expired(struct txn *t, const struct key *k, struct entry *e, uint64_t max)
{
    struct hash h = hash_of(e);
    struct removing r = {t, k};
    if (!hash_remove_expired(t, &h, max, log_removed, &r)) return false;
    ks_set_root(t, e, h.enc, h.root);
    bool empty = hash_length(&h) == 0;
    if (empty) ks_delete(t, k);
    cmd_changed(t, k, 'h', "hexpired");
    if (empty) cmd_changed(t, k, 'g', "del");
    return empty;
}

static void fields_due(struct txn *t, const struct key *k, struct entry *e, uint32_t max) { remove_expired(t, k, e, max); }

__attribute__((constructor)) static void register_hook(void) { ks_fields_hook = fields_due; }

bool hash_for_write(struct cmd *c, const struct key *k, struct entry **e, struct hash *h)
{
    *e = ks_write(c->txn, k);
    if (wrong_type(c, *e, OBJ_HASH)) return false;
    if (unlikely(*e && entry_enc(*e) != ENC_LISTPACK)) {
        int64_t earliest = hash_earliest(entry_enc(*e), *entry_root(*e));
        bool small = entry_enc(*e) != ENC_HASHTABLE || hash_length(&(struct hash){entry_enc(*e), *entry_root(*e)}) <= SMALL_HASH;
        if (small && earliest && hash_field_expired(earliest) && remove_expired(c->txn, k, *e, UINT64_MAX)) *e = NULL;
    }
    *h = *e ? hash_of(*e) : HASH_EMPTY;
    return true;
}

/* ---- arguments ---- */

/* FIELDS numfields field... from argv[at] on, to the end; the words of errors differ between readers and writers, as in Redis. */
static bool arg_fields(struct cmd *c, uint32_t at, const char *error, uint32_t *first)
{
    int64_t n;
    if (at >= c->argc || !arg_is(c, at, "FIELDS")) {
        reply_errorf(c->out, "ERR Mandatory argument FIELDS is missing or not at the right position");
        return false;
    }
    if (at + 1 >= c->argc || !num_parse_i64(c->argv[at + 1].p, c->argv[at + 1].n, &n) || n < 1) {
        reply_errorf(c->out, "%s", error);
        return false;
    }
    if (n != (int64_t)c->argc - at - 2) {
        reply_errorf(c->out, "ERR The `numfields` parameter must match the number of arguments");
        return false;
    }
    *first = at + 2;
    return true;
}

enum condition { COND_NONE, COND_NX, COND_XX, COND_GT, COND_LT };

static enum condition arg_condition(struct cmd *c, uint32_t i)
{
    static const char *const words[] = {[COND_NX] = "NX", [COND_XX] = "XX", [COND_GT] = "GT", [COND_LT] = "LT"};
    for (uint32_t k = COND_NX; k <= COND_LT; k++)
        if (arg_is(c, i, words[k])) return (enum condition)k;
    return COND_NONE;
}

static bool arg_time(struct cmd *c, uint32_t i, int64_t unit, int64_t base, int64_t *ms)
{
    if (!arg_i64(c, i, ms)) return false;
    if (*ms < 0) {
        reply_errorf(c->out, "ERR invalid expire time, must be >= 0");
        return false;
    }
    if (*ms > EXPIRE_MAX_MS / unit || *ms * unit > EXPIRE_MAX_MS - base) {
        reply_errorf(c->out, "ERR invalid expire time in '%s' command", c->spec->fullname);
        return false;
    }
    *ms = *ms * unit + base;
    return true;
}

static void reply_same(struct cmd *c, uint32_t n, int64_t v)
{
    reply_array(c->out, n);
    while (n-- > 0) reply_int(c->out, v);
}

/* ---- HEXPIRE and the like ---- */

enum outcome { NO_FIELD = -2, NOT_MET = 0, SET = 1, DELETED = 2 };

static bool condition_met(enum condition cond, int64_t before, int64_t ms)
{
    if (before < 0) return cond != COND_XX && cond != COND_GT;
    return !(cond == COND_NX || (cond == COND_GT && before >= ms) || (cond == COND_LT && before <= ms));
}

static enum outcome set_time(struct cmd *c, struct hash *h, struct slice field, enum condition cond, int64_t ms)
{
    struct hash_field f;
    if (!hash_length(h) || !hash_find(h, field, &f)) return NO_FIELD;
    if (!condition_met(cond, f.expire_ms, ms)) return NOT_MET;
    if (ms <= c->now_ms && !c->replaying) {
        hash_delete(c->txn, h, field);
        return DELETED;
    }
    hash_set_expire(c->txn, h, field, ms);
    return SET;
}

/* Logs one command for the fields whose outcome was `which`. */
static void propagate_fields(struct cmd *c, struct slice name, const struct slice *ms, uint32_t first, const int8_t *outcome, enum outcome which)
{
    struct slice *argv = scratch_alloc((c->argc - first + 5) * sizeof *argv);
    uint32_t n = 0, fields = 0;
    uint8_t digits[NUM_I64_ROOM];
    for (uint32_t i = first; i < c->argc; i++) fields += outcome[i - first] == which;
    if (!fields) return;
    argv[n++] = name;
    argv[n++] = c->argv[1];
    if (ms) {
        argv[n++] = *ms;
        argv[n++] = SLICE("FIELDS");
        argv[n++] = (struct slice){digits, num_from_u64(digits, fields)};
    }
    for (uint32_t i = first; i < c->argc; i++)
        if (outcome[i - first] == which) argv[n++] = c->argv[i];
    cmd_propagate(c, n, argv);
}

static void expire(struct cmd *c, int64_t unit, int64_t base)
{
    struct key k = key_for(c, 1);
    struct entry *e;
    struct hash h;
    int64_t ms;
    uint32_t first;
    if (!hash_for_write(c, &k, &e, &h) || !arg_time(c, 2, unit, base, &ms)) return;
    enum condition cond = arg_condition(c, 3);
    if (!arg_fields(c, cond == COND_NONE ? 3 : 4, "ERR Parameter `numFields` should be greater than 0", &first)) return;
    if (!e) {
        reply_same(c, c->argc - first, NO_FIELD);
        return;
    }
    hash_allow_times(c->txn, &h); /* as in Redis, also if no field will get one */
    int8_t *outcome = scratch_alloc(c->argc - first);
    uint64_t set = 0, deleted = 0;
    reply_array(c->out, c->argc - first);
    for (uint32_t i = first; i < c->argc; i++) {
        enum outcome o = set_time(c, &h, c->argv[i], cond, ms);
        outcome[i - first] = (int8_t)o;
        set += o == SET;
        deleted += o == DELETED;
        reply_int(c->out, o);
    }
    if (!set && !deleted) {
        ks_set_root(c->txn, e, h.enc, h.root);
        return;
    }
    c->dirty += set + deleted;
    uint8_t digits[NUM_I64_ROOM];
    struct slice at = {digits, num_from_i64(digits, ms)};
    propagate_fields(c, SLICE("HPEXPIREAT"), &at, first, outcome, SET);
    propagate_fields(c, SLICE("HDEL"), NULL, first, outcome, DELETED);
    if (deleted) cmd_notify(c, &k, 'h', "hdel");
    if (set) cmd_notify(c, &k, 'h', "hexpire");
    hash_store(c, &k, e, &h);
    if (set && hash_length(&h)) ks_note_due(c->txn, &k, ms);
}

void cmd_hexpire(struct cmd *c) { expire(c, 1000, c->now_ms); }
void cmd_hpexpire(struct cmd *c) { expire(c, 1, c->now_ms); }
void cmd_hexpireat(struct cmd *c) { expire(c, 1000, 0); }
void cmd_hpexpireat(struct cmd *c) { expire(c, 1, 0); }

void cmd_hpersist(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e;
    struct hash h;
    struct hash_field f;
    uint32_t first;
    uint64_t changed = 0;
    if (!hash_for_write(c, &k, &e, &h) || !arg_fields(c, 2, "ERR Number of fields must be a positive integer", &first)) return;
    if (!e) {
        reply_same(c, c->argc - first, NO_FIELD);
        return;
    }
    reply_array(c->out, c->argc - first);
    for (uint32_t i = first; i < c->argc; i++) {
        bool found = hash_find(&h, c->argv[i], &f);
        if (found && f.expire_ms >= 0) {
            hash_set_expire(c->txn, &h, c->argv[i], -1);
            changed++;
        }
        reply_int(c->out, !found ? NO_FIELD : f.expire_ms < 0 ? -1 : 1);
    }
    if (!changed) return;
    hash_store(c, &k, e, &h);
    c->dirty += changed;
    cmd_notify(c, &k, 'h', "hpersist");
}

/* ---- HTTL and the like ---- */

static void ttl(struct cmd *c, int64_t unit, int64_t base)
{
    struct key k = key_for(c, 1);
    const struct entry *e;
    struct hash h;
    struct hash_field f;
    uint32_t first;
    if (!hash_for_read(c, &k, &e, &h) || !arg_fields(c, 2, "ERR Number of fields must be a positive integer", &first)) return;
    reply_array(c->out, c->argc - first);
    for (uint32_t i = first; i < c->argc; i++) {
        if (!e || !hash_find(&h, c->argv[i], &f))
            reply_int(c->out, NO_FIELD);
        else if (f.expire_ms < 0)
            reply_int(c->out, -1);
        else
            reply_int(c->out, (f.expire_ms - base + unit - 1) / unit);
    }
}

void cmd_httl(struct cmd *c) { ttl(c, 1000, c->now_ms); }
void cmd_hpttl(struct cmd *c) { ttl(c, 1, c->now_ms); }
void cmd_hexpiretime(struct cmd *c) { ttl(c, 1000, 0); }
void cmd_hpexpiretime(struct cmd *c) { ttl(c, 1, 0); }
