/* net/worker.c - the loop. Its order and fairness: worker.h. */
#include "net/crowd.h"
#include "net/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ticks.h"
#include "keyspace/keyspace.h"
#include "cmd/blocking.h"
#include "cmd/monitor.h"
#include "cmd/observe.h"
#include "keyspace/lazy.h"
#include "net/accept.h"
#include "net/engine_hooks.h"
#include "net/input.h"
#include "net/linger.h"
#include "net/log.h"
#include "net/output.h"
#include "net/primary.h"
#include "net/replica.h"
#include "net/slow.h"
#include "shm/inbox.h"
#include "shm/ring.h"

#define EVENTS 256
#define SWEEP_MS 1000 /* how often every client is looked at */

struct reply worker_reply;

/* What an epoll event speaks of: a client's address, or one of these in the low bits. */
enum tag { TAG_CLIENT, TAG_LISTENER, TAG_HANDOVER, TAG_EVENTFD, TAG_CONTROL, TAG_MASK = 7 };

static int epoll_fd = -1, control_fd = -1;
static struct client *runnable_first, *runnable_last, *held_first, *held_last;
static volatile sig_atomic_t stop_reason;
#define LAZY_ITEMS 1024u /* items freed in one turn of the loop */
static bool free_failed; /* no memory for its undo records: not again before the next cron */

static int64_t next_cron_us, next_sweep_ms, next_tick_us;
static int64_t tick_us = 1000000;

/* ---- lists ---- */

static void list_push(struct client **first, struct client **last, struct client *c, enum client_listed which)
{
    c->listed = (uint8_t)which;
    c->next_listed = NULL;
    c->prev_listed = *last;
    if (*last)
        (*last)->next_listed = c;
    else
        *first = c;
    *last = c;
}

static void list_take(struct client *c)
{
    if (c->listed == CLIENT_ON_NONE) return;
    if (c->listed == CLIENT_ON_PAUSED) client_set_flags(c, 0, CLIENT_FLAG_BLOCKED);
    struct client **first = c->listed == CLIENT_ON_RUNNABLE ? &runnable_first : &held_first;
    struct client **last = c->listed == CLIENT_ON_RUNNABLE ? &runnable_last : &held_last;
    if (c->prev_listed)
        c->prev_listed->next_listed = c->next_listed;
    else
        *first = c->next_listed;
    if (c->next_listed)
        c->next_listed->prev_listed = c->prev_listed;
    else
        *last = c->prev_listed;
    c->listed = CLIENT_ON_NONE;
}

void worker_run_later(struct client *c)
{
    if (c->listed == CLIENT_ON_RUNNABLE || c->fd < 0) return;
    list_take(c);
    list_push(&runnable_first, &runnable_last, c, CLIENT_ON_RUNNABLE);
}

void worker_hold(struct client *c)
{
    if (c->listed == CLIENT_ON_PAUSED || c->fd < 0) return;
    list_take(c);
    list_push(&held_first, &held_last, c, CLIENT_ON_PAUSED);
    client_set_flags(c, CLIENT_FLAG_BLOCKED, 0); /* as Redis shows it; it waits for no key, so c->blocked stays NULL */
}

void client_resume(struct client *c) { worker_run_later(c); }

/* ---- descriptors ---- */

static bool watch(int fd, uint32_t events, uint64_t data, int op)
{
    struct epoll_event e = {.events = events, .data.u64 = data};
    return epoll_ctl(epoll_fd, op, fd, &e) == 0;
}

bool worker_watch_client(struct client *c) { return watch(c->fd, EPOLLIN, (uint64_t)(uintptr_t)c, EPOLL_CTL_ADD); }

void worker_want_write(struct client *c, bool on)
{
    if (c->wants_write == on) return;
    c->wants_write = on;
    if (!watch(c->fd, EPOLLIN | (on ? EPOLLOUT : 0), (uint64_t)(uintptr_t)c, EPOLL_CTL_MOD)) client_close_asap(c);
}

bool worker_watch_listener(int fd, uint32_t index)
{
    return watch(fd, EPOLLIN | EPOLLEXCLUSIVE, (uint64_t)index << 3 | TAG_LISTENER, EPOLL_CTL_ADD);
}

void worker_unwatch(int fd) { watch(fd, 0, 0, EPOLL_CTL_DEL); }

void worker_forget(struct client *c)
{
    list_take(c);
    close(c->fd);
    accept_give_place_back();
}

static void push(struct client *c, const void *p, size_t n, uint64_t lsn)
{
    if (c->close_asap || c->fd < 0 || !output_keep(c, p, n, lsn)) return;
    worker_want_write(c, true);
    output_check_limits(c);
}

void client_push(struct client *c, const void *p, size_t n) { push(c, p, n, group_commit_on() ? atomic_load(&seg()->lsn) : 0); }
void client_push_ungated(struct client *c, const void *p, size_t n) { push(c, p, n, 0); }

