/* cmd/cmd_zset_algebra.c - unions, intersections and differences of sorted sets and sets, replied, stored or counted.
 *
 * The rows' keys are all locked, so what is read is one moment of all of them, and what is stored appears at once: the result is gathered
 * in private memory, built as a new sorted set and swapped in. A plain set counts as one whose scores are all 1. Complexities are Redis'.
 */
#include <math.h>
#include <stdlib.h>

#include "base/num.h"
#include "cmd/cmd_zset.h"
#include "cmd/gather.h"
#include "types/set.h"

enum algebra { ALGEBRA_UNION, ALGEBRA_INTER, ALGEBRA_DIFF };
enum aggregate { AGGREGATE_SUM, AGGREGATE_MIN, AGGREGATE_MAX };

struct source {
    enum obj_type type; /* OBJ_SET or OBJ_ZSET */
    bool there;
    struct set set;
    struct zset zset;
    double weight;
};

struct request {
    enum algebra op;
    enum aggregate aggregate;
    bool store, only_count, scores;
    uint32_t n;           /* sources */
    struct source *sources;
    uint64_t limit;       /* 0 = none */
};

static uint64_t source_count(const struct source *s)
{
    return !s->there ? 0 : s->type == OBJ_SET ? set_count(&s->set) : zset_count(&s->zset);
}

static bool source_find(const struct source *s, struct slice name, double *score)
{
    if (!s->there) return false;
    if (s->type == OBJ_ZSET) return zset_score(&s->zset, name, score);
    *score = 1;
    return set_has(&s->set, name);
}

/* Calls fn for each member until it returns false; a name that is not in the value's own memory is good only during the call. */
struct visit {
    bool (*fn)(struct slice name, double score, bool lasting, void *arg);
    void *arg;
};

static bool visit_set(const struct lp_value *v, void *arg)
{
    const struct visit *x = arg;
    uint8_t room[NUM_I64_ROOM];
    return x->fn(set_text(v, room), 1, v->text != NULL, x->arg);
}

static void source_each(const struct source *s, bool (*fn)(struct slice, double, bool, void *), void *arg)
{
    struct visit v = {fn, arg};
    if (!s->there) return;
    if (s->type == OBJ_SET) {
        set_each(s->set.enc, s->set.root, visit_set, &v);
        return;
    }
    struct zset_walk w;
    struct zmember m;
    zset_walk_from(&s->zset, &w, 0, false);
    while (zset_walk_next(&w, &m) && fn(m.name, m.score, m.name.p != w.room, arg)) {}
}

static double weighted(double score, double weight)
{
    double v = score * weight;
    return isnan(v) ? 0 : v; /* 0 * infinity */
}

static void aggregate(double *target, double v, enum aggregate how)
{
    if (how == AGGREGATE_SUM) {
        *target += v;
        if (isnan(*target)) *target = 0; /* +inf and -inf */
    } else if (how == AGGREGATE_MIN) {
        *target = v < *target ? v : *target;
    } else {
        *target = v > *target ? v : *target;
    }
}

/* ---- the three ways ---- */

struct work {
    const struct request *r;
    const struct source *from;
    struct gather g;
    struct members *out;
    uint64_t count;
};

static struct slice lasting_name(struct slice name, bool lasting) { return lasting ? name : name_copy(name); }

static bool union_member(struct slice name, double score, bool lasting, void *arg)
{
    struct work *w = arg;
    struct gathered *i = gather_find(&w->g, name);
    double v = weighted(score, w->from->weight);
    bool fresh;
    if (i)
        aggregate(&i->score, v, w->r->aggregate);
    else
        gather_put(&w->g, lasting_name(name, lasting), &fresh)->score = v;
    return true;
}

static bool inter_member(struct slice name, double score, bool lasting, void *arg)
{
    struct work *w = arg;
    double sum = weighted(score, w->from->weight), v;
    for (uint32_t k = 1; k < w->r->n; k++) {
        if (!source_find(&w->r->sources[k], name, &v)) return true;
        aggregate(&sum, v * w->r->sources[k].weight, w->r->aggregate);
    }
    w->count++;
    if (w->out) members_add(w->out, lasting_name(name, lasting), sum);
    return w->count != w->r->limit;
}

