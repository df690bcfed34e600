/* cmd/blocking.c - noting changed keys and serving those who wait for them; records of waiters. Protocol, locks, deaths: blocking.h. */
#include "cmd/blocking.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/num.h"
#include "cmd/command_table.h"
#include "cmd/propagate.h"
#include "cmd/waiter.h"
#include "keyspace/interest.h"
#include "shm/inbox.h"

/* ---- arguments ---- */

bool arg_timeout(struct cmd *c, uint32_t i, int64_t *ms)
{
    long double v;
    if (!num_parse_ldouble(c->argv[i].p, c->argv[i].n, &v) || isnan(v)) {
        reply_error(c->out, ERR_TIMEOUT_NOTFLOAT);
        return false;
    }
    v *= 1000;
    if (v > (long double)INT64_MAX) {
        reply_errorf(c->out, "ERR timeout is out of range");
        return false;
    }
    if (v <= -1) {
        reply_error(c->out, ERR_TIMEOUT_NEGATIVE);
        return false;
    }
    *ms = (int64_t)ceill(v);
    if (*ms <= INT64_MAX - c->now_ms) return true;
    reply_errorf(c->out, "ERR timeout is out of range");
    return false;
}

/* ---- records ---- */

static bool same_key_before(const struct cmd *c, uint32_t first, uint32_t i)
{
    for (uint32_t k = first; k < i; k++)
        if (c->argv[k].n == c->argv[i].n && memcmp(c->argv[k].p, c->argv[i].p, c->argv[i].n) == 0) return true;
    return false;
}

shm_off waiter_make(struct txn *t, const struct cmd *c, uint32_t first, uint32_t n, uint64_t wants)
{
    uint64_t bytes = sizeof(struct waiter) + 8ull * (n + c->nkeys + c->argc);
    for (uint32_t i = 0; i < c->argc; i++) bytes += c->argv[i].n;
    shm_off off = txn_alloc(t, bytes);
    struct waiter *w = waiter_at(off);
    *w = (struct waiter){.next = my_slot->waiters, .client_id = c->client->id, .bytes = bytes, .slot = my_slot_index, .db = c->db,
                         .command = c->spec->index, .argc = c->argc, .nregs = n, .nhashes = c->nkeys, .resp = c->client->resp,
                         .state = WAITER_WAITS};
    for (uint32_t i = 0; i < c->nkeys; i++) waiter_hashes(w)[i] = c->keys[i].hash;
    uint8_t *p = waiter_bytes(w);
    for (uint32_t i = 0; i < c->argc; i++) {
        waiter_lengths(w)[i] = c->argv[i].n;
        if (c->argv[i].n) memcpy(p, c->argv[i].p, c->argv[i].n);
        p += c->argv[i].n;
    }
    if (w->next) TXN_SET(t, waiter_at(w->next)->prev, off);
    txn_touch_outside(t, &my_slot->waiters, sizeof my_slot->waiters);
    my_slot->waiters = off;
    struct interest_who who = {.client_id = c->client->id, .slot = my_slot_index, .kind = INTEREST_BLOCKED, .wants = wants, .waiter = off};
    who.order = atomic_fetch_add_explicit(&seg()->block_sequence, 1, memory_order_relaxed);
    for (uint32_t i = 0; i < n; i++) {
        waiter_regs(w)[i] = 0;
        if (same_key_before(c, first, first + i)) continue;
        struct key k = key_make(c->argv[first + i], c->db);
        waiter_regs(w)[i] = interest_add(t, &k, &who);
    }
    return off;
}

void waiter_unregister(struct txn *t, const struct waiter *w)
{
    for (uint32_t i = 0; i < w->nregs; i++)
        if (waiter_regs(w)[i]) interest_remove(t, waiter_regs(w)[i]);
}

void waiter_free(struct txn *t, shm_off off)
{
    struct waiter *w = waiter_at(off);
    if (w->prev) {
        TXN_SET(t, waiter_at(w->prev)->next, w->next);
    } else {
        txn_touch_outside(t, &my_slot->waiters, sizeof my_slot->waiters);
        my_slot->waiters = w->next;
    }
    if (w->next) TXN_SET(t, waiter_at(w->next)->prev, w->prev);
    if (w->reply) txn_free(t, w->reply, w->reply_bytes);
    txn_free(t, off, w->bytes);
}

void waiter_map(const struct waiter *w, uint64_t map[STRIPE_COUNT / 64])
{
    memset(map, 0, STRIPE_COUNT / 8);
    for (uint32_t i = 0; i < w->nhashes; i++) {
        uint32_t s = stripe_of(waiter_hashes(w)[i]);
        map[s / 64] |= 1ull << (s % 64);
    }
}

/* ---- changed keys ---- */

uint32_t blocking_noted, blocking_told;

struct noted_key {
    uint64_t hash;
    uint32_t db;
    size_t at, n; /* its name in `names` */
};

static struct noted_key *noted; /* private, kept: nothing leaks when a transaction is left */
static uint32_t noted_room;
static uint8_t *names;
static size_t names_used, names_room;

static void *grown(void *p, size_t bytes)
{
    p = realloc(p, bytes);
    ENSURE(p != NULL);
    return p;
}

