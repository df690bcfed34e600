/* shm/layout.h - what lies where in the segment, and how offsets become pointers.
 *
 *   0            struct seg_header          magic, fingerprint, boot id, counters, global words
 *   stripes_off  struct stripe_lock[]       one lock word per stripe, a cache line each
 *   slots_off    struct slot[]              one per process: status word, undo, allocator caches, statistics
 *   slot_areas   per slot: undo area, inbox ring, slow log, log ring
 *   clients_off  struct client_record[]     one per connection (CLIENT LIST reads them)
 *   blobs_off    two copies per shared blob (settings, users ...)
 *   repl_off     struct repl_shared         replicas and their stream; repl_ring_off: its bytes (shm/backlog.h)
 *   pages_off    struct page[]              the page heap's map of the arena
 *   cow_off      uint32_t[]                 per 512-byte block of the arena: its pre-image's number, 0 = none
 *   preimg_off   pre-image pool             512-byte blocks (snap/)
 *   arena_off    arena                      everything a snapshot can see: tables, entries, values
 *
 * The file is as large as the machine's memory and sparse: only what posix_fallocate committed may be touched
 * (header.arena_committed bounds the arena). Offsets, never pointers, are stored. Every process of an instance maps the
 * segment once and keeps its address in shm_base; the addresses may differ.
 */
#ifndef SHOAL_SHM_LAYOUT_H
#define SHOAL_SHM_LAYOUT_H

#include <stdatomic.h>

#include "base/base.h"

typedef uint64_t shm_off; /* byte offset from the segment's base; 0 = none */

#define SHM_MAGIC 0x3130306c616f6853ull /* "Shoal001", little-endian */
#define STRIPE_BITS 10
#define STRIPE_COUNT (1u << STRIPE_BITS)
#define SLOT_MAX 64u             /* slot 0 is the supervisor's (it never locks); workers follow, then helpers */
#define COW_BLOCK 512u           /* bytes of one copy-on-write block */
#define ARENA_CLASSES 144u       /* size classes up to ARENA_CLASS_MAX (shm/arena.h) */
#define PAGE_BINS 96u            /* free runs by length: 1..63 pages exactly, then by powers of two */
#define PAGE_SIZE_ARENA 16384u   /* bytes of one page of the page heap */
#define BLOB_COUNT 8u            /* shared blobs: enum blob_id */
#define BLOB_BYTES (1u << 20)    /* one copy of one shared blob */

enum blob_id {
    BLOB_CONFIG = 0, /* all settings, as Python writes them */
    BLOB_STATE = 1,  /* what the supervisor tells everybody about itself */
    BLOB_USERS = 2,  /* ACL lines of all users (cmd/auth.h) */
};

#define PREIMG_DROP UINT64_MAX

extern char *shm_base; /* this process's mapping, set once by segment_map() */

static ALWAYS_INLINE void *shm_ptr(shm_off off) { return shm_base + off; }
static ALWAYS_INLINE shm_off shm_offset(const void *p) { return (shm_off)((const char *)p - shm_base); }

/* Settings that C reads (settings.def) are an array of these in the header: written by CONFIG SET, read relaxed. */
enum setting_id {
#define SETTING(ident, name, def) SET_##ident,
#include "settings.def"
#undef SETTING
    SETTING_COUNT
};

struct arena_class {   /* what all processes share of one size class (shm/arena.c) */
    _Alignas(CACHE_LINE) _Atomic uint64_t lock; /* lock word: spans of this class and their free lists */
    uint32_t partial;  /* first span with free blocks, page number + 1 */
    uint32_t spans;    /* spans of this class */
};

struct blob_head {            /* a shared byte string that processes reread when the version moves */
    _Atomic uint64_t version; /* even copy = version & 1; bumped after the other copy is whole (release) */
    uint64_t size[2];         /* bytes used in each copy */
    _Atomic uint32_t writer;  /* slot + 1 of the process that writes, 0 = free */
};

#define LOG_DB_NONE UINT64_MAX

enum log_reader { LOG_FOR_FILES = 1, LOG_FOR_REPLICAS = 2 }; /* bits of log_enabled: who wants records */

