/* shm/replica_link.h - the one link to the primary that this server follows (REPLICAOF): how far its stream was executed here, and who has it.
 *
 * The persistence process makes the link (server/persist/primary.py): it connects, synchronises, stores what the dataset is now, and hands the
 * connection to a worker, for which it is a client with a role (net/primary.h). `number` counts those hand-overs: a parcel that comes late to an heir
 * names another one, and is closed.
 *
 * Position and database move in the transaction of the command that they stand behind (txn.link_at), so they are undone with it, and no command is
 * executed twice or left out, whoever dies. Commands without a transaction store them afterwards: those may be repeated.
 *
 * Layout: struct replica_link, in struct repl_shared. Writers: the persistence process while nobody has the link (client_id 0), then that worker.
 * Locks: none. Death: of the worker, its heir frees the link; of the persistence process, its heir finds it as it is. Of all, the position is in the
 * segment, and goes with the dataset: who takes that over goes on from there.
 */
#ifndef SHOAL_SHM_REPLICA_LINK_H
#define SHOAL_SHM_REPLICA_LINK_H

#include "shm/slot.h"

#define LINK_ON_ITS_WAY UINT64_MAX

enum link_state { LINK_NONE, LINK_CONNECT, LINK_CONNECTING, LINK_SYNC, LINK_CONNECTED }; /* as ROLE tells them */

struct replica_link {
    _Atomic uint32_t state;       /* enum link_state */
    _Atomic uint32_t slot;        /* of the worker that has it, or is to have it */
    _Atomic uint64_t client_id;   /* its client there; LINK_ON_ITS_WAY; 0 = nobody has it */
    _Atomic uint64_t number;      /* hand-overs so far */
    _Atomic int64_t heard_ms;     /* monotonic: when the primary last said something */
    _Atomic int64_t down_since_ms; /* monotonic: when the link was lost */
    _Atomic uint32_t valid;       /* 1 = the dataset is that of stream `id` up to `offset` */
    uint32_t pad;
    char id[48];                  /* the primary's replication id, 40 hex digits, zero-terminated */
    char target[288];             /* "host port" that it goes to, zero-terminated */
    uint64_t offset;              /* executed so far; changed in transactions, with db */
    uint64_t db;                  /* selected there */
};

struct txn;

struct replica_link *replica_link(void);
/* Before the commit of a command of the primary. May leave through txn_fail. */
void link_advance(struct txn *t);
/* The same for one that had no transaction. */
void link_store(uint64_t offset, uint32_t db);
/* The worker that had it is dead, or gives it up. */
void link_free(void);
void link_sweep(uint32_t slot);
/* Does the stream come, and is the dataset the primary's? */
static inline bool link_is_up(void)
{
    return atomic_load_explicit(&replica_link()->state, memory_order_relaxed) == LINK_CONNECTED;
}

#endif
