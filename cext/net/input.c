/* net/input.c - reading, cutting into batches, executing, answering. Whose buffer is which: input.h. */
#include "net/crowd.h"
#include "net/input.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ticks.h"
#include "cmd/dispatch.h"
#include "keyspace/prefetch.h"
#include "net/linger.h"
#include "net/log.h"
#include "net/output.h"
#include "net/primary.h"
#include "net/worker.h"
#include "shm/ring.h"
#include "snap/rdb_load.h"

#define REPLY_FLUSH (256u << 10) /* replies of one turn are sent when they are this long */
#define CLOCK_US 50
#define PRIVATE_MIN 1024u
#define PRIVATE_READ (16u << 10) /* room for reading behind a private leftover */
#define KEPT_MAX (4u << 20)      /* a larger buffer is not kept for the next large argument */
#define KEPT_IDLE_MS 2000
#define ARGS_MAX 8192u           /* arguments of a batch of whole commands */
#define GROUP_MAX 16u            /* clients whose input is read before the first of it is executed */
#define PEEK_ARGS 8u

const struct client *input_running;
size_t input_running_bytes;
static uint8_t *lent;     /* room for one full read behind LENT_BYTES of smaller ones */
static size_t lent_used;
static struct {
    struct client *client;
    const uint8_t *p;
    size_t n;
} group[GROUP_MAX];
static uint32_t grouped;
static struct slice *args;
static struct batch batch;

void input_init(void)
{
    lent = malloc(2 * LENT_BYTES + PARSE_PAD);
    args = malloc(ARGS_MAX * sizeof *args);
    ENSURE(lent && args);
}

/* The time that the next commands see: at most CLOCK_US old. */
static void refresh_time(void)
{
    static int64_t last;
    int64_t now = ticks_now();
    if (now - last < ticks_from_us(CLOCK_US)) return;
    last = now;
    clock_refresh();
    ks_set_now_ms(clock_cached_ms());
}

/* ---- executing ---- */

enum pace { PACE_GO, PACE_STOP, PACE_LATER };

static bool stopped(const struct client *c) { return c->close_asap || c->close_after_reply || c->blocked || c->away; }

/* The log writer is behind: whoever may write waits for room in this worker's ring. Not when writes are refused anyway. */
static COLD bool waits_for_log(struct client *c)
{
    bool may_write = client_in_multi(c);
    for (uint32_t i = 0; i < batch.count && !may_write; i++) {
        const struct command *s = batch.commands[i].spec;
        may_write = s && s->flags & (CMD_WRITE | CMD_MAY_REPLICATE);
    }
    if (!may_write || atomic_load_explicit(&seg()->write_error, memory_order_relaxed) & 2) return false;
    atomic_store_explicit(&my_slot->log.producer_waits, 1, memory_order_relaxed);
    ring_wake_writer();
    if (!ring_short()) return false;
    worker_hold(c);
    batch.count = 0;
    return true;
}

/* Executes the batch. *at moves behind what was executed. */
static enum pace run(struct client *c, size_t *at)
{
    bool held;
    if (ring_short() && waits_for_log(c)) return PACE_STOP;
    uint32_t count = batch.count, done = batch_run(&batch, c, &worker_reply, REPLY_FLUSH, &held);
    if (unlikely(rdb_refused != NULL)) {
        server_log(LOG_WARNING, "A payload of RESTORE was refused: %s", rdb_refused);
        rdb_refused = NULL;
    }
    if (done) *at = batch.commands[done - 1].end;
    if (held) worker_hold(c);
    if (held || stopped(c)) return PACE_STOP;
    if (done < count || worker_reply.len > REPLY_FLUSH) output_send(c, &worker_reply);
    return c->close_asap ? PACE_STOP : PACE_GO;
}

static void protocol_error(struct client *c)
{
    reply_errorf(&worker_reply, "ERR Protocol error: %s", c->parser.error);
    observe_errors(&worker_reply);
    client_close_after_reply(c);
}

