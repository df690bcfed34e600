/* shm/arena.c - spans of small blocks and the processes' caches over them. Structure, locks, death: arena.h. */
#include "shm/arena.h"

#include <stdio.h>

#include "shm/pageheap.h"
#include "shm/sysop.h"

#define SPAN_PAGES_MAX 16u

/* The fewest pages of which at most a 64th lies unused behind the last block, or where there is none the best number. */
static uint32_t span_pages_for(uint64_t size)
{
    uint32_t best = 1;
    uint64_t best_waste = UINT64_MAX;
    for (uint32_t n = 1; n <= SPAN_PAGES_MAX; n++) {
        uint64_t bytes = n * (uint64_t)PAGE_SIZE_ARENA, waste = bytes % size;
        if (bytes < size) continue;
        if (waste * 64 <= bytes) return n;
        if (best_waste == UINT64_MAX || waste * best < best_waste * n) best = n, best_waste = waste;
    }
    return best;
}

static uint8_t span_pages_of[ARENA_CLASSES]; /* the same in every process: it follows from the class */

__attribute__((constructor)) static void span_pages_init(void)
{
    for (uint32_t cls = 0; cls < ARENA_CLASSES; cls++) span_pages_of[cls] = (uint8_t)span_pages_for(arena_class_size(cls));
}

static uint32_t span_pages(uint32_t cls) { return span_pages_of[cls]; }

static uint32_t span_blocks(uint32_t cls)
{
    return (uint32_t)(span_pages(cls) * (uint64_t)PAGE_SIZE_ARENA / arena_class_size(cls));
}

static uint32_t span_of(shm_off off)
{
    uint32_t n = page_number(off);
    const struct page *p = page_at(n);
    return PAGE_STATE(p) == PAGE_BODY ? n - p->npages : n;
}

static void partial_insert(struct arena_class *c, uint32_t first)
{
    struct page *p = page_at(first);
    sysop_set32(&p->prev, 0);
    sysop_set32(&p->next, c->partial);
    if (c->partial) sysop_set32(&page_at(c->partial - 1)->prev, first + 1);
    sysop_set32(&c->partial, first + 1);
}

static void partial_remove(struct arena_class *c, uint32_t first)
{
    struct page *p = page_at(first);
    if (p->prev)
        sysop_set32(&page_at(p->prev - 1)->next, p->next);
    else
        sysop_set32(&c->partial, p->next);
    if (p->next) sysop_set32(&page_at(p->next - 1)->prev, p->prev);
}

/* A fresh span joins the class; it ends its own system operation. */
static bool span_add(struct arena_class *c, uint32_t cls)
{
    page_heap_lock();
    uint32_t first = page_run_alloc_locked(span_pages(cls), PAGE_SPAN | cls << 8);
    if (first != PAGE_NONE) {
        struct page *p = page_at(first);
        sysop_set32(&p->used, 0);
        sysop_set32(&p->bump, 0);
        sysop_set64(&p->free_head, 0);
        partial_insert(c, first);
        sysop_set32(&c->spans, c->spans + 1);
    }
    sysop_end();
    page_heap_unlock();
    return first != PAGE_NONE;
}

/* Moves up to `want` blocks of one span to the head of this process's cache, in one system operation. */
static uint32_t span_take(struct arena_class *c, uint32_t cls, uint32_t first, uint32_t want)
{
    struct page *p = page_at(first);
    struct block_cache *cache = &my_slot->cache[cls];
    uint64_t size = arena_class_size(cls);
    uint32_t taken = 0;
    if (p->free_head) {
        shm_off last = p->free_head;
        for (taken = 1; taken < want && *(uint64_t *)shm_ptr(last); taken++) last = *(uint64_t *)shm_ptr(last);
        shm_off rest = *(uint64_t *)shm_ptr(last), head = p->free_head;
        sysop_set_arena(last, cache->head);
        sysop_set64(&p->free_head, rest);
        sysop_set64(&cache->head, head);
    } else {
        uint32_t room = span_blocks(cls) - p->bump;
        shm_off base = page_offset(first) + p->bump * size, head = cache->head;
        taken = MIN(want, room);
        for (uint32_t i = taken; i-- > 0;) { /* never used blocks: nothing to save but what a snapshot may want */
            shm_off b = base + i * size;
            cow_touch(b, 8);
            *(uint64_t *)shm_ptr(b) = head;
            head = b;
        }
        sysop_set32(&p->bump, p->bump + taken);
        sysop_set64(&cache->head, head);
    }
    sysop_set64(&cache->count, cache->count + taken);
    sysop_set32(&p->used, p->used + taken);
    if (!p->free_head && p->bump == span_blocks(cls)) partial_remove(c, first);
    sysop_end();
    return taken;
}

bool arena_refill(uint32_t cls)
{
    struct arena_class *c = &seg()->classes[cls];
    uint32_t want = MAX(arena_cache_limit(cls) / 2, 1u), got = 0;
    lock_acquire(&c->lock, slot_owner_id());
    while (got < want) {
        if (!c->partial && !span_add(c, cls)) break;
        got += span_take(c, cls, c->partial - 1, want - got);
    }
    lock_release(&c->lock);
    return got > 0;
}

