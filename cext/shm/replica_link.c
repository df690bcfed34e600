/* shm/replica_link.c - the words of the link to our primary. What they mean, who stores them, deaths: replica_link.h. */
#include "shm/replica_link.h"

#include "base/clock.h"
#include "shm/backlog.h"
#include "shm/txn.h"

struct replica_link *replica_link(void) { return &repl()->link; }

void link_advance(struct txn *t)
{
    struct replica_link *l = replica_link();
    txn_touch_outside(t, &l->offset, sizeof l->offset + sizeof l->db);
    l->offset = t->link_at;
    l->db = *t->link_db;
}

/* The database first: a SELECT that is executed again changes nothing. */
void link_store(uint64_t offset, uint32_t db)
{
    *(volatile uint64_t *)&replica_link()->db = db;
    store_order();
    *(volatile uint64_t *)&replica_link()->offset = offset;
}

void link_free(void)
{
    struct replica_link *l = replica_link();
    atomic_store(&l->down_since_ms, clock_mono_us() / 1000);
    atomic_store(&l->state, is_replica() ? LINK_CONNECT : LINK_NONE);
    atomic_store(&l->client_id, 0);
}

void link_sweep(uint32_t slot)
{
    struct replica_link *l = replica_link();
    if (!atomic_load(&l->client_id) || atomic_load(&l->slot) != slot) return;
    atomic_fetch_add(&l->number, 1);
    link_free();
}
