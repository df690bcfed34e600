/* keyspace/db.c - databases as wholes: making, counting, walking, flushing, swapping.
 *
 * A database's table is made at its first write by a system operation (it stays although the write may be rolled back); flushing
 * detaches the whole table, which lazy.c then frees. Death: nothing beyond what system operation and transaction undo.
 */
#include <stdio.h>

#include "keyspace/internal.h"
#include "keyspace/lazy.h"
#include "shm/pageheap.h"
#include "shm/sysop.h"

static struct keyspace *keyspace(void) { return shm_ptr(seg()->keyspace); }

static struct db_table *db_table(uint32_t db)
{
    shm_off off = keyspace()->tables[db];
    return off ? shm_ptr(off) : NULL;
}

void keyspace_format(uint32_t databases)
{
    uint64_t bytes = sizeof(struct keyspace) + databases * sizeof(shm_off);
    shm_off off = arena_large_take(MAX(bytes, (uint64_t)ARENA_CLASS_MAX + 1));
    ENSURE(off != 0);
    cow_touch(off, bytes);
    memset(shm_ptr(off), 0, bytes);
    ((struct keyspace *)shm_ptr(off))->databases = databases;
    seg()->keyspace = off;
    guard_close();
}

void ks_table_make(uint32_t db)
{
    page_heap_lock();
    if (!keyspace()->tables[db]) {
        uint32_t pages = (uint32_t)((sizeof(struct db_table) + PAGE_SIZE_ARENA - 1) / PAGE_SIZE_ARENA);
        uint32_t first = page_run_alloc_locked(pages, PAGE_LARGE);
        if (first == PAGE_NONE) {
            sysop_end();
            page_heap_unlock();
            txn_fail(&my_txn, TXN_NO_MEMORY, sizeof(struct db_table));
        }
        cow_touch(page_offset(first), sizeof(struct db_table));
        memset(shm_ptr(page_offset(first)), 0, sizeof(struct db_table));
        sysop_set_arena(shm_offset(&keyspace()->tables[db]), page_offset(first));
        my_slot->used_bytes += (int64_t)arena_usable(sizeof(struct db_table));
    }
    sysop_end();
    page_heap_unlock();
}

uint64_t ks_flush_db(struct txn *t, uint32_t db)
{
    uint64_t n = ks_db_size(db);
    if (!db_table(db)) return 0;
    lazy_push(t, LAZY_DB_TABLE, keyspace()->tables[db], n);
    TXN_SET(t, keyspace()->tables[db], 0);
    return n;
}

void ks_swap_db(struct txn *t, uint32_t a, uint32_t b)
{
    shm_off was = keyspace()->tables[a];
    TXN_SET(t, keyspace()->tables[a], keyspace()->tables[b]);
    TXN_SET(t, keyspace()->tables[b], was);
}

void ks_reserve(uint32_t db, uint64_t keys)
{
    struct txn *t = &my_txn;
    for (uint32_t i = 0; i < STRIPE_COUNT; i++) {
        struct key k = {.hash = (uint64_t)i << 46, .db = db}; /* stands for its stripe */
        txn_begin(t);
        txn_lock_stripe(t, i);
        struct stripe *s = ks_stripe_make(&k);
        if (!s->keys.buckets) ht_reserve(t, &s->keys, keys / STRIPE_COUNT + 1);
        txn_commit(t);
    }
}

uint64_t ks_db_size(uint32_t db)
{
    const struct db_table *d = db_table(db);
    uint64_t n = 0;
    for (uint32_t i = 0; d && i < STRIPE_COUNT; i++) n += *(const volatile uint64_t *)&d->stripes[i].keys.count;
    return n;
}

uint64_t ks_db_expires(uint32_t db)
{
    const struct db_table *d = db_table(db);
    uint64_t n = 0;
    for (uint32_t i = 0; d && i < STRIPE_COUNT; i++) n += *(const volatile uint64_t *)&d->stripes[i].expires;
    return n;
}

