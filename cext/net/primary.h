/* net/primary.h - the connection to the primary that we follow, in the worker that has it.
 *
 * The persistence process has done the handshake and brings the connection (net/accept.h); from then on it is a client of this worker, whose
 * input is the primary's stream. Its commands pass the checks that are for clients (a replica refuses those), see keys whose time is over as the
 * primary does (they are there until its DEL), and are logged and replicated like any others; their replies go nowhere. Every second, and when it is
 * asked to (REPLCONF GETACK), the worker tells the primary how far it has come.
 *
 * A silent primary (repl-timeout), an end of the connection, a stream that is no RESP, or REPLICAOF NO ONE end the link; the persistence process then
 * makes another, which goes on at the position in the segment (shm/replica_link.h).
 *
 * Private memory, but the words of the link. Locks: none. Death: the heir frees the link; position and dataset belong together.
 */
#ifndef SHOAL_NET_PRIMARY_H
#define SHOAL_NET_PRIMARY_H

#include "net/client.h"
#include "resp/reply.h"

/* The connection is here: hand-over `number`. False: it is not wanted any more, and closed. */
bool primary_arrived(int fd, uint64_t number);
/* The client is the primary. Around the execution of its input. */
bool primary_begin(struct client *c);
void primary_end(struct client *c, size_t used);
/* It was replied to: that goes nowhere. */
void primary_replied(struct client *c, struct reply *r);
/* Once a turn of the loop. */
void primary_turn(void);
/* The connection ends. */
void primary_client_closed(struct client *c);

#endif
