/* cmd/blocking_owner.c - a worker's own waiting clients: how they begin to wait, time out, get their reply, go away. Protocol, locks,
 * deaths: blocking.h. Timeouts are a heap by monotonic time in private memory. */
#include <stdlib.h>

#include "base/clock.h"
#include "cmd/observe.h"
#include "cmd/waiter.h"
#include "keyspace/interest.h"
#include "shm/backlog.h"
#include "shm/inbox.h"

struct blocked { /* hangs on a client that waits */
    struct client *client;
    struct blocked *next, *prev; /* all of this worker */
    shm_off waiter;
    int64_t deadline_ms; /* monotonic; INT64_MAX = none */
    uint32_t heap_at;
    struct sync_wait sync; /* what it waits for when waiter is 0 */
};

static struct blocked *all;
static uint32_t syncs; /* of them, those that wait for the disk */
static struct blocked *begun; /* in the open transaction, which may still be rolled back when it cannot be logged */
static struct blocked **heap;
static uint32_t heap_count, heap_room;

/* ---- timeouts ---- */

static void heap_set(uint32_t i, struct blocked *b)
{
    heap[i] = b;
    b->heap_at = i;
}

static void heap_up(uint32_t i)
{
    struct blocked *b = heap[i];
    for (; i && heap[(i - 1) / 2]->deadline_ms > b->deadline_ms; i = (i - 1) / 2) heap_set(i, heap[(i - 1) / 2]);
    heap_set(i, b);
}

static void heap_down(uint32_t i)
{
    struct blocked *b = heap[i];
    for (uint32_t child; (child = 2 * i + 1) < heap_count; i = child) {
        if (child + 1 < heap_count && heap[child + 1]->deadline_ms < heap[child]->deadline_ms) child++;
        if (heap[child]->deadline_ms >= b->deadline_ms) break;
        heap_set(i, heap[child]);
    }
    heap_set(i, b);
}

static void tell_count(void) { atomic_store_explicit(&my_slot->timeouts, heap_count, memory_order_relaxed); }

static bool heap_add(struct blocked *b)
{
    if (heap_count == heap_room) {
        struct blocked **more = realloc(heap, (heap_room + 64) * 2 * sizeof *heap);
        if (!more) return false;
        heap = more;
        heap_room = (heap_room + 64) * 2;
    }
    heap_set(heap_count++, b);
    tell_count();
    heap_up(b->heap_at);
    return true;
}

static void heap_remove(struct blocked *b)
{
    if (b->deadline_ms == INT64_MAX) return;
    struct blocked *last = heap[--heap_count];
    tell_count();
    if (last == b) return;
    heap_set(b->heap_at, last);
    heap_up(last->heap_at);
    heap_down(last->heap_at);
}

int64_t blocking_next_ms(void) { return heap_count ? heap[0]->deadline_ms : INT64_MAX; }

/* ---- begin ---- */

/* False: no memory. */
static bool begin(struct blocked *b, int64_t timeout_ms)
{
    int64_t now = clock_mono_us() / 1000;
    b->deadline_ms = INT64_MAX;
    if (timeout_ms > 0 && timeout_ms < INT64_MAX - now - 1) b->deadline_ms = now + timeout_ms + 1; /* never early */
    if (b->deadline_ms != INT64_MAX && !heap_add(b)) return false;
    b->next = all;
    if (all) all->prev = b;
    all = b;
    b->client->blocked = b;
    client_set_flags(b->client, CLIENT_FLAG_BLOCKED, 0);
    return true;
}

void cmd_block(struct cmd *c, uint32_t first, uint32_t n, int64_t timeout_ms, uint64_t wants)
{
    if (waiter_is_proxy(c->client)) {
        waiter_waits_on();
        return;
    }
    shm_off waiter = waiter_make(c->txn, c, first, n, wants);
    struct blocked *b = calloc(1, sizeof *b); /* nothing can fail after this */
    if (!b) txn_fail(c->txn, TXN_NO_MEMORY, sizeof *b);
    *b = (struct blocked){.client = c->client, .waiter = waiter};
    if (!begin(b, timeout_ms)) {
        free(b);
        txn_fail(c->txn, TXN_NO_MEMORY, sizeof *b);
    }
    begun = b;
    blocking_told++;
}

