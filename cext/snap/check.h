/* snap/check.h - the full check: is every key of every database, and every value to its last element, where and what it must be?
 *
 * Two callers. `shoal check` and a start look at a segment that nobody serves from: check_everything(). The persistence process looks at memory
 * that was taken over while it is served, in slices: check_slice() takes a cut (snapshot.h) and checks stripe by stripe as of it until its time is
 * over, so that no writer waits for it and pre-images stay few. Beside writers the map of pages runs ahead of the cut, so what seems to be
 * damaged is looked at once more live, holding its stripe: only what is damaged then is reported.
 *
 * Interruption: check_slice() gives the stripe up that it is in when wake_fd can be read; it is begun anew in the next slice.
 * Locks: none but the cut's, and for a suspicion its stripe (a key: as long as its value takes). Changes nothing.
 * Death: the next process begins with the stripe that was not finished; the cut and a stripe are given up as those of any dead process.
 */
#ifndef SHOAL_SNAP_CHECK_H
#define SHOAL_SNAP_CHECK_H

#include "snap/check_mem.h"

#define CHECK_KEY_SHOWN 128u

struct check_finding {
    uint32_t db, stripe;
    uint32_t key_bytes;     /* of the key */
    bool has_key;           /* false: the stripe's table itself, or a key that cannot be read */
    uint8_t key[CHECK_KEY_SHOWN]; /* its first bytes */
    char why[CHECK_WHY];
};
typedef void check_found_fn(const struct check_finding *f, void *arg);

/* Every database, live. The caller holds every stripe or is alone with the segment. Returns the number of keys looked at. */
uint64_t check_everything(check_found_fn *found, void *arg);

#define CHECK_PLACE_END UINT64_MAX
struct check_progress {
    uint64_t place;      /* where to go on: database << STRIPE_BITS | stripe; CHECK_PLACE_END = all is done */
    uint64_t keys;       /* looked at in this slice */
    bool interrupted;
};
/* Between snapshot_begin() and snapshot_end(): from `place` on, at most `stripes` of them and about `ms` milliseconds. What seems to be damaged
 * is kept for check_confirm(). */
struct check_progress check_slice(uint64_t place, uint64_t stripes, uint32_t ms, int wake_fd);
/* Live, holding no stripe: what check_slice() has suspected and what is so. */
void check_confirm(check_found_fn *found, void *arg);
/* Is this key damaged now? A key that is not there is not. Takes its stripe. */
bool check_key_now(uint32_t db, struct slice name, struct check_finding *f);

#endif
