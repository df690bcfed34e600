/* cmd/cmd_hash_setex.c - HSETEX (Redis 8.0): fields and values with one time for all of them. Redis 8 and Valkey 9 write it into their logs
 * also for other commands (HINCRBYFLOAT, bases of commands), so their logs need it.
 * Locks, transaction and death: as cmd/cmd.h says of handlers.
 */
#include "base/num.h"
#include "cmd/cmd_hash.h"
#include "cmd/command_table.h"
#include "cmd/propagate.h"

#define EXPIRE_MAX_MS (INT64_C(0x0000FFFFFFFFFFFE) >> 2) /* as Redis limits the times of fields */

struct setex {
    bool fnx, fxx;     /* only if none, all of the fields are there */
    bool keep, timed;  /* KEEPTTL; a time was given: `at` */
    uint32_t time_arg; /* where it stands */
    int64_t unit, base, ms;
    uint32_t first, fields; /* argv[first] is the first field */
};

static bool refuse(struct cmd *c, const char *words)
{
    reply_errorf(c->out, "ERR %s", words);
    return false;
}

/* EX, PX, EXAT, PXAT; false: it is none of them. */
static bool is_time(struct cmd *c, uint32_t i, struct setex *x)
{
    static const struct {
        const char *word;
        int64_t unit;
        bool from_now;
    } times[] = {{"EX", 1000, true}, {"PX", 1, true}, {"EXAT", 1000, false}, {"PXAT", 1, false}};
    for (uint32_t k = 0; k < ARRAY_LEN(times); k++) {
        if (!arg_is(c, i, times[k].word)) continue;
        x->unit = times[k].unit;
        x->base = times[k].from_now ? c->now_ms : 0;
        return true;
    }
    return false;
}

static bool wrong_number(struct cmd *c) { return refuse(c, "wrong number of arguments for 'hsetex' command"); }

/* One option at argv[*i]; *i moves behind it. */
static bool option(struct cmd *c, uint32_t *i, struct setex *x)
{
    bool fnx = arg_is(c, *i, "FNX"), fxx = arg_is(c, *i, "FXX"), keep = arg_is(c, *i, "KEEPTTL"), timed = is_time(c, *i, x);
    if (!fnx && !fxx && !keep && !timed) {
        reply_errorf(c->out, "ERR unknown argument: %.*s", (int)MIN(c->argv[*i].n, (size_t)128), (const char *)c->argv[*i].p);
        return false;
    }
    if ((fnx || fxx) && (x->fnx || x->fxx)) return refuse(c, "Only one of FXX or FNX arguments can be specified");
    if ((keep || timed) && (x->keep || x->timed))
        return refuse(c, "Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified");
    x->fnx |= fnx;
    x->fxx |= fxx;
    x->keep |= keep;
    if (timed) {
        x->timed = true;
        x->time_arg = ++*i;
        if (*i >= c->argc) return wrong_number(c);
        if (!arg_i64(c, *i, &x->ms)) return false;
        if (x->ms < 0) return refuse(c, "invalid expire time, must be >= 0");
        if (x->ms > EXPIRE_MAX_MS / x->unit || x->ms * x->unit > EXPIRE_MAX_MS - x->base)
            return refuse(c, "invalid expire time in 'hsetex' command");
        x->ms = x->ms * x->unit + x->base;
    }
    ++*i;
    return true;
}

static bool arguments(struct cmd *c, struct setex *x)
{
    uint32_t i = 2;
    int64_t n;
    while (i < c->argc && !arg_is(c, i, "FIELDS"))
        if (!option(c, &i, x)) return false;
    if (i + 1 >= c->argc) return wrong_number(c);
    if (!num_parse_i64(c->argv[i + 1].p, c->argv[i + 1].n, &n) || n < 1 || n > INT32_MAX) return refuse(c, "invalid number of fields");
    if ((uint64_t)n * 2 != c->argc - i - 2) return wrong_number(c);
    x->first = i + 2;
    x->fields = (uint32_t)n;
    return true;
}

/* FNX: none of the fields is there; FXX: all are. */
static bool met(struct cmd *c, const struct setex *x, const struct hash *h)
{
    struct hash_field f;
    for (uint32_t i = x->first; (x->fnx || x->fxx) && i < c->argc; i += 2)
        if ((hash_length(h) && hash_find(h, c->argv[i], &f)) == x->fnx) return false;
    return true;
}

static void set_all(struct cmd *c, const struct setex *x, struct hash *h)
{
    size_t longest = 0;
    for (uint32_t i = x->first; i < c->argc; i++) longest = MAX(longest, c->argv[i].n);
    hash_expect(c->txn, h, x->fields, longest);
    for (uint32_t i = x->first; i < c->argc; i += 2) {
        hash_set(c->txn, h, c->argv[i], c->argv[i + 1], x->keep ? HASH_TTL_KEEP : HASH_TTL_CLEAR);
        if (x->timed) hash_set_expire(c->txn, h, c->argv[i], x->ms);
    }
}

/* Logs the time as an absolute one. */
static void propagate(struct cmd *c, const struct setex *x)
{
    if (!x->timed) return; /* as it came */
    struct slice *argv = scratch_alloc(c->argc * sizeof *argv);
    uint8_t *digits = scratch_alloc(NUM_I64_ROOM);
    memcpy(argv, c->argv, c->argc * sizeof *argv);
    argv[x->time_arg - 1] = SLICE("PXAT");
    argv[x->time_arg] = (struct slice){digits, num_from_i64(digits, x->ms)};
    cmd_propagate(c, c->argc, argv);
}

/* The time is over already: what would have been stored is not there. */
static void delete_all(struct cmd *c, const struct setex *x, const struct key *k, struct entry *e, struct hash *h)
{
    struct slice *argv = scratch_alloc((x->fields + 2) * sizeof *argv);
    uint32_t n = 0;
    argv[n++] = SLICE("HDEL");
    argv[n++] = c->argv[1];
    for (uint32_t i = x->first; e && i < c->argc; i += 2)
        if (hash_delete(c->txn, h, c->argv[i])) argv[n++] = c->argv[i];
    if (n == 2) return;
    c->dirty += n - 2;
    cmd_propagate(c, n, argv);
    cmd_notify(c, k, 'h', "hdel");
    hash_store(c, k, e, h);
}

void cmd_hsetex(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct setex x = {0};
    struct entry *e;
    struct hash h;
    if (!arguments(c, &x) || !hash_for_write(c, &k, &e, &h)) return;
    if (!met(c, &x, &h)) {
        reply_int(c->out, 0);
        return;
    }
    reply_int(c->out, 1);
    if (x.timed && x.ms <= c->now_ms && !c->replaying) {
        delete_all(c, &x, &k, e, &h);
        return;
    }
    set_all(c, &x, &h);
    propagate(c, &x);
    hash_store(c, &k, e, &h);
    c->dirty += x.fields;
    cmd_notify(c, &k, 'h', "hset");
    if (x.timed) {
        cmd_notify(c, &k, 'h', "hexpire");
        ks_note_due(c->txn, &k, x.ms);
    }
}
