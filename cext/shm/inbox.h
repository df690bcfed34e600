/* shm/inbox.h - messages from one process to another: each slot's inbox ring.
 *
 * Any process may send; senders take turns under slot.inbox_lock. The owner receives in its loop. A message is struct inbox_message and
 * its bytes, padded to 8; it never wraps (a message of kind INBOX_PAD fills the end).
 *
 * Waking: before it sleeps the owner sets ring.consumer_sleeps and looks again; a sender that finds it set after publishing writes the
 * owner's eventfd. Both sides pass a full fence between their store and their load, so one of them always sees the other.
 *
 * Full ring: the sender waits up to INBOX_WAIT_MS, then fails; nothing is ever dropped silently.
 * Death: of a sender, before ring.head moved nothing happened; its heir frees the lock. Of the receiver: the heir finds the messages;
 * those for clients that are gone are for nobody.
 */
#ifndef SHOAL_SHM_INBOX_H
#define SHOAL_SHM_INBOX_H

#include "shm/slot.h"

#define INBOX_WAIT_MS 50

enum inbox_kind {
    INBOX_PAD = 1,
    INBOX_NUDGE,       /* nothing: look at the shared words (pause, stop) */
    INBOX_KILL,        /* uint64_t client id: close the connection */
    INBOX_UNBLOCK,     /* a key is ready for a blocked client (cmd/blocking) */
    INBOX_PUBLISH,     /* a published message (pub/sub) */
    INBOX_PUSH,        /* uint64_t client id, then RESP bytes for its output */
    INBOX_PYTHON,      /* bytes for py_control() */
    INBOX_MONITOR,     /* a line for this worker's monitors */
};

struct inbox_message {
    uint32_t size;  /* in the ring, this head and padding included */
    uint16_t kind;  /* enum inbox_kind */
    uint16_t from;  /* sender's slot */
    uint32_t bytes; /* of the payload, which follows */
    uint32_t pad;
};

/* The eventfds of all slots, made before the fork; -1 = none. */
extern int inbox_eventfd[SLOT_MAX];

/* Sends to a slot; false: its ring stays full, the message is larger than a quarter of a ring, or nobody is there. The caller may hold
 * stripes: the wait is short and bounded. */
bool inbox_send(uint32_t slot, enum inbox_kind kind, const void *p, uint32_t n);
/* The same to every worker that serves, but this one. */
void inbox_send_all(enum inbox_kind kind, const void *p, uint32_t n);

/* Hands every waiting message to `fn`; returns how many. The bytes are good until `fn` returns. */
uint32_t inbox_receive(void (*fn)(const struct inbox_message *m, const void *p));

/* Before the owner sleeps: true = nothing is waiting, sleep; then inbox_awake(). */
bool inbox_may_sleep(void);
void inbox_awake(void);

#endif
