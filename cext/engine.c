/* engine.c - what Python asks of the segment, of the statistics and of a worker's life. The contract: engine.h.
 *
 * Thin: each function finds its part in the layers below. engine_command.c has the rows, engine_reply.c what a Python command uses.
 */
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/ticks.h"
#include "cmd/blocking.h"
#include "cmd/dispatch.h"
#include "cmd/afterwards.h"
#include "ds/htable.h"
#include "keyspace/interest.h"
#include "keyspace/lazy.h"
#include "net/accept.h"
#include "net/engine_hooks.h"
#include "net/log.h"
#include "net/slow.h"
#include "net/worker.h"
#include "shm/arena.h"
#include "shm/backlog.h"
#include "shm/guard.h"
#include "shm/inbox.h"
#include "shm/repair.h"
#include "shm/segment.h"
#include "snap/rdb_file.h"

struct engine_hooks engine_hooks;

/* ---- the segment ---- */

static struct segment_params params(uint64_t arena, uint64_t initial, uint32_t databases, uint32_t workers, uint32_t clients)
{
    return (struct segment_params){arena, initial, databases, workers, clients};
}

uint64_t engine_segment_size(uint64_t arena_bytes, uint32_t databases, uint32_t workers, uint32_t clients_max)
{
    struct segment_params p = params(arena_bytes, 0, databases, workers, clients_max);
    return segment_size(&p);
}

int engine_segment_create(int fd, uint64_t arena_bytes, uint64_t initial_bytes, uint32_t databases, uint32_t workers,
                          uint32_t clients_max, char *err, size_t errlen)
{
    struct segment_params p = params(arena_bytes, initial_bytes, databases, workers, clients_max);
    if (segment_create(fd, &p, err, errlen)) return -1;
    slot_acquire(0, SLOT_SUPERVISOR);
    txn_init(&my_txn);
    keyspace_format(databases);
    return 0;
}

int engine_segment_map(int fd, char *err, size_t errlen) { return segment_map(fd, err, errlen); }
uint64_t engine_layout_fingerprint(void) { return layout_fingerprint(); }
void engine_segment_unmap(void) { segment_unmap(); }
int engine_segment_grow(void) { return segment_grow(); }
int engine_grow_wait(uint32_t ms) { return segment_grow_wait(ms); }
int engine_commit_rings(void) { return segment_commit_rings(); }

/* ---- the instance ---- */

/* Takes a slot that a dead process of an earlier instance left; false: nobody did. */
static bool leftover_take(uint32_t i)
{
    const struct slot *s = slot_at(i);
    if (!atomic_load(&s->pid) && !atomic_load(&s->status)) return false;
    slot_acquire(i, SLOT_SUPERVISOR);
    return true;
}

/* Everything died at once, so each step is done for all slots before the next: a repair may need an allocator lock, a sweep a stripe, that
 * another dead process holds. */
static int repair_leftovers(void)
{
    int repaired = 0;
    for (uint32_t i = 0; i < SLOT_MAX; i++)
        if (leftover_take(i)) slot_repair_allocator();
    for (uint32_t i = 0; i < SLOT_MAX; i++)
        if (leftover_take(i)) repaired += slot_repair(); /* before txn_init, which forgets the undo records */
    for (uint32_t i = 0; i < SLOT_MAX; i++)
        if (leftover_take(i)) {
            txn_init(&my_txn);
            client_records_sweep(i);
            replicas_sweep(i);
            blocking_sweep();
            interest_sweep(i);
            slot_release_clean();
        }
    return repaired;
}

int engine_instance_begin(const char *run_id, uint32_t workers)
{
    struct seg_header *h = seg();
    atomic_store(&h->serving, 0);
    clock_refresh();
    ks_set_now_ms(clock_cached_ms());
    int repaired = repair_leftovers();
    for (uint32_t i = 0; i < SLOT_MAX; i++) {
        struct slot *s = slot_at(i);
        atomic_store(&s->births, 0);
        for (uint32_t k = 0; k < STAT_COUNT; k++) atomic_store_explicit(&s->stats[k], 0, memory_order_relaxed);
    }
    engine_stats_reset();
    slot_acquire(0, SLOT_SUPERVISOR);
    txn_init(&my_txn);
    snprintf(h->run_id, sizeof h->run_id, "%s", run_id);
    h->workers = workers;
    atomic_store(&h->started_ms, (uint64_t)clock_wall_ms());
    atomic_fetch_add(&h->generation, 1);
    atomic_store(&h->clean, 0);
    atomic_store(&h->clients_paused, 0);
    atomic_store(&h->stopped_until_us, 0);
    atomic_store(&h->peak_used, 0);
    /* a log that had failed, or whose first base was not done, stays so until a new base is on the disk */
    atomic_store(&h->write_error, atomic_load(&h->log_failed) || atomic_load(&h->log_state) == LOG_STARTING ? 2 : 0);
    atomic_store(&h->log_sleeps, 0);
    atomic_store(&h->log_rewriting, 0);
    atomic_store(&h->log_hold_syncs, 0);
    atomic_store(&h->log_batches, 0);
    atomic_store(&h->log_records, 0);
    atomic_store(&h->log_syncs, 0);
    atomic_store(&h->slow_first, atomic_load(&h->slow_next));
    for (size_t i = 0; i < ARRAY_LEN(h->deaths); i++) atomic_store(&h->deaths[i], 0);
    return repaired;
}

