/* net/replica.h - serving this worker's replicas: the file of the cut, then the stream.
 *
 * A replica stays an ordinary connection of the worker that accepted it: CLIENT LIST, CLIENT KILL, output limits and the loop are those of every
 * client, and a worker's death costs its replicas no more than a new connection to another worker, where PSYNC goes on.
 *
 * Full synchronisation: SYNC takes a number (repl->wanted) and a record, and waits. The persistence process takes a cut for all numbers so far, the log
 * writer tells where in the stream that is (repl->anchor), and from there on the stream is kept in the client's output, which does not leave yet
 * (client.output_held). When the file is written its descriptor comes through the handover socket (net/accept.h); it is sent with sendfile(), then
 * the output is let go. A save that failed closes the connection: the replica tries again.
 *
 * Every turn of the loop copies what is new in the stream to the output of each replica; the log writer wakes the worker. A replica that takes too
 * little is closed by client-output-buffer-limit, one that is silent by repl-timeout.
 *
 * Private memory, but the records (shm/backlog.h). Locks: none. Death: the heir sweeps the records.
 */
#ifndef SHOAL_NET_REPLICA_H
#define SHOAL_NET_REPLICA_H

#include "cmd/replica.h"

/* Once a turn of the loop. */
void replicas_turn(void);
/* The socket of a client whose output is held takes more. */
void replica_writable(struct client *c);
/* The file of cut `number` is here; the descriptor becomes ours. */
void replica_file_arrived(int fd, uint64_t number);
/* Something was replied to a replica. False: it must not have it; it is closed. */
bool replica_may_reply(struct client *c);

#endif
