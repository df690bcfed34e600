/* log/logwriter.c - the log writer's rounds: batches, changes of files, naps. Each of its threads runs them, with the pen (loglanes.h). The
 * protocol, deaths and failures: logwriter.h. */
#include "log/logwriter.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/turn.h"
#include "log/logbatch.h"
#include "log/logfile.h"
#include "log/loglanes.h"
#include "log/logmerge.h"
#include "log/logstate.h"
#include "log/logsync.h"
#include "log/replfeed.h"

#define NAP_MS_SYNC 100 /* appendfsync always: producers wake us */
#define NAP_MS_BUSY 5   /* else we look by ourselves */
#define NAP_MS_IDLE 25
#define NAP_MS_OFF 100  /* the log is off: nothing can come but a message, and those are read as often */
#define IDLE_ROUNDS 100u
#define UNPUBLISHED_US 50 /* for a record whose LSN is taken but which is not published yet */
#define SYNC_EVERY_US 800000 /* everysec: with a batch on its way and an fdatasync of 0.2 s nothing older than a second is lost */
#define SYNC_NO_EVERY_US 30000000 /* no: only so that damage in an old part of the file can be told from what a power cut left */

static struct {
    struct log_merge merge;
    struct log_batch batch;
    int64_t until_us;    /* monotonic: the next batch waits for company until then, */
    uint64_t wanted_lsn; /* or until this LSN is given out; 0 = it does not wait (loglanes.h) */
    uint32_t idle;       /* rounds without work */
} w;

/* ---- one batch ---- */

static void consume(void) { log_merge_give_back(&w.merge, replfeed_merge()); }

/* Records above this LSN belong to the next file. It is looked at anew for each record, after the record was seen: a cut may come at any
 * time, and who commits behind it publishes behind it, so the acquire in ring_next makes the cut's words visible with the record. */
static uint64_t file_limit(void)
{
    if (atomic_load_explicit(&seg()->log_state, memory_order_acquire) == LOG_OFF) return atomic_load_explicit(&seg()->log_off_lsn, memory_order_relaxed);
    uint64_t next = atomic_load_explicit(&seg()->log_next_file, memory_order_acquire);
    return next && next != log_file.number ? atomic_load_explicit(&seg()->log_switch_lsn, memory_order_relaxed) : UINT64_MAX;
}

/* Gathers what belongs to the current file; true: something is there. */
static bool gather(void)
{
    const struct log_record *r;
    log_batch_clear(&w.batch);
    w.batch.timestamps = setting(SET_aof_timestamp_enabled) != 0;
    while (w.batch.len < LOG_BATCH_BYTES && (r = log_merge_next(&w.merge)) && r->lsn <= file_limit()) {
        if (!log_batch_add(&w.batch, r)) {
            if (w.batch.records) break;
            log_file_fail("No memory to write", ENOMEM);
            return false;
        }
        log_merge_take(&w.merge, r);
    }
    return w.batch.records > 0;
}

static bool syncs_held(void)
{
    return atomic_load_explicit(&seg()->log_hold_syncs, memory_order_relaxed) && setting(SET_no_appendfsync_on_rewrite);
}

/* Is there what the log writer would sleep for? Called when workers can see what wakes it. */
static bool come(uint64_t wanted)
{
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in ring_wake_writer: one of both sees the other */
    if (wanted) return atomic_load_explicit(&seg()->lsn, memory_order_relaxed) >= wanted;
    return replfeed_ready() ||
           (!log_failed() && (log_merge_anything(&w.merge) || atomic_load_explicit(&seg()->log_next_file, memory_order_relaxed)));
}

/* Puts the pen down and sleeps for at most so long, or until a worker wakes it: because LSN `wanted` was given out, or, with 0, because there
 * is anything. */
static void doze(uint64_t wanted, int64_t us)
{
    struct seg_header *h = seg();
    atomic_store_explicit(&h->log_wake_lsn, wanted, memory_order_relaxed);
    atomic_store_explicit(&h->log_sleeps, 1, memory_order_release); /* with log_wake_lsn: pairs with the acquire in ring_wake_writer */
    bool there = come(wanted);
    bool unpublished = there && w.idle;
    log_pen_drop();
    if (!there) {
        struct timespec ts = {us / 1000000, us % 1000000 * 1000};
        syscall(SYS_futex, &h->log_sleeps, FUTEX_WAIT, 1, &ts, NULL, 0);
    } else if (unpublished) {
        usleep(UNPUBLISHED_US);
    }
    atomic_store_explicit(&h->log_sleeps, 0, memory_order_relaxed);
    log_pen_take();
}

/* Another thread sleeps where workers wake: for what this one wants, from now on. */
static void wait_for_watcher(uint64_t wanted, int64_t until)
{
    atomic_store_explicit(&seg()->log_wake_lsn, wanted, memory_order_relaxed);
    if (!come(wanted)) {
        log_watch_wait(until);
    } else if (w.idle) {
        log_pen_drop();
        usleep(UNPUBLISHED_US);
        log_pen_take();
    }
}

