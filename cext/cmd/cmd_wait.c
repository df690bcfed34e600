/* cmd/cmd_wait.c - WAIT and WAITAOF: until this client's writes are safe on the disk here, and on replicas.
 *
 * On the disk is what fdatasync has confirmed (header.synced_lsn), or what a base holds that is there: so not before the log's first base is
 * done. A replica has acknowledged when its offset is behind the place where the client's last write ends in the stream, or a little later
 * place: the stream's end when that write was first seen in it. Replicas tell their offset once a second, and when they are asked, which a
 * WAIT that has to wait does.
 *
 * No lock, no key: the log's words are read. Who waits does so as blocking.h says; nothing of it outlives the process.
 */
#include "cmd/blocking.h"
#include "cmd/handlers.h"
#include "shm/backlog.h"
#include "shm/ring.h"

static int64_t acked_by_replicas(struct sync_wait *w)
{
    if (!w->placed) {
        struct repl_mark m = repl_mark();
        if (m.lsn < w->lsn) return 0; /* it is not in the stream yet */
        w->at = w->lsn ? m.end : 0;
        w->placed = true;
    }
    return replicas_good(w->at, -1);
}

/* Has the replicas acknowledge what comes before the client's last write, and that. */
static void ask_replicas(const struct sync_wait *w)
{
    if (!w->replicas || !replicas_count()) return;
    uint64_t lsn = atomic_load(&repl()->ack_lsn);
    while (lsn < w->lsn && !atomic_compare_exchange_weak(&repl()->ack_lsn, &lsn, w->lsn)) {}
    atomic_fetch_add(&repl()->ack_asked, 1);
    ring_wake_writer();
}

static int64_t acked_here(const struct sync_wait *w)
{
    return atomic_load_explicit(&seg()->log_state, memory_order_acquire) == LOG_ON &&
           atomic_load_explicit(&seg()->synced_lsn, memory_order_acquire) >= w->lsn;
}

static bool lacks_log(const struct sync_wait *w) { return w->local && !setting(SET_appendonly); }

static void refuse(struct reply *out) { reply_errorf(out, "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."); }

void sync_wait_reply(struct sync_wait *w, struct reply *out)
{
    if (w->aof) {
        reply_array(out, 2);
        reply_int(out, acked_here(w));
    }
    reply_int(out, acked_by_replicas(w));
}

bool sync_wait_over(struct sync_wait *w, struct reply *out)
{
    if (lacks_log(w))
        refuse(out); /* it was switched off meanwhile */
    else if (acked_by_replicas(w) >= w->replicas && (!w->local || acked_here(w)))
        sync_wait_reply(w, out);
    else
        return false;
    return true;
}

/* Whole milliseconds, 0 = for ever. */
static bool arg_timeout_ms(struct cmd *c, uint32_t i, int64_t *ms)
{
    if (!arg_i64_or(c, i, ms, error_text(ERR_TIMEOUT_NOTINT))) return false;
    if (*ms < 0)
        reply_error(c->out, ERR_TIMEOUT_NEGATIVE);
    else if (*ms > INT64_MAX - c->now_ms)
        reply_errorf(c->out, "ERR timeout is out of range");
    else
        return true;
    return false;
}

static void wait(struct cmd *c, struct sync_wait *w, int64_t timeout_ms)
{
    if (sync_wait_over(w, c->out)) return;
    if (!cmd_may_block(c)) {
        sync_wait_reply(w, c->out);
        return;
    }
    cmd_block_sync(c, w, timeout_ms);
    ask_replicas(w);
}

void cmd_wait(struct cmd *c)
{
    struct sync_wait w = {.lsn = c->client->wrote_lsn};
    int64_t timeout_ms;
    if (!arg_i64(c, 1, &w.replicas) || !arg_timeout_ms(c, 2, &timeout_ms)) return;
    wait(c, &w, timeout_ms);
}

void cmd_waitaof(struct cmd *c)
{
    struct sync_wait w = {.lsn = c->client->wrote_lsn, .aof = true};
    int64_t timeout_ms;
    if (!arg_i64_range(c, 1, 0, 1, &w.local) || !arg_i64_range(c, 2, 0, INT64_MAX, &w.replicas) || !arg_timeout_ms(c, 3, &timeout_ms)) return;
    wait(c, &w, timeout_ms);
}
