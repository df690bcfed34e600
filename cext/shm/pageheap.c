/* shm/pageheap.c - runs of pages: taking, giving back, joining neighbours. Structure, lock and death: pageheap.h. */
#include "shm/pageheap.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm/sysop.h"

#define GROW_HEADROOM (64ull << 20) /* bytes kept committed ahead of use */

void page_heap_lock(void) { lock_acquire(&seg()->page_lock, slot_owner_id()); }
void page_heap_unlock(void) { lock_release(&seg()->page_lock); }

/* Which list a free run of n pages hangs in: exact up to 63, then four lists per doubling. */
static uint32_t bin_of(uint32_t n)
{
    if (n < 64) return n;
    uint32_t log = 31u - (uint32_t)__builtin_clz(n);
    uint32_t bin = 64 + (log - 6) * 4 + ((n >> (log - 2)) & 3);
    return MIN(bin, PAGE_BINS - 1);
}

static void bin_remove(uint32_t first)
{
    struct page *p = page_at(first);
    if (p->prev)
        sysop_set32(&page_at(p->prev - 1)->next, p->next);
    else
        sysop_set32(&seg()->page_bins[bin_of(p->npages)], p->next);
    if (p->next) sysop_set32(&page_at(p->next - 1)->prev, p->prev);
}

/* Describes pages [first, first+n) as one free run and lists it. */
static void bin_insert(uint32_t first, uint32_t n)
{
    struct page *p = page_at(first);
    uint32_t *bin = &seg()->page_bins[bin_of(n)];
    sysop_set32(&p->state, PAGE_FREE);
    sysop_set32(&p->npages, n);
    sysop_set32(&p->prev, 0);
    sysop_set32(&p->next, *bin);
    if (*bin) sysop_set32(&page_at(*bin - 1)->prev, first + 1);
    sysop_set32(bin, first + 1);
    if (n > 1) { /* the last page knows the length too, for the neighbour above */
        struct page *last = page_at(first + n - 1);
        sysop_set32(&last->state, PAGE_FREE);
        sysop_set32(&last->npages, n);
    }
}

/* First free run of at least n pages, the best fitting list first. */
static uint32_t bin_find(uint32_t n)
{
    struct seg_header *h = seg();
    for (uint32_t bin = bin_of(n); bin < PAGE_BINS; bin++) {
        uint32_t tries = 0;
        for (uint32_t link = h->page_bins[bin]; link && tries < 64; link = page_at(link - 1)->next, tries++)
            if (page_at(link - 1)->npages >= n) return link - 1;
    }
    return PAGE_NONE;
}

void page_heap_hint(void)
{
    struct seg_header *h = seg();
    uint64_t committed = atomic_load_explicit(&h->arena_committed, memory_order_relaxed);
    uint64_t used = *(volatile uint64_t *)&h->pages_used * PAGE_SIZE_ARENA;
    if (committed - used >= GROW_HEADROOM || committed >= h->arena_size) return;
    if (atomic_exchange_explicit(&h->grow_wanted, 1, memory_order_acq_rel) == 0)
        syscall(SYS_futex, &h->grow_wanted, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static uint32_t take_virgin(uint32_t n)
{
    struct seg_header *h = seg();
    uint64_t first = h->pages_used;
    uint64_t committed = atomic_load_explicit(&h->arena_committed, memory_order_acquire);
    if ((first + n) * PAGE_SIZE_ARENA > committed) return PAGE_NONE;
    sysop_set64(&h->pages_used, first + n);
    return (uint32_t)first;
}

/* Marks the run as one piece: the first page carries the length, the last points back for the neighbour above. Pages between are
 * not written: only spans need their bodies (page_span_head), and spans are short. */
static void describe(uint32_t first, uint32_t n, uint32_t state)
{
    struct page *p = page_at(first);
    sysop_set32(&p->state, state);
    sysop_set32(&p->npages, n);
    uint32_t bodies = (state & 0xff) == PAGE_SPAN ? n : (n > 1 ? 2 : 1);
    for (uint32_t i = 1; i < bodies; i++) {
        uint32_t at = bodies == n ? i : n - 1;
        sysop_set32(&page_at(first + at)->state, PAGE_BODY);
        sysop_set32(&page_at(first + at)->npages, at);
    }
}

uint32_t page_run_alloc_locked(uint32_t n, uint32_t state)
{
    struct seg_header *h = seg();
    uint32_t first = bin_find(n);
    if (first != PAGE_NONE) {
        uint32_t have = page_at(first)->npages;
        bin_remove(first);
        if (have > n) bin_insert(first + n, have - n);
        sysop_set64(&h->pages_free, h->pages_free - n);
    } else {
        first = take_virgin(n);
        page_heap_hint();
        if (first == PAGE_NONE) return PAGE_NONE;
    }
    describe(first, n, state);
    return first;
}

void page_run_free_locked(uint32_t first)
{
    struct seg_header *h = seg();
    uint32_t n = page_at(first)->npages;
    sysop_set64(&h->pages_free, h->pages_free + n);
    if (first + n < h->pages_used && PAGE_STATE(page_at(first + n)) == PAGE_FREE) {
        uint32_t above = first + n;
        bin_remove(above);
        n += page_at(above)->npages;
    }
    if (first > 0) {
        struct page *below = page_at(first - 1);
        if (PAGE_STATE(below) == PAGE_FREE) {
            uint32_t start = first - below->npages;
            bin_remove(start);
            n += below->npages;
            first = start;
        }
    }
    bin_insert(first, n);
}

uint64_t page_heap_used_bytes(void)
{
    struct seg_header *h = seg();
    return (*(volatile uint64_t *)&h->pages_used - *(volatile uint64_t *)&h->pages_free) * PAGE_SIZE_ARENA;
}
