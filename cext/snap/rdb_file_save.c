/* snap/rdb_file_save.c - the running snapshot as an RDB file. Format: rdb.h; contract: rdb_file.h.
 * Owns a private buffer; death in the middle leaves an unfinished temporary file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc64.h"
#include "base/le.h"
#include "snap/rdb_file.h"
#include "snap/rdb_head.h"
#include "snap/rdb_save.h"

#define FILE_BUFFER (1u << 20)
#define SYNC_EVERY (32ull << 20) /* bytes between two hints to write back, so that the final fsync is short */

struct saver {
    struct rdb_out out;
    struct mem_reader reader;
    uint8_t *buffer;
    int fd;
    uint64_t crc, bytes, hinted;
    uint32_t flags;
    unsigned version, needed; /* the file's; the newest a value has asked for */
    int64_t now_ms;
    int error;                /* errno of a failed write */
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
    if (s->flags & RDB_FILE_CHECKSUM) s->crc = crc64(s->crc, o->buf, o->len);
    if (!write_all(s, o->buf, o->len)) return false;
    o->len = 0;
    if (s->bytes - s->hinted > SYNC_EVERY) {
        sync_file_range(s->fd, (off_t)s->hinted, (off_t)(s->bytes - s->hinted), SYNC_FILE_RANGE_WRITE);
        s->hinted = s->bytes;
    }
    return true;
}

static void copy_as_of_cut(struct mem_reader *r, shm_off off, void *dst, size_t n)
{
    (void)r;
    snap_read(off, dst, n);
}

static void put_text(struct rdb_out *o, const char *s) { rdb_put_string(o, s, strlen(s)); }

static void put_aux(struct rdb_out *o, const char *name, const char *value)
{
    rdb_put_byte(o, RDB_OP_AUX);
    put_text(o, name);
    put_text(o, value);
}

static void put_head(struct saver *s)
{
    char text[32];
    snprintf(text, sizeof text, "REDIS%04u", s->version);
    rdb_put_raw(&s->out, text, 9);
    put_aux(&s->out, "redis-ver", "7.2.4");
    put_aux(&s->out, "redis-bits", sizeof(void *) == 8 ? "64" : "32");
    snprintf(text, sizeof text, "%lld", (long long)(s->now_ms / 1000));
    put_aux(&s->out, "ctime", text);
    snprintf(text, sizeof text, "%lld", (long long)slots_used_bytes());
    put_aux(&s->out, "used-mem", text);
    put_aux(&s->out, "aof-base", s->flags & RDB_FILE_AOF_BASE ? "1" : "0");
    snprintf(text, sizeof text, "%llu", (unsigned long long)snapshot_info()->lsn);
    put_aux(&s->out, RDB_AUX_LSN, text);
    snprintf(text, sizeof text, "%lld", (long long)snapshot_info()->cut_ms);
    put_aux(&s->out, RDB_AUX_CUT_MS, text);
}

static bool save_db(void *arg, uint32_t db, uint64_t keys, uint64_t expires)
{
    struct saver *s = arg;
    rdb_put_byte(&s->out, RDB_OP_SELECT_DB);
    rdb_put_len(&s->out, db);
    rdb_put_byte(&s->out, RDB_OP_RESIZE_DB);
    rdb_put_len(&s->out, keys);
    rdb_put_len(&s->out, expires);
    return !rdb_failed(&s->out);
}

static bool save_entry(void *arg, const struct entry *e, size_t size)
{
    struct saver *s = arg;
    (void)size;
    if (unlikely(atomic_load_explicit(&seg()->save_cancel, memory_order_relaxed))) {
        s->error = ECANCELED;
        return false;
    }
    struct scratch_mark mark = scratch_mark();
    if (entry_type(e) != OBJ_STRING) {
        unsigned v = rdb_version_of(rdb_type_of(&s->reader, e));
        if (v > s->version) {
            s->needed = v;
            scratch_rewind(mark);
            return false;
        }
    }
    rdb_save_record(&s->out, &s->reader, e, s->now_ms);
    scratch_rewind(mark);
    atomic_fetch_add_explicit(&seg()->progress_done, 1, memory_order_relaxed);
    return !rdb_failed(&s->out);
}

static bool save_once(struct saver *s)
{
    struct snap_visitor v = {save_db, save_entry, s};
    s->out = (struct rdb_out){.buf = s->buffer, .cap = FILE_BUFFER, .room = flush, .ctx = s, .compress = s->flags & RDB_FILE_COMPRESS};
    s->crc = s->bytes = s->hinted = 0;
    atomic_store(&seg()->progress_done, 0);
    atomic_store(&seg()->progress_total, snapshot_info()->keys);
    put_head(s);
    if (!snapshot_walk(&v)) return false;
    rdb_put_byte(&s->out, RDB_OP_EOF);
    if (!flush(&s->out, 0)) return false;
    uint8_t sum[8];
    le_store64(sum, s->flags & RDB_FILE_CHECKSUM ? s->crc : 0);
    return write_all(s, sum, sizeof sum);
}

int rdb_file_save(int fd, uint32_t flags, char *err, size_t errlen)
{
    struct saver s = {.fd = fd, .flags = flags, .version = RDB_VERSION, .now_ms = clock_wall_ms(), .buffer = malloc(FILE_BUFFER)};
    s.reader.copy = copy_as_of_cut;
    jmp_buf failed, *outer = my_txn.on_fail;
    volatile bool ok = false;
    if (!s.buffer) {
        snprintf(err, errlen, "no memory for a file buffer");
        return -1;
    }
    my_txn.on_fail = &failed; /* scratch memory may run out */
    if (setjmp(failed) == 0) {
        ok = save_once(&s);
        while (!ok && !s.error && s.needed > s.version) { /* begun anew under the version that a value needs; the cut is the same */
            s.version = s.needed;
            if (ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET) < 0) {
                s.error = errno;
                break;
            }
            ok = save_once(&s);
        }
    } else {
        s.error = ENOMEM;
    }
    my_txn.on_fail = outer;
    scratch_reset();
    free(s.buffer);
    if (ok) return 0;
    snprintf(err, errlen, "%s", s.error ? strerror(s.error) : "the pre-image pool's file cannot be written");
    return -1;
}
