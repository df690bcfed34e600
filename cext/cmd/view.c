/* cmd/view.c - copies of what a transaction changes, for the Python commands in it; and the sums over all slots. What for: view.h. */
#include "cmd/view.h"

#include <stdlib.h>

#include "keyspace/keyspace.h"
#include "shm/txn.h"

const struct view *view_now;

static uint64_t relaxed(const _Atomic uint64_t *p) { return atomic_load_explicit(p, memory_order_relaxed); }

static bool in_use(uint32_t slot) { return relaxed(&slot_at(slot)->births) != 0; }

bool view_wanted(const struct command *spec)
{
    static const char *const containers[] = {"info", "memory", "latency", "slowlog"};
    const char *top = spec->container ? spec->container->name : spec->name;
    for (size_t i = 0; i < ARRAY_LEN(containers); i++)
        if (strcmp(top, containers[i]) == 0) return true;
    return strcmp(spec->fullname, "client|list") == 0 || strcmp(spec->fullname, "client|info") == 0;
}

/* ---- sums as of now ---- */

static struct view_command sum_command(uint32_t command)
{
    struct view_command sum = {0};
    for (uint32_t i = 0; i < SLOT_MAX && command < ARRAY_LEN(slot_at(0)->cmd_calls); i++) {
        const struct slot *s = slot_at(i);
        sum.calls += relaxed(&s->cmd_calls[command]);
        sum.usec += relaxed(&s->cmd_usec[command]);
        sum.rejected += relaxed(&s->cmd_rejected[command]);
        sum.failed += relaxed(&s->cmd_failed[command]);
    }
    return sum;
}

static void add_code(struct observe_code *rows, const struct observe_code *more)
{
    uint64_t count = relaxed(&more->count);
    for (uint32_t i = 0; i < OBSERVE_CODES && count; i++) {
        if (rows[i].code[0] && strcmp(rows[i].code, more->code) != 0) continue;
        memcpy(rows[i].code, more->code, sizeof more->code);
        atomic_store_explicit(&rows[i].count, relaxed(&rows[i].count) + count, memory_order_relaxed);
        return;
    }
}

static void sum_errors(struct observe_code *rows)
{
    memset((void *)rows, 0, OBSERVE_CODES * sizeof *rows);
    for (uint32_t s = 0; s < SLOT_MAX; s++) {
        if (!in_use(s)) continue;
        const struct observe_code *row = observe_of(s)->codes;
        for (uint32_t i = 0; i < OBSERVE_CODES && row[i].code[0]; i++) add_code(rows, &row[i]);
    }
}

static void sum_times(uint32_t command, uint64_t *buckets)
{
    memset(buckets, 0, OBSERVE_BUCKETS * sizeof *buckets);
    for (uint32_t s = 0; s < SLOT_MAX && command < OBSERVE_COMMANDS; s++) {
        if (!in_use(s)) continue;
        for (uint32_t b = 0; b < OBSERVE_BUCKETS; b++) buckets[b] += relaxed(&observe_of(s)->times[command][b]);
    }
}

/* ---- taking ---- */

static bool noted(const struct view *v, uint32_t command)
{
    for (uint32_t i = 0; i < v->times_count; i++)
        if (v->times[i].command == command) return true;
    return false;
}

struct view *view_new(const struct multi *m, uint32_t at)
{
    struct view *v = calloc(1, sizeof *v);
    if (!v) return NULL;
    v->databases = seg()->databases;
    v->dbs = calloc(v->databases, sizeof *v->dbs);
    v->times = calloc(MIN(m->count - at, command_count()), sizeof *v->times);
    if (!v->dbs || !v->times) {
        view_free(v);
        return NULL;
    }
    for (uint32_t i = at; i < m->count && v->times_count < command_count(); i++)
        if (!noted(v, m->queue[i]->spec->index)) v->times[v->times_count++].command = m->queue[i]->spec->index;
    return v;
}

void view_free(struct view *v)
{
    if (!v) return;
    free(v->dbs);
    free(v->times);
    free(v);
}

void view_take(struct view *v, const struct client *cl)
{
    for (uint32_t i = 0; i < STAT_COUNT; i++) v->stats[i] = stat_total((enum stat_id)i);
    for (uint32_t i = 0; i < command_count(); i++) {
        struct view_command sum = sum_command(i);
        v->calls[i] = sum.calls;
        v->usec[i] = sum.usec;
        v->rejected[i] = sum.rejected;
        v->failed[i] = sum.failed;
    }
    sum_errors(v->codes);
    for (uint32_t i = 0; i < v->times_count; i++) sum_times(v->times[i].command, v->times[i].buckets);
    for (uint32_t i = 0; i < v->databases; i++) v->dbs[i] = (struct view_db){ks_db_size(i), ks_db_expires(i)};
    v->slow_next = relaxed(&seg()->slow_next);
    v->latency_next = relaxed(&seg()->latency_next);
    v->used = memory_used_bytes() + (int64_t)my_txn.used_delta;
    v->committed = seg()->arena_committed;
    v->overhead = ks_table_bytes();
    v->own = cl->record;
    memcpy((void *)&v->record, (const void *)cl->record, sizeof v->record); /* ours: nobody else stores there */
}

/* ---- readers ---- */

uint64_t view_stat(enum stat_id id) { return view_now ? view_now->stats[id] : stat_total(id); }

struct view_command view_command_stats(uint32_t command)
{
    const struct view *v = view_now;
    if (!v || command >= ARRAY_LEN(v->calls)) return sum_command(command);
    return (struct view_command){v->calls[command], v->usec[command], v->rejected[command], v->failed[command]};
}

uint32_t view_errors(struct observe_code *rows)
{
    uint32_t n = 0;
    if (view_now)
        memcpy((void *)rows, (const void *)view_now->codes, sizeof view_now->codes);
    else
        sum_errors(rows);
    while (n < OBSERVE_CODES && rows[n].code[0]) n++;
    return n;
}

void view_command_times(uint32_t command, uint64_t *buckets)
{
    for (uint32_t i = 0; view_now && i < view_now->times_count; i++) {
        if (view_now->times[i].command != command) continue;
        memcpy(buckets, view_now->times[i].buckets, sizeof view_now->times[i].buckets);
        return;
    }
    sum_times(command, buckets);
}

struct view_db view_database(uint32_t db)
{
    if (view_now) return db < view_now->databases ? view_now->dbs[db] : (struct view_db){0};
    return (struct view_db){ks_db_size(db), ks_db_expires(db)};
}

int64_t view_used_bytes(void) { return view_now ? view_now->used : memory_used_bytes(); }
uint64_t view_committed(void) { return view_now ? view_now->committed : seg()->arena_committed; }
uint64_t view_overhead(void) { return view_now ? view_now->overhead : ks_table_bytes(); }
uint64_t view_slow_next(void) { return view_now ? view_now->slow_next : relaxed(&seg()->slow_next); }
uint64_t view_latency_next(void) { return view_now ? view_now->latency_next : relaxed(&seg()->latency_next); }
const struct client_record *view_record(const struct client_record *r) { return view_now && r == view_now->own ? &view_now->record : r; }
