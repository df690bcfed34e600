/* cmd/observe.h - what INFO errorstats, INFO latencystats and LATENCY HISTOGRAM show: errors by code, run times by command.
 *
 * In shared memory: one struct observe for each slot, in its area between the slow log and the log ring. Only the slot's process
 * writes, with plain loads and stores; readers sum over the slots and may see a moment's difference. Nothing is lost when the
 * process dies; CONFIG RESETSTAT clears all slots, and a count made in that very moment may survive it.
 *
 * A run time falls into a bucket of a quarter of an octave of nanoseconds, so a percentile is right within 25 %.
 */
#ifndef SHOAL_CMD_OBSERVE_H
#define SHOAL_CMD_OBSERVE_H

#include "resp/reply.h"
#include "shm/slot.h"

#define OBSERVE_CODES 64u    /* different error codes; more are counted as the last one */
#define OBSERVE_CODE_MAX 23u /* bytes of a code */
#define OBSERVE_COMMANDS 512u
#define OBSERVE_BUCKETS 112u
#define OBSERVE_FIRST_LOG 8u /* bucket 0 is everything under 2^8 ns */

struct observe_code {
    _Atomic uint64_t count;
    char code[OBSERVE_CODE_MAX + 1]; /* zero-terminated; empty: unused, and so are those behind it */
};

struct observe {
    struct observe_code codes[OBSERVE_CODES];
    _Atomic uint64_t times[OBSERVE_COMMANDS][OBSERVE_BUCKETS];
};
_Static_assert(sizeof(struct observe) <= OBSERVE_BYTES, "fits its part of the slot's area");

static ALWAYS_INLINE struct observe *observe_of(uint32_t slot) { return shm_ptr(slot_observe_area(slot)); }

static ALWAYS_INLINE uint32_t observe_bucket(uint64_t ns)
{
    if (ns < 1u << OBSERVE_FIRST_LOG) return 0;
    uint32_t log = 63u - (uint32_t)__builtin_clzll(ns);
    return MIN(1 + (log - OBSERVE_FIRST_LOG) * 4 + (uint32_t)(ns >> (log - 2) & 3), OBSERVE_BUCKETS - 1);
}

/* First nanosecond behind bucket i. */
uint64_t observe_bucket_end(uint32_t i);

static ALWAYS_INLINE void observe_time(uint32_t command, uint64_t ns)
{
    _Atomic uint64_t *p = &observe_of(my_slot_index)->times[command][observe_bucket(ns)];
    atomic_store_explicit(p, atomic_load_explicit(p, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* Counts the errors that `out` has got and that are not counted yet, by the code of the latest. */
void observe_errors(struct reply *out) COLD;
/* The reply of a command that waited leaves now: if it is an error it counts, and the call as failed. */
void observe_late(uint32_t command, const uint8_t *p, size_t n);
/* Statistics of all slots start anew (CONFIG RESETSTAT). */
void observe_reset(void);

#endif
