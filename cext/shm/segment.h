/* shm/segment.h - making, mapping, growing and checking the segment; taking a slot; shared blobs. */
#ifndef SHOAL_SHM_SEGMENT_H
#define SHOAL_SHM_SEGMENT_H

#include "shm/slot.h"

struct segment_params {
    uint64_t arena_bytes;  /* how far the arena may grow (virtual); 0 = the machine's memory */
    uint64_t initial_bytes; /* arena bytes to commit at once */
    uint32_t databases;
    uint32_t workers;
    uint32_t clients_max;
};

/* Bytes of the sparse file for these parameters. */
uint64_t segment_size(const struct segment_params *p);

/* Maps `fd` (0600, already ftruncate'd to segment_size) and formats it. 0, or -1 with a message. */
int segment_create(int fd, const struct segment_params *p, char *err, size_t errlen);

/* Maps an existing segment and checks magic, fingerprint, boot id and size; changes nothing. 0, or -1 with a message. */
int segment_map(int fd, char *err, size_t errlen);
void segment_unmap(void);

/* Commits the next chunk of the arena (posix_fallocate; may take tens of milliseconds). Called by the supervisor only.
 * 1 = grew, 0 = as large as it may become, -1 = shared memory is full (errno). */
int segment_grow(void);
/* Sleeps until somebody wants the arena to grow, at most `ms` milliseconds; true when so. */
bool segment_grow_wait(uint32_t ms);
/* Is so much of the arena committed and free? A look, not a promise. */
bool segment_has_room(uint64_t bytes);
/* Waits (a worker, holding nothing) until at least `bytes` more are committed or growth failed. */
bool segment_wait_room(uint64_t bytes, uint32_t ms);

/* Gives memory to [off, off+n) of the segment, and takes it back (it reads as zeroes then). 0, or -1 with errno. */
int segment_commit(uint64_t off, uint64_t n);
int segment_discard(uint64_t off, uint64_t n);
/* Commits a slot's log ring (when the AOF is switched on). -1: shared memory is full. */
int segment_commit_rings(void);

/* Takes slot `i` for this process; the caller then runs slot_repair(). */
void slot_acquire(uint32_t i, enum slot_kind kind);
void slot_release_clean(void);

/* Shared blobs: `size` of the current copy, its bytes copied to buf when they fit. */
uint64_t blob_version(uint32_t which);
uint64_t blob_read(uint32_t which, void *buf, uint64_t cap, uint64_t *version);
/* Replaces a blob whose version is still `expect`; 0, -1 = somebody else was first, -2 = too large. */
int blob_write(uint32_t which, const void *p, uint64_t n, uint64_t expect);

uint64_t layout_fingerprint(void);

#endif
