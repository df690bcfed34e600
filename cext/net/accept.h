/* net/accept.h - new connections, and how they are shared among the workers.
 *
 * All workers listen on the same sockets (EPOLLEXCLUSIVE wakes one or few). Who accepts a connection looks for the worker that has the
 * fewest (slot.clients, ties to itself), reserves the place there by adding one, and hands the descriptor over through that worker's
 * unix datagram socket. Sockets and their queues outlive a worker's death, so a connection on its way waits for the heir.
 *
 * A replica's snapshot file, and the link to our own primary, come through the same socket, from the persistence process.
 *
 * slot.clients counts connections served or on their way. A message names the birth of the worker it was meant for: an heir, whose
 * count starts at 0, adds those that were reserved before it was born.
 */
#ifndef SHOAL_NET_ACCEPT_H
#define SHOAL_NET_ACCEPT_H

#include "shm/slot.h"

enum listener_kind { LISTENER_TCP, LISTENER_UNIX };

struct handover {
    int receive, send; /* both ends of the worker's socket pair; -1 = none */
};
extern struct handover handovers[SLOT_MAX];

void accept_init(void); /* opens the spare descriptor; this worker's count starts */
void accept_add_listener(int fd, enum listener_kind kind);
void accept_remove_listener(int fd);
/* A listener is readable. */
void accept_ready(uint32_t listener);
/* The handover socket is readable. */
void accept_handed_over(void);
/* The timer: listeners that rest for lack of descriptors go on. */
void accept_timer(void);
/* A connection has ended. */
void accept_give_place_back(void);
/* For the persistence process: the file of cut `number` goes to the replicas of a worker. False: its queue is full. */
bool accept_send_file(uint32_t slot, int fd, uint64_t number);
/* For the persistence process: the worker with the fewest connections gets the link to our primary (net/primary.h). False: nobody takes it now. */
bool accept_send_primary(int fd);
/* Connections of all workers. */
uint32_t accept_total(void);

#endif
