/* cmd/cmd_scan.c - walking a database: KEYS, SCAN, RANDOMKEY, DBSIZE.
 *
 * These rows are LOCK_SELF: keyspace/ takes one stripe at a time (none inside EXEC, where all are held), so a walk of a large
 * database never stops the writers of the others. Replies are private memory and may be built while a stripe is held.
 * DBSIZE sums counters without a lock and may miss what is written at this very moment by others.
 */
#include <string.h>

#include "base/glob.h"
#include "base/num.h"
#include "cmd/cmd.h"

struct walk {
    struct reply *out;
    struct slice pattern;
    bool every;      /* the pattern is "*" */
    const char *type; /* NULL: any */
    uint64_t seen;   /* keys looked at */
    uint64_t given;  /* keys replied */
};

static void give_key(const struct entry *e, void *arg)
{
    struct walk *w = arg;
    struct slice key = entry_key(e);
    w->seen++;
    if (w->type && strcmp(w->type, type_name(entry_type(e))) != 0) return;
    if (!w->every && !glob_match(w->pattern.p, w->pattern.n, key.p, key.n, false)) return;
    reply_slice(w->out, key);
    w->given++;
}

static bool matches_all(struct slice pattern)
{
    return pattern.n == 1 && pattern.p[0] == '*';
}

/* A pattern without special bytes can only match one key: look it up. */
static void keys_literal(struct cmd *c)
{
    struct key k = key_make(c->argv[1], c->db);
    uint32_t stripe = stripe_of(k.hash);
    bool held = txn_holds(c->txn, stripe);
    if (!held) txn_lock_stripe(c->txn, stripe);
    bool there = ks_peek(&k) != NULL;
    if (!held) txn_unlock(c->txn);
    reply_array(c->out, there);
    if (there) reply_slice(c->out, k.name);
}

void cmd_keys(struct cmd *c)
{
    struct walk w = {.out = c->out, .pattern = c->argv[1], .every = matches_all(c->argv[1])};
    if (glob_is_literal(w.pattern.p, w.pattern.n)) {
        keys_literal(c);
        return;
    }
    size_t place = reply_later(c->out);
    for (uint64_t cursor = 0; (cursor = ks_scan(c->db, cursor, give_key, &w)) != 0;) {}
    reply_later_array(c->out, place, w.given);
}

/* The type's name as we spell it; a name that is no type's matches nothing. */
static const char *type_of(struct slice name)
{
    static const enum obj_type types[] = {OBJ_STRING, OBJ_LIST, OBJ_SET, OBJ_ZSET, OBJ_HASH, OBJ_STREAM};
    for (uint32_t i = 0; i < ARRAY_LEN(types); i++)
        if (slice_is(name, type_name(types[i]))) return type_name(types[i]);
    return "";
}

/* The cursor stands before the keys but is known after them: appended, then rotated to `start`. */
static void put_cursor_before(struct reply *r, size_t start, uint64_t cursor)
{
    uint8_t text[NUM_I64_ROOM], bulk[NUM_I64_ROOM + 16];
    size_t end = reply_mark(r);
    reply_bulk(r, text, num_from_u64(text, cursor));
    size_t n = reply_mark(r) - end;
    if (r->broken || n > sizeof bulk) return;
    memcpy(bulk, r->buf + end, n);
    memmove(r->buf + start + n, r->buf + start, end - start);
    memcpy(r->buf + start, bulk, n);
}

enum { SCAN_MATCH = 1, SCAN_COUNT = 2, SCAN_TYPE = 4 };

void cmd_scan(struct cmd *c)
{
    struct slice pattern = SLICE("*"), type = {0};
    int64_t count = 10;
    uint64_t cursor;
    uint32_t seen = 0;
    const struct opt rows[] = {
        {"MATCH", OPT_SLICE, &pattern, SCAN_MATCH, 0},
        {"COUNT", OPT_COUNT, &count, SCAN_COUNT, 0},
        {"TYPE", OPT_SLICE, &type, SCAN_TYPE, 0},
    };
    if (!arg_cursor(c, 1, &cursor) || !parse_options(c, 2, rows, ARRAY_LEN(rows), &seen)) return;
    struct walk w = {.out = c->out, .pattern = pattern, .every = matches_all(pattern)};
    if (seen & SCAN_TYPE) w.type = type_of(type);
    reply_array(c->out, 2);
    size_t start = reply_mark(c->out), place = reply_later(c->out);
    do cursor = ks_scan(c->db, cursor, give_key, &w);
    while (cursor && w.seen < (uint64_t)count);
    reply_later_array(c->out, place, w.given);
    put_cursor_before(c->out, start, cursor);
}

void cmd_randomkey(struct cmd *c)
{
    struct slice name;
    if (ks_random_key(c->db, &name))
        reply_slice(c->out, name);
    else
        reply_null(c->out);
}

void cmd_dbsize(struct cmd *c)
{
    reply_int(c->out, (int64_t)ks_db_size(c->db));
}
