/* shm/lock.h - the lock word: who holds it, how often it was held, how to wait for it.
 *
 *   63            32 31          16 15   14           0
 *   |   version     |   unused     | W  |  owner      |     owner: slot + 1, 0 = free; W: somebody sleeps on it
 *
 * The version grows by one at each release, so a reader without the lock can tell that nobody held it meanwhile
 * (lock_read_begin/lock_read_retry). Waiters spin, then sleep on the low half (futex, bounded to a millisecond a nap, so a
 * wake-up that is lost to a race costs at most that).
 *
 * Death: the word names the owner. The heir repairs the slot first, then frees every word that names it
 * (lock_release_if_owner). A word must never be freed before what it guards is repaired.
 */
#ifndef SHOAL_SHM_LOCK_H
#define SHOAL_SHM_LOCK_H

#include <stdatomic.h>

#include "base/base.h"

#define LOCK_OWNER_MASK 0x7fffull
#define LOCK_WAITERS 0x8000ull
#define LOCK_VERSION_ONE (1ull << 32)

typedef _Atomic uint64_t lock_word;

/* Waits until the word is ours. `owner` = slot + 1. */
void lock_acquire_slow(lock_word *w, uint32_t owner) NOINLINE;
void lock_wake(lock_word *w) COLD;

static ALWAYS_INLINE bool lock_try(lock_word *w, uint32_t owner)
{
    uint64_t v = atomic_load_explicit(w, memory_order_relaxed);
    if ((v & LOCK_OWNER_MASK) ||
        !atomic_compare_exchange_strong_explicit(w, &v, v | owner, memory_order_acquire, memory_order_relaxed))
        return false;
    /* the word must be seen taken before any store under it is: pairs with the fence in lock_read_retry */
    atomic_thread_fence(memory_order_release);
    return true;
}

static ALWAYS_INLINE void lock_acquire(lock_word *w, uint32_t owner)
{
    if (unlikely(!lock_try(w, owner))) lock_acquire_slow(w, owner);
}

/* Only the owner calls this. The release pairs with the acquire in lock_try and in lock_read_begin. */
static ALWAYS_INLINE void lock_release(lock_word *w)
{
    uint64_t v = atomic_load_explicit(w, memory_order_relaxed);
    atomic_store_explicit(w, (v & ~0xffffffffull) + LOCK_VERSION_ONE, memory_order_release);
    if (unlikely(v & LOCK_WAITERS)) lock_wake(w);
}

static ALWAYS_INLINE uint32_t lock_owner(lock_word *w)
{
    return (uint32_t)(atomic_load_explicit(w, memory_order_relaxed) & LOCK_OWNER_MASK);
}

/* Frees the word if `owner` (a dead slot + 1) holds it. */
static inline bool lock_release_if_owner(lock_word *w, uint32_t owner)
{
    if (lock_owner(w) != owner) return false;
    lock_release(w);
    lock_wake(w);
    return true;
}

/* Optimistic reading: begin gives a version to hand to retry; LOCK_BUSY when somebody holds the word.
 * What is read in between may be torn: bound every length and offset before it is used, and believe nothing until
 * lock_read_retry said no. The fence pairs with the release in lock_release and the acquire of the next owner. */
#define LOCK_BUSY UINT64_MAX
static ALWAYS_INLINE uint64_t lock_read_begin(lock_word *w)
{
    uint64_t v = atomic_load_explicit(w, memory_order_acquire);
    return (v & LOCK_OWNER_MASK) ? LOCK_BUSY : v;
}
static ALWAYS_INLINE bool lock_read_retry(lock_word *w, uint64_t begun)
{
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(w, memory_order_relaxed) != begun;
}

#endif
