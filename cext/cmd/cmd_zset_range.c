/* cmd/cmd_zset_range.c - ranges of a sorted set by rank, score and name: listing, storing, counting, removing.
 *
 * Every kind of range becomes a run of ranks first (struct run), so the commands differ only in how they read their arguments.
 */
#include <math.h>
#include <stdlib.h>

#include "base/num.h"
#include "cmd/cmd_zset.h"

enum range_kind { RANGE_AUTO, RANGE_RANK, RANGE_SCORE, RANGE_LEX };
enum range_direction { DIRECTION_AUTO, DIRECTION_UP, DIRECTION_DOWN };

struct bound {
    double score;
    struct slice name;
    int8_t infinite; /* names: -1 before all, 1 behind all */
    bool exclusive;
};

struct range {
    enum range_kind kind;
    int64_t start, stop;    /* RANGE_RANK, from the lowest or, when walked downwards, from the highest */
    struct bound min, max;
};

struct run { /* ranks [from, from + n) */
    uint64_t from, n;
};

/* ---- arguments ---- */

/* As strtod reads it, the whole text; nothing at all is 0. */
static bool score_parse(struct slice s, double *v)
{
    if (num_parse_double(s.p, s.n, v)) return true;
    char *text = scratch_alloc(s.n + 1), *end;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    *v = strtod(text, &end);
    return *end == 0 && !isnan(*v);
}

static bool bound_score(struct slice s, struct bound *b)
{
    b->exclusive = s.n && s.p[0] == '(';
    return score_parse((struct slice){s.p + b->exclusive, s.n - b->exclusive}, &b->score);
}

static bool bound_name(struct slice s, struct bound *b)
{
    if (s.n == 1 && (s.p[0] == '-' || s.p[0] == '+')) {
        b->infinite = s.p[0] == '-' ? -1 : 1;
        return true;
    }
    if (!s.n || (s.p[0] != '(' && s.p[0] != '[')) return false;
    b->exclusive = s.p[0] == '(';
    b->name = (struct slice){s.p + 1, s.n - 1};
    return true;
}

/* Reads the bounds at argv[min] and argv[max]. */
static bool range_parse(struct cmd *c, uint32_t min, uint32_t max, struct range *r)
{
    if (r->kind == RANGE_RANK) return arg_i64(c, min, &r->start) && arg_i64(c, max, &r->stop);
    bool score = r->kind == RANGE_SCORE;
    bool ok = score ? bound_score(c->argv[min], &r->min) && bound_score(c->argv[max], &r->max)
                    : bound_name(c->argv[min], &r->min) && bound_name(c->argv[max], &r->max);
    if (!ok) reply_error(c->out, score ? ERR_MINMAX : ERR_MINMAXLEX);
    return ok;
}

/* ---- ranges to ranks ---- */

static uint64_t rank_of(const struct zset *z, const struct range *r, const struct bound *b, bool or_equal)
{
    if (r->kind == RANGE_SCORE) return zset_rank_of_score(z, b->score, or_equal);
    if (b->infinite) return b->infinite < 0 ? 0 : zset_count(z);
    return zset_rank_of_name(z, b->name, or_equal);
}

static struct run range_run(const struct zset *z, const struct range *r)
{
    int64_t count = (int64_t)zset_count(z), start = r->start, stop = r->stop;
    if (r->kind == RANGE_RANK) {
        if (start < 0) start = MAX(start + count, 0);
        if (stop < 0) stop += count;
        if (start > stop || start >= count) return (struct run){0, 0};
        if (stop >= count) stop = count - 1;
        return (struct run){(uint64_t)start, (uint64_t)(stop - start + 1)};
    }
    uint64_t from = rank_of(z, r, &r->min, r->min.exclusive), to = rank_of(z, r, &r->max, !r->max.exclusive);
    return (struct run){from, to > from ? to - from : 0};
}

/* ---- listing ---- */

struct listing {
    struct range range;
    enum range_direction direction;
    bool scores, limited;
    int64_t offset, count;
};

/* The run to give, and the rank to begin at. */
static struct run listing_run(const struct zset *z, const struct listing *l, uint64_t *begin)
{
    struct run run = range_run(z, &l->range);
    bool down = l->direction == DIRECTION_DOWN;
    uint64_t all = run.n, skip = 0;
    if (l->range.kind == RANGE_RANK) {
        *begin = down ? zset_count(z) - 1 - run.from : run.from;
        return run;
    }
    if (l->limited) {
        skip = l->offset < 0 ? all : MIN((uint64_t)l->offset, all);
        run.n -= skip;
        if (l->count >= 0) run.n = MIN(run.n, (uint64_t)l->count);
    }
    *begin = down ? run.from + all - 1 - skip : run.from + skip;
    return run;
}

static void listing_reply(struct cmd *c, const struct zset *z, const struct listing *l)
{
    uint64_t begin;
    struct run run = listing_run(z, l, &begin);
    struct zset_walk w;
    struct zmember m;
    reply_members_head(c->out, run.n, l->scores);
    if (!run.n) return;
    zset_walk_from(z, &w, begin, l->direction == DIRECTION_DOWN);
    for (uint64_t i = 0; i < run.n && zset_walk_next(&w, &m); i++) reply_member(c->out, &m, l->scores);
}

static void listing_store(struct cmd *c, const struct zset *z, bool there, const struct listing *l)
{
    struct zmember *members = NULL;
    struct run run = {0};
    uint64_t begin;
    if (there) run = listing_run(z, l, &begin);
    if (run.n) {
        struct zset_walk w;
        bool down = l->direction == DIRECTION_DOWN;
        members = scratch_alloc(run.n * sizeof *members);
        zset_walk_from(z, &w, down ? begin + 1 - run.n : begin, false); /* stored in order, whatever way it was asked for */
        for (uint64_t i = 0; i < run.n; i++) {
            ENSURE(zset_walk_next(&w, &members[i]));
            if (members[i].name.p != w.room) continue;
            uint8_t *copy = scratch_alloc(NUM_I64_ROOM);
            memcpy(copy, w.room, members[i].name.n);
            members[i].name.p = copy;
        }
    }
    zset_store_result(c, 1, members, run.n, "zrangestore");
}

