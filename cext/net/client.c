/* net/client.c - making, describing and ending clients. What they are: cmd/client.h.
 *
 * Locks: none. A record is claimed by a compare-and-swap of its id from 0; afterwards only its owner stores there, text fields under
 * `sequence`. Death: the heir frees the records that name its slot.
 */
#include "net/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/blocking.h"
#include "cmd/monitor.h"
#include "cmd/multi.h"
#include "net/crowd.h"
#include "net/input.h"
#include "net/output.h"
#include "net/primary.h"
#include "net/replica.h"
#include "net/worker.h"
#include "resp/reply.h"
#include "shm/inbox.h"

#define ID_BUCKETS 4096u /* hash of this worker's clients by id */

struct client *clients_first;
uint32_t clients_count;
static struct client *closing;
static struct client *by_id[ID_BUCKETS];

/* ---- records ---- */

/* A free record names no slot, so that no heir takes one for a dead worker's that is just being claimed. */
static void record_release(struct client_record *r)
{
    atomic_store_explicit(&r->slot, UINT32_MAX, memory_order_relaxed);
    atomic_store_explicit(&r->id, 0, memory_order_release); /* pairs with the exchange in record_claim */
}

static struct client_record *record_claim(uint64_t id)
{
    static uint32_t next;
    uint32_t n = seg()->clients_max;
    if (!next) next = my_slot_index * 61;
    for (uint32_t i = 0; i < n; i++) {
        struct client_record *r = client_record_at((next + i) % n);
        uint64_t nobody = 0;
        if (atomic_load_explicit(&r->id, memory_order_relaxed)) continue;
        if (!atomic_compare_exchange_strong(&r->id, &nobody, id)) continue;
        next = (next + i + 1) % n;
        return r;
    }
    return NULL;
}

/* Everything but the id starts anew. */
static void record_clear(struct client_record *r)
{
    memset((char *)r + offsetof(struct client_record, created_ms), 0, sizeof *r - offsetof(struct client_record, created_ms));
    atomic_store_explicit(&r->slot, my_slot_index, memory_order_relaxed);
    atomic_store_explicit(&r->multi, -1, memory_order_relaxed);
    atomic_store_explicit(&r->resp, 2, memory_order_relaxed);
}

void client_records_sweep(uint32_t slot)
{
    for (uint32_t i = 0; i < seg()->clients_max; i++) {
        struct client_record *r = client_record_at(i);
        if (!atomic_load_explicit(&r->id, memory_order_relaxed) || atomic_load_explicit(&r->slot, memory_order_relaxed) != slot) continue;
        if (atomic_fetch_and(&r->flags, ~(uint32_t)CLIENT_FLAG_MONITOR) & CLIENT_FLAG_MONITOR) atomic_fetch_sub(&seg()->monitors, 1);
        record_release(r);
    }
}

/* Stores a text field so that readers notice if they saw half of it. */
static void record_text(struct client_record *r, char *field, size_t room, const void *p, size_t n)
{
    n = MIN(n, room - 1);
    uint32_t seq = atomic_load_explicit(&r->sequence, memory_order_relaxed);
    atomic_store_explicit(&r->sequence, seq + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release); /* pairs with the acquire in engine_client_get */
    if (n) memcpy(field, p, n);
    memset(field + n, 0, room - n);
    atomic_store_explicit(&r->sequence, seq + 2, memory_order_release);
}

static void format_address(const struct sockaddr_storage *a, char *out, size_t room)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)a;
        inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof ip);
        snprintf(out, room, "%s:%u", ip, ntohs(v4->sin_port));
    } else if (a->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)a;
        inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof ip);
        snprintf(out, room, "[%s]:%u", ip, ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_un *un = (const void *)a;
        snprintf(out, room, "%s:0", a->ss_family == AF_UNIX ? un->sun_path : "?");
    }
}

static void record_addresses(struct client *c)
{
    struct sockaddr_storage peer = {0}, local = {0};
    socklen_t np = sizeof peer, nl = sizeof local;
    char text[CLIENT_ADDR_MAX];
    getsockname(c->fd, (struct sockaddr *)&local, &nl);
    if (c->unix_socket || getpeername(c->fd, (struct sockaddr *)&peer, &np)) peer = local;
    format_address(&peer, text, sizeof text);
    record_text(c->record, c->record->addr, CLIENT_ADDR_MAX, text, strlen(text));
    format_address(&local, text, sizeof text);
    record_text(c->record, c->record->laddr, CLIENT_ADDR_MAX, text, strlen(text));
}

/* ---- life ---- */

static struct client *new_client(int fd, uint64_t id, struct client_record *r)
{
    struct client *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->fd = fd;
    c->id = id;
    c->resp = 2;
    c->record = r;
    c->created_ms = c->active_ms = clock_cached_mono_us() / 1000;
    record_clear(r);
    atomic_store_explicit(&r->fd, (uint32_t)fd, memory_order_relaxed);
    atomic_store_explicit(&r->created_ms, (uint64_t)c->created_ms, memory_order_relaxed);
    atomic_store_explicit(&r->active_ms, (uint64_t)c->active_ms, memory_order_relaxed);
    record_text(r, r->user, sizeof r->user, "default", 7);
    return c;
}

struct client *client_create(int fd, bool unix_socket)
{
    uint64_t id = atomic_fetch_add_explicit(&seg()->next_client_id, 1, memory_order_relaxed);
    struct client_record *r = record_claim(id);
    if (!r) return NULL;
    struct client *c = new_client(fd, id, r);
    if (!c) {
        record_release(r);
        return NULL;
    }
    c->unix_socket = unix_socket;
    if (unix_socket) client_set_flags(c, CLIENT_FLAG_UNIX_SOCKET, 0);
    record_addresses(c);
    c->next = clients_first;
    if (clients_first) clients_first->prev = c;
    clients_first = c;
    c->next_by_id = by_id[id % ID_BUCKETS];
    by_id[id % ID_BUCKETS] = c;
    clients_count++;
    crowd_account(c);
    return c;
}

