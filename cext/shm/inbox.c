/* shm/inbox.c - sending to and receiving from inbox rings. Layout, waking and deaths: inbox.h. */
#include "shm/inbox.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

int inbox_eventfd[SLOT_MAX] = {[0 ... SLOT_MAX - 1] = -1};

static struct inbox_message *message_at(uint32_t slot, uint64_t position)
{
    return shm_ptr(slot_inbox_area(slot) + position % INBOX_BYTES);
}

static void wake(uint32_t slot)
{
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in inbox_may_sleep */
    if (!atomic_load_explicit(&slot_at(slot)->inbox.consumer_sleeps, memory_order_relaxed) || inbox_eventfd[slot] < 0) return;
    uint64_t one = 1;
    ssize_t n = write(inbox_eventfd[slot], &one, sizeof one); /* full counter: it is awake already */
    (void)n;
}

/* Bytes to the end of the ring that must be skipped, so that `size` lie together. */
static uint64_t skip_for(uint64_t head, uint64_t size)
{
    uint64_t to_end = INBOX_BYTES - head % INBOX_BYTES;
    return to_end < size ? to_end : 0;
}

/* Needs the inbox lock. */
static bool put_locked(uint32_t slot, enum inbox_kind kind, const void *p, uint32_t n)
{
    struct ring *r = &slot_at(slot)->inbox;
    uint64_t size = round_up(sizeof(struct inbox_message) + n, 16);
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed), skip = skip_for(head, size);
    uint64_t used = head - atomic_load_explicit(&r->tail, memory_order_acquire); /* pairs with the release in inbox_receive */
    if (used + skip + size > INBOX_BYTES) return false;
    if (skip) *message_at(slot, head) = (struct inbox_message){.size = (uint32_t)skip, .kind = INBOX_PAD};
    struct inbox_message *m = message_at(slot, head + skip);
    *m = (struct inbox_message){.size = (uint32_t)size, .kind = (uint16_t)kind, .from = (uint16_t)my_slot_index, .bytes = n};
    if (n) memcpy(m + 1, p, n);
    atomic_store_explicit(&r->head, head + skip + size, memory_order_release); /* pairs with the acquire in inbox_receive */
    return true;
}

bool inbox_send(uint32_t slot, enum inbox_kind kind, const void *p, uint32_t n)
{
    if (n > INBOX_BYTES / 4) return false;
    struct slot *s = slot_at(slot);
    int64_t deadline = 0;
    for (;;) {
        lock_acquire(&s->inbox_lock, slot_owner_id());
        bool done = put_locked(slot, kind, p, n);
        lock_release(&s->inbox_lock);
        if (done) {
            wake(slot);
            return true;
        }
        if (!atomic_load_explicit(&s->pid, memory_order_relaxed)) return false;
        int64_t now = clock_mono_us();
        if (!deadline) deadline = now + INBOX_WAIT_MS * 1000;
        if (now >= deadline) return false;
        wake(slot);
        struct timespec nap = {0, 200000};
        nanosleep(&nap, NULL);
    }
}

void inbox_send_all(enum inbox_kind kind, const void *p, uint32_t n)
{
    for (uint32_t i = 0; i < SLOT_MAX; i++) {
        struct slot *s = slot_at(i);
        if (i == my_slot_index || atomic_load_explicit(&s->kind, memory_order_relaxed) != SLOT_WORKER) continue;
        if (atomic_load_explicit(&s->ready, memory_order_relaxed)) inbox_send(i, kind, p, n);
    }
}

uint32_t inbox_receive(void (*fn)(const struct inbox_message *m, const void *p))
{
    struct ring *r = &my_slot->inbox;
    uint32_t count = 0;
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
    while (tail != head) {
        const struct inbox_message *m = message_at(my_slot_index, tail);
        uint32_t size = m->size;
        ENSURE(size >= sizeof *m && size <= INBOX_BYTES);
        if (m->kind != INBOX_PAD) {
            fn(m, m + 1);
            count++;
        }
        tail += size;
        atomic_store_explicit(&r->tail, tail, memory_order_release);
    }
    return count;
}

bool inbox_may_sleep(void)
{
    struct ring *r = &my_slot->inbox;
    atomic_store_explicit(&r->consumer_sleeps, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in wake() */
    return atomic_load_explicit(&r->head, memory_order_acquire) == atomic_load_explicit(&r->tail, memory_order_relaxed);
}

void inbox_awake(void) { atomic_store_explicit(&my_slot->inbox.consumer_sleeps, 0, memory_order_relaxed); }
