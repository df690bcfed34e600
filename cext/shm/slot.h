/* shm/slot.h - one slot per process: who it is, what it is doing, and what its heir must mend.
 *
 * Writer: the process in the slot (and its heir while it repairs). Readers: everybody for pid, status and statistics.
 * Death: shm/repair.c reads the slot and puts right what the process left half done: first the system operation
 * (allocator), then the transaction, then the locks.
 */
#ifndef SHOAL_SHM_SLOT_H
#define SHOAL_SHM_SLOT_H

#include "shm/layout.h"
#include "shm/lock.h"

enum slot_kind { SLOT_NONE, SLOT_SUPERVISOR, SLOT_WORKER, SLOT_LOGWRITER, SLOT_PERSISTENCE, SLOT_TOOL };

/* Status word of a transaction: the low two bits say which, the rest is the LSN (0 = nothing logged). */
#define STATUS_IDLE 0ull
#define STATUS_ACTIVE 1ull
#define STATUS_COMMITTED 2ull
#define STATUS_MASK 3ull

#define UNDO_AREA_BYTES (256u << 10) /* first undo chunk of a slot; more come from the page heap */
#define INBOX_BYTES (256u << 10)
#define SLOW_BYTES (128u << 10) /* slow commands and latency events (net/slow.h) */
#define OBSERVE_BYTES (464u << 10) /* errors by code, run times by command (cmd/observe.h) */
#define LOG_RING_BYTES (4u << 20)
#define SYSOP_MAX 256u

enum stat_id {
#define STAT(ident, name, doc) STAT_##ident,
#include "stats.def"
#undef STAT
    STAT_COUNT
};

struct sysop_entry {
    shm_off off;
    uint64_t old;
    uint64_t width; /* bytes: 4 or 8 */
};

struct block_cache {   /* free blocks of one size class that this process may use without a lock */
    shm_off head;      /* linked through their first 8 bytes */
    uint64_t count;    /* recounted by the heir */
};

struct ring {          /* one producer, one consumer; positions only grow, place = position % size */
    _Alignas(CACHE_LINE) _Atomic uint64_t head; /* producer: bytes published (release) */
    uint64_t staged;                            /* producer: bytes written, not published */
    _Alignas(CACHE_LINE) _Atomic uint64_t tail; /* consumer: bytes done with (release) */
    _Atomic uint32_t consumer_sleeps;           /* 1 = write its eventfd after publishing */
    _Atomic uint32_t producer_waits;            /* futex word: 1 = producer waits for room */
};

struct slot {
    _Alignas(4096) _Atomic uint32_t pid; /* 0 = nobody */
    _Atomic uint32_t kind;               /* enum slot_kind */
    _Atomic uint64_t started_ms;         /* wall clock */
    _Atomic uint64_t births;             /* processes that have had this slot in this instance */
    _Atomic uint32_t ready;              /* 1 = repaired and serving */
    _Atomic uint32_t clients;            /* connections it serves or is being handed */
    _Atomic uint64_t client_memory;      /* bytes that its connections hold (net/crowd.h) */
    _Atomic uint64_t timeouts;           /* its waiting clients that stop waiting at some time (cmd/blocking_owner.c) */
    _Atomic uint64_t loop_epoch;         /* bumped once per event loop round: nothing private outlives a round */

    /* transaction (shm/txn.c) */
    _Alignas(CACHE_LINE) _Atomic uint64_t status;
    _Atomic uint32_t cow_copies; /* odd = a pre-image is being copied: it has a number, but is perhaps not whole */
    uint32_t pad0;
    shm_off undo_top;        /* end of the newest undo record */
    shm_off undo_chunks;     /* chunks beyond the first, linked through their first 8 bytes */
    shm_off free_head;       /* newest FREE record not yet carried out; they link backwards */
    shm_off lazy_head;       /* values this process still has to free (keyspace/lazy.h); changed in its transactions */
    uint64_t lazy_objects;   /* that lazy_head still leads to; changed with it */
    shm_off waiters;         /* commands of its clients that wait (cmd/waiter.h); changed in its transactions */
    uint64_t log_staged_end; /* ring position up to which COMMITTED covers */
    _Atomic uint64_t wait_lsn; /* replies wait until this LSN is durable: the log writer sets it to 0 and wakes us; 0 = none */
    _Atomic uint64_t sync_wait_lsn; /* the same for WAITAOF and synced_lsn */

