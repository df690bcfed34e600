/* log/replfeed.c - encoding records into the stream. Protocol, room, death: replfeed.h; what is shared: shm/backlog.h. */
#include "log/replfeed.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "log/logstate.h"
#include "shm/backlog.h"
#include "shm/segment.h"

#define STEP_BYTES (1u << 20)   /* made before the workers are told */
#define PATIENCE_US 2000000
#define NAP_US 1000             /* producers do not wake us for replicas */
#define NAP_IDLE_US 10000
#define NAP_NO_ROOM_US 500      /* a worker is about to make some */

static struct {
    struct log_merge merge;
    uint64_t generation;   /* of the stream that is being made; 0 = none */
    struct repl_mark mark; /* ours; the shared one is as of the last publish() */
    bool no_room;
    int64_t ping_us;       /* monotonic: of the last one */
    uint64_t acks;         /* repl->ack_asked that was carried out */
    struct {
        uint64_t at;
        int64_t since_us;  /* it has not been in the way before */
    } seen[REPLICA_MAX];
} f;

static void mark_set(const struct repl_mark *m)
{
    uint32_t i = atomic_load_explicit(&repl()->mark_index, memory_order_relaxed);
    repl()->marks[(i + 1) & 1] = *m;
    atomic_store_explicit(&repl()->mark_index, i + 1, memory_order_release); /* pairs with the acquire in repl_mark */
}

static void tell_workers(void)
{
    uint64_t told = 0;
    atomic_thread_fence(memory_order_seq_cst); /* the mark before the records: who claims one looks at the mark afterwards */
    for (uint32_t i = 0; i < REPLICA_MAX; i++) {
        const struct replica_record *r = &repl()->replicas[i];
        uint32_t slot = atomic_load_explicit(&r->slot, memory_order_relaxed);
        if (!atomic_load_explicit(&r->client_id, memory_order_acquire) || slot >= SLOT_MAX || told >> slot & 1) continue;
        told |= 1ull << slot;
        log_wake_slot(slot);
    }
}

/* ---- which stream ---- */

/* Since the last look it may have been switched off, and on again. */
static bool follow(void)
{
    if (!repl_on()) {
        f.generation = 0;
        return false;
    }
    uint64_t generation = atomic_load_explicit(&repl()->generation, memory_order_acquire);
    if (generation == f.generation) return true;
    f.mark = repl_mark();
    if (f.mark.generation != generation) {
        f.mark = (struct repl_mark){atomic_load(&repl()->begin_lsn), f.mark.end, LOG_DB_NONE, 0, generation};
        atomic_store(&repl()->first, f.mark.end); /* what was before is another stream */
        mark_set(&f.mark);
    }
    log_merge_init(&f.merge, f.mark.lsn);
    f.generation = generation;
    f.no_room = false;
    f.ping_us = clock_mono_us();
    f.acks = atomic_load(&repl()->ack_asked);
    return true;
}

const struct log_merge *replfeed_merge(void) { return follow() ? &f.merge : NULL; }

/* ---- room ---- */

/* repl-backlog-size was raised: more memory, once nobody reads what is there. */
static void grow(void)
{
    uint64_t now = atomic_load_explicit(&repl()->capacity, memory_order_relaxed);
    uint64_t wanted = round_up(MIN((uint64_t)MAX(setting(SET_repl_backlog_size), 0), BACKLOG_MOST), 4096);
    static uint64_t refused;
    if (wanted <= now || wanted == refused) return;
    for (uint32_t i = 0; i < REPLICA_MAX; i++) {
        const struct replica_record *r = &repl()->replicas[i];
        if (atomic_load(&r->client_id) && atomic_load(&r->at) != f.mark.end) return;
    }
    if (segment_commit(seg()->repl_ring_off + now, wanted - now)) {
        refused = wanted; /* shared memory is full: the history stays shorter than it was asked for */
        return;
    }
    atomic_store(&repl()->first, f.mark.end);
    atomic_store(&repl()->capacity, wanted);
}

static uint64_t room(void)
{
    uint64_t end = f.mark.end, slowest = end, capacity = atomic_load_explicit(&repl()->capacity, memory_order_relaxed);
    int64_t now = clock_mono_us();
    for (uint32_t i = 0; i < REPLICA_MAX; i++) {
        const struct replica_record *r = &repl()->replicas[i];
        if (!atomic_load_explicit(&r->client_id, memory_order_acquire)) continue;
        uint64_t at = atomic_load_explicit(&r->at, memory_order_acquire);
        if (at != f.seen[i].at || at + capacity > end) {
            f.seen[i].at = at;
            f.seen[i].since_us = now;
        } else if (now - f.seen[i].since_us > PATIENCE_US) {
            continue;
        }
        slowest = MIN(slowest, at);
    }
    return end - slowest < capacity ? capacity - (end - slowest) : 0;
}

/* ---- encoding ---- */

struct encoder {
    uint64_t skip;    /* bytes that are in the stream already */
    uint64_t room;
    uint64_t at;      /* where the next byte goes */
    uint64_t missing; /* for want of room */
};

