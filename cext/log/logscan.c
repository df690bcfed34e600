/* log/logscan.c - cutting an AOF into commands, and judging it. What the verdicts mean: logscan.h. */
#include "log/logscan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "log/logbatch.h"

#define LINE_MAX_BYTES 1024u /* Redis gives up on longer ones */

/* ---- lines ---- */

/* The '\n' that ends the line at `at`; n = there is none. */
static size_t line_end(const struct logscan *s, size_t at)
{
    const uint8_t *e = memchr(s->p + at, '\n', s->n - at);
    return e ? (size_t)(e - s->p) : s->n;
}

/* Is the line at `at`, which ends at `end`, the one that belongs behind the bytes it speaks of? Every byte of it must fit. */
static bool mark_fits(const struct logscan *s, size_t at, size_t end, struct log_mark_line *m)
{
    char text[LOG_MARK_MAX], want[LOG_MARK_MAX];
    size_t n = end + 1 - at;
    if (n >= sizeof text) return false;
    memcpy(text, s->p + at, n);
    text[n] = 0;
    if (sscanf(text, LOG_MARK_WORD "lsn=%" SCNu64 " time=%" SCNu64 " bytes=%" SCNu64 " synced=%" SCNu64, &m->lsn, &m->time_ms, &m->bytes, &m->synced) != 4)
        return false;
    return m->bytes <= at && log_mark_format(m, s->p + at - m->bytes, want) == n && memcmp(text, want, n) == 0;
}

static bool starts_with(const struct logscan *s, size_t at, const char *word)
{
    size_t n = strlen(word);
    return s->n - at >= n && memcmp(s->p + at, word, n) == 0;
}

/* How redis-server begins when it goes on in a file of ours; a batch of ours never begins so. */
#define SELECT_HEAD "*2\r\n$6\r\nSELECT\r\n"

/* What stands behind the last line of ours was written by somebody else. */
static bool foreign(const struct logscan *s) { return !s->batches || starts_with(s, s->batch, SELECT_HEAD); }

/* A batch of ours of so many bytes ends at s->at: is what lies between it and the last line of ours somebody else's? */
static bool foreign_before(const struct logscan *s, uint64_t bytes) { return bytes < s->at - s->batch && foreign(s); }

/* A line that begins with '#'. */
static enum logscan_result pass_line(struct logscan *s)
{
    size_t end = line_end(s, s->at);
    struct log_mark_line m;
    if (end == s->n) return s->n - s->at < LINE_MAX_BYTES ? LOGSCAN_SHORT : LOGSCAN_WRONG;
    if (starts_with(s, s->at, LOG_MARK_WORD)) {
        if (!mark_fits(s, s->at, end, &m) || (m.bytes != s->at - s->batch && !foreign_before(s, m.bytes))) return LOGSCAN_WRONG;
        s->lsn = m.lsn;
        if (m.bytes) s->time_ms = m.time_ms;
        s->batch = end + 1;
        s->batches = true;
        if (!s->first_ms) s->first_ms = s->time_ms;
    } else if (starts_with(s, s->at, "#TS:")) {
        s->second = strtoull((const char *)s->p + s->at + 4, NULL, 10); /* ends at the line's end at the latest */
        s->second_at = s->at;
        if (!s->first_ms) s->first_ms = s->second * 1000;
    }
    s->at = end + 1;
    return LOGSCAN_COMMAND;
}

/* "<mark><number>\r\n" at *at; moves behind it. */
static enum logscan_result read_length(const struct logscan *s, size_t *at, uint8_t mark, int64_t *v)
{
    if (*at >= s->n) return LOGSCAN_SHORT;
    if (s->p[*at] != mark) return LOGSCAN_WRONG;
    size_t i = *at + 1, digits = 0;
    int64_t value = 0;
    for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++, digits++) {
        if (digits > 17) return LOGSCAN_WRONG;
        value = value * 10 + (s->p[i] - '0');
    }
    if (i >= s->n || (s->p[i] == '\r' && i + 1 >= s->n)) return LOGSCAN_SHORT;
    if (!digits || s->p[i] != '\r' || s->p[i + 1] != '\n') return LOGSCAN_WRONG;
    *at = i + 2;
    *v = value;
    return LOGSCAN_COMMAND;
}

static enum logscan_result read_argument(const struct logscan *s, size_t *at, struct slice *out)
{
    int64_t n;
    enum logscan_result r = read_length(s, at, '$', &n);
    if (r != LOGSCAN_COMMAND) return r;
    if ((uint64_t)n + 2 > s->n - *at) return LOGSCAN_SHORT;
    *out = (struct slice){s->p + *at, (size_t)n};
    *at += (size_t)n;
    if (s->p[*at] != '\r' || s->p[*at + 1] != '\n') return LOGSCAN_WRONG;
    *at += 2;
    return LOGSCAN_COMMAND;
}

enum logscan_result logscan_next(struct logscan *s)
{
    while (s->at < s->n && s->p[s->at] == '#') {
        enum logscan_result r = pass_line(s);
        if (r != LOGSCAN_COMMAND) return r;
    }
    if (s->at == s->n) return LOGSCAN_END;
    size_t at = s->at;
    int64_t argc;
    enum logscan_result r = read_length(s, &at, '*', &argc);
    if (r != LOGSCAN_COMMAND) return r;
    if (argc < 1 || argc > INT32_MAX) return LOGSCAN_WRONG;
    s->argc = 0;
    for (int64_t i = 0; i < argc; i++) {
        if (s->argc == s->cap) {
            s->cap = s->cap ? s->cap * 2 : 64;
            s->argv = realloc(s->argv, s->cap * sizeof *s->argv);
            ENSURE(s->argv);
        }
        r = read_argument(s, &at, &s->argv[s->argc]);
        if (r != LOGSCAN_COMMAND) return r;
        s->argc++;
    }
    s->at = at;
    return LOGSCAN_COMMAND;
}

