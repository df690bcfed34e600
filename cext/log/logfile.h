/* log/logfile.h - the incr file that the log writer appends to: opening, bytes, fdatasync, failure.
 *
 * Private memory of the log writer process, used by whoever holds the pen (loglanes.h). A write, an open or an fdatasync that fails ends the file:
 * log_failed keeps the errno, write_error gets its bit 2, and nothing is written to it any more (logwriter.h says how it goes on).
 * Death: the heir opens the mark's file and cuts it to the mark's length.
 */
#ifndef SHOAL_LOG_LOGFILE_H
#define SHOAL_LOG_LOGFILE_H

#include <limits.h>

#include "log/loglanes.h"
#include "shm/layout.h"

struct log_file {
    char folder[PATH_MAX], name[256]; /* <folder>/<name>.<number>.incr.aof */
    int fd;                           /* -1 = none */
    int fds[LOG_LANES];               /* one for each lane to force it with; the first is fd; -1 = not to be had */
    uint64_t number, bytes;
    uint64_t synced;   /* bytes that are known to be forced to the disk */
    int64_t synced_us; /* monotonic: when the last fdatasync was begun */
};
extern struct log_file log_file;

/* Opens the mark's file where the mark says it ends. */
void log_file_open(struct log_mark m);
/* Nobody forces it any more when this returns. */
void log_file_close(void);
/* False: errno says why. */
bool log_file_write(const uint8_t *p, size_t n);
/* A line of no bytes: with it a file of ours begins, and it ends with one after a clean stop, which tells that all of it was on the disk. */
bool log_file_line(struct log_mark m);
/* Forces what was written, when all lanes rest, and publishes synced_lsn; false: the file has failed. */
bool log_file_sync(void);
/* The file is not trusted from here on; `what` begins the words for the server's log. */
void log_file_fail(const char *what, int error);

#endif
