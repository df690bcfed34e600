/* snap/check_mem.h - reading memory that may be damaged: every offset is looked at before it is followed.
 *
 * A checker reads either as of a running snapshot's cut (beside writers, without locks), or live (the caller holds the stripe, or has the
 * segment for itself). What is wrong leaves through check_damage() to the nearest `on_damage`; so does a fault of the processor while
 * check_guard() is on. A view is scratch memory or the arena itself, as in mem_reader.h; nothing is ever written.
 *
 * Beside writers the map of pages is newer than the cut: memory that was freed and used again since may seem to be damaged. So what is found
 * as of a cut is a suspicion, to be confirmed live (check.h).
 * Death: holds nothing. Not for: saving values (mem_reader.h trusts what it reads).
 */
#ifndef SHOAL_SNAP_CHECK_MEM_H
#define SHOAL_SNAP_CHECK_MEM_H

#include <setjmp.h>

#include "ds/btree.h"
#include "ds/htable.h"
#include "keyspace/keyspace.h"

#define CHECK_WHY 160u

enum check_leave { CHECK_DAMAGE = 1, CHECK_INTERRUPTED }; /* why on_damage was jumped to */

struct checker {
    bool as_of_cut;
    shm_off limit;          /* the arena ends here */
    int wake_fd;            /* as soon as it can be read, the checking of a stripe is given up; -1 = never */
    uint32_t views;         /* so far, for looking at wake_fd now and then */
    sigjmp_buf *on_damage;
    char why[CHECK_WHY];    /* what is wrong */
};

void checker_init(struct checker *c, bool as_of_cut, int wake_fd);

void check_damage(struct checker *c, const char *fmt, ...) NORETURN COLD PRINTF_LIKE(2, 3);

/* n bytes at off. */
const void *check_view(struct checker *c, shm_off off, uint64_t n);
/* The same as a copy, whatever their alignment. */
void check_read(struct checker *c, shm_off off, void *dst, uint64_t n);
/* Is there an allocation of `size` bytes at off? `what` says to the reader what should be there. */
void check_block(struct checker *c, shm_off off, uint64_t size, const char *what);
/* Both: a whole allocation. */
static inline const void *check_view_block(struct checker *c, shm_off off, uint64_t size, const char *what)
{
    check_block(c, off, size, what);
    return check_view(c, off, size);
}
static inline void check_read_block(struct checker *c, shm_off off, void *dst, uint64_t size, const char *what)
{
    check_block(c, off, size, what);
    check_read(c, off, dst, size);
}
/* n bytes from off on, for things whose size stands in their first bytes; zeroes behind the arena's end. */
const uint8_t *check_view_guess(struct checker *c, shm_off off, uint64_t n);

/* Between the two, a fault of this thread leaves through on_damage like any damage. One at a time in a process. */
void check_guard(struct checker *c);
void check_unguard(void);

/* ---- tables and trees (check_table.c) ---- */

/* Looks at an item and sets *hash; false: it has been found damaged, and the table is gone on with. */
typedef bool check_item_fn(struct checker *c, shm_off item, void *arg, uint64_t *hash);
/* A table whose head has been copied: directory, chunks, chains, tags, that each item is where it is looked for and only once, counters. */
void check_table(struct checker *c, const struct htable *t, check_item_fn *fn, void *arg);
/* The chain in which an item of this hash would be, item by item, until fn returns false. Chunk and chain are bounded, items are fn's business. */
void check_chain_of(struct checker *c, const struct htable *t, uint64_t hash, bool (*fn)(struct checker *c, shm_off item, void *arg), void *arg);

/* Looks at an entry of esz bytes, in order; views are rewound behind it. */
typedef void check_entry_fn(struct checker *c, const uint8_t *entry, void *arg);
/* A tree whose head has been copied: levels, counts, links, first entries. The order of entries is fn's business. */
void check_tree(struct checker *c, const struct btree *t, uint32_t esz, check_entry_fn *fn, void *arg);

#endif
