/* cmd/cmd_zset.c - commands on single members of a sorted set. What a sorted set is: types/zset.h; ranges: cmd_zset_range.c, taking from
 * the ends: cmd_zset_pop.c, several sets: cmd_zset_algebra.c. */
#include "cmd/cmd_zset.h"

#include <math.h>

#include "base/num.h"
#include "cmd/client.h"
#include "cmd/gather.h"

/* ---- shared with the other sorted set commands ---- */

bool zset_read(struct cmd *c, uint32_t arg, struct zset *z, bool *there)
{
    struct key k = key_for(c, arg);
    const struct entry *e = ks_read(&k);
    if (wrong_type(c, e, OBJ_ZSET)) return false;
    *there = e != NULL;
    if (e) *z = zset_of(e);
    return true;
}

void zset_store(struct cmd *c, const struct key *k, struct entry *e, const struct zset *z)
{
    if (e)
        ks_set_root(c->txn, e, z->enc, z->root);
    else
        ks_set_object(c->txn, k, OBJ_ZSET, z->enc, z->root, TTL_CLEAR);
}

bool zset_delete_if_empty(struct cmd *c, const struct key *k, const struct zset *z)
{
    if (zset_count(z)) return false;
    ks_delete(c->txn, k);
    cmd_notify(c, k, 'g', "del");
    return true;
}

void zset_store_result(struct cmd *c, uint32_t arg, const struct zmember *members, uint64_t n, const char *event)
{
    struct key k = key_for(c, arg);
    struct entry *old = ks_write(c->txn, &k);
    if (n) {
        txn_expect(c->txn, n * 96); /* a member of some 20 bytes in item, table, tree and undo record */
        struct zset z = zset_build(c->txn, members, n);
        ks_set_object(c->txn, &k, OBJ_ZSET, z.enc, z.root, TTL_CLEAR);
        cmd_modified(c, &k, 'z', event);
    } else if (old) {
        ks_delete(c->txn, &k);
        cmd_modified(c, &k, 'g', "del");
    }
    reply_int(c->out, (int64_t)n);
}

void reply_members_head(struct reply *r, uint64_t n, bool scores) { reply_array(r, scores && r->resp == 2 ? 2 * n : n); }

void reply_member(struct reply *r, const struct zmember *m, bool scores)
{
    if (scores && r->resp == 3) reply_array(r, 2);
    reply_slice(r, m->name);
    if (scores) reply_double(r, m->score);
}

void members_add(struct members *l, struct slice name, double score)
{
    if (l->n == l->cap) {
        uint64_t cap = l->cap ? l->cap * 2 : 16;
        struct zmember *grown = scratch_alloc(cap * sizeof *grown);
        if (l->n) memcpy(grown, l->at, l->n * sizeof *grown);
        l->at = grown;
        l->cap = cap;
    }
    l->at[l->n++] = (struct zmember){name, score};
}

/* ---- adding ---- */

static bool add_options_fit(struct cmd *c, uint32_t how, uint32_t pairs)
{
    const char *error = NULL;
    if (how & ZADD_NX && how & ZADD_XX)
        error = "ERR XX and NX options at the same time are not compatible";
    else if ((how & ZADD_NX && how & (ZADD_GT | ZADD_LT)) || (how & ZADD_GT && how & ZADD_LT))
        error = "ERR GT, LT, and/or NX options at the same time are not compatible";
    else if (how & ZADD_INCR && pairs > 1)
        error = "ERR INCR option supports a single increment-element pair";
    if (error) reply_errorf(c->out, "%s", error);
    return !error;
}

/* What an INCR that did not happen, or only XX on no key, replies. */
static void reply_added(struct cmd *c, uint32_t how, bool processed, double score, uint64_t count)
{
    if (!(how & ZADD_INCR))
        reply_int(c->out, (int64_t)count);
    else if (processed)
        reply_double(c->out, score);
    else
        reply_null(c->out);
}

void zset_add_members(struct cmd *c, const struct zmember *members, uint32_t n, uint32_t how, bool count_changed)
{
    uint64_t added = 0, updated = 0, processed = 0;
    double now = 0;
    struct key k = key_for(c, 1);
    struct entry *e = ks_write(c->txn, &k);
    if (wrong_type(c, e, OBJ_ZSET)) return;
    if (!e && how & ZADD_XX) {
        reply_added(c, how, false, 0, 0);
        return;
    }
    struct zset z = e ? zset_of(e) : zset_create(c->txn, n, members[0].name.n);
    if (e) zset_expect(c->txn, &z, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t done = zset_add(c->txn, &z, members[i].name, members[i].score, how, &now);
        if (done & ZADD_NAN) { /* only of INCR, with a single pair: nothing was changed */
            reply_error(c->out, ERR_SCORE_NAN);
            return;
        }
        added += (done & ZADD_ADDED) != 0;
        updated += (done & ZADD_UPDATED) != 0;
        processed += !(done & ZADD_NOP);
    }
    zset_store(c, &k, e, &z); /* also without a change: a long row of members may have changed the encoding */
    if (added + updated) {
        cmd_modified(c, &k, 'z', how & ZADD_INCR ? "zincr" : "zadd");
        c->dirty += added + updated - 1;
    }
    reply_added(c, how, processed, now, added + (count_changed ? updated : 0));
}

