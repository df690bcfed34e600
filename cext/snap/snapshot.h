/* snap/snapshot.h - a point in time of the whole keyspace, read beside running writers (design section 6).
 *
 * One snapshot at a time, taken by the persistence process, which sits in a slot of its own:
 *     snapshot_begin()   commits the copy-on-write map and a first piece of the pre-image pool; then the cut: all stripe locks, LSN noted,
 *                        header.cow_active set, locks released
 *     snap_read()        bytes of the arena as of the cut
 *     snapshot_tend()    called by snap_read() now and then: keeps the pool ahead of the writers, moves old pre-images to a file when the
 *                        pool has reached its bound
 *     snapshot_end()     switches copying off (all stripe locks), waits until no writer can be in the middle of a copy, gives the memory back
 *
 * Reading takes no lock and makes no writer wait. A writer waits (yields) only when it outruns snapshot_tend().
 *
 * Death of the persistence process: its heir calls snapshot_abandon() before anything else, which is snapshot_end() from the words in
 * the header. Writers that die are no concern: pre-images are published by one store.
 */
#ifndef SHOAL_SNAP_SNAPSHOT_H
#define SHOAL_SNAP_SNAPSHOT_H

#include "keyspace/keyspace.h"

struct snapshot_info {
    uint64_t lsn;          /* last LSN whose effects it holds */
    int64_t cut_ms;        /* wall clock of the cut */
    uint64_t cut_us;       /* how long the stripes were held */
    uint64_t keys;         /* in all databases, at the cut */
    uint64_t preimages;    /* taken so far */
    uint64_t spilled;      /* of them, moved to the file */
};

/* `pool_bytes`: bound of the pre-image pool in memory; `spill_dir`: where the unlinked spill file is made when it is reached.
 * 0, or -1 with a message. Nothing is held on return. */
int snapshot_begin(uint64_t pool_bytes, const char *spill_dir, char *err, size_t errlen);
void snapshot_end(void);
/* Called at the cut, all stripes held: what must change at the very same LSN (the log's file). NULL = nothing. */
extern void (*snapshot_at_cut)(void);
/* Ends what a dead persistence process left running; nothing when there is none. */
void snapshot_abandon(void);
/* 0, or -1: the spill file cannot be written (errno); the snapshot is to be given up. */
int snapshot_tend(void);
const struct snapshot_info *snapshot_info(void);

/* Copies [off, off+n) of the arena as of the cut. What lies past the arena's end of the cut reads as zeroes. */
void snap_read(shm_off off, void *dst, size_t n);

/* Calls fn for each entry as of the cut, database by database: `e` is a copy of at least its header, key and inline value, valid until fn
 * returns; what hangs below its root is read through snap_read(). Not expired is fn's business. fn returns false to stop.
 * `on_db` is called before a database's first entry with its number of keys and of keys that expire. */
struct snap_visitor {
    bool (*on_db)(void *arg, uint32_t db, uint64_t keys, uint64_t expires);
    bool (*on_entry)(void *arg, const struct entry *e, size_t size);
    void *arg;
};
bool snapshot_walk(const struct snap_visitor *v);

#endif
