/* snap/rdb_head.h - what an RDB file says of itself before its first key: when, and at which LSN, its cut was taken.
 *
 * Files of ours say it in two aux fields that other servers pass over; those of others say the second (ctime). Reads the file's first bytes
 * only; private memory, no locks.
 */
#ifndef SHOAL_SNAP_RDB_HEAD_H
#define SHOAL_SNAP_RDB_HEAD_H

#include "base/base.h"

#define RDB_AUX_LSN "shoal-lsn"
#define RDB_AUX_CUT_MS "shoal-cut-ms"

#define RDB_MAGIC_BYTES 9u
/* Is this how an RDB file begins (of whatever version)? */
bool rdb_magic(const uint8_t p[RDB_MAGIC_BYTES], unsigned *version);

struct rdb_head {
    uint64_t lsn;   /* 0 = it does not say */
    int64_t cut_ms; /* wall clock, likewise */
    unsigned version;
};

/* False: the file does not begin as an RDB file does. Its offset stays. */
bool rdb_head_read(int fd, struct rdb_head *out);

#endif
