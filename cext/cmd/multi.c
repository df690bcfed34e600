/* cmd/multi.c - the queue of MULTI and the list of watched keys. What they are: multi.h; the commands: cmd_transactions.c. */
#include "cmd/multi.h"

#include <stdlib.h>

#include "cmd/cmd_object.h"
#include "cmd/handlers.h"
#include "keyspace/interest.h"

/* ---- the queue ---- */

bool multi_begin(struct client *c)
{
    c->multi = calloc(1, sizeof *c->multi);
    if (!c->multi) return false;
    client_set_flags(c, CLIENT_FLAG_MULTI, 0);
    client_set_multi_count(c, 0);
    return true;
}

static void publish_bytes(struct client *c, size_t bytes)
{
    atomic_store_explicit(&c->record->multi_bytes, bytes, memory_order_relaxed);
}

void multi_end(struct client *c)
{
    struct multi *m = c->multi;
    if (!m) return;
    for (uint32_t i = 0; i < m->count; i++) free(m->queue[i]);
    free(m->queue);
    free(m);
    c->multi = NULL;
    client_set_flags(c, 0, CLIENT_FLAG_MULTI | CLIENT_FLAG_DIRTY_CAS);
    client_set_multi_count(c, -1);
    publish_bytes(c, 0);
}

void multi_refused(struct client *c)
{
    if (c->multi) c->multi->refused = true;
}

void multi_exec_refused(struct cmd *c, const char *error)
{
    multi_end(c->client);
    watch_forget_all(c->client);
    reply_errorf(c->out, "EXECABORT Transaction discarded because of: %s", error);
}

static bool runs_in_python(const struct cmd *c)
{
    return c->spec->flags & CMD_PYTHON || (c->spec->handler == cmd_debug && !debug_in_c(c));
}

static bool wants_all_stripes(const struct cmd *c)
{
    if (c->spec->handler == cmd_unwatch) return false; /* does nothing in EXEC */
    if (c->spec->flags & (CMD_LOCK_ALL | CMD_LOCK_SELF)) return true;
    return (c->spec->flags & CMD_LOCK_PATTERN) && command_reads_by_pattern(c->argv, c->argc);
}

/* The command with all it needs, in one allocation: arguments, keys, bytes. */
static struct queued *queued_new(const struct cmd *c, const struct key_index *found, uint32_t nkeys)
{
    size_t text = 0, head = sizeof(struct queued) + c->argc * sizeof(struct slice) + nkeys * sizeof(struct key_ref);
    for (uint32_t i = 0; i < c->argc; i++) text += c->argv[i].n;
    struct queued *q = malloc(head + text);
    if (!q) return NULL;
    *q = (struct queued){.spec = c->spec, .argc = c->argc, .nkeys = nkeys, .bytes = head + text};
    q->keys = (struct key_ref *)(q->argv + c->argc);
    uint8_t *at = (uint8_t *)q + head;
    for (uint32_t i = 0; i < c->argc; i++) {
        q->argv[i] = (struct slice){at, c->argv[i].n};
        if (c->argv[i].n) memcpy(at, c->argv[i].p, c->argv[i].n);
        at += c->argv[i].n;
    }
    for (uint32_t i = 0; i < nkeys; i++)
        q->keys[i] = (struct key_ref){found[i].pos, key_hash(q->argv[found[i].pos])};
    q->afterwards = runs_in_python(c);
    q->all_stripes = !q->afterwards && wants_all_stripes(c);
    return q;
}

static struct queued *copy_command(const struct cmd *c)
{
    struct key_index few[16], *found = few;
    int n = command_keys(c->spec, c->argv, c->argc, few, ARRAY_LEN(few));
    if (n > (int)ARRAY_LEN(few)) {
        found = malloc((size_t)n * sizeof *found);
        if (!found) return NULL;
        n = command_keys(c->spec, c->argv, c->argc, found, (uint32_t)n);
    }
    struct queued *q = queued_new(c, found, n > 0 ? (uint32_t)n : 0);
    if (found != few) free(found);
    return q;
}

static bool queue_append(struct multi *m, struct queued *q)
{
    if (m->count == m->cap) {
        uint32_t cap = m->cap ? m->cap * 2 : 8;
        struct queued **grown = realloc(m->queue, cap * sizeof *grown);
        if (!grown) return false;
        m->queue = grown;
        m->cap = cap;
    }
    m->queue[m->count++] = q;
    m->flags |= q->spec->flags;
    m->bytes += q->bytes;
    return true;
}

void multi_queue(struct cmd *c)
{
    struct multi *m = c->client->multi;
    if (m->refused) { /* EXEC will not run: nothing need be kept */
        reply_status(c->out, "QUEUED");
        return;
    }
    struct queued *q = copy_command(c);
    if (!q || !queue_append(m, q)) {
        free(q);
        m->refused = true;
        reply_errorf(c->out, "OOM no memory to queue the command");
        return;
    }
    if ((int64_t)m->bytes > setting(SET_client_query_buffer_limit)) { /* what waits in the queue is input too */
        stat_add(STAT_QUERY_LIMIT, 1);
        client_close_asap(c->client);
        return;
    }
    client_set_multi_count(c->client, (int32_t)m->count);
    publish_bytes(c->client, m->bytes + m->cap * sizeof *m->queue);
    reply_status(c->out, "QUEUED");
}

void multi_client_closed(struct client *c)
{
    multi_end(c);
    watch_forget_all(c);
}

struct cmd queued_command(const struct cmd *exec, struct queued *q)
{
    return (struct cmd){
        .spec = q->spec,
        .client = exec->client,
        .out = exec->out,
        .txn = exec->txn,
        .argv = q->argv,
        .argc = q->argc,
        .db = exec->client->db,
        .now_ms = exec->now_ms,
        .nkeys = q->nkeys,
        .keys = q->keys,
        .in_exec = true,
        .replaying = exec->replaying,
    };
}

/* ---- watched keys ---- */

bool watch_has(const struct client *c, const struct key *k)
{
    for (const struct watch *w = c->watches; w; w = w->next)
        if (w->key.hash == k->hash && w->key.db == k->db && w->key.name.n == k->name.n &&
            memcmp(w->name, k->name.p, k->name.n) == 0)
            return true;
    return false;
}

struct watch *watch_new(const struct key *k)
{
    struct watch *w = malloc(sizeof *w + k->name.n);
    if (!w) return NULL;
    if (k->name.n) memcpy(w->name, k->name.p, k->name.n);
    *w = (struct watch){.key = {{w->name, k->name.n}, k->hash, k->db}};
    return w;
}

void watch_free_list(struct client *c)
{
    while (c->watches) {
        struct watch *w = c->watches;
        c->watches = w->next;
        free(w);
    }
    client_set_watch_count(c, 0);
}

void watch_forget_all(struct client *c)
{
    if (!c->watches) return;
    struct txn *t = &my_txn;
    for (struct watch *w = c->watches; w; w = w->next) { /* one a transaction: its undo records always fit, so it cannot fail */
        txn_begin(t);
        txn_lock_stripe(t, stripe_of(w->key.hash));
        interest_remove(t, w->registration);
        txn_commit(t);
    }
    watch_free_list(c);
}
