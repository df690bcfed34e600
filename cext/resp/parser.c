/* resp/parser.c - commands out of bytes. What is accepted and why in two ways: parser.h. */
#include "resp/parser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

/* ---- complete commands ---- */

/* Digits at p up to a CR, as Redis writes numbers: at most nine, no leading zero. Returns how many, 0 if it is something else. */
static ALWAYS_INLINE uint32_t short_number(const uint8_t *p, uint32_t *value)
{
    uint32_t v = (uint32_t)p[0] - '0', n = 1;
    if (unlikely(v > 9)) return 0;
    if (likely(p[1] == '\r')) {
        *value = v;
        return 1;
    }
    if (unlikely(v == 0)) return 0;
    for (; n < 10; n++) {
        uint32_t d = (uint32_t)p[n] - '0';
        if (d > 9) break;
        v = v * 10 + d;
    }
    *value = v;
    return n < 10 && p[n] == '\r' ? n : 0;
}

size_t parse_whole(const uint8_t *p, size_t n, int64_t max_bulk, struct slice *argv, uint32_t cap, uint32_t *argc)
{
    uint32_t count, digits;
    if (unlikely(n < 4 || p[0] != '*' || !(digits = short_number(p + 1, &count)) || count == 0 || count > cap)) return 0;
    size_t at = 1 + digits + 2;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t len;
        if (unlikely(at >= n || p[at] != '$' || !(digits = short_number(p + at + 1, &len)))) return 0;
        at += 1 + digits + 2;
        if (unlikely(at + len + 2 > n || (int64_t)len > max_bulk)) return 0;
        argv[i] = (struct slice){p + at, len};
        at += len + 2;
    }
    *argc = count;
    return at;
}

/* ---- commands in pieces ---- */

static enum parse_result wrong(struct parser *s, const char *text)
{
    snprintf(s->error, sizeof s->error, "%s", text);
    return PARSE_ERROR;
}

/* Room for one more argument. Grows by doubling, never from the number that a client announces. */
static bool add_arg(struct parser *s, size_t off, size_t n)
{
    if (s->argc == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 16;
        struct slice *grown = realloc(s->args, cap * sizeof *grown);
        if (!grown) return false;
        s->args = grown;
        s->cap = cap;
    }
    s->args[s->argc++] = (struct slice){(const uint8_t *)(uintptr_t)off, n};
    return true;
}

enum line { LINE_MORE, LINE_LONG, LINE_NUMBER, LINE_OTHER };

/* The number behind the byte at s->at, up to a CR and one more byte. Moves s->at behind it. */
static enum line read_length(struct parser *s, const uint8_t *p, size_t n, int64_t *value)
{
    const uint8_t *start = p + s->at, *cr = memchr(start, '\r', n - s->at);
    if (!cr) return n - s->at > PARSE_LINE_MAX ? LINE_LONG : LINE_MORE;
    if ((size_t)(cr - p) + 2 > n) return LINE_MORE;
    s->at = (size_t)(cr - p) + 2;
    return num_parse_i64(start + 1, (size_t)(cr - start) - 1, value) ? LINE_NUMBER : LINE_OTHER;
}

static enum parse_result feed_bulk(struct parser *s, const uint8_t *p, size_t n, const struct parse_limits *limits)
{
    if (!s->bulk) {
        if (s->at >= n) return PARSE_MORE;
        size_t start = s->at;
        int64_t len;
        enum line l = read_length(s, p, n, &len);
        if (l == LINE_MORE) return PARSE_MORE;
        if (l == LINE_LONG) return wrong(s, "too big bulk count string");
        if (p[start] != '$') {
            snprintf(s->error, sizeof s->error, "expected '$', got '%c'", p[start]);
            return PARSE_ERROR;
        }
        if (l == LINE_OTHER || len < 0 || len > limits->max_bulk) return wrong(s, "invalid bulk length");
        if (len > PARSE_UNAUTH_BULK && !limits->authenticated) return wrong(s, "unauthenticated bulk length");
        s->bulk = len + 1;
    }
    size_t len = (size_t)s->bulk - 1;
    if (n - s->at < len + 2) return PARSE_MORE;
    if (!add_arg(s, s->at, len)) return wrong(s, "out of memory");
    s->at += len + 2;
    s->bulk = 0;
    s->left--;
    return PARSE_DONE;
}

