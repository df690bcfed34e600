/* cmd/cmd_set_algebra.c - unions, intersections and differences of sets, replied or stored.
 *
 * The rows' keys are all locked, so what is read is one moment of all of them, and what is stored appears at once: the result is gathered
 * in private memory, built as a new set and swapped in. Complexities are Redis': an intersection walks the smallest set; a difference
 * chooses between looking up and taking out.
 */
#include <stdlib.h>

#include "cmd/cmd_set.h"
#include "cmd/gather.h"

struct sources {
    struct set *sets; /* of the keys that exist, in order; `there[i]` tells for key i */
    bool *there;
    uint32_t n;       /* keys */
    uint32_t missing; /* of them */
};

/* Looks up argv[first..first+n). False: one is not a set, WRONGTYPE was replied. */
static bool read_sources(struct cmd *c, uint32_t first, uint32_t n, struct sources *s)
{
    *s = (struct sources){scratch_alloc(n * sizeof(struct set)), scratch_alloc(n), n, 0};
    for (uint32_t i = 0; i < n; i++) {
        struct key k = key_for(c, first + i);
        const struct entry *e = ks_read(&k);
        if (wrong_type(c, e, OBJ_SET)) return false;
        s->there[i] = e != NULL;
        s->sets[i] = e ? set_of(e) : (struct set){ENC_INTSET, 0};
        s->missing += !e;
    }
    return true;
}

/* ---- replying and storing ---- */

static void reply_names(struct cmd *c, const struct names *l)
{
    reply_set(c->out, l->n);
    for (uint64_t i = 0; i < l->n; i++) reply_slice(c->out, l->at[i]);
}

static void store_names(struct cmd *c, const struct names *l, const char *event)
{
    struct key k = key_for(c, 1);
    struct entry *old = ks_write(c->txn, &k);
    if (l->n) {
        txn_expect(c->txn, l->n * 64); /* a member of some 20 bytes in item, table and undo record */
        struct set s = set_build(c->txn, l->at, l->n);
        ks_set_object(c->txn, &k, OBJ_SET, s.enc, s.root, TTL_CLEAR);
        cmd_modified(c, &k, 's', event);
    } else if (old) {
        ks_delete(c->txn, &k);
        cmd_modified(c, &k, 'g', "del");
    }
    reply_int(c->out, (int64_t)l->n);
}

/* ---- intersection ---- */

static int by_count(const void *a, const void *b)
{
    uint64_t x = set_count(a), y = set_count(b);
    return x < y ? -1 : x > y;
}

struct inter {
    const struct sources *s;
    struct names *out; /* NULL: only counted */
    uint64_t count, limit; /* limit 0 = none */
};

static bool inter_member(const struct lp_value *v, void *arg)
{
    struct inter *i = arg;
    uint8_t room[NUM_I64_ROOM];
    struct slice name = set_text(v, room);
    for (uint32_t k = 1; k < i->s->n; k++)
        if (!set_has(&i->s->sets[k], name)) return true;
    i->count++;
    if (i->out) names_add(i->out, name_keep(v));
    return i->count != i->limit;
}

static uint64_t intersect(struct sources *s, struct names *out, uint64_t limit)
{
    struct inter i = {s, out, 0, limit};
    if (s->missing) return 0;
    qsort(s->sets, s->n, sizeof *s->sets, by_count);
    set_each(s->sets[0].enc, s->sets[0].root, inter_member, &i);
    return i.count;
}

void cmd_sinter(struct cmd *c)
{
    struct sources s;
    struct names l = {0};
    if (!read_sources(c, 1, c->argc - 1, &s)) return;
    intersect(&s, &l, 0);
    reply_names(c, &l);
}

void cmd_sinterstore(struct cmd *c)
{
    struct sources s;
    struct names l = {0};
    if (!read_sources(c, 2, c->argc - 2, &s)) return;
    intersect(&s, &l, 0);
    store_names(c, &l, "sinterstore");
}

void cmd_sintercard(struct cmd *c)
{
    struct sources s;
    int64_t n, limit = 0;
    if (!num_parse_i64(c->argv[1].p, c->argv[1].n, &n) || n < 1) {
        reply_error(c->out, ERR_NUMKEYS);
        return;
    }
    if (n > (int64_t)c->argc - 2) {
        reply_error(c->out, ERR_TOOMANYKEYS);
        return;
    }
    for (uint32_t i = 2 + (uint32_t)n; i < c->argc; i += 2) {
        if (!arg_is(c, i, "LIMIT") || i + 1 == c->argc) {
            reply_error(c->out, ERR_SYNTAX);
            return;
        }
        if (!num_parse_i64(c->argv[i + 1].p, c->argv[i + 1].n, &limit) || limit < 0) {
            reply_error(c->out, ERR_NEGATIVELIMIT);
            return;
        }
    }
    if (read_sources(c, 2, (uint32_t)n, &s)) reply_int(c->out, (int64_t)intersect(&s, NULL, (uint64_t)limit));
}