/* Difference, first way: look each member of the first up in the others. */
static bool diff_member(struct slice name, double score, bool lasting, void *arg)
{
    struct work *w = arg;
    double v;
    for (uint32_t k = 1; k < w->r->n; k++)
        if (source_find(&w->r->sources[k], name, &v)) return true;
    members_add(w->out, lasting_name(name, lasting), score);
    return true;
}

/* Second way: gather the first, take the others' members out. */
static bool put_member(struct slice name, double score, bool lasting, void *arg)
{
    struct work *w = arg;
    bool fresh;
    gather_put(&w->g, lasting_name(name, lasting), &fresh)->score = score;
    return true;
}

static bool take_out_member(struct slice name, double score, bool lasting, void *arg)
{
    struct work *w = arg;
    struct gathered *i = gather_find(&w->g, name);
    (void)score, (void)lasting;
    if (i) gather_take_out(&w->g, i);
    return w->g.live != 0;
}

static void gathered_members(const struct gather *g, struct members *out)
{
    for (uint64_t i = 0; i < g->n; i++)
        if (!g->items[i].gone) members_add(out, g->items[i].name, g->items[i].score);
}

static int by_count(const void *a, const void *b)
{
    uint64_t x = source_count(a), y = source_count(b);
    return x < y ? -1 : x > y;
}
static int by_count_falling(const void *a, const void *b) { return by_count(b, a); }

static void unite(struct work *w)
{
    uint64_t largest = 0;
    for (uint32_t i = 0; i < w->r->n; i++) largest = MAX(largest, source_count(&w->r->sources[i]));
    gather_init(&w->g, largest);
    qsort(w->r->sources, w->r->n, sizeof *w->r->sources, by_count);
    for (uint32_t i = 0; i < w->r->n; i++) {
        w->from = &w->r->sources[i];
        source_each(w->from, union_member, w);
    }
    gathered_members(&w->g, w->out);
}

static void intersect(struct work *w)
{
    qsort(w->r->sources, w->r->n, sizeof *w->r->sources, by_count);
    w->from = &w->r->sources[0];
    source_each(w->from, inter_member, w);
}

static void subtract(struct work *w)
{
    uint64_t first = source_count(&w->r->sources[0]), look_up = 0, take_out = 0;
    if (!first) return;
    for (uint32_t i = 0; i < w->r->n; i++) {
        look_up += first;
        take_out += source_count(&w->r->sources[i]);
    }
    if (look_up / 2 <= take_out) {
        if (w->r->n > 2) qsort(w->r->sources + 1, w->r->n - 1, sizeof *w->r->sources, by_count_falling);
        source_each(&w->r->sources[0], diff_member, w);
        return;
    }
    gather_init(&w->g, first);
    source_each(&w->r->sources[0], put_member, w);
    for (uint32_t i = 1; i < w->r->n && w->g.live; i++) source_each(&w->r->sources[i], take_out_member, w);
    gathered_members(&w->g, w->out);
}

/* ---- arguments ---- */

static bool read_sources(struct cmd *c, uint32_t first, struct request *r)
{
    r->sources = scratch_alloc(r->n * sizeof *r->sources);
    for (uint32_t i = 0; i < r->n; i++) {
        struct source *s = &r->sources[i];
        struct key k = key_for(c, first + i);
        const struct entry *e = ks_read(&k);
        *s = (struct source){.type = OBJ_ZSET, .there = e != NULL, .weight = 1};
        if (!e) continue;
        s->type = entry_type(e);
        if (s->type != OBJ_SET && wrong_type(c, e, OBJ_ZSET)) return false;
        if (s->type == OBJ_SET)
            s->set = set_of(e);
        else
            s->zset = zset_of(e);
    }
    return true;
}

static bool syntax_error(struct cmd *c)
{
    reply_error(c->out, ERR_SYNTAX);
    return false;
}

