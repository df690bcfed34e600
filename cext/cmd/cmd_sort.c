/* cmd/cmd_sort.c - SORT and SORT_RO of lists, sets and sorted sets.
 *
 * Elements are gathered in private memory with what they are compared by, sorted there, and replied or stored. BY and GET patterns name
 * keys that the arguments do not: the rows are LOCK_PATTERN, so with patterns every stripe is held.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "cmd/cmd_string.h"
#include "cmd/gather.h"
#include "types/hash.h"
#include "types/list.h"
#include "types/set.h"
#include "types/zset.h"

struct element {
    struct slice text;
    struct slice by;    /* what it is compared by, with BY ... ALPHA */
    bool has_by;        /* the key that BY names is there */
    double weight;      /* what it is compared by, without ALPHA */
};

struct sort {
    struct cmd *c;
    bool falling, alpha, ordered; /* ordered: BY a constant, as the value's own order is */
    int64_t skip, count;          /* LIMIT; count -1 = all */
    struct slice by;              /* pattern; n 0 = none */
    struct names get;             /* patterns */
    uint32_t store;               /* argument of the key to store at; 0 = reply */
    struct element *at;
    uint64_t n, room;
    uint64_t first, end;          /* of the elements to give */
};

/* ---- arguments ---- */

static bool has_star(struct slice pattern)
{
    return pattern.n && memchr(pattern.p, '*', pattern.n);
}

static bool parse(struct sort *s, bool read_only)
{
    struct cmd *c = s->c;
    for (uint32_t i = 2; i < c->argc; i++) {
        uint32_t left = c->argc - i - 1;
        if (arg_is(c, i, "ASC")) {
            s->falling = false;
        } else if (arg_is(c, i, "DESC")) {
            s->falling = true;
        } else if (arg_is(c, i, "ALPHA")) {
            s->alpha = true;
        } else if (arg_is(c, i, "LIMIT") && left >= 2) {
            if (!arg_i64(c, i + 1, &s->skip) || !arg_i64(c, i + 2, &s->count)) return false;
            i += 2;
        } else if (!read_only && arg_is(c, i, "STORE") && left >= 1) {
            s->store = ++i;
        } else if (arg_is(c, i, "BY") && left >= 1) {
            s->by = c->argv[++i];
            s->ordered = !has_star(s->by);
        } else if (arg_is(c, i, "GET") && left >= 1) {
            names_add(&s->get, c->argv[++i]);
        } else {
            reply_error(c->out, ERR_SYNTAX);
            return false;
        }
    }
    return true;
}

/* ---- patterns ---- */

static struct slice string_kept(const struct entry *e)
{
    if (entry_enc(e) != ENC_INT) return entry_bytes(e);
    struct digits *room = scratch_alloc(sizeof *room);
    return string_bytes(e, room);
}

/* "->" behind the star, with something after it: the rest is a hash field. */
static size_t arrow_of(struct slice pattern, size_t star)
{
    for (size_t i = star + 1; i + 2 < pattern.n; i++)
        if (pattern.p[i] == '-' && pattern.p[i + 1] == '>') return i;
    return pattern.n;
}

/* What the pattern names, with the element in place of its star: a string, a hash's field, or for "#" the element. False: nothing. */
static bool look_up(const struct sort *s, struct slice pattern, struct slice element, struct slice *value)
{
    if (pattern.n == 1 && pattern.p[0] == '#') {
        *value = element;
        return true;
    }
    const uint8_t *star = pattern.n ? memchr(pattern.p, '*', pattern.n) : NULL;
    if (!star) return false;
    size_t before = (size_t)(star - pattern.p), arrow = arrow_of(pattern, before), after = arrow - before - 1;
    uint8_t *name = scratch_alloc(before + element.n + after + 1);
    memcpy(name, pattern.p, before);
    if (element.n) memcpy(name + before, element.p, element.n);
    memcpy(name + before + element.n, star + 1, after);
    struct key k = key_make((struct slice){name, before + element.n + after}, s->c->db);
    const struct entry *e = ks_read(&k);
    if (!e) return false;
    if (arrow == pattern.n) {
        if (entry_type(e) != OBJ_STRING) return false;
        *value = string_kept(e);
        return true;
    }
    if (entry_type(e) != OBJ_HASH) return false;
    struct hash h = hash_of(e);
    struct hash_field f;
    if (!hash_find(&h, (struct slice){pattern.p + arrow + 2, pattern.n - arrow - 2}, &f)) return false;
    *value = name_keep(&f.value);
    return true;
}

