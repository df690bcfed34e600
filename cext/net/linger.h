/* net/linger.h - waiting a moment before sleeping, so that a wake-up finds more than one client ready.
 *
 * A wake-up (a switch of tasks, an epoll_wait) costs as much as several requests, and with several workers each is woken for one client at a
 * time. So a worker that has nothing to do but whose clients are busy does not ask epoll at once: it sleeps for as long as LINGER_CLIENTS of
 * them need to become ready at the present rate, at most gather-us microseconds, and takes them all then. As network cards do with
 * their interrupts.
 *
 * When: only where the loop would sleep anyhow; only when at least LINGER_BUSY_CLIENTS different clients were served in the last window (a
 * millisecond) at a rate that makes the wait worth it; not when the last wake-up brought enough; not with appendfsync always, where
 * replies wait for the disk. Few clients never wait for others. Clients that send their next request only when they have the answer to
 * the last, and from far away, may get fewer answers: so it is tried against doing without every two seconds, and given up for so long
 * where it costs more than a few turns.
 *
 * Private to the process; nothing shared but the counter. Death: nothing to mend.
 */
#ifndef SHOAL_NET_LINGER_H
#define SHOAL_NET_LINGER_H

#include "cmd/client.h"

#define LINGER_CLIENTS 8u      /* that a wake-up should bring */
#define LINGER_BUSY_CLIENTS 8u /* different ones served in a window: fewer never wait */

struct linger_window {
    uint32_t number;         /* client.linger_window: counted in this window already */
    uint32_t turns, clients; /* inputs read; of how many clients */
};
extern struct linger_window linger_window;

/* Once per process. */
void linger_init(void);

/* A client's input was read. */
static ALWAYS_INLINE void linger_count(struct client *c)
{
    linger_window.turns++;
    if (c->linger_window == linger_window.number) return;
    c->linger_window = linger_window.number;
    linger_window.clients++;
}

/* The loop is about to sleep; its last wake-up brought so many events. */
void linger(uint32_t events);

#endif