static enum parse_result feed_multibulk(struct parser *s, const uint8_t *p, size_t n, const struct parse_limits *limits, size_t *used)
{
    if (!s->left) {
        int64_t count;
        enum line l = read_length(s, p, n, &count);
        if (l == LINE_MORE) return PARSE_MORE;
        if (l == LINE_LONG) return wrong(s, "too big mbulk count string");
        if (l == LINE_OTHER || count > INT32_MAX) return wrong(s, "invalid multibulk length");
        if (count > PARSE_UNAUTH_ARGS && !limits->authenticated) return wrong(s, "unauthenticated multibulk length");
        if (count <= 0) {
            *used = s->at;
            s->at = 0;
            return PARSE_EMPTY;
        }
        s->left = count;
    }
    while (s->left) {
        enum parse_result r = feed_bulk(s, p, n, limits);
        if (r != PARSE_DONE) return r;
    }
    for (uint32_t i = 0; i < s->argc; i++) s->args[i].p = p + (uintptr_t)s->args[i].p;
    *used = s->at;
    return PARSE_DONE;
}

/* ---- inline commands ---- */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that an escape in double quotes stands for; *p is at the backslash, moves behind the escape. */
static uint8_t unescape(const uint8_t **p, const uint8_t *end)
{
    const uint8_t *q = *p + 1;
    if (end - q >= 3 && q[0] == 'x' && hex_digit(q[1]) >= 0 && hex_digit(q[2]) >= 0) {
        *p = q + 3;
        return (uint8_t)(hex_digit(q[1]) << 4 | hex_digit(q[2]));
    }
    *p = q + 1;
    switch (*q) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return *q;
    }
}

static bool is_blank(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* One quoted part, *p behind the opening quote; moves behind the closing one. False: it is not closed, or a word follows at once. */
static bool quoted(const uint8_t **p, const uint8_t *end, uint8_t quote, uint8_t **out)
{
    while (*p < end) {
        if (quote == '"' && **p == '\\' && end - *p >= 2) {
            *(*out)++ = unescape(p, end);
        } else if (quote == '\'' && end - *p >= 2 && (*p)[0] == '\\' && (*p)[1] == '\'') {
            *(*out)++ = '\'';
            *p += 2;
        } else if (**p == quote) {
            ++*p;
            return *p == end || is_blank(**p);
        } else {
            *(*out)++ = *(*p)++;
        }
    }
    return false;
}

int64_t parse_words(const uint8_t *p, size_t n, uint8_t *text, struct slice *args)
{
    const uint8_t *end = p + n;
    int64_t count = 0;
    for (;;) {
        while (p < end && is_blank(*p)) p++;
        if (p == end || *p == 0) return count;
        uint8_t *word = text;
        while (p < end && *p && !is_blank(*p)) {
            if (*p == '"' || *p == '\'') {
                uint8_t quote = *p++;
                if (!quoted(&p, end, quote, &text)) return -1;
                break;
            }
            *text++ = *p++;
        }
        args[count++] = (struct slice){word, (size_t)(text - word)};
    }
}

static enum parse_result feed_inline(struct parser *s, const uint8_t *p, size_t n, size_t *used)
{
    const uint8_t *lf = memchr(p + s->at, '\n', n - s->at);
    if (!lf) {
        s->at = n;
        return n > PARSE_LINE_MAX ? wrong(s, "too big inline request") : PARSE_MORE;
    }
    size_t len = (size_t)(lf - p);
    *used = len + 1;
    s->at = 0;
    if (len && lf[-1] == '\r') len--;
    if (!(s->text = malloc(len + 1)) || !(s->args = malloc((len / 2 + 1) * sizeof *s->args))) return wrong(s, "out of memory");
    int64_t count = parse_words(p, len, s->text, s->args);
    if (count < 0) return wrong(s, "unbalanced quotes in request");
    s->argc = (uint32_t)count;
    if (count) return PARSE_DONE;
    parser_reset(s);
    return PARSE_EMPTY;
}

enum parse_result parser_feed(struct parser *s, const uint8_t *p, size_t n, const struct parse_limits *limits, size_t *used)
{
    if (!n) return PARSE_MORE;
    return p[0] == '*' ? feed_multibulk(s, p, n, limits, used) : feed_inline(s, p, n, used);
}

size_t parser_room(const struct parser *s)
{
    return s->bulk > (int64_t)PARSE_BIG_BULK ? s->at + (size_t)s->bulk - 1 + 2 : 0;
}

void parser_reset(struct parser *s)
{
    free(s->args);
    free(s->text);
    memset(s, 0, sizeof *s);
}
