/* cmd/cmd_list.c - the commands on lists that do not wait. Those that do: cmd_list_blocking.c; lists themselves: types/list.h.
 *
 * Locks, transaction and death: as cmd/cmd.h says of handlers.
 */
#include "cmd/cmd_list.h"

#include <string.h>

static const char *const pop_event[] = {[LIST_HEAD] = "lpop", [LIST_TAIL] = "rpop"};
static const char *const push_event[] = {[LIST_HEAD] = "lpush", [LIST_TAIL] = "rpush"};

/* ---- shared ---- */

bool arg_list_end(struct cmd *c, uint32_t i, enum list_end *end)
{
    bool left = arg_is(c, i, "LEFT");
    *end = left ? LIST_HEAD : LIST_TAIL;
    if (left || arg_is(c, i, "RIGHT")) return true;
    reply_error(c->out, ERR_SYNTAX);
    return false;
}

bool list_for_write(struct cmd *c, const struct key *k, struct entry **e, struct list *l)
{
    *e = ks_write(c->txn, k);
    if (wrong_type(c, *e, OBJ_LIST)) return false;
    *l = *e ? list_of(*e) : LIST_EMPTY;
    return true;
}

static const struct entry *list_for_read(struct cmd *c, struct list *l, bool *refused)
{
    struct key k = key_for(c, 1);
    const struct entry *e = ks_read(&k);
    *refused = wrong_type(c, e, OBJ_LIST);
    if (e && !*refused) *l = list_of(e);
    return e;
}

void list_grown(struct cmd *c, const struct key *k, struct entry *e, const struct list *l)
{
    if (e)
        ks_set_root(c->txn, e, l->enc, l->root);
    else
        ks_set_object(c->txn, k, OBJ_LIST, l->enc, l->root, TTL_CLEAR);
}

void list_shrunk(struct cmd *c, const struct key *k, struct entry *e, struct list *l, uint64_t removed, const char *event)
{
    bool empty = list_length(l) == 0;
    if (!empty) list_settle(c->txn, l, true);
    ks_set_root(c->txn, e, l->enc, l->root);
    c->dirty += removed;
    cmd_notify(c, k, 'l', event);
    if (empty) {
        ks_delete(c->txn, k);
        cmd_notify(c, k, 'g', "del");
    }
}

void list_pop_one(struct cmd *c, const struct key *k, struct entry *e, struct list *l, enum list_end where)
{
    struct list_place at;
    struct lp_value v;
    uint8_t room[LIST_TEXT_ROOM];
    list_seek(l, where == LIST_HEAD ? 0 : -1, &at);
    list_get(&at, &v, room);
    reply_value(c->out, &v);
    list_drop(c->txn, l, where, 1);
    list_shrunk(c, k, e, l, 1, pop_event[where]);
}

/* `n` elements from the place on. */
static void reply_run(struct cmd *c, const struct list *l, struct list_place at, uint64_t n, enum list_end to)
{
    uint8_t room[LIST_TEXT_ROOM];
    reply_array(c->out, n);
    while (n-- > 0) {
        struct lp_value v;
        list_get(&at, &v, room);
        reply_value(c->out, &v);
        if (n) list_step(l, &at, to);
    }
}

uint64_t list_pop_range(struct cmd *c, const struct key *k, struct entry *e, struct list *l, enum list_end where, uint64_t count)
{
    struct list_place at;
    count = MIN(count, list_length(l));
    list_seek(l, where == LIST_HEAD ? 0 : -1, &at);
    reply_run(c, l, at, count, where == LIST_HEAD ? LIST_TAIL : LIST_HEAD);
    if (count < list_length(l)) {
        list_drop(c->txn, l, where, count);
        list_shrunk(c, k, e, l, count, pop_event[where]);
    } else { /* all of it: the key goes with its value */
        c->dirty += count;
        cmd_notify(c, k, 'l', pop_event[where]);
        ks_delete(c->txn, k);
        cmd_notify(c, k, 'g', "del");
    }
    return count;
}

void propagate_pop(struct cmd *c, struct slice key, enum list_end where, uint64_t count)
{
    uint8_t digits[NUM_I64_ROOM];
    struct slice argv[3] = {where == LIST_HEAD ? SLICE("LPOP") : SLICE("RPOP"), key};
    if (count) argv[2] = (struct slice){digits, num_from_u64(digits, count)};
    cmd_propagate(c, count ? 3 : 2, argv);
}

/* ---- pushing ---- */

