/* resp/reply.h - building replies in RESP2 or RESP3.
 *
 * Replies go into the worker's private output (struct reply); nothing here touches shared memory or takes a lock, and nothing
 * fails: a reply buffer that cannot grow closes the client after the command. A transaction that is rolled back truncates to a
 * mark (reply_mark/reply_rewind). RESP2 forms of RESP3 types are chosen as Redis does.
 */
#ifndef SHOAL_RESP_REPLY_H
#define SHOAL_RESP_REPLY_H

#include "base/base.h"

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
};

/* Room for n more bytes; returns where to write (advance len yourself), or a bounded dump area when broken. */
uint8_t *reply_room(struct reply *r, size_t n);
static ALWAYS_INLINE size_t reply_mark(const struct reply *r) { return r->len; }
static ALWAYS_INLINE void reply_rewind(struct reply *r, size_t mark) { r->len = mark; }

void reply_raw(struct reply *r, const void *p, size_t n); /* bytes that are RESP already */
void reply_ok(struct reply *r);
void reply_status(struct reply *r, const char *text);              /* +text */
void reply_int(struct reply *r, int64_t v);                        /* :v */
void reply_bulk(struct reply *r, const void *p, size_t n);
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
