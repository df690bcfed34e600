/* shm/guard.c - the test build (-DSHOAL_CHECK_TOUCH) in which a store to the arena faults unless it was announced.
 *
 * Each process maps the arena read-only. An announcement (txn_touch, txn_fresh, cow_touch, the access clock) makes the pages it covers
 * writable until the end of the transaction; a store elsewhere is a SIGSEGV at the very instruction. Within an opened page, bytes that
 * were not announced are compared with a copy taken when it was opened, which finds the rest. Other processes store into the same page:
 * so the segment must have a single worker, and pages are not compared when another process (the persistence process loads, and frees
 * what it emptied) had announced something at any moment since the page was opened. slot.announcing tells that: each process, armed or
 * not, makes its own odd with its first announcement, before any store, and even again in guard_close(), behind all of them.
 *
 * All else is private to the process; nothing here runs in a normal build. A process that dies with an odd number keeps the others from comparing
 * until its heir closes for the first time.
 */
#include "shm/cow.h"

#ifdef SHOAL_CHECK_TOUCH

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "shm/guard.h"
#include "shm/slot.h"

#define GUARD_PAGE 4096u

struct opened {
    struct opened *next; /* in its hash chain */
    shm_off page;
    uint64_t others; /* others_count() before the copy was taken */
    uint8_t before[GUARD_PAGE];
    uint8_t announced[GUARD_PAGE / 8];
};

static struct opened *chains[4096];
static struct opened *spare;
static bool armed;

static void protect(shm_off page, int prot)
{
    ENSURE(mprotect(shm_ptr(page), GUARD_PAGE, prot) == 0);
}

void guard_arm(void)
{
    struct seg_header *h = seg();
    ENSURE(mprotect(shm_ptr(h->arena_off), h->arena_size, PROT_READ) == 0);
    armed = true;
}

#define SOMEBODY_ANNOUNCES UINT64_MAX

/* Announcements of all other processes so far; SOMEBODY_ANNOUNCES while one may be storing. */
static uint64_t others_count(void)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < SLOT_MAX; i++) {
        if (i == my_slot_index) continue;
        uint32_t n = atomic_load_explicit(&slot_at(i)->announcing, memory_order_acquire);
        if (n & 1) return SOMEBODY_ANNOUNCES;
        sum += n;
    }
    return sum;
}

static void announcing_set(bool on)
{
    if (!my_slot) return; /* the segment is being made: nobody else has it */
    uint32_t n = atomic_load_explicit(&my_slot->announcing, memory_order_relaxed);
    if ((n & 1) == on) return;
    atomic_store_explicit(&my_slot->announcing, n + 1, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
}

static struct opened *find_or_open(shm_off page)
{
    struct opened **chain = &chains[page / GUARD_PAGE % ARRAY_LEN(chains)];
    for (struct opened *o = *chain; o; o = o->next)
        if (o->page == page) return o;
    struct opened *o = spare;
    if (o)
        spare = o->next;
    else
        ENSURE((o = malloc(sizeof *o)) != NULL);
    o->page = page;
    o->others = others_count();
    atomic_thread_fence(memory_order_seq_cst);
    memcpy(o->before, shm_ptr(page), GUARD_PAGE);
    memset(o->announced, 0, sizeof o->announced);
    o->next = *chain;
    *chain = o;
    protect(page, PROT_READ | PROT_WRITE);
    return o;
}

void guard_open(shm_off off, uint64_t len)
{
    if (off < seg()->arena_off || !len) return;
    announcing_set(true);
    if (!armed) return;
    for (shm_off page = off & ~(shm_off)(GUARD_PAGE - 1); page < off + len; page += GUARD_PAGE) {
        struct opened *o = find_or_open(page);
        uint64_t from = off > page ? off - page : 0, to = MIN(off + len - page, (uint64_t)GUARD_PAGE);
        for (uint64_t i = from; i < to; i++) o->announced[i / 8] |= (uint8_t)(1u << i % 8);
    }
}

static void compare(const struct opened *o)
{
    if (seg()->workers != 1 || o->others == SOMEBODY_ANNOUNCES) return;
    uint8_t now[GUARD_PAGE]; /* first the bytes, then the question whether they were nobody else's */
    memcpy(now, shm_ptr(o->page), GUARD_PAGE);
    atomic_thread_fence(memory_order_seq_cst);
    if (others_count() != o->others) return;
    for (uint32_t i = 0; i < GUARD_PAGE; i++) {
        if (now[i] == o->before[i] || (o->announced[i / 8] >> i % 8 & 1)) continue;
        fprintf(stderr, "unannounced store: byte %u of the arena page at %llu changed from %02x to %02x\n", i,
                (unsigned long long)o->page, o->before[i], now[i]);
        abort();
    }
}

void guard_close(void)
{
    announcing_set(false);
    if (!armed) return;
    for (uint32_t c = 0; c < ARRAY_LEN(chains); c++)
        while (chains[c]) {
            struct opened *o = chains[c];
            compare(o);
            protect(o->page, PROT_READ);
            chains[c] = o->next;
            o->next = spare;
            spare = o;
        }
}

#else
typedef int guard_is_not_built_in;
#endif
