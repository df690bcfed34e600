/* keyspace/internal.h - what the files of keyspace/ share among themselves (and eviction). Not for other layers. */
#ifndef SHOAL_KEYSPACE_INTERNAL_H
#define SHOAL_KEYSPACE_INTERNAL_H

#include "keyspace/keyspace.h"

#define LFU_INIT 5u /* counter of a new key */

/* Where the key is in its stripe, expired or not. */
struct ht_place ks_place(const struct stripe *s, const struct key *k);
/* The stripe, its database made if it was never used. */
struct stripe *ks_stripe_make(const struct key *k);
/* Makes a database's table, holding any stripe. */
void ks_table_make(uint32_t db);
/* A walk has met an entry whose time is over: it is removed when nothing is held any more. */
void ks_note_expired_entry(const struct entry *e, uint32_t db);
/* Deletes a key whose time is over, with statistics and the hook. */
void ks_remove_expired(struct txn *t, const struct key *k);
/* A pseudo-random number of this process. */
uint64_t ks_random(void);

uint32_t lru_clock(void);
uint32_t lfu_decayed(uint32_t access); /* the counter as of now */
uint32_t access_clock_new(void);
/* An access: sets the entry's clock. */
void ks_touch(struct entry *e);

/* When the first part of the value expires, 0 = none does (objtype.due). */
int64_t entry_due(const struct entry *e);

/* Takes `ms` into the bounds of the stripe and of the bucket chain `head` that holds the key. */
void due_note(struct txn *t, struct stripe *s, struct bucket *head, int64_t ms);

#endif
