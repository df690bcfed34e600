/* resp/reply.c - the replies that are not inlined. Forms in RESP2 and RESP3, and what happens without memory: reply.h. */
#include "resp/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define REPLY_FIRST_ROOM (64u << 10)

static const struct {
    const char *text; /* '-', the words, CR LF */
    size_t n;
} error_lines[ERR_COUNT] = {
#define ERROR(ident, words) [ERR_##ident] = {"-" words "\r\n", sizeof("-" words "\r\n") - 1},
#include "errors.def"
#undef ERROR
};

static const char *const error_words[ERR_COUNT] = {
#define ERROR(ident, words) [ERR_##ident] = words,
#include "errors.def"
#undef ERROR
};

void reply_init(struct reply *r)
{
    *r = (struct reply){.resp = 2};
    reply_grow(r, 1);
}

void reply_deinit(struct reply *r)
{
    free(r->buf);
    *r = (struct reply){.resp = 2};
}

uint8_t *reply_grow(struct reply *r, size_t n)
{
    size_t cap = MAX(r->len + n, MAX(r->cap + r->cap / 2, (size_t)REPLY_FIRST_ROOM));
    uint8_t *grown = realloc(r->buf, cap);
    if (!grown) grown = realloc(r->buf, cap = r->len + n);
    if (grown) {
        r->buf = grown;
        r->cap = cap;
        return r->buf + r->len;
    }
    r->broken = true;
    r->len = 0;
    ENSURE(n <= r->cap);
    return r->buf;
}

const char *error_text(enum error_id e) { return error_words[e]; }

/* ---- simple types ---- */

static void head(struct reply *r, char type, uint64_t n)
{
    uint8_t *to = reply_room(r, REPLY_HEAD_ROOM);
    r->len += (size_t)(reply_head(to, type, n) - to);
}

/* A type byte, text, CR LF. */
static void line(struct reply *r, char type, const void *p, size_t n)
{
    uint8_t *to = reply_room(r, n + 3);
    to[0] = (uint8_t)type;
    memcpy(to + 1, p, n);
    memcpy(to + 1 + n, "\r\n", 2);
    r->len += n + 3;
}

void reply_status(struct reply *r, const char *text) { line(r, '+', text, strlen(text)); }

void reply_int(struct reply *r, int64_t v)
{
    uint8_t *to = reply_room(r, REPLY_HEAD_ROOM);
    if (likely(v >= 0)) {
        r->len += (size_t)(reply_head(to, ':', (uint64_t)v) - to);
        return;
    }
    to[0] = ':';
    size_t n = num_from_i64(to + 1, v);
    memcpy(to + 1 + n, "\r\n", 2);
    r->len += n + 3;
}

void reply_cstring(struct reply *r, const char *s) { reply_bulk(r, s, strlen(s)); }

void reply_bulk_int(struct reply *r, int64_t v)
{
    uint8_t digits[NUM_I64_ROOM];
    reply_bulk(r, digits, num_from_i64(digits, v));
}

void reply_null(struct reply *r)
{
    if (r->resp == 2)
        reply_raw(r, "$-1\r\n", 5);
    else
        reply_raw(r, "_\r\n", 3);
}

void reply_null_array(struct reply *r)
{
    if (r->resp == 2)
        reply_raw(r, "*-1\r\n", 5);
    else
        reply_raw(r, "_\r\n", 3);
}

void reply_double(struct reply *r, double v)
{
    uint8_t text[NUM_DOUBLE_ROOM];
    size_t n = num_from_double(text, v);
    if (r->resp == 2)
        reply_bulk(r, text, n);
    else
        line(r, ',', text, n);
}

void reply_human_long_double(struct reply *r, long double v)
{
    uint8_t text[NUM_LDOUBLE_ROOM];
    reply_bulk(r, text, num_from_ldouble(text, v));
}

void reply_bool(struct reply *r, bool v)
{
    if (r->resp == 2)
        reply_raw(r, v ? ":1\r\n" : ":0\r\n", 4);
    else
        reply_raw(r, v ? "#t\r\n" : "#f\r\n", 4);
}

void reply_bignum(struct reply *r, const char *digits)
{
    if (r->resp == 2)
        reply_cstring(r, digits);
    else
        line(r, '(', digits, strlen(digits));
}

void reply_verbatim(struct reply *r, const char ext[3], const void *p, size_t n)
{
    if (r->resp == 2) {
        reply_bulk(r, p, n);
        return;
    }
    head(r, '=', n + 4);
    uint8_t *to = reply_room(r, n + 6);
    memcpy(to, ext, 3);
    to[3] = ':';
    memcpy(to + 4, p, n);
    memcpy(to + 4 + n, "\r\n", 2);
    r->len += n + 6;
}

/* ---- aggregates ---- */

void reply_array(struct reply *r, uint64_t n) { head(r, '*', n); }
void reply_map(struct reply *r, uint64_t pairs) { r->resp == 2 ? head(r, '*', 2 * pairs) : head(r, '%', pairs); }
void reply_set(struct reply *r, uint64_t n) { head(r, r->resp == 2 ? '*' : '~', n); }
void reply_push(struct reply *r, uint64_t n) { head(r, r->resp == 2 ? '*' : '>', n); }
void reply_attribute(struct reply *r, uint64_t pairs) { head(r, '|', pairs); }

size_t reply_later(struct reply *r) { return r->len; }

/* Puts the head before what has been written since `place`. */
static void insert_head(struct reply *r, size_t place, char type, uint64_t n)
{
    if (unlikely(r->broken && place > r->len)) return;
    uint8_t text[REPLY_HEAD_ROOM];
    size_t len = (size_t)(reply_head(text, type, n) - text);
    reply_room(r, len);
    memmove(r->buf + place + len, r->buf + place, r->len - place);
    memcpy(r->buf + place, text, len);
    r->len += len;
}

void reply_later_array(struct reply *r, size_t place, uint64_t n) { insert_head(r, place, '*', n); }
void reply_later_map(struct reply *r, size_t place, uint64_t pairs)
{
    r->resp == 2 ? insert_head(r, place, '*', 2 * pairs) : insert_head(r, place, '%', pairs);
}
void reply_later_set(struct reply *r, size_t place, uint64_t n) { insert_head(r, place, r->resp == 2 ? '*' : '~', n); }
void reply_later_push(struct reply *r, size_t place, uint64_t n) { insert_head(r, place, r->resp == 2 ? '*' : '>', n); }

/* ---- errors ---- */

void reply_error(struct reply *r, enum error_id e)
{
    r->errors++;
    r->error_at = r->len;
    reply_raw(r, error_lines[e].text, error_lines[e].n);
}

void reply_error_text(struct reply *r, const void *p, size_t n)
{
    const uint8_t *from = p;
    while (n && (from[n - 1] == '\r' || from[n - 1] == '\n')) n--;
    uint8_t *to = reply_room(r, n + 3);
    r->error_at = r->len;
    to[0] = '-';
    for (size_t i = 0; i < n; i++) to[1 + i] = from[i] == '\r' || from[i] == '\n' ? ' ' : from[i];
    memcpy(to + 1 + n, "\r\n", 2);
    r->len += n + 3;
    r->errors++;
}

void reply_errorf(struct reply *r, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    reply_error_text(r, text, (size_t)MIN(MAX(n, 0), (int)sizeof text - 1));
}
