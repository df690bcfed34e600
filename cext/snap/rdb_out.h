/* snap/rdb_out.h - writing the primitives of the RDB format into a buffer that a sink empties or enlarges.
 *
 * `room` is the sink: called when fewer than `need` bytes are free (need is at most RDB_ROOM_MAX); a file writer empties the buffer
 * (sets len to 0), a collector makes it larger. When it returns false the writer is `failed`: everything after is dropped, and the caller
 * asks rdb_failed() once at the end.
 * Takes no lock; temporary memory is scratch memory.
 */
#ifndef SHOAL_SNAP_RDB_OUT_H
#define SHOAL_SNAP_RDB_OUT_H

#include "shm/txn.h"
#include "snap/rdb.h"

#define RDB_ROOM_MAX (64u << 10)
#define RDB_COMPRESS_MIN 21u            /* shorter strings are never packed */
#define RDB_COMPRESS_MAX (16u << 20)    /* longer ones neither: they are written piece by piece */

struct rdb_out {
    uint8_t *buf;
    size_t len, cap;
    bool (*room)(struct rdb_out *o, size_t need);
    void *ctx;      /* the sink's */
    bool compress;  /* LZF for strings (rdbcompression) */
    bool failed;
};

static inline bool rdb_failed(const struct rdb_out *o) { return o->failed; }

/* Any number of bytes. */
void rdb_put_raw(struct rdb_out *o, const void *p, size_t n);
void rdb_put_byte(struct rdb_out *o, uint8_t b);
void rdb_put_len(struct rdb_out *o, uint64_t n);
void rdb_put_u64(struct rdb_out *o, uint64_t v);   /* little-endian: times in milliseconds */
void rdb_put_double(struct rdb_out *o, double v);  /* binary: RDB_ZSET_2 */
/* A string in its shortest form: number, packed, plain. */
void rdb_put_string(struct rdb_out *o, const void *p, size_t n);
/* The decimal digits of v as a string. */
void rdb_put_int_string(struct rdb_out *o, int64_t v);
/* Bytes that are no number for sure (listpacks, intsets, ids): packed or plain. */
void rdb_put_blob(struct rdb_out *o, const void *p, size_t n);

/* A sink that collects everything (at most 512 MiB) in a buffer of the process: good until the next rdb_out_collect(). */
void rdb_out_collect(struct rdb_out *o);

#endif
