/* cmd/monitor.h - MONITOR: connections that see every command of every worker.
 *
 * header.monitors counts them, so that a server without any pays one load of a word that it reads anyhow. A worker that executes a
 * command while there are some sends the line to all workers (INBOX_MONITOR); each appends it to its own monitors' output.
 * Death: the heir of a worker takes its monitors off the count when it sweeps the client records.
 */
#ifndef SHOAL_CMD_MONITOR_H
#define SHOAL_CMD_MONITOR_H

#include "cmd/client.h"
#include "cmd/cmd.h"

static ALWAYS_INLINE bool monitor_any(void)
{
    return unlikely(atomic_load_explicit(&seg()->monitors, memory_order_relaxed) != 0);
}

/* A command was executed: tells all monitors, unless its row says that it is not shown. */
void monitor_command(const struct cmd *c) COLD;
/* The client is no monitor any more (RESET, end of the connection). */
void monitor_stop(struct client *c);
/* This worker's monitors get a line; set by net/, which knows the clients. */
extern void (*monitor_deliver)(const void *line, size_t n);

#endif
