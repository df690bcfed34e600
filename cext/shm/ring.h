/* shm/ring.h - each process's log ring: records of committed transactions on their way to the log writer.
 *
 * A record is a struct log_record and its bytes, padded to 8; it never wraps (a LOG_PAD record fills the end of the ring). Its
 * bytes are frames: struct log_frame + one RESP command each. A record too large for the ring lies in a run of pages
 * (LOG_EXTERNAL), which the log writer frees with arena_large_give() once it has written it.
 *
 * Commit with a record: stage it whole beyond ring.head; under header.log_lock take the LSN, write it into the record, store
 * COMMITTED(lsn) in the status word, advance header.lsn; publish ring.head (release; pairs with the acquire in ring_next).
 * So LSNs have no holes, and per key their order is execution order, since the stripes are held.
 *
 * Death: before COMMITTED nothing is published and header.lsn is as before: the LSN is taken by the next. After it, the heir
 * advances header.lsn and publishes up to slot.log_staged_end, both of which may be repeated.
 */
#ifndef SHOAL_SHM_RING_H
#define SHOAL_SHM_RING_H

#include "shm/txn.h"

enum log_kind { LOG_PAD = 1, LOG_INLINE, LOG_EXTERNAL };

struct log_record {
    uint32_t size;    /* bytes of this record in the ring, header and padding included */
    uint32_t kind;    /* enum log_kind */
    uint64_t lsn;
    uint64_t time_ms; /* wall clock at commit */
    uint64_t bytes;   /* payload bytes */
    uint32_t frames;  /* commands in it */
    uint32_t pad;
    shm_off external; /* LOG_EXTERNAL: where the payload is */
};

struct log_frame {
    uint32_t len; /* RESP bytes that follow, not padded */
    uint32_t db : 31;
    uint32_t unit : 1; /* begins a unit; so does the first frame of a record */
};

/* Walks a record's frames. A unit of several frames stands between MULTI and EXEC where it is written: what a client sent is one, and what
 * each waiting client gets by it is another, as if that had run behind it. */
struct log_walk {
    const uint8_t *at, *end; /* log_walk_begin() sets them */
    struct log_frame frame;  /* the current one */
    const uint8_t *command;
    bool opens, closes, inside; /* MULTI goes before it, EXEC behind it; within one */
};
struct log_walk log_walk_begin(const struct log_record *r);
bool log_walk_next(struct log_walk *w);

/* Writes t's staged log bytes beyond the head; may leave through txn_fail. */
void ring_stage(struct txn *t);
/* Takes the LSN, commits, publishes. */
uint64_t ring_commit(void);
void ring_unstage(void);
/* The heir's part: publishes what a dead process had committed. */
void ring_republish(struct slot *s, uint32_t slot_index, uint64_t lsn);

/* Free bytes of this process's ring: a worker parks a writing client while there is too little (never waits). */
uint64_t ring_room(void);

/* Below this a worker lets no writing client go on: what one batch may still stage fits for sure (LOG_EXTERNAL takes a cache line). */
#define RING_LOW (LOG_RING_BYTES / 8)
static ALWAYS_INLINE bool ring_short(void) { return unlikely(log_on()) && ring_room() < RING_LOW; }

/* Wakes the log writer if it sleeps: after the commits of a batch, when replies wait for the disk. Cheap when it is awake. */
void ring_wake_writer(void);

/* Consumer: the record at *at (a position of the slot's ring, from its tail on) or the first one behind it, *at moved over padding; NULL
 * when there is none. ring_advance() moves the cursor over it; ring_consume_to() gives the place of everything before `at` back, and the
 * memory of records outside the ring, each step so that a death in the middle may be followed by the same call. */
const struct log_record *ring_next(uint32_t slot_index, uint64_t *at);
static ALWAYS_INLINE void ring_advance(const struct log_record *r, uint64_t *at) { *at += r->size; }
void ring_consume_to(uint32_t slot_index, uint64_t at);
static ALWAYS_INLINE const uint8_t *log_payload(const struct log_record *r)
{
    return r->kind == LOG_EXTERNAL ? (const uint8_t *)shm_ptr(r->external) : (const uint8_t *)(r + 1);
}

#endif