/* [first, upto) becomes what may be read; before a byte of it is overwritten. */
static void make_room(uint64_t upto, uint64_t capacity)
{
    uint64_t first = upto > capacity ? upto - capacity : 0;
    if (first <= atomic_load_explicit(&repl()->first, memory_order_relaxed)) return;
    atomic_store_explicit(&repl()->first, first, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the acquire in backlog_read */
}

static void put(struct encoder *e, const void *p, size_t n)
{
    const uint8_t *from = p;
    uint64_t capacity = atomic_load_explicit(&repl()->capacity, memory_order_relaxed);
    size_t skipped = (size_t)MIN(e->skip, (uint64_t)n);
    e->skip -= skipped;
    from += skipped;
    n -= skipped;
    size_t fits = (size_t)MIN(e->room, (uint64_t)n);
    e->missing += n - fits;
    e->room -= fits;
    if (fits) make_room(e->at + fits, capacity);
    for (size_t piece; fits; fits -= piece, from += piece, e->at += piece) {
        uint64_t place = e->at % capacity;
        piece = (size_t)MIN((uint64_t)fits, capacity - place);
        memcpy(shm_ptr(seg()->repl_ring_off + place), from, piece);
    }
}

static void put_text(struct encoder *e, const char *text) { put(e, text, strlen(text)); }

static void put_select(struct encoder *e, uint32_t db)
{
    char digits[16], text[64];
    int n = snprintf(digits, sizeof digits, "%" PRIu32, db);
    snprintf(text, sizeof text, "*2\r\n$6\r\nSELECT\r\n$%d\r\n%s\r\n", n, digits);
    put_text(e, text);
}

/* Returns the database that is selected behind it. */
static uint64_t put_record(struct encoder *e, const struct log_record *r)
{
    uint64_t db = f.mark.db;
    for (struct log_walk w = log_walk_begin(r); log_walk_next(&w);) {
        if (w.frame.db != db) put_select(e, w.frame.db);
        db = w.frame.db;
        if (w.opens) put_text(e, "*1\r\n$5\r\nMULTI\r\n");
        put(e, w.command, w.frame.len);
        if (w.closes) put_text(e, "*1\r\n$4\r\nEXEC\r\n");
    }
    return db;
}

/* False: a part of it has no room yet. */
static bool add(const struct log_record *r, uint64_t *space)
{
    struct encoder e = {.skip = f.mark.partial, .room = *space, .at = f.mark.end};
    uint64_t db = put_record(&e, r);
    uint64_t made = e.at - f.mark.end;
    *space = e.room;
    f.mark.end = e.at;
    if (e.missing) {
        f.mark.partial += made;
        return false;
    }
    f.mark.partial = 0;
    f.mark.db = db;
    f.mark.lsn = r->lsn;
    log_merge_take(&f.merge, r);
    return true;
}

/* ---- words of our own, between records ---- */

static void say(const char *text, uint64_t *space)
{
    struct encoder e = {.room = *space, .at = f.mark.end};
    put_text(&e, text);
    *space = e.room;
    f.mark.end = e.at;
}

static void ping(uint64_t *space)
{
    static const char text[] = "*1\r\n$4\r\nPING\r\n";
    int64_t now = clock_mono_us();
    if (now - f.ping_us < setting(SET_repl_ping_replica_period) * 1000000 || *space < sizeof text) return;
    f.ping_us = now;
    if (replicas_count()) say(text, space);
}

static void ask_for_acks(uint64_t *space)
{
    static const char text[] = "*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n";
    uint64_t asked = atomic_load_explicit(&repl()->ack_asked, memory_order_acquire);
    if (likely(asked == f.acks) || f.mark.lsn < atomic_load_explicit(&repl()->ack_lsn, memory_order_relaxed) || *space < sizeof text) return;
    f.acks = asked;
    say(text, space);
}

/* ---- cuts ---- */

static uint64_t cut_without_anchor(void)
{
    uint64_t cut = atomic_load_explicit(&repl()->cut, memory_order_acquire); /* pairs with the release in engine_replication.c */
    return cut != atomic_load_explicit(&repl()->anchor, memory_order_relaxed) ? cut : 0;
}

/* The stream has come to the cut: what follows from here is what the cut does not hold. */
static bool anchor(void)
{
    uint64_t cut = cut_without_anchor();
    if (likely(!cut) || f.mark.lsn < atomic_load_explicit(&repl()->cut_lsn, memory_order_relaxed)) return false;
    f.mark.db = LOG_DB_NONE;
    mark_set(&f.mark);
    atomic_store_explicit(&repl()->anchor_at, f.mark.end, memory_order_relaxed);
    atomic_store_explicit(&repl()->anchor, cut, memory_order_release); /* pairs with the acquire in net/replica.c */
    return true;
}

/* Does the record come behind a cut that has no anchor yet? Looked at after the record was seen: who commits behind a cut publishes behind it, so
 * the acquire in ring_next makes the cut's words visible with the record. */
static bool behind_cut(const struct log_record *r)
{
    return cut_without_anchor() && r->lsn > atomic_load_explicit(&repl()->cut_lsn, memory_order_relaxed);
}

/* ---- the step ---- */

bool replfeed_step(void)
{
    if (!follow()) return false;
    grow();
    uint64_t before = f.mark.end, space = room();
    bool anchored = false;
    f.no_room = false;
    while (f.mark.end - before < STEP_BYTES) {
        anchored |= anchor();
        const struct log_record *r = log_merge_next(&f.merge);
        if (!r) break;
        if (behind_cut(r)) continue;
        if (add(r, &space)) continue;
        f.no_room = true;
        break;
    }
    if (!f.mark.partial) {
        ping(&space);
        ask_for_acks(&space);
    }
    if (f.mark.end == before && !anchored) return false;
    mark_set(&f.mark);
    tell_workers();
    return true;
}

bool replfeed_ready(void)
{
    return f.generation && !f.no_room && (log_merge_next(&f.merge) || cut_without_anchor() ||
                                          (atomic_load_explicit(&repl()->ack_asked, memory_order_acquire) != f.acks && log_merge_anything(&f.merge)));
}

int64_t replfeed_nap_us(bool idle)
{
    if (!repl_on()) return INT64_MAX;
    return f.no_room ? NAP_NO_ROOM_US : idle ? NAP_IDLE_US : NAP_US;
}
