/* shm/lock.c - waiting for a lock word, and waking who waits. The words' meaning and what a death means: lock.h. */
#include "shm/lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* The half of the word that holds owner and waiter bit, where the kernel looks. */
static uint32_t *futex_half(lock_word *w)
{
    uint32_t *half = (uint32_t *)(void *)w;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    half++;
#endif
    return half;
}

void lock_wake(lock_word *w)
{
    syscall(SYS_futex, futex_half(w), FUTEX_WAKE, 1, NULL, NULL, 0);
}

void lock_acquire_slow(lock_word *w, uint32_t owner)
{
    for (unsigned spins = 0;; spins++) {
        if (lock_try(w, owner)) {
            /* others may sleep still: hand the bit on, so that our release wakes the next */
            if (spins > 256) atomic_fetch_or_explicit(w, LOCK_WAITERS, memory_order_relaxed);
            return;
        }
        if (spins < 256) {
            cpu_relax();
            continue;
        }
        uint64_t v = atomic_load_explicit(w, memory_order_relaxed);
        if (!(v & LOCK_OWNER_MASK)) continue;
        if (!(v & LOCK_WAITERS) &&
            !atomic_compare_exchange_strong_explicit(w, &v, v | LOCK_WAITERS, memory_order_relaxed, memory_order_relaxed))
            continue;
        struct timespec nap = {0, 1000000};
        syscall(SYS_futex, futex_half(w), FUTEX_WAIT, (uint32_t)(v | LOCK_WAITERS), &nap, NULL, 0);
    }
}
