/* shm/repair.c - what the heir of a slot does before it serves.
 *
 * 1. a system operation under way is undone (the allocator's words are as before it);
 * 2. status ACTIVE: the undo records are applied backwards; COMMITTED: the log records are published, the frees carried out;
 * 3. every lock word that names the slot is freed;
 * 4. the caches are recounted.
 * Between 1 and 3 the heir may itself take the page and class locks: words that still name the slot are its own, so those that
 * repair needs are freed right after 1 (what they guard is whole again); the stripes stay held until 3.
 * Each step leaves the slot in a state from which all steps may run again.
 */
#include "shm/repair.h"

#include "shm/arena.h"
#include "shm/pageheap.h"
#include "shm/ring.h"
#include "shm/sysop.h"
#include "shm/txn.h"

void sysop_undo(struct slot *s)
{
    uint32_t n = atomic_load_explicit(&s->sysop_count, memory_order_relaxed);
    while (n > 0) {
        struct sysop_entry *e = &s->sysop[n - 1];
        guard_open(e->off, e->width);
        if (e->width == 4)
            *(volatile uint32_t *)shm_ptr(e->off) = (uint32_t)e->old;
        else
            *(volatile uint64_t *)shm_ptr(e->off) = e->old;
        store_order();
        atomic_store_explicit(&s->sysop_count, --n, memory_order_relaxed);
        store_order();
    }
}

static void release_allocator_locks(uint32_t owner)
{
    lock_release_if_owner(&seg()->page_lock, owner);
    for (uint32_t cls = 0; cls < ARENA_CLASSES; cls++) lock_release_if_owner(&seg()->classes[cls].lock, owner);
}

void slot_repair_allocator(void)
{
    sysop_undo(my_slot);
    release_allocator_locks(slot_owner_id());
}

bool slot_repair(void)
{
    struct slot *s = my_slot;
    uint32_t owner = slot_owner_id();
    uint64_t status = atomic_load_explicit(&s->status, memory_order_acquire);
    bool busy = status != STATUS_IDLE || atomic_load_explicit(&s->sysop_count, memory_order_relaxed) != 0;
    slot_repair_allocator();
    if ((status & STATUS_MASK) == STATUS_ACTIVE) {
        txn_undo_to(s, slot_undo_area(my_slot_index));
        ring_unstage();
    } else if ((status & STATUS_MASK) == STATUS_COMMITTED) {
        if (status >> 2) ring_republish(s, my_slot_index, status >> 2);
        txn_carry_out_frees();
    }
    lock_release_if_owner(&seg()->log_lock, owner);
    if ((status & STATUS_MASK) == STATUS_COMMITTED && status >> 2) /* which keys it changed died with it */
        for (uint32_t i = 0; i < STRIPE_COUNT; i++)
            if (lock_owner(&stripe_lock_at(i)->word) == owner) stripe_lock_at(i)->older_lsn = status >> 2;
    for (uint32_t i = 0; i < STRIPE_COUNT; i++) lock_release_if_owner(&stripe_lock_at(i)->word, owner);
    for (uint32_t i = 0; i < BLOB_COUNT; i++) {
        uint32_t mine = owner;
        atomic_compare_exchange_strong(&seg()->blobs[i].writer, &mine, 0);
    }
    for (uint32_t i = 0; i < SLOT_MAX; i++) lock_release_if_owner(&slot_at(i)->inbox_lock, owner);
    if (atomic_load(&s->cow_copies) & 1) atomic_fetch_add(&s->cow_copies, 1); /* its copy was never published */
    arena_cache_recount(s);
    txn_release_chunks(s);
    store_order();
    atomic_store_explicit(&s->status, STATUS_IDLE, memory_order_release);
    guard_close();
    if (busy) stat_add(STAT_REPAIRS, 1);
    return busy;
}