static bool listing_options(struct cmd *c, uint32_t from, bool store, struct listing *l)
{
    for (uint32_t i = from; i < c->argc; i++) {
        if (!store && arg_is(c, i, "WITHSCORES")) {
            l->scores = true;
        } else if (arg_is(c, i, "LIMIT") && i + 2 < c->argc) {
            if (!arg_i64(c, i + 1, &l->offset) || !arg_i64(c, i + 2, &l->count)) return false;
            l->limited = true;
            i += 2;
        } else if (l->direction == DIRECTION_AUTO && arg_is(c, i, "REV")) {
            l->direction = DIRECTION_DOWN;
        } else if (l->range.kind == RANGE_AUTO && arg_is(c, i, "BYLEX")) {
            l->range.kind = RANGE_LEX;
        } else if (l->range.kind == RANGE_AUTO && arg_is(c, i, "BYSCORE")) {
            l->range.kind = RANGE_SCORE;
        } else {
            reply_error(c->out, ERR_SYNTAX);
            return false;
        }
    }
    if (l->range.kind == RANGE_AUTO) l->range.kind = RANGE_RANK;
    if (l->direction == DIRECTION_AUTO) l->direction = DIRECTION_UP;
    const char *error = NULL;
    if (l->count != -1 && l->range.kind == RANGE_RANK)
        error = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
    else if (l->scores && l->range.kind == RANGE_LEX)
        error = "ERR syntax error, WITHSCORES not supported in combination with BYLEX";
    if (error) reply_errorf(c->out, "%s", error);
    return !error;
}

static void list_generic(struct cmd *c, uint32_t source, bool store, enum range_kind kind, enum range_direction direction)
{
    struct listing l = {.range = {.kind = kind}, .direction = direction, .count = -1};
    struct zset z;
    bool there;
    uint32_t min = source + 1, max = source + 2;
    if (!listing_options(c, source + 3, store, &l)) return;
    if (l.direction == DIRECTION_DOWN && l.range.kind != RANGE_RANK) { /* the greater bound stands first */
        min = source + 2;
        max = source + 1;
    }
    if (!range_parse(c, min, max, &l.range) || !zset_read(c, source, &z, &there)) return;
    if (store)
        listing_store(c, &z, there, &l);
    else if (there)
        listing_reply(c, &z, &l);
    else
        reply_array(c->out, 0);
}

void cmd_zrange(struct cmd *c) { list_generic(c, 1, false, RANGE_AUTO, DIRECTION_AUTO); }
void cmd_zrangestore(struct cmd *c) { list_generic(c, 2, true, RANGE_AUTO, DIRECTION_AUTO); }
void cmd_zrevrange(struct cmd *c) { list_generic(c, 1, false, RANGE_RANK, DIRECTION_DOWN); }
void cmd_zrangebyscore(struct cmd *c) { list_generic(c, 1, false, RANGE_SCORE, DIRECTION_UP); }
void cmd_zrevrangebyscore(struct cmd *c) { list_generic(c, 1, false, RANGE_SCORE, DIRECTION_DOWN); }
void cmd_zrangebylex(struct cmd *c) { list_generic(c, 1, false, RANGE_LEX, DIRECTION_UP); }
void cmd_zrevrangebylex(struct cmd *c) { list_generic(c, 1, false, RANGE_LEX, DIRECTION_DOWN); }

/* ---- counting and removing ---- */

static void count_generic(struct cmd *c, enum range_kind kind)
{
    struct range r = {.kind = kind};
    struct zset z;
    bool there;
    if (range_parse(c, 2, 3, &r) && zset_read(c, 1, &z, &there)) reply_int(c->out, there ? (int64_t)range_run(&z, &r).n : 0);
}

void cmd_zcount(struct cmd *c) { count_generic(c, RANGE_SCORE); }
void cmd_zlexcount(struct cmd *c) { count_generic(c, RANGE_LEX); }

static void remove_generic(struct cmd *c, enum range_kind kind, const char *event)
{
    struct range r = {.kind = kind};
    if (!range_parse(c, 2, 3, &r)) return;
    struct key k = key_for(c, 1);
    struct entry *e = ks_write(c->txn, &k);
    if (wrong_type(c, e, OBJ_ZSET)) return;
    struct run run = {0};
    if (e) {
        struct zset z = zset_of(e);
        run = range_run(&z, &r);
        if (run.n && run.n == zset_count(&z)) { /* all of it: freed in the background when it is large */
            ks_delete(c->txn, &k);
            cmd_modified(c, &k, 'z', event);
            cmd_notify(c, &k, 'g', "del");
        } else if (run.n) {
            zset_remove_ranks(c->txn, &z, run.from, run.n);
            zset_store(c, &k, e, &z);
            cmd_modified(c, &k, 'z', event);
        }
        if (run.n) c->dirty += run.n - 1;
    }
    reply_int(c->out, (int64_t)run.n);
}

void cmd_zremrangebyrank(struct cmd *c) { remove_generic(c, RANGE_RANK, "zremrangebyrank"); }
void cmd_zremrangebyscore(struct cmd *c) { remove_generic(c, RANGE_SCORE, "zremrangebyscore"); }
void cmd_zremrangebylex(struct cmd *c) { remove_generic(c, RANGE_LEX, "zremrangebylex"); }
