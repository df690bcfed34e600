/* keyspace/keyspace.h - databases of stripes: finding, making, changing and removing keys.
 *
 * A stripe lock i guards stripe i of every database. Functions need the key's stripe held (txn_holds), those that change also an open
 * transaction. A pointer to an entry is good until the transaction changes that key or the stripe's lock is released.
 *
 * Expiry: a key whose time is over does not exist for any function here. Reading leaves it where it is and notes it for removal
 * (expire_later); writing removes it first, inside the same transaction, with its own DEL record.
 */
#ifndef SHOAL_KEYSPACE_KEYSPACE_H
#define SHOAL_KEYSPACE_KEYSPACE_H

#include "base/hash.h"
#include "ds/htable.h"
#include "keyspace/entry.h"

struct stripe {                /* one per stripe and database, a cache line */
    _Alignas(CACHE_LINE) struct htable keys;
    uint64_t expires;          /* keys with an expiry */
    uint32_t due;              /* lower bound of the buckets' due; 0 = no key here expires */
    uint32_t due_next;         /* the same, of the buckets an unfinished expiry walk has passed; 0 = none */
    uint32_t expire_cursor;    /* next bucket the active expiry looks at */
};

struct lazy_item {             /* a value to be freed in the background (keyspace/lazy.h); linked through its process's slot */
    shm_off next;
    shm_off root;
    uint32_t kind;
    uint32_t cursor;           /* LAZY_DB_TABLE: stripe being emptied */
    uint64_t objects;          /* what lazyfreed_objects counts it as: one value, or the keys of a database */
};

struct db_table {
    struct stripe stripes[STRIPE_COUNT];
    struct lazy_item lazy;     /* its place in the queue once it is detached: flushing needs no memory */
};

struct keyspace {              /* header.keyspace points here */
    uint64_t databases;
    shm_off tables[];          /* struct db_table per database, 0 = never used; changed with all stripes held */
};

struct key {                   /* a key as a command names it */
    struct slice name;
    uint64_t hash;
    uint32_t db;
};

static ALWAYS_INLINE uint32_t stripe_of(uint64_t hash) { return (uint32_t)(hash >> 46) & (STRIPE_COUNT - 1); }
static ALWAYS_INLINE uint64_t key_hash(struct slice name) { return hash_bytes(name.p, name.n, seg()->hash_seed); }
static inline struct key key_make(struct slice name, uint32_t db) { return (struct key){name, key_hash(name), db}; }

/* Once, at segment creation. */
void keyspace_format(uint32_t databases);

/* ---- time ---- */
int64_t ks_now_ms(void);       /* wall clock of the current command; constant during a command */
void ks_set_now_ms(int64_t ms);
bool entry_expired(const struct entry *e);

/* ---- access clocks (OBJECT IDLETIME, OBJECT FREQ) ---- */
bool policy_is_lfu(void);                              /* does maxmemory-policy count frequencies instead of idle time? */
uint32_t entry_idle_seconds(const struct entry *e);    /* since the last access; meaningful unless policy_is_lfu() */
uint32_t entry_frequency(const struct entry *e);       /* 0 to 255, decayed as of now; meaningful if policy_is_lfu() */

/* ---- finding ---- */
/* The stripe of a key's database; NULL when that database was never written to. */
struct stripe *ks_stripe(const struct key *k);
extern const struct ht_ops ks_ops;
/* NULL when there is none (or its time is over). */
struct entry *ks_peek(const struct key *k);
void ks_note_if_expired(const struct key *k);                /* it is removed, and logged so, when nothing is held any more */
struct entry *ks_read(const struct key *k);                  /* counts hit or miss, touches the access clock */
struct entry *ks_write(struct txn *t, const struct key *k);  /* removes it first when its time is over; touches the access clock */

/* ---- making and changing (in a transaction, stripe held) ----
 * Each returns the entry where it is now; the old pointer is void. They keep counters, expiry bounds and the old value's memory
 * right, but say nothing to watchers: cmd/ calls ks_modified(). */
enum ks_ttl { TTL_CLEAR, TTL_KEEP };
struct entry *ks_set_bytes(struct txn *t, const struct key *k, struct slice value, enum ks_ttl ttl); /* string; numbers become ENC_INT */
struct entry *ks_set_raw(struct txn *t, const struct key *k, struct slice value, enum ks_ttl ttl);   /* never ENC_INT or ENC_EMBSTR */
struct entry *ks_set_int(struct txn *t, const struct key *k, int64_t value, enum ks_ttl ttl);
/* ks_set_bytes with an expiry (a time, not -1) in one go. */
struct entry *ks_set_bytes_until(struct txn *t, const struct key *k, struct slice value, int64_t expire_ms);
/* A string of n bytes whose bytes the caller stores at once (contents undefined); replaces what was there. ENC_EMBSTR when short. */
struct entry *ks_set_room(struct txn *t, const struct key *k, size_t n, enum ks_ttl ttl, uint8_t **room);
/* Makes the string at e (a string, any encoding) n bytes long and raw, keeping its bytes up to min; new bytes are zero. The caller may
 * then store into *bytes after txn_touch of what it changes. Doubles its room when it grows often (APPEND). */
