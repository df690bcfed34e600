/* snap/rdb_in.h - reading the primitives of the RDB format, checking everything.
 *
 * The bytes are [p, end); when they run out `more` is asked to make at least `need` of them contiguous (it may move them; what was read is
 * gone). NULL: there are no more, as in a DUMP payload or a mapped file; then strings that are not packed are not copied.
 * A read that finds too few bytes or nonsense sets `bad` and returns false; it stays bad.
 * Takes no lock; copies are scratch memory, good until the caller rewinds it.
 */
#ifndef SHOAL_SNAP_RDB_IN_H
#define SHOAL_SNAP_RDB_IN_H

#include "shm/txn.h"
#include "snap/rdb.h"

#define RDB_STRING_MAX (512u << 20) /* bytes of one string, packed or not */

struct rdb_in {
    const uint8_t *p, *end;
    bool (*more)(struct rdb_in *in, size_t need);
    void *ctx;    /* the source's */
    bool bad;
    const char *why; /* what the value's own reader found; NULL = bytes are missing or make no sense */
};

static inline bool rdb_bad(struct rdb_in *in)
{
    in->bad = true;
    return false;
}

/* The same for a value whose inside is wrong. */
static inline bool rdb_refuse(struct rdb_in *in, const char *why)
{
    in->why = why;
    return rdb_bad(in);
}

/* At least n bytes from p on. */
static ALWAYS_INLINE bool rdb_have(struct rdb_in *in, size_t n)
{
    if (likely((size_t)(in->end - in->p) >= n)) return true;
    return in->more && !in->bad && in->more(in, n) && (size_t)(in->end - in->p) >= n ? true : rdb_bad(in);
}

bool rdb_get_byte(struct rdb_in *in, uint8_t *b);
bool rdb_get_u64(struct rdb_in *in, uint64_t *v);     /* little-endian */
bool rdb_get_double(struct rdb_in *in, double *v);    /* binary; a NaN is bad */
bool rdb_get_double_text(struct rdb_in *in, double *v); /* RDB_ZSET */
/* A plain length. */
bool rdb_get_len(struct rdb_in *in, uint64_t *n);
/* A length that counts things which take at least `least` bytes each: one that cannot be true is bad. */
bool rdb_get_count(struct rdb_in *in, size_t least, uint64_t *n);
/* A string in any form. */
bool rdb_get_string(struct rdb_in *in, struct slice *s);
/* A string that must be exactly n bytes; or exactly n bytes without a length. */
bool rdb_get_raw(struct rdb_in *in, size_t n, struct slice *s);

#endif
