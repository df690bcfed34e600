/* net/log.h - lines of the server's log that C writes, in Redis' form, to the descriptor that Python gave. */
#ifndef SHOAL_NET_LOG_H
#define SHOAL_NET_LOG_H

#include "base/base.h"

enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING };

/* fd -1: nowhere. `level`: the lowest that is written. `role`: the letter behind the pid (M worker, C child). */
void server_log_to(int fd, enum log_level level, char role);
/* One line, one write; longer than 1 KiB is cut. May be called anywhere but inside a bracket. */
void server_log(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
