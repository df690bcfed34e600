/* net/log.c - "PID:M DD Mon YYYY HH:MM:SS.mmm * words". Where it goes: log.h. */
#include "net/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int log_fd = -1;
static enum log_level lowest = LOG_NOTICE;
static char log_role = 'M';

void server_log_to(int fd, enum log_level level, char role)
{
    log_fd = fd;
    lowest = level;
    log_role = role;
}

void server_log(enum log_level level, const char *fmt, ...)
{
    static const char marks[] = ".-*#", *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char line[1024];
    struct timeval now;
    struct tm t;
    if (log_fd < 0 || level < lowest) return;
    gettimeofday(&now, NULL);
    localtime_r(&now.tv_sec, &t);
    int n = snprintf(line, sizeof line, "%d:%c %02d %s %d %02d:%02d:%02d.%03d %c ", (int)getpid(), log_role, t.tm_mday, months[t.tm_mon],
                     t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec, (int)(now.tv_usec / 1000), marks[level]);
    va_list args;
    va_start(args, fmt);
    n += vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, args);
    va_end(args);
    n = MIN(n, (int)sizeof line - 2);
    line[n++] = '\n';
    ssize_t w = write(log_fd, line, (size_t)n);
    (void)w;
}
