/* cmd/cmd_geo_search.c - GEOSEARCH, GEOSEARCHSTORE and the older GEORADIUS commands.
 *
 * A search looks at up to nine runs of scores (ds/geohash.h) and keeps the members that lie in the shape. Options and errors are judged
 * in Redis' order: the key's type first, then the words one by one, then what does not go together.
 */
#include <math.h>
#include <stdlib.h>

#include "cmd/cmd_geo.h"
#include "cmd/cmd_zset.h"
#include "cmd/gather.h"

enum geo_command { GEO_RADIUS, GEO_RADIUS_MEMBER, GEO_SEARCH, GEO_SEARCH_STORE };
enum geo_sort { SORT_NONE, SORT_ASC, SORT_DESC };

struct search {
    enum geo_command kind;
    bool read_only;          /* GEORADIUS_RO: no STORE */
    struct geo_shape shape;
    double unit;             /* metres */
    uint32_t store;          /* argument of the key to store at; 0 = reply */
    bool store_distance, with_distance, with_hash, with_point;
    bool from_member, from_point, by_radius, by_box, any;
    enum geo_sort sort;
    int64_t count;           /* 0 = all */
};

struct found {
    struct slice name;
    double score, metres;
    struct geo_point point;
};

struct found_list {
    struct found *at;
    uint64_t n, cap;
};

/* ---- arguments ---- */

static bool fail(struct cmd *c, const char *error)
{
    reply_errorf(c->out, "%s", error);
    return false;
}

static bool parse_radius(struct cmd *c, uint32_t at, struct search *s)
{
    double radius;
    if (!arg_double(c, at, &radius, "ERR need numeric radius")) return false;
    if (radius < 0) return fail(c, "ERR radius cannot be negative");
    if (!geo_arg_unit(c, at + 1, &s->unit)) return false;
    s->shape.box = false;
    s->shape.radius_m = radius * s->unit;
    return true;
}

static bool parse_box(struct cmd *c, uint32_t at, struct search *s)
{
    double width, height;
    if (!arg_double(c, at, &width, "ERR need numeric width") || !arg_double(c, at + 1, &height, "ERR need numeric height")) return false;
    if (width < 0 || height < 0) return fail(c, "ERR height or width cannot be negative");
    if (!geo_arg_unit(c, at + 2, &s->unit)) return false;
    s->shape.box = true;
    s->shape.width_m = width * s->unit;
    s->shape.height_m = height * s->unit;
    return true;
}

static bool parse_member(struct cmd *c, uint32_t at, const struct zset *z, struct search *s)
{
    return geo_member(z, c->argv[at], &s->shape.centre) || fail(c, "ERR could not decode requested zset member");
}

/* What stands before the options of the GEORADIUS family; *at is moved behind it. */
static bool parse_fixed(struct cmd *c, const struct zset *z, bool there, struct search *s, uint32_t *at)
{
    *at = s->kind == GEO_RADIUS ? 6 : s->kind == GEO_RADIUS_MEMBER ? 5 : s->kind == GEO_SEARCH ? 2 : 3;
    if (s->kind == GEO_RADIUS) return geo_arg_point(c, 2, &s->shape.centre) && parse_radius(c, 4, s);
    if (s->kind == GEO_RADIUS_MEMBER && there) return parse_member(c, 2, z, s) && parse_radius(c, 3, s);
    if (s->kind == GEO_SEARCH_STORE) s->store = 1;
    return true;
}