/* The slow way: a command in pieces, an inline command, wrong input. */
static enum pace run_fed(struct client *c, const uint8_t *p, size_t n, size_t *at, const struct parse_limits *limits)
{
    size_t used = 0, before = *at;
    enum parse_result r = parser_feed(&c->parser, p + before, n - before, limits, &used);
    if (r == PARSE_MORE) return PACE_LATER;
    if (r == PARSE_ERROR) {
        protocol_error(c);
        return PACE_STOP;
    }
    enum pace pace = PACE_GO;
    if (r == PARSE_DONE) {
        batch_add(&batch, c->parser.args, c->parser.argc, before + used);
        pace = run(c, at);
    } else {
        *at += used;
    }
    parser_reset(&c->parser); /* when it is held back, it is read anew */
    return pace;
}

static void fill(const uint8_t *p, size_t n, size_t at, int64_t max_bulk)
{
    uint32_t nargs = 0, argc;
    while (batch.count < BATCH_MAX) {
        size_t used = parse_whole(p + at, n - at, max_bulk, args + nargs, ARGS_MAX - nargs, &argc);
        if (!used) return;
        at += used;
        batch_add(&batch, args + nargs, argc, at);
        nargs += argc;
    }
}

/* Executes what is complete in p[0..n), as long as it is this client's turn; returns the bytes used up. */
static size_t process(struct client *c, const uint8_t *p, size_t n)
{
    struct parse_limits limits = {setting(SET_proto_max_bulk_len), c->authenticated || !setting(SET_auth_required)};
    int64_t until = ticks_now() + ticks_from_us(TURN_US);
    size_t at = 0;
    uint32_t count = 0;
    const bool from_primary = c->flags & CLIENT_FLAG_PRIMARY;
    if (unlikely(from_primary) && !primary_begin(c)) return n;
    worker_reply.resp = c->resp;
    worker_reply.errors = worker_reply.errors_counted = 0;
    input_running = c;
    while (at < n) {
        enum pace pace;
        input_running_bytes = n - at;
        if (c->parser.at || !limits.authenticated) {
            pace = run_fed(c, p, n, &at, &limits);
            limits.authenticated = c->authenticated || !setting(SET_auth_required);
        } else {
            fill(p, n, at, limits.max_bulk);
            count += batch.count;
            pace = batch.count ? run(c, &at) : run_fed(c, p, n, &at, &limits);
        }
        if (pace != PACE_GO) break;
        if (at < n && (++count >= TURN_COMMANDS || ticks_now() > until)) {
            worker_run_later(c);
            break;
        }
    }
    input_running = NULL;
    if (unlikely(from_primary)) primary_end(c, at);
    output_send(c, &worker_reply);
    if (unlikely(c->multi || c->watches)) crowd_account(c);
    if (unlikely(worker_reply.cap > 4 * REPLY_FLUSH)) reply_deinit(&worker_reply);
    return at;
}

/* ---- buffers ---- */

static void drop_private(struct client *c)
{
    free(c->query);
    c->query = NULL;
    c->query_len = c->query_at = c->query_cap = 0;
    crowd_account(c);
}

/* The private buffer is used up. One that was made for a large argument is kept, so that the next is read straight into it. */
static void private_done(struct client *c)
{
    if (c->close_after_reply || c->query_cap < PARSE_BIG_BULK || c->query_cap > KEPT_MAX)
        drop_private(c);
    else
        c->query_len = c->query_at = 0;
}

void input_drop_idle(struct client *c, int64_t now_ms)
{
    if (c->query && c->query_at == c->query_len && now_ms - c->active_ms > KEPT_IDLE_MS) drop_private(c);
}

/* Room for `want` bytes from the next command's start on. */
static bool private_room(struct client *c, size_t want)
{
    if (c->query_at) {
        memmove(c->query, c->query + c->query_at, c->query_len - c->query_at);
        c->query_len -= c->query_at;
        c->query_at = 0;
    }
    if (want <= c->query_cap) return true;
    uint8_t *grown = realloc(c->query, want + PARSE_PAD);
    if (!grown) {
        client_close_asap(c);
        return false;
    }
    c->query = grown;
    c->query_cap = want;
    crowd_account(c);
    return !c->close_asap;
}

static bool over_limit(struct client *c)
{
    if ((int64_t)(c->query_len - c->query_at) <= setting(SET_client_query_buffer_limit)) return false;
    server_log(LOG_WARNING, "Closing client that reached max query buffer length: id=%llu addr=%s qbuf=%zu", (unsigned long long)c->id,
               c->record->addr, c->query_len - c->query_at);
    stat_add(STAT_QUERY_LIMIT, 1);
    client_close_asap(c);
    return true;
}

