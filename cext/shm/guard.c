/* shm/guard.c - the test build (-DSHOAL_CHECK_TOUCH) in which a store to the arena faults unless it was announced.
 *
 * Each process maps the arena read-only. An announcement (txn_touch, txn_fresh, cow_touch, the access clock) makes the pages it covers
 * writable until the end of the transaction; a store elsewhere is a SIGSEGV at the very instruction. Within an opened page, bytes that
 * were not announced are compared with a copy taken when it was opened, which finds the rest; this needs a single worker (others store
 * into the same page), so it is done only when the segment has one.
 *
 * Private to the process; nothing here runs in a normal build.
 */
#include "shm/cow.h"

#ifdef SHOAL_CHECK_TOUCH

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "shm/guard.h"

#define GUARD_PAGE 4096u

struct opened {
    struct opened *next; /* in its hash chain */
    shm_off page;
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
    memcpy(o->before, shm_ptr(page), GUARD_PAGE);
    memset(o->announced, 0, sizeof o->announced);
    o->next = *chain;
    *chain = o;
    protect(page, PROT_READ | PROT_WRITE);
    return o;
}

void guard_open(shm_off off, uint64_t len)
{
    if (!armed || off < seg()->arena_off || !len) return;
    for (shm_off page = off & ~(shm_off)(GUARD_PAGE - 1); page < off + len; page += GUARD_PAGE) {
        struct opened *o = find_or_open(page);
        uint64_t from = off > page ? off - page : 0, to = MIN(off + len - page, (uint64_t)GUARD_PAGE);
        for (uint64_t i = from; i < to; i++) o->announced[i / 8] |= (uint8_t)(1u << i % 8);
    }
}

static void compare(const struct opened *o)
{
    const uint8_t *now = shm_ptr(o->page);
    for (uint32_t i = 0; i < GUARD_PAGE; i++) {
        if (now[i] == o->before[i] || (o->announced[i / 8] >> i % 8 & 1)) continue;
        fprintf(stderr, "unannounced store: byte %u of the arena page at %llu changed from %02x to %02x\n", i,
                (unsigned long long)o->page, o->before[i], now[i]);
        abort();
    }
}

void guard_close(void)
{
    if (!armed) return;
    for (uint32_t c = 0; c < ARRAY_LEN(chains); c++)
        while (chains[c]) {
            struct opened *o = chains[c];
            if (seg()->workers == 1) compare(o);
            protect(o->page, PROT_READ);
            chains[c] = o->next;
            o->next = spare;
            spare = o;
        }
}

#else
typedef int guard_is_not_built_in;
#endif
