/* shm/backlog.h - the stream of commands that replicas follow, and who follows it.
 *
 * The log writer makes the stream (log/replfeed.h): the records of all rings in LSN order, as RESP, into one ring of bytes in the segment. A worker
 * copies what its replicas have not got yet into their output. Positions count bytes since the stream began; Redis' offset of a byte is
 * its position + 1, and an offset that says "up to here" (master_repl_offset, REPLCONF ACK) is a position.
 *
 *   repl_off        struct repl_shared, with a struct replica_record for each replica
 *   repl_ring_off   the ring: position % capacity. Virtually BACKLOG_MOST bytes; memory for `capacity` of them, from the first replica on
 *
 * [first, end) may be read; of it the last repl-backlog-size bytes are offered to a replica that comes back (PSYNC). The log writer moves
 * `first` before it overwrites, and `end` after it has written; a reader looks at `first` again after it has copied. It waits for a slow
 * worker when there is no room, but not for ever (replfeed.h): whoever is overrun sees it, and his replica has to synchronise anew.
 *
 * Writers: log writer (marks, anchor, first, capacity), persistence process (generation, cut, done, failed; replication id), under all
 * stripes where said; each replica's worker its record. Locks: none of its own.
 * Death: of the log writer, its heir goes on from the mark, to the byte. Of a worker, its heir frees the records of the slot; the replicas
 * come back through another worker and go on where they were. Of the persistence process: full synchronisations that run fail, and begin anew.
 * Of all of them: the segment keeps id, marks and bytes, so replicas go on as after a worker's death.
 */
#ifndef SHOAL_SHM_BACKLOG_H
#define SHOAL_SHM_BACKLOG_H

#include "shm/replica_link.h"

#define REPLICA_MAX 64u
#define BACKLOG_LEAST (4ull << 20) /* bytes of memory that the ring has at least, whatever repl-backlog-size says */
#define BACKLOG_MOST (1ull << 30)
#define REPLID_LEN 40u

/* The order is that of a full synchronisation. */
enum replica_state {
    REPLICA_NONE,
    REPLICA_WAITS,  /* for the cut */
    REPLICA_SAVES,  /* the file of the cut is being written; the stream behind the cut is kept for it */
    REPLICA_SENDS,  /* the file is on its way */
    REPLICA_ONLINE, /* it has what came before, and gets the stream */
};

struct repl_mark {       /* how far the stream is made */
    uint64_t lsn;        /* of the last record that is whole in it */
    uint64_t end;        /* position behind its last byte */
    uint64_t db;         /* selected there, LOG_DB_NONE = a SELECT has to come first */
    uint64_t partial;    /* bytes of the next record that lie before `end` already */
    uint64_t generation; /* of the stream it belongs to */
};

struct replica_record {
    _Alignas(CACHE_LINE) _Atomic uint64_t client_id; /* 0 = free; claimed by compare-and-swap, the rest is the worker's */
    _Atomic uint32_t slot;    /* of that worker */
    _Atomic uint32_t state;   /* enum replica_state */
    _Atomic uint64_t request; /* number of the full synchronisation that it has asked for, 0 = none */
    _Atomic uint64_t at;      /* position up to which its worker has the stream */
    _Atomic uint64_t ack;     /* position that it has acknowledged */
    _Atomic int64_t ack_ms;   /* monotonic: when */
    _Atomic uint32_t port;    /* where it listens itself; 0 = it did not say */
    _Atomic uint32_t pad;
    char ip[48];              /* zero-terminated; written before `state` leaves REPLICA_NONE */
};

struct repl_shared {
    _Atomic uint32_t id_sequence; /* odd while the id changes; persistence process, all stripes held */
    uint32_t pad;
    char id[REPLID_LEN + 8];      /* hex digits, zero-terminated */
    _Atomic uint64_t generation;  /* streams begun; the stream is on when log_enabled has LOG_FOR_REPLICAS. Changed with all stripes held */
    _Atomic uint64_t begin_lsn;   /* the current one holds what comes behind this LSN */
    _Atomic uint64_t wanted;      /* full synchronisations asked for: numbers of requests; workers */
    _Atomic uint64_t cut;         /* requests up to this number have their cut; stored with all stripes held, behind cut_lsn */
    _Atomic uint64_t cut_lsn;
    _Atomic uint64_t anchor;      /* the same number once the cut's place in the stream is known; log writer, behind anchor_at */
    _Atomic uint64_t anchor_at;
    _Atomic uint64_t done;        /* requests up to this number are answered, well or badly */
    _Atomic uint64_t failed;      /* the last number of a cut that came to nothing */
    _Atomic uint64_t ack_lsn;     /* WAIT: replicas are asked to acknowledge once this LSN is in the stream; only grows */
    _Atomic uint64_t ack_asked;   /* how often that was asked for */
    _Atomic uint64_t ack_slots;   /* bit per slot: somebody there waits for acknowledgements */
    _Alignas(CACHE_LINE) _Atomic uint64_t first, capacity;
    _Atomic uint32_t mark_index;  /* which of the marks counts */
    uint32_t pad2;
    struct repl_mark marks[2];    /* the one not in use is filled, then the index flips */
    struct replica_link link;     /* to the primary that we follow ourselves */
    struct replica_record replicas[REPLICA_MAX];
};

static ALWAYS_INLINE struct repl_shared *repl(void) { return (struct repl_shared *)shm_ptr(seg()->repl_off); }
static ALWAYS_INLINE bool repl_on(void)
{
    return atomic_load_explicit(&seg()->log_enabled, memory_order_acquire) & LOG_FOR_REPLICAS;
}

/* The current mark, consistent. */
struct repl_mark repl_mark(void);
/* Replication id as a text. */
void repl_id(char out[REPLID_LEN + 1]);
/* Another id: nobody goes on with the stream that was. All stripes held, or nobody else there. */
void repl_id_renew(void);

/* Oldest position that a replica that comes back may ask for. */
uint64_t repl_history_first(void);
/* Copies up to n bytes from position `at` on; how many, or -1: they are not there any more. */
int64_t backlog_read(uint64_t at, void *dst, size_t n);
/* Bytes ready behind `at`. */
static ALWAYS_INLINE uint64_t backlog_behind(uint64_t at)
{
    uint64_t end = repl_mark().end;
    return end > at ? end - at : 0;
}

/* ---- records ---- */

/* A free record for a client of this process, at position `at`; NULL: there are too many replicas. */
struct replica_record *replica_claim(uint64_t client_id, uint64_t at);
void replica_release(struct replica_record *r);
/* Frees those of a slot whose process is dead. */
void replicas_sweep(uint32_t slot);
/* Replicas that are online and have acknowledged position `ack`; max_lag_ms >= 0: and something within that time. */
uint32_t replicas_good(uint64_t ack, int64_t max_lag_ms);
/* All records in use. */
uint32_t replicas_count(void);

#endif
