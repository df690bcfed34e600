/* log/logscan.h - reading an AOF from memory: what is whole, what is torn, what is damaged.
 *
 * logscan_next() gives one command after the other; lines that begin with '#' are passed over, and our own (logbatch.h) are believed only
 * if length and CRC fit the bytes before them. logscan_check() reads a whole file so, without executing anything, and says how much of it
 * may be:
 *   LOGSCAN_WHOLE   everything
 *   LOGSCAN_TORN    the end is missing: half a command, half a MULTI, a last batch of ours that did not reach the disk whole. `good` bytes
 *                   are fine; what lies behind was never acknowledged, and goes as a whole (a MULTI from its first command on)
 *   LOGSCAN_BAD     something else stands at `at`: the file was damaged, or is no AOF
 * Without a line of ours everything whole is believed, as Redis does; behind one, nothing that has no line of ours after it, unless redis-server
 * has written it, which begins with SELECT.
 * A batch of ours that does not fit is a torn end unless a batch line behind it, which fits its own bytes, says that it was forced to the disk
 * then: what was not may be gone after a power cut although something behind it is there.
 *
 * Pure: private memory, nothing shared, nothing fails but by its result.
 */
#ifndef SHOAL_LOG_LOGSCAN_H
#define SHOAL_LOG_LOGSCAN_H

#include "base/base.h"

struct logscan {
    const uint8_t *p;     /* the file */
    size_t n, at;         /* its length; where the next command begins */
    struct slice *argv;   /* of the last command; malloc'ed, logscan_free() */
    uint32_t argc, cap;
    size_t batch;         /* where the bytes that the next batch line speaks of begin */
    bool batches;         /* a batch line was seen */
    uint64_t lsn, time_ms; /* of the last batch line */
    uint64_t second;      /* of the last #TS: line */
    size_t second_at;     /* where that line begins */
    uint64_t first_ms;    /* of the first line of either kind */
};

enum logscan_result { LOGSCAN_COMMAND, LOGSCAN_END, LOGSCAN_SHORT, LOGSCAN_WRONG };

/* SHORT: the file ends within a command or a line. WRONG: no command stands at `at`, or a batch line does not fit. */
enum logscan_result logscan_next(struct logscan *s);
void logscan_free(struct logscan *s);

enum logscan_verdict { LOGSCAN_WHOLE, LOGSCAN_TORN, LOGSCAN_BAD };

struct logscan_report {
    size_t good;          /* bytes that may be executed */
    size_t at;            /* where the trouble begins (TORN, BAD) */
    uint64_t commands;     /* within `good`, MULTI, EXEC and SELECT included */
    uint64_t lsn;          /* of the last batch line within `good`; 0 = none */
    uint64_t first_ms, time_ms; /* what the file's lines tell: time of the first, and the last moment that `good` is known to cover; 0 = nothing */
    bool cut;              /* until_ms was reached: `good` ends there, whatever comes behind */
    const char *why;
};

/* p[from..n): from is where commands begin (behind an RDB preamble).
 *
 * until_ms: recovery to a point in time, 0 = all. What was committed later is left out: the first batch of ours whose time is later, as a
 * whole, with all that follows; or, where no batch line speaks of them, the commands behind the first #TS: line of a later moment (never in
 * the middle of a MULTI). Then the verdict is WHOLE, also when the file is damaged behind that place. */
enum logscan_verdict logscan_check(const uint8_t *p, size_t from, size_t n, uint64_t until_ms, struct logscan_report *out);

#endif