/* What is left of the lent buffer becomes the client's own. */
static void keep_rest(struct client *c, const uint8_t *p, size_t n)
{
    if (!private_room(c, MAX(MAX(n, (size_t)PRIVATE_MIN), parser_room(&c->parser)))) return;
    memcpy(c->query, p, n);
    c->query_len = n;
    if (!over_limit(c)) client_publish(c);
}

void input_continue(struct client *c)
{
    if (stopped(c)) return;
    if (!c->query) return;
    refresh_time();
    c->query_at += process(c, c->query + c->query_at, c->query_len - c->query_at);
    if (c->close_after_reply || c->query_at == c->query_len) private_done(c);
}

/* ---- reading ---- */

/* Bytes read, 0 = nothing now, or the client is being closed. */
static size_t receive(struct client *c, uint8_t *to, size_t room)
{
    ssize_t n = recv(c->fd, to, room, 0);
    if (n > 0) {
        linger_count(c);
        c->net_in += (size_t)n;
        c->active_ms = clock_cached_mono_us() / 1000;
        atomic_store_explicit(&c->record->active_ms, (uint64_t)c->active_ms, memory_order_relaxed);
        stat_add(STAT_NET_IN, (size_t)n);
        stat_add(STAT_READS, 1);
        return (size_t)n;
    }
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return 0;
    client_close_asap(c);
    return 0;
}

/* The client has input of its own: more goes behind it. */
static bool receive_private(struct client *c)
{
    size_t have = c->query_len - c->query_at, want = MAX(parser_room(&c->parser), have + PRIVATE_READ);
    if (parser_room(&c->parser) > have) want = parser_room(&c->parser);
    if (!private_room(c, want)) return false;
    size_t n = receive(c, c->query + c->query_len, c->query_cap - c->query_len);
    c->query_len += n;
    client_publish(c);
    return n && !over_limit(c);
}

/* The first command of each member of the group, if it names one key: what its look-up reads comes into the cache together. */
static void fetch_ahead(void)
{
    uint64_t hashes[GROUP_MAX];
    uint32_t n = 0, db = group[0].client->db, argc;
    int64_t max_bulk = setting(SET_proto_max_bulk_len);
    struct slice argv[PEEK_ARGS];
    for (uint32_t i = 0; i < grouped; i++) {
        if (group[i].client->db != db || !parse_whole(group[i].p, group[i].n, max_bulk, argv, PEEK_ARGS, &argc)) continue;
        const struct command *s = command_lookup(argv, argc);
        if (s && s->one_key && (uint32_t)s->one_key < argc) hashes[n++] = key_hash(argv[s->one_key]);
    }
    if (n > 1) ks_prefetch(db, hashes, n);
}

void input_run(void)
{
    if (!grouped) return;
    if (grouped > 1) fetch_ahead();
    for (uint32_t i = 0; i < grouped; i++) {
        struct client *c = group[i].client;
        if (c->close_asap) continue;
        refresh_time();
        size_t used = process(c, group[i].p, group[i].n);
        if (used < group[i].n && !c->close_asap && !c->close_after_reply) keep_rest(c, group[i].p + used, group[i].n - used);
    }
    grouped = 0;
    lent_used = 0;
}

void input_ready(struct client *c)
{
    if (c->close_after_reply) { /* its input is of no interest, its end is */
        receive(c, lent + lent_used, LENT_BYTES);
        return;
    }
    if (c->listed == CLIENT_ON_RUNNABLE) return; /* it has enough to do */
    if (c->query || c->blocked || c->away) {
        if (receive_private(c) && c->listed == CLIENT_ON_NONE) input_continue(c);
        return;
    }
    size_t n = receive(c, lent + lent_used, LENT_BYTES);
    if (!n) return;
    group[grouped].client = c;
    group[grouped].p = lent + lent_used;
    group[grouped++].n = n;
    lent_used += round_up(n + PARSE_PAD, CACHE_LINE);
    if (grouped == GROUP_MAX || lent_used > LENT_BYTES - PARSE_PAD) input_run();
}
