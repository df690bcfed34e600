/* engine_reply.c - what a Python command may ask and answer, and the clients of all workers. The contract: engine.h. */
#include <string.h>

#include "base/clock.h"
#include "cmd/blocking.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/command_table.h"
#include "cmd/handlers.h"
#include "cmd/view.h"
#include "engine.h"
#include "net/accept.h"
#include "net/client.h"
#include "net/crowd.h"
#include "net/engine_hooks.h"
#include "net/worker.h"
#include "shm/inbox.h"

void cmd_python(struct cmd *c)
{
    uint64_t argv_bytes = 0;
    for (uint32_t i = 0; i < c->argc; i++) argv_bytes += c->argv[i].n;
    client_publish(c->client);
    atomic_store_explicit(&c->client->record->argv_bytes, argv_bytes, memory_order_relaxed);
    if (engine_hooks.command)
        engine_hooks.command(c);
    else
        reply_errorf(c->out, "ERR this process cannot run '%s'", c->spec->fullname);
}

uint32_t cmd_index(struct cmd *c) { return c->spec->index; }
uint32_t cmd_argc(struct cmd *c) { return c->argc; }

const char *cmd_arg(struct cmd *c, uint32_t i, size_t *n)
{
    ENSURE(i < c->argc);
    *n = c->argv[i].n;
    return (const char *)c->argv[i].p;
}

uint32_t cmd_db(struct cmd *c) { return c->db; }
int cmd_resp(struct cmd *c) { return c->out->resp; }
int cmd_in_exec(struct cmd *c) { return c->in_exec; }
uint64_t cmd_client_id(struct cmd *c) { return c->client->id; }

uint32_t cmd_client_record(struct cmd *c)
{
    return c->client->fd < 0 ? UINT32_MAX : (uint32_t)(c->client->record - client_record_at(0));
}

void cmd_reply_ok(struct cmd *c) { reply_ok(c->out); }

void cmd_reply_status(struct cmd *c, const char *p, size_t n)
{
    reply_raw(c->out, "+", 1);
    reply_raw(c->out, p, n);
    reply_raw(c->out, "\r\n", 2);
}

void cmd_reply_error(struct cmd *c, const char *p, size_t n) { reply_error_text(c->out, p, n); }
void cmd_reply_int(struct cmd *c, int64_t v) { reply_int(c->out, v); }
void cmd_reply_bulk(struct cmd *c, const char *p, size_t n) { reply_bulk(c->out, p, n); }
void cmd_reply_verbatim(struct cmd *c, const char *ext, const char *p, size_t n) { reply_verbatim(c->out, ext, p, n); }
void cmd_reply_double(struct cmd *c, double v) { reply_double(c->out, v); }
void cmd_reply_bool(struct cmd *c, int v) { reply_bool(c->out, v); }
void cmd_reply_bignum(struct cmd *c, const char *digits) { reply_bignum(c->out, digits); }
void cmd_reply_null(struct cmd *c) { reply_null(c->out); }
void cmd_reply_null_array(struct cmd *c) { reply_null_array(c->out); }
void cmd_reply_array(struct cmd *c, uint64_t n) { reply_array(c->out, n); }
void cmd_reply_map(struct cmd *c, uint64_t pairs) { reply_map(c->out, pairs); }
void cmd_reply_set(struct cmd *c, uint64_t n) { reply_set(c->out, n); }
void cmd_reply_push(struct cmd *c, uint64_t n) { reply_push(c->out, n); }

void cmd_reply_raw(struct cmd *c, const char *p, size_t n)
{
    if (n && p[0] == '-') c->out->errors++;
    reply_raw(c->out, p, n);
}

/* ---- clients ---- */

uint32_t engine_client_next(uint32_t from)
{
    for (uint32_t i = from; i < seg()->clients_max; i++)
        if (atomic_load_explicit(&client_record_at(i)->id, memory_order_relaxed)) return i;
    return UINT32_MAX;
}

