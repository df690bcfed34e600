/* cmd/cmd_hash_walk.c - all or some fields of a hash: HGETALL, HKEYS, HVALS, HSCAN, HRANDFIELD.
 *
 * Locks, transaction and death: as cmd/cmd.h says of handlers.
 */
#include <string.h>

#include "base/glob.h"
#include "base/num.h"
#include "cmd/cmd_hash.h"
#include "keyspace/internal.h"

enum { WITH_FIELD = 1, WITH_VALUE = 2 };

static void put(struct reply *r, const struct lp_value *v)
{
    if (v->text)
        reply_bulk(r, v->text, v->n);
    else
        reply_bulk_int(r, v->number);
}

struct walk {
    struct reply *out;
    uint32_t what;
    uint64_t given;
};

static bool give(const struct hash_field *f, void *arg)
{
    struct walk *w = arg;
    if (w->what & WITH_FIELD) put(w->out, &f->field);
    if (w->what & WITH_VALUE) put(w->out, &f->value);
    w->given++;
    return true;
}

static void all_fields(struct cmd *c, uint32_t what)
{
    struct key k = key_for(c, 1);
    const struct entry *e;
    struct hash h;
    struct walk w = {.out = c->out, .what = what};
    if (!hash_for_read(c, &k, &e, &h)) return;
    size_t place = reply_later(c->out);
    if (e) hash_each(h.enc, h.root, give, &w);
    if (what == (WITH_FIELD | WITH_VALUE))
        reply_later_map(c->out, place, w.given);
    else
        reply_later_array(c->out, place, w.given);
}

void cmd_hgetall(struct cmd *c) { all_fields(c, WITH_FIELD | WITH_VALUE); }
void cmd_hkeys(struct cmd *c) { all_fields(c, WITH_FIELD); }
void cmd_hvals(struct cmd *c) { all_fields(c, WITH_VALUE); }

/* ---- a list of fields in scratch memory ---- */

struct bag {
    struct hash_field *v;
    uint64_t n, room;
    struct slice pattern; /* p NULL: all */
    uint64_t seen;
};

static bool bag_add(const struct hash_field *f, void *arg)
{
    struct bag *b = arg;
    b->seen++;
    if (b->pattern.p) {
        uint8_t room[NUM_I64_ROOM];
        struct slice field = hash_text(&f->field, room);
        if (!glob_match(b->pattern.p, b->pattern.n, field.p, field.n, false)) return true;
    }
    if (b->n == b->room) {
        struct hash_field *grown = scratch_alloc((b->room = b->room ? b->room * 2 : 64) * sizeof *grown);
        if (b->n) memcpy(grown, b->v, b->n * sizeof *grown);
        b->v = grown;
    }
    b->v[b->n++] = *f;
    return true;
}

/* ---- HSCAN ---- */

enum { SCAN_MATCH = 1, SCAN_COUNT = 2 };

void cmd_hscan(struct cmd *c)
{
    struct key k = key_for(c, 1);
    const struct entry *e;
    struct hash h;
    struct slice pattern = {0};
    int64_t count = 10;
    uint64_t cursor;
    const struct opt rows[] = {
        {"MATCH", OPT_SLICE, &pattern, SCAN_MATCH, 0},
        {"COUNT", OPT_COUNT, &count, SCAN_COUNT, 0},
    };
    if (!arg_cursor(c, 2, &cursor) || !hash_for_read(c, &k, &e, &h)) return;
    if (!e) {
        reply_array(c->out, 2);
        reply_cstring(c->out, "0");
        reply_array(c->out, 0);
        return;
    }
    if (!parse_options(c, 3, rows, ARRAY_LEN(rows), NULL)) return;
    struct bag b = {.pattern = pattern.n == 1 && pattern.p[0] == '*' ? (struct slice){0} : pattern};
    uint64_t steps = (uint64_t)MIN(count, INT64_MAX / 10) * 10;
    do cursor = hash_scan(&h, cursor, bag_add, &b);
    while (cursor && --steps && b.seen < (uint64_t)count);
    uint8_t text[NUM_I64_ROOM];
    reply_array(c->out, 2);
    reply_bulk(c->out, text, num_from_u64(text, cursor));
    reply_array(c->out, b.n * 2);
    struct walk w = {.out = c->out, .what = WITH_FIELD | WITH_VALUE};
    for (uint64_t i = 0; i < b.n; i++) give(&b.v[i], &w);
}

/* ---- HRANDFIELD ---- */

#define SHUFFLE_MAX 1024u /* hashes of up to so many fields are shuffled, also for few picks */