void logscan_free(struct logscan *s)
{
    free(s->argv);
    s->argv = NULL;
    s->cap = 0;
}

/* ---- judging ---- */

static bool is_word(struct slice a, const char *word) { return a.n == strlen(word) && strncasecmp((const char *)a.p, word, a.n) == 0; }

/* Is there, behind the last good batch, another one that fits its own bytes and knows that what lies there was forced to the disk? Then what
 * is wrong was once whole. */
static bool was_whole_once(const struct logscan *s)
{
    static const char word[] = "\n" LOG_MARK_WORD;
    const uint8_t *from = s->p + s->batch;
    size_t left = s->n - s->batch;
    for (const uint8_t *hit; (hit = memmem(from, left, word, sizeof word - 1));) {
        size_t line = (size_t)(hit + 1 - s->p), end = line_end(s, line);
        struct log_mark_line m;
        left -= (size_t)(hit + 1 - from);
        from = hit + 1;
        if (end < s->n && mark_fits(s, line, end, &m) && line - m.bytes >= s->batch && m.synced > s->batch) return true;
    }
    return false;
}

/* The last moment that everything read so far tells of. */
static uint64_t covered_ms(const struct logscan *s)
{
    return s->second && s->second_at >= s->batch ? s->second * 1000 + 999 : s->time_ms;
}

/* A length that was written to the disk without its bytes. */
static bool only_zeroes(const struct logscan *s)
{
    for (size_t i = s->at; i < s->n; i++)
        if (s->p[i]) return false;
    return true;
}

/* The file does not end as it should, at s->at: what is to be thought of it. `whole` tells of what stands up to the last line of ours. */
static enum logscan_verdict judge_end(const struct logscan *s, enum logscan_result r, const struct logscan_report *whole, struct logscan_report *out)
{
    out->at = s->at;
    out->why = r != LOGSCAN_WRONG   ? "a length there is damaged" /* it swallows what comes behind it */
               : s->p[s->at] == '#' ? "the checksum of the batch before it does not fit"
                                    : "no command begins there";
    if (r != LOGSCAN_END && was_whole_once(s)) return LOGSCAN_BAD;
    if (r == LOGSCAN_WRONG && foreign(s) && !only_zeroes(s)) return LOGSCAN_BAD;
    if (!foreign(s)) *out = *whole; /* any part of a batch may be missing, also in its middle: nothing of it is believed */
    out->at = s->at;
    out->why = !foreign(s)          ? "it ends within a batch"
               : r == LOGSCAN_WRONG ? "it ends with zeroes"
               : r == LOGSCAN_SHORT ? "it ends within a command"
                                    : "it ends within a MULTI";
    return LOGSCAN_TORN;
}

enum logscan_verdict logscan_check(const uint8_t *p, size_t from, size_t n, uint64_t until_ms, struct logscan_report *out)
{
    struct logscan s = {.p = p, .n = n, .at = from, .batch = from};
    struct logscan_report whole = {.good = from}; /* up to the last batch line */
    struct logscan_report by_second = {.cut = false}; /* up to the first #TS: line of a later moment, if no batch line says otherwise */
    enum logscan_verdict verdict = LOGSCAN_WHOLE;
    enum logscan_result r;
    size_t multi = SIZE_MAX; /* where an open MULTI began */
    bool late = false;       /* a batch that is too late has been read */
    *out = whole;
    do {
        size_t start = s.at, batch = s.batch;
        r = logscan_next(&s);
        if (s.batch != batch) {
            late = until_ms && s.time_ms > until_ms;
            if (late) break;
            whole = (struct logscan_report){.good = s.batch, .commands = out->commands, .lsn = s.lsn, .time_ms = s.time_ms};
            if (multi == SIZE_MAX) *out = whole;
            by_second.cut = false; /* all of that batch is wanted */
        }
        if (until_ms && !by_second.cut && s.second * 1000 > until_ms && s.second_at >= s.batch) {
            by_second = *out;
            by_second.cut = true;
        }
        if (r == LOGSCAN_COMMAND) {
            bool opens = s.argc == 1 && is_word(s.argv[0], "multi"), ends = s.argc == 1 && is_word(s.argv[0], "exec");
            if (opens && multi == SIZE_MAX) multi = start;
            if (ends) multi = SIZE_MAX;
            out->commands++;
        }
        if (multi == SIZE_MAX && r != LOGSCAN_WRONG) {
            out->good = s.at;
            out->time_ms = covered_ms(&s);
        }
    } while (r == LOGSCAN_COMMAND);
    bool reached = until_ms && s.batches && s.time_ms >= until_ms && r != LOGSCAN_END; /* what is wrong behind is not wanted */
    if (late || by_second.cut || reached) {
        *out = late || !by_second.cut ? whole : by_second;
        out->cut = true;
        out->at = out->good;
    } else if (r != LOGSCAN_END || multi != SIZE_MAX || (s.at != s.batch && !foreign(&s))) {
        verdict = judge_end(&s, r, &whole, out);
    } else {
        out->at = n;
    }
    out->first_ms = s.first_ms;
    logscan_free(&s);
    return verdict;
}