/* Texts as one writer left them; gives up after a while on one whose process died in between. */
static void read_texts(const struct client_record *r, struct engine_client *out)
{
    for (unsigned tries = 0; tries < 1000; tries++) {
        uint32_t seq = atomic_load_explicit(&r->sequence, memory_order_acquire);
#define TEXT(field) memcpy(out->field, r->field, sizeof out->field), out->field[sizeof out->field - 1] = 0
        TEXT(user);
        TEXT(name);
        TEXT(lib_name);
        TEXT(lib_version);
        TEXT(addr);
        TEXT(laddr);
#undef TEXT
        atomic_thread_fence(memory_order_acquire); /* pairs with the release in record_text */
        if (!(seq & 1) && atomic_load_explicit(&r->sequence, memory_order_relaxed) == seq) return;
    }
}

int engine_client_get(uint32_t i, struct engine_client *out)
{
    if (i >= seg()->clients_max) return 0;
    const struct client_record *r = view_record(client_record_at(i));
    uint64_t id = atomic_load_explicit(&r->id, memory_order_acquire);
    if (!id || atomic_load_explicit(&r->slot, memory_order_relaxed) == UINT32_MAX) return 0;
    uint64_t now = (uint64_t)clock_mono_us() / 1000;
    uint64_t created = r->created_ms, active = r->active_ms;
    *out = (struct engine_client){
        .id = id, .slot = r->slot, .flags = r->flags, .db = r->db, .resp = r->resp, .command = r->command, .watches = r->watches,
        .fd = r->fd, .subscriptions = r->subscriptions, .pattern_subscriptions = r->pattern_subscriptions,
        .shard_subscriptions = r->shard_subscriptions, .multi = r->multi, .age_ms = now > created ? now - created : 0,
        .idle_ms = now > active ? now - active : 0, .query_bytes = r->query_bytes, .query_free = r->query_free,
        .argv_bytes = r->argv_bytes, .multi_bytes = r->multi_bytes, .reply_bytes = r->reply_bytes,
        .output_list_bytes = r->output_list_bytes, .output_list_length = r->output_list_length, .net_in = r->net_in,
        .net_out = r->net_out, .commands = r->commands};
    read_texts(r, out);
    return atomic_load_explicit(&r->id, memory_order_acquire) == id;
}

uint32_t engine_clients(void) { return accept_total(); }

int engine_client_kill(uint64_t id)
{
    for (uint32_t i = 0; i < seg()->clients_max; i++) {
        struct client_record *r = client_record_at(i);
        if (atomic_load_explicit(&r->id, memory_order_relaxed) != id) continue;
        return client_kill(atomic_load_explicit(&r->slot, memory_order_relaxed), id) ? 1 : -1;
    }
    return 0;
}

void engine_clients_check(void) { crowd_check(); }

int engine_client_unblock(uint64_t id, int error)
{
    for (uint32_t i = 0; i < seg()->clients_max; i++) {
        struct client_record *r = client_record_at(i);
        if (atomic_load_explicit(&r->id, memory_order_relaxed) == id) return blocking_unblock(r, id, error != 0);
    }
    return 0;
}

void cmd_client_authenticate(struct cmd *c, const char *user, size_t n)
{
    char text[256];
    n = MIN(n, sizeof text - 1);
    memcpy(text, user, n);
    text[n] = 0;
    if (!client_set_user(c->client, n ? text : NULL, true)) client_close_asap(c->client);
}

void cmd_client_close(struct cmd *c, int after_reply)
{
    if (after_reply)
        client_close_after_reply(c->client);
    else
        client_close_asap(c->client);
}

void cmd_client_away(struct cmd *c)
{
    ENSURE(c->client->fd >= 0 && !c->in_exec);
    c->client->away = true;
}

int engine_client_answer(uint64_t id, const char *p, size_t n)
{
    struct client *c = client_find(id);
    if (!c || !c->away) return 0;
    client_answer(c, p, n);
    return 1;
}

void engine_pause(uint32_t what, int64_t until_ms)
{
    atomic_store(&seg()->pause_until_ms, until_ms);
    atomic_store(&seg()->clients_paused, what);
    inbox_send_all(INBOX_NUDGE, NULL, 0);
    if (!what) worker_nudge();
}
