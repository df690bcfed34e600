/* net/slow.c - writing and reading the slow log's rings. Layout and deaths: slow.h. */
#include "net/slow.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cmd/client.h"
#include "cmd/command_table.h"
#include "cmd/secrets.h"
#include "engine.h"

#define SLOW_ARGS 32u       /* arguments kept, the last of them tells how many there were */
#define SLOW_ARG_BYTES 128u /* of each argument */
#define SLOW_ENTRY_MAX (sizeof(struct engine_slow) + (SLOW_ARGS + 2) * (SLOW_ARG_BYTES + 48))

struct slow_ring {
    _Atomic uint64_t sequence;
    uint64_t first, end; /* offsets of the oldest entry and behind the newest; first == end: empty */
    uint64_t wrapped;    /* behind the last entry before the end of the area; 0 = the entries do not wrap */
};
#define RING_BYTES (SLOW_BYTES - sizeof(struct slow_ring))

static struct slow_ring *ring_of(uint32_t slot) { return shm_ptr(slot_slow_area(slot)); }
static uint8_t *bytes_of(struct slow_ring *r) { return (uint8_t *)(r + 1); }

void slow_init(void)
{
    struct slow_ring *r = ring_of(my_slot_index);
    if (!(atomic_load_explicit(&r->sequence, memory_order_relaxed) & 1)) return;
    r->first = r->end = r->wrapped = 0;
    atomic_fetch_add(&r->sequence, 1);
}

/* ---- writing ---- */

static void drop_oldest(struct slow_ring *r)
{
    r->first += ((const struct engine_slow *)(void *)(bytes_of(r) + r->first))->size;
    if (r->wrapped && r->first == r->wrapped) r->first = r->wrapped = 0;
}

/* Room for `size` bytes at r->end; what is in the way is dropped. */
static void make_room(struct slow_ring *r, uint64_t size)
{
    if (!r->wrapped && r->end + size > RING_BYTES) {
        r->wrapped = r->end;
        r->end = 0;
    }
    while (r->wrapped && r->end + size > r->first) {
        if (r->end + size > RING_BYTES) { /* cannot be: entries are much smaller than the ring */
            r->first = r->end = r->wrapped = 0;
            return;
        }
        drop_oldest(r);
    }
}

static void append(const uint8_t *entry, uint64_t size)
{
    struct slow_ring *r = ring_of(my_slot_index);
    uint64_t seq = atomic_load_explicit(&r->sequence, memory_order_relaxed);
    atomic_store_explicit(&r->sequence, seq + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release); /* pairs with the acquire fence in slow_read */
    make_room(r, size);
    memcpy(bytes_of(r) + r->end, entry, size);
    r->end += size;
    atomic_store_explicit(&r->sequence, seq + 2, memory_order_release);
}

static uint8_t *put(uint8_t *at, const void *p, size_t n)
{
    uint32_t len = (uint32_t)n;
    memcpy(at, &len, sizeof len);
    if (n) memcpy(at + sizeof len, p, n);
    return at + sizeof len + n;
}

static uint8_t *put_arg(uint8_t *at, struct slice s)
{
    uint8_t text[SLOW_ARG_BYTES + 40];
    if (s.n <= SLOW_ARG_BYTES) return put(at, s.p, s.n);
    memcpy(text, s.p, SLOW_ARG_BYTES);
    int n = snprintf((char *)text + SLOW_ARG_BYTES, 40, "... (%zu more bytes)", s.n - SLOW_ARG_BYTES);
    return put(at, text, SLOW_ARG_BYTES + (size_t)n);
}

static void finish(uint8_t *entry, uint8_t *end, uint32_t kind, int64_t us, uint32_t argc)
{
    uint64_t size = round_up((uint64_t)(end - entry), 8);
    _Atomic uint64_t *next_id = kind == SLOW_COMMAND ? &seg()->slow_next : &seg()->latency_next;
    struct engine_slow head = {.size = size,
                               .id = atomic_fetch_add_explicit(next_id, 1, memory_order_relaxed),
                               .time_s = clock_wall_ms() / 1000,
                               .usec = us,
                               .kind = kind,
                               .argc = argc};
    memcpy(entry, &head, sizeof head);
    append(entry, size);
}

static void slow_log(const struct cmd *c, int64_t us)
{
    _Alignas(8) uint8_t entry[SLOW_ENTRY_MAX];
    uint8_t *at = entry + sizeof(struct engine_slow);
    const struct client_record *r = c->client->record;
    uint32_t kept = MIN(c->argc, SLOW_ARGS);
    at = put(at, r->addr, strlen(r->addr));
    at = put(at, r->name, strlen(r->name));
    for (uint32_t i = 0; i < kept; i++) {
        if (kept < c->argc && i == kept - 1) {
            char text[64];
            int n = snprintf(text, sizeof text, "... (%u more arguments)", c->argc - kept + 1);
            at = put(at, text, (size_t)n);
        } else {
            at = put_arg(at, cmd_shown_arg(c, i));
        }
    }
    finish(entry, at, SLOW_COMMAND, us, kept);
    stat_add(STAT_SLOWLOG, 1);
}

void slow_event(const char *name, int64_t us)
{
    int64_t limit = setting(SET_latency_monitor_threshold) * 1000;
    _Alignas(8) uint8_t entry[256];
    if (!limit || us < limit) return;
    uint8_t *at = put(entry + sizeof(struct engine_slow), "", 0);
    at = put(at, "", 0);
    at = put(at, name, MIN(strlen(name), 64));
    finish(entry, at, SLOW_LATENCY, us, 1);
}

void slow_command(const struct cmd *c, int64_t ns)
{
    int64_t us = ns / 1000, limit = setting(SET_slowlog_log_slower_than);
    if (limit >= 0 && us >= limit && setting(SET_slowlog_max_len) > 0 && !(c->spec->flags & CMD_SKIP_SLOWLOG)) slow_log(c, us);
    slow_event(c->spec->flags & CMD_FAST ? "fast-command" : "command", us);
}

/* ---- reading ---- */

uint64_t slow_read(uint32_t slot, void *buf, uint64_t cap)
{
    struct slow_ring *r = ring_of(slot), head;
    static uint8_t copy[SLOW_BYTES];
    uint64_t seq;
    unsigned tries = 0;
    do {
        if (++tries > 1000) return 0; /* its process died while it wrote: the heir empties it */
        seq = atomic_load_explicit(&r->sequence, memory_order_acquire);
        memcpy(copy, r, SLOW_BYTES);
        atomic_thread_fence(memory_order_acquire);
    } while (seq & 1 || atomic_load_explicit(&r->sequence, memory_order_relaxed) != seq);
    memcpy(&head, copy, sizeof head);
    if (head.first > RING_BYTES || head.end > RING_BYTES || head.wrapped > RING_BYTES) return 0;
    const uint8_t *bytes = copy + sizeof head;
    uint64_t n1 = head.wrapped ? head.wrapped - head.first : head.end - head.first, n2 = head.wrapped ? head.end : 0;
    if (n1 + n2 <= cap) {
        if (n1) memcpy(buf, bytes + head.first, n1);
        if (n2) memcpy((uint8_t *)buf + n1, bytes, n2);
    }
    return n1 + n2;
}
