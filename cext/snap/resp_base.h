/* snap/resp_base.h - a base of the append-only file as RESP commands (aof-use-rdb-preamble no), written from the running snapshot.
 *
 * Per database SELECT; per key the commands that make it: SET, RPUSH, SADD, ZADD, HSET with at most RESP_BASE_ITEMS elements each, XADD
 * and what a stream's groups need; HPEXPIREAT for fields that expire, PEXPIREAT for the key. Every few MiB and at the end stands a line
 * with the cut's LSN, its time and a checksum (log/logbatch.h), at the start a #TS: line when aof-timestamp-enabled says so. redis-server
 * loads it (fields that expire: 7.4 and later). As in Redis, entries that wait in a stream's group but were deleted from the stream are lost.
 *
 * Reads through snap_read(), holds no lock. Death in the middle leaves an unfinished temporary file.
 */
#ifndef SHOAL_SNAP_RESP_BASE_H
#define SHOAL_SNAP_RESP_BASE_H

#include "snap/mem_reader.h"
#include "snap/rdb_out.h"

#define RESP_BASE_ITEMS 64u /* as AOF_REWRITE_ITEMS_PER_CMD in Redis */

/* Writes the running snapshot to fd, from its current offset (0). 0, or -1 with a message. Progress is in header.progress_*. */
int resp_base_save(int fd, char *err, size_t errlen);

/* ---- its parts; failures are o->failed ---- */

/* The commands that make one key. `e` is a view of the entry. */
void resp_base_key(struct rdb_out *o, struct mem_reader *r, const struct entry *e);
void resp_base_stream(struct rdb_out *o, struct mem_reader *r, struct slice key, shm_off root);

/* A command is an array of so many bulk strings. */
void resp_put_command(struct rdb_out *o, uint64_t words);
void resp_put_bulk(struct rdb_out *o, struct slice s);
void resp_put_word(struct rdb_out *o, const char *word);
void resp_put_number(struct rdb_out *o, int64_t v);
/* n bytes at off, which may be too many to be viewed at once. */
void resp_put_long(struct rdb_out *o, struct mem_reader *r, shm_off off, uint64_t n);

#endif
