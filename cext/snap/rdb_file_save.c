/* snap/rdb_file_save.c - the running snapshot as an RDB file. Format: rdb.h; contract: rdb_file.h.
 * Owns a file_writer; death in the middle leaves an unfinished temporary file. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc64.h"
#include "base/le.h"
#include "snap/file_writer.h"
#include "snap/rdb_file.h"
#include "snap/rdb_head.h"
#include "snap/rdb_save.h"

#define HEAD_BYTES 9u /* "REDIS" and the version */

struct saver {
    struct rdb_out out;
    struct mem_reader reader;
    struct file_writer file;
    uint32_t flags;
    unsigned version; /* the newest that a value has asked for */
    uint64_t keys;
    int64_t now_ms;
    int error;        /* errno of what ended it */
};

/* The buffer is full: the next one. */
static bool flush(struct rdb_out *o, size_t need)
{
    (void)need;
    struct saver *s = o->ctx;
    if (!file_writer_next(&s->file, &o->len)) return false;
    o->buf = file_writer_buffer(&s->file);
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
    snprintf(text, sizeof text, "REDIS%04u", (unsigned)RDB_VERSION);
    rdb_put_raw(&s->out, text, HEAD_BYTES);
    put_aux(&s->out, "redis-ver", "7.2.4");
    put_aux(&s->out, "redis-bits", sizeof(void *) == 8 ? "64" : "32");
    snprintf(text, sizeof text, "%lld", (long long)(s->now_ms / 1000));
    put_aux(&s->out, "ctime", text);
    snprintf(text, sizeof text, "%lld", (long long)memory_used_bytes());
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

static bool cancelled(const struct saver *s)
{
    uint32_t wanted = s->flags & (RDB_FILE_AOF_BASE | RDB_FILE_REPLICA) ? SAVE_CANCEL : SAVE_CANCEL | SAVE_CANCEL_FLUSHED;
    return unlikely(atomic_load_explicit(&seg()->save_cancel, memory_order_relaxed) & wanted);
}

/* rdb-key-save-delay, for tests: microseconds after each key; negative: one after so many keys. A cancelled save does not wait. */
static void key_delay(const struct saver *s, int64_t us)
{
    if (us < 0) us = s->keys % (uint64_t)-us == 0;
    for (; us > 0 && !cancelled(s); us -= 10000) usleep((useconds_t)MIN(us, 10000));
}

static bool save_entry(void *arg, const struct entry *e, size_t size)
{
    struct saver *s = arg;
    (void)size;
    if (cancelled(s)) {
        s->error = ECANCELED;
        return false;
    }
    struct scratch_mark mark = scratch_mark();
    if (entry_type(e) != OBJ_STRING) s->version = MAX(s->version, rdb_version_of(rdb_type_of(&s->reader, e)));
    rdb_save_record(&s->out, &s->reader, e, s->now_ms);
    scratch_rewind(mark);
    atomic_store_explicit(&seg()->progress_done, ++s->keys, memory_order_relaxed);
    if (unlikely(setting(SET_rdb_key_save_delay))) key_delay(s, setting(SET_rdb_key_save_delay));
    return !rdb_failed(&s->out);
}

/* A value has asked for a newer version than the one that stands in front: it is put there, and into the sum. */
static bool renew_version(struct saver *s, uint64_t *crc)
{
    char was[5], is[5], change[4];
    if (s->version == RDB_VERSION) return true;
    snprintf(was, sizeof was, "%04u", (unsigned)RDB_VERSION);
    snprintf(is, sizeof is, "%04u", s->version);
    for (int i = 0; i < 4; i++) change[i] = (char)(was[i] ^ is[i]);
    *crc ^= crc64_shift(crc64(0, change, 4), s->file.bytes - HEAD_BYTES);
    ssize_t n = pwrite(s->file.fd, is, 4, HEAD_BYTES - 4);
    if (n != 4) s->error = n < 0 ? errno : ENOSPC;
    return n == 4;
}

static bool save_all(struct saver *s)
{
    struct snap_visitor v = {save_db, save_entry, s};
    s->out = (struct rdb_out){.buf = file_writer_buffer(&s->file), .cap = FILE_WRITER_PIECE, .room = flush, .ctx = s,
                              .compress = s->flags & RDB_FILE_COMPRESS};
    atomic_store(&seg()->progress_done, 0);
    atomic_store(&seg()->progress_total, snapshot_info()->keys);
    put_head(s);
    if (!snapshot_walk(&v)) return false;
    rdb_put_byte(&s->out, RDB_OP_EOF);
    if (rdb_failed(&s->out) || !file_writer_finish(&s->file, s->out.len)) return false;
    uint8_t sum[8];
    uint64_t crc = s->file.crc;
    if (!renew_version(s, &crc)) return false;
    le_store64(sum, s->flags & RDB_FILE_CHECKSUM ? crc : 0);
    return file_writer_append(&s->file, sum, sizeof sum);
}

int rdb_file_save(int fd, uint32_t flags, char *err, size_t errlen)
{
    static struct saver s; /* of this process; static: lives through a longjmp */
    s = (struct saver){.flags = flags, .version = RDB_VERSION, .now_ms = clock_wall_ms()};
    s.reader.copy = copy_as_of_cut;
    s.error = file_writer_open(&s.file, fd, flags & RDB_FILE_CHECKSUM);
    if (s.error) {
        snprintf(err, errlen, "no memory for a file buffer");
        return -1;
    }
    jmp_buf failed, *outer = my_txn.on_fail;
    volatile bool ok = false;
    my_txn.on_fail = &failed; /* scratch memory may run out */
    if (setjmp(failed) == 0)
        ok = save_all(&s);
    else
        s.error = ENOMEM;
    my_txn.on_fail = outer;
    scratch_reset();
    file_writer_close(&s.file);
    if (ok) return 0;
    int error = s.error ? s.error : s.file.error;
    snprintf(err, errlen, "%s", error ? strerror(error) : "the pre-image pool's file cannot be written");
    return -1;
}
