/* shm/txn.h - the transaction bracket: announce, store, commit or roll back.
 *
 *     txn_begin(t)                   no stripe yet; reserve what can be reserved
 *     txn_lock_stripe / _set / _all  ascending order; the lock words name this slot
 *     ... txn_touch + stores, txn_alloc, txn_free, txn_log ...
 *     txn_commit(t)                  one store of the status word, then publish, release, carry out the frees
 *
 * Undo records lie in the slot's undo area and grow upwards; each ends with a trailer {offset, length, kind}, so the heir walks
 * them backwards from slot.undo_top, the only word that says how far they are valid:
 *   UNDO_BYTES  old bytes of [offset, offset+length)
 *   UNDO_ALLOC  the block at offset was taken: give it back
 *   UNDO_FREE   the block at offset is to be freed after the commit; these link backwards through 8 bytes of data (the previous one)
 *   UNDO_LINK   the records go on in the chunk before; offset = the top there
 *
 * Failure: what cannot be done (no memory) leaves through txn_fail(), a longjmp to the bracket's owner, who rolls back by the undo
 * records and answers the client. So nothing between lock and commit may hold malloc'ed memory or a descriptor: use scratch_alloc.
 *
 * Death: status ACTIVE -> the heir walks the records backwards; COMMITTED -> it publishes the log records, carries out the frees; then
 * it frees the lock words that name the slot. Every step may be repeated.
 *
 * struct txn itself is private to the process: shared facts are in struct slot.
 */
#ifndef SHOAL_SHM_TXN_H
#define SHOAL_SHM_TXN_H

#include <setjmp.h>
#include <string.h>

#include "shm/arena.h"
#include "shm/cow.h"
#include "shm/slot.h"

#define RECENT_KEYS 3u

/* Group commit: which keys were changed by transactions that may not be durable yet. Writers: holders of the lock, while appendfsync is
 * always; readers without the lock believe it only if the lock's version says so. A stripe that has changed more keys than there is
 * place for says so by older_lsn, which counts for all of its keys. */
struct stripe_lock {
    _Alignas(CACHE_LINE) lock_word word;
    shm_off interest; /* watched and awaited keys (keyspace/interest.h), under the lock; 0 = none */
    uint64_t older_lsn;                /* every key of the stripe may have been changed up to here */
    uint64_t recent_lsn[RECENT_KEYS];  /* 0 = free */
    uint32_t recent_hash[RECENT_KEYS]; /* high half of the key's hash, mixed */
};
_Static_assert(sizeof(struct stripe_lock) == CACHE_LINE, "one line a stripe");

enum undo_kind { UNDO_BYTES = 1, UNDO_ALLOC, UNDO_FREE, UNDO_LINK };

struct undo_trailer {
    shm_off off;
    uint32_t len; /* UNDO_BYTES, UNDO_ALLOC, UNDO_FREE: bytes the record speaks of */
    uint32_t kind;
};

enum txn_failure { TXN_OK, TXN_NO_MEMORY, TXN_MORE_STRIPES, TXN_TOO_LARGE };

struct txn {
    char *undo_top;      /* mirrors slot.undo_top as a pointer */
    char *undo_end;      /* end of the current chunk */
    bool active;         /* between txn_begin and commit or abort */
    bool all_locked;
    uint16_t nheld;      /* stripes in `held` when not all */
    uint64_t used_delta; /* bytes allocated minus freed, applied to slot.used_bytes at commit (two's complement) */
    uint64_t held_map[STRIPE_COUNT / 64]; /* which stripes are ours; valid when nheld */
    uint16_t single;     /* the one stripe when nheld is 1 */
    jmp_buf *on_fail;    /* where txn_fail() goes; set by the bracket's owner */
    enum txn_failure failure;
    uint64_t fail_bytes; /* TXN_NO_MEMORY: how much was asked for */
    bool expecting;      /* it failed in txn_expect() */
    uint64_t expected;   /* the most that txn_expect() has asked for since the last commit: it asks once */
    uint64_t last_lsn;   /* of the last commit that logged something */
    struct changed_key {
        uint32_t stripe, tag;
    } changed[8];        /* for struct stripe_lock, while the log is on; more than there is room for: all of the stripes */
    uint32_t nchanged;
    /* records to replicate, staged privately until commit */
    uint8_t *log_buf;
    size_t log_len, log_cap;
    uint32_t log_frames; /* commands in log_buf */
    bool log_unit;       /* the next frame begins a unit (shm/ring.h) */
    /* a command of the primary that we follow (shm/replica_link.h): its commit says that we have its stream up to here; 0 = it is none */
    uint64_t link_at;
    const uint32_t *link_db; /* selected behind it */
};

