/* base/ticks.c - the rate of the processor's counter. What it is for: ticks.h. Private memory only. */
#include "base/ticks.h"

#include "base/clock.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif

bool ticks_counter;
double ticks_ns_each = 1.0;
static int64_t first_ticks, first_ns;

static bool counter_is_constant(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d >> 8 & 1);
#elif defined(__aarch64__)
    return true;
#else
    return false;
#endif
}

int64_t ticks_slow(void) { return clock_mono_ns(); }

void ticks_init(void)
{
    ticks_counter = counter_is_constant();
    if (!ticks_counter) return;
    first_ns = clock_mono_ns();
    first_ticks = ticks_now();
    while (clock_mono_ns() - first_ns < 200000) {}
    ticks_tune();
}

void ticks_tune(void)
{
    if (!ticks_counter) return;
    int64_t ns = clock_mono_ns() - first_ns, ticks = ticks_now() - first_ticks;
    if (ns > 0 && ticks > 0) ticks_ns_each = (double)ns / (double)ticks;
}
