/* engine_observe.c - errors by code and run times by command for Python; sums over all slots. What is summed: cmd/observe.h. */
#include <stdio.h>

#include "cmd/observe.h"
#include "engine.h"

static bool in_use(uint32_t slot) { return atomic_load_explicit(&slot_at(slot)->births, memory_order_relaxed) != 0; }

static void add_code(struct engine_error *out, uint32_t cap, uint32_t *n, const struct observe_code *row)
{
    uint64_t count = atomic_load_explicit(&row->count, memory_order_relaxed);
    uint32_t i = 0;
    if (!count) return;
    while (i < *n && strcmp(out[i].code, row->code) != 0) i++;
    if (i == cap) return;
    if (i == *n) {
        snprintf(out[i].code, sizeof out[i].code, "%s", row->code);
        out[i].count = 0;
        ++*n;
    }
    out[i].count += count;
}

uint32_t engine_errors(struct engine_error *out, uint32_t cap)
{
    uint32_t n = 0;
    for (uint32_t s = 0; s < SLOT_MAX; s++) {
        if (!in_use(s)) continue;
        const struct observe_code *row = observe_of(s)->codes;
        for (uint32_t i = 0; i < OBSERVE_CODES && row[i].code[0]; i++) add_code(out, cap, &n, &row[i]);
    }
    return n;
}

uint32_t engine_time_buckets(void) { return OBSERVE_BUCKETS; }
uint64_t engine_time_bucket_end(uint32_t i) { return observe_bucket_end(i); }

void engine_command_times(uint32_t command, uint64_t *buckets)
{
    memset(buckets, 0, OBSERVE_BUCKETS * sizeof *buckets);
    for (uint32_t s = 0; s < SLOT_MAX && command < OBSERVE_COMMANDS; s++) {
        if (!in_use(s)) continue;
        const struct observe *o = observe_of(s);
        for (uint32_t b = 0; b < OBSERVE_BUCKETS; b++) buckets[b] += atomic_load_explicit(&o->times[command][b], memory_order_relaxed);
    }
}

void engine_command_times_reset(uint32_t command)
{
    for (uint32_t s = 0; s < SLOT_MAX && command < OBSERVE_COMMANDS; s++) {
        if (!in_use(s)) continue;
        for (uint32_t b = 0; b < OBSERVE_BUCKETS; b++) atomic_store_explicit(&observe_of(s)->times[command][b], 0, memory_order_relaxed);
    }
}