/* ---- gathering ---- */

static bool add_text(struct sort *s, struct slice text)
{
    s->at[s->n++] = (struct element){.text = text};
    return s->n < s->room;
}

static bool add_value(const struct lp_value *v, void *arg) { return add_text(arg, name_keep(v)); }

static void add_zset(struct sort *s, const struct zset *z, uint64_t rank, bool down)
{
    struct zset_walk w;
    struct zmember m;
    zset_walk_from(z, &w, rank, down);
    while (s->n < s->room && zset_walk_next(&w, &m)) add_text(s, m.name.p == w.room ? name_copy(m.name) : m.name);
}

static void add_list(struct sort *s, const struct list *l, int64_t index, enum list_end to)
{
    struct list_place p;
    struct lp_value v;
    uint8_t room[LIST_TEXT_ROOM];
    for (bool more = list_seek(l, index, &p); more && s->n < s->room; more = list_step(l, &p, to)) {
        list_get(&p, &v, room);
        if (v.text == room)
            add_text(s, name_copy((struct slice){v.text, v.n}));
        else
            add_value(&v, s);
    }
}

static uint64_t value_length(const struct entry *e)
{
    struct list l;
    struct set set;
    struct zset z;
    switch (entry_type(e)) {
    case OBJ_LIST: l = list_of(e); return list_length(&l);
    case OBJ_SET: set = set_of(e); return set_count(&set);
    default: z = zset_of(e); return zset_count(&z);
    }
}

/* LIMIT's bounds, cut to what is there. */
static void set_bounds(struct sort *s, uint64_t length)
{
    uint64_t skip = MIN((uint64_t)MAX(s->skip, 0), length), left = length - skip;
    s->first = skip;
    s->end = skip + (s->count < 0 ? left : MIN((uint64_t)s->count, left));
}

/* Only the part that LIMIT asks for is read where the value's own order is the result's. */
static void gather(struct sort *s, const struct entry *e)
{
    uint64_t length = value_length(e);
    enum obj_type type = entry_type(e);
    set_bounds(s, length);
    bool part = s->ordered && type != OBJ_SET, back = part && s->falling;
    s->room = part ? s->end - s->first : length;
    if (!s->room) return;
    s->at = scratch_alloc(s->room * sizeof *s->at);
    uint64_t from = part ? (back ? length - 1 - s->first : s->first) : 0;
    if (type == OBJ_SET) {
        set_each(entry_enc(e), *entry_root(e), add_value, s);
    } else if (type == OBJ_LIST) {
        struct list l = list_of(e);
        add_list(s, &l, (int64_t)from, back ? LIST_HEAD : LIST_TAIL);
    } else {
        struct zset z = zset_of(e);
        add_zset(s, &z, from, back);
    }
    if (part) {
        s->first = 0;
        s->end = s->n;
    }
}

/* ---- comparing ---- */

static bool weight_of(struct slice text, double *weight)
{
    if (num_parse_double(text.p, text.n, weight)) return true;
    char *copy = scratch_alloc(text.n + 1), *end;
    if (text.n) memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    errno = 0;
    *weight = strtod(copy, &end);
    return *end == 0 && errno != ERANGE && !isnan(*weight);
}

