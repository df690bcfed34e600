/* cmd/cmd_monitor.c - MONITOR and the lines it shows. How they travel: monitor.h. */
#include <stdio.h>

#include "base/clock.h"
#include "cmd/handlers.h"
#include "cmd/command_table.h"
#include "cmd/monitor.h"
#include "cmd/secrets.h"
#include "shm/inbox.h"

#define LINE_MAX_BYTES (48u << 10) /* longer lines are cut: a message must fit in a quarter of a ring */

void (*monitor_deliver)(const void *line, size_t n);

void cmd_monitor(struct cmd *c)
{
    if (c->in_exec || c->client->fd < 0) {
        reply_errorf(c->out, "ERR MONITOR isn't allowed for DENY BLOCKING client");
        return;
    }
    if (!(c->client->flags & CLIENT_FLAG_MONITOR)) {
        client_set_flags(c->client, CLIENT_FLAG_MONITOR, 0);
        atomic_fetch_add(&seg()->monitors, 1);
    }
    reply_ok(c->out);
}

void monitor_stop(struct client *c)
{
    if (!(c->flags & CLIENT_FLAG_MONITOR)) return;
    client_set_flags(c, 0, CLIENT_FLAG_MONITOR);
    atomic_fetch_sub(&seg()->monitors, 1);
}

struct line {
    size_t n;
    char text[LINE_MAX_BYTES];
};

static void add(struct line *l, const void *p, size_t n)
{
    n = MIN(n, sizeof l->text - 8 - l->n);
    memcpy(l->text + l->n, p, n);
    l->n += n;
}

/* As redis-cli shows a string: quotes, \n \r \t \a \b, \xHH for what cannot be printed. */
static void add_quoted(struct line *l, struct slice s)
{
    static const char hex[] = "0123456789abcdef", from[] = "\\\"\n\r\t\a\b", to[] = "\\\"nrtab";
    add(l, "\"", 1);
    for (size_t i = 0; i < s.n && l->n < sizeof l->text - 16; i++) {
        uint8_t b = s.p[i];
        const char *known = b ? strchr(from, b) : NULL;
        if (known)
            add(l, (char[2]){'\\', to[known - from]}, 2);
        else if (b >= ' ' && b <= '~')
            add(l, &b, 1);
        else
            add(l, (char[4]){'\\', 'x', hex[b >> 4], hex[b & 15]}, 4);
    }
    add(l, "\"", 1);
}

void monitor_command(const struct cmd *c)
{
    static struct line l; /* private; one command at a time */
    if (c->client->fd < 0 || c->spec->flags & (CMD_SKIP_MONITOR | CMD_ADMIN)) return;
    int64_t us = clock_wall_us();
    const char *addr = c->client->record->addr;
    l.n = (size_t)snprintf(l.text, sizeof l.text, "+%lld.%06lld [%u %s%s]", (long long)(us / 1000000), (long long)(us % 1000000), c->db,
                           c->client->unix_socket ? "unix:" : "", addr);
    for (uint32_t i = 0; i < c->argc && l.n < sizeof l.text - 16; i++) {
        add(&l, " ", 1);
        add_quoted(&l, cmd_shown_arg(c, i));
    }
    memcpy(l.text + l.n, "\r\n", 2);
    l.n += 2;
    inbox_send_all(INBOX_MONITOR, l.text, (uint32_t)l.n);
    if (monitor_deliver) monitor_deliver(l.text, l.n);
}