extern struct txn my_txn; /* the process's one transaction */

static ALWAYS_INLINE struct stripe_lock *stripe_lock_at(uint32_t i)
{
    return (struct stripe_lock *)shm_ptr(seg()->stripes_off) + i;
}

/* ---- bracket ---- */
void txn_init(struct txn *t);      /* once per process, after slot_acquire() */
void txn_begin(struct txn *t);
uint64_t txn_commit(struct txn *t); /* returns the LSN, 0 when nothing was logged */
void txn_abort(struct txn *t);      /* rolls back and releases */
void txn_fail(struct txn *t, enum txn_failure why, uint64_t bytes) NORETURN COLD;

/* A place inside a transaction to which it can be rolled back alone (one command of an EXEC). */
struct txn_savepoint {
    shm_off undo_top;
    shm_off free_head;
    uint64_t used_delta;
    size_t log_len;
    uint32_t log_frames;
};
struct txn_savepoint txn_savepoint(const struct txn *t);
void txn_rollback_to(struct txn *t, struct txn_savepoint sp);

/* ---- stripes (also without txn_begin, for reading) ---- */
void txn_lock_stripe(struct txn *t, uint32_t stripe);                /* the only one; nothing else held */
void txn_lock_map(struct txn *t, const uint64_t map[STRIPE_COUNT / 64]); /* ascending */
void txn_lock_all(struct txn *t);
void txn_unlock(struct txn *t); /* after reading only: no status change */
static ALWAYS_INLINE bool txn_holds(const struct txn *t, uint32_t stripe)
{
    return t->all_locked || (t->nheld == 1 ? t->single == stripe : t->nheld && (t->held_map[stripe / 64] >> (stripe % 64) & 1));
}

/* ---- stores ---- */
char *txn_undo_room(struct txn *t, size_t need) NOINLINE;

static ALWAYS_INLINE char *txn_undo_reserve(struct txn *t, size_t need)
{
    return likely((size_t)(t->undo_end - t->undo_top) >= need) ? t->undo_top : txn_undo_room(t, need);
}

static ALWAYS_INLINE void txn_undo_push(struct txn *t, char *trailer_at, shm_off off, uint32_t len, enum undo_kind kind)
{
    *(struct undo_trailer *)(void *)trailer_at = (struct undo_trailer){off, len, kind};
    store_order();
    t->undo_top = trailer_at + sizeof(struct undo_trailer);
    *(volatile shm_off *)&my_slot->undo_top = shm_offset(t->undo_top);
    store_order();
}

/* Announces a store to [p, p+n) of memory that others may see: saves the old bytes, tells a running snapshot. */
static ALWAYS_INLINE void txn_touch(struct txn *t, void *p, size_t n)
{
    DCHECK(t->active);
    char *at = txn_undo_reserve(t, round_up(n, 8) + sizeof(struct undo_trailer));
    memcpy(at, p, n);
    txn_undo_push(t, at + round_up(n, 8), shm_offset(p), (uint32_t)n, UNDO_BYTES);
    cow_touch(shm_offset(p), n);
}

/* The same for the segment's own tables outside the arena: undone, but no snapshot looks at them. */
static ALWAYS_INLINE void txn_touch_outside(struct txn *t, void *p, size_t n)
{
    char *at = txn_undo_reserve(t, round_up(n, 8) + sizeof(struct undo_trailer));
    memcpy(at, p, n);
    txn_undo_push(t, at + round_up(n, 8), shm_offset(p), (uint32_t)n, UNDO_BYTES);
}

/* Announces stores to memory allocated in this transaction: no undo, only the snapshot. txn_alloc has done it for what it gives. */
static ALWAYS_INLINE void txn_fresh(struct txn *t, void *p, size_t n)
{
    (void)t;
    cow_touch(shm_offset(p), n);
}

#define TXN_SET(t, field, value)                  \
    do {                                          \
        txn_touch((t), &(field), sizeof(field));  \
        (field) = (value);                        \
    } while (0)

static ALWAYS_INLINE bool my_txn_active(void) { return my_txn.active; }

/* The access clock of an entry: reads update it without a bracket, and neither undo nor a snapshot cares for it. */
static ALWAYS_INLINE void store_access_clock(uint32_t *clock, uint32_t v)
{
    guard_open(shm_offset(clock), 4);
    __atomic_store_n(clock, v, __ATOMIC_RELAXED);
    if (!my_txn_active()) guard_close();
}