/* Finds what each element is compared by; false: one is no number. */
static bool weigh(struct sort *s)
{
    bool numbers = true;
    for (uint64_t i = 0; i < s->n; i++) {
        struct element *x = &s->at[i];
        struct slice by = x->text;
        if (s->by.n && !look_up(s, s->by, x->text, &by)) continue;
        x->has_by = true;
        x->by = by;
        if (!s->alpha && !weight_of(by, &x->weight)) numbers = false;
    }
    return numbers;
}

static const struct sort *sorting; /* of the qsort under way: its comparison has no argument of its own */

static int compare(const void *a, const void *b)
{
    const struct element *x = a, *y = b;
    int order;
    if (!sorting->alpha) {
        order = x->weight > y->weight ? 1 : x->weight < y->weight ? -1 : slice_compare(x->text, y->text);
    } else if (x->has_by && y->has_by) {
        order = slice_compare(x->by, y->by);
    } else {
        order = (int)x->has_by - (int)y->has_by;
    }
    return sorting->falling ? -order : order;
}

/* ---- the result ---- */

static void reply_result(struct sort *s)
{
    struct reply *r = s->c->out;
    reply_array(r, (s->end - s->first) * MAX(s->get.n, (uint64_t)1));
    for (uint64_t i = s->first; i < s->end; i++) {
        if (!s->get.n) reply_slice(r, s->at[i].text);
        for (uint64_t g = 0; g < s->get.n; g++) {
            struct slice v;
            if (look_up(s, s->get.at[g], s->at[i].text, &v))
                reply_slice(r, v);
            else
                reply_null(r);
        }
    }
}

static void store_result(struct sort *s)
{
    struct cmd *c = s->c;
    struct names out = {0};
    uint64_t bytes = 0;
    for (uint64_t i = s->first; i < s->end; i++) {
        if (!s->get.n) names_add(&out, s->at[i].text);
        for (uint64_t g = 0; g < s->get.n; g++) {
            struct slice v = SLICE("");
            look_up(s, s->get.at[g], s->at[i].text, &v);
            names_add(&out, v);
        }
    }
    for (uint64_t i = 0; i < out.n; i++) bytes += out.at[i].n;
    struct key k = key_for(c, s->store);
    struct entry *old = ks_write(c->txn, &k);
    if (out.n) {
        struct list l = LIST_EMPTY;
        txn_expect(c->txn, bytes + out.n * 4);
        list_expect(c->txn, &l, bytes, out.n);
        for (uint64_t i = 0; i < out.n; i++) list_push(c->txn, &l, LIST_TAIL, out.at[i]);
        ks_set_object(c->txn, &k, OBJ_LIST, l.enc, l.root, TTL_CLEAR);
        cmd_modified(c, &k, 'l', "sortstore");
        c->dirty += out.n - 1;
    } else if (old) {
        ks_delete(c->txn, &k);
        cmd_modified(c, &k, 'g', "del");
    }
    reply_int(c->out, (int64_t)out.n);
}

static void sort_generic(struct cmd *c, bool read_only)
{
    struct sort s = {.c = c, .count = -1};
    if (!parse(&s, read_only)) return;
    struct key k = key_for(c, 1);
    const struct entry *e = ks_read(&k);
    if (e && entry_type(e) != OBJ_LIST && entry_type(e) != OBJ_SET && entry_type(e) != OBJ_ZSET) {
        reply_error(c->out, ERR_WRONGTYPE);
        return;
    }
    if (e && s.ordered && entry_type(e) == OBJ_SET && s.store) { /* a stored order must not depend on the table's */
        s.ordered = false;
        s.alpha = true;
        s.by = (struct slice){0};
    }
    if (e) gather(&s, e);
    if (!s.ordered) {
        if (!weigh(&s)) {
            reply_errorf(c->out, "ERR One or more scores can't be converted into double");
            return;
        }
        sorting = &s;
        if (s.n) qsort(s.at, s.n, sizeof *s.at, compare);
    }
    if (s.store)
        store_result(&s);
    else
        reply_result(&s);
}

void cmd_sort(struct cmd *c) { sort_generic(c, false); }
void cmd_sort_ro(struct cmd *c) { sort_generic(c, true); }
