/* snap/resp_base.c - the running snapshot as a file of RESP commands. Form: resp_base.h. Owns a private buffer and nothing shared. */
#include "snap/resp_base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crc64.h"
#include "log/logbatch.h"
#include "snap/snapshot.h"

#define FILE_BUFFER (1u << 20)
#define MARK_EVERY (4ull << 20)  /* bytes between two lines with a checksum */
#define SYNC_EVERY (32ull << 20) /* bytes between two hints to write back, so that the final fsync is short */

struct saver {
    struct rdb_out out;
    struct mem_reader reader;
    int fd, error;    /* errno of a failed write, ECANCELED */
    uint64_t crc;     /* of what was written since the last mark */
    uint64_t unmarked; /* bytes of it */
    uint64_t bytes, hinted;
};

static bool write_all(struct saver *s, const uint8_t *p, size_t n)
{
    while (n) {
        ssize_t w = write(s->fd, p, n);
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) {
            s->error = w < 0 ? errno : ENOSPC;
            return false;
        }
        p += w;
        n -= (size_t)w;
        s->bytes += (size_t)w;
    }
    return true;
}

static bool flush(struct rdb_out *o, size_t need)
{
    (void)need;
    struct saver *s = o->ctx;
    s->crc = crc64(s->crc, o->buf, o->len);
    s->unmarked += o->len;
    if (!write_all(s, o->buf, o->len)) return false;
    o->len = 0;
    if (s->bytes - s->hinted > SYNC_EVERY) {
        sync_file_range(s->fd, (off_t)s->hinted, (off_t)(s->bytes - s->hinted), SYNC_FILE_RANGE_WRITE);
        s->hinted = s->bytes;
    }
    return true;
}

/* Between two commands: the line that vouches for what stands before it. It says that all of that is on the disk: nobody sees the file before. */
static bool mark(struct saver *s)
{
    char text[LOG_MARK_MAX];
    if (!flush(&s->out, 0)) return false;
    struct log_mark_line m = {snapshot_info()->lsn, (uint64_t)snapshot_info()->cut_ms, s->unmarked, s->bytes};
    size_t n = log_mark_format_crc(&m, s->crc, text);
    s->crc = s->unmarked = 0;
    return write_all(s, (const uint8_t *)text, n);
}

static void copy_as_of_cut(struct mem_reader *r, shm_off off, void *dst, size_t n)
{
    (void)r;
    snap_read(off, dst, n);
}

static bool save_db(void *arg, uint32_t db, uint64_t keys, uint64_t expires)
{
    struct saver *s = arg;
    (void)keys, (void)expires;
    resp_put_command(&s->out, 2);
    resp_put_word(&s->out, "SELECT");
    resp_put_number(&s->out, db);
    return !rdb_failed(&s->out);
}

static bool save_entry(void *arg, const struct entry *e, size_t size)
{
    struct saver *s = arg;
    (void)size;
    if (unlikely(atomic_load_explicit(&seg()->save_cancel, memory_order_relaxed) & SAVE_CANCEL)) {
        s->error = ECANCELED;
        return false;
    }
    resp_base_key(&s->out, &s->reader, e);
    atomic_fetch_add_explicit(&seg()->progress_done, 1, memory_order_relaxed);
    if (rdb_failed(&s->out)) return false;
    return s->unmarked < MARK_EVERY || mark(s);
}

static bool save(struct saver *s)
{
    struct snap_visitor v = {save_db, save_entry, s};
    atomic_store(&seg()->progress_done, 0);
    atomic_store(&seg()->progress_total, snapshot_info()->keys);
    if (setting(SET_aof_timestamp_enabled)) {
        char text[40];
        rdb_put_raw(&s->out, text, (size_t)snprintf(text, sizeof text, "#TS:%lld\r\n", (long long)(snapshot_info()->cut_ms / 1000)));
    }
    return snapshot_walk(&v) && mark(s) && mark(s); /* the second vouches for the first: the last commands of a base are never a torn end */
}

int resp_base_save(int fd, char *err, size_t errlen)
{
    struct saver s = {.fd = fd, .reader.copy = copy_as_of_cut};
    s.out = (struct rdb_out){.buf = malloc(FILE_BUFFER), .cap = FILE_BUFFER, .room = flush, .ctx = &s};
    uint8_t *buffer = s.out.buf;
    jmp_buf failed, *outer = my_txn.on_fail;
    volatile bool ok = false;
    if (!buffer) {
        snprintf(err, errlen, "no memory for a file buffer");
        return -1;
    }
    my_txn.on_fail = &failed; /* scratch memory may run out */
    if (setjmp(failed) == 0)
        ok = save(&s);
    else
        s.error = ENOMEM;
    my_txn.on_fail = outer;
    scratch_reset();
    free(buffer);
    if (ok) return 0;
    snprintf(err, errlen, "%s", s.error ? strerror(s.error) : "the pre-image pool's file cannot be written");
    return -1;
}
