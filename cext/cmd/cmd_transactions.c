/* cmd/cmd_transactions.c - MULTI, EXEC, DISCARD, WATCH, UNWATCH.
 *
 * EXEC is one bracket over the stripes of all queued commands and watched keys (all stripes when a command needs them), so the
 * transaction is atomic for every worker, and for a death at any instruction. Each command has a savepoint: one that fails for
 * memory is rolled back alone and replies its error, the others stand. What they log becomes one record of several frames.
 *
 * When the arena only has to grow, EXEC rolls everything back, waits for room holding nothing, and starts again.
 *
 * Commands that run in Python touch no key and run after the commit, as if at their place: cmd/afterwards.h.
 *
 * Locks: WATCH and EXEC take stripes themselves (their rows say lock_self). Death: the bracket's undo; the queue was private.
 */
#include <setjmp.h>
#include <stdlib.h>

#include "cmd/afterwards.h"
#include "cmd/blocking.h"
#include "cmd/dispatch.h"
#include "cmd/handlers.h"
#include "cmd/multi.h"
#include "keyspace/interest.h"
#include "shm/segment.h"

#define EXEC_TRIES 64u      /* growth steps that one EXEC waits for */
#define EXEC_WAIT_MS 1000u

typedef uint64_t stripe_map[STRIPE_COUNT / 64];

static void map_add(stripe_map map, uint64_t hash)
{
    uint32_t s = stripe_of(hash);
    map[s / 64] |= 1ull << (s % 64);
}

void cmd_multi(struct cmd *c)
{
    if (client_in_multi(c->client)) {
        reply_error(c->out, ERR_NESTEDMULTI);
    } else if (!multi_begin(c->client)) {
        reply_errorf(c->out, "OOM no memory for a transaction");
    } else {
        reply_ok(c->out);
    }
}

void cmd_discard(struct cmd *c)
{
    if (!client_in_multi(c->client)) {
        reply_error(c->out, ERR_DISCARD_NOMULTI);
        return;
    }
    multi_end(c->client);
    watch_forget_all(c->client);
    reply_ok(c->out);
}

void cmd_unwatch(struct cmd *c)
{
    if (!c->in_exec) watch_forget_all(c->client); /* EXEC itself gives them up */
    reply_ok(c->out);
}

/* ---- WATCH ---- */

/* List of the keys that are not watched yet, not registered; false = no memory. */
static bool new_watches(struct cmd *c, struct watch **list)
{
    *list = NULL;
    for (uint32_t i = 1; i < c->argc; i++) {
        struct key k = key_for(c, i);
        bool twice = watch_has(c->client, &k);
        for (struct watch *w = *list; w && !twice; w = w->next)
            twice = w->key.hash == k.hash && w->key.name.n == k.name.n && memcmp(w->name, k.name.p, k.name.n) == 0;
        if (twice) continue;
        struct watch *w = watch_new(&k);
        if (!w) return false;
        w->next = *list;
        *list = w;
    }
    return true;
}

/* Registers all of the list or none. */
static bool register_watches(struct txn *t, struct watch *list, uint64_t client_id)
{
    stripe_map map = {0};
    for (struct watch *w = list; w; w = w->next) map_add(map, w->key.hash);
    jmp_buf failed;
    t->on_fail = &failed;
    if (setjmp(failed)) {
        txn_abort(t);
        return false;
    }
    txn_begin(t);
    txn_lock_map(t, map);
    for (struct watch *w = list; w; w = w->next) w->registration = interest_watch(t, &w->key, my_slot_index, client_id);
    txn_commit(t);
    return true;
}

static void free_watches(struct watch *list)
{
    while (list) {
        struct watch *next = list->next;
        free(list);
        list = next;
    }
}

void cmd_watch(struct cmd *c)
{
    if (client_in_multi(c->client)) {
        reply_error(c->out, ERR_WATCHINMULTI);
        return;
    }
    struct watch *list;
    if (!new_watches(c, &list) || (list && !register_watches(c->txn, list, c->client->id))) {
        free_watches(list);
        reply_errorf(c->out, "OOM no memory to watch keys");
        return;
    }
    while (list) {
        struct watch *w = list;
        list = w->next;
        w->next = c->client->watches;
        c->client->watches = w;
    }
    uint32_t n = 0;
    for (const struct watch *w = c->client->watches; w; w = w->next) n++;
    client_set_watch_count(c->client, n);
    reply_ok(c->out);
}

/* ---- EXEC ---- */

enum exec_end { EXEC_DONE, EXEC_CHANGED, EXEC_MORE_ROOM, EXEC_MORE_STRIPES, EXEC_FAILED };

struct exec {
    struct cmd *c;
    struct multi *m;
    stripe_map map;
    bool all;         /* every stripe */
    bool may_wait;    /* roll everything back when memory is short */
    struct afterwards later; /* its Python commands */
    jmp_buf failed;   /* the whole transaction */
    jmp_buf failed_one; /* the running command */
};

