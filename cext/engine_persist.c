/* engine_persist.c - what Python sees of snapshots and RDB files. Called by the persistence process only, which holds a slot of its own
 * (engine_worker_start with kind 4); the functions run for seconds and release the GIL. Death in the middle: engine_snapshot_abandon(). */
#include <stdio.h>
#include <unistd.h>

#include "base/turn.h"
#include "engine.h"
#include "keyspace/lazy.h"
#include "net/log.h"
#include "snap/rdb_file.h"

int engine_snapshot_begin(uint64_t pool_bytes, const char *spill_folder, char *err, size_t errlen)
{
    return snapshot_begin(pool_bytes, spill_folder, err, errlen);
}

void engine_snapshot_end(void) { snapshot_end(); }
void engine_snapshot_abandon(void) { snapshot_abandon(); }

void engine_snapshot_get(struct engine_snapshot *out)
{
    const struct snapshot_info *i = snapshot_info();
    *out = (struct engine_snapshot){i->lsn, i->cut_ms, i->cut_us, i->keys, i->preimages * COW_BLOCK, i->spilled * COW_BLOCK, 0};
    for (uint32_t s = 0; s < SLOT_MAX; s++)
        out->dirty += atomic_load_explicit(&slot_at(s)->stats[STAT_DIRTY], memory_order_relaxed);
}

/* ---- saving, in a thread that lets others go first ----
 * The cut and the end of a snapshot hold all stripes, so they run in the process's own thread, at full priority; what takes seconds runs
 * in a thread of its own, for which the first one waits. */

struct save {
    int fd;
    uint32_t flags;
    char *err;
    size_t errlen;
    int result;
};

static void save_main(void *arg)
{
    struct save *s = arg;
    s->result = rdb_file_save(s->fd, s->flags, s->err, s->errlen);
}

int engine_rdb_save(int fd, uint32_t flags, char *err, size_t errlen)
{
    struct save s = {fd, flags, err, errlen, -1};
    turn_run_aside(save_main, &s);
    return s.result;
}

static void log_empty_key(struct slice key)
{
    server_log(LOG_WARNING, "rdbLoadObject: skipping empty key: %.*s", (int)MIN(key.n, (size_t)512), (const char *)key.p);
}

static void log_progress(uint64_t bytes)
{
    uint64_t total = atomic_load(&seg()->progress_total);
    if (total) server_log(LOG_NOTICE, "Loading: %d%% of %llu MB", (int)(100 * bytes / total), (unsigned long long)(total >> 20));
}

int engine_rdb_load(int fd, uint32_t flags, struct engine_rdb *out, char *err, size_t errlen)
{
    struct rdb_file_info i;
    rdb_file_empty_key = log_empty_key;
    rdb_load_progress = log_progress;
    int result = rdb_file_load(fd, flags, &i, err, errlen);
    *out = (struct engine_rdb){i.keys, i.expired, i.bytes, i.created_s, i.used_mem, i.version, i.aof_base, i.empty};
    if (result) server_log(LOG_WARNING, "Bad RDB file, %s", err);
    return result;
}

void engine_progress_begin(uint64_t total)
{
    atomic_store(&seg()->progress_done, 0);
    atomic_store(&seg()->progress_total, total);
}

uint64_t engine_flush_all(void)
{
    struct txn *t = &my_txn;
    jmp_buf failed, *outer = t->on_fail;
    volatile uint64_t n = 0;
    t->on_fail = &failed;
    txn_begin(t);
    if (setjmp(failed) == 0) {
        txn_lock_all(t);
        for (uint32_t db = 0; db < seg()->databases; db++) n += ks_flush_db(t, db);
        txn_commit(t);
    } else {
        txn_abort(t);
        n = UINT64_MAX;
    }
    t->on_fail = outer;
    return n;
}

int engine_lazy_step(uint64_t items) { return lazy_step(items); }