/* Pairs of score and member from argv[first] on. */
static void add_pairs(struct cmd *c, uint32_t first, uint32_t how, bool count_changed)
{
    uint32_t pairs = (c->argc - first) / 2;
    struct zmember few[8], *members = pairs <= 8 ? few : scratch_alloc(pairs * sizeof *members);
    if ((c->argc - first) % 2 || !pairs) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (how && !add_options_fit(c, how, pairs)) return;
    for (uint32_t i = 0; i < pairs; i++) {
        if (!arg_double(c, first + 2 * i, &members[i].score, NULL)) return;
        members[i].name = c->argv[first + 2 * i + 1];
    }
    zset_add_members(c, members, pairs, how, count_changed);
}

void cmd_zadd(struct cmd *c)
{
    static const struct {
        const char *word;
        uint32_t bit;
    } words[] = {{"NX", ZADD_NX}, {"XX", ZADD_XX}, {"GT", ZADD_GT}, {"LT", ZADD_LT}, {"INCR", ZADD_INCR}, {"CH", 0}};
    uint32_t how = 0, first = 2;
    bool changed = false;
    for (; first < c->argc; first++) {
        uint32_t w = 0;
        if (!c->argv[first].n || (c->argv[first].p[0] | 0x20) < 'a') break; /* a digit or sign: most calls have no option */
        while (w < ARRAY_LEN(words) && !arg_is(c, first, words[w].word)) w++;
        if (w == ARRAY_LEN(words)) break;
        how |= words[w].bit;
        changed |= !words[w].bit;
    }
    add_pairs(c, first, how, changed);
}

void cmd_zincrby(struct cmd *c) { add_pairs(c, 2, ZADD_INCR, false); }

void cmd_zrem(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e = ks_write(c->txn, &k);
    if (wrong_type(c, e, OBJ_ZSET)) return;
    uint64_t removed = 0;
    if (e) {
        struct zset z = zset_of(e);
        for (uint32_t i = 2; i < c->argc && zset_count(&z); i++) removed += zset_remove(c->txn, &z, c->argv[i]);
        if (removed) {
            zset_store(c, &k, e, &z);
            cmd_modified(c, &k, 'z', "zrem");
            c->dirty += removed - 1;
            zset_delete_if_empty(c, &k, &z);
        }
    }
    reply_int(c->out, (int64_t)removed);
}

/* ---- asking ---- */

void cmd_zcard(struct cmd *c)
{
    struct zset z;
    bool there;
    if (zset_read(c, 1, &z, &there)) reply_int(c->out, there ? (int64_t)zset_count(&z) : 0);
}

void cmd_zscore(struct cmd *c)
{
    struct zset z;
    bool there;
    double score;
    if (!zset_read(c, 1, &z, &there)) return;
    if (there && zset_score(&z, c->argv[2], &score))
        reply_double(c->out, score);
    else
        reply_null(c->out);
}

void cmd_zmscore(struct cmd *c)
{
    struct zset z;
    bool there;
    double score;
    if (!zset_read(c, 1, &z, &there)) return;
    reply_array(c->out, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++) {
        if (there && zset_score(&z, c->argv[i], &score))
            reply_double(c->out, score);
        else
            reply_null(c->out);
    }
}

static void rank_generic(struct cmd *c, bool reverse)
{
    struct zset z;
    bool there, with_score = c->argc == 4;
    double score;
    if (c->argc > 4) {
        reply_errorf(c->out, "ERR wrong number of arguments for '%s' command", reverse ? "zrevrank" : "zrank");
        return;
    }
    if (with_score && !arg_is(c, 3, "WITHSCORE")) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (!zset_read(c, 1, &z, &there)) return;
    int64_t rank = there ? zset_rank(&z, c->argv[2], &score) : -1;
    if (rank < 0) {
        if (with_score)
            reply_null_array(c->out);
        else
            reply_null(c->out);
        return;
    }
    if (reverse) rank = (int64_t)zset_count(&z) - 1 - rank;
    if (with_score) reply_array(c->out, 2);
    reply_int(c->out, rank);
    if (with_score) reply_double(c->out, score);
}

