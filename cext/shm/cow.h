/* shm/cow.h - the copy-on-write hook: keeps what a block of the arena held at a snapshot's cut.
 *
 * While header.cow_active is not 0, whoever is about to store into the arena calls cow_touch() first. For every 512-byte
 * block it covers whose word in the cow map is 0, the block is copied into the pre-image pool and the pre-image's number + 1
 * published in the map by compare-and-swap. Two processes may copy the same block at once: neither has stored into it before
 * its own swap was tried, so whichever copy wins is whole; the other copy's place in the pool stays unused.
 *
 * Order: the swap (release) comes before the caller's stores; a snapshot reader copies live bytes, fences (acquire) and looks at
 * the map again: still 0 means the bytes are from before any store (snap_read in snap/).
 * cow_active changes only while all stripes are held, so it is constant while a process holds any stripe.
 * Death in the middle: a copy that was not published is lost pool space until the snapshot ends; nothing else.
 */
#ifndef SHOAL_SHM_COW_H
#define SHOAL_SHM_COW_H

#include "shm/layout.h"

static ALWAYS_INLINE _Atomic uint32_t *cow_map(void) { return (_Atomic uint32_t *)shm_ptr(seg()->cow_off); }
static ALWAYS_INLINE uint64_t cow_block_of(shm_off off) { return (off - seg()->arena_off) / COW_BLOCK; }
static ALWAYS_INLINE bool cow_running(void)
{
    return unlikely(atomic_load_explicit(&seg()->cow_active, memory_order_relaxed) != 0);
}

void cow_copy_range(shm_off off, uint64_t len) NOINLINE;

/* Test build (-DSHOAL_CHECK_TOUCH): the arena is mapped read-only; an announced range becomes writable until guard_close(). */
#ifdef SHOAL_CHECK_TOUCH
void guard_open(shm_off off, uint64_t len);
void guard_close(void);
#else
static ALWAYS_INLINE void guard_open(shm_off off, uint64_t len) { (void)off, (void)len; }
static ALWAYS_INLINE void guard_close(void) {}
#endif

/* Announces a store of `len` bytes at `off` in the arena to a running snapshot (not to the undo: see txn_touch). */
static ALWAYS_INLINE void cow_touch(shm_off off, uint64_t len)
{
    if (cow_running()) cow_copy_range(off, len);
    guard_open(off, len);
}

#endif