void client_answer(struct client *c, const void *p, size_t n)
{
    observe_late(c->record->command - 1, p, n);
    if (log_on()) c->wrote_lsn = atomic_load_explicit(&seg()->lsn, memory_order_acquire); /* at least that of its own writes */
    client_push(c, p, n);
    c->away = false;
    client_resume(c);
}

void worker_set_control(int fd)
{
    if (control_fd >= 0) worker_unwatch(control_fd);
    control_fd = fd;
    if (fd >= 0 && !watch(fd, EPOLLIN, TAG_CONTROL, EPOLL_CTL_ADD)) server_log(LOG_WARNING, "Cannot watch the control socket");
}

/* ---- messages ---- */

static void release_held(void)
{
    while (held_first) worker_run_later(held_first);
}

void worker_nudge(void) { release_held(); }

static void deliver_to_monitors(const void *line, size_t n)
{
    for (struct client *c = clients_first; c; c = c->next)
        if (c->flags & CLIENT_FLAG_MONITOR) client_push(c, line, n);
}

static void on_message(const struct inbox_message *m, const void *p)
{
    uint64_t id = 0;
    if (m->bytes >= sizeof id) memcpy(&id, p, sizeof id);
    struct client *c = id ? client_find(id) : NULL;
    switch ((enum inbox_kind)m->kind) {
    case INBOX_KILL:
        if (c) client_close_asap(c);
        break;
    case INBOX_PUSH:
        if (c) client_push(c, (const char *)p + sizeof id, m->bytes - sizeof id);
        break;
    case INBOX_NUDGE:
        release_held();
        break;
    case INBOX_MONITOR:
        deliver_to_monitors(p, m->bytes);
        break;
    case INBOX_UNBLOCK: {
        struct unblock_message u;
        memcpy(&u, p, sizeof u);
        blocking_message(&u);
        break;
    }
    case INBOX_PAD:
    case INBOX_PUBLISH:
    case INBOX_PYTHON:
        break;
    }
}

/* ---- timer ---- */

static void sweep_clients(int64_t now_ms)
{
    int64_t timeout = setting(SET_timeout) * 1000;
    for (struct client *c = clients_first; c; c = c->next) {
        input_drop_idle(c, now_ms);
        client_publish(c);
        crowd_account(c);
        if (c->out_first) output_check_limits(c);
        bool exempt = c->blocked || c->away || c->flags & (CLIENT_FLAG_PUBSUB | CLIENT_FLAG_REPLICA | CLIENT_FLAG_PRIMARY | CLIENT_FLAG_MONITOR);
        if (timeout > 0 && !exempt && now_ms - c->active_ms > timeout) {
            server_log(LOG_VERBOSE, "Closing idle client id=%llu", (unsigned long long)c->id);
            client_close_asap(c);
        }
    }
}

/* Which part of the upkeep of keys is this worker's: its place among those that serve. */
static uint32_t share_of_upkeep(uint32_t *shares)
{
    uint32_t mine = 0, all = 0;
    for (uint32_t i = 0; i < SLOT_MAX; i++) {
        if (i == my_slot_index) mine = all;
        all += i == my_slot_index || (atomic_load_explicit(&slot_at(i)->kind, memory_order_relaxed) == SLOT_WORKER &&
                                      atomic_load_explicit(&slot_at(i)->ready, memory_order_relaxed));
    }
    *shares = all;
    return mine;
}

/* What was deleted in the background is freed between the turns, a fraction of a millisecond at a time. */
static void free_some(void)
{
    if (my_slot->lazy_head && !free_failed) free_failed = !lazy_step(LAZY_ITEMS) && my_slot->lazy_head;
}

static void cron(int64_t now_us)
{
    next_cron_us = now_us + 1000000 / MIN(MAX(setting(SET_hz), 1), 500);
    uint32_t shares, share = share_of_upkeep(&shares);
    int64_t begun = clock_mono_us();
    if (!ring_short()) ks_expire_cycle(share, shares, 1000);
    slow_event("expire-cycle", clock_mono_us() - begun);
    free_failed = false;
    blocking_check();
    accept_timer();
    crowd_check();
    if (held_first && !(atomic_load_explicit(&seg()->clients_paused, memory_order_relaxed) &&
                        clock_cached_ms() < atomic_load_explicit(&seg()->pause_until_ms, memory_order_relaxed)))
        release_held();
    if (now_us / 1000 >= next_sweep_ms) {
        next_sweep_ms = now_us / 1000 + SWEEP_MS;
        ticks_tune();
        sweep_clients(now_us / 1000);
    }
    if (now_us >= next_tick_us) {
        next_tick_us = now_us + tick_us;
        if (engine_hooks.tick) engine_hooks.tick();
    }
}

/* ---- the loop ---- */

int worker_init(void)
{
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) return -1;
    monitor_deliver = deliver_to_monitors;
    reply_init(&worker_reply);
    input_init();
    linger_init();
    accept_init();
    return 0;
}

