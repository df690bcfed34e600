/* log/loglanes.c - the pen, the lanes' threads and the order of publishing. Rules, failures, death: loglanes.h. */
#include "log/loglanes.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/turn.h"
#include "log/logfile.h"
#include "log/logstate.h"
#include "log/logsync.h"
#include "shm/ring.h"

#define SLOW_US 500          /* an fdatasync that takes less is not worth another lane, nor waiting for company */
#define LINGER_MOST_US 2000
#define APART_US 80          /* between two beginnings, for each record of a share: those whom one releases are back before the next releases others */
#define CROWD_BEGINS 128u    /* the most records that waited or were in flight in the last so many beginnings are the crowd */
#define MISSED_MOST 4u       /* expectations that fail so often in a row */
#define MISSED_REST 64u      /* are given up for so many batches */

enum sync_state { RUNNING, FORCED, FAILED };

struct begun { /* an fdatasync, from its beginning until it is published */
    uint64_t lsn, bytes;
    uint32_t records;
    enum sync_state state;
};

static struct {
    pthread_mutex_t pen;
    pthread_cond_t spare;   /* for idle threads: the watch is free, or there is another reason to look */
    pthread_cond_t resting; /* for who rests: an fdatasync has ended */
    struct begun queue[LOG_LANES];
    uint32_t first, count;  /* of the queue */
    uint32_t running;       /* fdatasyncs in flight */
    bool broken;            /* one has failed: nothing that is in the queue is published */
    bool rests, watched, stop;
    void (*round)(void);
    pthread_t threads[LOG_LANES];
    uint32_t started;       /* threads besides the main one */
    uint32_t spares;        /* threads that wait for `spare` */
    /* when to begin */
    int64_t took_us;        /* a running mean */
    int64_t begun_us, released_us; /* monotonic: the last beginning, the last publishing */
    uint32_t crowd, peak, begins, missed, quiet;
    bool waited, came;      /* for the batch to come company was waited for; as much as was expected was there */
} lanes = {.pen = PTHREAD_MUTEX_INITIALIZER, .resting = PTHREAD_COND_INITIALIZER};

static _Thread_local uint32_t my_lane; /* 0 = the process's main thread */

/* ---- the pen ---- */

static void wait_spare(int64_t until_us)
{
    struct timespec ts = {until_us / 1000000, until_us % 1000000 * 1000};
    lanes.spares++;
    pthread_cond_timedwait(&lanes.spare, &lanes.pen, &ts);
    lanes.spares--;
}

void log_pen_take(void)
{
    pthread_mutex_lock(&lanes.pen);
    while (lanes.rests) wait_spare(clock_mono_us() + 100000);
}

void log_pen_drop(void) { pthread_mutex_unlock(&lanes.pen); }

bool log_lanes_busy(void) { return lanes.running > 0; }

void log_lanes_rest(void)
{
    if (!lanes.running) return;
    lanes.rests = true;
    while (lanes.running) pthread_cond_wait(&lanes.resting, &lanes.pen);
    lanes.rests = false;
    pthread_cond_broadcast(&lanes.spare);
}

bool log_watch_begin(void)
{
    if (lanes.watched) return false;
    return lanes.watched = true;
}

void log_watch_end(void) { lanes.watched = false; }

void log_watch_wait(int64_t until_us)
{
    wait_spare(until_us);
    while (lanes.rests) wait_spare(clock_mono_us() + 100000);
}

/* ---- when to begin ---- */

static uint32_t records_in_flight(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < lanes.count; i++) n += lanes.queue[(lanes.first + i) % LOG_LANES].records;
    return n;
}

/* On a fast disk the processor is what is short: two lanes made it no faster there, three slower. */
static uint32_t lanes_in_use(void) { return lanes.took_us < SLOW_US ? 1 : lanes.started + 1; }

bool log_lane_free(uint64_t next, uint64_t last, int64_t *until_us, uint64_t *wake_lsn)
{
    uint32_t usable = lanes_in_use(), in_flight = records_in_flight();
    *wake_lsn = 0;
    *until_us = INT64_MAX;
    lanes.peak = MAX(lanes.peak, in_flight + (uint32_t)(last + 1 - next));
    lanes.crowd = MAX(lanes.crowd, lanes.peak);
    if (lanes.count >= usable) return false;
    uint32_t others = lanes.crowd > in_flight ? lanes.crowd - in_flight : 1, share = MIN(others, (lanes.crowd + usable - 1) / usable);
    lanes.came = last + 1 - next >= share;
    int64_t spaced = lanes.count ? lanes.begun_us + lanes.took_us / usable : 0;
    int64_t lingers = lanes.took_us < SLOW_US || lanes.quiet ? 0 : lanes.released_us + MIN(lanes.took_us / 4, LINGER_MOST_US);
    *until_us = MAX(spaced, lingers);
    *wake_lsn = next - 1 + share;
    int64_t now = clock_mono_us(), apart = lanes.count ? lanes.begun_us + MIN(share * APART_US, lanes.took_us / (usable + 1)) : 0;
    if (now >= apart && (lanes.came || now >= *until_us)) return true;
    if (now < apart && (lanes.came || apart > *until_us)) {
        *until_us = apart;
        *wake_lsn = UINT64_MAX;
    }
    lanes.waited = true;
    return false;
}

