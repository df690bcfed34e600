/* net/client.h - making and ending clients. What a client is: cmd/client.h.
 *
 * Everything here runs in the serving thread of the worker that owns the client. Clients are freed only at the end of a turn
 * (clients_free_closing), so a pointer stays good during a turn.
 */
#ifndef SHOAL_NET_CLIENT_H
#define SHOAL_NET_CLIENT_H

#include "cmd/client.h"
#include "shm/layout.h"

/* A client for a connected socket; takes a record. NULL: no record is free, or no memory (fd is left open). */
struct client *client_create(int fd, bool unix_socket);
/* A client without a socket, with a private record; freed with client_destroy(). */
struct client *client_create_internal(void);
void client_destroy(struct client *c);
/* Frees those that were closed in this turn. */
void clients_free_closing(void);

/* All clients of this worker, newest first. */
extern struct client *clients_first;
extern uint32_t clients_count;

/* Brings the numbers of the record up to date (buffers, traffic, last activity). */
void client_publish(struct client *c);
/* Frees the records that name slot `slot` (its process is dead). */
void client_records_sweep(uint32_t slot);

static ALWAYS_INLINE struct client_record *client_record_at(uint32_t i)
{
    return (struct client_record *)shm_ptr(seg()->clients_off) + i;
}

#endif
