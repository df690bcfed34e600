/* shm/txn.c - the bracket: undo records, commit, rollback, stripes. The protocol and what a death means: txn.h. */
#include "shm/txn.h"

#include <stdlib.h>

#include "shm/pageheap.h"
#include "shm/repair.h"
#include "shm/replica_link.h"
#include "shm/ring.h"
#include "shm/sysop.h"

struct txn my_txn;

#define UNDO_CHUNK_BYTES (1u << 20)

struct undo_chunk { /* head of a chunk beyond the first; a run of pages */
    shm_off next;   /* slot.undo_chunks list */
    uint64_t bytes;
};

void txn_init(struct txn *t)
{
    uint8_t *log_buf = t->log_buf; /* private memory outlives a change of slot */
    size_t log_cap = t->log_cap;
    memset(t, 0, sizeof *t);
    t->log_buf = log_buf;
    t->log_cap = log_cap;
    t->undo_top = shm_ptr(slot_undo_area(my_slot_index));
    t->undo_end = t->undo_top + UNDO_AREA_BYTES;
    my_slot->undo_top = slot_undo_area(my_slot_index);
}

/* ---- undo room ---- */

/* A chunk of at least `bytes`, taken and listed in the slot in one system operation. */
static shm_off chunk_take(uint64_t bytes)
{
    uint64_t pages = (bytes + PAGE_SIZE_ARENA - 1) / PAGE_SIZE_ARENA;
    page_heap_lock();
    uint32_t first = pages < UINT32_MAX / 2 ? page_run_alloc_locked((uint32_t)pages, PAGE_LARGE) : PAGE_NONE;
    shm_off off = 0;
    if (first != PAGE_NONE) {
        off = page_offset(first);
        struct undo_chunk *c = shm_ptr(off);
        cow_touch(off, pages * PAGE_SIZE_ARENA);
        c->next = my_slot->undo_chunks;
        c->bytes = pages * PAGE_SIZE_ARENA;
        sysop_set64(&my_slot->undo_chunks, off);
    }
    sysop_end();
    page_heap_unlock();
    return off;
}

void txn_release_chunks(struct slot *s)
{
    while (s->undo_chunks) {
        shm_off off = s->undo_chunks;
        page_heap_lock();
        sysop_set64(&s->undo_chunks, ((struct undo_chunk *)shm_ptr(off))->next);
        page_run_free_locked(page_number(off));
        sysop_end();
        page_heap_unlock();
    }
}

char *txn_undo_room(struct txn *t, size_t need)
{
    size_t bytes = MAX(need + sizeof(struct undo_chunk) + 2 * sizeof(struct undo_trailer), (size_t)UNDO_CHUNK_BYTES);
    shm_off off = chunk_take(bytes);
    if (!off) txn_fail(t, TXN_NO_MEMORY, bytes);
    struct undo_chunk *c = shm_ptr(off);
    shm_off before = shm_offset(t->undo_top);
    t->undo_end = (char *)c + c->bytes;
    txn_undo_push(t, (char *)(c + 1), before, 0, UNDO_LINK);
    return t->undo_top;
}

/* ---- bracket ---- */

void txn_begin(struct txn *t)
{
    DCHECK(!t->active && atomic_load_explicit(&my_slot->status, memory_order_relaxed) == STATUS_IDLE);
    t->active = true;
    t->failure = TXN_OK;
    t->expecting = false;
    t->used_delta = 0;
    t->log_len = 0;
    t->log_frames = 0;
    t->log_unit = false;
    t->nchanged = 0;
    store_order();
    atomic_store_explicit(&my_slot->status, STATUS_ACTIVE, memory_order_relaxed);
    store_order();
}

static void reset_undo(struct txn *t)
{
    if (unlikely(my_slot->undo_chunks)) {
        txn_release_chunks(my_slot);
        t->undo_end = (char *)shm_ptr(slot_undo_area(my_slot_index)) + UNDO_AREA_BYTES;
    }
    t->undo_top = shm_ptr(slot_undo_area(my_slot_index));
    *(volatile shm_off *)&my_slot->undo_top = slot_undo_area(my_slot_index);
}