void cmd_block_sync(struct cmd *c, const struct sync_wait *w, int64_t timeout_ms)
{
    struct blocked *b = calloc(1, sizeof *b);
    if (b) *b = (struct blocked){.client = c->client, .sync = *w};
    if (!b || !begin(b, timeout_ms)) {
        free(b);
        reply_error(c->out, ERR_OOM);
        return;
    }
    syncs++;
    if (w->replicas) atomic_fetch_or(&repl()->ack_slots, 1ull << my_slot_index);
}

/* ---- end ---- */

struct ending {
    struct blocked *b;
    uint64_t map[STRIPE_COUNT / 64];
    bool only_if_served; /* leave it when it still waits */
    bool served, gone;   /* what was found, what was done */
    const uint8_t *reply; /* scratch memory */
    size_t reply_bytes;
    jmp_buf failed;
};

/* One transaction: looks at the waiter under its stripes and frees it. False: no memory for that now. */
static bool end_in_txn(struct ending *x)
{
    struct txn *t = &my_txn;
    jmp_buf *outer = t->on_fail;
    struct waiter *w = waiter_at(x->b->waiter);
    waiter_map(w, x->map);
    t->on_fail = &x->failed;
    if (setjmp(x->failed)) {
        txn_abort(t);
        t->on_fail = outer;
        return false;
    }
    txn_begin(t);
    txn_lock_map(t, x->map);
    x->served = w->state == WAITER_SERVED;
    x->gone = x->served || !x->only_if_served;
    if (x->served) {
        uint8_t *copy = scratch_alloc(w->reply_bytes + 1);
        memcpy(copy, shm_ptr(w->reply), w->reply_bytes);
        x->reply = copy;
        x->reply_bytes = w->reply_bytes;
    } else if (x->gone) {
        waiter_unregister(t, w);
    }
    if (x->gone) waiter_free(t, x->b->waiter);
    txn_commit(t);
    t->on_fail = outer;
    return true;
}

static void forget(struct blocked *b)
{
    heap_remove(b);
    if (b->prev)
        b->prev->next = b->next;
    else
        all = b->next;
    if (b->next) b->next->prev = b->prev;
    if (!b->waiter && --syncs == 0) atomic_fetch_and(&repl()->ack_slots, ~(1ull << my_slot_index));
    b->client->blocked = NULL;
    client_set_flags(b->client, 0, CLIENT_FLAG_BLOCKED);
    free(b);
}

void waiter_begun(bool committed)
{
    if (begun && !committed) forget(begun);
    begun = NULL;
}

static struct reply *own_reply(const struct client *c)
{
    static struct reply out;
    if (!out.buf) reply_init(&out);
    out.resp = c->resp;
    reply_rewind(&out, 0);
    return &out;
}

static void push_unserved(struct client *c, enum unblock_reason why)
{
    struct reply *out = own_reply(c);
    if (why == UNBLOCK_ERROR)
        reply_error(out, ERR_UNBLOCKED);
    else
        reply_null_array(out);
    observe_late(c->record->command - 1, out->buf, out->len);
    client_push(c, out->buf, out->len);
}

static void end_sync(struct blocked *b, enum unblock_reason why)
{
    struct client *c = b->client;
    struct reply *out = own_reply(c);
    if (why == UNBLOCK_ERROR)
        reply_error(out, ERR_UNBLOCKED);
    else if (why == UNBLOCK_TIMEOUT)
        sync_wait_reply(&b->sync, out);
    else if (!sync_wait_over(&b->sync, out))
        return;
    observe_late(c->record->command - 1, out->buf, out->len);
    client_push_ungated(c, out->buf, out->len);
    forget(b);
    client_resume(c);
}