/* What wakes this worker: its eventfd and its handover socket. */
static bool watch_own(void)
{
    static bool done;
    int *event = &inbox_eventfd[my_slot_index], parcels = handovers[my_slot_index].receive;
    if (done) return true;
    if (*event < 0) *event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    done = *event >= 0 && watch(*event, EPOLLIN, TAG_EVENTFD, EPOLL_CTL_ADD) &&
           (parcels < 0 || watch(parcels, EPOLLIN, TAG_HANDOVER, EPOLL_CTL_ADD));
    return done;
}

void worker_tick_every(uint32_t ms)
{
    tick_us = (int64_t)MAX(ms, 20) * 1000;
    next_tick_us = MIN(next_tick_us, clock_mono_us() + tick_us);
}

void worker_stop(int reason)
{
    stop_reason = reason;
    if (!my_slot || inbox_eventfd[my_slot_index] < 0) return;
    uint64_t one = 1;
    ssize_t n = write(inbox_eventfd[my_slot_index], &one, sizeof one);
    (void)n;
}

static void on_client(struct client *c, uint32_t events)
{
    if (c->close_asap) return;
    if (events & EPOLLOUT) output_continue(c);
    if (c->close_asap) return;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) input_ready(c);
}

static void on_event(const struct epoll_event *e)
{
    uint64_t v = e->data.u64;
    switch ((enum tag)(v & TAG_MASK)) {
    case TAG_CLIENT:
        on_client((struct client *)(uintptr_t)v, e->events);
        break;
    case TAG_LISTENER:
        accept_ready((uint32_t)(v >> 3));
        break;
    case TAG_HANDOVER:
        accept_handed_over();
        break;
    case TAG_EVENTFD: {
        uint64_t n;
        ssize_t got = read(inbox_eventfd[my_slot_index], &n, sizeof n);
        (void)got;
        if (held_first && !ring_short()) release_held(); /* they may wait for room in the log's ring */
        break;
    }
    default:
        if (engine_hooks.control) engine_hooks.control();
        break;
    }
}

/* Clients that stand on the list now get one turn each. */
static void run_listed(void)
{
    struct client *last = runnable_last;
    while (runnable_first) {
        struct client *c = runnable_first;
        list_take(c);
        if (!c->close_asap) input_continue(c);
        if (c == last) return;
    }
}

/* Milliseconds that the loop may sleep. */
static int may_sleep_ms(void)
{
    int64_t wake_ms = blocking_next_ms(), us = MIN(next_cron_us, next_tick_us);
    if (wake_ms < us / 1000) us = wake_ms * 1000;
    us -= clock_mono_us();
    bool freeing = my_slot->lazy_head && !free_failed;
    if (runnable_first || stop_reason || freeing || us <= 0 || !inbox_may_sleep() || !output_may_sleep() || !blocking_may_sleep()) return 0;
    return (int)((us + 999) / 1000);
}

/* DEBUG SLEEP on another worker stops this one, too, before it does what it woke up for. */
static COLD void stand_still(void)
{
    for (int64_t left; !stop_reason && (left = atomic_load_explicit(&seg()->stopped_until_us, memory_order_relaxed) - clock_mono_us()) > 0;) {
        struct timespec t = {left / 1000000, left % 1000000 * 1000};
        nanosleep(&t, NULL); /* a signal ends it, and is looked at */
    }
}

int worker_serve(void)
{
    static struct epoll_event events[EVENTS];
    if (!watch_own()) return -1;
    clock_refresh();
    next_tick_us = clock_cached_mono_us() + tick_us;
    for (int n = 0; !stop_reason;) {
        int sleep_ms = may_sleep_ms();
        if (sleep_ms) linger((uint32_t)MAX(n, 0));
        n = epoll_wait(epoll_fd, events, EVENTS, sleep_ms);
        inbox_awake();
        if (unlikely(atomic_load_explicit(&seg()->stopped_until_us, memory_order_relaxed) > clock_cached_mono_us())) stand_still();
        clock_refresh();
        ks_set_now_ms(clock_cached_ms());
        atomic_fetch_add_explicit(&my_slot->loop_epoch, 1, memory_order_relaxed);
        output_gates();
        blocking_check_syncs();
        run_listed();
        for (int i = 0; i < n; i++) on_event(&events[i]);
        input_run();
        inbox_receive(on_message);
        replicas_turn();
        primary_turn();
        blocking_expire(clock_cached_mono_us() / 1000);
        if (clock_cached_mono_us() >= MIN(next_cron_us, next_tick_us)) cron(clock_cached_mono_us());
        free_some();
        clients_free_closing();
    }
    int reason = stop_reason;
    stop_reason = 0;
    return reason;
}

void worker_close_all(void)
{
    for (struct client *c = clients_first; c; c = c->next) {
        if (c->out_first && !c->close_asap) output_continue(c);
        client_close_asap(c);
    }
    clients_free_closing();
}
