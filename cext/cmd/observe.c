/* cmd/observe.c - counting errors by code; the bounds of the buckets of run times. Shared memory and rules: observe.h. */
#include "cmd/observe.h"

uint64_t observe_bucket_end(uint32_t i)
{
    if (i == 0) return 1u << OBSERVE_FIRST_LOG;
    uint32_t log = OBSERVE_FIRST_LOG + (i - 1) / 4, quarter = (i - 1) % 4;
    return (1ull << log) + ((uint64_t)(quarter + 1) << (log - 2));
}

/* The word behind the '-' of the latest error, or "ERR" when the reply has left already. */
static struct slice latest_code(const struct reply *out)
{
    if (out->error_at >= out->len || out->buf[out->error_at] != '-') return SLICE("ERR");
    const uint8_t *p = out->buf + out->error_at + 1;
    size_t room = MIN(out->len - out->error_at - 1, OBSERVE_CODE_MAX), n = 0;
    while (n < room && p[n] > ' ' && p[n] <= '~') n++;
    return n ? (struct slice){p, n} : SLICE("ERR");
}

void observe_errors(struct reply *out)
{
    uint32_t count = out->errors - out->errors_counted;
    struct slice code = latest_code(out);
    struct observe_code *row = observe_of(my_slot_index)->codes, *last = row + OBSERVE_CODES - 1;
    out->errors_counted = out->errors;
    stat_add(STAT_ERRORS, count);
    while (row < last && row->code[0] && (strlen(row->code) != code.n || memcmp(row->code, code.p, code.n) != 0)) row++;
    if (!row->code[0]) {
        memcpy(row->code + 1, code.p + 1, code.n - 1); /* readers take a row as used when its first byte is there */
        row->code[code.n] = 0;
        store_order();
        row->code[0] = (char)code.p[0];
    }
    atomic_store_explicit(&row->count, atomic_load_explicit(&row->count, memory_order_relaxed) + count, memory_order_relaxed);
}

void observe_late(uint32_t command, const uint8_t *p, size_t n)
{
    struct reply view = {.buf = (uint8_t *)(uintptr_t)p, .len = n, .errors = 1};
    if (!n || *p != '-' || command >= ARRAY_LEN(my_slot->cmd_failed)) return;
    _Atomic uint64_t *failed = &my_slot->cmd_failed[command];
    observe_errors(&view);
    atomic_store_explicit(failed, atomic_load_explicit(failed, memory_order_relaxed) + 1, memory_order_relaxed);
}

static bool in_use(uint32_t slot) { return atomic_load_explicit(&slot_at(slot)->births, memory_order_relaxed) != 0; }

static void reset_counters(struct slot *s)
{
    for (uint32_t k = 0; k < STAT_COUNT; k++)
        if (k != STAT_DIRTY && k != STAT_MIGRATE_SOCKETS) atomic_store_explicit(&s->stats[k], 0, memory_order_relaxed);
    for (uint32_t k = 0; k < ARRAY_LEN(s->cmd_calls); k++) {
        atomic_store_explicit(&s->cmd_calls[k], 0, memory_order_relaxed);
        atomic_store_explicit(&s->cmd_usec[k], 0, memory_order_relaxed);
        atomic_store_explicit(&s->cmd_rejected[k], 0, memory_order_relaxed);
        atomic_store_explicit(&s->cmd_failed[k], 0, memory_order_relaxed);
    }
}

void observe_reset(void)
{
    for (uint32_t s = 0; s < SLOT_MAX; s++) {
        reset_counters(slot_at(s));
        if (!in_use(s)) continue; /* its area may have no memory */
        struct observe *o = observe_of(s);
        for (uint32_t i = 0; i < OBSERVE_CODES; i++) atomic_store_explicit(&o->codes[i].count, 0, memory_order_relaxed);
        for (uint32_t c = 0; c < OBSERVE_COMMANDS; c++)
            for (uint32_t b = 0; b < OBSERVE_BUCKETS; b++)
                if (atomic_load_explicit(&o->times[c][b], memory_order_relaxed)) atomic_store_explicit(&o->times[c][b], 0, memory_order_relaxed);
    }
}