static void end_waiting(struct blocked *b, enum unblock_reason why)
{
    struct ending x = {.b = b, .only_if_served = why == UNBLOCK_SERVED};
    struct client *c = b->client;
    if (!b->waiter) {
        end_sync(b, why);
        return;
    }
    if (!end_in_txn(&x) || !x.gone) return; /* no memory: it is tried again */
    if (x.served) {
        if (log_on()) c->wrote_lsn = atomic_load_explicit(&seg()->lsn, memory_order_acquire); /* at least that of its server */
        observe_late(c->record->command - 1, x.reply, x.reply_bytes);
        client_push(c, x.reply, x.reply_bytes);
    } else {
        push_unserved(c, why);
    }
    forget(b);
    scratch_reset();
    client_resume(c);
}

void blocking_message(const struct unblock_message *m)
{
    struct client *c = client_find(m->client_id);
    if (c && c->blocked) end_waiting(c->blocked, (enum unblock_reason)m->reason);
}

void blocking_expire(int64_t now_ms)
{
    while (heap_count && heap[0]->deadline_ms <= now_ms) {
        struct blocked *b = heap[0];
        end_waiting(b, UNBLOCK_TIMEOUT);
        if (heap_count && heap[0] == b) return; /* no memory: with the next turn */
    }
}

void blocking_check(void)
{
    for (struct blocked *b = all, *next; b; b = next) {
        next = b->next;
        if (b->waiter && *(const volatile uint32_t *)&waiter_at(b->waiter)->state == WAITER_SERVED) end_waiting(b, UNBLOCK_SERVED);
    }
    blocking_check_syncs();
}

void blocking_check_syncs(void)
{
    if (likely(!syncs)) return;
    for (struct blocked *b = all, *next; b; b = next) {
        next = b->next;
        if (!b->waiter) end_sync(b, UNBLOCK_SERVED);
    }
}

bool blocking_may_sleep(void)
{
    if (likely(!syncs)) return true;
    uint64_t lowest = UINT64_MAX;
    for (struct blocked *b = all; b; b = b->next)
        if (!b->waiter && b->sync.local) lowest = MIN(lowest, b->sync.lsn);
    if (lowest == UINT64_MAX || lowest <= atomic_load_explicit(&seg()->synced_lsn, memory_order_acquire)) return true; /* what else is missing has no wake-up */
    atomic_store_explicit(&my_slot->sync_wait_lsn, lowest, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in the log writer's wake_waiting */
    return atomic_load_explicit(&seg()->synced_lsn, memory_order_acquire) < lowest;
}

void blocking_client_closed(struct client *c)
{
    struct ending x = {.b = c->blocked};
    if (!c->blocked) return;
    while (c->blocked->waiter && !end_in_txn(&x)) {} /* needs no memory but undo records, which fit */
    forget(c->blocked);
    scratch_reset();
}

bool blocking_unblock(struct client_record *r, uint64_t client_id, bool error)
{
    uint32_t slot = atomic_load_explicit(&r->slot, memory_order_relaxed);
    uint32_t flags = atomic_fetch_and_explicit(&r->flags, ~(uint32_t)CLIENT_FLAG_BLOCKED, memory_order_relaxed);
    if (!(flags & CLIENT_FLAG_BLOCKED) || atomic_load_explicit(&r->id, memory_order_relaxed) != client_id) return false;
    struct unblock_message m = {client_id, error ? UNBLOCK_ERROR : UNBLOCK_TIMEOUT};
    return inbox_send(slot, INBOX_UNBLOCK, &m, sizeof m);
}

void blocking_sweep(void)
{
    struct txn *t = &my_txn;
    tell_count();
    while (my_slot->waiters) { /* one a transaction: its few undo records always fit, so it cannot fail */
        shm_off off = my_slot->waiters;
        uint64_t map[STRIPE_COUNT / 64];
        waiter_map(waiter_at(off), map);
        txn_begin(t);
        txn_lock_map(t, map);
        if (waiter_at(off)->state == WAITER_WAITS) waiter_unregister(t, waiter_at(off));
        waiter_free(t, off);
        txn_commit(t);
    }
}