static void plan(struct exec *x)
{
    for (uint32_t i = 0; i < x->m->count; i++) {
        const struct queued *q = x->m->queue[i];
        x->all |= q->all_stripes;
        for (uint32_t k = 0; k < q->nkeys; k++) map_add(x->map, q->keys[k].hash);
    }
    for (const struct watch *w = x->c->client->watches; w; w = w->next) map_add(x->map, w->key.hash);
}

static bool watches_changed(const struct client *c)
{
    for (const struct watch *w = c->watches; w; w = w->next)
        if (interest_changed(w->registration, &w->key)) return true;
    return false;
}

static void remove_watches(struct txn *t, const struct client *c)
{
    for (const struct watch *w = c->watches; w; w = w->next) interest_remove(t, w->registration);
}

static void reply_failure(struct exec *x)
{
    if (x->c->txn->failure == TXN_TOO_LARGE)
        reply_errorf(x->c->out, "ERR the command is too large to be logged");
    else
        reply_error(x->c->out, ERR_OOM);
}

static void run_one(struct exec *x, struct queued *q)
{
    struct txn *t = x->c->txn;
    const struct txn_savepoint before = txn_savepoint(t);
    const size_t mark = reply_mark(x->c->out);
    t->on_fail = &x->failed_one;
    if (setjmp(x->failed_one)) {
        if (t->failure == TXN_MORE_STRIPES || (t->failure == TXN_NO_MEMORY && x->may_wait)) longjmp(x->failed, 1);
        txn_rollback_to(t, before);
        reply_rewind(x->c->out, mark);
        reply_failure(x);
        return;
    }
    struct cmd inner = queued_command(x->c, q);
    dispatch_run(&inner);
}

static void run_in_order(struct exec *x)
{
    for (uint32_t i = 0; i < x->m->count; i++) {
        struct queued *q = x->m->queue[i];
        if (q->afterwards)
            afterwards_place(&x->later, x->c, x->m, i);
        else
            run_one(x, q);
    }
}

/* One try of the whole transaction; afterwards nothing is held. */
static enum exec_end attempt(struct exec *x)
{
    struct txn *t = x->c->txn;
    if (setjmp(x->failed)) {
        enum txn_failure why = t->failure;
        txn_abort(t);
        afterwards_undo(&x->later);
        blocking_forget();
        if (why == TXN_MORE_STRIPES) return EXEC_MORE_STRIPES;
        return why == TXN_NO_MEMORY && x->may_wait ? EXEC_MORE_ROOM : EXEC_FAILED;
    }
    t->on_fail = &x->failed;
    txn_begin(t);
    if (x->all)
        txn_lock_all(t);
    else
        txn_lock_map(t, x->map);
    bool changed = watches_changed(x->c->client);
    remove_watches(t, x->c->client);
    if (!changed) {
        reply_array(x->c->out, x->m->count);
        run_in_order(x);
        t->on_fail = &x->failed;
    }
    blocking_commit(t);
    return changed ? EXEC_CHANGED : EXEC_DONE;
}

static enum exec_end run_transaction(struct exec *x)
{
    struct client *cl = x->c->client;
    const size_t mark = reply_mark(x->c->out);
    const uint32_t db = cl->db;
    for (uint32_t tries = 0;; tries++) {
        enum exec_end end = attempt(x);
        if (end == EXEC_DONE || end == EXEC_CHANGED) return end;
        reply_rewind(x->c->out, mark);
        client_set_db(cl, db);
        if (end == EXEC_FAILED) return end;
        if (end == EXEC_MORE_STRIPES)
            x->all = true;
        else if (tries == EXEC_TRIES || !txn_wait_room(x->c->txn, EXEC_WAIT_MS))
            x->may_wait = false; /* there is no more: each command answers for itself */
    }
}

static bool prepare(struct exec *x)
{
    bool done = afterwards_prepare(&x->later, x->c, x->m);
    if (!done) x->c->txn->failure = TXN_NO_MEMORY;
    return done;
}

void cmd_exec(struct cmd *c)
{
    struct client *cl = c->client;
    if (!client_in_multi(cl)) {
        reply_error(c->out, ERR_EXEC_NOMULTI);
        return;
    }
    if (cl->multi->refused) {
        multi_end(cl);
        watch_forget_all(cl);
        reply_error(c->out, ERR_EXECABORT);
        return;
    }
    struct exec *x = calloc(1, sizeof *x); /* not in scratch memory: it must outlive what a command leaves there */
    if (!x) {
        reply_errorf(c->out, "OOM no memory to run the transaction");
        return;
    }
    x->c = c;
    x->m = cl->multi;
    x->may_wait = true;
    plan(x);
    enum exec_end end = prepare(x) ? run_transaction(x) : EXEC_FAILED;
    if (end == EXEC_DONE) afterwards_run(&x->later, c, x->m);
    if (end == EXEC_CHANGED) reply_null_array(c->out);
    if (end == EXEC_FAILED) reply_failure(x);
    afterwards_free(&x->later, x->m);
    multi_end(cl);
    if (end == EXEC_FAILED)
        watch_forget_all(cl);
    else
        watch_free_list(cl);
    free(x);
}
