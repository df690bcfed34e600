/* net/accept.c - taking connections, refusing them, handing them over. How the sharing works: accept.h. */
#include "net/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/client.h"
#include "net/log.h"
#include "net/primary.h"
#include "net/replica.h"
#include "net/worker.h"
#include "shm/replica_link.h"

#define LISTENERS_MAX 32u
#define ACCEPTS_A_TURN 64

struct handover handovers[SLOT_MAX] = {[0 ... SLOT_MAX - 1] = {-1, -1}};

static struct listener {
    int fd; /* -1 = free */
    enum listener_kind kind;
    bool resting;
} listeners[LISTENERS_MAX];
static uint32_t listeners_count;
static int spare_fd = -1;

enum { PARCEL_FILE = 16, PARCEL_PRIMARY }; /* beside enum listener_kind */

struct parcel {
    uint32_t births; /* of the worker for which the place was reserved */
    uint32_t kind;   /* enum listener_kind: a connection; PARCEL_FILE: a snapshot for replicas; PARCEL_PRIMARY: the link to our primary */
    uint64_t number; /* of its cut; of the hand-over */
};

void accept_init(void)
{
    spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    atomic_store(&my_slot->clients, 0);
    atomic_store(&my_slot->client_memory, 0);
}

void accept_add_listener(int fd, enum listener_kind kind)
{
    uint32_t i = 0;
    while (i < listeners_count && listeners[i].fd >= 0) i++;
    ENSURE(i < LISTENERS_MAX);
    listeners[i] = (struct listener){fd, kind, false};
    if (i == listeners_count) listeners_count++;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (!worker_watch_listener(fd, i)) server_log(LOG_WARNING, "Cannot watch a listening socket: %s", strerror(errno));
}

void accept_remove_listener(int fd)
{
    for (uint32_t i = 0; i < listeners_count; i++) {
        if (listeners[i].fd != fd) continue;
        if (!listeners[i].resting) worker_unwatch(fd);
        listeners[i].fd = -1;
    }
}

void accept_timer(void)
{
    for (uint32_t i = 0; i < listeners_count; i++)
        if (listeners[i].fd >= 0 && listeners[i].resting && worker_watch_listener(listeners[i].fd, i)) listeners[i].resting = false;
}

/* ---- counting ---- */

uint32_t accept_total(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < SLOT_MAX; i++)
        if (atomic_load_explicit(&slot_at(i)->kind, memory_order_relaxed) == SLOT_WORKER)
            n += atomic_load_explicit(&slot_at(i)->clients, memory_order_relaxed);
    return n;
}

static void give_back(struct slot *s)
{
    uint32_t n = atomic_load_explicit(&s->clients, memory_order_relaxed);
    while (n && !atomic_compare_exchange_weak_explicit(&s->clients, &n, n - 1, memory_order_relaxed, memory_order_relaxed)) {}
}

void accept_give_place_back(void) { give_back(my_slot); }

/* A worker that died leaves `ready` set until its heir is born; who notices first clears it. */
static bool lives(struct slot *s)
{
    pid_t pid = (pid_t)atomic_load_explicit(&s->pid, memory_order_relaxed);
    if (pid > 0 && (kill(pid, 0) == 0 || errno == EPERM)) return true;
    atomic_store_explicit(&s->ready, 0, memory_order_relaxed);
    return false;
}

/* The worker with the fewest connections; its place is taken. */
static uint32_t reserve_place(void)
{
    uint32_t best = my_slot_index, fewest = atomic_load_explicit(&my_slot->clients, memory_order_relaxed);
    for (uint32_t i = 0; i < SLOT_MAX; i++) {
        struct slot *s = slot_at(i);
        if (handovers[i].send < 0 || !atomic_load_explicit(&s->ready, memory_order_relaxed)) continue;
        uint32_t n = atomic_load_explicit(&s->clients, memory_order_relaxed);
        if (n < fewest && lives(s)) {
            fewest = n;
            best = i;
        }
    }
    atomic_fetch_add_explicit(&slot_at(best)->clients, 1, memory_order_relaxed);
    return best;
}

/* ---- refusing ---- */

static void refuse(int fd, const char *text)
{
    ssize_t n = send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT); /* best effort: it is closed anyway */
    (void)n;
    close(fd);
    stat_add(STAT_REJECTED, 1);
}

static bool from_outside(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET) return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 != 127;
    if (a->ss_family != AF_INET6) return false;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(v6)) return v6->s6_addr[12] != 127;
    return !IN6_IS_ADDR_LOOPBACK(v6);
}

static const char protected_text[] =
    "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. "
    "In this mode connections are only accepted from the loopback interface. To let other machines connect, do one of these: "
    "1) Set a password for the default user (requirepass). "
    "2) Send 'CONFIG SET protected-mode no' from this machine, if the server cannot be reached from the internet; add CONFIG REWRITE to "
    "keep it so. "
    "3) Write 'protected-mode no' into the configuration file and restart the server. "
    "4) Start the server with '--protected-mode no'.\r\n";

/* ---- taking ---- */

