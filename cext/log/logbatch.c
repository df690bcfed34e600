/* log/logbatch.c - building batches. Their form: logbatch.h. */
#include "log/logbatch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc64.h"
#include "base/num.h"

void log_batch_clear(struct log_batch *b)
{
    b->len = 0;
    b->records = 0;
}

void log_batch_free(struct log_batch *b)
{
    free(b->buf);
    *b = (struct log_batch){0};
}

static bool room(struct log_batch *b, size_t n)
{
    if (b->cap - b->len >= n) return true;
    size_t cap = MAX(b->len + n, b->cap ? b->cap * 2 : (size_t)65536);
    uint8_t *grown = realloc(b->buf, cap);
    if (!grown) return false;
    b->buf = grown;
    b->cap = cap;
    return true;
}

static void put(struct log_batch *b, const void *p, size_t n)
{
    memcpy(b->buf + b->len, p, n);
    b->len += n;
}

static void put_select(struct log_batch *b, uint32_t db)
{
    static const char ours[] = "#BATCH\r\n";
    char digits[16], text[64];
    if (!b->len) put(b, ours, sizeof ours - 1);
    int n = snprintf(digits, sizeof digits, "%" PRIu32, db);
    put(b, text, (size_t)snprintf(text, sizeof text, "*2\r\n$6\r\nSELECT\r\n$%d\r\n%s\r\n", n, digits));
    b->db = db;
}

static void put_timestamp(struct log_batch *b, uint64_t time_ms)
{
    char text[40];
    if (!b->timestamps || time_ms / 1000 == b->second) return;
    b->second = time_ms / 1000;
    put(b, text, (size_t)snprintf(text, sizeof text, "#TS:%" PRIu64 "\r\n", b->second));
}

bool log_batch_add(struct log_batch *b, const struct log_record *r)
{
    static const char multi[] = "*1\r\n$5\r\nMULTI\r\n", exec[] = "*1\r\n$4\r\nEXEC\r\n";
    if (!room(b, r->bytes + 128 + 64ull * r->frames)) return false;
    put_timestamp(b, r->time_ms);
    for (struct log_walk w = log_walk_begin(r); log_walk_next(&w);) {
        if (w.frame.db != b->db) put_select(b, w.frame.db);
        if (w.opens) put(b, multi, sizeof multi - 1);
        put(b, w.command, w.frame.len);
        if (w.closes) put(b, exec, sizeof exec - 1);
    }
    b->lsn = r->lsn;
    b->time_ms = r->time_ms;
    b->records++;
    return true;
}

bool log_batch_end(struct log_batch *b)
{
    char text[LOG_MARK_MAX];
    struct log_mark_line m = {b->lsn, b->time_ms, b->len, b->synced};
    size_t n = log_mark_format(&m, b->buf, text);
    if (!room(b, n)) return false;
    put(b, text, n);
    return true;
}

size_t log_mark_format(const struct log_mark_line *m, const uint8_t *bytes, char text[LOG_MARK_MAX])
{
    return log_mark_format_crc(m, crc64(0, bytes, m->bytes), text);
}

size_t log_mark_format_crc(const struct log_mark_line *m, uint64_t crc, char text[LOG_MARK_MAX])
{
    int n = snprintf(text, LOG_MARK_MAX, LOG_MARK_WORD "lsn=%" PRIu64 " time=%" PRIu64 " bytes=%" PRIu64 " synced=%" PRIu64 " crc=", m->lsn,
                     m->time_ms, m->bytes, m->synced);
    crc = crc64(crc, text, (size_t)n);
    n += snprintf(text + n, LOG_MARK_MAX - (size_t)n, "%016" PRIx64 "\r\n", crc);
    return (size_t)n;
}
