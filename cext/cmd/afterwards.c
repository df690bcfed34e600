/* cmd/afterwards.c - Python commands in EXEC: prepared before the locks, noted at their place, run after the commit. Why: afterwards.h. */
#include "cmd/afterwards.h"

#include <setjmp.h>
#include <stdlib.h>

#include "cmd/dispatch.h"
#include "cmd/monitor.h"

void (*afterwards_ask)(struct cmd *c, int first);
static struct afterwards *staging; /* whose CONFIG SET is being asked about */
static const struct queued *staging_by;

/* ---- before ---- */

void afterwards_stage(enum setting_id id, int64_t value)
{
    struct afterwards *a = staging;
    if (!a) return;
    if (a->staged_count == a->staged_room) {
        uint32_t room = a->staged_room ? 2 * a->staged_room : 64;
        struct staged *more = realloc(a->staged, room * sizeof *more);
        if (!more) return; /* then the setting changes after the transaction */
        a->staged = more;
        a->staged_room = room;
    }
    a->staged[a->staged_count++] = (struct staged){.by = staging_by, .id = id, .value = value};
}

static void ask(struct afterwards *a, struct cmd *exec, struct queued *q)
{
    struct cmd c = queued_command(exec, q);
    staging = a;
    staging_by = q;
    if (afterwards_ask) afterwards_ask(&c, a->staged_count == 0);
    staging = NULL;
}

bool afterwards_prepare(struct afterwards *a, struct cmd *exec, struct multi *m)
{
    for (uint32_t i = 0; i < m->count; i++) {
        struct queued *q = m->queue[i];
        if (!q->afterwards) continue;
        if (view_wanted(q->spec) && !(q->view = view_new(m, i))) return false;
        if (strcmp(q->spec->fullname, "config|set") == 0) ask(a, exec, q);
    }
    return true;
}

void afterwards_undo(struct afterwards *a)
{
    while (a->staged_done) {
        const struct staged *s = &a->staged[--a->staged_done];
        atomic_store_explicit(&seg()->settings[s->id], s->before, memory_order_relaxed);
    }
    memset(a->waiting_calls, 0, sizeof a->waiting_calls);
}

/* ---- at its place ---- */

static void store_settings(struct afterwards *a, const struct queued *q)
{
    for (; a->staged_done < a->staged_count && a->staged[a->staged_done].by == q; a->staged_done++) {
        struct staged *s = &a->staged[a->staged_done];
        s->before = setting(s->id);
        atomic_store_explicit(&seg()->settings[s->id], s->value, memory_order_relaxed);
    }
}

static void reset_statistics(struct afterwards *a, struct multi *m, uint32_t at)
{
    observe_reset();
    memset(a->waiting_calls, 0, sizeof a->waiting_calls);
    for (uint32_t i = 0; i < at; i++) m->queue[i]->uncounted = true;
}

static void count_waiting(const struct afterwards *a, struct view *v)
{
    for (uint32_t i = 0; i < ARRAY_LEN(a->waiting_calls); i++) {
        v->calls[i] += a->waiting_calls[i];
        v->stats[STAT_COMMANDS] += a->waiting_calls[i];
    }
}

void afterwards_place(struct afterwards *a, struct cmd *exec, struct multi *m, uint32_t at)
{
    struct queued *q = m->queue[at];
    q->db = exec->client->db;
    q->reply_at = reply_mark(exec->out);
    q->uncounted = false;
    store_settings(a, q);
    if (strcmp(q->spec->fullname, "config|resetstat") == 0) reset_statistics(a, m, at);
    if (q->view) {
        view_take(q->view, exec->client);
        count_waiting(a, q->view);
    }
    a->waiting_calls[q->spec->index]++;
    if (monitor_any()) {
        struct cmd c = queued_command(exec, q);
        monitor_command(&c);
    }
}

/* ---- afterwards ---- */

/* Moves the reply's bytes from `from` to its end down to `to`. */
static void move_reply(struct reply *r, size_t from, size_t to)
{
    size_t n = r->len - from;
    uint8_t *kept = from == to || r->broken ? NULL : malloc(n + 1);
    if (from == to || r->broken) return;
    if (!kept) {
        r->broken = true;
        return;
    }
    memcpy(kept, r->buf + from, n);
    memmove(r->buf + to + n, r->buf + to, from - to);
    memcpy(r->buf + to, kept, n);
    free(kept);
}

static void call(struct cmd *c, const struct queued *q)
{
    struct command_clock clock;
    dispatch_clock_start(&clock);
    view_now = q->view ? q->view : NULL;
    c->spec->handler(c);
    view_now = NULL;
    if (q->uncounted) {
        c->out->errors_counted = c->out->errors;
        return;
    }
    stat_add(STAT_COMMANDS, 1);
    dispatch_account(c, &clock);
}

static void run_one(struct cmd *exec, struct queued *q)
{
    struct txn *t = exec->txn;
    const size_t mark = reply_mark(exec->out);
    jmp_buf failed;
    t->on_fail = &failed;
    if (setjmp(failed)) { /* DEBUG RELOAD and the like may take part in transactions of their own */
        view_now = NULL;
        if (t->active)
            txn_abort(t);
        else
            txn_unlock(t);
        reply_rewind(exec->out, mark);
        reply_error(exec->out, ERR_OOM);
        return;
    }
    struct cmd c = queued_command(exec, q);
    c.db = q->db;
    call(&c, q);
}

void afterwards_run(struct afterwards *a, struct cmd *exec, struct multi *m)
{
    size_t moved = 0;
    a->staged_done = 0; /* they stay: the CONFIG SETs themselves follow now */
    for (uint32_t i = 0; i < m->count; i++) {
        struct queued *q = m->queue[i];
        if (!q->afterwards) continue;
        size_t from = reply_mark(exec->out);
        run_one(exec, q);
        move_reply(exec->out, from, q->reply_at + moved);
        moved += reply_mark(exec->out) - from;
    }
}

void afterwards_free(struct afterwards *a, struct multi *m)
{
    for (uint32_t i = 0; i < m->count; i++) {
        view_free(m->queue[i]->view);
        m->queue[i]->view = NULL;
    }
    free(a->staged);
}