uint64_t ks_table_bytes(void)
{
    uint64_t n = 0;
    for (uint32_t db = 0; db < keyspace()->databases; db++) {
        const struct db_table *d = db_table(db);
        if (d) n += sizeof *d;
        for (uint32_t i = 0; d && i < STRIPE_COUNT; i++) {
            struct htable copy = d->stripes[i].keys; /* unlocked: sizes only */
            n += ht_memory(&copy);
        }
    }
    return n;
}

/* ---- walking ---- */

struct scan_arg {
    void (*fn)(const struct entry *, void *);
    void *arg;
    uint32_t db;
};

static void scan_one(shm_off item, void *arg)
{
    const struct scan_arg *a = arg;
    const struct entry *e = shm_ptr(item);
    if (likely(!entry_expired(e)))
        a->fn(e, a->arg);
    else
        ks_note_expired_entry(e, a->db);
}

/* Takes the stripe unless the caller holds it already (inside EXEC). */
static bool stripe_enter(uint32_t i)
{
    if (txn_holds(&my_txn, i)) return false;
    lock_acquire(&stripe_lock_at(i)->word, slot_owner_id());
    return true;
}

static void stripe_leave(uint32_t i, bool entered)
{
    if (entered) lock_release(&stripe_lock_at(i)->word);
}

uint64_t ks_scan(uint32_t db, uint64_t cursor, void (*fn)(const struct entry *e, void *arg), void *arg)
{
    struct scan_arg a = {fn, arg, db};
    uint32_t stripe = (uint32_t)(cursor & (STRIPE_COUNT - 1));
    uint64_t bucket = cursor >> STRIPE_BITS;
    const struct db_table *d = db_table(db);
    while (d && stripe < STRIPE_COUNT) {
        if (*(const volatile uint64_t *)&d->stripes[stripe].keys.count) {
            bool entered = stripe_enter(stripe);
            d = db_table(db); /* may have been flushed or swapped while we waited */
            bucket = d ? ht_scan(&d->stripes[stripe].keys, bucket, scan_one, &a) : 0;
            stripe_leave(stripe, entered);
            if (bucket) return bucket << STRIPE_BITS | stripe;
            return stripe + 1 < STRIPE_COUNT ? stripe + 1 : 0;
        }
        bucket = 0;
        stripe++;
    }
    return 0;
}

/* A random key of stripe i into scratch memory; false when it has none that lives (of a few tries). */
static bool random_in_stripe(uint32_t db, uint32_t i, struct slice *name)
{
    bool entered = stripe_enter(i), found = false;
    const struct db_table *d = db_table(db);
    for (int tries = 0; d && d->stripes[i].keys.count && tries < 16 && !found; tries++) {
        const struct entry *e = shm_ptr(ht_random(&d->stripes[i].keys, ks_random));
        if (entry_expired(e)) {
            if (!tries) ks_note_expired_entry(e, db);
            continue;
        }
        struct slice k = entry_key(e);
        static uint8_t copy[UINT16_MAX + 1]; /* private; longer keys are never picked: scratch memory may not fail under the stripe */
        if (k.n > UINT16_MAX) continue;
        memcpy(copy, k.p, k.n);
        *name = (struct slice){copy, k.n};
        found = true;
    }
    stripe_leave(i, entered);
    return found;
}

bool ks_random_key(uint32_t db, struct slice *name)
{
    const struct db_table *d = db_table(db);
    if (!d || !ks_db_size(db)) return false;
    for (int tries = 0; tries < 64; tries++) { /* stripes are about equally full: a random one is fair enough */
        uint32_t i = (uint32_t)(ks_random() % STRIPE_COUNT);
        if (*(const volatile uint64_t *)&d->stripes[i].keys.count && random_in_stripe(db, i, name)) return true;
    }
    uint32_t start = (uint32_t)(ks_random() % STRIPE_COUNT); /* few keys: look at each stripe */
    for (uint32_t n = 0; n < STRIPE_COUNT; n++) {
        uint32_t i = (start + n) % STRIPE_COUNT;
        if (*(const volatile uint64_t *)&d->stripes[i].keys.count && random_in_stripe(db, i, name)) return true;
    }
    return false;
}
