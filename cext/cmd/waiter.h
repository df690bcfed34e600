/* cmd/waiter.h - the record of a command that waits, in the arena. Shared by blocking.c and blocking_owner.c only. Protocol: blocking.h. */
#ifndef SHOAL_CMD_WAITER_H
#define SHOAL_CMD_WAITER_H

#include "cmd/blocking.h"

enum waiter_state { WAITER_WAITS = 1, WAITER_SERVED };

struct waiter {
    shm_off next, prev;    /* list of its slot (slot.waiters); written by the slot's process only */
    uint64_t client_id;
    uint64_t bytes;        /* of this allocation */
    uint32_t slot, db, command, argc, nregs, nhashes;
    uint32_t resp;
    uint32_t state;        /* enum waiter_state; this and the reply under the stripes of all its keys */
    shm_off reply;         /* SERVED: RESP bytes; 0 = none */
    uint64_t reply_bytes;
    /* then: shm_off regs[nregs]; uint64_t hashes[nhashes] of all its keys; uint64_t lengths[argc]; the arguments' bytes */
};

static inline struct waiter *waiter_at(shm_off off) { return shm_ptr(off); }
static inline shm_off *waiter_regs(const struct waiter *w) { return (shm_off *)(uintptr_t)(w + 1); }
static inline uint64_t *waiter_hashes(const struct waiter *w) { return waiter_regs(w) + w->nregs; }
static inline uint64_t *waiter_lengths(const struct waiter *w) { return waiter_hashes(w) + w->nhashes; }
static inline uint8_t *waiter_bytes(const struct waiter *w) { return (uint8_t *)(waiter_lengths(w) + w->argc); }

/* Makes the record and the registrations of `c`, links it to this slot. */
shm_off waiter_make(struct txn *t, const struct cmd *c, uint32_t first, uint32_t n, uint64_t wants);
/* Removes its registrations; it must be waiting and its stripes held. */
void waiter_unregister(struct txn *t, const struct waiter *w);
/* Unlinks it from this slot's list and frees it with its reply. */
void waiter_free(struct txn *t, shm_off off);
void waiter_map(const struct waiter *w, uint64_t map[STRIPE_COUNT / 64]);
/* The transaction in which this process' client began to wait was committed, or rolled back. */
void waiter_begun(bool committed);
/* The client that stands for those of other processes while their commands run here. */
bool waiter_is_proxy(const struct client *c);
/* The proxy's command found nothing again. */
void waiter_waits_on(void);

#endif