/* The end of every transaction, also of one whose process died: nothing below may be needed any more when it begins. */
static void finish(struct txn *t)
{
    reset_undo(t);
    store_order();
    atomic_store_explicit(&my_slot->status, STATUS_IDLE, memory_order_relaxed);
    t->active = false;
}

void txn_carry_out_frees(void)
{
    while (my_slot->free_head) {
        const char *rec = shm_ptr(my_slot->free_head);
        shm_off previous = *(const shm_off *)(const void *)rec;
        const struct undo_trailer *u = (const void *)(rec + 8);
        uint64_t size = u->len == UINT32_MAX ? (uint64_t)ARENA_CLASS_MAX + 1 : u->len;
        if (size > ARENA_CLASS_MAX) {
            page_heap_lock(); /* the run and the list move together, so a repeated repair frees nothing twice */
            page_run_free_locked(page_number(u->off));
            sysop_set64(&my_slot->free_head, previous);
            sysop_end();
            page_heap_unlock();
            continue;
        }
        uint32_t cls = arena_class(size);
        block_give(cls, u->off);
        store_order();
        *(volatile shm_off *)&my_slot->free_head = previous;
        if (unlikely(my_slot->cache[cls].count > arena_cache_limit(cls))) arena_drain(cls);
    }
}

/* ---- group commit: what was changed is remembered until it is durable ---- */

static void note_key(struct stripe_lock *s, uint32_t tag, uint64_t lsn)
{
    uint32_t oldest = 0;
    for (uint32_t i = 0; i < RECENT_KEYS; i++) {
        if (s->recent_lsn[i] && s->recent_hash[i] == tag) {
            s->recent_lsn[i] = lsn;
            return;
        }
        if (s->recent_lsn[i] < s->recent_lsn[oldest]) oldest = i;
    }
    if (s->recent_lsn[oldest] > atomic_load_explicit(&seg()->durable_lsn, memory_order_relaxed)) s->older_lsn = s->recent_lsn[oldest];
    s->recent_hash[oldest] = tag;
    s->recent_lsn[oldest] = lsn;
}

static void note_changes(struct txn *t, uint64_t lsn)
{
    if (t->nchanged && t->nchanged <= ARRAY_LEN(t->changed)) {
        for (uint32_t i = 0; i < t->nchanged; i++) note_key(stripe_lock_at(t->changed[i].stripe), t->changed[i].tag, lsn);
        return;
    }
    for (uint32_t i = 0; i < STRIPE_COUNT; i++)
        if (txn_holds(t, i)) stripe_lock_at(i)->older_lsn = lsn;
}

uint64_t txn_commit(struct txn *t)
{
    uint64_t lsn = 0;
    if (unlikely(t->link_at)) link_advance(t);
    if (unlikely(t->log_len)) {
        ring_stage(t); /* may fail: nothing is committed yet */
        lsn = ring_commit();
        t->last_lsn = lsn;
        if (group_commit_on()) note_changes(t, lsn);
    } else {
        store_order();
        atomic_store_explicit(&my_slot->status, STATUS_COMMITTED, memory_order_relaxed);
        store_order();
    }
    my_slot->used_bytes += (int64_t)t->used_delta;
    t->expected = 0;
    txn_unlock(t);
    if (my_slot->free_head) txn_carry_out_frees();
    finish(t);
    guard_close();
    stat_add(STAT_TXNS, 1);
    return lsn;
}

void txn_abort(struct txn *t)
{
    txn_undo_to(my_slot, slot_undo_area(my_slot_index));
    ring_unstage();
    txn_unlock(t);
    finish(t);
    guard_close();
    stat_add(STAT_UNDONE, 1);
}

void txn_fail(struct txn *t, enum txn_failure why, uint64_t bytes)
{
    t->failure = why;
    t->fail_bytes = bytes;
    ENSURE(t->on_fail != NULL);
    longjmp(*t->on_fail, 1);
}

struct txn_savepoint txn_savepoint(const struct txn *t)
{
    return (struct txn_savepoint){shm_offset(t->undo_top), my_slot->free_head, t->used_delta, t->log_len,
                                  t->log_frames};
}

