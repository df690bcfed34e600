/* snap/replay.c - executing a judged AOF. Contract: replay.h. */
#include "snap/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/dispatch.h"
#include "snap/rdb_file.h"
#include "snap/rdb_head.h"

#define TELL_EVERY 4096u /* commands between two updates of the progress */

static bool is_word(struct slice a, const char *word) { return a.n == strlen(word) && strncasecmp((const char *)a.p, word, a.n) == 0; }

/* MULTI, EXEC: the check has seen to it that they come in pairs. */
static bool passed_over(const struct logscan *s)
{
    return s->argc == 1 && (is_word(s->argv[0], "multi") || is_word(s->argv[0], "exec"));
}

static bool known(const struct logscan *s) { return command_lookup(s->argv, s->argc) != NULL; }

static bool execute(struct client *cl, struct logscan *s, const char *path, struct replay_report *out, char *err, size_t errlen)
{
    const uint64_t base = atomic_load_explicit(&seg()->progress_done, memory_order_relaxed);
    struct reply reply;
    reply_init(&reply);
    reply.resp = 2;
    bool ok = true;
    while (ok) {
        size_t at = s->at;
        enum logscan_result r = logscan_next(s);
        if (r != LOGSCAN_COMMAND) break; /* the end: everything was checked */
        if (passed_over(s)) continue;
        if (!known(s)) {
            snprintf(err, errlen, "Unknown command '%.*s' reading the append only file %s, at byte %zu", (int)MIN(s->argv[0].n, 128),
                     (const char *)s->argv[0].p, path, at);
            ok = false;
            break;
        }
        dispatch_internal(cl, &reply, s->argv, s->argc, true);
        if (reply.len && reply.buf[0] == '-') stat_add(STAT_UNEXPECTED_ERRORS, 1);
        reply_rewind(&reply, 0);
        scratch_reset();
        if (++out->commands % TELL_EVERY == 0) {
            clock_refresh();
            ks_set_now_ms(clock_cached_ms());
            atomic_store_explicit(&seg()->progress_done, base + s->at, memory_order_relaxed);
        }
    }
    reply_deinit(&reply);
    return ok;
}

static void describe(const char *path, enum logscan_verdict v, const struct logscan_report *r, char *err, size_t errlen)
{
    if (v == LOGSCAN_BAD)
        snprintf(err, errlen,
                 "Bad file format reading the append only file %s: %s, at byte %zu. The file was not changed. Make a backup of it; shoal check "
                 "tells up to which moment it is whole, and shoal restore --to TIME brings that back, as does a backup",
                 path, r->why, r->at);
    else
        snprintf(err, errlen,
                 "Unexpected end of file reading the append only file %s: %s, at byte %zu; %zu bytes are whole. You can: 1) Make a backup of your "
                 "AOF file, then use redis-check-aof --fix <filename.manifest>. 2) Set the 'aof-load-truncated' option to yes and restart",
                 path, r->why, r->at, r->good);
}

static enum replay_result replay_bytes(struct client *cl, const uint8_t *p, size_t from, size_t n, const char *path, bool allow_torn,
                                       struct replay_report *out, char *err, size_t errlen)
{
    struct logscan_report check;
    enum logscan_verdict v = logscan_check(p, from, n, 0, &check);
    out->good = check.good;
    out->lsn = check.lsn;
    if (v == LOGSCAN_BAD || (v == LOGSCAN_TORN && !allow_torn)) {
        describe(path, v, &check, err, errlen);
        return REPLAY_FAILED;
    }
    struct logscan s = {.p = p, .n = check.good, .at = from, .batch = from};
    uint64_t base = atomic_load_explicit(&seg()->progress_done, memory_order_relaxed);
    ks_expiry_on = false;
    bool ok = execute(cl, &s, path, out, err, errlen);
    ks_expiry_on = true;
    logscan_free(&s);
    if (!ok) return REPLAY_FAILED;
    atomic_store_explicit(&seg()->progress_done, base + n, memory_order_relaxed);
    if (v == LOGSCAN_TORN) describe(path, v, &check, err, errlen);
    return v == LOGSCAN_TORN ? REPLAY_TORN : REPLAY_DONE;
}

enum replay_result replay_file(struct client *cl, int fd, const char *path, bool allow_torn, struct replay_report *out, char *err,
                               size_t errlen)
{
    struct stat st;
    size_t from = 0;
    *out = (struct replay_report){0};
    *err = 0;
    if (fstat(fd, &st)) {
        snprintf(err, errlen, "Can't read the append only file %s: %s", path, strerror(errno));
        return REPLAY_FAILED;
    }
    out->bytes = (uint64_t)st.st_size;
    if (!st.st_size) return REPLAY_DONE;
    const uint8_t *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
        snprintf(err, errlen, "Can't read the append only file %s: %s", path, strerror(errno));
        return REPLAY_FAILED;
    }
    enum replay_result result = REPLAY_DONE;
    unsigned version;
    if (st.st_size >= (off_t)RDB_MAGIC_BYTES && rdb_magic(p, &version)) {
        struct rdb_file_info info;
        char why[256] = "";
        out->preamble = true;
        if (rdb_file_load(fd, RDB_FILE_CHECKSUM, &info, why, sizeof why)) {
            snprintf(err, errlen, "Bad file format reading the append only file %s: its RDB preamble: %s", path, why);
            result = REPLAY_FAILED;
        }
        out->keys = info.keys;
        from = info.bytes;
    }
    if (result == REPLAY_DONE) result = replay_bytes(cl, p, from, (size_t)st.st_size, path, allow_torn, out, err, errlen);
    munmap((void *)(uintptr_t)p, (size_t)st.st_size);
    return result;
}
