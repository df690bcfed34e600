/* types/packed.h - a listpack as a value: one allocation of exactly its bytes, edited in place or built anew.
 *
 * The block's size class is always that of lp_bytes(), so nothing else must be kept. All functions need the owner's stripe and a
 * transaction; a death in the middle is undone with it. Not for: what the entries mean.
 */
#ifndef SHOAL_TYPES_PACKED_H
#define SHOAL_TYPES_PACKED_H

#include "ds/listpack.h"
#include "shm/txn.h"

static ALWAYS_INLINE const uint8_t *packed_at(shm_off off) { return off ? shm_ptr(off) : lp_empty; }

/* Carries out an edit that was planned on packed_at(off); returns where the listpack is now. off 0: there was none yet. */
static inline shm_off packed_edit(struct txn *t, shm_off off, const struct lp_edit *e)
{
    if (off && arena_usable(e->old_bytes) == arena_usable(e->new_bytes)) {
        uint8_t *lp = shm_ptr(off);
        txn_touch(t, lp, LP_HEADER);
        txn_touch(t, lp + e->at, lp_edit_reach(e));
        lp_apply(lp, e);
        return off;
    }
    shm_off fresh = txn_alloc(t, e->new_bytes);
    lp_build(shm_ptr(fresh), packed_at(off), e);
    if (off) txn_free(t, off, e->old_bytes);
    return fresh;
}

static inline void packed_free(struct txn *t, shm_off off)
{
    if (off) txn_free(t, off, lp_bytes(shm_ptr(off)));
}

static inline shm_off packed_copy(struct txn *t, shm_off off)
{
    uint32_t n = lp_bytes(shm_ptr(off));
    shm_off fresh = txn_alloc(t, n);
    memcpy(shm_ptr(fresh), shm_ptr(off), n);
    return fresh;
}

#endif
