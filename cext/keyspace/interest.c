/* keyspace/interest.c - the lists of keys that connections watch or wait for. Layout, locks and deaths: interest.h. */
#include "keyspace/interest.h"

static shm_off *head_of(uint64_t hash) { return &stripe_lock_at(stripe_of(hash))->interest; }
static struct interest_key *key_at(shm_off off) { return shm_ptr(off); }
static struct registration *reg_at(shm_off off) { return shm_ptr(off); }

static bool same_key(const struct interest_key *ik, const struct key *k)
{
    return ik->hash == k->hash && ik->db == k->db && ik->len == k->name.n && memcmp(ik->name, k->name.p, ik->len) == 0;
}

static shm_off find_key(const struct key *k)
{
    shm_off off = *head_of(k->hash);
    while (off && !same_key(key_at(off), k)) off = key_at(off)->next;
    return off;
}

/* The list's head is no arena memory: undone like it, but no snapshot looks at it. */
static void set_head(struct txn *t, shm_off *head, shm_off v)
{
    txn_touch_outside(t, head, sizeof *head);
    *head = v;
}

static shm_off add_key(struct txn *t, const struct key *k)
{
    shm_off *head = head_of(k->hash);
    shm_off off = txn_alloc(t, sizeof(struct interest_key) + k->name.n);
    struct interest_key *ik = key_at(off);
    *ik = (struct interest_key){.next = *head, .hash = k->hash, .db = k->db, .len = (uint32_t)k->name.n};
    if (k->name.n) memcpy(ik->name, k->name.p, k->name.n);
    set_head(t, head, off);
    return off;
}

static void remove_key(struct txn *t, shm_off off)
{
    struct interest_key *ik = key_at(off);
    shm_off *head = head_of(ik->hash);
    if (*head == off) {
        set_head(t, head, ik->next);
    } else {
        shm_off before = *head;
        while (key_at(before)->next != off) before = key_at(before)->next;
        TXN_SET(t, key_at(before)->next, ik->next);
    }
    txn_free(t, off, sizeof *ik + ik->len);
}

shm_off interest_add(struct txn *t, const struct key *k, const struct interest_who *who)
{
    shm_off kept = find_key(k);
    shm_off koff = kept ? kept : add_key(t, k);
    shm_off off = txn_alloc(t, sizeof(struct registration));
    struct interest_key *ik = key_at(koff);
    *reg_at(off) = (struct registration){.prev = ik->last, .key = koff, .client_id = who->client_id, .order = who->order,
                                         .slot = who->slot, .kind = (uint16_t)who->kind, .wants = who->wants,
                                         .waiter = who->waiter};
    if (kept) txn_touch(t, &ik->first, 2 * sizeof(shm_off));
    if (ik->last)
        TXN_SET(t, reg_at(ik->last)->next, off);
    else
        ik->first = off;
    ik->last = off;
    return off;
}

void interest_remove(struct txn *t, shm_off off)
{
    struct registration *r = reg_at(off);
    struct interest_key *ik = key_at(r->key);
    if (r->prev)
        TXN_SET(t, reg_at(r->prev)->next, r->next);
    else
        TXN_SET(t, ik->first, r->next);
    if (r->next)
        TXN_SET(t, reg_at(r->next)->prev, r->prev);
    else
        TXN_SET(t, ik->last, r->prev);
    shm_off koff = r->key;
    txn_free(t, off, sizeof *r);
    if (!ik->first) remove_key(t, koff);
}

/* ---- what a database holds, also keys whose time is over ---- */

static bool entry_has_key(shm_off item, const void *key)
{
    struct slice name = entry_key(shm_ptr(item)), want = ((const struct key *)key)->name;
    return name.n == want.n && memcmp(name.p, want.p, name.n) == 0;
}

static const struct entry *find_entry(uint32_t db, const struct key *k)
{
    const struct keyspace *ks = shm_ptr(seg()->keyspace);
    if (db >= ks->databases || !ks->tables[db]) return NULL;
    const struct db_table *d = shm_ptr(ks->tables[db]);
    struct ht_place at = ht_find(&d->stripes[stripe_of(k->hash)].keys, k->hash, entry_has_key, k);
    return at.bucket ? shm_ptr(at.item) : NULL;
}

/* ---- marks ---- */

static void set_marks(struct txn *t, struct registration *r, uint32_t marks)
{
    if (r->marks != marks) TXN_SET(t, r->marks, (uint16_t)marks);
}

shm_off interest_watch(struct txn *t, const struct key *k, uint32_t slot, uint64_t client_id)
{
    const struct entry *e = find_entry(k->db, k);
    shm_off off = interest_add(t, k, &(struct interest_who){.client_id = client_id, .slot = slot, .kind = INTEREST_WATCH});
    if (e && entry_expired(e)) reg_at(off)->marks = INTEREST_EXPIRED;
    return off;
}