static void push(struct cmd *c, enum list_end where, bool only_if_exists)
{
    struct key k = key_for(c, 1);
    struct entry *e;
    struct list l;
    if (!list_for_write(c, &k, &e, &l)) return;
    if (!e && only_if_exists) {
        reply_int(c->out, 0);
        return;
    }
    uint64_t bytes = 0;
    for (uint32_t i = 2; i < c->argc; i++) bytes += c->argv[i].n;
    list_expect(c->txn, &l, bytes, c->argc - 2);
    if (c->argc > 4) list_reserve(c->txn, &l, where, &c->argv[2], c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++) list_push(c->txn, &l, where, c->argv[i]);
    list_grown(c, &k, e, &l);
    c->dirty += c->argc - 3;
    cmd_modified(c, &k, 'l', push_event[where]);
    reply_int(c->out, (int64_t)list_length(&l));
}

void cmd_lpush(struct cmd *c) { push(c, LIST_HEAD, false); }
void cmd_rpush(struct cmd *c) { push(c, LIST_TAIL, false); }
void cmd_lpushx(struct cmd *c) { push(c, LIST_HEAD, true); }
void cmd_rpushx(struct cmd *c) { push(c, LIST_TAIL, true); }

void cmd_linsert(struct cmd *c)
{
    bool after = arg_is(c, 2, "AFTER");
    if (!after && !arg_is(c, 2, "BEFORE")) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    struct key k = key_for(c, 1);
    struct entry *e;
    struct list l;
    if (!list_for_write(c, &k, &e, &l)) return;
    if (!e) {
        reply_int(c->out, 0);
        return;
    }
    list_expect(c->txn, &l, c->argv[4].n, 1); /* as in Redis, also if the pivot will not be found */
    struct list_place at;
    bool more = list_seek(&l, 0, &at);
    while (more && !list_equals(&at, c->argv[3])) more = list_step(&l, &at, LIST_TAIL);
    if (more) list_insert(c->txn, &l, &at, after, c->argv[4]);
    ks_set_root(c->txn, e, l.enc, l.root);
    if (more) cmd_modified(c, &k, 'l', "linsert");
    reply_int(c->out, more ? (int64_t)list_length(&l) : -1);
}

void cmd_lset(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e = ks_write(c->txn, &k);
    int64_t index;
    if (!e) {
        reply_error(c->out, ERR_NOSUCHKEY);
        return;
    }
    if (wrong_type(c, e, OBJ_LIST) || !arg_i64(c, 2, &index)) return;
    struct list l = list_of(e);
    struct list_place at;
    list_expect(c->txn, &l, c->argv[3].n, 1);
    bool found = list_seek(&l, index, &at);
    if (found) {
        list_replace(c->txn, &l, &at, c->argv[3]);
        list_settle(c->txn, &l, true);
    }
    ks_set_root(c->txn, e, l.enc, l.root);
    if (!found) {
        reply_error(c->out, ERR_OUTOFRANGE);
        return;
    }
    cmd_modified(c, &k, 'l', "lset");
    reply_ok(c->out);
}

/* ---- popping and removing ---- */

static void pop(struct cmd *c, enum list_end where)
{
    struct key k = key_for(c, 1);
    struct entry *e;
    struct list l;
    int64_t count = 0;
    bool counted = c->argc == 3;
    if (c->argc > 3) {
        reply_errorf(c->out, "ERR wrong number of arguments for '%s' command", pop_event[where]);
        return;
    }
    if (counted && !arg_i64_range(c, 2, 0, INT64_MAX, &count)) return;
    if (!list_for_write(c, &k, &e, &l)) return;
    if (!e && counted)
        reply_null_array(c->out);
    else if (!e)
        reply_null(c->out);
    else if (!counted)
        list_pop_one(c, &k, e, &l, where);
    else if (count == 0)
        reply_array(c->out, 0);
    else
        list_pop_range(c, &k, e, &l, where, (uint64_t)count);
}

void cmd_lpop(struct cmd *c) { pop(c, LIST_HEAD); }
void cmd_rpop(struct cmd *c) { pop(c, LIST_TAIL); }

bool arg_list_mpop(struct cmd *c, uint32_t at, struct list_mpop *m)
{
    int64_t numkeys;
    if (!arg_i64_or(c, at, &numkeys, "ERR numkeys should be greater than 0")) return false;
    if (numkeys < 1) {
        reply_error(c->out, ERR_NUMKEYS);
        return false;
    }
    if (numkeys >= (int64_t)c->argc - at - 1) {
        reply_error(c->out, ERR_SYNTAX);
        return false;
    }
    *m = (struct list_mpop){.first = at + 1, .numkeys = (uint32_t)numkeys, .count = -1};
    uint32_t i = at + 1 + (uint32_t)numkeys;
    if (!arg_list_end(c, i, &m->where)) return false;
    for (i++; i < c->argc; i += 2) {
        if (m->count != -1 || !arg_is(c, i, "COUNT") || i + 1 == c->argc) {
            reply_error(c->out, ERR_SYNTAX);
            return false;
        }
        if (!arg_i64_or(c, i + 1, &m->count, "ERR count should be greater than 0")) return false;
        if (m->count < 1) {
            reply_error(c->out, ERR_BADCOUNT);
            return false;
        }
    }
    if (m->count == -1) m->count = 1;
    return true;
}