void txn_rollback_to(struct txn *t, struct txn_savepoint sp)
{
    txn_undo_to(my_slot, sp.undo_top);
    t->undo_top = shm_ptr(sp.undo_top);
    /* the chunk that holds the top: chunks after it stay listed until the transaction ends */
    shm_off area = slot_undo_area(my_slot_index);
    if (sp.undo_top >= area && sp.undo_top <= area + UNDO_AREA_BYTES) {
        t->undo_end = (char *)shm_ptr(area) + UNDO_AREA_BYTES;
    } else {
        for (shm_off c = my_slot->undo_chunks; c; c = ((struct undo_chunk *)shm_ptr(c))->next) {
            uint64_t bytes = ((struct undo_chunk *)shm_ptr(c))->bytes;
            if (sp.undo_top > c && sp.undo_top <= c + bytes) t->undo_end = (char *)shm_ptr(c) + bytes;
        }
    }
    DCHECK(my_slot->free_head == sp.free_head);
    t->used_delta = sp.used_delta;
    t->log_len = sp.log_len;
    t->log_frames = sp.log_frames;
}

/* ---- rollback: also the heir's, so it works on the slot alone and may be repeated from any point ---- */

static void undo_one(struct slot *s, const struct undo_trailer *u, shm_off before)
{
    const char *data = (const char *)u - round_up(u->len, 8);
    switch ((enum undo_kind)u->kind) {
    case UNDO_BYTES:
        guard_open(u->off, u->len);
        memcpy(shm_ptr(u->off), data, u->len);
        break;
    case UNDO_ALLOC:
        if (u->len == UINT32_MAX) { /* a run of pages: given back and forgotten in one step, so never twice */
            page_heap_lock();
            page_run_free_locked(page_number(u->off));
            sysop_set64(&s->undo_top, before);
            sysop_end();
            page_heap_unlock();
        } else {
            block_give(arena_class(u->len), u->off);
        }
        break;
    case UNDO_FREE:
        *(volatile shm_off *)&s->free_head = *(const shm_off *)(const void *)((const char *)u - 8);
        break;
    case UNDO_LINK:
        break;
    }
}

void txn_undo_to(struct slot *s, shm_off target)
{
    while (s->undo_top != target) {
        const struct undo_trailer *u = (const struct undo_trailer *)shm_ptr(s->undo_top) - 1;
        shm_off before;
        if (u->kind == UNDO_LINK)
            before = u->off;
        else if (u->kind == UNDO_BYTES)
            before = shm_offset(u) - round_up(u->len, 8);
        else if (u->kind == UNDO_FREE)
            before = shm_offset(u) - 8;
        else
            before = shm_offset(u);
        undo_one(s, u, before);
        store_order();
        *(volatile shm_off *)&s->undo_top = before;
        store_order();
    }
}

/* ---- memory ---- */

shm_off txn_alloc_slow(struct txn *t, uint64_t size)
{
    if (size <= ARENA_CLASS_MAX) {
        uint32_t cls = arena_class(size);
        if (!arena_refill(cls)) txn_fail(t, TXN_NO_MEMORY, size);
        return txn_alloc(t, size);
    }
    /* A run of pages: the undo record and the run appear together. The record is written beyond undo_top first, then the system
     * operation that takes the run also moves undo_top, so a death before its end leaves neither. */
    char *at = txn_undo_reserve(t, sizeof(struct undo_trailer));
    uint64_t pages = (size + PAGE_SIZE_ARENA - 1) / PAGE_SIZE_ARENA;
    page_heap_lock();
    uint32_t first = pages < UINT32_MAX / 2 ? page_run_alloc_locked((uint32_t)pages, PAGE_LARGE) : PAGE_NONE;
    if (first == PAGE_NONE) {
        sysop_end();
        page_heap_unlock();
        txn_fail(t, TXN_NO_MEMORY, size);
    }
    *(struct undo_trailer *)(void *)at = (struct undo_trailer){page_offset(first), UINT32_MAX, UNDO_ALLOC};
    sysop_set64(&my_slot->undo_top, shm_offset(at + sizeof(struct undo_trailer)));
    sysop_end();
    page_heap_unlock();
    t->undo_top = at + sizeof(struct undo_trailer);
    t->used_delta += pages * PAGE_SIZE_ARENA;
    cow_touch(page_offset(first), size);
    return page_offset(first);
}

