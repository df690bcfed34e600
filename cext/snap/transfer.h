/* snap/transfer.h - keys on their way to another server (MIGRATE): their payloads as of one moment, and their removal once they have arrived.
 *
 * transfer_begin() takes the payloads of all keys under all their stripes and watches the keys, in one transaction. The dialogue with the
 * other server then takes as long as it takes, holding nothing: other clients go on reading and writing the keys. transfer_end() removes, in
 * one transaction, those keys that have arrived and that nobody has changed since; a changed one stays and is reported, to be sent again.
 * So a key is never lost and no change is dropped unseen.
 *
 * Shared: the registrations of the watches (keyspace/interest.h). Payloads are private memory. Locks: the stripes of the keys, inside each of
 * the two calls. Death in between: the keys stay here (they may be on both servers, as after an I/O error); the heir sweeps the watches.
 * Not for: the network (server/commands/migrate.py).
 */
#ifndef SHOAL_SNAP_TRANSFER_H
#define SHOAL_SNAP_TRANSFER_H

#include "keyspace/keyspace.h"

enum transfer_state {
    TRANSFER_NONE,      /* there is no such key */
    TRANSFER_READY,     /* its payload is here */
    TRANSFER_TOO_LARGE, /* larger than a payload may be: it stays where it is */
    TRANSFER_ARRIVED,   /* said by the caller: the other server has it */
    TRANSFER_REMOVED,   /* gone here */
    TRANSFER_CHANGED,   /* has arrived, but was changed here meanwhile: it stays */
};

struct transfer_key {
    struct key key;
    enum transfer_state state;
    enum transfer_state outcome; /* of a transaction that may still be rolled back */
    shm_off watch;        /* registration; 0 = none */
    uint8_t *payload;     /* as DUMP gives it, malloc'ed */
    size_t payload_bytes;
    int64_t expire_ms;    /* unix time; 0 = none */
};

struct transfer {
    uint32_t count;
    struct transfer_key keys[]; /* their names lie behind */
};

/* Names must differ from each other. watch: the keys are to be removed in the end. NULL: no memory. */
struct transfer *transfer_begin(uint32_t db, uint32_t n, const struct slice *names, bool watch);
/* Removes those that are TRANSFER_ARRIVED; their states say what became of them. False: no memory for that, nothing was removed. The watches
 * are given up in any case. */
bool transfer_end(struct transfer *x);
void transfer_free(struct transfer *x);

#endif
