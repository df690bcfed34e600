/* shm/cow.c - copying a block into the pre-image pool before its first store since the cut. Protocol: cow.h. */
#include "shm/cow.h"

#include <sched.h>
#include <string.h>

#include "shm/slot.h"

/* Number of a fresh place in the pool, PREIMG_DROP when the snapshot needs no more. The persistence process commits memory ahead and
 * moves old pre-images to a file; a writer that outruns it yields until there is room, because losing a pre-image would tear the
 * snapshot. */
static uint64_t preimg_take(void)
{
    struct seg_header *h = seg();
    for (;;) {
        uint64_t end = atomic_load_explicit(&h->preimg_committed, memory_order_acquire);
        if (end == PREIMG_DROP) return PREIMG_DROP;
        uint64_t n = atomic_load_explicit(&h->preimg_next, memory_order_relaxed);
        if (unlikely(n >= end)) {
            sched_yield();
            continue;
        }
        /* odd before the number is ours: pairs with wait_for_copies() */
        atomic_fetch_add(&my_slot->cow_copies, 1);
        if (likely(atomic_compare_exchange_strong(&h->preimg_next, &n, n + 1))) return n;
        atomic_fetch_add(&my_slot->cow_copies, 1);
    }
}

static void cow_copy_block(uint64_t block)
{
    struct seg_header *h = seg();
    _Atomic uint32_t *word = cow_map() + block;
    if (atomic_load_explicit(word, memory_order_acquire) != 0) return;
    uint64_t n = preimg_take();
    if (n == PREIMG_DROP) return;
    uint64_t place = n % atomic_load_explicit(&h->preimg_blocks, memory_order_relaxed);
    memcpy(shm_ptr(h->preimg_off + place * COW_BLOCK), shm_ptr(h->arena_off + block * COW_BLOCK), COW_BLOCK);
    uint32_t none = 0;
    /* release: the copy is whole before it can be found; pairs with the acquire in snap_read */
    atomic_compare_exchange_strong_explicit(word, &none, (uint32_t)n + 1, memory_order_acq_rel, memory_order_acquire);
    atomic_fetch_add(&my_slot->cow_copies, 1);
    atomic_thread_fence(memory_order_release); /* published before the caller's stores */
}

void cow_copy_range(shm_off off, uint64_t len)
{
    uint64_t limit = atomic_load_explicit(&seg()->cow_limit, memory_order_relaxed);
    if (off < seg()->arena_off || !len || off >= limit) return;
    len = MIN(len, limit - off);
    uint64_t last = cow_block_of(off + len - 1);
    for (uint64_t b = cow_block_of(off); b <= last; b++) cow_copy_block(b);
}