/* Options of GEOSEARCH alone: arguments used, 0 = none of them, -1 = the error was replied. */
static int parse_search_option(struct cmd *c, uint32_t i, const struct zset *z, bool there, struct search *s)
{
    uint32_t left = c->argc - i - 1;
    if (arg_is(c, i, "FROMMEMBER") && left >= 1 && !s->from_point) {
        s->from_member = true;
        return !there || parse_member(c, i + 1, z, s) ? 2 : -1;
    }
    if (arg_is(c, i, "FROMLONLAT") && left >= 2 && !s->from_member) {
        s->from_point = true;
        return geo_arg_point(c, i + 1, &s->shape.centre) ? 3 : -1;
    }
    if (arg_is(c, i, "BYRADIUS") && left >= 2 && !s->by_box) {
        s->by_radius = true;
        return parse_radius(c, i + 1, s) ? 3 : -1;
    }
    if (arg_is(c, i, "BYBOX") && left >= 3 && !s->by_radius) {
        s->by_box = true;
        return parse_box(c, i + 1, s) ? 4 : -1;
    }
    if (s->kind == GEO_SEARCH_STORE && arg_is(c, i, "STOREDIST")) {
        s->store_distance = true;
        return 1;
    }
    return 0;
}

static int parse_option(struct cmd *c, uint32_t i, struct search *s)
{
    bool more = i + 1 < c->argc, stores = s->kind < GEO_SEARCH && !s->read_only;
    if (arg_is(c, i, "WITHDIST")) return s->with_distance = true;
    if (arg_is(c, i, "WITHHASH")) return s->with_hash = true;
    if (arg_is(c, i, "WITHCOORD")) return s->with_point = true;
    if (arg_is(c, i, "ANY")) return s->any = true;
    if (arg_is(c, i, "ASC") || arg_is(c, i, "DESC")) {
        s->sort = arg_is(c, i, "ASC") ? SORT_ASC : SORT_DESC;
        return 1;
    }
    if (arg_is(c, i, "COUNT") && more) {
        if (!arg_i64(c, i + 1, &s->count)) return -1;
        return s->count > 0 || fail(c, "ERR COUNT must be > 0") ? 2 : -1;
    }
    if (stores && more && (arg_is(c, i, "STORE") || arg_is(c, i, "STOREDIST"))) {
        s->store = i + 1;
        s->store_distance = arg_is(c, i, "STOREDIST");
        return 2;
    }
    return 0;
}

