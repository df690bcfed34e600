/* log/logstate.c - the log's words in the segment's header: marks, how far it is durable, whom that wakes. Who writes which: logstate.h. */
#include "log/logstate.h"

#include <unistd.h>

#include "log/logwriter.h"
#include "shm/inbox.h"
#include "shm/ring.h"

/* ---- marks ---- */

struct log_mark logwriter_mark(void)
{
    struct log_mark m;
    uint32_t i;
    do {
        i = atomic_load_explicit(&seg()->log_mark_index, memory_order_acquire);
        m = seg()->log_marks[i & 1];
        atomic_thread_fence(memory_order_acquire);
    } while (atomic_load_explicit(&seg()->log_mark_index, memory_order_relaxed) != i);
    return m;
}

void log_mark_set(struct log_mark m)
{
    uint32_t i = atomic_load_explicit(&seg()->log_mark_index, memory_order_relaxed);
    seg()->log_marks[(i + 1) & 1] = m;
    atomic_store_explicit(&seg()->log_mark_index, i + 1, memory_order_release); /* pairs with the acquire in logwriter_mark */
}

void write_error_set(uint32_t bit, bool on)
{
    if (on)
        atomic_fetch_or(&seg()->write_error, bit);
    else
        atomic_fetch_and(&seg()->write_error, ~bit);
}

/* ---- waking workers ---- */

void log_wake_slot(uint32_t i)
{
    uint64_t one = 1;
    if (inbox_eventfd[i] < 0) return;
    ssize_t n = write(inbox_eventfd[i], &one, sizeof one); /* a full counter: it is awake already */
    (void)n;
}

void log_wake_waiting(void)
{
    uint64_t durable = atomic_load_explicit(&seg()->durable_lsn, memory_order_relaxed);
    uint64_t on_disk = atomic_load_explicit(&seg()->synced_lsn, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in the worker before it sleeps: one of both sees the other */
    for (uint32_t i = 0; i < SLOT_MAX; i++) {
        struct slot *s = slot_at(i);
        uint64_t wanted = atomic_load_explicit(&s->wait_lsn, memory_order_relaxed);
        bool ready = wanted && wanted <= durable && atomic_compare_exchange_strong(&s->wait_lsn, &wanted, 0);
        uint64_t synced = atomic_load_explicit(&s->sync_wait_lsn, memory_order_relaxed);
        ready |= synced && synced <= on_disk && atomic_compare_exchange_strong(&s->sync_wait_lsn, &synced, 0);
        bool room = atomic_load_explicit(&s->log.producer_waits, memory_order_relaxed) && atomic_exchange(&s->log.producer_waits, 0);
        if (ready || room) log_wake_slot(i);
    }
}

static void advance(_Atomic uint64_t *word, uint64_t lsn)
{
    uint64_t was = atomic_load_explicit(word, memory_order_relaxed);
    while (lsn > was && !atomic_compare_exchange_weak_explicit(word, &was, lsn, memory_order_release, memory_order_relaxed)) {}
}

void log_publish_durable(uint64_t lsn) { advance(&seg()->durable_lsn, lsn); }
void log_publish_synced(uint64_t lsn) { advance(&seg()->synced_lsn, lsn); }

bool log_counts(void) { return atomic_load_explicit(&seg()->log_state, memory_order_acquire) == LOG_ON; }
bool log_failed(void) { return atomic_load_explicit(&seg()->log_failed, memory_order_acquire) != 0; }

/* ---- the other processes' part ---- */

void logwriter_resume(uint64_t file, uint64_t bytes, uint64_t lsn)
{
    struct seg_header *h = seg();
    txn_lock_all(&my_txn);
    if (atomic_load(&h->lsn) < lsn) atomic_store(&h->lsn, lsn);
    lsn = atomic_load(&h->lsn);
    atomic_store(&h->durable_lsn, lsn);
    atomic_store(&h->synced_lsn, lsn);
    atomic_store(&h->log_failed, 0);
    atomic_store(&h->log_next_file, 0);
    log_mark_set((struct log_mark){lsn, file, bytes, LOG_DB_NONE});
    atomic_store(&h->log_state, LOG_ON);
    atomic_fetch_or(&h->log_enabled, LOG_FOR_FILES);
    txn_unlock(&my_txn);
}

void logwriter_switch_locked(uint64_t file)
{
    struct seg_header *h = seg();
    uint64_t lsn = atomic_load(&h->lsn);
    if (!(atomic_load(&h->log_enabled) & LOG_FOR_FILES) || atomic_load(&h->log_failed)) atomic_store(&h->log_state, LOG_STARTING);
    atomic_fetch_or(&h->log_enabled, LOG_FOR_FILES);
    atomic_store_explicit(&h->log_switch_lsn, lsn, memory_order_relaxed);
    atomic_store_explicit(&h->log_next_file, file, memory_order_release); /* pairs with the acquire in try_switch */
    ring_wake_writer();
}

void logwriter_base_done(void)
{
    struct log_mark m = logwriter_mark();
    atomic_store_explicit(&seg()->log_state, LOG_ON, memory_order_release);
    if (log_failed()) return;
    uint64_t cut = atomic_load_explicit(&seg()->log_switch_lsn, memory_order_relaxed);
    log_publish_synced(cut);
    log_publish_durable(setting(SET_appendfsync) != FSYNC_ALWAYS ? MAX(m.lsn, cut) : cut);
    write_error_set(2, false);
    ring_wake_writer();
}

void logwriter_off(void)
{
    txn_lock_all(&my_txn);
    if (atomic_fetch_and(&seg()->log_enabled, ~(uint32_t)LOG_FOR_FILES) & LOG_FOR_FILES) atomic_store(&seg()->log_off_lsn, atomic_load(&seg()->lsn));
    atomic_store(&seg()->log_state, LOG_OFF);
    txn_unlock(&my_txn);
    ring_wake_writer();
}
