/* net/replica.c - one replica after the other: waiting, keeping the stream, sending. The way it goes: replica.h. */
#include "net/replica.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/log.h"
#include "net/output.h"
#include "net/worker.h"
#include "shm/inbox.h"
#include "shm/ring.h"

#define PIECE_BYTES (64u << 10)  /* copied from the stream at a time */
#define SEND_BYTES (1u << 20)    /* of the file in one turn */
#define LINE_EVERY_MS 1000       /* empty lines to a replica that waits */

static struct replica *replicas;

static uint64_t relaxed(const _Atomic uint64_t *p) { return atomic_load_explicit(p, memory_order_relaxed); }
static int64_t now_ms(void) { return clock_cached_mono_us() / 1000; }

static void lost(struct replica *r, const char *why)
{
    server_log(LOG_WARNING, "Connection with replica client id #%llu lost: %s", (unsigned long long)r->client->id, why);
    client_close_asap(r->client);
}

static void set_state(struct replica *r, enum replica_state state)
{
    r->state = state;
    atomic_store_explicit(&r->record->state, state, memory_order_release);
}

/* ---- beginning and end ---- */

static void fill_record(struct replica *r)
{
    const char *addr = r->client->record->addr, *colon = strrchr(addr, ':');
    if (r->ip[0])
        snprintf(r->record->ip, sizeof r->record->ip, "%s", r->ip);
    else
        snprintf(r->record->ip, sizeof r->record->ip, "%.*s", colon ? (int)(colon - addr) : 0, addr);
    atomic_store_explicit(&r->record->port, r->port, memory_order_relaxed);
}

static bool attach(struct replica *r, uint64_t at)
{
    r->record = replica_claim(r->client->id, at);
    if (!r->record) return false;
    r->at = at;
    fill_record(r);
    r->next = replicas;
    replicas = r;
    client_set_flags(r->client, CLIENT_FLAG_REPLICA, 0);
    return true;
}

static void detach(struct replica *r)
{
    struct replica **p = &replicas;
    while (*p && *p != r) p = &(*p)->next;
    if (*p) *p = r->next;
    if (r->record) replica_release(r->record);
    r->record = NULL;
    client_set_flags(r->client, 0, CLIENT_FLAG_REPLICA);
}

bool replica_full(struct replica *r)
{
    if (!attach(r, repl_mark().end)) return false;
    r->client->output_held = true;
    r->line_ms = now_ms();
    r->request = atomic_fetch_add(&repl()->wanted, 1) + 1;
    atomic_store(&r->record->request, r->request);
    set_state(r, REPLICA_WAITS);
    server_log(LOG_NOTICE, "Replica %s:%u asks for synchronization", r->record->ip, r->port);
    return true;
}

bool replica_continue(struct replica *r, uint64_t at)
{
    if (!attach(r, at)) return false;
    atomic_thread_fence(memory_order_seq_cst); /* the record's position before `first`: whoever moves it sees the position, or we see that he has */
    if (atomic_load(&repl()->first) > at) {
        detach(r);
        return false;
    }
    atomic_store(&r->record->ack, at);
    set_state(r, REPLICA_ONLINE);
    server_log(LOG_NOTICE, "Partial resynchronization request from %s:%u accepted", r->record->ip, r->port);
    return true;
}

void replica_client_closed(struct client *c)
{
    struct replica *r = c->replica;
    if (!r) return;
    if (r->record) detach(r);
    if (r->rdb_fd >= 0) close(r->rdb_fd);
    free(r);
    c->replica = NULL;
}

void replica_ack(struct replica *r, uint64_t offset)
{
    atomic_store_explicit(&r->record->ack_ms, clock_mono_us() / 1000, memory_order_relaxed);
    if (r->state != REPLICA_ONLINE || offset <= relaxed(&r->record->ack)) return;
    atomic_store(&r->record->ack, offset);
    for (uint64_t slots = atomic_load(&repl()->ack_slots), one = 1; slots; slots &= slots - 1) {
        uint32_t slot = (uint32_t)__builtin_ctzll(slots);
        if (inbox_eventfd[slot] < 0) continue;
        ssize_t n = write(inbox_eventfd[slot], &one, sizeof one);
        (void)n;
    }
}

bool replica_may_reply(struct client *c)
{
    struct replica *r = c->replica;
    if (!r || !r->record || !r->speaks) return true;
    lost(r, "it sent a command that has a reply");
    return false;
}

/* ---- the stream ---- */

/* Copies what is new to the client's output. */
static void take_stream(struct replica *r)
{
    static uint8_t piece[PIECE_BYTES];
    while (!r->client->close_asap) {
        int64_t n = backlog_read(r->at, piece, sizeof piece);
        if (n < 0) {
            lost(r, "it was too slow for the replication backlog");
            return;
        }
        if (!n) break;
        if (!output_keep(r->client, piece, (size_t)n, 0)) return;
        r->at += (uint64_t)n;
        stat_add(STAT_NET_REPL_OUT, (uint64_t)n);
        atomic_store_explicit(&r->record->at, r->at, memory_order_release); /* pairs with the acquire in replfeed.c, room() */
        output_check_limits(r->client);
    }
}

/* ---- before the file is there ---- */

