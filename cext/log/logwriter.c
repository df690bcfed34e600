/* log/logwriter.c - the log writer's loop. The protocol, deaths and failures: logwriter.h. */
#include "log/logwriter.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "shm/inbox.h"

#define NAP_MS_SYNC 100 /* appendfsync always: producers wake us */
#define NAP_MS_BUSY 5   /* else we look by ourselves */
#define NAP_MS_IDLE 25
#define IDLE_ROUNDS 100u
#define SYNC_EVERY_US 800000 /* everysec: with a batch on its way and an fdatasync of 0.2 s nothing older than a second is lost */
#define SYNC_NO_EVERY_US 30000000 /* no: only so that damage in an old part of the file can be told from what a power cut left */
#define LINGER_FROM_US 500   /* an fdatasync that takes less is not worth waiting for company */
#define LINGER_MOST_US 2000
#define LINGER_LOOK_US 20

enum { FSYNC_NO, FSYNC_ALWAYS, FSYNC_EVERYSEC }; /* settings.def */

static struct {
    char folder[PATH_MAX], name[256];
    int fd; /* of `file`; -1 = none */
    uint64_t file, bytes;
    uint64_t synced; /* bytes of the file that are known to be forced to the disk */
    struct log_merge merge;
    struct log_batch batch;
    int64_t synced_us; /* monotonic: when the last fdatasync was begun */
    int64_t linger_us; /* monotonic: gather for the next batch until then, 0 = do not; see linger() */
    uint64_t linger_lsn; /* or until this LSN was given out */
    uint32_t missed, rest; /* lingered in vain so often in a row; batches without lingering that follow from it */
    uint32_t idle;     /* rounds without work */
    char words[512];
    bool has_words, warning;
} w = {.fd = -1};

/* ---- marks and words ---- */

static struct seg_header *head(void) { return seg(); }

struct log_mark logwriter_mark(void)
{
    struct log_mark m;
    uint32_t i;
    do {
        i = atomic_load_explicit(&head()->log_mark_index, memory_order_acquire);
        m = head()->log_marks[i & 1];
        atomic_thread_fence(memory_order_acquire);
    } while (atomic_load_explicit(&head()->log_mark_index, memory_order_relaxed) != i);
    return m;
}

static void mark_set(struct log_mark m)
{
    uint32_t i = atomic_load_explicit(&head()->log_mark_index, memory_order_relaxed);
    head()->log_marks[(i + 1) & 1] = m;
    atomic_store_explicit(&head()->log_mark_index, i + 1, memory_order_release); /* pairs with the acquire in logwriter_mark */
}

