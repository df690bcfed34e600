/* snap/rdb_loader.h - one process's reading of an RDB file, for the files that do it: rdb_file_load.c (the file's bytes and records),
 * rdb_loader_keys.c (keys into the keyspace), rdb_team.c (several processes over one file). Private memory of that process.
 */
#ifndef SHOAL_SNAP_RDB_LOADER_H
#define SHOAL_SNAP_RDB_LOADER_H

#include "base/num.h"
#include "snap/rdb_file.h"
#include "snap/rdb_load.h"

#define RDB_TEAM_MAX 5u   /* processes that load at once */
#define RDB_WAITING_MAX 32u
#define LOADER_NO_MEMORY "no memory for it: make maxmemory or /dev/shm larger"

/* What the processes of one load share, in memory that is theirs alone. Each reads the whole file, but puts in only batches that it has
 * claimed, and passes over the others by their lengths; where batches begin follows from the file, so all see the same. */
struct rdb_team {
    _Atomic uint64_t next; /* first batch that nobody has claimed */
    _Atomic uint32_t stop; /* 1 = somebody has failed: the others need not go on */
    struct rdb_share {
        struct rdb_file_info info;
        int result;        /* 0 = did its part; -1 = failed, and `err` says why */
        bool own;          /* the failure is in what it had claimed, so it knows best what is wrong */
        char err[200];
    } shares[RDB_TEAM_MAX];
};

/* A small string that waits for its turn: its stripe, bucket and entry are fetched together with those of others. Slices point into the
 * window. */
struct rdb_waiting {
    struct slice name, value;
    int64_t number, expire_ms, idle_s;
    int freq;
    bool is_number;
    uint8_t digits[NUM_I64_ROOM]; /* a name that is kept as a number */
};

struct loader {
    struct rdb_in in;
    int fd;
    bool seekable, sums; /* can be read from any place; the CRC is taken */
    uint8_t *buf;
    size_t cap, summed; /* bytes of buf whose CRC is taken already, from its start */
    uint64_t base;      /* file offset of buf[0] */
    uint64_t crc;
    bool eof;
    uint32_t flags;
    struct rdb_file_info *info;
    const char *why;    /* what is wrong, if it is not bytes that are missing or make no sense */
    int read_error;     /* errno of the disk, which counts more */
    /* what has been said of the next key */
    int64_t expire_ms, idle_s;
    int freq;
    uint32_t db;
    uint32_t waiting_count;
    struct rdb_waiting waiting[RDB_WAITING_MAX];
    /* the team's part of it; team NULL: all is ours */
    struct rdb_team *team;
    uint32_t share;
    uint64_t batch, claimed, batch_keys, batch_at;
};

static inline uint64_t loader_offset(const struct loader *l) { return l->base + (uint64_t)(l->in.p - l->buf); }

/* The value after this type byte, and what waits before it. False: l->why, l->in. */
bool loader_key(struct loader *l, unsigned type);
/* Puts in what waits. Called before the window moves and before the database changes. */
bool loader_settle(struct loader *l);
/* One process's part of a load; `result` 0 or -1 with a message, `own` as in struct rdb_share. */
int loader_run(int fd, uint32_t flags, struct rdb_team *team, uint32_t share, struct rdb_file_info *info, bool *own, char *err,
               size_t errlen);

#endif
