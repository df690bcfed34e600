/* shm/ring.c - staging, committing and consuming log records. Layout, order and death: ring.h. */
#include "shm/ring.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shm/pageheap.h"
#include "shm/sysop.h"

#define RING_LARGEST (LOG_RING_BYTES / 8) /* larger payloads lie outside the ring */

static uint64_t wall_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static struct log_record *record_at(uint32_t slot_index, uint64_t position)
{
    return shm_ptr(slot_log_area(slot_index) + position % LOG_RING_BYTES);
}

uint64_t ring_room(void)
{
    struct ring *r = &my_slot->log;
    return LOG_RING_BYTES - (atomic_load_explicit(&r->head, memory_order_relaxed) -
                             atomic_load_explicit(&r->tail, memory_order_acquire));
}

/* Place for `size` bytes that do not wrap, after a LOG_PAD where needed; UINT64_MAX when the ring is too full. */
static uint64_t place_for(uint64_t size)
{
    uint64_t head = atomic_load_explicit(&my_slot->log.head, memory_order_relaxed);
    uint64_t to_end = LOG_RING_BYTES - head % LOG_RING_BYTES;
    uint64_t pad = to_end < size ? to_end : 0;
    if (ring_room() < pad + size) return UINT64_MAX;
    if (pad) *record_at(my_slot_index, head) = (struct log_record){.size = (uint32_t)pad, .kind = LOG_PAD};
    return head + pad;
}

void ring_stage(struct txn *t)
{
    uint64_t size = round_up(sizeof(struct log_record) + t->log_len, CACHE_LINE);
    uint64_t at = t->log_len > RING_LARGEST ? UINT64_MAX : place_for(size);
    struct log_record head = {.kind = LOG_INLINE, .time_ms = wall_ms(), .bytes = t->log_len, .frames = t->log_frames};
    if (at == UINT64_MAX) {
        size = CACHE_LINE;
        head.kind = LOG_EXTERNAL;
        head.external = txn_alloc(t, MAX(t->log_len, (size_t)ARENA_CLASS_MAX + 1));
        memcpy(shm_ptr(head.external), t->log_buf, t->log_len);
        at = place_for(size);
        if (at == UINT64_MAX) txn_fail(t, TXN_NO_MEMORY, size); /* callers park writers long before (ring_room) */
    }
    head.size = (uint32_t)size;
    struct log_record *r = record_at(my_slot_index, at);
    *r = head;
    if (head.kind == LOG_INLINE) memcpy(r + 1, t->log_buf, t->log_len);
    my_slot->log.staged = at;
    my_slot->log_staged_end = at + size;
}

static void publish(struct slot *s)
{
    atomic_store_explicit(&s->log.head, s->log_staged_end, memory_order_release);
}

void ring_wake_writer(void)
{
    struct seg_header *h = seg();
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in the log writer's sleep: one of both sees the other */
    if (!atomic_load_explicit(&h->log_sleeps, memory_order_acquire)) return; /* acquire: pairs with the release in the log writer's sleep */
    if (atomic_load_explicit(&h->lsn, memory_order_relaxed) < atomic_load_explicit(&h->log_wake_lsn, memory_order_relaxed)) return;
    if (atomic_exchange_explicit(&h->log_sleeps, 0, memory_order_acq_rel)) syscall(SYS_futex, &h->log_sleeps, FUTEX_WAKE, 1, NULL, NULL, 0);
}

uint64_t ring_commit(void)
{
    struct seg_header *h = seg();
    struct log_record *r = record_at(my_slot_index, my_slot->log.staged);
    lock_acquire(&h->log_lock, slot_owner_id());
    uint64_t lsn = atomic_load_explicit(&h->lsn, memory_order_relaxed) + 1;
    r->lsn = lsn;
    store_order();
    atomic_store_explicit(&my_slot->status, lsn << 2 | STATUS_COMMITTED, memory_order_relaxed);
    store_order();
    atomic_store_explicit(&h->lsn, lsn, memory_order_release);
    lock_release(&h->log_lock);
    publish(my_slot);
    if (unlikely(ring_room() < LOG_RING_BYTES / 4 * 3)) ring_wake_writer(); /* else whoever needs it soon does, and it looks by itself */
    return lsn;
}

void ring_unstage(void) { my_slot->log_staged_end = atomic_load_explicit(&my_slot->log.head, memory_order_relaxed); }

void ring_republish(struct slot *s, uint32_t slot_index, uint64_t lsn)
{
    struct seg_header *h = seg();
    if (lock_owner(&h->log_lock) == slot_index + 1 && atomic_load_explicit(&h->lsn, memory_order_relaxed) < lsn)
        atomic_store_explicit(&h->lsn, lsn, memory_order_release);
    publish(s);
}

/* ---- the consumer ---- */

const struct log_record *ring_next(uint32_t slot_index, uint64_t *at)
{
    struct ring *r = &slot_at(slot_index)->log;
    while (*at != atomic_load_explicit(&r->head, memory_order_acquire)) { /* pairs with the release in publish */
        const struct log_record *rec = record_at(slot_index, *at);
        if (rec->kind != LOG_PAD) return rec;
        *at += rec->size;
    }
    return NULL;
}

/* The run goes back and the record forgets it in one system operation, so that nothing is freed twice. */
static void free_external(struct log_record *rec)
{
    page_heap_lock();
    uint32_t first = page_number(rec->external);
    uint64_t bytes = (uint64_t)page_at(first)->npages * PAGE_SIZE_ARENA;
    page_run_free_locked(first);
    sysop_set64(&rec->external, 0);
    sysop_end();
    page_heap_unlock();
    my_slot->used_bytes -= (int64_t)bytes;
}

void ring_consume_to(uint32_t slot_index, uint64_t at)
{
    struct slot *s = slot_at(slot_index);
    uint64_t tail = atomic_load_explicit(&s->log.tail, memory_order_relaxed);
    while (tail != at) {
        struct log_record *rec = record_at(slot_index, tail);
        if (rec->kind == LOG_EXTERNAL && rec->external) free_external(rec);
        tail += rec->size;
        atomic_store_explicit(&s->log.tail, tail, memory_order_release); /* pairs with the acquire in ring_room */
    }
}

/* ---- frames ---- */

struct log_walk log_walk_begin(const struct log_record *r)
{
    const uint8_t *p = log_payload(r);
    return (struct log_walk){.at = p, .end = p + r->bytes};
}

/* Is there a frame at w->at that goes on with the unit of the one before it? */
static bool unit_goes_on(const struct log_walk *w)
{
    struct log_frame next;
    if (w->at == w->end) return false;
    memcpy(&next, w->at, sizeof next);
    return !next.unit;
}

bool log_walk_next(struct log_walk *w)
{
    if (w->at == w->end) return false;
    memcpy(&w->frame, w->at, sizeof w->frame);
    w->command = w->at + sizeof w->frame;
    w->at = w->command + w->frame.len;
    bool more = unit_goes_on(w);
    w->opens = more && !w->inside;
    w->closes = !more && w->inside;
    w->inside = more;
    return true;
}