bool interest_changed(shm_off reg, const struct key *k)
{
    const struct registration *r = reg_at(reg);
    if (r->marks & INTEREST_CHANGED) return true;
    if (r->marks & INTEREST_EXPIRED) return false;
    const struct entry *e = find_entry(k->db, k);
    return e && entry_expired(e);
}

static void mark(struct txn *t, const struct key *k, bool expired)
{
    shm_off off = find_key(k);
    if (!off) return;
    for (shm_off reg = key_at(off)->first; reg; reg = reg_at(reg)->next) {
        struct registration *r = reg_at(reg);
        if (r->kind != INTEREST_WATCH) continue;
        if (expired && (r->marks & INTEREST_EXPIRED))
            set_marks(t, r, r->marks & ~INTEREST_EXPIRED);
        else
            set_marks(t, r, r->marks | INTEREST_CHANGED);
    }
}

void interest_mark_modified(struct txn *t, const struct key *k) { mark(t, k, false); }
void interest_mark_expired(struct txn *t, const struct key *k) { mark(t, k, true); }

/* One watcher of a key whose database is replaced: `before` and `after` are the key's entries there, NULL = none. */
static void mark_replaced(struct txn *t, struct registration *r, const struct entry *before, const struct entry *after)
{
    bool over_after = after && entry_expired(after);
    if (r->marks & INTEREST_EXPIRED) {
        if (!after)
            set_marks(t, r, r->marks & ~INTEREST_EXPIRED); /* what was over is gone: no change */
        else if (!over_after)
            set_marks(t, r, r->marks | INTEREST_CHANGED);
    } else if (!before && over_after) {
        set_marks(t, r, r->marks | INTEREST_EXPIRED);
    } else if (before || after) {
        set_marks(t, r, r->marks | INTEREST_CHANGED);
    }
}

void interest_replace_db(struct txn *t, uint32_t db, uint32_t source)
{
    for (uint32_t i = 0; i < STRIPE_COUNT; i++)
        for (shm_off off = stripe_lock_at(i)->interest; off; off = key_at(off)->next) {
            struct interest_key *ik = key_at(off);
            if (ik->db != db) continue;
            struct key k = {{ik->name, ik->len}, ik->hash, db};
            const struct entry *before = find_entry(db, &k);
            const struct entry *after = source == INTEREST_EMPTIED ? NULL : find_entry(source, &k);
            for (shm_off reg = ik->first; reg; reg = reg_at(reg)->next)
                if (reg_at(reg)->kind == INTEREST_WATCH) mark_replaced(t, reg_at(reg), before, after);
        }
}

/* ---- the line of one key ---- */

static shm_off skip_to(shm_off reg, enum interest_kind kind)
{
    while (reg && reg_at(reg)->kind != kind) reg = reg_at(reg)->next;
    return reg;
}

shm_off interest_first(const struct key *k, enum interest_kind kind)
{
    shm_off off = interest_any(k) ? find_key(k) : 0;
    return off ? skip_to(key_at(off)->first, kind) : 0;
}

shm_off interest_next(shm_off reg, enum interest_kind kind) { return skip_to(reg_at(reg)->next, kind); }

/* ---- upkeep ---- */

/* A registration of `slot` in the list that starts at `off`; 0 = none. */
static shm_off find_of_slot(shm_off off, uint32_t slot)
{
    for (; off; off = key_at(off)->next)
        for (shm_off reg = key_at(off)->first; reg; reg = reg_at(reg)->next)
            if (reg_at(reg)->slot == slot) return reg;
    return 0;
}

uint64_t interest_sweep(uint32_t slot)
{
    struct txn *t = &my_txn;
    uint64_t swept = 0;
    for (uint32_t i = 0; i < STRIPE_COUNT; i++) {
        /* an empty list stays empty of this slot's: only its live process adds */
        for (bool more = *(volatile shm_off *)&stripe_lock_at(i)->interest != 0; more;) {
            txn_begin(t);
            txn_lock_stripe(t, i);
            shm_off reg = find_of_slot(stripe_lock_at(i)->interest, slot);
            more = reg != 0; /* one a transaction: its few undo records always fit, so it cannot fail */
            if (more) interest_remove(t, reg), swept++;
            txn_commit(t);
        }
    }
    return swept;
}

static bool any_such(shm_off reg, enum interest_kind kind, uint64_t wants)
{
    for (; reg; reg = reg_at(reg)->next)
        if (reg_at(reg)->kind == kind && reg_at(reg)->wants & wants) return true;
    return false;
}

uint64_t interest_count(enum interest_kind kind, uint64_t wants)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < STRIPE_COUNT; i++) {
        if (!*(volatile shm_off *)&stripe_lock_at(i)->interest) continue;
        txn_lock_stripe(&my_txn, i);
        for (shm_off off = stripe_lock_at(i)->interest; off; off = key_at(off)->next) n += any_such(key_at(off)->first, kind, wants);
        txn_unlock(&my_txn);
    }
    return n;
}