/* One block from the cache's head to its span; an empty span goes back to the page heap. */
static void span_give(struct arena_class *c, uint32_t cls)
{
    struct block_cache *cache = &my_slot->cache[cls];
    shm_off b = cache->head;
    uint32_t first = span_of(b);
    struct page *p = page_at(first);
    bool was_full = !p->free_head && p->bump == span_blocks(cls);
    sysop_set64(&cache->head, *(uint64_t *)shm_ptr(b));
    sysop_set64(&cache->count, cache->count - 1);
    sysop_set_arena(b, p->free_head);
    sysop_set64(&p->free_head, b);
    sysop_set32(&p->used, p->used - 1);
    if (was_full) partial_insert(c, first);
    if (p->used == 0) {
        partial_remove(c, first);
        sysop_set32(&c->spans, c->spans - 1);
        page_heap_lock();
        page_run_free_locked(first);
        sysop_end();
        page_heap_unlock();
    } else {
        sysop_end();
    }
}

static void drain_to(uint32_t cls, uint64_t keep)
{
    struct arena_class *c = &seg()->classes[cls];
    lock_acquire(&c->lock, slot_owner_id());
    while (my_slot->cache[cls].head && my_slot->cache[cls].count > keep) span_give(c, cls);
    lock_release(&c->lock);
}

void arena_drain(uint32_t cls) { drain_to(cls, arena_cache_limit(cls) / 2); }

void arena_cache_flush(void)
{
    for (uint32_t cls = 0; cls < ARENA_CLASSES; cls++)
        if (my_slot->cache[cls].head) drain_to(cls, 0);
}

void arena_cache_recount(struct slot *s)
{
    for (uint32_t cls = 0; cls < ARENA_CLASSES; cls++) {
        uint64_t n = 0;
        for (shm_off b = s->cache[cls].head; b; b = *(uint64_t *)shm_ptr(b)) n++;
        s->cache[cls].count = n;
    }
}

shm_off arena_large_take(uint64_t size)
{
    uint64_t n = (size + PAGE_SIZE_ARENA - 1) / PAGE_SIZE_ARENA;
    if (n > UINT32_MAX / 2) return 0;
    page_heap_lock();
    uint32_t first = page_run_alloc_locked((uint32_t)n, PAGE_LARGE);
    sysop_end();
    page_heap_unlock();
    return first == PAGE_NONE ? 0 : page_offset(first);
}

void arena_large_give(shm_off off)
{
    page_heap_lock();
    page_run_free_locked(page_number(off));
    sysop_end();
    page_heap_unlock();
}

bool arena_is_block(shm_off off, uint64_t size)
{
    uint64_t n = (off - seg()->arena_off) / PAGE_SIZE_ARENA, large = (size + PAGE_SIZE_ARENA - 1) / PAGE_SIZE_ARENA;
    if (off < seg()->arena_off || off % 8 || !size || n >= *(volatile uint64_t *)&seg()->pages_used) return false;
    struct page p = *(volatile struct page *)page_at((uint32_t)n);
    if (size > ARENA_CLASS_MAX) return PAGE_STATE(&p) == PAGE_LARGE && p.npages == large && off == page_offset((uint32_t)n);
    if (PAGE_STATE(&p) == PAGE_BODY) {
        if (p.npages > n) return false;
        n -= p.npages;
        p = *(volatile struct page *)page_at((uint32_t)n);
    }
    uint64_t at = off - page_offset((uint32_t)n), one = arena_class_size(arena_class(size));
    return PAGE_STATE(&p) == PAGE_SPAN && PAGE_CLASS(&p) == arena_class(size) && at % one == 0 && at / one < p.bump;
}

/* One page run, as the map tells it; returns its length, 0 when it is wrong. */
static uint32_t check_run(uint32_t n, char *err, size_t errlen)
{
    const struct page *p = page_at(n);
    uint32_t state = PAGE_STATE(p);
    if ((state != PAGE_FREE && state != PAGE_SPAN && state != PAGE_LARGE) || !p->npages) {
        snprintf(err, errlen, "page %u: state %u is no start of a run", n, state);
        return 0;
    }
    if (state == PAGE_SPAN) {
        uint32_t cls = PAGE_CLASS(p), listed = 0;
        if (cls >= ARENA_CLASSES || p->npages != span_pages(cls) || p->bump > span_blocks(cls)) {
            snprintf(err, errlen, "page %u: a span of class %u with %u pages, %u carved", n, cls, p->npages, p->bump);
            return 0;
        }
        for (shm_off b = p->free_head; b; b = *(uint64_t *)shm_ptr(b))
            if (b < page_offset(n) || b >= page_offset(n + p->npages) || ++listed > p->bump) {
                snprintf(err, errlen, "page %u: free block %llu is not in its span", n, (unsigned long long)b);
                return 0;
            }
        if (listed + p->used != p->bump) {
            snprintf(err, errlen, "page %u: %u free and %u used of %u blocks", n, listed, p->used, p->bump);
            return 0;
        }
    }
    return p->npages;
}

bool arena_check(char *err, size_t errlen)
{
    uint64_t used = seg()->pages_used, free_pages = 0;
    for (uint64_t n = 0; n < used;) {
        uint32_t len = check_run((uint32_t)n, err, errlen);
        if (!len) return false;
        if (PAGE_STATE(page_at((uint32_t)n)) == PAGE_FREE) free_pages += len;
        n += len;
        if (n > used) {
            snprintf(err, errlen, "a run ends past the last used page %llu", (unsigned long long)used);
            return false;
        }
    }
    if (free_pages != seg()->pages_free) {
        snprintf(err, errlen, "%llu free pages found, %llu counted", (unsigned long long)free_pages,
                 (unsigned long long)seg()->pages_free);
        return false;
    }
    return true;
}