struct entry *ks_string_resize(struct txn *t, const struct key *k, struct entry *e, size_t n, uint8_t **bytes);
/* A collection under a new key or in place of the old value. */
struct entry *ks_set_object(struct txn *t, const struct key *k, enum obj_type type, enum encoding enc, shm_off root, enum ks_ttl ttl);
/* Another root and encoding for a collection that stays (the entry does not move). */
void ks_set_root(struct txn *t, struct entry *e, enum encoding enc, shm_off root);
/* expire_ms or -1 for none. */
struct entry *ks_set_expire(struct txn *t, const struct key *k, struct entry *e, int64_t expire_ms);

/* Removes the key and frees its value (large values go to the lazy queue). True when it was there. */
bool ks_delete(struct txn *t, const struct key *k);
/* Takes the entry out of `from` and puts its value under `to` (RENAME, MOVE); `to` must not exist. Keeps the expiry. */
struct entry *ks_rename(struct txn *t, const struct key *from, const struct key *to);

/* ---- whole databases (all stripes held) ---- */
uint64_t ks_flush_db(struct txn *t, uint32_t db); /* detaches the table; freed in the background; returns how many keys */
void ks_swap_db(struct txn *t, uint32_t a, uint32_t b);

/* Sizes an empty database's tables for so many keys, so that filling it splits nothing (a load). Takes stripes itself; may leave through
 * txn_fail. */
void ks_reserve(uint32_t db, uint64_t keys);

/* ---- counting and walking ---- */
uint64_t ks_db_size(uint32_t db);     /* takes no lock: sums counters */
uint64_t ks_db_expires(uint32_t db);
uint64_t ks_table_bytes(void);        /* of all databases: buckets and stripes; takes no lock */
/* SCAN over a database: the caller holds no stripe; each call locks one stripe at a time, calls fn with entries that are not
 * expired and returns the next cursor (0 = end). Cursor: bucket cursor and stripe number, unsigned 64 bits. */
uint64_t ks_scan(uint32_t db, uint64_t cursor, void (*fn)(const struct entry *e, void *arg), void *arg);
/* A random key that is not expired (locks a stripe at a time); copies its name into scratch memory. False: none. */
bool ks_random_key(uint32_t db, struct slice *name);

/* ---- expiry ---- */
/* Called inside the transaction that removed a key whose time was over (log a DEL, notify, mark watchers). Set by cmd/. */
extern void (*ks_expired_hook)(struct txn *t, const struct key *k);
/* Removes parts of a value whose time is over (hash fields), at most `max`; also the key, if nothing is left. Set by cmd/. */
extern void (*ks_fields_hook)(struct txn *t, const struct key *k, struct entry *e, uint32_t max);
/* A part of the key's value expires at `ms`: the active expiry comes by. */
void ks_note_due(struct txn *t, const struct key *k, int64_t ms);
/* False while a log is replayed: keys whose time is over are served like others until their DEL comes. */
extern bool ks_expiry_on;
/* CLIENT PAUSE: nothing is removed because its time is over, so that a paused dataset stays as it is. */
static ALWAYS_INLINE bool ks_expire_held(void)
{
    return atomic_load_explicit(&seg()->clients_paused, memory_order_relaxed) != 0;
}
/* True while the current client asked not to touch access clocks (CLIENT NO-TOUCH). */
extern bool ks_no_touch;
/* At most budget_us of active expiry over this process's share of the stripes; each step is a transaction of its own, so the caller
 * holds nothing. Returns keys removed. */
uint32_t ks_expire_cycle(uint32_t share, uint32_t shares, uint32_t budget_us);
/* Keys that reads found expired are noted; the loop calls this after the command, holding nothing. */
void ks_expire_noted(void);

/* Shrinking may carry items that an expiry walk has not seen into a chain that it has passed: the stripe is walked again. */
#define DUE_AT_ONCE 1u

/* Milliseconds -> the unit of bucket.due, rounded down, never 0. */
static ALWAYS_INLINE uint32_t expire_unit(int64_t ms)
{
    int64_t u = (ms - 1600000000000ll) >> 8;
    return u < 1 ? 1 : u > (int64_t)UINT32_MAX ? UINT32_MAX : (uint32_t)u;
}

#endif
