/* base/clock.c - reads the two clocks (through the vDSO: no system call) and keeps this process' cached pair. */
#include "base/clock.h"

#include <time.h>

struct clock_cache clock_cache;

static int64_t nanoseconds(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_wall_us(void) { return nanoseconds(CLOCK_REALTIME) / 1000; }
int64_t clock_wall_ms(void) { return nanoseconds(CLOCK_REALTIME) / 1000000; }
int64_t clock_mono_us(void) { return nanoseconds(CLOCK_MONOTONIC) / 1000; }
int64_t clock_mono_ns(void) { return nanoseconds(CLOCK_MONOTONIC); }

void clock_refresh(void)
{
    clock_cache.wall_us = clock_wall_us();
    clock_cache.mono_us = clock_mono_us();
}