void blocking_note(const struct key *k)
{
    if (!interest_first(k, INTEREST_BLOCKED)) return;
    const struct noted_key *last = blocking_noted ? &noted[blocking_noted - 1] : NULL;
    if (last && last->hash == k->hash && last->db == k->db && last->n == k->name.n && memcmp(names + last->at, k->name.p, k->name.n) == 0)
        return;
    if (blocking_noted == noted_room) noted = grown(noted, (noted_room = noted_room * 2 + 16) * sizeof *noted);
    if (names_used + k->name.n > names_room) names = grown(names, names_room = (names_used + k->name.n) * 2);
    if (k->name.n) memcpy(names + names_used, k->name.p, k->name.n);
    noted[blocking_noted++] = (struct noted_key){k->hash, k->db, names_used, k->name.n};
    names_used += k->name.n;
}

void blocking_note_db(uint32_t db)
{
    for (uint32_t i = 0; i < STRIPE_COUNT; i++)
        for (shm_off off = stripe_lock_at(i)->interest; off;) {
            const struct interest_key *ik = shm_ptr(off);
            struct key k = {{ik->name, ik->len}, ik->hash, ik->db};
            if (ik->db == db) blocking_note(&k);
            off = ik->next;
        }
}

/* ---- serving ---- */

struct told {
    uint64_t client_id;
    uint32_t slot;
};
static struct told *told;
static uint32_t told_count, told_room;

static struct client proxy;
static struct client_record proxy_record;
static bool waits_on;
static struct reply proxy_reply;

bool waiter_is_proxy(const struct client *c) { return c == &proxy; }
void waiter_waits_on(void) { waits_on = true; }

static void keep_reply(struct txn *t, struct waiter *w)
{
    shm_off reply = 0;
    if (proxy_reply.len) {
        reply = txn_alloc(t, proxy_reply.len);
        memcpy(shm_ptr(reply), proxy_reply.buf, proxy_reply.len);
    }
    txn_touch(t, &w->state, 4);
    txn_touch(t, &w->reply, 16);
    w->reply = reply;
    w->reply_bytes = proxy_reply.len;
    w->state = WAITER_SERVED;
    if (told_count == told_room) told = grown(told, (told_room = told_room * 2 + 16) * sizeof *told);
    told[told_count++] = (struct told){w->client_id, w->slot};
    blocking_told++;
}

/* Runs a waiter's command again; true if it waits no more. */
static bool serve(struct txn *t, struct waiter *w)
{
    for (uint32_t i = 0; i < w->nhashes; i++)
        if (!txn_holds(t, stripe_of(waiter_hashes(w)[i]))) txn_fail(t, TXN_MORE_STRIPES, 0);
    if (!proxy_reply.buf) reply_init(&proxy_reply);
    proxy = (struct client){.id = w->client_id, .fd = -1, .db = w->db, .resp = (uint8_t)w->resp, .authenticated = true, .record = &proxy_record};
    proxy_reply.resp = (uint8_t)w->resp;
    reply_rewind(&proxy_reply, 0);
    struct slice *argv = scratch_alloc(w->argc * sizeof *argv);
    const uint8_t *p = waiter_bytes(w);
    for (uint32_t i = 0; i < w->argc; p += waiter_lengths(w)[i], i++) argv[i] = (struct slice){p, waiter_lengths(w)[i]};
    struct cmd c = {.spec = command_at(w->command), .client = &proxy, .out = &proxy_reply, .txn = t, .argv = argv, .argc = w->argc,
                    .db = w->db, .now_ms = ks_now_ms()};
    waits_on = false;
    t->log_unit = true;
    c.spec->handler(&c);
    if (waits_on) return false;
    cmd_log_sent(&c);
    if (c.dirty) stat_add(STAT_DIRTY, c.dirty);
    waiter_unregister(t, w);
    keep_reply(t, w);
    return true;
}

static void serve_key(struct txn *t, const struct key *k)
{
    bool served = false;
    if (!ks_peek(k)) ks_note_if_expired(k); /* as a look-up by the waiter would */
    for (shm_off reg = interest_first(k, INTEREST_BLOCKED), next; reg; reg = next) {
        const struct registration *r = interest_at(reg);
        const struct entry *e = ks_peek(k);
        if (!e && served) return;
        next = interest_next(reg, INTEREST_BLOCKED);
        uint64_t have = e ? UINT64_C(1) << entry_type(e) : BLOCK_GONE;
        if (!(r->wants & have) && !(e && r->wants & BLOCK_GONE)) continue;
        if (serve(t, waiter_at(r->waiter))) served = true;
    }
}

void blocking_serve(struct txn *t)
{
    ks_set_now_ms(clock_wall_ms()); /* the transaction had one time; what it takes (DEBUG SLEEP) has passed for those who are served now */
    for (uint32_t i = 0; i < blocking_noted; i++) { /* serving may note more */
        struct noted_key n = noted[i];
        if (!txn_holds(t, stripe_of(n.hash))) continue;
        uint8_t *name = scratch_alloc(n.n + 1);
        memcpy(name, names + n.at, n.n);
        struct key k = {{name, n.n}, n.hash, n.db};
        serve_key(t, &k);
    }
    blocking_noted = 0;
    names_used = 0;
}

void blocking_forget(void)
{
    if (blocking_told) waiter_begun(false);
    blocking_noted = blocking_told = told_count = 0;
    names_used = 0;
}

void blocking_tell(void)
{
    waiter_begun(true);
    for (uint32_t i = 0; i < told_count; i++) {
        struct unblock_message m = {told[i].client_id, UNBLOCK_SERVED};
        inbox_send(told[i].slot, INBOX_UNBLOCK, &m, sizeof m); /* a full ring: the owner finds it by itself (blocking_check) */
    }
    blocking_told = told_count = 0;
}