void cmd_zrank(struct cmd *c) { rank_generic(c, false); }
void cmd_zrevrank(struct cmd *c) { rank_generic(c, true); }

/* ---- walking ---- */

struct scan {
    struct scan_args args;
    struct names found;
    int64_t seen;
};

static void scan_member(const struct zmember *m, void *arg)
{
    struct scan *s = arg;
    s->seen++;
    if (!scan_wants(&s->args, m->name)) return;
    uint8_t text[NUM_DOUBLE_ROOM];
    names_add(&s->found, name_copy(m->name));
    names_add(&s->found, name_copy((struct slice){text, num_from_double(text, m->score)}));
}

void cmd_zscan(struct cmd *c)
{
    struct scan s = {0};
    struct zset z;
    bool there;
    if (!arg_cursor(c, 2, &s.args.cursor) || !zset_read(c, 1, &z, &there)) return;
    if (!there) {
        scan_reply_none(c);
        return;
    }
    if (!scan_options(c, &s.args)) return;
    uint64_t cursor = s.args.cursor;
    do cursor = zset_scan(&z, cursor, scan_member, &s);
    while (cursor && s.seen < s.args.count);
    scan_reply(c, cursor, &s.found);
}

/* ---- random members ---- */

static void reply_rank(struct cmd *c, const struct zset *z, uint64_t rank, bool scores)
{
    struct zset_walk w;
    struct zmember m;
    zset_walk_from(z, &w, rank, false);
    ENSURE(zset_walk_next(&w, &m));
    reply_member(c->out, &m, scores);
}

/* `n` different ranks below `count`, each set as likely (Floyd's sampling), then shuffled. */
static uint64_t *distinct_ranks(uint64_t n, uint64_t count)
{
    uint64_t *ranks = scratch_alloc(n * sizeof *ranks), slots = 16;
    while (slots < n * 2) slots *= 2;
    uint64_t *seen = scratch_alloc(slots * sizeof *seen);
    memset(seen, 0, slots * sizeof *seen);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t top = count - n + i, r = cmd_random() % (top + 1), at = hash_u64(r, 1) & (slots - 1);
        while (seen[at] && seen[at] != r + 1) at = (at + 1) & (slots - 1);
        if (seen[at]) { /* drawn before: the new top is taken, which cannot have been */
            r = top;
            at = hash_u64(r, 1) & (slots - 1);
            while (seen[at]) at = (at + 1) & (slots - 1);
        }
        seen[at] = r + 1;
        ranks[i] = r;
    }
    for (uint64_t i = n; i > 1; i--) {
        uint64_t j = cmd_random() % i, x = ranks[j];
        ranks[j] = ranks[i - 1];
        ranks[i - 1] = x;
    }
    return ranks;
}

static void random_many(struct cmd *c, const struct zset *z, int64_t n, bool scores)
{
    uint64_t count = zset_count(z);
    if (n < 0) {
        reply_members_head(c->out, (uint64_t)-n, scores);
        while (n++ && !c->out->broken && !c->client->close_asap) reply_rank(c, z, cmd_random() % count, scores);
        return;
    }
    uint64_t take = MIN((uint64_t)n, count);
    reply_members_head(c->out, take, scores);
    if (take == count) {
        struct zset_walk w;
        struct zmember m;
        zset_walk_from(z, &w, 0, false);
        while (zset_walk_next(&w, &m)) reply_member(c->out, &m, scores);
        return;
    }
    const uint64_t *ranks = distinct_ranks(take, count);
    for (uint64_t i = 0; i < take; i++) reply_rank(c, z, ranks[i], scores);
}

void cmd_zrandmember(struct cmd *c)
{
    struct zset z;
    bool there, scores = c->argc == 4;
    int64_t n;
    if (c->argc > 2) {
        if (!arg_i64_range(c, 2, -INT64_MAX, INT64_MAX, &n)) return;
        if (c->argc > 4 || (scores && !arg_is(c, 3, "WITHSCORES"))) {
            reply_error(c->out, ERR_SYNTAX);
            return;
        }
        if (scores && (n < -(INT64_MAX / 2) || n > INT64_MAX / 2)) {
            reply_error(c->out, ERR_NOTINRANGE);
            return;
        }
    }
    if (!zset_read(c, 1, &z, &there)) return;
    if (c->argc == 2) {
        if (there)
            reply_rank(c, &z, cmd_random() % zset_count(&z), false);
        else
            reply_null(c->out);
    } else if (!there || !n) {
        reply_array(c->out, 0);
    } else {
        random_many(c, &z, n, scores);
    }
}
