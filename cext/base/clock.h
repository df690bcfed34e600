/* base/clock.h - time, asked from the kernel and remembered per event-loop turn.
 *
 * Wall time (CLOCK_REALTIME) is what expiry, TIME and the log use; it may jump. Monotonic time is for measuring and for timeouts
 * inside one machine; its zero is boot, so it may be compared between processes but not kept over a reboot.
 * The cached pair belongs to this process: the serving thread refreshes it once per loop turn, and every command of that turn sees one
 * time, as a transaction must. Other threads read the clock itself. Nothing shared, nothing fails.
 */
#ifndef SHOAL_BASE_CLOCK_H
#define SHOAL_BASE_CLOCK_H

#include "base/base.h"

int64_t clock_wall_us(void);
int64_t clock_wall_ms(void);
int64_t clock_mono_us(void);
int64_t clock_mono_ns(void);

struct clock_cache {
    int64_t wall_us; /* microseconds since 1970 */
    int64_t mono_us; /* microseconds since boot */
};
extern struct clock_cache clock_cache;

/* Reads both clocks into the cache. */
void clock_refresh(void);
/* The times of the last refresh. */
static inline int64_t clock_cached_us(void) { return clock_cache.wall_us; }
static inline int64_t clock_cached_ms(void) { return clock_cache.wall_us / 1000; }
static inline int64_t clock_cached_mono_us(void) { return clock_cache.mono_us; }

#endif
