/* engine_observe.c - errors by code and run times by command for Python; sums over all slots. What is summed: cmd/observe.h. */
#include <stdio.h>

#include "cmd/view.h"
#include "engine.h"

static bool in_use(uint32_t slot) { return atomic_load_explicit(&slot_at(slot)->births, memory_order_relaxed) != 0; }

uint32_t engine_errors(struct engine_error *out, uint32_t cap)
{
    struct observe_code rows[OBSERVE_CODES];
    uint32_t n = MIN(view_errors(rows), cap);
    for (uint32_t i = 0; i < n; i++) {
        snprintf(out[i].code, sizeof out[i].code, "%s", rows[i].code);
        out[i].count = rows[i].count;
    }
    return n;
}

uint32_t engine_time_buckets(void) { return OBSERVE_BUCKETS; }
uint64_t engine_time_bucket_end(uint32_t i) { return observe_bucket_end(i); }

void engine_command_times(uint32_t command, uint64_t *buckets) { view_command_times(command, buckets); }

void engine_command_times_reset(uint32_t command)
{
    for (uint32_t s = 0; s < SLOT_MAX && command < OBSERVE_COMMANDS; s++) {
        if (!in_use(s)) continue;
        for (uint32_t b = 0; b < OBSERVE_BUCKETS; b++) atomic_store_explicit(&observe_of(s)->times[command][b], 0, memory_order_relaxed);
    }
}
