/* cmd/cmd_set.c - commands on one set (and SMOVE between two). What a set is: types/set.h; several sets: cmd_set_algebra.c. */
#include "cmd/cmd_set.h"

#include "cmd/client.h"
#include "cmd/gather.h"
#include "types/set.h"

/* ---- shared with the other set commands ---- */

void set_store(struct cmd *c, const struct key *k, struct entry *e, const struct set *s)
{
    if (e)
        ks_set_root(c->txn, e, s->enc, s->root);
    else
        ks_set_object(c->txn, k, OBJ_SET, s->enc, s->root, TTL_CLEAR);
}

bool set_delete_if_empty(struct cmd *c, const struct key *k, const struct set *s)
{
    if (set_count(s)) return false;
    ks_delete(c->txn, k);
    cmd_notify(c, k, 'g', "del");
    return true;
}

/* The set for reading; *there is false when there is none. False: WRONGTYPE was replied. */
static bool read_set(struct cmd *c, uint32_t arg, struct set *s, bool *there)
{
    struct key k = key_for(c, arg);
    const struct entry *e = ks_read(&k);
    if (wrong_type(c, e, OBJ_SET)) return false;
    *there = e != NULL;
    if (e) *s = set_of(e);
    return true;
}

/* ---- members ---- */

void cmd_sadd(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e = ks_write(c->txn, &k);
    if (wrong_type(c, e, OBJ_SET)) return;
    struct set s = e ? set_of(e) : set_create(c->txn, c->argv[2], c->argc - 2);
    if (e) set_expect(c->txn, &s, c->argc - 2);
    uint64_t added = 0;
    for (uint32_t i = 2; i < c->argc; i++) added += set_add(c->txn, &s, c->argv[i]);
    set_store(c, &k, e, &s);
    if (added) {
        cmd_modified(c, &k, 's', "sadd");
        c->dirty += added - 1;
    }
    reply_int(c->out, (int64_t)added);
}

void cmd_srem(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e = ks_write(c->txn, &k);
    if (wrong_type(c, e, OBJ_SET)) return;
    uint64_t removed = 0;
    if (e) {
        struct set s = set_of(e);
        for (uint32_t i = 2; i < c->argc && set_count(&s); i++) removed += set_remove(c->txn, &s, c->argv[i]);
        if (removed) {
            set_store(c, &k, e, &s);
            cmd_modified(c, &k, 's', "srem");
            c->dirty += removed - 1;
            set_delete_if_empty(c, &k, &s);
        }
    }
    reply_int(c->out, (int64_t)removed);
}

void cmd_smove(struct cmd *c)
{
    struct key from = key_for(c, 1), to = key_for(c, 2);
    struct entry *a = ks_write(c->txn, &from), *b = ks_write(c->txn, &to);
    struct slice member = c->argv[3];
    if (!a) {
        reply_int(c->out, 0);
        return;
    }
    if (wrong_type(c, a, OBJ_SET) || wrong_type(c, b, OBJ_SET)) return;
    struct set s = set_of(a);
    if (a == b || !set_remove(c->txn, &s, member)) {
        reply_int(c->out, a == b && set_has(&s, member));
        return;
    }
    set_store(c, &from, a, &s);
    cmd_modified(c, &from, 's', "srem");
    set_delete_if_empty(c, &from, &s);
    b = ks_write(c->txn, &to); /* deleting may have moved things in its stripe */
    struct set d = b ? set_of(b) : set_create(c->txn, member, 1);
    if (set_add(c->txn, &d, member)) {
        set_store(c, &to, b, &d);
        cmd_modified(c, &to, 's', "sadd");
    }
    reply_int(c->out, 1);
}

void cmd_sismember(struct cmd *c)
{
    struct set s;
    bool there;
    if (read_set(c, 1, &s, &there)) reply_int(c->out, there && set_has(&s, c->argv[2]));
}

