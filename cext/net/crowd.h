/* net/crowd.h - the memory of all connections together, and who has to go when it passes maxmemory-clients.
 *
 * Each worker adds up what its clients hold (input, arguments, queues of MULTI, output) in slot.client_memory, and what each holds in its
 * record. Whoever makes the sum of all workers pass the limit closes the largest, of whichever worker; those with CLIENT NO-EVICT,
 * replicas and monitors stay. A client that is being closed does not count any more.
 *
 * Locks: none; the sums are approximate while several workers change them. Death: the heir's sum starts at 0, its records are swept.
 */
#ifndef SHOAL_NET_CROWD_H
#define SHOAL_NET_CROWD_H

#include "net/client.h"

/* What the client holds has changed: counts it anew, and closes the largest when there is too much. It may be this one (close_asap). */
void crowd_account(struct client *c);
/* It is freed. */
void crowd_forget(struct client *c);
/* Is there too much (the limit may have come down)? Called by the timer. */
void crowd_check(void);

#endif
