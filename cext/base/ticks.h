/* base/ticks.h - a clock cheap enough to be read around every command.
 *
 * Where the processor has a counter of constant rate (x86-64 with invariant TSC, aarch64), one instruction; elsewhere the kernel's
 * monotonic clock. ticks_init() measures the rate once in a process's life, ticks_tune() sharpens it when called later.
 * Differences only: two processes' ticks are not to be compared.
 */
#ifndef SHOAL_BASE_TICKS_H
#define SHOAL_BASE_TICKS_H

#include "base/base.h"

extern bool ticks_counter;     /* the processor's counter is used */
extern double ticks_ns_each;   /* nanoseconds of a tick */

void ticks_init(void);
void ticks_tune(void);
int64_t ticks_slow(void);

static ALWAYS_INLINE int64_t ticks_now(void)
{
#if defined(__x86_64__)
    if (likely(ticks_counter)) return (int64_t)__builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    if (likely(ticks_counter)) {
        uint64_t v;
        __asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(v));
        return (int64_t)v;
    }
#endif
    return ticks_slow();
}

static ALWAYS_INLINE int64_t ticks_to_ns(int64_t ticks) { return (int64_t)((double)ticks * ticks_ns_each); }
static ALWAYS_INLINE int64_t ticks_from_us(int64_t us) { return (int64_t)((double)us * 1000.0 / ticks_ns_each); }

#endif
