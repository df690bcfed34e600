/* keyspace/evict.h - making room when maxmemory is reached, by Redis' policies.
 *
 * As Redis does: a few entries are sampled at random, the best candidates are kept in a small pool over several samples, and the best of
 * the pool is removed. Samples are taken from one stripe after the other under its lock; each removal is a transaction of its own. The
 * pool is private to the process. Death in the middle: the bracket's undo.
 */
#ifndef SHOAL_KEYSPACE_EVICT_H
#define SHOAL_KEYSPACE_EVICT_H

#include "keyspace/keyspace.h"

/* More memory is used than maxmemory permits (and maxmemory is set). */
bool evict_needed(void);
/* Removes keys until it fits, for at most a few milliseconds; the caller holds nothing. False: it does not fit, and the policy finds
 * nothing to remove. */
bool evict_make_room(void);
/* Called inside the transaction that removed a key (log a DEL, notify, mark watchers). Set by cmd/. */
extern void (*evict_hook)(struct txn *t, const struct key *k);

#endif
