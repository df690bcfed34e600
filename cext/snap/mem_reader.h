/* snap/mem_reader.h - how code that saves values reads the arena: live, or as of a snapshot's cut.
 *
 * Whoever holds the stripes reads live memory (DUMP). A running snapshot holds no lock: it gets copies of the bytes as they were at the
 * cut, taken from the arena or from the pre-image pool (`copy`, snap/snap_read). So saving code follows offsets only through mem_view(),
 * a node at a time, and never through shm_ptr().
 *
 * A view is scratch memory: good until scratch_rewind() to a mark made before it. A walk makes a mark, looks at one node, rewinds.
 */
#ifndef SHOAL_SNAP_MEM_READER_H
#define SHOAL_SNAP_MEM_READER_H

#include "keyspace/entry.h"

#define MEM_PIECE (256u << 10) /* no view should be longer where the value allows it */

struct mem_reader {
    /* Writes the n bytes at off, as of the cut, to dst. NULL: the memory is read where it is. */
    void (*copy)(struct mem_reader *r, shm_off off, void *dst, size_t n);
};

extern struct mem_reader mem_live;

static ALWAYS_INLINE const void *mem_view(struct mem_reader *r, shm_off off, size_t n)
{
    if (!r->copy) return shm_ptr(off);
    void *p = scratch_alloc(n);
    r->copy(r, off, p, n);
    return p;
}

/* A view of n bytes, or of fewer where the arena ends: for things whose size stands in their first bytes. Read on with a second view only
 * when the thing is longer. */
static inline const void *mem_view_upto(struct mem_reader *r, shm_off off, size_t n)
{
    uint64_t left = seg()->arena_off + atomic_load_explicit(&seg()->arena_committed, memory_order_relaxed) - off;
    return mem_view(r, off, MIN((uint64_t)n, left));
}

/* The whole entry at off: header, expiry, value part, key, inline value. What hangs outside (ENC_EXT, roots) is not looked at. */
const struct entry *mem_view_entry(struct mem_reader *r, shm_off off);

#endif