static void give_pick(struct cmd *c, const struct hash_field *f, bool values)
{
    struct walk w = {.out = c->out, .what = values ? WITH_FIELD | WITH_VALUE : WITH_FIELD};
    if (values && c->out->resp > 2) reply_array(c->out, 2);
    give(f, &w);
}

static void reply_picks(struct cmd *c, uint64_t n, bool values) { reply_array(c->out, values && c->out->resp == 2 ? n * 2 : n); }

/* Fields that live are fewer than counted when some have expired: then the reply's length is known only from a list of them. */
static void random_with_repeats(struct cmd *c, const struct hash *h, uint64_t n, bool values)
{
    struct hash_field f;
    if (hash_earliest(h->enc, h->root) && hash_field_expired(hash_earliest(h->enc, h->root))) {
        struct bag b = {0};
        hash_each(h->enc, h->root, bag_add, &b);
        reply_picks(c, b.n ? n : 0, values);
        for (uint64_t i = 0; b.n && i < n && !c->out->broken; i++) give_pick(c, &b.v[ks_random() % b.n], values);
        return;
    }
    reply_picks(c, n, values);
    for (uint64_t i = 0; i < n && !c->out->broken; i++)
        if (hash_random(h, &f)) give_pick(c, &f, values);
}

static void random_distinct(struct cmd *c, const struct hash *h, uint64_t n, bool values)
{
    struct bag b = {0};
    hash_each(h->enc, h->root, bag_add, &b);
    n = MIN(n, b.n);
    reply_picks(c, n, values);
    for (uint64_t i = 0; i < n; i++) { /* Fisher and Yates, as far as needed */
        uint64_t j = i + ks_random() % (b.n - i);
        struct hash_field f = b.v[j];
        b.v[j] = b.v[i];
        b.v[i] = f;
        give_pick(c, &f, values);
    }
}

/* Few of many: random picks, those that came before left out. */
static void random_few_distinct(struct cmd *c, const struct hash *h, uint64_t n, bool values)
{
    uint64_t places = 16;
    while (places < n * 2) places *= 2;
    const uint8_t **taken = scratch_alloc(places * sizeof *taken); /* where a picked field's text lies: an open hash table */
    memset(taken, 0, places * sizeof *taken);
    size_t place = reply_later(c->out);
    uint64_t given = 0;
    for (uint64_t tries = 0; given < n && tries < n * 32 + 1000; tries++) {
        struct hash_field f;
        if (!hash_random(h, &f)) break;
        uint64_t i = hash_u64((uint64_t)(uintptr_t)f.field.text, 0) & (places - 1);
        while (taken[i] && taken[i] != f.field.text) i = (i + 1) & (places - 1);
        if (taken[i]) continue;
        taken[i] = f.field.text;
        give_pick(c, &f, values);
        given++;
    }
    reply_later_array(c->out, place, values && c->out->resp == 2 ? given * 2 : given);
}

static void random_many(struct cmd *c, int64_t count, bool values)
{
    struct key k = key_for(c, 1);
    const struct entry *e;
    struct hash h;
    if (!hash_for_read(c, &k, &e, &h)) return;
    uint64_t length = hash_length(&h);
    if (!e || count == 0)
        reply_array(c->out, 0);
    else if (count < 0)
        random_with_repeats(c, &h, (uint64_t)-count, values);
    else if (h.enc != ENC_HASHTABLE || length <= SHUFFLE_MAX || (uint64_t)count > length / 3)
        random_distinct(c, &h, (uint64_t)count, values);
    else
        random_few_distinct(c, &h, (uint64_t)count, values);
}

void cmd_hrandfield(struct cmd *c)
{
    int64_t count;
    if (c->argc >= 3) {
        if (!arg_i64_range(c, 2, -INT64_MAX, INT64_MAX, &count)) return;
        if (c->argc > 4 || (c->argc == 4 && !arg_is(c, 3, "WITHVALUES")))
            reply_error(c->out, ERR_SYNTAX);
        else if (c->argc == 4 && (count < -INT64_MAX / 2 || count > INT64_MAX / 2))
            reply_error(c->out, ERR_NOTINRANGE);
        else
            random_many(c, count, c->argc == 4);
        return;
    }
    struct key k = key_for(c, 1);
    const struct entry *e;
    struct hash h;
    struct hash_field f;
    if (!hash_for_read(c, &k, &e, &h)) return;
    if (!e || !hash_random(&h, &f))
        reply_null(c->out);
    else
        put(c->out, &f.field);
}