static void write_batch(void)
{
    w.batch.synced = log_file.synced;
    if (!log_batch_end(&w.batch)) {
        log_file_fail("No memory to write", ENOMEM);
        return;
    }
    if (!log_file_write(w.batch.buf, w.batch.len)) {
        log_file_fail("Can't write to", errno);
        return;
    }
    log_file.bytes += w.batch.len;
    log_mark_set((struct log_mark){w.batch.lsn, log_file.number, log_file.bytes, w.batch.db});
    consume();
    atomic_fetch_add_explicit(&seg()->log_batches, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&seg()->log_records, w.batch.records, memory_order_relaxed);
    uint64_t lsn = w.batch.lsn;
    if (w.batch.cap > 4 * LOG_BATCH_BYTES) {
        uint64_t db = w.batch.db, second = w.batch.second;
        log_batch_free(&w.batch);
        w.batch.db = db;
        w.batch.second = second;
    }
    if (setting(SET_appendfsync) == FSYNC_ALWAYS && !syncs_held()) {
        log_lane_sync(lsn, w.batch.records); /* others may write the next batch meanwhile */
        return;
    }
    log_lanes_rest();
    if (log_counts() && !log_failed()) log_publish_durable(lsn);
}

/* ---- changing files ---- */

static void open_file(struct log_mark m)
{
    w.batch.db = m.db;
    w.batch.second = 0;
    log_file_open(m);
}

/* True: the switch was carried out, or there is none to wait for. */
static void try_switch(void)
{
    uint64_t file = atomic_load_explicit(&seg()->log_next_file, memory_order_acquire); /* pairs with the release in logwriter_switch_locked */
    uint64_t lsn = atomic_load_explicit(&seg()->log_switch_lsn, memory_order_relaxed);
    struct log_mark m = logwriter_mark();
    if (!file) return;
    if (m.file != file) {
        bool drop = log_failed() || !m.file;
        if (!m.file) log_merge_pass(&w.merge, lsn);
        if (drop ? !log_merge_skip(&w.merge, lsn) : w.merge.next <= lsn) return;
        log_lanes_rest();
        if (!drop && !log_file_sync()) return; /* with any policy: a file is loaded only if those before it are whole */
        m = (struct log_mark){lsn, file, 0, LOG_DB_NONE};
        log_mark_set(m);
        consume();
        atomic_store_explicit(&seg()->log_failed, 0, memory_order_release); /* write_error stays until the base is done */
        if (w.merge.next < lsn + 1) w.merge.next = lsn + 1;
        open_file(m);
    }
    atomic_store_explicit(&seg()->log_next_file, 0, memory_order_release);
}

/* The log is off, but replicas may have records written: they are none of ours. */
static void pass_over(void)
{
    uint64_t lsn = atomic_load_explicit(&seg()->lsn, memory_order_acquire);
    if (atomic_load_explicit(&seg()->log_state, memory_order_acquire) != LOG_OFF) return; /* whoever switches on later does so behind `lsn` */
    log_merge_pass(&w.merge, lsn);
    consume();
}

/* Switched off: what the rings still hold of ours was written; nothing more comes. */
static void finish_off(void)
{
    log_lanes_rest();
    struct log_mark m = logwriter_mark();
    if (log_failed()) {
        log_merge_pass(&w.merge, file_limit());
        consume();
    } else if (m.file) {
        log_file_sync();
    }
    log_file_close();
    atomic_store_explicit(&seg()->log_next_file, 0, memory_order_release); /* a change of files that was not carried out */
    m.lsn = w.merge.next - 1;
    m.file = 0;
    log_mark_set(m);
    log_publish_durable(m.lsn);
    atomic_store_explicit(&seg()->log_failed, 0, memory_order_release);
    write_error_set(2, false);
}

/* ---- the loop ---- */

static int64_t nap_ms(void)
{
    if (setting(SET_appendfsync) == FSYNC_ALWAYS) return NAP_MS_SYNC;
    if (w.idle <= IDLE_ROUNDS) return NAP_MS_BUSY;
    return log_file.fd < 0 && atomic_load_explicit(&seg()->log_state, memory_order_acquire) == LOG_OFF ? NAP_MS_OFF : NAP_MS_IDLE;
}

static void nap(int64_t until_us)
{
    int64_t ms = nap_ms();
    int64_t us = MIN(MIN(ms * 1000, replfeed_nap_us(w.idle > IDLE_ROUNDS)), until_us - clock_mono_us());
    if (log_failed()) us = MIN(us, 20000);
    if (w.wanted_lsn) us = MIN(us, w.until_us - clock_mono_us());
    if (us <= 0) return;
    if (log_watch_begin()) {
        doze(w.wanted_lsn, us);
        log_watch_end();
    } else {
        wait_for_watcher(w.wanted_lsn, clock_mono_us() + us);
    }
    w.idle++;
}