static void set_options(int fd, enum listener_kind kind)
{
    int one = 1, idle = (int)setting(SET_tcp_keepalive);
    if (kind == LISTENER_UNIX) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (idle <= 0) return;
    int interval = MAX(idle / 3, 1), count = 3;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

/* The connection is this worker's; its place is counted. */
static void serve(int fd, enum listener_kind kind)
{
    set_options(fd, kind);
    struct client *c = client_create(fd, kind == LISTENER_UNIX);
    if (!c) {
        accept_give_place_back();
        refuse(fd, "-ERR max number of clients reached\r\n");
        return;
    }
    c->authenticated = !setting(SET_auth_required);
    stat_add(STAT_CONNECTIONS, 1);
    if (!worker_watch_client(c)) client_close_asap(c);
}

static bool send_parcel(uint32_t slot, int fd, struct parcel parcel)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec v = {&parcel, sizeof parcel};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    struct cmsghdr *head = CMSG_FIRSTHDR(&m);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    return sendmsg(handovers[slot].send, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof parcel;
}

static bool hand_over(uint32_t slot, int fd, enum listener_kind kind)
{
    return send_parcel(slot, fd, (struct parcel){(uint32_t)atomic_load_explicit(&slot_at(slot)->births, memory_order_relaxed), kind, 0});
}

bool accept_send_file(uint32_t slot, int fd, uint64_t number) { return send_parcel(slot, fd, (struct parcel){0, PARCEL_FILE, number}); }

bool accept_send_primary(int fd)
{
    struct replica_link *l = replica_link();
    uint32_t best = SLOT_MAX;
    for (uint32_t i = 0; i < SLOT_MAX; i++)
        if (handovers[i].send >= 0 && atomic_load(&slot_at(i)->ready) && lives(slot_at(i)) &&
            (best == SLOT_MAX || atomic_load(&slot_at(i)->clients) < atomic_load(&slot_at(best)->clients)))
            best = i;
    if (best == SLOT_MAX) return false;
    uint64_t number = atomic_fetch_add(&l->number, 1) + 1;
    atomic_store(&l->slot, best);
    atomic_store(&l->client_id, LINK_ON_ITS_WAY);
    if (send_parcel(best, fd, (struct parcel){0, PARCEL_PRIMARY, number})) return true;
    atomic_store(&l->client_id, 0);
    return false;
}

static void admit(int fd, const struct listener *l, const struct sockaddr_storage *from)
{
    if (accept_total() >= (uint64_t)setting(SET_maxclients)) {
        refuse(fd, "-ERR max number of clients reached\r\n");
        return;
    }
    if (setting(SET_protected_mode) && !setting(SET_auth_required) && l->kind == LISTENER_TCP && from_outside(from)) {
        refuse(fd, protected_text);
        return;
    }
    uint32_t slot = reserve_place();
    if (slot != my_slot_index) {
        if (hand_over(slot, fd, l->kind)) {
            close(fd);
            return;
        }
        give_back(slot_at(slot)); /* its queue is full: we serve */
        atomic_fetch_add_explicit(&my_slot->clients, 1, memory_order_relaxed);
    }
    serve(fd, l->kind);
}

/* No descriptor is left: the spare one lets the caller know, then the listener rests until the next timer. */
static void out_of_descriptors(struct listener *l)
{
    close(spare_fd);
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) refuse(fd, "-ERR max number of clients reached\r\n");
    spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    l->resting = true;
    worker_unwatch(l->fd);
    server_log(LOG_WARNING, "Accepting client connection: no free file descriptor");
}

void accept_ready(uint32_t index)
{
    struct listener *l = &listeners[index];
    for (int i = 0; i < ACCEPTS_A_TURN && l->fd >= 0 && !l->resting; i++) {
        struct sockaddr_storage from = {0};
        socklen_t n = sizeof from;
        int fd = accept4(l->fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            admit(fd, l, &from);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            out_of_descriptors(l);
        else if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

void accept_handed_over(void)
{
    for (;;) {
        struct parcel parcel;
        union {
            char bytes[CMSG_SPACE(sizeof(int))];
            struct cmsghdr align;
        } control;
        struct iovec v = {&parcel, sizeof parcel};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
        ssize_t n = recvmsg(handovers[my_slot_index].receive, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return;
        struct cmsghdr *head = CMSG_FIRSTHDR(&m);
        int fd = -1;
        bool whole = n == sizeof parcel && head && head->cmsg_type == SCM_RIGHTS;
        if (whole) memcpy(&fd, CMSG_DATA(head), sizeof fd);
        if (n == sizeof parcel && parcel.kind == PARCEL_FILE) {
            if (whole) replica_file_arrived(fd, parcel.number);
            continue;
        }
        if (n == sizeof parcel && parcel.kind == PARCEL_PRIMARY) {
            if (!whole)
                link_sweep(my_slot_index); /* no free descriptor: it is tried again */
            else if (set_options(fd, LISTENER_TCP), primary_arrived(fd, parcel.number))
                atomic_fetch_add_explicit(&my_slot->clients, 1, memory_order_relaxed);
            continue;
        }
        if (parcel.births != (uint32_t)atomic_load_explicit(&my_slot->births, memory_order_relaxed))
            atomic_fetch_add_explicit(&my_slot->clients, 1, memory_order_relaxed);
        if (!whole) { /* our descriptors are used up: the kernel dropped it */
            accept_give_place_back();
            continue;
        }
        serve(fd, (enum listener_kind)parcel.kind);
    }
}