static bool parse_extras(struct cmd *c, uint32_t i, struct request *r)
{
    bool combines = r->op != ALGEBRA_DIFF && !r->only_count;
    while (i < c->argc) {
        uint32_t left = c->argc - i;
        if (combines && left >= r->n + 1 && arg_is(c, i, "WEIGHTS")) {
            for (uint32_t k = 0; k < r->n; k++)
                if (!arg_double(c, i + 1 + k, &r->sources[k].weight, "ERR weight value is not a float")) return false;
            i += r->n + 1;
        } else if (combines && left >= 2 && arg_is(c, i, "AGGREGATE")) {
            if (arg_is(c, i + 1, "SUM"))
                r->aggregate = AGGREGATE_SUM;
            else if (arg_is(c, i + 1, "MIN"))
                r->aggregate = AGGREGATE_MIN;
            else if (arg_is(c, i + 1, "MAX"))
                r->aggregate = AGGREGATE_MAX;
            else
                return syntax_error(c);
            i += 2;
        } else if (!r->store && !r->only_count && arg_is(c, i, "WITHSCORES")) {
            r->scores = true;
            i++;
        } else if (r->only_count && left >= 2 && arg_is(c, i, "LIMIT")) {
            int64_t limit;
            if (!arg_i64_or(c, i + 1, &limit, "ERR LIMIT can't be negative")) return false;
            if (limit < 0) {
                reply_error(c->out, ERR_NEGATIVELIMIT);
                return false;
            }
            r->limit = (uint64_t)limit;
            i += 2;
        } else {
            return syntax_error(c);
        }
    }
    return true;
}

static bool parse(struct cmd *c, struct request *r, const char *name)
{
    uint32_t at = r->store ? 2 : 1;
    int64_t n;
    if (!arg_i64(c, at, &n)) return false;
    if (n < 1) {
        reply_errorf(c->out, "ERR at least 1 input key is needed for '%s' command", name);
        return false;
    }
    if (n > (int64_t)(c->argc - at - 1)) return syntax_error(c);
    r->n = (uint32_t)n;
    return read_sources(c, at + 1, r) && parse_extras(c, at + 1 + r->n, r);
}

static int compare_members(const void *a, const void *b) { return zmember_compare(a, b); }

static void run(struct cmd *c, struct request *r, const char *name)
{
    struct members out = {0};
    struct work w = {.r = r, .out = r->only_count ? NULL : &out};
    if (!parse(c, r, name)) return;
    if (r->op == ALGEBRA_UNION)
        unite(&w);
    else if (r->op == ALGEBRA_INTER)
        intersect(&w);
    else
        subtract(&w);
    if (r->only_count) {
        reply_int(c->out, (int64_t)w.count);
        return;
    }
    if (out.n) qsort(out.at, out.n, sizeof *out.at, compare_members);
    if (r->store) {
        zset_store_result(c, 1, out.at, out.n, name);
        return;
    }
    reply_members_head(c->out, out.n, r->scores);
    for (uint64_t i = 0; i < out.n; i++) reply_member(c->out, &out.at[i], r->scores);
}

void cmd_zunion(struct cmd *c) { run(c, &(struct request){.op = ALGEBRA_UNION}, "zunion"); }
void cmd_zunionstore(struct cmd *c) { run(c, &(struct request){.op = ALGEBRA_UNION, .store = true}, "zunionstore"); }
void cmd_zinter(struct cmd *c) { run(c, &(struct request){.op = ALGEBRA_INTER}, "zinter"); }
void cmd_zinterstore(struct cmd *c) { run(c, &(struct request){.op = ALGEBRA_INTER, .store = true}, "zinterstore"); }
void cmd_zintercard(struct cmd *c) { run(c, &(struct request){.op = ALGEBRA_INTER, .only_count = true}, "zintercard"); }
void cmd_zdiff(struct cmd *c) { run(c, &(struct request){.op = ALGEBRA_DIFF}, "zdiff"); }
void cmd_zdiffstore(struct cmd *c) { run(c, &(struct request){.op = ALGEBRA_DIFF, .store = true}, "zdiffstore"); }