static void sync_now_and_then(void)
{
    int error = log_sync_error(&log_file.synced);
    if (error) log_file_fail("Can't force to the disk", error);
    if (log_failed() || log_file.fd < 0) return;
    struct log_mark m = logwriter_mark();
    int64_t policy = setting(SET_appendfsync), now = clock_mono_us();
    if (syncs_held() || atomic_load_explicit(&seg()->synced_lsn, memory_order_relaxed) >= m.lsn) return;
    if (policy == FSYNC_ALWAYS) {
        if (!log_lanes_busy() && log_file_sync() && log_counts()) log_publish_durable(m.lsn);
    } else if (now - log_file.synced_us >= (policy == FSYNC_NO ? SYNC_NO_EVERY_US : SYNC_EVERY_US) && log_sync_ask(log_file.fd, m.lsn, log_file.bytes)) {
        log_file.synced_us = now;
    }
}

/* Whether a batch may be gathered now; else w.wanted_lsn and w.until_us tell what it waits for. */
static bool may_begin(void)
{
    if (setting(SET_appendfsync) != FSYNC_ALWAYS || syncs_held()) return true;
    if (log_lane_free(w.merge.next, atomic_load_explicit(&seg()->lsn, memory_order_relaxed), &w.until_us, &w.wanted_lsn)) {
        w.wanted_lsn = 0;
        return true;
    }
    if (!w.wanted_lsn) w.wanted_lsn = UINT64_MAX; /* all lanes are in use: the first that ends looks by itself */
    return false;
}

static bool step(void)
{
    w.wanted_lsn = 0;
    struct log_mark m = logwriter_mark();
    if (m.file != log_file.number && !log_failed()) {
        open_file(m);
        if (w.merge.next <= m.lsn) log_merge_init(&w.merge, m.lsn);
        consume();
    }
    if (atomic_load_explicit(&seg()->log_state, memory_order_acquire) == LOG_OFF) {
        if (!m.file) {
            pass_over();
            return false;
        }
        uint64_t last = atomic_load_explicit(&seg()->log_off_lsn, memory_order_relaxed);
        if (!log_failed() && gather()) {
            write_batch();
            return true;
        }
        if (log_failed() || w.merge.next > last) finish_off();
        return false;
    }
    uint64_t next = atomic_load_explicit(&seg()->log_next_file, memory_order_acquire);
    bool worked = false;
    if (!log_failed() && log_file.fd >= 0 && may_begin() && gather()) {
        write_batch();
        worked = true;
    }
    if (next) {
        try_switch();
        worked = worked || !atomic_load_explicit(&seg()->log_next_file, memory_order_relaxed);
    }
    return worked;
}

void logwriter_begin(const char *folder, const char *name)
{
    snprintf(log_file.folder, sizeof log_file.folder, "%s", folder);
    snprintf(log_file.name, sizeof log_file.name, "%s", name);
    w.batch.db = LOG_DB_NONE;
    turn_set(false, 0, LOG_TURN_NS);
    prctl(PR_SET_TIMERSLACK, 1000ul); /* nanoseconds, instead of 50 us: short sleeps are short; refused, they are longer */
    struct log_mark m = logwriter_mark();
    log_merge_init(&w.merge, m.lsn);
    consume(); /* what was written, but not given back when the last one died */
    if (m.file && !log_failed()) open_file(m);
}

static void round_until(int64_t until)
{
    bool worked = step();
    if (replfeed_step()) {
        consume();
        worked = true;
    }
    sync_now_and_then();
    log_wake_waiting();
    if (worked)
        w.idle = 0;
    else
        nap(until);
}

static void lane_round(void) { round_until(clock_mono_us() + NAP_MS_SYNC * 1000); }

void logwriter_run(uint32_t ms)
{
    int64_t until = clock_mono_us() + (int64_t)ms * 1000;
    log_pen_take();
    if (setting(SET_appendfsync) == FSYNC_ALWAYS) log_lanes_start(lane_round);
    do
        round_until(until);
    while (clock_mono_us() < until);
    log_pen_drop();
}

static bool drained(void)
{
    if (log_failed() || !logwriter_mark().file) return true;
    if (w.merge.next <= atomic_load_explicit(&seg()->lsn, memory_order_acquire) || log_merge_anything(&w.merge)) return false;
    return setting(SET_appendfsync) == FSYNC_NO || log_file_sync();
}

bool logwriter_drained(void)
{
    log_pen_take();
    bool yes = drained();
    log_pen_drop();
    return yes;
}

void logwriter_end(void)
{
    log_lanes_end();
    log_sync_end();
    struct log_mark m = logwriter_mark();
    if (log_file.fd >= 0 && !log_failed() && m.file == log_file.number && m.bytes == log_file.bytes && log_file.synced == log_file.bytes) log_file_line(m);
    log_file_close();
    log_batch_free(&w.batch);
}