void engine_count_death(uint32_t kind)
{
    if (kind < ARRAY_LEN(seg()->deaths)) atomic_fetch_add(&seg()->deaths[kind], 1);
}

void engine_instance_end(int clean)
{
    atomic_store(&seg()->serving, 0);
    if (my_slot) slot_release_clean();
    atomic_store(&seg()->clean, (uint32_t)(clean != 0));
}

/* A word of the header: its name and how to read it (and write it, when `settable`). */
#define HEADER_WORDS(WORD)                                                                                                            \
    WORD(serving, 1) WORD(clean, 1) WORD(generation, 0) WORD(clients_paused, 0) WORD(pause_until_ms, 0) WORD(started_ms, 0)           \
    WORD(created_ms, 0) WORD(lsn, 0) WORD(cow_active, 0) WORD(arena_committed, 0) WORD(arena_size, 0)            \
    WORD(grow_failed, 0) WORD(pages_total, 0) WORD(pages_used, 0) WORD(pages_free, 0) WORD(next_client_id, 0) WORD(workers, 0)        \
    WORD(databases, 0) WORD(clients_max, 0) WORD(write_error, 1) WORD(slow_first, 1) WORD(slow_next, 0)                            \
    WORD(durable_lsn, 0) WORD(synced_lsn, 0) WORD(log_state, 0) WORD(log_failed, 0)                    \
    WORD(log_next_file, 0) WORD(log_rewriting, 1) WORD(log_hold_syncs, 1) WORD(log_base_bytes, 1) WORD(log_older_bytes, 1)            \
    WORD(log_batches, 0) WORD(log_syncs, 0) WORD(log_records, 0) WORD(progress_done, 0) WORD(save_cancel, 1) WORD(kept_memory, 1) WORD(loaded, 1) WORD(progress_total, 0) WORD(preimg_next, 0)

