/* resp/reply.h - building replies in RESP2 or RESP3.
 *
 * Replies go into the worker's private output (struct reply); nothing here touches shared memory or takes a lock, and nothing
 * fails: a reply buffer that cannot grow closes the client after the command. A transaction that is rolled back truncates to a
 * mark (reply_mark/reply_rewind). RESP2 forms of RESP3 types are chosen as Redis does.
 */
#ifndef SHOAL_RESP_REPLY_H
#define SHOAL_RESP_REPLY_H

#include <string.h>

#include "base/base.h"
#include "base/num.h"

struct cmd;

enum error_id {
#define ERROR(ident, text) ERR_##ident,
#include "errors.def"
#undef ERROR
    ERR_COUNT
};

struct reply {
    uint8_t *buf;   /* private, grows */
    size_t len, cap;
    uint8_t resp;   /* 2 or 3 */
    bool broken;    /* memory ran out: the client is closed */
    uint32_t errors; /* error replies written (total_error_replies, command failed) */
    uint32_t errors_counted; /* of them, those that the statistics know */
    size_t error_at; /* where the latest of them begins, if it has not left yet */
};

#define REPLY_HEAD_ROOM 32u /* bytes of the longest type byte, number and CR LF, with some to spare */

void reply_init(struct reply *r);
void reply_deinit(struct reply *r);
/* The text of an error with its code, zero-terminated, without '-'; may hold a %s. */
const char *error_text(enum error_id e);

uint8_t *reply_grow(struct reply *r, size_t n) NOINLINE;
/* Room for n more bytes; returns where to write (advance len yourself). When there is no memory the reply so far is given up
 * (broken) and its room used again; a single reply larger than the machine's memory stops the process. */
static ALWAYS_INLINE uint8_t *reply_room(struct reply *r, size_t n)
{
    return likely(r->cap - r->len >= n) ? r->buf + r->len : reply_grow(r, n);
}
static ALWAYS_INLINE size_t reply_mark(const struct reply *r) { return r->len; }
static ALWAYS_INLINE void reply_rewind(struct reply *r, size_t mark) { r->len = mark; }

/* Bytes that are RESP already. */
static ALWAYS_INLINE void reply_raw(struct reply *r, const void *p, size_t n)
{
    memcpy(reply_room(r, n), p, n);
    r->len += n;
}
static ALWAYS_INLINE void reply_ok(struct reply *r) { reply_raw(r, "+OK\r\n", 5); }
/* A type byte, a number and CR LF at p, which has REPLY_HEAD_ROOM; returns the end. */
static ALWAYS_INLINE uint8_t *reply_head(uint8_t *p, char type, uint64_t n)
{
    *p++ = (uint8_t)type;
    if (likely(n < 10)) {
        *p++ = (uint8_t)('0' + n);
    } else if (n < 100) {
        *p++ = (uint8_t)('0' + n / 10);
        *p++ = (uint8_t)('0' + n % 10);
    } else {
        p += num_from_u64(p, n);
    }
    memcpy(p, "\r\n", 2);
    return p + 2;
}
void reply_status(struct reply *r, const char *text);              /* +text */
void reply_int(struct reply *r, int64_t v);                        /* :v */
static ALWAYS_INLINE void reply_bulk(struct reply *r, const void *p, size_t n)
{
    uint8_t *to = reply_room(r, n + REPLY_HEAD_ROOM), *at = reply_head(to, '$', n);
    __asm__("" : "+r"(n)); /* else gcc warns of sizes that only reply_head()'s branches make thinkable */
    memcpy(at, p, n);
    memcpy(at + n, "\r\n", 2);
    r->len += (size_t)(at + n + 2 - to);
}
/* The head of a bulk of n bytes and room for them; the caller stores all n. */
static ALWAYS_INLINE uint8_t *reply_bulk_room(struct reply *r, size_t n)
{
    uint8_t *to = reply_room(r, n + REPLY_HEAD_ROOM), *at = reply_head(to, '$', n);
    memcpy(at + n, "\r\n", 2);
    r->len += (size_t)(at + n + 2 - to);
    return at;
}
static ALWAYS_INLINE void reply_slice(struct reply *r, struct slice s) { reply_bulk(r, s.p, s.n); }
void reply_cstring(struct reply *r, const char *s);                /* bulk */
void reply_bulk_int(struct reply *r, int64_t v);                   /* bulk with the decimal digits */
void reply_null(struct reply *r);                                  /* RESP2 $-1, RESP3 _ */
void reply_null_array(struct reply *r);                            /* RESP2 *-1, RESP3 _ */
void reply_array(struct reply *r, uint64_t n);
void reply_map(struct reply *r, uint64_t pairs);                   /* RESP2: array of 2n */
void reply_set(struct reply *r, uint64_t n);                       /* RESP2: array */
void reply_push(struct reply *r, uint64_t n);                      /* RESP2: array */
void reply_attribute(struct reply *r, uint64_t pairs);             /* RESP3 only */
void reply_double(struct reply *r, double v);                      /* RESP2: bulk, shortest as Redis prints scores */
void reply_human_long_double(struct reply *r, long double v);      /* bulk, as INCRBYFLOAT prints */
void reply_bool(struct reply *r, bool v);                          /* RESP2: 0 or 1 */
void reply_bignum(struct reply *r, const char *digits);            /* RESP2: bulk */
void reply_verbatim(struct reply *r, const char ext[3], const void *p, size_t n); /* RESP2: bulk */
void reply_error(struct reply *r, enum error_id e);                /* errors.def */
void reply_errorf(struct reply *r, const char *fmt, ...) PRINTF_LIKE(2, 3); /* text after '-'; line breaks become spaces */
void reply_error_text(struct reply *r, const void *p, size_t n);   /* text after '-' that came from elsewhere; cleaned */

/* An aggregate whose length is known only afterwards: place = reply_later(r); ... ; reply_later_array(r, place, n). */
size_t reply_later(struct reply *r);
void reply_later_array(struct reply *r, size_t place, uint64_t n);
void reply_later_map(struct reply *r, size_t place, uint64_t pairs);
void reply_later_set(struct reply *r, size_t place, uint64_t n);
void reply_later_push(struct reply *r, size_t place, uint64_t n);

#endif
