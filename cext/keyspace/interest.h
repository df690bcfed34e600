/* keyspace/interest.h - keys that connections watch or wait for, across all workers.
 *
 * stripe_lock.interest heads a list of struct interest_key, one per key and database that somebody is interested in; below it hang the
 * registrations, oldest first. Both lie in the arena; the key need not exist. They belong to the database's number, not to its table, so
 * FLUSHDB and SWAPDB leave them where they are.
 *
 * Writer: whoever holds the stripe, in a transaction. A writer of a key marks its watchers in the transaction of the write
 * (interest_modified), so a rolled back write marks nobody. The owner of a registration looks at its mark at EXEC, under the stripe's lock.
 *
 * Death: the registrations of a dead worker's clients stay until its heir calls interest_sweep(); until then they are marked in vain.
 * Not for: who the client is and what it does when it is woken (cmd/, net/).
 */
#ifndef SHOAL_KEYSPACE_INTEREST_H
#define SHOAL_KEYSPACE_INTEREST_H

#include "keyspace/keyspace.h"

enum interest_kind {
    INTEREST_WATCH = 1, /* WATCH: is marked when the key changes */
    INTEREST_BLOCKED,   /* waits in line for the key to hold something */
    INTEREST_TRACKING,  /* wants to be told that the key changed, once */
};

#define INTEREST_CHANGED 1u /* the key changed since the registration */
#define INTEREST_EXPIRED 2u /* WATCH: the key's time was over already, so that it goes away is no change */

struct registration {
    shm_off next, prev;  /* of the same key, oldest first */
    shm_off key;         /* struct interest_key */
    uint64_t client_id;
    uint64_t order;      /* BLOCKED: place in line over all keys, from header.block_sequence; else 0 */
    uint32_t slot;       /* of the worker that serves the client */
    uint16_t kind;       /* enum interest_kind */
    uint16_t marks;      /* INTEREST_CHANGED, INTEREST_EXPIRED */
    uint64_t wants;      /* BLOCKED: bit per enum obj_type that would wake it */
    shm_off waiter;      /* BLOCKED: the command that waits (cmd/waiter.h) */
};

struct interest_key {
    shm_off next;        /* of the same stripe */
    shm_off first, last; /* registrations; never none */
    uint64_t hash;
    uint32_t db;
    uint32_t len;        /* bytes of the name, which follow */
    uint8_t name[];
};

/* Who registers for what. */
struct interest_who {
    uint64_t client_id;
    uint32_t slot;
    enum interest_kind kind;
    uint64_t order, wants;
    shm_off waiter;
};

static ALWAYS_INLINE const struct registration *interest_at(shm_off reg) { return shm_ptr(reg); }

/* ---- one key: its stripe is held, and a transaction open where something changes ---- */

/* Registers behind all others of the key; returns the registration, good until interest_remove(). */
shm_off interest_add(struct txn *t, const struct key *k, const struct interest_who *who);
/* WATCH: notes whether the key's time is over already. */
shm_off interest_watch(struct txn *t, const struct key *k, uint32_t slot, uint64_t client_id);
void interest_remove(struct txn *t, shm_off reg);
/* WATCH: has the key changed since, or has its time come since? */
bool interest_changed(shm_off reg, const struct key *k);
/* The key's oldest registration of one kind; 0 = none. interest_next() is the one behind it. */
shm_off interest_first(const struct key *k, enum interest_kind kind);
shm_off interest_next(shm_off reg, enum interest_kind kind);

void interest_mark_modified(struct txn *t, const struct key *k) NOINLINE;
void interest_mark_expired(struct txn *t, const struct key *k) NOINLINE;

static ALWAYS_INLINE bool interest_any(const struct key *k) { return stripe_lock_at(stripe_of(k->hash))->interest != 0; }

/* The key changed: its watchers fail. After the change. */
static ALWAYS_INLINE void interest_modified(struct txn *t, const struct key *k)
{
    if (unlikely(interest_any(k))) interest_mark_modified(t, k);
}

/* The key was removed because its time was over: no change for those who watched it when it was over already. */
static ALWAYS_INLINE void interest_expired(struct txn *t, const struct key *k)
{
    if (unlikely(interest_any(k))) interest_mark_expired(t, k);
}

/* ---- whole databases: all stripes held, before the change ---- */
#define INTEREST_EMPTIED UINT32_MAX
/* Database `db` becomes what `source` is now (SWAPDB: call it for both), or empty (INTEREST_EMPTIED). Watchers of keys that exist in either
 * fail, with Redis' exceptions for keys whose time is over. */
void interest_replace_db(struct txn *t, uint32_t db, uint32_t source);

/* ---- upkeep: takes stripes itself, one after the other; nothing may be held ---- */
/* Removes what clients of a slot's dead process left. Returns how many registrations. */
uint64_t interest_sweep(uint32_t slot);
/* Keys, in all databases, with a registration of that kind that wants any of `wants`. */
uint64_t interest_count(enum interest_kind kind, uint64_t wants);

#endif