int64_t engine_word(const char *name)
{
    struct seg_header *h = seg();
#define READ_WORD(field, settable) \
    if (strcmp(name, #field) == 0) return (int64_t)h->field;
    HEADER_WORDS(READ_WORD)
#undef READ_WORD
    if (strcmp(name, "latency_next") == 0) return (int64_t)view_latency_next();
    if (strcmp(name, "log_enabled") == 0) return h->log_enabled & LOG_FOR_FILES ? 1 : 0;
    if (strcmp(name, "slowlog_first") == 0) return (int64_t)h->slow_first;
    if (strncmp(name, "deaths.", 7) == 0 && name[7] >= '0' && name[7] < '8' && !name[8]) return (int64_t)h->deaths[name[7] - '0'];
    return INT64_MIN;
}

int engine_set_word(const char *name, int64_t value)
{
    struct seg_header *h = seg();
    if (strcmp(name, "serving") == 0)
        atomic_store(&h->serving, (uint32_t)value);
    else if (strcmp(name, "clean") == 0)
        atomic_store(&h->clean, (uint32_t)value);
    else if (strcmp(name, "save_cancel") == 0)
        atomic_store(&h->save_cancel, (uint32_t)value);
    else if (strcmp(name, "loaded") == 0)
        atomic_store(&h->loaded, (uint32_t)value);
    else if (strcmp(name, "kept_memory") == 0)
        atomic_store(&h->kept_memory, (uint32_t)value);
    else if (strcmp(name, "log_rewriting") == 0)
        atomic_store(&h->log_rewriting, (uint32_t)value);
    else if (strcmp(name, "log_hold_syncs") == 0)
        atomic_store(&h->log_hold_syncs, (uint32_t)value);
    else if (strcmp(name, "log_base_bytes") == 0)
        atomic_store(&h->log_base_bytes, (uint64_t)value);
    else if (strcmp(name, "log_older_bytes") == 0)
        atomic_store(&h->log_older_bytes, (uint64_t)value);
    else if (strcmp(name, "slowlog_first") == 0 || strcmp(name, "slow_first") == 0)
        atomic_store(&h->slow_first, (uint64_t)value);
    else
        return -1;
    return 0;
}

const char *engine_run_id(void) { return seg()->run_id; }
uint32_t engine_slots(void) { return SLOT_MAX; }

int engine_slot_get(uint32_t i, struct engine_slot *out)
{
    if (i >= SLOT_MAX) return -1;
    struct slot *s = slot_at(i);
    *out = (struct engine_slot){.index = i,
                                .pid = atomic_load(&s->pid),
                                .kind = atomic_load(&s->kind),
                                .ready = atomic_load(&s->ready),
                                .clients = atomic_load(&s->clients),
                                .started_ms = atomic_load(&s->started_ms),
                                .births = atomic_load(&s->births),
                                .loop_epoch = atomic_load(&s->loop_epoch),
                                .status = atomic_load(&s->status),
                                .used_bytes = *(volatile int64_t *)&s->used_bytes};
    return 0;
}

/* ---- settings and blobs ---- */

static const char *const setting_names[SETTING_COUNT] = {
#define SETTING(ident, name, def) [SET_##ident] = name,
#include "settings.def"
#undef SETTING
};

uint32_t engine_setting_count(void) { return SETTING_COUNT; }
const char *engine_setting_name(uint32_t i) { return i < SETTING_COUNT ? setting_names[i] : NULL; }

int engine_setting_index(const char *name)
{
    for (uint32_t i = 0; i < SETTING_COUNT; i++)
        if (strcmp(setting_names[i], name) == 0) return (int)i;
    return -1;
}

int64_t engine_setting_get(uint32_t i)
{
    ENSURE(i < SETTING_COUNT);
    return setting((enum setting_id)i);
}

void engine_setting_set(uint32_t i, int64_t value)
{
    ENSURE(i < SETTING_COUNT);
    atomic_store_explicit(&seg()->settings[i], value, memory_order_relaxed);
}

uint64_t engine_blob_version(uint32_t which) { return blob_version(which); }
uint64_t engine_blob_read(uint32_t which, void *buf, uint64_t cap, uint64_t *version) { return blob_read(which, buf, cap, version); }
int engine_blob_write(uint32_t which, const void *p, uint64_t n, uint64_t expect) { return blob_write(which, p, n, expect); }

/* ---- statistics ---- */

static const struct {
    const char *name, *field;
} stat_rows[STAT_COUNT] = {
#define STAT(ident, name, doc) [STAT_##ident] = {#ident, name},
#include "stats.def"
#undef STAT
};

uint32_t engine_stat_count(void) { return STAT_COUNT; }

const char *engine_stat_name(uint32_t i)
{
    static char lower[STAT_COUNT][40];
    ENSURE(i < STAT_COUNT);
    for (size_t k = 0; k < sizeof lower[i] - 1 && stat_rows[i].name[k]; k++)
        lower[i][k] = stat_rows[i].name[k] == '_' ? '_' : (char)(stat_rows[i].name[k] | 0x20);
    return lower[i];
}

const char *engine_stat_field(uint32_t i)
{
    ENSURE(i < STAT_COUNT);
    return stat_rows[i].field;
}

uint64_t engine_stat_total(uint32_t i) { return view_stat((enum stat_id)i); }
uint64_t engine_stat_slot(uint32_t slot, uint32_t i) { return atomic_load_explicit(&slot_at(slot)->stats[i], memory_order_relaxed); }

void engine_stat_gauge(uint32_t i, uint64_t value)
{
    ENSURE(i < STAT_COUNT);
    atomic_store_explicit(&my_slot->stats[i], value, memory_order_relaxed);
}

void engine_stats_reset(void)
{
    if (!view_now) observe_reset(); /* CONFIG RESETSTAT in EXEC: it was done at its place */
}

void engine_command_stats(uint32_t command, struct engine_command_stats *out)
{
    struct view_command sum = view_command_stats(command);
    *out = (struct engine_command_stats){sum.calls, sum.usec, sum.rejected, sum.failed};
}

void engine_waiting(struct engine_waiting *out)
{
    *out = (struct engine_waiting){.lazy_objects = lazy_pending(),
                                   .blocking_keys = interest_count(INTEREST_BLOCKED, UINT64_MAX),
                                   .blocking_keys_nokey = interest_count(INTEREST_BLOCKED, BLOCK_GONE)};
    for (uint32_t i = 0; i < SLOT_MAX; i++) out->timeouts += atomic_load_explicit(&slot_at(i)->timeouts, memory_order_relaxed);
}

void engine_memory(struct engine_memory *out)
{
    const struct seg_header *h = seg();
    uint64_t committed = view_committed();
    *out = (struct engine_memory){
        .used = view_used_bytes(), .startup = (uint64_t)seg_startup_bytes(), .committed = committed, .arena_size = h->arena_size, .overhead = view_overhead(),
        .segment = committed + committed / COW_BLOCK * sizeof(uint32_t) + h->pages_off};
}

int64_t engine_memory_peak(int reset)
{
    _Atomic int64_t *peak = &seg()->peak_used;
    int64_t used = MAX(view_used_bytes(), 0), seen = atomic_load_explicit(peak, memory_order_relaxed);
    if (reset) atomic_store_explicit(peak, seen = used, memory_order_relaxed);
    while (seen < used && !atomic_compare_exchange_weak_explicit(peak, &seen, used, memory_order_relaxed, memory_order_relaxed)) {}
    return MAX(seen, used);
}

uint64_t engine_db_size(uint32_t db) { return view_database(db).keys; }
uint64_t engine_db_expires(uint32_t db) { return view_database(db).expires; }

/* ---- a worker's life ---- */

void engine_callbacks(void (*command)(struct cmd *), void (*control)(void), void (*tick)(void), void (*stage)(struct cmd *, int))
{
    engine_hooks = (struct engine_hooks){command, control, tick};
    afterwards_ask = stage;
}

void engine_stage_setting(uint32_t i, int64_t value)
{
    ENSURE(i < SETTING_COUNT);
    afterwards_stage((enum setting_id)i, value);
}

void engine_log_to(int fd, int level, char role) { server_log_to(fd, (enum log_level)level, role); }

int engine_worker_start(uint32_t slot, uint32_t kind, char *err, size_t errlen)
{
    if (slot >= SLOT_MAX) {
        snprintf(err, errlen, "there is no slot %u", slot);
        return -1;
    }
    slot_acquire(slot, (enum slot_kind)kind);
    atomic_store(&my_slot->ready, 0);
    clock_refresh();
    ks_set_now_ms(clock_cached_ms());
    if (kind == SLOT_PERSISTENCE) rdb_team_abandon();
    slot_repair();
    txn_init(&my_txn);
    client_records_sweep(slot);
    replicas_sweep(slot);
    blocking_sweep();
    interest_sweep(slot);
    command_table_init();
    ticks_init();
    dispatch_init();
    slow_init();
    dispatch_slow = slow_command;
    dispatch_event = slow_event;
    if (kind != SLOT_WORKER) return 0;
    guard_arm(); /* test build only: from here on an unannounced store to the arena faults */
    if (worker_init()) {
        snprintf(err, errlen, "preparing the event loop: %s", strerror(errno));
        return -1;
    }
    return 0;
}

void engine_worker_fds(uint32_t slot, int handover_receive, int handover_send, int event_fd)
{
    ENSURE(slot < SLOT_MAX);
    handovers[slot] = (struct handover){handover_receive, handover_send};
    inbox_eventfd[slot] = event_fd;
}

void engine_add_listener(int fd, int kind) { accept_add_listener(fd, kind ? LISTENER_UNIX : LISTENER_TCP); }
void engine_remove_listener(int fd) { accept_remove_listener(fd); }
void engine_set_control(int fd) { worker_set_control(fd); }
void engine_tick_every(uint32_t ms) { worker_tick_every(ms); }
void engine_stop(int reason) { worker_stop(reason); }

int engine_serve(char *err, size_t errlen)
{
    if (!my_slot || atomic_load(&my_slot->kind) != SLOT_WORKER) {
        snprintf(err, errlen, "engine_worker_start() was not called");
        return -1;
    }
    atomic_store(&my_slot->ready, 1);
    int reason = worker_serve();
    if (reason < 0) snprintf(err, errlen, "watching the worker's own descriptors: %s", strerror(errno));
    return reason;
}

void engine_worker_end(void)
{
    worker_close_all();
    slot_release_clean();
}

uint64_t engine_slow_read(uint32_t slot, void *buf, uint64_t cap) { return slot < SLOT_MAX ? slow_read(slot, buf, cap) : 0; }
uint64_t engine_slow_next(void) { return view_slow_next(); }