void cmd_smismember(struct cmd *c)
{
    struct set s;
    bool there;
    if (!read_set(c, 1, &s, &there)) return;
    reply_array(c->out, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++) reply_int(c->out, there && set_has(&s, c->argv[i]));
}

void cmd_scard(struct cmd *c)
{
    struct set s;
    bool there;
    if (read_set(c, 1, &s, &there)) reply_int(c->out, there ? (int64_t)set_count(&s) : 0);
}

/* ---- walking ---- */

struct scan {
    struct scan_args args;
    struct names found;
    int64_t seen;
};

static bool scan_member(const struct lp_value *v, void *arg)
{
    struct scan *s = arg;
    uint8_t room[NUM_I64_ROOM];
    s->seen++;
    if (scan_wants(&s->args, set_text(v, room))) names_add(&s->found, name_keep(v));
    return true;
}

void cmd_sscan(struct cmd *c)
{
    struct scan s = {0};
    struct set set;
    bool there;
    if (!arg_cursor(c, 2, &s.args.cursor) || !read_set(c, 1, &set, &there)) return;
    if (!there) {
        scan_reply_none(c);
        return;
    }
    if (!scan_options(c, &s.args)) return;
    uint64_t cursor = s.args.cursor;
    do cursor = set_scan(&set, cursor, scan_member, &s);
    while (cursor && s.seen < s.args.count);
    scan_reply(c, cursor, &s.found);
}

/* ---- random members ---- */

static bool collect(const struct lp_value *v, void *arg)
{
    names_add(arg, name_keep(v));
    return true;
}

static void names_shuffle(struct names *l, uint64_t first)
{
    for (uint64_t i = 0; i < first && i + 1 < l->n; i++) {
        uint64_t j = i + cmd_random() % (l->n - i);
        struct slice x = l->at[i];
        l->at[i] = l->at[j];
        l->at[j] = x;
    }
}

/* `n` different members (n is at most the set's count), in random order: picked one by one while they are few, else drawn from all. */
static void pick_distinct(const struct set *s, uint64_t n, struct names *out)
{
    uint64_t count = set_count(s);
    if (s->enc == ENC_HASHTABLE && n * 3 < count) {
        struct gather g;
        gather_init(&g, n);
        while (g.n < n) {
            struct lp_value v;
            bool fresh;
            set_random(s, cmd_random, &v);
            gather_put(&g, (struct slice){v.text, v.n}, &fresh);
        }
        for (uint64_t i = 0; i < n; i++) names_add(out, g.items[i].name);
        return;
    }
    set_each(s->enc, s->root, collect, out);
    names_shuffle(out, n);
    out->n = n;
}

static void reply_random(struct cmd *c, const struct set *s)
{
    struct lp_value v;
    uint8_t room[NUM_I64_ROOM];
    set_random(s, cmd_random, &v);
    reply_slice(c->out, set_text(&v, room));
}

void cmd_srandmember(struct cmd *c)
{
    struct set s;
    bool there;
    int64_t n;
    if (c->argc > 3) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (c->argc == 3 && !arg_i64_range(c, 2, -INT64_MAX, INT64_MAX, &n)) return;
    if (!read_set(c, 1, &s, &there)) return;
    if (c->argc == 2) {
        if (there)
            reply_random(c, &s);
        else
            reply_null(c->out);
        return;
    }
    if (!there || n == 0) {
        reply_array(c->out, 0);
    } else if (n < 0) {
        reply_array(c->out, (uint64_t)-n);
        while (n++ && !c->out->broken && !c->client->close_asap) reply_random(c, &s);
    } else {
        struct names l = {0};
        pick_distinct(&s, MIN((uint64_t)n, set_count(&s)), &l);
        reply_array(c->out, l.n);
        for (uint64_t i = 0; i < l.n; i++) reply_slice(c->out, l.at[i]);
    }
}

/* ---- SPOP: logged as what it removed ---- */

#define POP_BATCH 1024u /* members in one SREM of the log */

