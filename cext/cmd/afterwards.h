/* cmd/afterwards.h - the Python commands of a transaction.
 *
 * Python may wait for other processes, which may wait for stripes (BGSAVE, CONFIG SET appendonly), so it never runs under them: these
 * commands run in their order after the commit, and their replies are put where they belong. A client cannot tell, because
 *   - what such a command shows of what the transaction changes is copied at its place (cmd/view.h);
 *   - the numbers that a CONFIG SET changes for C are worked out before the locks are taken and stored at its place, so the commands
 *     behind it go by them and those before it do not; its files, sockets and the rest follow after the commit;
 *   - CONFIG RESETSTAT is done at its place; what stood before it does not count afterwards.
 * Its own run time, if it is slow, stands in the slow log behind the transaction's. BGSAVE and BGREWRITEAOF in a transaction are "scheduled", as in Redis. What CLIENT KILL, PAUSE and UNBLOCK do to others happens after the
 * transaction: a client that the transaction serves is not unblocked by an UNBLOCK in it.
 *
 * Locks: none; afterwards_place() runs under those of EXEC. Death: private memory; settings that were stored in a transaction that did not
 * commit are brought back by the heir, which writes all numbers anew (workers/client.py).
 */
#ifndef SHOAL_CMD_AFTERWARDS_H
#define SHOAL_CMD_AFTERWARDS_H

#include "cmd/view.h"

struct staged { /* a number that a CONFIG SET in the queue will change */
    const struct queued *by;
    enum setting_id id;
    int64_t value, before;
};

struct afterwards {
    struct staged *staged;
    uint32_t staged_count, staged_room, staged_done; /* `done` of them have been stored */
    uint32_t waiting_calls[512];                     /* Python commands passed so far, by row: counted when they run */
};

/* Asks Python what a CONFIG SET will change, the ones before it in the queue included unless it is the `first`: it answers through
 * afterwards_stage(). NULL in C tests. */
extern void (*afterwards_ask)(struct cmd *c, int first);

/* Before the locks are taken. False: no memory. */
bool afterwards_prepare(struct afterwards *a, struct cmd *exec, struct multi *m);
void afterwards_stage(enum setting_id id, int64_t value);
/* Before each try of the transaction: takes back what the last one stored. */
void afterwards_undo(struct afterwards *a);
/* The transaction has come to this command. */
void afterwards_place(struct afterwards *a, struct cmd *exec, struct multi *m, uint32_t at);
/* The transaction is committed and nothing is held. */
void afterwards_run(struct afterwards *a, struct cmd *exec, struct multi *m);
void afterwards_free(struct afterwards *a, struct multi *m);

#endif
