/* engine_log.c - what Python sees of the append-only file: the log writer's main loop, and the persistence process' part in it.
 * Protocol, locks, deaths: log/logwriter.h. */
#include "engine.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "log/logwriter.h"
#include "net/client.h"
#include "shm/segment.h"
#include "snap/rdb_head.h"
#include "snap/replay.h"
#include "snap/resp_base.h"
#include "snap/snapshot.h"

void engine_log_begin(const char *folder, const char *name) { logwriter_begin(folder, name); }
void engine_log_run(uint32_t ms) { logwriter_run(ms); }
int engine_log_drained(void) { return logwriter_drained(); }
void engine_log_end(void) { logwriter_end(); }

int engine_log_words(char *buf, size_t cap)
{
    bool warning;
    snprintf(buf, cap, "%s", logwriter_words(&warning));
    return !*buf ? 0 : warning ? 2 : 1;
}

int engine_log_resume(uint64_t file, uint64_t bytes, uint64_t lsn)
{
    if (segment_commit_rings()) return -1;
    logwriter_resume(file, bytes, lsn);
    return 0;
}

static uint64_t next_file;

static void switch_file(void) { logwriter_switch_locked(next_file); }

int engine_snapshot_begin_log(uint64_t pool_bytes, const char *spill_folder, uint64_t file, char *err, size_t errlen)
{
    if (segment_commit_rings()) {
        snprintf(err, errlen, "no shared memory for the log");
        return -1;
    }
    next_file = file;
    snapshot_at_cut = switch_file;
    int result = snapshot_begin(pool_bytes, spill_folder, err, errlen);
    snapshot_at_cut = NULL;
    return result;
}

int engine_resp_base_save(int fd, char *err, size_t errlen) { return resp_base_save(fd, err, errlen); }

void engine_log_base_done(void) { logwriter_base_done(); }
void engine_log_off(void) { logwriter_off(); }
void engine_write_error(uint32_t bit, int on) { write_error_set(bit, on != 0); }

void engine_log_get(struct engine_log *out)
{
    struct log_mark m = logwriter_mark();
    *out = (struct engine_log){m.lsn, m.file, m.bytes};
}

int engine_aof_load(int fd, const char *path, int allow_torn, struct engine_aof *out, char *err, size_t errlen)
{
    struct replay_report r;
    struct client *cl = client_create_internal();
    if (!cl) {
        snprintf(err, errlen, "no memory");
        return -1;
    }
    enum replay_result result = replay_file(cl, fd, path, allow_torn != 0, &r, err, errlen);
    client_destroy(cl);
    *out = (struct engine_aof){r.bytes, r.good, r.commands, r.keys, r.lsn, r.preamble, result == REPLAY_TORN};
    return result == REPLAY_FAILED ? -1 : 0;
}

int engine_aof_scan(int fd, uint64_t from, uint64_t until_ms, struct engine_aof_scan *out, char *why, size_t whylen)
{
    struct stat st;
    struct logscan_report r = {0};
    enum logscan_verdict v = LOGSCAN_WHOLE;
    *why = 0;
    if (fstat(fd, &st)) return -1;
    size_t n = (size_t)st.st_size;
    if (n > from) {
        const uint8_t *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) return -1;
        v = logscan_check(p, from, n, until_ms, &r);
        if (v != LOGSCAN_WHOLE) snprintf(why, whylen, "%s", r.why);
        munmap((void *)(uintptr_t)p, n);
    }
    *out = (struct engine_aof_scan){n, n > from ? r.good : n, r.at, r.commands, r.lsn, r.first_ms, r.time_ms, (int)v, r.cut};
    return 0;
}

int engine_rdb_head(int fd, struct engine_rdb_head *out)
{
    struct rdb_head h;
    if (!rdb_head_read(fd, &h)) return -1;
    *out = (struct engine_rdb_head){h.lsn, h.cut_ms, h.version};
    return 0;
}
