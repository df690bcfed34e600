/* snap/mem_walk.h - walking trees and hash tables through a mem_reader, a node or a chunk at a time.
 *
 * The callback gets its entry or item and may view more; scratch memory is rewound after each node, so what it keeps it must copy out
 * of scratch memory. Constant memory whatever the size. No locks: see mem_reader.h.
 */
#ifndef SHOAL_SNAP_MEM_WALK_H
#define SHOAL_SNAP_MEM_WALK_H

#include "ds/btree.h"
#include "ds/htable.h"
#include "snap/mem_reader.h"

/* Every entry in order. `t` is a view or a copy of the tree's head. */
void mem_btree_each(struct mem_reader *r, const struct btree *t, uint32_t esz, void (*fn)(const uint8_t *entry, void *arg), void *arg);
/* Every item's offset, bucket by bucket. `t` is a view or a copy of the table's head. */
void mem_htable_each(struct mem_reader *r, const struct htable *t, void (*fn)(shm_off item, void *arg), void *arg);

#endif