struct client *client_create_internal(void)
{
    struct client_record *r = calloc(1, sizeof *r);
    ENSURE(r);
    struct client *c = new_client(-1, 0, r);
    ENSURE(c);
    c->authenticated = true;
    return c;
}

static void unlink_client(struct client *c)
{
    worker_forget(c);
    if (c->prev)
        c->prev->next = c->next;
    else
        clients_first = c->next;
    if (c->next) c->next->prev = c->prev;
    struct client **at = &by_id[c->id % ID_BUCKETS];
    while (*at != c) at = &(*at)->next_by_id;
    *at = c->next_by_id;
    clients_count--;
}

void client_destroy(struct client *c)
{
    crowd_forget(c);
    multi_client_closed(c);
    blocking_client_closed(c);
    monitor_stop(c);
    replica_client_closed(c);
    primary_client_closed(c);
    if (c->fd >= 0) {
        unlink_client(c);
        record_release(c->record);
    } else {
        free(c->record);
    }
    output_free(c);
    parser_reset(&c->parser);
    free(c->query);
    free(c->user);
    free((void *)(uintptr_t)c->name.p);
    free((void *)(uintptr_t)c->lib_name.p);
    free((void *)(uintptr_t)c->lib_version.p);
    free(c);
}

void client_close_asap(struct client *c)
{
    if (c->close_asap || c->fd < 0) return;
    c->close_asap = true;
    client_set_flags(c, CLIENT_FLAG_CLOSE_ASAP, 0);
    c->next_closing = closing;
    closing = c;
}

void client_close_after_reply(struct client *c)
{
    c->close_after_reply = true;
    client_set_flags(c, CLIENT_FLAG_CLOSE_AFTER_REPLY, 0);
}

void clients_free_closing(void)
{
    while (closing) {
        struct client *c = closing;
        closing = c->next_closing;
        client_destroy(c);
    }
}

struct client *client_find(uint64_t id)
{
    struct client *c = by_id[id % ID_BUCKETS];
    while (c && c->id != id) c = c->next_by_id;
    return c && !c->close_asap ? c : NULL;
}

bool client_kill(uint32_t slot, uint64_t id)
{
    if (slot != my_slot_index) return inbox_send(slot, INBOX_KILL, &id, sizeof id);
    struct client *c = client_find(id);
    if (!c) return true;
    client_close_asap(c);
    return true;
}

/* ---- facts ---- */

void client_set_flags(struct client *c, uint32_t set, uint32_t clear)
{
    c->flags = (c->flags & ~clear) | set;
    atomic_store_explicit(&c->record->flags, c->flags, memory_order_relaxed);
}

void client_set_db(struct client *c, uint32_t db)
{
    c->db = db;
    atomic_store_explicit(&c->record->db, db, memory_order_relaxed);
}

void client_set_resp(struct client *c, struct reply *out, uint8_t resp)
{
    c->resp = resp;
    if (out) out->resp = resp;
    atomic_store_explicit(&c->record->resp, resp, memory_order_relaxed);
}

bool client_set_text(struct client *c, enum client_text which, struct slice text)
{
    struct client_record *r = c->record;
    struct slice *field = which == CLIENT_TEXT_NAME ? &c->name : which == CLIENT_TEXT_LIB_NAME ? &c->lib_name : &c->lib_version;
    char *shown = which == CLIENT_TEXT_NAME ? r->name : which == CLIENT_TEXT_LIB_NAME ? r->lib_name : r->lib_version;
    size_t room = which == CLIENT_TEXT_NAME ? sizeof r->name : sizeof r->lib_name;
    uint8_t *copy = NULL;
    if (text.n) {
        if (!(copy = malloc(text.n))) return false;
        memcpy(copy, text.p, text.n);
    }
    free((void *)(uintptr_t)field->p);
    *field = (struct slice){copy, text.n};
    record_text(r, shown, room, copy, text.n);
    return true;
}

bool client_set_user(struct client *c, const char *user, bool authenticated)
{
    char *copy = NULL;
    if (user && !(copy = strdup(user))) return false;
    free(c->user);
    c->user = copy;
    c->authenticated = authenticated;
    const char *shown = user ? user : "default";
    record_text(c->record, c->record->user, sizeof c->record->user, shown, strlen(shown));
    return true;
}

void client_set_multi_count(struct client *c, int32_t n) { atomic_store_explicit(&c->record->multi, n, memory_order_relaxed); }
void client_set_watch_count(struct client *c, uint32_t n) { atomic_store_explicit(&c->record->watches, n, memory_order_relaxed); }

void client_publish(struct client *c)
{
    struct client_record *r = c->record;
#define PUBLISH(field, value) atomic_store_explicit(&r->field, (value), memory_order_relaxed)
    PUBLISH(active_ms, (uint64_t)c->active_ms);
    bool running = input_running == c;
    PUBLISH(query_bytes, running ? input_running_bytes : c->query_len - c->query_at);
    PUBLISH(query_free, running ? LENT_BYTES - MIN(input_running_bytes, LENT_BYTES) : c->query_cap - c->query_len);
    PUBLISH(argv_bytes, c->parser.cap * sizeof(struct slice));
    PUBLISH(output_list_bytes, c->out_memory);
    PUBLISH(output_list_length, c->out_chunks);
    PUBLISH(net_in, c->net_in);
    PUBLISH(net_out, c->net_out);
    PUBLISH(commands, c->commands);
#undef PUBLISH
}
