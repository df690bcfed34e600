/* cmd/view.h - what a Python command in EXEC is shown: the server as it was at the command's place in the queue.
 *
 * Python never runs under stripe locks, so its commands in EXEC run after the commit (cmd_transactions.c). What the transaction itself
 * changes and such a command can tell is copied at its place, in C: numbers of keys, memory, statistics, the client's own record, the
 * numbers of the slow log. The engine_* functions answer from the copy while view_now is set. What others do meanwhile may be seen or not,
 * as for any two clients at once.
 *
 * Private memory of the worker, allocated before the locks are taken. Locks: view_take() runs under those of the transaction and takes none.
 */
#ifndef SHOAL_CMD_VIEW_H
#define SHOAL_CMD_VIEW_H

#include "cmd/multi.h"
#include "cmd/observe.h"

struct view_times { /* run times of a command that stands later in the queue */
    uint32_t command;
    uint64_t buckets[OBSERVE_BUCKETS];
};

struct view_db {
    uint64_t keys, expires;
};

struct view {
    uint64_t stats[STAT_COUNT];                                      /* totals of all slots, as all of these */
    uint64_t calls[512], usec[512], rejected[512], failed[512];
    struct observe_code codes[OBSERVE_CODES];
    uint64_t slow_next, latency_next;
    int64_t used;                                                    /* bytes of the arena */
    uint64_t committed, overhead;
    const struct client_record *own;                                 /* whose copy is `record` */
    struct client_record record;
    uint32_t databases, times_count;
    struct view_db *dbs;
    struct view_times *times;
};

/* What the running Python command is shown; NULL: what is there now. */
extern const struct view *view_now;

/* Does the command look at anything that a transaction changes? */
bool view_wanted(const struct command *spec);
/* For the command at place `at` of the queue; NULL = no memory. */
struct view *view_new(const struct multi *m, uint32_t at);
void view_free(struct view *v);
/* Copies; cannot fail. */
void view_take(struct view *v, const struct client *cl);

/* ---- readers: from the view, or as it is now ---- */

uint64_t view_stat(enum stat_id id);
struct view_command {
    uint64_t calls, usec, rejected, failed;
};
struct view_command view_command_stats(uint32_t command);
/* Adds up into rows[OBSERVE_CODES]; how many are used. */
uint32_t view_errors(struct observe_code *rows);
void view_command_times(uint32_t command, uint64_t *buckets);
struct view_db view_database(uint32_t db);
int64_t view_used_bytes(void);
uint64_t view_committed(void);
/* Bytes of tables: buckets and stripes. */
uint64_t view_overhead(void);
uint64_t view_slow_next(void);
uint64_t view_latency_next(void);
const struct client_record *view_record(const struct client_record *r);

#endif
