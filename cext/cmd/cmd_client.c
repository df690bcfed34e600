/* cmd/cmd_client.c - the CLIENT subcommands that concern the calling connection alone; no key, no lock.
 * Those that look at or act on other connections are in server/commands/client.py.
 */
#include "cmd/connection.h"
#include "cmd/handlers.h"

bool client_text_ok(struct slice text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < '!' || text.p[i] > '~') return false;
    return true;
}

static void set_text(struct cmd *c, enum client_text which, struct slice text)
{
    if (client_set_text(c->client, which, text))
        reply_ok(c->out);
    else
        reply_errorf(c->out, "OOM no memory for the text");
}

void cmd_client_own_id(struct cmd *c) { reply_int(c->out, (int64_t)c->client->id); }

void cmd_client_getname(struct cmd *c)
{
    if (c->client->name.n)
        reply_slice(c->out, c->client->name);
    else
        reply_null(c->out);
}

void cmd_client_setname(struct cmd *c)
{
    if (client_text_ok(c->argv[2]))
        set_text(c, CLIENT_TEXT_NAME, c->argv[2]);
    else
        reply_errorf(c->out, "ERR Client names cannot contain spaces, newlines or special characters.");
}

void cmd_client_setinfo(struct cmd *c)
{
    bool name = arg_is(c, 2, "lib-name");
    struct slice option = c->argv[2];
    if (!name && !arg_is(c, 2, "lib-ver"))
        reply_errorf(c->out, "ERR Unrecognized option '%.*s'", (int)MIN(option.n, 128), (const char *)option.p);
    else if (!client_text_ok(c->argv[3]))
        reply_errorf(c->out, "ERR %.*s cannot contain spaces, newlines or special characters.", (int)option.n, (const char *)option.p);
    else
        set_text(c, name ? CLIENT_TEXT_LIB_NAME : CLIENT_TEXT_LIB_VERSION, c->argv[3]);
}

void cmd_client_reply(struct cmd *c)
{
    struct client *cl = c->client;
    if (arg_is(c, 2, "on")) {
        cl->reply_mode = CLIENT_REPLY_ON;
        reply_ok(c->out);
    } else if (arg_is(c, 2, "off")) {
        cl->reply_mode = CLIENT_REPLY_OFF;
    } else if (arg_is(c, 2, "skip")) {
        if (cl->reply_mode != CLIENT_REPLY_OFF) cl->reply_mode = CLIENT_REPLY_SKIP_NEXT;
    } else {
        reply_error(c->out, ERR_SYNTAX);
    }
}

static void set_switch(struct cmd *c, enum client_flag flag)
{
    if (arg_is(c, 2, "on"))
        client_set_flags(c->client, flag, 0);
    else if (arg_is(c, 2, "off"))
        client_set_flags(c->client, 0, flag);
    else {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    reply_ok(c->out);
}

void cmd_client_no_evict(struct cmd *c) { set_switch(c, CLIENT_FLAG_NO_EVICT); }
void cmd_client_no_touch(struct cmd *c) { set_switch(c, CLIENT_FLAG_NO_TOUCH); }

/* ---- tracking: not built yet, so it is off for every client ---- */

void cmd_client_tracking(struct cmd *c)
{
    if (arg_is(c, 2, "off"))
        reply_ok(c->out);
    else if (arg_is(c, 2, "on"))
        reply_errorf(c->out, "ERR client tracking is not supported by this version of Shoal");
    else
        reply_error(c->out, ERR_SYNTAX);
}

void cmd_client_caching(struct cmd *c)
{
    reply_errorf(c->out, "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled");
}

void cmd_client_getredir(struct cmd *c) { reply_int(c->out, -1); }

void cmd_client_trackinginfo(struct cmd *c)
{
    reply_map(c->out, 3);
    reply_cstring(c->out, "flags");
    reply_set(c->out, 1);
    reply_cstring(c->out, "off");
    reply_cstring(c->out, "redirect");
    reply_int(c->out, -1);
    reply_cstring(c->out, "prefixes");
    reply_array(c->out, 0);
}
