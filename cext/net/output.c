/* net/output.c - sending, keeping what cannot be sent, limits. Who owns what: output.h. */
#include "net/output.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/dispatch.h"
#include "net/crowd.h"
#include "net/log.h"
#include "net/primary.h"
#include "net/replica.h"
#include "net/worker.h"
#include "shm/slot.h"

#define CHUNK_BYTES (16u << 10) /* smallest room of a chunk */
#define CHUNK_TAKE (64u << 10)  /* from here on the reply buffer itself becomes the chunk */
#define SEND_VECTORS 16
#define FREE_OF_LIMIT (16u << 10) /* a reply up to this long is not held against the hard limit at once */
#define CHUNK_GATED 512u        /* smallest room of a chunk that waits for the disk */

static struct client *gated_first; /* clients whose first chunk waits */
static uint64_t gated_lsn;         /* at most the smallest LSN that one of them waits for */

/* ---- group commit ---- */

static uint64_t durable(void) { return atomic_load_explicit(&seg()->durable_lsn, memory_order_acquire); }

static void gated_add(struct client *c)
{
    if (!gated_first || c->out_first->lsn < gated_lsn) gated_lsn = c->out_first->lsn;
    if (c->gated) return;
    c->gated = true;
    c->prev_gated = NULL;
    c->next_gated = gated_first;
    if (gated_first) gated_first->prev_gated = c;
    gated_first = c;
}

static void gated_take(struct client *c)
{
    if (!c->gated) return;
    c->gated = false;
    if (c->next_gated) c->next_gated->prev_gated = c->prev_gated;
    if (c->prev_gated)
        c->prev_gated->next_gated = c->next_gated;
    else
        gated_first = c->next_gated;
}

void output_gates(void)
{
    uint64_t now = durable(), lowest = UINT64_MAX;
    if (likely(!gated_first) || gated_lsn > now) return;
    for (struct client *c = gated_first, *next; c; c = next) {
        next = c->next_gated;
        if (c->out_first->lsn > now) {
            lowest = MIN(lowest, c->out_first->lsn);
            continue;
        }
        gated_take(c);
        if (!c->close_asap) output_continue(c);
        if (c->gated) lowest = MIN(lowest, c->out_first->lsn);
    }
    gated_lsn = lowest;
}

bool output_may_sleep(void)
{
    if (likely(!gated_first)) return true;
    atomic_store_explicit(&my_slot->wait_lsn, gated_lsn, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in the log writer's wake_waiting */
    return durable() < gated_lsn;
}

/* ---- chunks ---- */

static struct out_chunk *chunk_append(struct client *c, uint8_t *data, size_t len, size_t cap)
{
    struct out_chunk *k = malloc(sizeof *k);
    if (!k) return NULL;
    *k = (struct out_chunk){.data = data, .len = len, .cap = cap};
    if (c->out_last)
        c->out_last->next = k;
    else
        c->out_first = k;
    c->out_last = k;
    c->out_memory += cap + sizeof *k;
    c->out_chunks++;
    c->out_bytes += len;
    return k;
}

static void chunk_drop_first(struct client *c)
{
    struct out_chunk *k = c->out_first;
    c->out_first = k->next;
    if (!k->next) c->out_last = NULL;
    c->out_memory -= k->cap + sizeof *k;
    c->out_chunks--;
    free(k->data);
    free(k);
}

void output_free(struct client *c)
{
    gated_take(c);
    while (c->out_first) chunk_drop_first(c);
    c->out_bytes = 0;
}

bool output_keep(struct client *c, const void *p, size_t n, uint64_t lsn)
{
    struct out_chunk *k = c->out_last;
    const uint8_t *from = p;
    if (k && k->cap > k->len && k->lsn >= lsn) {
        size_t part = MIN(n, k->cap - k->len);
        memcpy(k->data + k->len, from, part);
        k->len += part;
        c->out_bytes += part;
        from += part;
        n -= part;
    }
    if (n) {
        size_t cap = MAX(n, lsn ? (size_t)CHUNK_GATED : (size_t)CHUNK_BYTES);
        uint8_t *data = malloc(cap);
        if (!data || !(k = chunk_append(c, data, n, cap))) {
            free(data);
            client_close_asap(c);
            return false;
        }
        k->lsn = lsn;
        memcpy(data, from, n);
    }
    return true;
}

/* ---- limits ---- */

static const enum setting_id class_limits[] = {/* hard; soft and seconds follow it */
                                               [CLIENT_NORMAL] = SET_obuf_normal_hard,
                                               [CLIENT_REPLICA] = SET_obuf_replica_hard,
                                               [CLIENT_PUBSUB] = SET_obuf_pubsub_hard};

static enum setting_id limits_of(const struct client *c)
{
    return class_limits[c->flags & CLIENT_FLAG_REPLICA ? CLIENT_REPLICA : c->flags & CLIENT_FLAG_PUBSUB ? CLIENT_PUBSUB : CLIENT_NORMAL];
}

static COLD void close_over_limit(struct client *c)
{
    if (c->close_asap) return;
    server_log(LOG_WARNING, "Client id=%llu addr=%s scheduled to be closed ASAP for overcoming of output buffer limits.",
               (unsigned long long)c->id, c->record->addr);
    stat_add(STAT_OUTPUT_LIMIT, 1);
    client_close_asap(c);
}

void output_check_limits(struct client *c)
{
    enum setting_id at = limits_of(c);
    int64_t hard = setting(at), soft = setting(at + 1), seconds = setting(at + 2), now = clock_cached_mono_us() / 1000;
    int64_t used = (int64_t)c->out_memory;
    bool over = hard && used >= hard;
    if (soft && used >= soft) {
        if (!c->soft_since_ms) c->soft_since_ms = now;
        over |= now - c->soft_since_ms > seconds * 1000;
    } else {
        c->soft_since_ms = 0;
    }
    if (over) close_over_limit(c);
}

/* Replies count against the hard limit before the socket has had a chance to take them, as in Redis; so one reply can be too much. */
static bool reply_fits(struct client *c, const struct reply *r)
{
    int64_t hard = setting(limits_of(c));
    if (likely(!hard || r->len <= FREE_OF_LIMIT || (int64_t)(r->len + c->out_memory) < hard)) return true;
    close_over_limit(c);
    return false;
}

/* ---- sending ---- */

static void sent(struct client *c, size_t n)
{
    c->net_out += n;
    stat_add(STAT_NET_OUT, n);
    stat_add(STAT_WRITES, 1);
}

/* What a failed write means; true: try later. */
static bool may_retry(struct client *c)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return true;
    client_close_asap(c);
    return false;
}

