/* net/output.h - what a client's socket has not taken yet, and the limits on it.
 *
 * Replies are built in the worker's one reply buffer and written at once; only what the socket refuses is kept, in chunks, and with
 * appendfsync always what tells of effects that are not durable yet (cmd/dispatch.h, reply_gate): the connection goes on executing, its
 * output waits in order. Limits
 * are those of client-output-buffer-limit for the client's class. Private memory of the worker.
 */
#ifndef SHOAL_NET_OUTPUT_H
#define SHOAL_NET_OUTPUT_H

#include "net/client.h"
#include "resp/reply.h"

/* Sends what is in `r` behind what waits already and empties it; keeps what the socket does not take. Closes the client on an error,
 * and when a limit is passed. */
void output_send(struct client *c, struct reply *r);
/* The socket takes more: sends what waits. */
void output_continue(struct client *c);
/* Appends to what waits, without trying to send; it leaves when `lsn` is durable (0: at once). False: no memory; the client is closed. */
bool output_keep(struct client *c, const void *p, size_t n, uint64_t lsn);
/* Group commit: replies whose LSN has become durable leave. Once a turn. */
void output_gates(void);
/* Before the worker sleeps: false = some of them may leave now. The log writer wakes us for the others. */
bool output_may_sleep(void);
/* Closes the client when it waits with more than its limits permit. */
void output_check_limits(struct client *c);
void output_free(struct client *c);

#endif