enum log_state { LOG_OFF, LOG_ON, LOG_STARTING }; /* starting: written, but the manifest does not name the file yet */

struct log_mark {  /* how far the log is written: where the log writer's heir goes on */
    uint64_t lsn;  /* last LSN in the files */
    uint64_t file; /* sequence number of the incr file, 0 = none is open */
    uint64_t bytes; /* its length with that LSN */
    uint64_t db;   /* selected at its end, LOG_DB_NONE = none yet */
};

enum save_cancel {
    SAVE_CANCEL = 1,         /* whatever is being written gives up */
    SAVE_CANCEL_FLUSHED = 2, /* FLUSHALL: an RDB file does; the base of a log does not, its log goes on behind the cut */
};

struct seg_header {
    uint64_t magic;
    uint64_t fingerprint;      /* layout_fingerprint(): struct sizes and constants of the build that made it */
    char boot_id[40];          /* /proc/sys/kernel/random/boot_id of the boot it was made in */
    uint64_t size;             /* bytes of the whole mapping */
    uint64_t hash_seed;        /* random, for the life of the segment */
    uint32_t databases;
    uint32_t workers;
    _Atomic uint64_t generation; /* instances that have served from it */
    _Atomic uint32_t clean;      /* 1 = the last instance stopped cleanly */
    _Atomic uint32_t serving;    /* 1 = loaded, commands are answered */
    char run_id[41];           /* 40 hex digits, INFO run_id; new for every instance */
    uint8_t pad0[7];
    uint64_t created_ms;       /* wall clock at creation of the segment */
    _Atomic uint64_t started_ms; /* wall clock at the start of this instance */

    shm_off stripes_off, slots_off, slot_areas_off, clients_off, blobs_off, repl_off, repl_ring_off, pages_off, cow_off, preimg_off, arena_off;
    uint64_t slot_area_size;   /* bytes per slot: undo + inbox + log ring */
    uint64_t arena_size;       /* bytes, virtual */
    uint64_t preimg_size;      /* bytes, virtual */
    uint32_t clients_max;
    uint32_t pad1;

    _Alignas(CACHE_LINE) _Atomic uint64_t arena_committed; /* bytes of the arena that may be touched; grower writes, all read */
    _Atomic uint32_t grow_wanted; /* 1 = somebody needs more; futex word of the grower */
    _Atomic uint32_t grow_failed; /* 1 = the last posix_fallocate failed (shared memory full) */

    _Alignas(CACHE_LINE) _Atomic uint64_t lsn; /* last LSN given out; written under log_lock */
    _Atomic uint64_t log_lock;                 /* lock word (shm/lock.h) around taking an LSN */
    _Atomic uint32_t log_enabled;              /* enum log_reader; not 0 = records go to the rings; changed only with all stripes held */
    _Atomic uint32_t cow_active;               /* snapshot epoch, 0 = none; changed only with all stripes held */

    /* the log writer's words (log/logwriter.h says how they move together) */
    _Alignas(CACHE_LINE) _Atomic uint64_t durable_lsn; /* what lies at or below is as safe as appendfsync promises; log writer */
    _Atomic uint64_t synced_lsn;                       /* last LSN that is on the disk for sure (WAITAOF); log writer, and persistence process with a base */
    _Atomic uint32_t log_sleeps;                       /* futex word: 1 = the log writer sleeps */
    _Atomic uint64_t log_wake_lsn;                     /* while it sleeps: nobody needs to wake it before this LSN was given out */
    _Atomic uint32_t log_mark_index;                   /* which of the marks counts */
    struct log_mark log_marks[2];                      /* log writer: fills the other one, then flips the index */
    _Atomic uint64_t log_off_lsn;                      /* last record of a log that is off (LOG_OFF); changed only with all stripes held */
    _Atomic uint64_t log_switch_lsn;                   /* records above go to log_next_file; changed only with all stripes held */
    _Atomic uint64_t log_next_file;                    /* 0 = no switch is wanted; the log writer clears it when it has switched */
    _Atomic uint32_t log_state;                        /* enum log_state; persistence process and log writer */
    _Atomic uint32_t log_failed;                       /* errno of the write or fsync after which the file is not trusted; 0 = none */
    _Atomic uint32_t log_rewriting;                    /* 1 = a base is being written, 2 = one is scheduled */
    _Atomic uint32_t log_hold_syncs;                   /* 1 = no fdatasync now (no-appendfsync-on-rewrite) */
    _Atomic uint64_t log_base_bytes;                   /* size of all files after the last rewrite or load (INFO, automatic rewrites) */
    _Atomic uint64_t log_older_bytes;                  /* size of the base and of incr files before the current one */
    _Atomic uint64_t log_batches, log_syncs, log_records; /* since the start of the instance: commits per fsync */

