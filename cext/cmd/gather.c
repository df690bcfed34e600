/* cmd/gather.c - private collections of members while a command works. Memory, locks: gather.h. */
#include "cmd/gather.h"

#include <string.h>

#include "base/clock.h"
#include "base/glob.h"
#include "base/num.h"

void names_add(struct names *l, struct slice name)
{
    if (l->n == l->cap) {
        uint64_t cap = l->cap ? l->cap * 2 : 16;
        struct slice *grown = scratch_alloc(cap * sizeof *grown);
        if (l->n) memcpy(grown, l->at, l->n * sizeof *grown);
        l->at = grown;
        l->cap = cap;
    }
    l->at[l->n++] = name;
}

struct slice name_keep(const struct lp_value *v)
{
    if (v->text) return (struct slice){v->text, v->n};
    uint8_t *room = scratch_alloc(NUM_I64_ROOM);
    return (struct slice){room, num_from_i64(room, v->number)};
}

struct slice name_copy(struct slice s)
{
    uint8_t *p = scratch_alloc(s.n + 1);
    memcpy(p, s.p, s.n);
    return (struct slice){p, s.n};
}

/* ---- the set ---- */

static void index_make(struct gather *g, uint64_t slots)
{
    g->index = scratch_alloc(slots * sizeof *g->index);
    memset(g->index, 0, slots * sizeof *g->index);
    g->mask = slots - 1;
    for (uint64_t i = 0; i < g->n; i++) {
        uint64_t at = g->items[i].hash & g->mask;
        while (g->index[at]) at = (at + 1) & g->mask;
        g->index[at] = (uint32_t)(i + 1);
    }
}

void gather_init(struct gather *g, uint64_t expect)
{
    uint64_t slots = 16;
    while (slots < expect * 2) slots *= 2;
    *g = (struct gather){.cap = MAX(expect, (uint64_t)8)};
    g->items = scratch_alloc(g->cap * sizeof *g->items);
    index_make(g, slots);
}

static struct gathered *find(const struct gather *g, struct slice name, uint64_t h)
{
    for (uint64_t at = h & g->mask; g->index[at]; at = (at + 1) & g->mask) {
        struct gathered *i = &g->items[g->index[at] - 1];
        if (i->hash == h && i->name.n == name.n && bytes_equal(i->name.p, name.p, name.n)) return i;
    }
    return NULL;
}

struct gathered *gather_find(const struct gather *g, struct slice name)
{
    struct gathered *i = find(g, name, hash_bytes(name.p, name.n, seg()->hash_seed));
    return i && !i->gone ? i : NULL;
}

static void grow(struct gather *g)
{
    struct gathered *items = scratch_alloc(g->cap * 2 * sizeof *items);
    memcpy(items, g->items, g->n * sizeof *items);
    g->items = items;
    g->cap *= 2;
    if (g->cap * 2 > g->mask + 1) index_make(g, (g->mask + 1) * 2);
}

struct gathered *gather_put(struct gather *g, struct slice name, bool *fresh)
{
    uint64_t h = hash_bytes(name.p, name.n, seg()->hash_seed);
    struct gathered *i = find(g, name, h);
    *fresh = !i || i->gone;
    if (i) {
        if (i->gone) {
            i->gone = false;
            i->score = 0;
            g->live++;
        }
        return i;
    }
    if (g->n == g->cap) grow(g);
    uint64_t at = h & g->mask;
    while (g->index[at]) at = (at + 1) & g->mask;
    g->index[at] = (uint32_t)(g->n + 1);
    g->items[g->n] = (struct gathered){name, 0, h, false};
    g->live++;
    return &g->items[g->n++];
}

void gather_take_out(struct gather *g, struct gathered *item)
{
    item->gone = true;
    g->live--;
}

/* ---- SCAN of one collection ---- */

bool scan_options(struct cmd *c, struct scan_args *a)
{
    a->pattern = SLICE("*");
    a->count = 10;
    for (uint32_t i = 3; i < c->argc; i += 2) {
        bool more = i + 1 < c->argc, count = more && arg_is(c, i, "COUNT");
        if (count && !arg_i64(c, i + 1, &a->count)) return false;
        if ((count && a->count < 1) || !(count || (more && arg_is(c, i, "MATCH")))) {
            reply_error(c->out, ERR_SYNTAX);
            return false;
        }
        if (!count) a->pattern = c->argv[i + 1];
    }
    a->every = a->pattern.n == 1 && a->pattern.p[0] == '*';
    return true;
}

bool scan_wants(const struct scan_args *a, struct slice name)
{
    return a->every || glob_match(a->pattern.p, a->pattern.n, name.p, name.n, false);
}

void scan_reply(struct cmd *c, uint64_t cursor, const struct names *l)
{
    uint8_t text[NUM_I64_ROOM];
    reply_array(c->out, 2);
    reply_bulk(c->out, text, num_from_u64(text, cursor));
    reply_array(c->out, l->n);
    for (uint64_t i = 0; i < l->n; i++) reply_slice(c->out, l->at[i]);
}

void scan_reply_none(struct cmd *c)
{
    static const struct names none;
    scan_reply(c, 0, &none);
}

uint64_t cmd_random(void)
{
    static uint64_t state;
    if (!state) state = (uint64_t)clock_mono_us() ^ (uint64_t)my_slot_index << 48 ^ seg()->hash_seed;
    state += 0x9e3779b97f4a7c15ull;
    return hash_u64(state, seg()->hash_seed);
}
