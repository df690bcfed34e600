/* shm/sysop.h - system operations: short changes of the allocator's shared words that stay or vanish as a whole,
 * whatever becomes of the transaction around them (a nested top action).
 *
 * sysop_set*() saves the old word in the slot before it stores; sysop_end() forgets them all with one store. Whoever runs one
 * holds the lock of what it changes. Death in the middle: sysop_undo() puts the old words back in reverse, then the locks are
 * freed. Words in the arena go through sysop_set_arena(), since a snapshot may need the old bytes.
 */
#ifndef SHOAL_SHM_SYSOP_H
#define SHOAL_SHM_SYSOP_H

#include "shm/cow.h"
#include "shm/slot.h"

static ALWAYS_INLINE void sysop_save(void *p, uint64_t old, uint64_t width)
{
    struct slot *s = my_slot;
    uint32_t n = atomic_load_explicit(&s->sysop_count, memory_order_relaxed);
    ENSURE(n < SYSOP_MAX);
    s->sysop[n] = (struct sysop_entry){shm_offset(p), old, width};
    store_order();
    atomic_store_explicit(&s->sysop_count, n + 1, memory_order_relaxed);
    store_order();
}

static ALWAYS_INLINE void sysop_set64(uint64_t *p, uint64_t v)
{
    sysop_save(p, *p, 8);
    *(volatile uint64_t *)p = v;
}

static ALWAYS_INLINE void sysop_set32(uint32_t *p, uint32_t v)
{
    sysop_save(p, *p, 4);
    *(volatile uint32_t *)p = v;
}

/* A link inside a free block: announced to a running snapshot, since the block may have lived at its cut. */
static ALWAYS_INLINE void sysop_set_arena(shm_off off, uint64_t v)
{
    cow_touch(off, 8);
    sysop_set64(shm_ptr(off), v);
}

static ALWAYS_INLINE void sysop_end(void)
{
    store_order();
    atomic_store_explicit(&my_slot->sysop_count, 0, memory_order_relaxed);
    store_order();
}

/* Undoes what `s` left half done; may itself die and be repeated. */
void sysop_undo(struct slot *s);

#endif