/* ---- memory ---- */
/* Said before much memory is allocated: `bytes` in all. Fails with TXN_NO_MEMORY when the arena has to grow for it, so that the command is
 * run again once, not for every step of growing; the second time it is left to what there is. */
void txn_expect(struct txn *t, uint64_t bytes);
/* After a transaction was aborted for want of memory: waits until the arena has grown by all that it had allocated and asked for, or at least
 * by what it asked for last. False: there is no more (a need that was only expected may be smaller in truth: it is tried). */
bool txn_wait_room(const struct txn *t, uint32_t ms);
/* Would txn_alloc() of so few bytes (ARENA_CLASS_MAX at most) find memory? */
bool txn_has_room(uint64_t size);
shm_off txn_alloc_slow(struct txn *t, uint64_t size) NOINLINE;

/* `size` bytes, 8-aligned (16 KiB-aligned above 32 KiB), contents undefined; does not return when there is no memory. */
static ALWAYS_INLINE shm_off txn_alloc(struct txn *t, uint64_t size)
{
    DCHECK(t->active && size > 0);
    if (unlikely(size > ARENA_CLASS_MAX)) return txn_alloc_slow(t, size);
    uint32_t cls = arena_class(size);
    struct block_cache *c = &my_slot->cache[cls];
    shm_off off = c->head;
    if (unlikely(!off)) return txn_alloc_slow(t, size);
    char *at = txn_undo_reserve(t, sizeof(struct undo_trailer));
    txn_undo_push(t, at, off, (uint32_t)size, UNDO_ALLOC);
    *(volatile shm_off *)&c->head = *(uint64_t *)shm_ptr(off);
    c->count--;
    t->used_delta += arena_class_size(cls);
    cow_touch(off, size);
    return off;
}

/* Frees after the commit. `size` is what was asked for at the allocation. */
void txn_free(struct txn *t, shm_off off, uint64_t size);

/* Zeroed memory. */
static inline shm_off txn_alloc_zero(struct txn *t, uint64_t size)
{
    shm_off off = txn_alloc(t, size);
    memset(shm_ptr(off), 0, size);
    return off;
}

/* A new block with the first `keep` bytes of the old one; the old is freed. Same offset when both sizes round to the same. */
shm_off txn_realloc(struct txn *t, shm_off off, uint64_t old_size, uint64_t new_size, uint64_t keep);

/* Per-command private memory, 16-aligned, gone after the command; may leave through txn_fail inside a bracket. */
void *scratch_alloc(size_t n);
void scratch_reset(void);
/* Gives back what was allocated since the mark: for walks over values larger than scratch memory should be. */
struct scratch_mark {
    void *chunk;
    size_t used;
};
struct scratch_mark scratch_mark(void);
void scratch_rewind(struct scratch_mark m);

/* ---- the log ---- */
static ALWAYS_INLINE bool log_on(void)
{
    return unlikely(atomic_load_explicit(&seg()->log_enabled, memory_order_relaxed) != 0);
}
/* Do replies wait for the disk? */
static ALWAYS_INLINE bool group_commit_on(void)
{
    return unlikely(atomic_load_explicit(&seg()->log_enabled, memory_order_relaxed) & LOG_FOR_FILES) && setting(SET_appendfsync) == 1;
}
static ALWAYS_INLINE uint32_t recent_tag(uint64_t hash) { return (uint32_t)(hash >> 32) ^ (uint32_t)hash; }
/* A key was changed; needs its stripe. */
static ALWAYS_INLINE void txn_note_change(struct txn *t, uint32_t stripe, uint64_t hash)
{
    if (t->nchanged < ARRAY_LEN(t->changed)) t->changed[t->nchanged] = (struct changed_key){stripe, recent_tag(hash)};
    t->nchanged++;
}
/* LSN that must be durable before what a reader saw of this key may be told; 0 = nothing is in the way. */
static inline uint64_t stripe_recent_lsn(const struct stripe_lock *s, uint64_t hash)
{
    uint64_t lsn = *(const volatile uint64_t *)&s->older_lsn;
    for (uint32_t i = 0; i < RECENT_KEYS; i++) {
        uint64_t at = *(const volatile uint64_t *)&s->recent_lsn[i];
        if (at > lsn && *(const volatile uint32_t *)&s->recent_hash[i] == recent_tag(hash)) lsn = at;
    }
    return lsn;
}
/* What this transaction will replicate: a frame per command. begin returns the frame's place, put appends RESP bytes, end closes it.
 * Call only when log_on(). */
size_t txn_log_begin(struct txn *t, uint32_t db);
void txn_log_put(struct txn *t, const void *p, size_t n);
void txn_log_end(struct txn *t, size_t frame);

#endif