void txn_free(struct txn *t, shm_off off, uint64_t size)
{
    DCHECK(t->active && off && size);
    char *at = txn_undo_reserve(t, 8 + sizeof(struct undo_trailer));
    *(shm_off *)(void *)at = my_slot->free_head;
    txn_undo_push(t, at + 8, off, size > ARENA_CLASS_MAX ? UINT32_MAX : (uint32_t)size, UNDO_FREE);
    *(volatile shm_off *)&my_slot->free_head = shm_offset(at);
    t->used_delta -= arena_usable(size);
}

shm_off txn_realloc(struct txn *t, shm_off off, uint64_t old_size, uint64_t new_size, uint64_t keep)
{
    if (arena_usable(old_size) == arena_usable(new_size)) return off;
    shm_off fresh = txn_alloc(t, new_size);
    memcpy(shm_ptr(fresh), shm_ptr(off), MIN(keep, MIN(old_size, new_size)));
    txn_free(t, off, old_size);
    return fresh;
}

static void log_room(struct txn *t, size_t n)
{
    if (t->log_len + n <= t->log_cap) return;
    size_t cap = MAX(t->log_cap * 2, MAX(t->log_len + n, (size_t)65536));
    uint8_t *grown = realloc(t->log_buf, cap); /* owned by the transaction for the process's life: no leak on failure */
    if (!grown) txn_fail(t, TXN_NO_MEMORY, n);
    t->log_buf = grown;
    t->log_cap = cap;
}

size_t txn_log_begin(struct txn *t, uint32_t db)
{
    size_t at = t->log_len;
    struct log_frame f = {.db = db & INT32_MAX, .unit = t->log_unit};
    t->log_unit = false;
    log_room(t, sizeof f);
    memcpy(t->log_buf + at, &f, sizeof f);
    t->log_len += sizeof f;
    return at;
}

void txn_log_put(struct txn *t, const void *p, size_t n)
{
    log_room(t, n);
    memcpy(t->log_buf + t->log_len, p, n);
    t->log_len += n;
}

void txn_log_end(struct txn *t, size_t frame)
{
    size_t bytes = t->log_len - frame - sizeof(struct log_frame);
    if (bytes > UINT32_MAX) txn_fail(t, TXN_TOO_LARGE, bytes);
    uint32_t len = (uint32_t)bytes;
    memcpy(t->log_buf + frame, &len, sizeof len);
    t->log_frames++;
}

/* ---- stripes ---- */

void txn_lock_stripe(struct txn *t, uint32_t stripe)
{
    lock_acquire(&stripe_lock_at(stripe)->word, slot_owner_id());
    t->single = (uint16_t)stripe;
    t->nheld = 1;
}

void txn_lock_map(struct txn *t, const uint64_t map[STRIPE_COUNT / 64])
{
    uint32_t n = 0, owner = slot_owner_id();
    for (uint32_t w = 0; w < STRIPE_COUNT / 64; w++) {
        for (uint64_t bits = map[w]; bits; bits &= bits - 1) {
            uint32_t stripe = w * 64 + (uint32_t)__builtin_ctzll(bits);
            lock_acquire(&stripe_lock_at(stripe)->word, owner);
            t->single = (uint16_t)stripe;
            n++;
        }
        t->held_map[w] = map[w];
    }
    t->nheld = (uint16_t)n;
}

void txn_lock_all(struct txn *t)
{
    for (uint32_t i = 0; i < STRIPE_COUNT; i++) lock_acquire(&stripe_lock_at(i)->word, slot_owner_id());
    t->all_locked = true;
}

void txn_unlock(struct txn *t)
{
    if (likely(t->nheld == 1 && !t->all_locked)) {
        lock_release(&stripe_lock_at(t->single)->word);
    } else if (t->all_locked) {
        for (uint32_t i = 0; i < STRIPE_COUNT; i++) lock_release(&stripe_lock_at(i)->word);
        t->all_locked = false;
    } else if (t->nheld) {
        for (uint32_t w = 0; w < STRIPE_COUNT / 64; w++)
            for (uint64_t bits = t->held_map[w]; bits; bits &= bits - 1)
                lock_release(&stripe_lock_at(w * 64 + (uint32_t)__builtin_ctzll(bits))->word);
    }
    t->nheld = 0;
}
