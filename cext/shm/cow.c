/* shm/cow.c - copying a block into the pre-image pool before its first store since the cut. Protocol: cow.h. */
#include "shm/cow.h"

#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Number of a fresh place in the pool. The persistence process commits memory ahead and moves old pre-images to a file; a writer
 * that outruns it yields until there is room, because losing a pre-image would tear the snapshot. */
static uint64_t preimg_take(void)
{
    struct seg_header *h = seg();
    uint64_t n = atomic_fetch_add_explicit(&h->preimg_next, 1, memory_order_relaxed);
    while (unlikely(n >= atomic_load_explicit(&h->preimg_committed, memory_order_acquire))) {
        if (!cow_running()) return UINT64_MAX; /* the snapshot was given up */
        sched_yield();
    }
    return n;
}

static void cow_copy_block(uint64_t block)
{
    _Atomic uint32_t *word = cow_map() + block;
    if (atomic_load_explicit(word, memory_order_acquire) != 0) return;
    uint64_t n = preimg_take();
    if (n == UINT64_MAX) return;
    memcpy(shm_ptr(seg()->preimg_off + n % (seg()->preimg_size / COW_BLOCK) * COW_BLOCK),
           shm_ptr(seg()->arena_off + block * COW_BLOCK), COW_BLOCK);
    uint32_t none = 0;
    /* release: the copy is whole before it can be found; pairs with the acquire in snap_read */
    atomic_compare_exchange_strong_explicit(word, &none, (uint32_t)n + 1, memory_order_acq_rel, memory_order_acquire);
    atomic_thread_fence(memory_order_release); /* published before the caller's stores */
}

void cow_copy_range(shm_off off, uint64_t len)
{
    if (off < seg()->arena_off || !len) return;
    uint64_t last = cow_block_of(off + len - 1);
    for (uint64_t b = cow_block_of(off); b <= last; b++) cow_copy_block(b);
}