void output_continue(struct client *c)
{
    if (unlikely(c->output_held)) {
        replica_writable(c);
        return;
    }
    gated_take(c);
    while (c->out_first && !c->close_asap) {
        struct iovec v[SEND_VECTORS];
        int n = 0;
        uint64_t now = c->out_first->lsn || c->out_last->lsn ? durable() : 0;
        if (c->out_first->lsn > now) {
            worker_want_write(c, false);
            gated_add(c);
            return;
        }
        for (struct out_chunk *k = c->out_first; k && n < SEND_VECTORS && k->lsn <= now; k = k->next)
            v[n++] = (struct iovec){k->data + k->sent, k->len - k->sent};
        struct msghdr m = {.msg_iov = v, .msg_iovlen = (size_t)n};
        ssize_t w = sendmsg(c->fd, &m, MSG_NOSIGNAL);
        if (w < 0) {
            if (may_retry(c)) worker_want_write(c, true);
            return;
        }
        sent(c, (size_t)w);
        c->out_bytes -= (size_t)w;
        while (w > 0) {
            struct out_chunk *k = c->out_first;
            size_t part = MIN((size_t)w, k->len - k->sent);
            k->sent += part;
            w -= (ssize_t)part;
            if (k->sent == k->len) chunk_drop_first(c);
        }
    }
    if (c->close_asap) return;
    if (c->wants_write) worker_want_write(c, false);
    c->soft_since_ms = 0;
    if (c->close_after_reply) client_close_asap(c);
}

/* Keeps what is left of the reply from `from` on; a large buffer changes hands instead of being copied. */
static void keep_rest(struct client *c, struct reply *r, size_t from, uint64_t lsn)
{
    if (r->len - from < CHUNK_TAKE) {
        output_keep(c, r->buf + from, r->len - from, lsn);
        return;
    }
    uint8_t *fitting = realloc(r->buf, r->len);
    struct out_chunk *k = chunk_append(c, fitting ? fitting : r->buf, r->len, r->len);
    if (!k) {
        client_close_asap(c);
        return;
    }
    k->sent = from;
    k->lsn = lsn;
    c->out_bytes -= from;
    r->buf = NULL;
    r->cap = 0;
}

void output_send(struct client *c, struct reply *r)
{
    uint64_t gate = reply_gate;
    reply_gate = 0;
    if (unlikely(gate) && gate <= durable()) gate = 0;
    if (r->broken) {
        server_log(LOG_WARNING, "client id=%llu closed: no memory for its reply", (unsigned long long)c->id);
        client_close_asap(c);
        r->broken = false;
    }
    if (unlikely(c->flags & CLIENT_FLAG_PRIMARY)) {
        primary_replied(c, r);
        return;
    }
    bool kept_from = unlikely(c->flags & CLIENT_FLAG_REPLICA) && r->len && !replica_may_reply(c);
    if (c->close_asap || kept_from || !r->len || !reply_fits(c, r)) {
        r->len = 0;
        if (!c->close_asap && c->close_after_reply && !c->out_first) client_close_asap(c);
        return;
    }
    size_t done = 0;
    if (!c->out_first && !gate) {
        ssize_t w = send(c->fd, r->buf, r->len, MSG_NOSIGNAL);
        if (w >= 0) {
            done = (size_t)w;
            sent(c, done);
        } else if (!may_retry(c)) {
            r->len = 0;
            return;
        }
    }
    if (done < r->len) {
        keep_rest(c, r, done, gate);
        if (!c->close_asap) {
            if (c->out_first->lsn)
                gated_add(c);
            else
                worker_want_write(c, true);
            client_publish(c);
            output_check_limits(c);
            crowd_account(c);
        }
    } else if (c->close_after_reply) {
        client_close_asap(c);
    }
    r->len = 0;
}
