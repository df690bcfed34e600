/* engine_replication.c - what Python sees of replication, and the persistence process' part in it: cuts, files, on and off.
 * Protocol and deaths: shm/backlog.h, net/replica.h. */
#include "engine.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "net/accept.h"
#include "net/client.h"
#include "shm/backlog.h"
#include "shm/ring.h"
#include "shm/segment.h"
#include "snap/snapshot.h"

void engine_replication(struct engine_replication *out)
{
    struct repl_shared *r = repl();
    *out = (struct engine_replication){.on = repl_on(), .end = repl_mark().end, .first = repl_history_first(), .replicas = replicas_count(),
                                       .wanted = atomic_load(&r->wanted), .done = atomic_load(&r->done)};
    repl_id(out->id);
}

uint32_t engine_replica_next(uint32_t from)
{
    for (uint32_t i = from; i < REPLICA_MAX; i++)
        if (atomic_load(&repl()->replicas[i].client_id) && atomic_load(&repl()->replicas[i].state) != REPLICA_NONE) return i;
    return UINT32_MAX;
}

int engine_replica_get(uint32_t i, struct engine_replica *out)
{
    if (i >= REPLICA_MAX) return 0;
    struct replica_record *r = &repl()->replicas[i];
    *out = (struct engine_replica){.client_id = atomic_load(&r->client_id), .ack = atomic_load(&r->ack), .state = atomic_load(&r->state),
                                   .port = atomic_load(&r->port), .lag_ms = clock_mono_us() / 1000 - atomic_load(&r->ack_ms)};
    memcpy(out->ip, r->ip, sizeof out->ip);
    out->ip[sizeof out->ip - 1] = 0;
    return out->client_id != 0;
}

/* ---- the persistence process ---- */

/* At the cut, all stripes held: the stream is switched on if it is off, and the cut gets its number. */
static void begin_stream(void)
{
    struct repl_shared *r = repl();
    uint64_t lsn = atomic_load(&seg()->lsn);
    if (!repl_on()) {
        atomic_store(&r->begin_lsn, lsn);
        atomic_fetch_add(&r->generation, 1);
        atomic_fetch_or(&seg()->log_enabled, LOG_FOR_REPLICAS);
    }
    atomic_store(&r->cut_lsn, lsn);
    atomic_store_explicit(&r->cut, atomic_load(&r->wanted), memory_order_release); /* pairs with the acquire in replfeed.c */
    ring_wake_writer();
}

/* Rings and the stream's least memory. */
static bool commit(void)
{
    if (segment_commit_rings()) return false;
    if (atomic_load(&repl()->capacity) >= BACKLOG_LEAST) return true;
    if (segment_commit(seg()->repl_ring_off, BACKLOG_LEAST)) return false;
    atomic_store(&repl()->capacity, BACKLOG_LEAST);
    return true;
}

int engine_snapshot_begin_replicas(uint64_t pool_bytes, const char *spill_folder, uint64_t *number, char *err, size_t errlen)
{
    if (!commit()) {
        snprintf(err, errlen, "no shared memory for the replication backlog");
        return -1;
    }
    snapshot_at_cut = begin_stream;
    int result = snapshot_begin(pool_bytes, spill_folder, err, errlen);
    snapshot_at_cut = NULL;
    *number = result ? atomic_load(&repl()->wanted) : atomic_load(&repl()->cut);
    return result;
}

static void end(uint64_t number, bool good)
{
    if (!good) atomic_store(&repl()->failed, number);
    atomic_store(&repl()->done, number);
}

int engine_replica_file(uint64_t number, int fd)
{
    uint64_t slots = 0;
    if (fd >= 0 && atomic_load(&repl()->anchor) < number) { /* a file that comes before the place in the stream is known is nobody's */
        ring_wake_writer();
        return -1;
    }
    for (uint32_t i = 0; i < REPLICA_MAX && fd >= 0; i++) {
        struct replica_record *r = &repl()->replicas[i];
        uint64_t request = atomic_load(&r->request);
        uint32_t state = atomic_load(&r->state), slot = atomic_load(&r->slot);
        if (!atomic_load(&r->client_id) || !request || request > number || slot >= SLOT_MAX) continue;
        if (state == REPLICA_WAITS || state == REPLICA_SAVES) slots |= 1ull << slot;
    }
    for (; slots; slots &= slots - 1)
        if (!accept_send_file((uint32_t)__builtin_ctzll(slots), fd, number)) return -1; /* whoever has it already takes no notice of the next */
    end(number, fd >= 0);
    return 0;
}

void engine_replicas_abandon(void)
{
    uint64_t cut = atomic_load(&repl()->cut);
    if (atomic_load(&repl()->done) < cut) end(cut, false);
}

void engine_replication_off(void)
{
    txn_lock_all(&my_txn);
    atomic_fetch_and(&seg()->log_enabled, ~(uint32_t)LOG_FOR_REPLICAS);
    repl_id_renew();
    txn_unlock(&my_txn);
    for (uint32_t i = 0; i < REPLICA_MAX; i++) {
        struct replica_record *r = &repl()->replicas[i];
        uint64_t id = atomic_load(&r->client_id);
        if (id && atomic_load(&r->state) >= REPLICA_SAVES) client_kill(atomic_load(&r->slot), id);
    }
}

/* ---- following a primary ---- */

void engine_link_get(struct engine_link *out)
{
    struct replica_link *l = replica_link();
    int64_t now = clock_mono_us() / 1000;
    *out = (struct engine_link){.state = atomic_load(&l->state), .valid = atomic_load(&l->valid), .client_id = atomic_load(&l->client_id),
                                .offset = *(volatile uint64_t *)&l->offset, .heard_ms = now - atomic_load(&l->heard_ms),
                                .down_ms = now - atomic_load(&l->down_since_ms)};
    memcpy(out->id, l->id, REPLID_LEN);
    memcpy(out->target, l->target, sizeof out->target);
    out->target[sizeof out->target - 1] = 0;
}

void engine_link_forget(void) { atomic_store(&replica_link()->valid, 0); }
void engine_link_state(uint32_t state) { atomic_store(&replica_link()->state, state); }

void engine_link_id(const char *id) { snprintf(replica_link()->id, sizeof replica_link()->id, "%.40s", id); }

void engine_link_begin(const char *id, uint64_t offset)
{
    engine_link_id(id);
    link_store(offset, 0);
    atomic_store(&replica_link()->valid, 1);
}

int engine_link_hand_over(int fd, const char *target)
{
    snprintf(replica_link()->target, sizeof replica_link()->target, "%s", target);
    return accept_send_primary(fd) ? 0 : -1;
}

void engine_link_close(void)
{
    struct replica_link *l = replica_link();
    uint64_t id = atomic_load(&l->client_id);
    if (id && id != LINK_ON_ITS_WAY) client_kill(atomic_load(&l->slot), id);
}