static void log_removed(struct cmd *c, const struct names *l)
{
    struct slice *argv = scratch_alloc((POP_BATCH + 2) * sizeof *argv);
    argv[0] = SLICE("SREM");
    argv[1] = c->argv[1];
    for (uint64_t i = 0; i < l->n; i += POP_BATCH) {
        uint32_t n = (uint32_t)MIN(l->n - i, (uint64_t)POP_BATCH);
        memcpy(argv + 2, l->at + i, n * sizeof *argv);
        cmd_propagate(c, n + 2, argv);
    }
}

static void pop_one(struct cmd *c, const struct key *k, struct entry *e)
{
    struct set s = set_of(e);
    struct lp_value v;
    set_random(&s, cmd_random, &v);
    struct slice member = name_copy(name_keep(&v));
    set_remove(c->txn, &s, member);
    set_store(c, k, e, &s);
    const struct slice srem[3] = {SLICE("SREM"), k->name, member};
    cmd_propagate(c, 3, srem);
    cmd_modified(c, k, 's', "spop");
    set_delete_if_empty(c, k, &s);
    reply_slice(c->out, member);
}

static void pop_all(struct cmd *c, const struct key *k, const struct set *s)
{
    struct names l = {0};
    set_each(s->enc, s->root, collect, &l);
    reply_set(c->out, l.n);
    for (uint64_t i = 0; i < l.n; i++) reply_slice(c->out, l.at[i]);
    const struct slice del[2] = {SLICE("DEL"), k->name};
    ks_delete(c->txn, k);
    cmd_propagate(c, 2, del);
    cmd_modified(c, k, 's', "spop");
    cmd_notify(c, k, 'g', "del");
    c->dirty += l.n - 1;
}

/* Pops n < count members. When few stay, a new set of those takes the old one's place. */
static void pop_some(struct cmd *c, const struct key *k, struct entry *e, uint64_t n)
{
    struct set s = set_of(e);
    uint64_t count = set_count(&s);
    struct names popped = {0};
    if (s.enc == ENC_HASHTABLE && (count - n) * 5 < n) {
        struct names stay = {0};
        set_each(s.enc, s.root, collect, &stay);
        names_shuffle(&stay, count - n);
        popped = (struct names){stay.at + (count - n), n, n};
        struct set kept = set_build_as(c->txn, ENC_HASHTABLE, stay.at, count - n);
        ks_set_object(c->txn, k, OBJ_SET, kept.enc, kept.root, TTL_KEEP);
    } else {
        pick_distinct(&s, n, &popped);
        for (uint64_t i = 0; i < n; i++) { /* a compact set moves as it shrinks: copies first */
            if (s.enc != ENC_HASHTABLE) popped.at[i] = name_copy(popped.at[i]);
        }
        for (uint64_t i = 0; i < n; i++) set_remove(c->txn, &s, popped.at[i]);
        set_store(c, k, e, &s);
    }
    log_removed(c, &popped);
    reply_set(c->out, n);
    for (uint64_t i = 0; i < n; i++) reply_slice(c->out, popped.at[i]);
    cmd_modified(c, k, 's', "spop");
    c->dirty += n - 1;
}

void cmd_spop(struct cmd *c)
{
    struct key k = key_for(c, 1);
    int64_t n = 0;
    if (c->argc > 3) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (c->argc == 3 && !arg_i64_range(c, 2, 0, INT64_MAX, &n)) return;
    struct entry *e = ks_write(c->txn, &k);
    if (wrong_type(c, e, OBJ_SET)) return;
    if (c->argc == 2) {
        if (e)
            pop_one(c, &k, e);
        else
            reply_null(c->out);
        return;
    }
    if (!e || !n) {
        reply_set(c->out, 0);
        return;
    }
    struct set s = set_of(e);
    if ((uint64_t)n >= set_count(&s))
        pop_all(c, &k, &s);
    else
        pop_some(c, &k, e, (uint64_t)n);
}