static bool options_fit(struct cmd *c, const struct search *s)
{
    int n = (int)MIN(c->argv[0].n, (size_t)64);
    const char *name = (const char *)c->argv[0].p;
    if (s->store && (s->with_distance || s->with_hash || s->with_point)) {
        reply_errorf(c->out, "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
                     s->kind == GEO_SEARCH_STORE ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS");
        return false;
    }
    if (s->kind >= GEO_SEARCH && !s->from_member && !s->from_point) {
        reply_errorf(c->out, "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %.*s", n, name);
        return false;
    }
    if (s->kind >= GEO_SEARCH && !s->by_radius && !s->by_box) {
        reply_errorf(c->out, "ERR exactly one of BYRADIUS and BYBOX can be specified for %.*s", n, name);
        return false;
    }
    return !s->any || s->count || fail(c, "ERR the ANY argument requires COUNT argument");
}

static bool parse(struct cmd *c, const struct zset *z, bool there, struct search *s)
{
    uint32_t i;
    if (!parse_fixed(c, z, there, s, &i)) return false;
    while (i < c->argc) {
        int used = parse_option(c, i, s);
        if (!used && s->kind >= GEO_SEARCH) used = parse_search_option(c, i, z, there, s);
        if (used < 0) return false;
        if (!used) {
            reply_error(c->out, ERR_SYNTAX);
            return false;
        }
        i += (uint32_t)used;
    }
    return options_fit(c, s);
}

/* ---- searching ---- */

static void found_add(struct found_list *l, const struct found *f)
{
    if (l->n == l->cap) {
        uint64_t cap = l->cap ? l->cap * 2 : 16;
        struct found *grown = scratch_alloc(cap * sizeof *grown);
        if (l->n) memcpy(grown, l->at, l->n * sizeof *grown);
        l->at = grown;
        l->cap = cap;
    }
    l->at[l->n++] = *f;
}

static void search_run(const struct zset *z, const struct search *s, const struct geo_run *run, struct found_list *l)
{
    struct zset_walk w;
    struct zmember m;
    uint64_t rank = zset_rank_of_score(z, (double)run->min, false), enough = s->any ? (uint64_t)s->count : UINT64_MAX;
    zset_walk_from(z, &w, rank, false);
    while (l->n < enough && zset_walk_next(&w, &m) && m.score < (double)run->max) {
        struct found f = {.score = m.score, .point = geo_decode((uint64_t)m.score)};
        if (!geo_inside(&s->shape, f.point, &f.metres)) continue;
        f.name = m.name.p == w.room ? name_copy(m.name) : m.name;
        found_add(l, &f);
    }
}

static int nearer(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return x->metres < y->metres ? -1 : x->metres > y->metres;
}
static int farther(const void *a, const void *b) { return nearer(b, a); }

static int compare_members(const void *a, const void *b) { return zmember_compare(a, b); }

static void store_found(struct cmd *c, const struct search *s, const struct found_list *l)
{
    struct zmember *members = scratch_alloc((l->n + 1) * sizeof *members);
    for (uint64_t i = 0; i < l->n; i++)
        members[i] = (struct zmember){l->at[i].name, s->store_distance ? l->at[i].metres / s->unit : l->at[i].score};
    qsort(members, l->n, sizeof *members, compare_members);
    zset_store_result(c, s->store, members, l->n, s->kind == GEO_SEARCH_STORE ? "geosearchstore" : "georadiusstore");
}

static void reply_found(struct cmd *c, const struct search *s, const struct found_list *l)
{
    uint64_t parts = (uint64_t)s->with_distance + s->with_hash + s->with_point;
    reply_array(c->out, l->n);
    for (uint64_t i = 0; i < l->n; i++) {
        const struct found *f = &l->at[i];
        if (parts) reply_array(c->out, parts + 1);
        reply_slice(c->out, f->name);
        if (s->with_distance) geo_reply_distance(c, f->metres / s->unit);
        if (s->with_hash) reply_int(c->out, (int64_t)f->score);
        if (s->with_point) geo_reply_point(c, f->point);
    }
}

static void search_generic(struct cmd *c, enum geo_command kind, bool read_only)
{
    struct search s = {.kind = kind, .read_only = read_only, .unit = 1};
    struct found_list l = {0};
    struct geo_run runs[GEO_RUNS_MAX];
    struct zset z;
    bool there;
    if (!zset_read(c, kind == GEO_SEARCH_STORE ? 2 : 1, &z, &there) || !parse(c, &z, there, &s)) return;
    if (there) {
        unsigned n = geo_runs(&s.shape, runs);
        for (unsigned i = 0; i < n; i++) search_run(&z, &s, &runs[i], &l);
    }
    if (s.count && s.sort == SORT_NONE && !s.any) s.sort = SORT_ASC; /* the nearest ones */
    if (s.sort != SORT_NONE && l.n) qsort(l.at, l.n, sizeof *l.at, s.sort == SORT_ASC ? nearer : farther);
    if (s.count) l.n = MIN(l.n, (uint64_t)s.count);
    if (s.store)
        store_found(c, &s, &l);
    else
        reply_found(c, &s, &l);
}

void cmd_georadius(struct cmd *c) { search_generic(c, GEO_RADIUS, false); }
void cmd_georadius_ro(struct cmd *c) { search_generic(c, GEO_RADIUS, true); }
void cmd_georadiusbymember(struct cmd *c) { search_generic(c, GEO_RADIUS_MEMBER, false); }
void cmd_georadiusbymember_ro(struct cmd *c) { search_generic(c, GEO_RADIUS_MEMBER, true); }
void cmd_geosearch(struct cmd *c) { search_generic(c, GEO_SEARCH, false); }
void cmd_geosearchstore(struct cmd *c) { search_generic(c, GEO_SEARCH_STORE, false); }
