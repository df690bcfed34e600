/* net/worker.h - the event loop of a worker: who waits for what.
 *
 * One turn: wait (epoll, level-triggered); accept, read, execute, answer for every ready descriptor; clients with input left over get
 * their next share; messages from other workers; the timer; free what was closed. A client gets TURN_COMMANDS commands or TURN_US
 * microseconds a turn, so that one long pipeline does not keep the others waiting.
 *
 * Private to the process. Death: sockets close, the heir starts with an empty loop and takes what waits in its handover socket.
 */
#ifndef SHOAL_NET_WORKER_H
#define SHOAL_NET_WORKER_H

#include "net/client.h"
#include "resp/reply.h"

#define TURN_COMMANDS 2048u
#define TURN_US 5000

/* ---- for net/ ---- */
extern struct reply worker_reply; /* the reply being built */

bool worker_watch_client(struct client *c); /* a new client's socket; false: the kernel refuses */
void worker_want_write(struct client *c, bool on);
void worker_forget(struct client *c);    /* closes its socket, takes it off every list, gives its place back */
void worker_run_later(struct client *c); /* its input is looked at again in the next turn */
void worker_hold(struct client *c);      /* held back by CLIENT PAUSE: looked at again when that is over */

void worker_nudge(void);                 /* clients that were held back are looked at again */

/* A listening socket in the loop (net/accept.c keeps them). */
bool worker_watch_listener(int fd, uint32_t index);
void worker_unwatch(int fd);

/* ---- for engine.c ---- */
/* Once per process: the loop's own descriptors and buffers. 0, or -1 with errno. */
int worker_init(void);
void worker_set_control(int fd);
void worker_tick_every(uint32_t ms);
/* Until worker_stop(); returns its reason, -1 with errno when it cannot begin. */
int worker_serve(void);
void worker_stop(int reason); /* async-signal-safe */
void worker_close_all(void);

#endif
