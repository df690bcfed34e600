/* snap/replay.h - loading an AOF: the file is judged first (log/logscan.h), then its good part is executed.
 *
 * Commands run through the dispatcher as those of a client without a socket, with c->replaying and expiry off: nothing is logged, nothing
 * expires, replies go nowhere. MULTI and EXEC themselves are passed over: the check has made sure that every MULTI is whole, and nobody
 * else is served while loading. An RDB preamble is read by snap/rdb_file.h.
 *
 * Needs a slot (the persistence process's), takes stripes command by command. Death: the keyspace holds a part of the file and header.serving
 * is 0, so nobody ever serves it.
 */
#ifndef SHOAL_SNAP_REPLAY_H
#define SHOAL_SNAP_REPLAY_H

#include "log/logscan.h"

struct client;

enum replay_result {
    REPLAY_DONE,
    REPLAY_TORN,  /* executed up to `good`; the end was missing (allow_torn) */
    REPLAY_FAILED /* nothing was executed, or a command is not known: err says what and where */
};

struct replay_report {
    uint64_t bytes, good; /* of the file; executed or fine */
    uint64_t commands, keys; /* executed; read from an RDB preamble */
    uint64_t lsn;         /* of the last batch line, 0 = none */
    bool preamble;
};

/* cl: a client without a socket, database 0. `path` is for the words only. allow_torn: aof-load-truncated, and it is the last file. */
enum replay_result replay_file(struct client *cl, int fd, const char *path, bool allow_torn, struct replay_report *out, char *err, size_t errlen);

#endif