/* Its cut may have been taken. Nothing of the stream behind a cut is passed over: the log writer tells the place before it goes on. */
static void look_for_anchor(struct replica *r)
{
    uint64_t end = repl_mark().end, number = atomic_load_explicit(&repl()->anchor, memory_order_acquire);
    if (number < r->request) {
        r->at = end;
        atomic_store_explicit(&r->record->at, end, memory_order_release);
        return;
    }
    uint64_t begins = relaxed(&repl()->anchor_at);
    atomic_thread_fence(memory_order_acquire);
    if (relaxed(&repl()->anchor) != number) return; /* there is another one already: with the next turn */
    r->anchor = number;
    r->begins = r->at = begins;
    set_state(r, REPLICA_SAVES);
}

static void tell_to_wait(struct replica *r)
{
    if (now_ms() - r->line_ms < LINE_EVERY_MS) return;
    r->line_ms = now_ms();
    ssize_t n = send(r->client->fd, "\n", 1, MSG_NOSIGNAL | MSG_DONTWAIT); /* one that does not get out is no loss */
    if (n < 0 && errno != EAGAIN && errno != EINTR) client_close_asap(r->client);
}

/* ---- the file ---- */

static void begin_sending(struct replica *r)
{
    char id[REPLID_LEN + 1];
    int n = 0;
    repl_id(id);
    if (r->acks) n = snprintf(r->head, sizeof r->head, "+FULLRESYNC %s %llu\r\n", id, (unsigned long long)r->begins);
    n += snprintf(r->head + n, sizeof r->head - (size_t)n, "$%llu\r\n", (unsigned long long)r->rdb_bytes);
    r->head_n = (uint32_t)n;
    set_state(r, REPLICA_SENDS);
    worker_want_write(r->client, true);
}

void replica_file_arrived(int fd, uint64_t number)
{
    struct stat st;
    if (fstat(fd, &st) == 0)
        for (struct replica *r = replicas; r; r = r->next) {
            if (r->client->close_asap) continue;
            if (r->state == REPLICA_WAITS) look_for_anchor(r);
            if (r->state != REPLICA_SAVES || r->anchor != number) continue;
            r->rdb_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
            r->rdb_bytes = (uint64_t)st.st_size;
            if (r->rdb_fd < 0)
                lost(r, "no free file descriptor");
            else
                begin_sending(r);
        }
    close(fd);
}

static bool may_retry(struct replica *r)
{
    if (errno == EAGAIN || errno == EINTR) return true;
    lost(r, strerror(errno));
    return false;
}

static bool send_head(struct replica *r)
{
    while (r->head_sent < r->head_n) {
        ssize_t n = send(r->client->fd, r->head + r->head_sent, r->head_n - r->head_sent, MSG_NOSIGNAL | MSG_MORE);
        if (n < 0) {
            may_retry(r);
            return false;
        }
        r->head_sent += (uint32_t)n;
    }
    return true;
}

static bool send_file(struct replica *r)
{
    uint64_t stop = MIN(r->rdb_bytes, r->rdb_sent + SEND_BYTES);
    while (r->rdb_sent < stop) {
        off_t from = (off_t)r->rdb_sent;
        ssize_t n = sendfile(r->client->fd, r->rdb_fd, &from, (size_t)(stop - r->rdb_sent));
        if (n == 0) {
            lost(r, "the snapshot's file is shorter than it was");
            return false;
        }
        if (n < 0) {
            may_retry(r);
            return false;
        }
        r->rdb_sent += (uint64_t)n;
        r->client->net_out += (uint64_t)n;
        stat_add(STAT_NET_OUT, (uint64_t)n);
        stat_add(STAT_NET_REPL_OUT, (uint64_t)n);
    }
    return r->rdb_sent == r->rdb_bytes;
}

static void finish(struct replica *r)
{
    close(r->rdb_fd);
    r->rdb_fd = -1;
    r->client->output_held = false;
    server_log(LOG_NOTICE, "Synchronization with replica %s:%u succeeded", r->record->ip, r->port);
    if (r->rdb_only) { /* it closes when it has the file */
        output_free(r->client);
        detach(r);
        worker_want_write(r->client, false);
        return;
    }
    atomic_store_explicit(&r->record->ack_ms, now_ms(), memory_order_relaxed);
    set_state(r, REPLICA_ONLINE);
    output_continue(r->client);
}

void replica_writable(struct client *c)
{
    struct replica *r = c->replica;
    if (!r || r->state != REPLICA_SENDS)
        worker_want_write(c, false);
    else if (send_head(r) && send_file(r))
        finish(r);
}

/* ---- the turn ---- */

static void turn(struct replica *r)
{
    struct client *c = r->client;
    r->speaks = true;
    if (r->state == REPLICA_WAITS) look_for_anchor(r);
    if (r->state == REPLICA_WAITS || r->state == REPLICA_SAVES) {
        if (atomic_load_explicit(&repl()->failed, memory_order_acquire) >= (r->anchor ? r->anchor : r->request)) {
            lost(r, "the snapshot for it could not be made");
            return;
        }
        tell_to_wait(r);
    }
    if (r->state == REPLICA_WAITS || c->close_asap) return;
    if (r->state == REPLICA_ONLINE && r->acks && now_ms() - atomic_load_explicit(&r->record->ack_ms, memory_order_relaxed) > setting(SET_repl_timeout) * 1000) {
        lost(r, "timeout");
        return;
    }
    if (r->at == repl_mark().end) return;
    bool waits = c->out_first != NULL;
    take_stream(r);
    if (r->state == REPLICA_ONLINE && !waits && !c->close_asap) output_continue(c);
}

void replicas_turn(void)
{
    for (struct replica *r = replicas, *next; r; r = next) {
        next = r->next;
        if (!r->client->close_asap) turn(r);
    }
}