bool list_mpop(struct cmd *c, const struct list_mpop *m)
{
    for (uint32_t i = 0; i < m->numkeys; i++) {
        struct key k = key_for(c, m->first + i);
        struct entry *e;
        struct list l;
        if (!list_for_write(c, &k, &e, &l)) return true;
        if (!e) continue;
        reply_array(c->out, 2);
        reply_slice(c->out, k.name);
        propagate_pop(c, k.name, m->where, list_pop_range(c, &k, e, &l, m->where, (uint64_t)m->count));
        return true;
    }
    return false;
}

void cmd_lmpop(struct cmd *c)
{
    struct list_mpop m;
    if (arg_list_mpop(c, 1, &m) && !list_mpop(c, &m)) reply_null_array(c->out);
}

void cmd_lrem(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e;
    struct list l;
    int64_t count;
    if (!arg_i64_range(c, 2, -INT64_MAX, INT64_MAX, &count) || !list_for_write(c, &k, &e, &l)) return;
    if (!e) {
        reply_int(c->out, 0);
        return;
    }
    uint64_t removed = list_remove(c->txn, &l, c->argv[3], count < 0 ? LIST_TAIL : LIST_HEAD, (uint64_t)(count < 0 ? -count : count));
    if (removed) list_shrunk(c, &k, e, &l, removed, "lrem");
    reply_int(c->out, (int64_t)removed);
}

/* A range as LRANGE and LTRIM read it: negative positions from the end, cut to the list. False: it is empty. */
static bool range_within(int64_t *start, int64_t *end, int64_t length)
{
    if (*start < 0) *start = MAX(*start + length, 0);
    if (*end < 0) *end += length;
    if (*start > *end || *start >= length) return false;
    if (*end >= length) *end = length - 1;
    return true;
}

void cmd_ltrim(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e;
    struct list l;
    int64_t start, end;
    if (!arg_i64(c, 2, &start) || !arg_i64(c, 3, &end) || !list_for_write(c, &k, &e, &l)) return;
    reply_ok(c->out);
    if (!e) return;
    uint64_t length = list_length(&l);
    if (!range_within(&start, &end, (int64_t)length)) {
        c->dirty += length;
        cmd_notify(c, &k, 'l', "ltrim");
        ks_delete(c->txn, &k);
        cmd_notify(c, &k, 'g', "del");
        return;
    }
    list_drop(c->txn, &l, LIST_HEAD, (uint64_t)start);
    list_drop(c->txn, &l, LIST_TAIL, length - 1 - (uint64_t)end);
    list_shrunk(c, &k, e, &l, length - (uint64_t)(end - start + 1), "ltrim");
}

/* ---- moving ---- */

bool list_move(struct cmd *c, enum list_end from, enum list_end to)
{
    struct key src = key_for(c, 1), dst = key_for(c, 2);
    struct entry *e, *f;
    struct list a, b;
    if (!list_for_write(c, &src, &e, &a)) return true;
    if (!e) return false;
    if (!list_for_write(c, &dst, &f, &b)) return true;
    struct list_place at;
    struct lp_value v;
    uint8_t room[LIST_TEXT_ROOM];
    list_seek(&a, from == LIST_HEAD ? 0 : -1, &at);
    list_get(&at, &v, room);
    reply_value(c->out, &v);
    struct slice s = list_text(&at, room); /* its bytes stay where they are until the commit: a pop moves nothing ... */
    if (e == f) {
        uint8_t *copy = scratch_alloc(s.n + 1); /* ... but a push to the same list may write over them */
        memcpy(copy, s.p, s.n);
        s.p = copy;
        list_drop(c->txn, &a, from, 1);
        list_expect(c->txn, &a, v.text ? s.n : 0, 1);
        list_push(c->txn, &a, to, s);
        ks_set_root(c->txn, e, a.enc, a.root);
        cmd_notify(c, &dst, 'l', push_event[to]);
        list_shrunk(c, &src, e, &a, 1, pop_event[from]);
        return true;
    }
    list_expect(c->txn, &b, v.text ? s.n : 0, 1); /* Redis does not count a number's digits here */
    list_push(c->txn, &b, to, s);
    list_grown(c, &dst, f, &b);
    cmd_notify(c, &dst, 'l', push_event[to]);
    list_drop(c->txn, &a, from, 1);
    list_shrunk(c, &src, e, &a, 1, pop_event[from]);
    return true;
}