static void say(bool warning, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(bool warning, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(w.words, sizeof w.words, fmt, args);
    va_end(args);
    w.has_words = true;
    w.warning = warning;
}

const char *logwriter_words(bool *warning)
{
    *warning = w.warning;
    if (!w.has_words) return "";
    w.has_words = false;
    return w.words;
}

void write_error_set(uint32_t bit, bool on)
{
    if (on)
        atomic_fetch_or(&seg()->write_error, bit);
    else
        atomic_fetch_and(&seg()->write_error, ~bit);
}

/* ---- waking workers ---- */

static void wake_slot(uint32_t i)
{
    uint64_t one = 1;
    if (inbox_eventfd[i] < 0) return;
    ssize_t n = write(inbox_eventfd[i], &one, sizeof one); /* a full counter: it is awake already */
    (void)n;
}

static void wake_waiting(void)
{
    uint64_t durable = atomic_load_explicit(&head()->durable_lsn, memory_order_relaxed);
    uint64_t on_disk = atomic_load_explicit(&head()->synced_lsn, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in the worker before it sleeps: one of both sees the other */
    for (uint32_t i = 0; i < SLOT_MAX; i++) {
        struct slot *s = slot_at(i);
        uint64_t wanted = atomic_load_explicit(&s->wait_lsn, memory_order_relaxed);
        bool ready = wanted && wanted <= durable && atomic_compare_exchange_strong(&s->wait_lsn, &wanted, 0);
        uint64_t synced = atomic_load_explicit(&s->sync_wait_lsn, memory_order_relaxed);
        ready |= synced && synced <= on_disk && atomic_compare_exchange_strong(&s->sync_wait_lsn, &synced, 0);
        bool room = atomic_load_explicit(&s->log.producer_waits, memory_order_relaxed) && atomic_exchange(&s->log.producer_waits, 0);
        if (ready || room) wake_slot(i);
    }
}

/* Both by this process, its helper, and the persistence process for what a base holds. */
static void advance(_Atomic uint64_t *word, uint64_t lsn)
{
    uint64_t was = atomic_load_explicit(word, memory_order_relaxed);
    while (lsn > was && !atomic_compare_exchange_weak_explicit(word, &was, lsn, memory_order_release, memory_order_relaxed)) {}
}

static void publish_durable(uint64_t lsn) { advance(&head()->durable_lsn, lsn); }
static void publish_synced(uint64_t lsn) { advance(&head()->synced_lsn, lsn); }

/* While a first base is being written for a log that was off or had failed, replies that need durability wait for it. */
static bool counts(void) { return atomic_load_explicit(&head()->log_state, memory_order_acquire) == LOG_ON; }

/* ---- failure ---- */

static bool failed(void) { return atomic_load_explicit(&head()->log_failed, memory_order_acquire) != 0; }

static void fail(const char *what, int error)
{
    if (failed()) return;
    atomic_store_explicit(&head()->log_failed, (uint32_t)(error ? error : EIO), memory_order_release);
    write_error_set(2, true);
    say(true, "%s the append only file %s.%" PRIu64 ".incr.aof: %s. Writes are refused until a new file and base are on the disk.", what,
        w.name, w.file, strerror(error ? error : EIO));
}

/* ---- the helper that forces to the disk once a second ---- */

static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool started, busy, stop;
    int fd, error;
    uint64_t lsn, bytes; /* up to where it forces */
    uint64_t synced;     /* bytes that it has forced */
} helper = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void *helper_main(void *unused)
{
    pthread_mutex_lock(&helper.lock);
    while (!helper.stop) {
        if (!helper.busy) {
            pthread_cond_wait(&helper.changed, &helper.lock);
            continue;
        }
        int fd = helper.fd;
        uint64_t lsn = helper.lsn, bytes = helper.bytes;
        pthread_mutex_unlock(&helper.lock);
        int error = fdatasync(fd) ? errno : 0;
        atomic_fetch_add(&head()->log_syncs, 1);
        pthread_mutex_lock(&helper.lock);
        if (error)
            helper.error = error;
        else
            helper.synced = bytes;
        if (!error && counts()) publish_synced(lsn);
        helper.busy = false;
        pthread_cond_broadcast(&helper.changed);
    }
    pthread_mutex_unlock(&helper.lock);
    return unused;
}

/* Waits until it does not use the file; its error, if it had one, is taken. */
static int helper_rest(void)
{
    pthread_mutex_lock(&helper.lock);
    while (helper.busy) pthread_cond_wait(&helper.changed, &helper.lock);
    int error = helper.error;
    helper.error = 0;
    helper.synced = 0; /* the caller forces the rest, or goes to another file */
    pthread_mutex_unlock(&helper.lock);
    return error;
}

/* Asks it to work; false: it still does. */
static bool helper_ask(int fd, uint64_t lsn, uint64_t bytes)
{
    if (!helper.started) helper.started = pthread_create(&helper.thread, NULL, helper_main, NULL) == 0;
    if (!helper.started) return false;
    pthread_mutex_lock(&helper.lock);
    bool idle = !helper.busy;
    if (idle) {
        helper.fd = fd;
        helper.lsn = lsn;
        helper.bytes = bytes;
        helper.busy = true;
        pthread_cond_broadcast(&helper.changed);
    }
    pthread_mutex_unlock(&helper.lock);
    return idle;
}

static int helper_error(void)
{
    pthread_mutex_lock(&helper.lock);
    int error = helper.busy ? 0 : helper.error;
    if (error) helper.error = 0;
    w.synced = MAX(w.synced, helper.synced);
    pthread_mutex_unlock(&helper.lock);
    return error;
}

/* ---- the file ---- */

static void file_close(void)
{
    helper_rest();
    if (w.fd >= 0) close(w.fd);
    w.fd = -1;
    w.file = 0;
}

static bool write_all(const uint8_t *p, size_t n)
{
    while (n) {
        ssize_t done = write(w.fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

/* A line of no bytes: with it a file of ours begins, and it ends with one after a clean stop, which tells that all of it was on the disk. */
static bool file_line(struct log_mark m)
{
    char text[LOG_MARK_MAX];
    const struct log_mark_line line = {.lsn = m.lsn, .synced = w.synced}; /* no time: records to come may be older */
    size_t n = log_mark_format(&line, NULL, text);
    if (!write_all((const uint8_t *)text, n)) {
        fail("Can't write to", errno);
        return false;
    }
    m.bytes = w.bytes = m.bytes + n;
    mark_set(m);
    return true;
}

/* Opens the mark's file where the mark says it ends. */
static void file_open(struct log_mark m)
{
    char path[PATH_MAX + 300];
    struct stat st;
    file_close();
    w.file = m.file;
    w.bytes = m.bytes;
    w.synced = 0;
    w.batch.db = m.db;
    w.batch.second = 0;
    snprintf(path, sizeof path, "%s/%s.%" PRIu64 ".incr.aof", w.folder, w.name, m.file);
    w.fd = open(path, O_WRONLY | O_CLOEXEC);
    if (w.fd < 0 || fstat(w.fd, &st)) {
        fail("Can't open", errno);
    } else if ((uint64_t)st.st_size < m.bytes) {
        errno = EIO;
        fail("Bytes that were written are gone from", errno);
    } else if (((uint64_t)st.st_size > m.bytes && ftruncate(w.fd, (off_t)m.bytes)) || lseek(w.fd, (off_t)m.bytes, SEEK_SET) < 0) {
        fail("Can't cut", errno);
    } else if ((m.bytes || file_line(m)) && fdatasync(w.fd)) {
        fail("Can't force to the disk", errno);
    } else {
        w.synced = w.bytes;
        w.synced_us = clock_mono_us();
    }
}

static bool file_sync(void)
{
    struct log_mark m = logwriter_mark();
    int error = helper_rest();
    if (!error) {
        if (fdatasync(w.fd)) error = errno;
        atomic_fetch_add(&head()->log_syncs, 1);
        w.synced_us = clock_mono_us();
    }
    if (error) {
        fail("Can't force to the disk", error);
        return false;
    }
    w.synced = w.bytes;
    if (counts()) publish_synced(m.lsn);
    return true;
}

/* ---- one batch ---- */

static void consume(void)
{
    for (uint32_t i = 0; i < SLOT_MAX; i++) ring_consume_to(i, w.merge.at[i]);
}

/* Records above this LSN belong to the next file. It is looked at anew for each record, after the record was seen: a cut may come at any
 * time, and who commits behind it publishes behind it, so the acquire in ring_next makes the cut's words visible with the record. */
static uint64_t file_limit(void)
{
    uint64_t next = atomic_load_explicit(&head()->log_next_file, memory_order_acquire);
    return next && next != w.file ? atomic_load_explicit(&head()->log_switch_lsn, memory_order_relaxed) : UINT64_MAX;
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
            fail("No memory to write", ENOMEM);
            return false;
        }
        log_merge_take(&w.merge, r);
    }
    return w.batch.records > 0;
}

static bool syncs_held(void)
{
    return atomic_load_explicit(&head()->log_hold_syncs, memory_order_relaxed) && setting(SET_no_appendfsync_on_rewrite);
}

/* appendfsync always on a slow disk: whoever was just released comes back with his next write in a moment, and those who came meanwhile
 * wait already. Begun at once, the next fdatasync would be for the latter alone, and everybody would wait for two; so it is held back for a
 * fraction of its length, until as many have come as are expected. Expectations that fail several times are given up for a while. */
static void linger_plan(int64_t sync_us)
{
    if (sync_us < LINGER_FROM_US || (w.rest && w.rest--)) return;
    w.linger_us = clock_mono_us() + MIN(sync_us / 4, LINGER_MOST_US);
    w.linger_lsn = atomic_load_explicit(&head()->lsn, memory_order_relaxed) + w.batch.records;
}

static void linger(void)
{
    if (!w.linger_us) return;
    bool came;
    while (!(came = atomic_load_explicit(&head()->lsn, memory_order_relaxed) >= w.linger_lsn) && clock_mono_us() < w.linger_us) usleep(LINGER_LOOK_US);
    w.missed = came ? 0 : w.missed + 1;
    if (w.missed > 4) w.rest = 64;
    w.linger_us = 0;
}

static void write_batch(void)
{
    w.batch.synced = w.synced;
    if (!log_batch_end(&w.batch)) {
        fail("No memory to write", ENOMEM);
        return;
    }
    if (!write_all(w.batch.buf, w.batch.len)) {
        fail("Can't write to", errno);
        return;
    }
    w.bytes += w.batch.len;
    mark_set((struct log_mark){w.batch.lsn, w.file, w.bytes, w.batch.db});
    consume();
    atomic_fetch_add_explicit(&head()->log_batches, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&head()->log_records, w.batch.records, memory_order_relaxed);
    if (setting(SET_appendfsync) == FSYNC_ALWAYS && !syncs_held()) {
        int64_t begun = clock_mono_us();
        if (!file_sync()) return;
        linger_plan(clock_mono_us() - begun);
    }
    if (counts()) publish_durable(w.batch.lsn);
    if (w.batch.cap > 4 * LOG_BATCH_BYTES) {
        uint64_t db = w.batch.db, second = w.batch.second;
        log_batch_free(&w.batch);
        w.batch.db = db;
        w.batch.second = second;
    }
}

/* ---- changing files ---- */

/* True: the switch was carried out, or there is none to wait for. */
static void try_switch(void)
{
    uint64_t file = atomic_load_explicit(&head()->log_next_file, memory_order_acquire); /* pairs with the release in logwriter_switch_locked */
    uint64_t lsn = atomic_load_explicit(&head()->log_switch_lsn, memory_order_relaxed);
    struct log_mark m = logwriter_mark();
    if (!file) return;
    if (m.file != file) {
        bool drop = failed() || !m.file;
        if (drop ? !log_merge_skip(&w.merge, lsn) : w.merge.next <= lsn) return;
        if (!drop && !file_sync()) return; /* with any policy: a file is loaded only if those before it are whole */
        m = (struct log_mark){lsn, file, 0, LOG_DB_NONE};
        mark_set(m);
        consume();
        atomic_store_explicit(&head()->log_failed, 0, memory_order_release); /* write_error stays until the base is done */
        if (w.merge.next < lsn + 1) w.merge.next = lsn + 1;
        file_open(m);
    }
    atomic_store_explicit(&head()->log_next_file, 0, memory_order_release);
}

/* Switched off: what the rings still hold was written; nothing more comes. */
static void finish_off(void)
{
    struct log_mark m = logwriter_mark();
    if (failed()) {
        log_merge_skip(&w.merge, MIN(atomic_load_explicit(&head()->lsn, memory_order_acquire), file_limit()));
        consume();
    } else if (m.file) {
        file_sync();
    }
    file_close();
    m.lsn = w.merge.next - 1;
    m.file = 0;
    mark_set(m);
    publish_durable(m.lsn);
    atomic_store_explicit(&head()->log_failed, 0, memory_order_release);
    write_error_set(2, false);
}

/* ---- the loop ---- */

static bool anything_there(void)
{
    for (uint32_t i = 0; i < SLOT_MAX; i++)
        if (ring_next(i, &w.merge.at[i])) return true;
    return false;
}

static void nap(int64_t until_us)
{
    struct seg_header *h = head();
    int64_t ms = setting(SET_appendfsync) == FSYNC_ALWAYS ? NAP_MS_SYNC : w.idle > IDLE_ROUNDS ? NAP_MS_IDLE : NAP_MS_BUSY;
    int64_t us = MIN(ms * 1000, until_us - clock_mono_us());
    if (failed()) us = MIN(us, 20000);
    if (us <= 0) return;
    atomic_store_explicit(&h->log_sleeps, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in ring_wake_writer */
    bool wanted = (!failed() && anything_there()) || (atomic_load_explicit(&h->log_next_file, memory_order_relaxed) && !failed());
    if (!wanted) {
        struct timespec ts = {us / 1000000, us % 1000000 * 1000};
        syscall(SYS_futex, &h->log_sleeps, FUTEX_WAIT, 1, &ts, NULL, 0);
    } else if (w.idle) {
        usleep(50); /* a record whose LSN is taken but which is not published yet */
    }
    atomic_store_explicit(&h->log_sleeps, 0, memory_order_relaxed);
    w.idle++;
}

static void sync_now_and_then(void)
{
    int error = helper_error();
    if (error) fail("Can't force to the disk", error);
    if (failed() || w.fd < 0) return;
    struct log_mark m = logwriter_mark();
    int64_t policy = setting(SET_appendfsync), now = clock_mono_us();
    if (syncs_held() || atomic_load_explicit(&head()->synced_lsn, memory_order_relaxed) >= m.lsn) return;
    if (policy == FSYNC_ALWAYS) {
        if (file_sync() && counts()) publish_durable(m.lsn);
    } else if (now - w.synced_us >= (policy == FSYNC_NO ? SYNC_NO_EVERY_US : SYNC_EVERY_US) && helper_ask(w.fd, m.lsn, w.bytes)) {
        w.synced_us = now;
    }
}

static bool step(void)
{
    struct log_mark m = logwriter_mark();
    if (m.file != w.file && !failed()) {
        file_open(m);
        if (w.merge.next <= m.lsn) log_merge_init(&w.merge, m.lsn);
        consume();
    }
    if (atomic_load_explicit(&head()->log_state, memory_order_acquire) == LOG_OFF) {
        if (!m.file) return false;
        uint64_t last = atomic_load_explicit(&head()->lsn, memory_order_acquire);
        if (!failed() && gather()) {
            write_batch();
            return true;
        }
        if (failed() || w.merge.next > last) finish_off();
        return false;
    }
    uint64_t next = atomic_load_explicit(&head()->log_next_file, memory_order_acquire);
    bool worked = false;
    linger();
    if (!failed() && w.fd >= 0 && gather()) {
        write_batch();
        worked = true;
    }
    if (next) {
        try_switch();
        worked = worked || !atomic_load_explicit(&head()->log_next_file, memory_order_relaxed);
    }
    return worked;
}

void logwriter_begin(const char *folder, const char *name)
{
    snprintf(w.folder, sizeof w.folder, "%s", folder);
    snprintf(w.name, sizeof w.name, "%s", name);
    w.batch.db = LOG_DB_NONE;
    prctl(PR_SET_TIMERSLACK, 1000ul); /* nanoseconds, instead of 50 us: short sleeps are short; refused, they are longer */
    struct log_mark m = logwriter_mark();
    log_merge_init(&w.merge, m.lsn);
    consume(); /* what was written, but not given back when the last one died */
    if (m.file && !failed()) file_open(m);
}

void logwriter_run(uint32_t ms)
{
    int64_t until = clock_mono_us() + (int64_t)ms * 1000;
    do {
        bool worked = step();
        sync_now_and_then();
        wake_waiting();
        if (worked)
            w.idle = 0;
        else
            nap(until);
    } while (clock_mono_us() < until);
}

bool logwriter_drained(void)
{
    if (failed() || !logwriter_mark().file) return true;
    if (w.merge.next <= atomic_load_explicit(&head()->lsn, memory_order_acquire) || anything_there()) return false;
    return setting(SET_appendfsync) == FSYNC_NO || file_sync();
}

void logwriter_end(void)
{
    if (helper.started) {
        pthread_mutex_lock(&helper.lock);
        helper.stop = true;
        pthread_cond_broadcast(&helper.changed);
        pthread_mutex_unlock(&helper.lock);
        pthread_join(helper.thread, NULL);
        helper.started = helper.stop = helper.busy = false;
    }
    struct log_mark m = logwriter_mark();
    if (w.fd >= 0 && !failed() && m.file == w.file && m.bytes == w.bytes && w.synced == w.bytes) file_line(m);
    if (w.fd >= 0) close(w.fd);
    w.fd = -1;
    w.file = 0;
    log_batch_free(&w.batch);
}

/* ---- the other processes' part ---- */

void logwriter_resume(uint64_t file, uint64_t bytes, uint64_t lsn)
{
    struct seg_header *h = head();
    txn_lock_all(&my_txn);
    if (atomic_load(&h->lsn) < lsn) atomic_store(&h->lsn, lsn);
    lsn = atomic_load(&h->lsn);
    atomic_store(&h->durable_lsn, lsn);
    atomic_store(&h->synced_lsn, lsn);
    atomic_store(&h->log_failed, 0);
    atomic_store(&h->log_next_file, 0);
    mark_set((struct log_mark){lsn, file, bytes, LOG_DB_NONE});
    atomic_store(&h->log_state, LOG_ON);
    atomic_store(&h->log_enabled, 1);
    txn_unlock(&my_txn);
}

void logwriter_switch_locked(uint64_t file)
{
    struct seg_header *h = head();
    uint64_t lsn = atomic_load(&h->lsn);
    if (!atomic_load(&h->log_enabled) || atomic_load(&h->log_failed)) atomic_store(&h->log_state, LOG_STARTING);
    atomic_store(&h->log_enabled, 1);
    atomic_store_explicit(&h->log_switch_lsn, lsn, memory_order_relaxed);
    atomic_store_explicit(&h->log_next_file, file, memory_order_release); /* pairs with the acquire in try_switch */
    ring_wake_writer();
}

void logwriter_base_done(void)
{
    struct log_mark m = logwriter_mark();
    atomic_store_explicit(&head()->log_state, LOG_ON, memory_order_release);
    if (failed()) return;
    uint64_t cut = atomic_load_explicit(&head()->log_switch_lsn, memory_order_relaxed);
    publish_synced(cut);
    publish_durable(setting(SET_appendfsync) != FSYNC_ALWAYS ? MAX(m.lsn, cut) : cut);
    write_error_set(2, false);
    ring_wake_writer();
}

void logwriter_off(void)
{
    txn_lock_all(&my_txn);
    atomic_store(&head()->log_enabled, 0);
    atomic_store(&head()->log_state, LOG_OFF);
    txn_unlock(&my_txn);
    ring_wake_writer();
}
