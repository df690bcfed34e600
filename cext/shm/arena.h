/* shm/arena.h - memory for everything that lives in the arena.
 *
 * Size classes: every 8 bytes up to 256, then sixteen per doubling up to 32 KiB; larger requests are runs of pages. A class's
 * blocks come from spans (1 to 16 pages, as many as leave little behind the last block); each process keeps a small cache of free blocks per class in its slot, so most
 * allocations take no lock. Caches exchange batches with the spans under the class's lock; a span without used blocks goes
 * back to the page heap.
 *
 * Frees are sized: the caller passes the size it asked for. Everything here works inside a transaction through txn_alloc/txn_free
 * (shm/txn.h); block_take/block_give are the parts below it.
 *
 * Locks: class lock, then page lock. Death: system operations are undone (sysop.h); a block popped by a transaction is pushed back
 * by that transaction's undo record, written before the pop.
 */
#ifndef SHOAL_SHM_ARENA_H
#define SHOAL_SHM_ARENA_H

#include "shm/cow.h"
#include "shm/slot.h"

#define ARENA_CLASS_MAX 32768u
#define ARENA_MIN_ALLOC 8u

static ALWAYS_INLINE uint32_t arena_class(uint64_t size)
{
    if (size <= 256) return size <= 8 ? 0 : (uint32_t)((size - 1) >> 3);
    uint32_t log = 63u - (uint32_t)__builtin_clzll(size - 1); /* 2^log < size <= 2^(log+1) */
    return 32 + (log - 8) * 16 + (uint32_t)((size - 1) >> (log - 4) & 15);
}

static ALWAYS_INLINE uint64_t arena_class_size(uint32_t cls)
{
    if (cls < 32) return (cls + 1) * 8ull;
    uint32_t log = 8 + (cls - 32) / 16;
    return (1ull << log) + (((uint64_t)(cls - 32) % 16 + 1) << (log - 4));
}

/* Bytes that an allocation of `size` may really use. */
static ALWAYS_INLINE uint64_t arena_usable(uint64_t size)
{
    return size <= ARENA_CLASS_MAX ? arena_class_size(arena_class(size)) : round_up(size, PAGE_SIZE_ARENA);
}

/* Fills this process's cache of `cls` from the spans; false when the arena has no room now. */
bool arena_refill(uint32_t cls) NOINLINE;

/* Moves half of an overfull cache back to the spans. */
void arena_drain(uint32_t cls) NOINLINE;

/* How many blocks a cache may hold before it is drained. */
static ALWAYS_INLINE uint32_t arena_cache_limit(uint32_t cls)
{
    uint64_t n = 32768 / arena_class_size(cls);
    return n > 128 ? 128 : n < 4 ? 4 : (uint32_t)n;
}

/* Runs of pages for more than ARENA_CLASS_MAX bytes; 0 = no room now. */
shm_off arena_large_take(uint64_t size);
void arena_large_give(shm_off off);

/* Puts one free block at the head of this process's cache. Not undone: callers are commit, rollback and the heir. */
static ALWAYS_INLINE void block_give(uint32_t cls, shm_off off)
{
    struct block_cache *c = &my_slot->cache[cls];
    if (c->head == off) return; /* pushed before a death in the middle */
    cow_touch(off, 8);
    *(uint64_t *)shm_ptr(off) = c->head;
    store_order();
    *(volatile shm_off *)&c->head = off;
    c->count++;
}

/* Returns every cached block of a slot to the spans (a slot that will not be used again). */
void arena_cache_flush(void);

/* Recounts the caches of a slot whose process died, by walking them. */
void arena_cache_recount(struct slot *s);

/* Does the map of pages say that memory of this size is handed out at off? Safe for any off. Takes no lock: for what may be freed meanwhile
 * the answer is worth nothing. */
bool arena_is_block(shm_off off, uint64_t size);

/* Checks the map of pages and the free lists (integrity walk); writes what is wrong to `err`. Caller holds every stripe. */
bool arena_check(char *err, size_t errlen);

#endif