void cmd_lmove(struct cmd *c)
{
    enum list_end from, to;
    if (!arg_list_end(c, 3, &from) || !arg_list_end(c, 4, &to)) return;
    if (!list_move(c, from, to)) reply_null(c->out);
}

void cmd_rpoplpush(struct cmd *c)
{
    if (!list_move(c, LIST_TAIL, LIST_HEAD)) reply_null(c->out);
}

/* ---- reading ---- */

void cmd_llen(struct cmd *c)
{
    struct list l = LIST_EMPTY;
    bool refused;
    list_for_read(c, &l, &refused);
    if (!refused) reply_int(c->out, (int64_t)list_length(&l));
}

void cmd_lindex(struct cmd *c)
{
    struct list l = LIST_EMPTY;
    struct list_place at;
    struct lp_value v;
    uint8_t room[LIST_TEXT_ROOM];
    bool refused;
    int64_t index;
    const struct entry *e = list_for_read(c, &l, &refused);
    if (refused) return;
    if (!e) {
        reply_null(c->out);
        return;
    }
    if (!arg_i64(c, 2, &index)) return;
    if (!list_seek(&l, index, &at)) {
        reply_null(c->out);
        return;
    }
    list_get(&at, &v, room);
    reply_value(c->out, &v);
}

void cmd_lrange(struct cmd *c)
{
    struct list l = LIST_EMPTY;
    struct list_place at;
    bool refused;
    int64_t start, end;
    if (!arg_i64(c, 2, &start) || !arg_i64(c, 3, &end)) return;
    list_for_read(c, &l, &refused);
    if (refused) return;
    if (!range_within(&start, &end, (int64_t)list_length(&l)) || !list_seek(&l, start, &at))
        reply_array(c->out, 0);
    else
        reply_run(c, &l, at, (uint64_t)(end - start + 1), LIST_TAIL);
}

struct lpos {
    int64_t rank, count, maxlen; /* count -1: not given */
};

static bool arg_not_negative(struct cmd *c, uint32_t i, int64_t *v, const char *error)
{
    if (!arg_i64_or(c, i, v, error)) return false;
    if (*v >= 0) return true;
    reply_errorf(c->out, "%s", error);
    return false;
}

static bool arg_lpos(struct cmd *c, struct lpos *p)
{
    for (uint32_t i = 3; i < c->argc; i += 2) {
        bool value = i + 1 < c->argc;
        if (value && arg_is(c, i, "RANK")) {
            if (!arg_i64_range(c, i + 1, -INT64_MAX, INT64_MAX, &p->rank)) return false;
            if (p->rank == 0) {
                reply_errorf(c->out, "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use "
                                     "negative to start from the end of the list");
                return false;
            }
        } else if (value && arg_is(c, i, "COUNT")) {
            if (!arg_not_negative(c, i + 1, &p->count, "ERR COUNT can't be negative")) return false;
        } else if (value && arg_is(c, i, "MAXLEN")) {
            if (!arg_not_negative(c, i + 1, &p->maxlen, "ERR MAXLEN can't be negative")) return false;
        } else {
            reply_error(c->out, ERR_SYNTAX);
            return false;
        }
    }
    return true;
}

void cmd_lpos(struct cmd *c)
{
    struct lpos p = {1, -1, 0};
    struct list l = LIST_EMPTY;
    struct list_place at;
    bool refused;
    if (!arg_lpos(c, &p)) return;
    list_for_read(c, &l, &refused);
    if (refused) return;
    enum list_end to = p.rank < 0 ? LIST_HEAD : LIST_TAIL;
    uint64_t rank = (uint64_t)(p.rank < 0 ? -p.rank : p.rank), matches = 0, found = 0, length = list_length(&l);
    bool many = p.count != -1, more = list_seek(&l, to == LIST_TAIL ? 0 : -1, &at);
    size_t place = many ? reply_later(c->out) : 0;
    for (uint64_t i = 0; more && (!p.maxlen || i < (uint64_t)p.maxlen); i++, more = list_step(&l, &at, to)) {
        if (!list_equals(&at, c->argv[2]) || ++matches < rank) continue;
        found++;
        reply_int(c->out, (int64_t)(to == LIST_TAIL ? i : length - i - 1));
        if (!many || (p.count && found >= (uint64_t)p.count)) break;
    }
    if (many)
        reply_later_array(c->out, place, found);
    else if (!found)
        reply_null(c->out);
}
