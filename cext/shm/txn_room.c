/* shm/txn_room.c - is there memory for a transaction: asked before it allocates much, waited for after it failed.
 *
 * The arena grows in steps, and a transaction that runs out of memory is rolled back and run again. So that this happens once and not for
 * every step, a command that knows its need says it (txn_expect), and who waits for growth asks for all that the failed try had taken.
 * Takes no lock; nothing here is shared, so a death in the middle leaves nothing.
 */
#include "shm/segment.h"
#include "shm/txn.h"

#define EXPECT_MIN (256u << 10) /* less than this needs no saying */

void txn_expect(struct txn *t, uint64_t bytes)
{
    if (bytes < EXPECT_MIN || bytes <= t->expected) return;
    t->expected = bytes;
    if (segment_has_room(bytes)) return;
    t->expecting = true;
    txn_fail(t, TXN_NO_MEMORY, bytes);
}

bool txn_wait_room(const struct txn *t, uint32_t ms)
{
    uint64_t had = (int64_t)t->used_delta > 0 ? t->used_delta : 0; /* kept by txn_abort() */
    return (had && segment_wait_room(had + t->fail_bytes, ms)) || segment_wait_room(t->fail_bytes, ms) || t->expecting;
}

bool txn_has_room(uint64_t size)
{
    uint32_t cls = arena_class(size);
    return my_slot->cache[cls].head || arena_refill(cls);
}
