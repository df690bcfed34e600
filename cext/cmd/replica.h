/* cmd/replica.h - a connection as a replica: what REPLCONF has said of it, and how far its synchronisation is.
 *
 * Made by the first REPLCONF or by SYNC and PSYNC (cmd/cmd_replication.c), private to the worker that has the connection. From SYNC on net/replica.c
 * drives it. What others may know of it is its struct replica_record (shm/backlog.h).
 */
#ifndef SHOAL_CMD_REPLICA_H
#define SHOAL_CMD_REPLICA_H

#include "cmd/client.h"
#include "shm/backlog.h"

struct replica {
    struct client *client;
    struct replica *next;          /* of this worker's that have asked to synchronise */
    struct replica_record *record; /* NULL before SYNC */
    uint32_t port;                 /* listening-port; 0 = not told */
    char ip[48];                   /* ip-address; "" = that of the connection */
    bool psync2;                   /* capa psync2: takes the id behind +CONTINUE */
    bool acks;                     /* it came by PSYNC, so it acknowledges */
    bool rdb_only;                 /* wants the file, and no stream */
    bool speaks;                   /* replies to what came before SYNC are out: from now on it gets nothing but the stream */
    enum replica_state state;
    uint64_t request;              /* number of its full synchronisation */
    uint64_t anchor;               /* number of the cut that answers it */
    uint64_t begins;               /* position in the stream behind that cut */
    uint64_t at;                   /* position up to which its stream was taken */
    int rdb_fd;                    /* file of the cut, -1 = not here yet */
    uint64_t rdb_bytes, rdb_sent;
    char head[96];                 /* before the file: +FULLRESYNC and the length */
    uint32_t head_n, head_sent;
    int64_t line_ms;               /* monotonic: of the last empty line that tells it to wait */
};

/* c->replica, made when there is none; NULL: no memory. */
struct replica *replica_of(struct client *c);
/* ---- what net/replica.c provides ---- */

/* A full synchronisation begins. False: there are too many replicas. */
bool replica_full(struct replica *r);
/* It goes on behind position `at`, which the caller has found to be in the history, once `reply` is out. False: it has gone meanwhile, or there are
 * too many. */
bool replica_continue(struct replica *r, uint64_t at);
/* REPLCONF ACK. */
void replica_ack(struct replica *r, uint64_t offset);
/* Tells our primary how far we are. */
void primary_ack(struct client *c);
/* The connection ends. */
void replica_client_closed(struct client *c);

#endif
