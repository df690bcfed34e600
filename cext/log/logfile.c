/* log/logfile.c - the incr file that is being written. What a failure means: logfile.h. */
#include "log/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/logbatch.h"
#include "log/logstate.h"
#include "log/logsync.h"
#include "log/logwriter.h"

struct log_file log_file = {.fd = -1, .fds = {-1, -1, -1}};

static struct {
    char text[512];
    bool there, warning;
} words;

/* ---- words and failure ---- */

static void say(bool warning, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(bool warning, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(words.text, sizeof words.text, fmt, args);
    va_end(args);
    words.there = true;
    words.warning = warning;
}

const char *logwriter_words(bool *warning)
{
    static char said[sizeof words.text];
    log_pen_take();
    *warning = words.warning;
    snprintf(said, sizeof said, "%s", words.there ? words.text : "");
    words.there = false;
    log_pen_drop();
    return said;
}

void log_file_fail(const char *what, int error)
{
    if (log_failed()) return;
    atomic_store_explicit(&seg()->log_failed, (uint32_t)(error ? error : EIO), memory_order_release);
    write_error_set(2, true);
    say(true, "%s the append only file %s.%" PRIu64 ".incr.aof: %s. Writes are refused until a new file and base are on the disk.", what,
        log_file.name, log_file.number, strerror(error ? error : EIO));
}

/* ---- writing and forcing ---- */

void log_file_close(void)
{
    log_sync_rest();
    log_lanes_rest();
    for (uint32_t i = 0; i < LOG_LANES; i++) {
        if (log_file.fds[i] >= 0) close(log_file.fds[i]);
        log_file.fds[i] = -1;
    }
    log_file.fd = -1;
    log_file.number = 0;
}

bool log_file_write(const uint8_t *p, size_t n)
{
    while (n) {
        ssize_t done = write(log_file.fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

bool log_file_line(struct log_mark m)
{
    char text[LOG_MARK_MAX];
    const struct log_mark_line line = {.lsn = m.lsn, .synced = log_file.synced}; /* no time: records to come may be older */
    size_t n = log_mark_format(&line, NULL, text);
    if (!log_file_write((const uint8_t *)text, n)) {
        log_file_fail("Can't write to", errno);
        return false;
    }
    m.bytes = log_file.bytes = m.bytes + n;
    log_mark_set(m);
    return true;
}

void log_file_open(struct log_mark m)
{
    char path[PATH_MAX + 300];
    struct stat st;
    log_file_close();
    log_file.number = m.file;
    log_file.bytes = m.bytes;
    log_file.synced = 0;
    snprintf(path, sizeof path, "%s/%s.%" PRIu64 ".incr.aof", log_file.folder, log_file.name, m.file);
    for (uint32_t i = 0; i < LOG_LANES; i++) log_file.fds[i] = open(path, O_WRONLY | O_CLOEXEC);
    log_file.fd = log_file.fds[0];
    if (log_file.fd < 0 || fstat(log_file.fd, &st)) {
        log_file_fail("Can't open", errno);
    } else if ((uint64_t)st.st_size < m.bytes) {
        errno = EIO;
        log_file_fail("Bytes that were written are gone from", errno);
    } else if (((uint64_t)st.st_size > m.bytes && ftruncate(log_file.fd, (off_t)m.bytes)) || lseek(log_file.fd, (off_t)m.bytes, SEEK_SET) < 0) {
        log_file_fail("Can't cut", errno);
    } else if ((m.bytes || log_file_line(m)) && fdatasync(log_file.fd)) {
        log_file_fail("Can't force to the disk", errno);
    } else {
        log_file.synced = log_file.bytes;
        log_file.synced_us = clock_mono_us();
    }
}

bool log_file_sync(void)
{
    log_lanes_rest();
    if (log_failed()) return false;
    struct log_mark m = logwriter_mark();
    int error = log_sync_rest();
    if (!error) {
        if (fdatasync(log_file.fd)) error = errno;
        atomic_fetch_add(&seg()->log_syncs, 1);
        log_file.synced_us = clock_mono_us();
    }
    if (error) {
        log_file_fail("Can't force to the disk", error);
        return false;
    }
    log_file.synced = log_file.bytes;
    if (log_counts()) log_publish_synced(m.lsn);
    return true;
}