/* At each beginning: how many there are, and whether waiting for them was worth it. */
static void learn(void)
{
    if (++lanes.begins % CROWD_BEGINS == 0) {
        lanes.crowd = lanes.peak;
        lanes.peak = 0;
    }
    if (lanes.waited) lanes.missed = lanes.came ? 0 : lanes.missed + 1;
    if (lanes.quiet) lanes.quiet--;
    if (lanes.missed > MISSED_MOST) {
        lanes.quiet = MISSED_REST;
        lanes.missed = 0;
    }
    lanes.waited = false;
}

/* ---- forcing, and publishing in order ---- */

static bool publish(void)
{
    bool any = false;
    for (; lanes.count && lanes.queue[lanes.first].state != RUNNING; lanes.first = (lanes.first + 1) % LOG_LANES, lanes.count--) {
        struct begun b = lanes.queue[lanes.first];
        if (b.state == FAILED) lanes.broken = true;
        if (lanes.broken) continue;
        log_file.synced = MAX(log_file.synced, b.bytes);
        if (!log_counts()) continue;
        log_publish_synced(b.lsn);
        log_publish_durable(b.lsn);
        any = true;
    }
    if (!lanes.count) lanes.broken = false;
    return any;
}

void log_lane_sync(uint64_t lsn, uint32_t records)
{
    int error = log_sync_rest(); /* of everysec, until a moment ago */
    if (error) {
        log_file_fail("Can't force to the disk", error);
        return;
    }
    struct begun *mine = &lanes.queue[(lanes.first + lanes.count++) % LOG_LANES];
    *mine = (struct begun){lsn, log_file.bytes, records, RUNNING};
    int fd = log_file.fds[my_lane];
    lanes.running++;
    learn();
    int64_t begun = lanes.begun_us = log_file.synced_us = clock_mono_us();
    if (lanes.spares && !lanes.watched && lanes.count < lanes_in_use()) pthread_cond_signal(&lanes.spare);
    log_pen_drop();
    error = fdatasync(fd) ? errno : 0;
    atomic_fetch_add(&seg()->log_syncs, 1);
    pthread_mutex_lock(&lanes.pen); /* also while somebody rests: it is us for whom he waits */
    int64_t now = clock_mono_us();
    lanes.took_us = lanes.took_us ? lanes.took_us + (now - begun - lanes.took_us) / 8 : now - begun;
    mine->state = error ? FAILED : FORCED;
    lanes.running--;
    if (error) log_file_fail("Can't force to the disk", error);
    bool released = publish();
    if (released) lanes.released_us = now;
    if (lanes.rests) pthread_cond_signal(&lanes.resting);
    pthread_mutex_unlock(&lanes.pen);
    if (released) log_wake_waiting();
    log_pen_take();
}

/* ---- threads ---- */

static void *lane_main(void *number)
{
    my_lane = (uint32_t)(uintptr_t)number;
    turn_set(false, 0, LOG_TURN_NS);
    log_pen_take();
    while (!lanes.stop) {
        if (setting(SET_appendfsync) == FSYNC_ALWAYS && log_file.fds[my_lane] >= 0)
            lanes.round();
        else
            wait_spare(clock_mono_us() + 1000000);
        while (lanes.rests) wait_spare(clock_mono_us() + 100000);
    }
    log_pen_drop();
    return NULL;
}

void log_lanes_start(void (*round)(void))
{
    if (lanes.started) return;
    pthread_condattr_t attr;
    sigset_t all, was;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&lanes.spare, &attr);
    pthread_condattr_destroy(&attr);
    lanes.round = round;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &was); /* signals are the main thread's */
    while (lanes.started < LOG_LANES - 1) {
        if (pthread_create(&lanes.threads[lanes.started], NULL, lane_main, (void *)(uintptr_t)(lanes.started + 1))) break;
        lanes.started++;
    }
    pthread_sigmask(SIG_SETMASK, &was, NULL);
}

void log_lanes_end(void)
{
    if (!lanes.started) return;
    log_pen_take();
    lanes.stop = true;
    pthread_cond_broadcast(&lanes.spare);
    log_pen_drop();
    atomic_store(&seg()->log_sleeps, 0);
    syscall(SYS_futex, &seg()->log_sleeps, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    for (uint32_t i = 0; i < lanes.started; i++) pthread_join(lanes.threads[i], NULL);
    lanes.started = 0;
    lanes.stop = false;
}
