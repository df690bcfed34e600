/* shm/backlog.c - reading the stream, records of replicas, the id. Layout, order, death: backlog.h. */
#include "shm/backlog.h"

#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

struct repl_mark repl_mark(void)
{
    struct repl_shared *r = repl();
    struct repl_mark m;
    uint32_t i;
    do {
        i = atomic_load_explicit(&r->mark_index, memory_order_acquire); /* pairs with the release in replfeed.c, mark_set() */
        m = r->marks[i & 1];
        atomic_thread_fence(memory_order_acquire);
    } while (atomic_load_explicit(&r->mark_index, memory_order_relaxed) != i);
    return m;
}

/* ---- the id ---- */

void repl_id(char out[REPLID_LEN + 1])
{
    struct repl_shared *r = repl();
    uint32_t before;
    do {
        before = atomic_load_explicit(&r->id_sequence, memory_order_acquire);
        memcpy(out, r->id, REPLID_LEN);
        out[REPLID_LEN] = 0;
        atomic_thread_fence(memory_order_acquire);
    } while (before & 1 || atomic_load_explicit(&r->id_sequence, memory_order_relaxed) != before);
}

void repl_id_renew(void)
{
    static const char hex[] = "0123456789abcdef";
    struct repl_shared *r = repl();
    uint8_t random[REPLID_LEN / 2];
    if (getrandom(random, sizeof random, 0) != sizeof random) { /* never so: less than 256 bytes */
        uint64_t now = (uint64_t)clock_wall_us();
        for (uint32_t i = 0; i < sizeof random; i++) random[i] = (uint8_t)(now >> i % 8 * 8);
    }
    uint32_t sequence = atomic_load_explicit(&r->id_sequence, memory_order_relaxed) | 1; /* odd already: whose heir we are died here */
    atomic_store_explicit(&r->id_sequence, sequence, memory_order_relaxed);
    atomic_thread_fence(memory_order_release); /* pairs with the acquire in repl_id */
    for (uint32_t i = 0; i < REPLID_LEN; i++) r->id[i] = hex[random[i / 2] >> (i % 2 ? 0 : 4) & 15];
    r->id[REPLID_LEN] = 0;
    atomic_store_explicit(&r->id_sequence, sequence + 1, memory_order_release);
}

/* ---- bytes ---- */

uint64_t repl_history_first(void)
{
    uint64_t end = repl_mark().end, kept = (uint64_t)MAX(setting(SET_repl_backlog_size), 1);
    uint64_t first = atomic_load_explicit(&repl()->first, memory_order_acquire);
    return end > kept ? MAX(first, end - kept) : first;
}

int64_t backlog_read(uint64_t at, void *dst, size_t n)
{
    struct repl_shared *r = repl();
    uint64_t end = repl_mark().end, capacity = atomic_load_explicit(&r->capacity, memory_order_relaxed);
    uint8_t *out = dst;
    if (at >= end) return at == end ? 0 : -1;
    n = MIN(n, end - at);
    for (size_t done = 0; done < n;) {
        uint64_t place = (at + done) % capacity;
        size_t piece = MIN(n - done, capacity - place);
        memcpy(out + done, shm_ptr(seg()->repl_ring_off + place), piece);
        done += piece;
    }
    atomic_thread_fence(memory_order_acquire); /* the bytes before `first`: pairs with the fence in replfeed.c, make_room() */
    return atomic_load_explicit(&r->first, memory_order_relaxed) <= at ? (int64_t)n : -1;
}

/* ---- records ---- */

struct replica_record *replica_claim(uint64_t client_id, uint64_t at)
{
    for (uint32_t i = 0; i < REPLICA_MAX; i++) {
        struct replica_record *r = &repl()->replicas[i];
        uint64_t nobody = 0;
        if (atomic_load_explicit(&r->client_id, memory_order_relaxed)) continue;
        if (!atomic_compare_exchange_strong(&r->client_id, &nobody, client_id)) continue;
        atomic_store(&r->at, at); /* before whoever claims looks whether it is still there: the log writer stores `first`, then looks here */
        atomic_store_explicit(&r->request, 0, memory_order_relaxed);
        atomic_store_explicit(&r->ack, 0, memory_order_relaxed);
        atomic_store_explicit(&r->ack_ms, clock_mono_us() / 1000, memory_order_relaxed);
        atomic_store_explicit(&r->slot, my_slot_index, memory_order_release);
        return r;
    }
    return NULL;
}

/* A free record names no slot, so that no heir takes one for a dead worker's that is just being claimed. */
void replica_release(struct replica_record *r)
{
    atomic_store_explicit(&r->state, REPLICA_NONE, memory_order_relaxed);
    atomic_store_explicit(&r->slot, UINT32_MAX, memory_order_relaxed);
    atomic_store_explicit(&r->client_id, 0, memory_order_release);
}

void replicas_sweep(uint32_t slot)
{
    for (uint32_t i = 0; i < REPLICA_MAX; i++) {
        struct replica_record *r = &repl()->replicas[i];
        if (atomic_load_explicit(&r->client_id, memory_order_relaxed) && atomic_load_explicit(&r->slot, memory_order_relaxed) == slot)
            replica_release(r);
    }
    atomic_fetch_and(&repl()->ack_slots, ~(1ull << slot));
    link_sweep(slot);
}

uint32_t replicas_good(uint64_t ack, int64_t max_lag_ms)
{
    uint32_t n = 0;
    int64_t now = max_lag_ms >= 0 ? clock_mono_us() / 1000 : 0;
    for (uint32_t i = 0; i < REPLICA_MAX; i++) {
        struct replica_record *r = &repl()->replicas[i];
        if (atomic_load_explicit(&r->state, memory_order_acquire) != REPLICA_ONLINE) continue;
        if (atomic_load_explicit(&r->ack, memory_order_relaxed) < ack) continue;
        n += max_lag_ms < 0 || now - atomic_load_explicit(&r->ack_ms, memory_order_relaxed) <= max_lag_ms;
    }
    return n;
}

uint32_t replicas_count(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < REPLICA_MAX; i++) n += atomic_load_explicit(&repl()->replicas[i].client_id, memory_order_relaxed) != 0;
    return n;
}
