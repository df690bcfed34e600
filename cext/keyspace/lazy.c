/* keyspace/lazy.c - freeing detached values step by step. Queue, death: lazy.h.
 *
 * A step takes the lock of one stripe although it touches no key: a snapshot may be switched off only while all stripes are held, and
 * the copy-on-write map must not be written after that.
 */
#include "keyspace/lazy.h"

#include "keyspace/keyspace.h"
#include "keyspace/objtype.h"

const struct objtype *objtypes[8];

void lazy_push(struct txn *t, uint32_t kind, shm_off root, uint64_t objects)
{
    shm_off off;
    if (kind == LAZY_DB_TABLE) {
        off = root + offsetof(struct db_table, lazy);
        txn_touch(t, shm_ptr(off), sizeof(struct lazy_item));
    } else {
        off = txn_alloc(t, sizeof(struct lazy_item));
    }
    *(struct lazy_item *)shm_ptr(off) = (struct lazy_item){my_slot->lazy_head, root, kind, 0, objects};
    TXN_SET(t, my_slot->lazy_head, off);
    TXN_SET(t, my_slot->lazy_objects, my_slot->lazy_objects + objects);
}

void value_free(struct txn *t, enum obj_type type, enum encoding enc, shm_off root)
{
    const struct objtype *ops = objtypes[type];
    ENSURE(ops != NULL);
    uint64_t all = UINT64_MAX;
    /* Without memory for a place in the queue it is freed at once: deleting must work when memory is full. */
    if (ops->free_effort(enc, root) > LAZY_EFFORT && txn_has_room(sizeof(struct lazy_item)))
        lazy_push(t, (uint32_t)type << 4 | enc, root, 1);
    else
        ops->free_some(t, enc, root, &all);
}

static void free_entry(struct txn *t, shm_off item, void *arg)
{
    (void)arg;
    const struct entry *e = shm_ptr(item);
    if (entry_type(e) != OBJ_STRING)
        value_free(t, entry_type(e), entry_enc(e), *entry_root(e));
    else if (entry_enc(e) == ENC_EXT)
        txn_free(t, entry_ext(e)->off, entry_ext(e)->cap);
    txn_free(t, item, entry_size(e));
}

static bool free_table_some(struct txn *t, struct lazy_item *l, uint64_t *budget)
{
    struct db_table *table = shm_ptr(l->root);
    while (l->cursor < STRIPE_COUNT && *budget) {
        if (!ht_drain(t, &table->stripes[l->cursor].keys, free_entry, NULL, budget)) return false;
        TXN_SET(t, l->cursor, l->cursor + 1);
    }
    if (l->cursor < STRIPE_COUNT) return false;
    txn_free(t, l->root, sizeof(struct db_table));
    return true;
}

bool lazy_step(uint64_t items)
{
    if (!my_slot->lazy_head) return false;
    struct txn *t = &my_txn;
    jmp_buf failed, *outer = t->on_fail;
    volatile bool ok = true;
    t->on_fail = &failed;
    txn_begin(t);
    if (setjmp(failed) == 0) {
        txn_lock_stripe(t, my_slot_index % STRIPE_COUNT);
        shm_off off = my_slot->lazy_head;
        struct lazy_item *l = shm_ptr(off);
        bool done = l->kind == LAZY_DB_TABLE
                        ? free_table_some(t, l, &items)
                        : objtypes[l->kind >> 4]->free_some(t, (enum encoding)(l->kind & 15), l->root, &items);
        if (done) {
            /* what was freed may itself have queued large values: they lie before this item */
            shm_off *link = &my_slot->lazy_head;
            while (*link != off) link = &((struct lazy_item *)shm_ptr(*link))->next;
            TXN_SET(t, *link, l->next);
            TXN_SET(t, my_slot->lazy_objects, my_slot->lazy_objects - l->objects);
            stat_add(STAT_LAZYFREED, l->objects);
            if (l->kind != LAZY_DB_TABLE) txn_free(t, off, sizeof *l); /* else it was a part of the table */
        }
        txn_commit(t);
    } else {
        txn_abort(t); /* no memory for undo records: try again later */
        ok = false;
    }
    t->on_fail = outer;
    scratch_reset();
    return ok && my_slot->lazy_head != 0;
}

uint64_t lazy_pending(void)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < SLOT_MAX; i++) n += *(volatile uint64_t *)&slot_at(i)->lazy_objects;
    return n;
}
