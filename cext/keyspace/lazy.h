/* keyspace/lazy.h - values whose freeing is too long for a command: each process's queue of them in its slot.
 *
 * Pushed inside the transaction that detached the value (so a rollback takes it out again); drained by the same process between
 * commands, a bounded number of items per transaction. The heir of a dead process finds the queue in the slot.
 */
#ifndef SHOAL_KEYSPACE_LAZY_H
#define SHOAL_KEYSPACE_LAZY_H

#include "keyspace/entry.h"

#define LAZY_DB_TABLE 15u /* kind of a whole detached database (struct db_table); other kinds are type << 4 | encoding */
#define LAZY_EFFORT 64u   /* values of more items than this are freed in the background */

/* `objects`: what it counts as. */
void lazy_push(struct txn *t, uint32_t kind, shm_off root, uint64_t objects);
/* Frees up to `items` items in one transaction; false when the queue is empty. Caller holds nothing. */
bool lazy_step(uint64_t items);
/* Values and keys waiting in the queues of all processes (lazyfree_pending_objects). */
uint64_t lazy_pending(void);
/* Frees a value now, or queues it when it is large. */
void value_free(struct txn *t, enum obj_type type, enum encoding enc, shm_off root);

#endif