/* ---- union ---- */

static bool union_member(const struct lp_value *v, void *arg)
{
    struct gather *g = arg;
    uint8_t room[NUM_I64_ROOM];
    bool fresh;
    if (v->text)
        gather_put(g, (struct slice){v->text, v->n}, &fresh);
    else if (!gather_find(g, set_text(v, room)))
        gather_put(g, name_keep(v), &fresh);
    return true;
}

static void gather_names(const struct gather *g, struct names *l)
{
    for (uint64_t i = 0; i < g->n; i++)
        if (!g->items[i].gone) names_add(l, g->items[i].name);
}

static bool collect(const struct lp_value *v, void *arg)
{
    names_add(arg, name_keep(v));
    return true;
}

static void unite(const struct sources *s, struct names *l)
{
    struct gather g;
    uint64_t largest = 0;
    if (s->n - s->missing == 1) {
        for (uint32_t i = 0; i < s->n; i++)
            if (s->there[i]) set_each(s->sets[i].enc, s->sets[i].root, collect, l);
        return;
    }
    for (uint32_t i = 0; i < s->n; i++) largest = MAX(largest, set_count(&s->sets[i]));
    gather_init(&g, largest);
    for (uint32_t i = 0; i < s->n; i++)
        if (s->there[i]) set_each(s->sets[i].enc, s->sets[i].root, union_member, &g);
    gather_names(&g, l);
}

void cmd_sunion(struct cmd *c)
{
    struct sources s;
    struct names l = {0};
    if (!read_sources(c, 1, c->argc - 1, &s)) return;
    unite(&s, &l);
    reply_names(c, &l);
}

void cmd_sunionstore(struct cmd *c)
{
    struct sources s;
    struct names l = {0};
    if (!read_sources(c, 2, c->argc - 2, &s)) return;
    unite(&s, &l);
    store_names(c, &l, "sunionstore");
}

/* ---- difference ---- */

struct diff {
    const struct sources *s;
    struct names *out;
};

/* First way: every member of the first set is looked up in the others, the largest of them first. */
static bool diff_member(const struct lp_value *v, void *arg)
{
    struct diff *d = arg;
    uint8_t room[NUM_I64_ROOM];
    struct slice name = set_text(v, room);
    for (uint32_t k = 1; k < d->s->n; k++)
        if (set_has(&d->s->sets[k], name)) return true;
    names_add(d->out, name_keep(v));
    return true;
}

/* Second way: the first set is gathered, the members of the others are taken out. */
static bool take_out_member(const struct lp_value *v, void *arg)
{
    struct gather *g = arg;
    uint8_t room[NUM_I64_ROOM];
    struct gathered *i = gather_find(g, set_text(v, room));
    if (i) gather_take_out(g, i);
    return g->live != 0;
}

static int by_count_falling(const void *a, const void *b) { return by_count(b, a); }

static void subtract(const struct sources *s, struct names *l)
{
    uint64_t first = set_count(&s->sets[0]), look_up = 0, take_out = 0;
    if (!s->there[0] || !first) return;
    for (uint32_t i = 0; i < s->n; i++) {
        look_up += first;
        take_out += set_count(&s->sets[i]);
    }
    if (look_up / 2 <= take_out) { /* looking up touches less memory and may end early */
        struct diff d = {s, l};
        if (s->n > 2) qsort(s->sets + 1, s->n - 1, sizeof *s->sets, by_count_falling);
        set_each(s->sets[0].enc, s->sets[0].root, diff_member, &d);
        return;
    }
    struct gather g;
    gather_init(&g, first);
    set_each(s->sets[0].enc, s->sets[0].root, union_member, &g);
    for (uint32_t i = 1; i < s->n && g.live; i++) set_each(s->sets[i].enc, s->sets[i].root, take_out_member, &g);
    gather_names(&g, l);
}

void cmd_sdiff(struct cmd *c)
{
    struct sources s;
    struct names l = {0};
    if (!read_sources(c, 1, c->argc - 1, &s)) return;
    subtract(&s, &l);
    reply_names(c, &l);
}

void cmd_sdiffstore(struct cmd *c)
{
    struct sources s;
    struct names l = {0};
    if (!read_sources(c, 2, c->argc - 2, &s)) return;
    subtract(&s, &l);
    store_names(c, &l, "sdiffstore");
}

/* SMEMBERS is the intersection of one set. */
void cmd_smembers(struct cmd *c)
{
    struct key k = key_for(c, 1);
    const struct entry *e = ks_read(&k);
    if (wrong_type(c, e, OBJ_SET)) return;
    struct names l = {0};
    if (e) {
        struct set s = set_of(e);
        set_each(s.enc, s.root, collect, &l);
    }
    reply_names(c, &l);
}