    _Alignas(CACHE_LINE) _Atomic uint64_t preimg_next;      /* pre-images handed out in this snapshot */
    _Atomic uint64_t preimg_committed;                      /* numbers below this have a place; PREIMG_DROP: keep no more */
    _Atomic uint64_t preimg_blocks;                         /* places in the pool: number n lies at n % this */
    _Atomic uint64_t cut_lsn;
    _Atomic uint64_t cow_limit;                             /* arena offset: what lies above was not in use at the cut */

    _Alignas(CACHE_LINE) _Atomic uint64_t page_lock; /* lock word of the page heap */
    uint64_t pages_total;      /* pages the arena could hold */
    uint64_t pages_used;       /* high water: pages below have been handed out at least once */
    uint64_t pages_free;       /* free pages below the high water */
    uint32_t page_bins[PAGE_BINS]; /* first page of each free-run list + 1 (shm/pageheap.c) */
    struct arena_class classes[ARENA_CLASSES];

    _Alignas(CACHE_LINE) _Atomic uint64_t next_client_id;
    _Atomic uint64_t block_sequence;   /* order of arrival of blocked clients */
    _Atomic uint32_t clients_paused;   /* 0 none, 1 writes, 2 all */
    _Atomic uint32_t write_error;      /* why writes are refused (MISCONF): 0 = they are not, 1 = a save failed, 2 = the log cannot be written */
    _Atomic int64_t pause_until_ms;
    _Atomic uint32_t monitors;         /* connections in MONITOR, of all workers */
    _Atomic uint32_t pad3;
    _Atomic uint32_t save_cancel; /* bits: SAVE_CANCEL; 0 when a save begins */
    _Atomic uint32_t loaded;      /* 1 = the dataset is whole: a later instance may take it over */
    uint32_t pad_l;
    _Atomic uint32_t kept_memory; /* 1 = this instance took over the memory of an earlier one */
    _Atomic uint64_t progress_done, progress_total; /* of the running save (keys) or load (bytes) */
    _Atomic uint64_t deaths[8];        /* unexpected deaths by process kind */
    _Atomic uint64_t slow_next;        /* id of the next entry of the slow log (net/slow.h) */
    _Atomic uint64_t latency_next;     /* the same of latency events */
    _Atomic int64_t peak_used;         /* most bytes of the dataset that any worker has seen (CONFIG RESETSTAT: since then) */
    _Atomic uint64_t slow_first;       /* ids below were forgotten by SLOWLOG RESET */
    _Atomic int64_t stopped_until_us;  /* DEBUG SLEEP: monotonic time until which no worker does anything */

    _Alignas(CACHE_LINE) shm_off keyspace; /* struct keyspace (keyspace/keyspace.h), in the arena */
    _Alignas(CACHE_LINE) _Atomic int64_t settings[SETTING_COUNT];
    struct blob_head blobs[BLOB_COUNT];
};

static ALWAYS_INLINE struct seg_header *seg(void) { return (struct seg_header *)shm_base; }

/* Value of a setting that C reads. Relaxed: a stale value is used for at most one command. */
static ALWAYS_INLINE int64_t setting(enum setting_id id)
{
    return atomic_load_explicit(&seg()->settings[id], memory_order_relaxed);
}

/* Do we follow a primary? Then keys whose time is over wait for its DEL. */
static ALWAYS_INLINE bool is_replica(void) { return unlikely(setting(SET_replicaof) != 0); }

#endif