    /* system operation (shm/sysop.h): allocator changes that stay whatever becomes of the transaction */
    _Alignas(CACHE_LINE) _Atomic uint32_t sysop_count; /* entries to undo; 0 = no operation under way */
    _Atomic uint32_t announcing; /* test build (shm/guard.c): odd between a process's first announcement and its guard_close() */
    struct sysop_entry sysop[SYSOP_MAX];

    _Alignas(CACHE_LINE) struct block_cache cache[ARENA_CLASSES];
    int64_t used_bytes; /* allocated minus freed by this slot; the sum over slots is used memory */

    struct ring log;
    struct ring inbox;
    lock_word inbox_lock; /* many producers take turns */

    _Alignas(CACHE_LINE) _Atomic uint64_t stats[STAT_COUNT];
    _Atomic uint64_t cmd_calls[512]; /* by struct command index: INFO commandstats */
    _Atomic uint64_t cmd_usec[512];
    _Atomic uint64_t cmd_rejected[512];
    _Atomic uint64_t cmd_failed[512];
};

extern struct slot *my_slot;    /* this process's slot, set by slot_acquire() */
extern uint32_t my_slot_index;

static ALWAYS_INLINE struct slot *slot_at(uint32_t i)
{
    return (struct slot *)shm_ptr(seg()->slots_off) + i;
}
static ALWAYS_INLINE uint32_t slot_owner_id(void) { return my_slot_index + 1; }
static ALWAYS_INLINE shm_off slot_area(uint32_t i) { return seg()->slot_areas_off + i * seg()->slot_area_size; }
static ALWAYS_INLINE shm_off slot_undo_area(uint32_t i) { return slot_area(i); }
static ALWAYS_INLINE shm_off slot_inbox_area(uint32_t i) { return slot_area(i) + UNDO_AREA_BYTES; }
static ALWAYS_INLINE shm_off slot_slow_area(uint32_t i) { return slot_area(i) + UNDO_AREA_BYTES + INBOX_BYTES; }
static ALWAYS_INLINE shm_off slot_observe_area(uint32_t i) { return slot_area(i) + UNDO_AREA_BYTES + INBOX_BYTES + SLOW_BYTES; }
static ALWAYS_INLINE shm_off slot_log_area(uint32_t i) { return slot_observe_area(i) + OBSERVE_BYTES; }

/* Statistics: only the owner adds, so a plain load and store do. */
static ALWAYS_INLINE void stat_add(enum stat_id id, uint64_t n)
{
    _Atomic uint64_t *p = &my_slot->stats[id];
    atomic_store_explicit(p, atomic_load_explicit(p, memory_order_relaxed) + n, memory_order_relaxed);
}
/* Sum over all slots. */
uint64_t stat_total(enum stat_id id);
/* Of keys, values and their tables. */
int64_t slots_used_bytes(void);
/* What an empty server has: header, stripe locks, slots. The slots' rings and buffers, clients and maps are left out: how much of them has
 * memory depends on what was done. */
static ALWAYS_INLINE int64_t seg_startup_bytes(void) { return (int64_t)seg()->slot_areas_off; }
/* Used memory, as INFO shows it and maxmemory limits it. */
static inline int64_t memory_used_bytes(void) { return seg_startup_bytes() + slots_used_bytes(); }

/* Compiler order is enough between what a process stores and what its heir reads after its death. */
static ALWAYS_INLINE void store_order(void) { atomic_signal_fence(memory_order_seq_cst); }

#endif
