/* cmd/cmd_connection.c - PING, ECHO, SELECT, QUIT, RESET, AUTH, HELLO: what every client library sends when it connects.
 *
 * They change the client alone, touch no key and take no lock (RESET gives up watched keys, one stripe after the other).
 */
#include "base/version.h"
#include "cmd/auth.h"
#include "cmd/connection.h"
#include "cmd/handlers.h"
#include "cmd/monitor.h"

void cmd_ping(struct cmd *c)
{
    if (c->argc > 2) {
        reply_errorf(c->out, error_text(ERR_ARITY), "ping");
    } else if (c->out->resp == 2 && (c->client->flags & CLIENT_FLAG_PUBSUB)) {
        reply_array(c->out, 2); /* a subscriber of RESP2 could not tell a plain reply from a message */
        reply_cstring(c->out, "pong");
        reply_slice(c->out, c->argc == 2 ? c->argv[1] : SLICE(""));
    } else if (c->argc == 2) {
        reply_slice(c->out, c->argv[1]);
    } else {
        reply_status(c->out, "PONG");
    }
}

void cmd_echo(struct cmd *c) { reply_slice(c->out, c->argv[1]); }

void cmd_select(struct cmd *c)
{
    int64_t db;
    if (!arg_i64(c, 1, &db)) return;
    if (db < 0 || db >= (int64_t)seg()->databases) {
        reply_error(c->out, ERR_BADDB);
        return;
    }
    client_set_db(c->client, (uint32_t)db);
    reply_ok(c->out);
}

void cmd_quit(struct cmd *c)
{
    reply_ok(c->out);
    client_close_after_reply(c->client);
}

void cmd_reset(struct cmd *c)
{
    struct client *cl = c->client;
    multi_client_closed(cl);
    monitor_stop(cl);
    client_set_db(cl, 0);
    client_set_resp(cl, c->out, 2);
    client_set_user(cl, NULL, !setting(SET_auth_required));
    client_set_text(cl, CLIENT_TEXT_NAME, SLICE(""));
    client_set_flags(cl, 0, CLIENT_FLAG_NO_EVICT | CLIENT_FLAG_NO_TOUCH | CLIENT_FLAG_READONLY);
    cl->reply_mode = CLIENT_REPLY_ON;
    reply_status(c->out, "RESET");
}

/* ---- who it is ---- */

bool client_log_in(struct cmd *c, struct slice user, struct slice password)
{
    char name[sizeof c->client->record->user]; /* longer names are nobody's */
    if (user.n >= sizeof name || memchr(user.p, 0, user.n) || !auth_check(user, password)) {
        stat_add(STAT_ACL_DENIED_AUTH, 1);
        reply_error(c->out, ERR_WRONGPASS);
        return false;
    }
    memcpy(name, user.p, user.n);
    name[user.n] = 0;
    if (client_set_user(c->client, strcmp(name, "default") == 0 ? NULL : name, true)) return true;
    reply_errorf(c->out, "OOM no memory to authenticate");
    return false;
}

void cmd_auth(struct cmd *c)
{
    if (c->argc > 3) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (c->argc == 2 && auth_default_open()) {
        reply_errorf(c->out, "ERR AUTH <password> called without any password configured for the default user. "
                             "Are you sure your configuration is correct?");
        return;
    }
    if (client_log_in(c, c->argc == 3 ? c->argv[1] : SLICE("default"), c->argv[c->argc - 1])) reply_ok(c->out);
}

/* ---- HELLO ---- */

struct hello {
    int64_t version; /* 0 = as it is */
    const struct slice *user, *password, *name;
};

static bool parse_hello(struct cmd *c, struct hello *h)
{
    if (c->argc < 2) return true;
    if (!arg_i64_or(c, 1, &h->version, "ERR Protocol version is not an integer or out of range")) return false;
    if (h->version < 2 || h->version > 3) {
        reply_error(c->out, ERR_NOPROTO);
        return false;
    }
    for (uint32_t i = 2; i < c->argc; i++) {
        uint32_t more = c->argc - 1 - i;
        if (arg_is(c, i, "auth") && more >= 2) {
            h->user = &c->argv[i + 1];
            h->password = &c->argv[i + 2];
            i += 2;
        } else if (arg_is(c, i, "setname") && more >= 1) {
            h->name = &c->argv[++i];
            if (client_text_ok(*h->name)) continue;
            reply_errorf(c->out, "ERR Client names cannot contain spaces, newlines or special characters.");
            return false;
        } else {
            reply_errorf(c->out, "ERR Syntax error in HELLO option '%.*s'", (int)MIN(c->argv[i].n, 128), (const char *)c->argv[i].p);
            return false;
        }
    }
    return true;
}

static void reply_server(struct cmd *c)
{
    struct reply *r = c->out;
    reply_map(r, 7);
    reply_cstring(r, "server");
    reply_cstring(r, "redis");
    reply_cstring(r, "version");
    reply_cstring(r, REDIS_VERSION);
    reply_cstring(r, "proto");
    reply_int(r, c->client->resp);
    reply_cstring(r, "id");
    reply_int(r, (int64_t)c->client->id);
    reply_cstring(r, "mode");
    reply_cstring(r, "standalone");
    reply_cstring(r, "role");
    reply_cstring(r, "master");
    reply_cstring(r, "modules");
    reply_array(r, 0);
}

void cmd_hello(struct cmd *c)
{
    struct hello h = {0};
    if (!parse_hello(c, &h)) return;
    if (h.user && !client_log_in(c, *h.user, *h.password)) return;
    if (!c->client->authenticated) {
        reply_errorf(c->out, "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> "
                             "<pass> option can be used to authenticate the client and select the RESP protocol version at the same time");
        return;
    }
    if (h.name) client_set_text(c->client, CLIENT_TEXT_NAME, *h.name);
    if (h.version) client_set_resp(c->client, c->out, (uint8_t)h.version);
    reply_server(c);
}
