/* shm/pageheap.h - the arena as runs of 16 KiB pages.
 *
 * One struct page per page of the arena. A run (a span of small blocks, or one large object) is described by its first page; a free
 * run also by its last, so that neighbours join when a run is freed. Free runs hang in lists by length; what was never used lies above
 * header.pages_used and is handed out last. Only memory below header.arena_committed is handed out: the supervisor commits more ahead
 * of need (segment_grow), and PAGE_NONE means "not now".
 *
 * Lock: header.page_lock, taken inside each function; nothing else is taken under it. Every change is part of the caller's system
 * operation (sysop.h), which the caller ends, so a death leaves no page in two hands. Callers keep the page lock's work short.
 * page_run_alloc/free keep the lock until the caller calls page_heap_unlock() after sysop_end(): the words must not be seen by
 * others before they are final.
 */
#ifndef SHOAL_SHM_PAGEHEAP_H
#define SHOAL_SHM_PAGEHEAP_H

#include "shm/slot.h"

#define PAGE_NONE UINT32_MAX

enum page_state { PAGE_VIRGIN, PAGE_FREE, PAGE_SPAN, PAGE_LARGE, PAGE_BODY };
#define PAGE_STATE(p) ((p)->state & 0xffu)
#define PAGE_CLASS(p) ((p)->state >> 8)

struct page {          /* writer: holder of the page lock; span fields: holder of the class lock */
    uint32_t state;    /* enum page_state; a span's also its class << 8 */
    uint32_t npages;   /* first page: length of the run; PAGE_BODY: distance back to the first */
    uint32_t used;     /* span: blocks out of it (in use or in a process's cache) */
    uint32_t bump;     /* span: blocks ever carved from it */
    uint64_t free_head; /* span: free blocks, linked through their first 8 bytes (segment offsets) */
    uint32_t next;     /* list of partial spans, or of free runs: page number + 1, 0 = end */
    uint32_t prev;     /* the other way */
};

_Static_assert(sizeof(struct page) == 32, "two pages of the map per cache line");

static ALWAYS_INLINE struct page *page_at(uint32_t n) { return (struct page *)shm_ptr(seg()->pages_off) + n; }
static ALWAYS_INLINE shm_off page_offset(uint32_t n) { return seg()->arena_off + (uint64_t)n * PAGE_SIZE_ARENA; }
static ALWAYS_INLINE uint32_t page_number(shm_off off) { return (uint32_t)((off - seg()->arena_off) / PAGE_SIZE_ARENA); }

void page_heap_lock(void);
void page_heap_unlock(void);

/* Takes a run of `n` pages; the lock is held and a system operation may be under way. PAGE_NONE: no room below the committed end
 * (the grower has been asked). The state of the first page becomes `state`. */
uint32_t page_run_alloc_locked(uint32_t n, uint32_t state);

/* Gives back the run that starts at page `first`. */
void page_run_free_locked(uint32_t first);

/* Bytes of the arena in runs that are handed out. */
uint64_t page_heap_used_bytes(void);

/* Asks the supervisor to commit more of the arena when less than the headroom is left. Cheap; no lock. */
void page_heap_hint(void);

#endif
