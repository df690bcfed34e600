/* cmd/cmd_replication.c - SYNC, PSYNC and REPLCONF: what a replica says. How it is served: net/replica.h; the stream: shm/backlog.h.
 *
 * A replica that comes back names the stream's id and the first byte that it lacks; if that is still in the history it goes on there, else it gets
 * everything anew. No key is touched and no lock taken.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/num.h"
#include "cmd/cmd.h"
#include "cmd/handlers.h"
#include "cmd/replica.h"
#include "shm/slot.h"

struct replica *replica_of(struct client *c)
{
    if (c->replica) return c->replica;
    struct replica *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->client = c;
    r->rdb_fd = -1;
    c->replica = r;
    return r;
}

static bool may_begin(struct cmd *c)
{
    struct client *cl = c->client;
    if (cl->flags & CLIENT_FLAG_REPLICA) return false; /* it is one already: ignored, as Redis does */
    if (is_replica())
        reply_errorf(c->out, "ERR Shoal does not serve replicas while it is a replica itself");
    else if (cl->fd < 0 || c->in_exec)
        reply_errorf(c->out, "ERR SYNC and PSYNC need a connection of their own");
    else if (cl->out_first)
        reply_errorf(c->out, "ERR SYNC and PSYNC are invalid with pending output");
    else
        return true;
    return false;
}

static void full(struct cmd *c, bool acks)
{
    struct replica *r = replica_of(c->client);
    stat_add(STAT_SYNC_FULL, 1);
    if (r) r->acks = acks;
    if (!r || !replica_full(r)) reply_errorf(c->out, "ERR Too many replicas, or no memory for another one");
}

void cmd_sync(struct cmd *c)
{
    if (may_begin(c)) full(c, false);
}

/* Does the replica know our stream, and do we have all that it lacks? *at: the position up to which it has it. */
static bool can_continue(const struct cmd *c, uint64_t *at)
{
    char id[REPLID_LEN + 1];
    int64_t offset;
    repl_id(id);
    if (!repl_on() || c->argv[1].n != REPLID_LEN || strncasecmp((const char *)c->argv[1].p, id, REPLID_LEN) != 0) return false;
    if (!num_parse_i64(c->argv[2].p, c->argv[2].n, &offset) || offset < 1) return false;
    *at = (uint64_t)offset - 1;
    return *at >= repl_history_first() && *at <= repl_mark().end;
}

void cmd_psync(struct cmd *c)
{
    char id[REPLID_LEN + 1], text[80];
    uint64_t at;
    if (!may_begin(c)) return;
    bool asks = !(c->argv[1].n == 1 && c->argv[1].p[0] == '?');
    struct replica *r = replica_of(c->client);
    if (r && asks && can_continue(c, &at) && replica_continue(r, at)) {
        repl_id(id);
        int n = snprintf(text, sizeof text, r->psync2 ? "+CONTINUE %s\r\n" : "+CONTINUE\r\n", id);
        reply_raw(c->out, text, (size_t)n);
        stat_add(STAT_SYNC_PARTIAL_OK, 1);
        return;
    }
    if (asks) stat_add(STAT_SYNC_PARTIAL_ERR, 1);
    full(c, true);
}

/* ---- REPLCONF ---- */

static bool set_port(struct cmd *c, struct replica *r, uint32_t i)
{
    int64_t port;
    if (!arg_i64_range(c, i, 0, 65535, &port)) return false;
    r->port = (uint32_t)port;
    return true;
}

static bool set_ip(struct cmd *c, struct replica *r, uint32_t i)
{
    if (c->argv[i].n >= sizeof r->ip) {
        reply_errorf(c->out, "ERR REPLCONF ip-address provided by replica instance is too long: %zu bytes", c->argv[i].n);
        return false;
    }
    memcpy(r->ip, c->argv[i].p, c->argv[i].n);
    r->ip[c->argv[i].n] = 0;
    return true;
}

/* Pairs of option and value. An acknowledgement has no reply. */
void cmd_replconf(struct cmd *c)
{
    struct replica *r = replica_of(c->client);
    int64_t n;
    if (c->argc % 2 == 0) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (!r) {
        reply_errorf(c->out, "ERR no memory");
        return;
    }
    for (uint32_t i = 1; i + 1 < c->argc; i += 2) {
        if (arg_is(c, i, "listening-port")) {
            if (!set_port(c, r, i + 1)) return;
        } else if (arg_is(c, i, "ip-address")) {
            if (!set_ip(c, r, i + 1)) return;
        } else if (arg_is(c, i, "capa")) { /* what is not known is passed over, so that newer ones may tell more */
            if (arg_is(c, i + 1, "psync2")) r->psync2 = true;
        } else if (arg_is(c, i, "ack")) {
            if (!(c->client->flags & CLIENT_FLAG_REPLICA)) return;
            if (num_parse_i64(c->argv[i + 1].p, c->argv[i + 1].n, &n) && n >= 0) replica_ack(r, (uint64_t)n);
            return; /* what follows is for other kinds of primaries (FACK) */
        } else if (arg_is(c, i, "getack")) {
            if (c->client->flags & CLIENT_FLAG_PRIMARY) primary_ack(c->client);
            return; /* asked of replicas */
        } else if (arg_is(c, i, "rdb-only")) {
            if (!arg_i64_range(c, i + 1, 0, 1, &n)) return;
            r->rdb_only = n != 0;
        } else {
            reply_errorf(c->out, "ERR Unrecognized REPLCONF option: %.*s", (int)MIN(c->argv[i].n, (size_t)64), (const char *)c->argv[i].p);
            return;
        }
    }
    reply_ok(c->out);
}
