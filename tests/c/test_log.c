/* test_log.c - the append-only file below the processes: LSN order over rings, batches, torn and damaged files, the log writer's heir. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"
#include "segment_fixture.h"
#include "base/crc64.h"
#include "log/logbatch.h"
#include "log/logmerge.h"
#include "log/logscan.h"
#include "log/logwriter.h"

static useconds_t slow_disk_us;

/* Takes libc's place: how the writer behaves depends on how slow the disk is. */
int fdatasync(int fd)
{
    if (slow_disk_us) usleep(slow_disk_us);
    return fsync(fd);
}

static void use_slot(uint32_t i)
{
    slot_acquire(i, SLOT_WORKER);
    txn_init(&my_txn);
    my_txn.on_fail = &fixture_failed;
}

static void put(struct txn *t, uint32_t db, const char *resp)
{
    size_t frame = txn_log_begin(t, db);
    txn_log_put(t, resp, strlen(resp));
    txn_log_end(t, frame);
}

/* One transaction of slot i that logs `frames` SETs of the number. */
static uint64_t commit_from(uint32_t i, uint32_t db, uint32_t frames, int number)
{
    char text[80];
    use_slot(i);
    struct txn *t = fixture_begin();
    snprintf(text, sizeof text, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\n%04d\r\n", number);
    for (uint32_t f = 0; f < frames; f++) put(t, db, text);
    return txn_commit(t);
}

static int open_with_log(void)
{
    int fd = fixture_open(64 << 20);
    CHECK_EQ(segment_commit_rings(), 0);
    atomic_store(&seg()->log_enabled, 1);
    return fd;
}

static void records_come_in_order_of_lsn(void)
{
    int fd = open_with_log();
    struct log_merge m;
    const struct log_record *r;
    log_merge_init(&m, 0);
    CHECK(log_merge_next(&m) == NULL);
    for (int i = 0; i < 60; i++) CHECK_EQ(commit_from(1 + (uint32_t)(i * 7 % 3), 0, 1, i), i + 1);
    for (uint64_t lsn = 1; lsn <= 60; lsn++) {
        CHECK((r = log_merge_next(&m)) && r->lsn == lsn);
        log_merge_take(&m, r);
    }
    CHECK(log_merge_next(&m) == NULL);
    log_merge_init(&m, 40); /* an heir that goes on behind 40, with nothing given back yet */
    CHECK((r = log_merge_next(&m)) && r->lsn == 41);
    CHECK(log_merge_skip(&m, 60) && !log_merge_next(&m));
    fixture_close(fd);
}

static void a_gap_waits_for_its_record(void)
{
    int fd = open_with_log();
    struct log_merge m;
    commit_from(1, 0, 1, 1);
    commit_from(2, 0, 1, 2);
    commit_from(1, 0, 1, 3);
    uint64_t published = slot_at(2)->log.head;
    slot_at(2)->log.head = slot_at(2)->log.tail; /* LSN 2 is taken, but its worker has not published it yet */
    log_merge_init(&m, 0);
    const struct log_record *r = log_merge_next(&m);
    CHECK(r && r->lsn == 1);
    log_merge_take(&m, r);
    CHECK(log_merge_next(&m) == NULL);
    slot_at(2)->log.head = published;
    CHECK((r = log_merge_next(&m)) && r->lsn == 2);
    fixture_close(fd);
}

static void the_writer_is_woken_when_the_last_has_come(void)
{
    int fd = open_with_log();
    atomic_store(&seg()->log_wake_lsn, 2);
    atomic_store(&seg()->log_sleeps, 1);
    commit_from(1, 0, 1, 1);
    ring_wake_writer();
    CHECK_EQ(atomic_load(&seg()->log_sleeps), 1);
    commit_from(2, 0, 1, 2);
    ring_wake_writer();
    CHECK_EQ(atomic_load(&seg()->log_sleeps), 0);
    fixture_close(fd);
}

static struct log_batch batch_of(int records, uint32_t db, uint32_t frames)
{
    struct log_merge m;
    struct log_batch b = {.db = LOG_DB_NONE};
    uint64_t before = atomic_load(&seg()->lsn);
    for (int i = 0; i < records; i++) commit_from(1, db, frames, i);
    log_merge_init(&m, before);
    for (const struct log_record *r; (r = log_merge_next(&m)); log_merge_take(&m, r)) CHECK(log_batch_add(&b, r));
    ring_consume_to(1, m.at[1]);
    return b;
}

static void batches_select_wrap_and_end_with_a_mark(void)
{
    int fd = open_with_log();
    struct log_batch b = batch_of(1, 3, 2);
    static const char want[] = "#BATCH\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\n0000\r\n"
                               "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\n0000\r\n*1\r\n$4\r\nEXEC\r\n";
    char mark[LOG_MARK_MAX];
    CHECK_EQ(b.len, sizeof want - 1);
    CHECK_MEM(b.buf, want, sizeof want - 1);
    size_t n = b.len;
    CHECK(log_batch_end(&b));
    const char *crc = memmem(b.buf, b.len, "crc=", 4);
    CHECK(crc != NULL);
    snprintf(mark, sizeof mark, " bytes=%zu synced=0 crc=%016" PRIx64 "\r\n", n, crc64(0, b.buf, (size_t)(crc + 4 - (const char *)b.buf)));
    CHECK(b.len > n + strlen(mark) && !memcmp(b.buf + b.len - strlen(mark), mark, strlen(mark)));
    CHECK(!memcmp(b.buf + n, "#BATCH lsn=1 time=", 18));
    CHECK_EQ(b.db, 3);
    log_batch_free(&b);
    fixture_close(fd);
}

/* What a command caused for clients that waited stands behind its MULTI, each with a MULTI of its own if it needs one. */
static void what_waiting_clients_get_are_units_of_their_own(void)
{
    int fd = open_with_log();
    static const struct {
        const char *units, *want; /* digits: frames of each unit; P: a frame */
    } rows[] = {{"1", "P"}, {"2", "(PP)"}, {"11", "PP"}, {"21", "(PP)P"}, {"12", "P(PP)"}, {"131", "P(PPP)P"}};
    for (uint32_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct log_merge m;
        struct log_batch b = {.db = 0};
        uint64_t before = atomic_load(&seg()->lsn);
        use_slot(1);
        struct txn *t = fixture_begin();
        for (const char *u = rows[i].units; *u; u++) {
            t->log_unit = u != rows[i].units;
            for (char f = '0'; f < *u; f++) put(t, 0, "*1\r\n$4\r\nPING\r\n");
        }
        txn_commit(t);
        log_merge_init(&m, before);
        const struct log_record *r = log_merge_next(&m);
        CHECK(r && log_batch_add(&b, r));
        log_merge_take(&m, r);
        char got[16] = "";
        for (size_t p = 0; p < b.len; p++) /* a frame is an array of one word */
            if (b.buf[p] == '*') strcat(got, b.buf[p + 8] == 'M' ? "(" : b.buf[p + 8] == 'E' ? ")" : "P");
        CHECK_MEM(got, rows[i].want, strlen(rows[i].want) + 1);
        ring_consume_to(1, m.at[1]);
        log_batch_free(&b);
    }
    fixture_close(fd);
}

static size_t append_batch(uint8_t *out, size_t n, uint64_t synced)
{
    struct log_batch b = batch_of(2, 0, 1);
    b.synced = synced;
    CHECK(log_batch_end(&b));
    memcpy(out + n, b.buf, b.len);
    n += b.len;
    log_batch_free(&b);
    return n;
}

/* A file of ours: its first line, then three batches of two SETs each; `forced`: each batch knew the one before to be on the disk. */
static size_t three_batches(uint8_t *out, size_t ends[3], bool forced)
{
    const struct log_mark_line head = {.lsn = 0, .time_ms = 1};
    char text[LOG_MARK_MAX];
    size_t n = log_mark_format(&head, NULL, text);
    memcpy(out, text, n);
    for (int i = 0; i < 3; i++) n = ends[i] = append_batch(out, n, forced ? n : 0);
    return n;
}

static void torn_ends_are_known_from_damage(void)
{
    int fd = open_with_log();
    static uint8_t file[8192];
    struct logscan_report r;
    size_t ends[3], n = three_batches(file, ends, true), first = (size_t)((uint8_t *)memchr(file, '\n', n) + 1 - file);
    CHECK_EQ(logscan_check(file, 0, n, 0, &r), LOGSCAN_WHOLE);
    CHECK_EQ(r.good, n);
    CHECK_EQ(r.commands, 9); /* six SETs, three SELECTs */
    CHECK_EQ(r.lsn, 6);
    for (size_t cut = ends[1] + 1; cut < n; cut++) { /* wherever the last batch ends early, the two before it are good */
        CHECK_EQ(logscan_check(file, 0, cut, 0, &r), LOGSCAN_TORN);
        CHECK_EQ(r.good, ends[1]);
        CHECK_EQ(r.lsn, 4);
    }
    for (size_t at = first; at < ends[1]; at++) { /* any flipped byte before the last batch is damage, not a torn end */
        file[at] ^= 0x10;
        CHECK_EQ(logscan_check(file, 0, n, 0, &r), LOGSCAN_BAD);
        file[at] ^= 0x10;
    }
    for (size_t at = ends[1]; at < n; at++) { /* the last batch reached the disk only in parts */
        file[at] ^= 0x10;
        CHECK_EQ(logscan_check(file, 0, n, 0, &r), LOGSCAN_TORN);
        CHECK_EQ(r.good, ends[1]);
        file[at] ^= 0x10;
    }
    fixture_close(fd);
}

/* Several batches were written and nothing forced to the disk: after a power cut any part of them may be missing, though what was written
 * later is there. */
static void what_was_not_forced_may_be_missing_anywhere(void)
{
    int fd = open_with_log();
    static uint8_t file[8192];
    struct logscan_report r;
    size_t ends[3], n = three_batches(file, ends, false);
    for (size_t at = ends[0]; at < ends[1]; at++) {
        uint8_t was = file[at];
        file[at] = 0;
        CHECK_EQ(logscan_check(file, 0, n, 0, &r), LOGSCAN_TORN);
        CHECK_EQ(r.good, ends[0]);
        CHECK_EQ(r.lsn, 2);
        file[at] = was;
    }
    memset(file, 0, n); /* the length was written, the bytes were not */
    CHECK_EQ(logscan_check(file, 0, n, 0, &r), LOGSCAN_TORN);
    CHECK_EQ(r.good, 0);
    fixture_close(fd);
}

#define SELECT_1 "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n"
#define SET_B "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n1\r\n"

static void others_may_go_on_in_a_file_of_ours(void)
{
    int fd = open_with_log();
    static uint8_t file[8192];
    struct logscan_report r;
    size_t ends[3], n = three_batches(file, ends, true);
    memcpy(file + n, SELECT_1 SET_B, strlen(SELECT_1 SET_B));
    size_t whole = n + strlen(SELECT_1 SET_B);
    CHECK_EQ(logscan_check(file, 0, whole, 0, &r), LOGSCAN_WHOLE);
    CHECK_EQ(r.commands, 11);
    CHECK_EQ(logscan_check(file, 0, whole - 3, 0, &r), LOGSCAN_TORN);
    CHECK_EQ(r.good, n + strlen(SELECT_1));
    n = append_batch(file, whole, 0); /* and we in theirs */
    CHECK_EQ(logscan_check(file, 0, n, 0, &r), LOGSCAN_WHOLE);
    CHECK_EQ(r.commands, 14);
    CHECK_EQ(logscan_check(file, 0, n - 1, 0, &r), LOGSCAN_TORN);
    CHECK(r.good >= whole);
    fixture_close(fd);
}

static enum logscan_verdict judge(const char *text, struct logscan_report *r) { return logscan_check((const uint8_t *)text, 0, strlen(text), 0, r); }

#define SET_A "*3\r\n$3\r\nset\r\n$1\r\na\r\n$1\r\n1\r\n"
#define MULTI "*1\r\n$5\r\nMULTI\r\n"
#define EXEC "*1\r\n$4\r\nEXEC\r\n"

static void files_of_others_are_read_as_redis_does(void)
{
    struct logscan_report r;
    CHECK_EQ(judge("", &r), LOGSCAN_WHOLE);
    CHECK_EQ(judge(SET_A, &r), LOGSCAN_WHOLE);
    CHECK_EQ(judge("#TS:17\r\n" SET_A, &r), LOGSCAN_WHOLE);
    CHECK_EQ(judge(SET_A "*3\r\n$3\r\nset\r\n$1\r\n", &r), LOGSCAN_TORN);
    CHECK_EQ(r.good, strlen(SET_A));
    CHECK_EQ(judge(SET_A MULTI SET_A, &r), LOGSCAN_TORN);
    CHECK_EQ(r.good, strlen(SET_A));
    CHECK_EQ(judge(SET_A MULTI SET_A EXEC, &r), LOGSCAN_WHOLE);
    CHECK_EQ(judge(SET_A MULTI SET_A "*1\r\n$4\r\nEX", &r), LOGSCAN_TORN);
    CHECK_EQ(r.good, strlen(SET_A));
    CHECK_EQ(judge(SET_A "!!!", &r), LOGSCAN_BAD);
    CHECK_EQ(r.at, strlen(SET_A));
    CHECK_EQ(judge("*0\r\n", &r), LOGSCAN_BAD);
    CHECK_EQ(judge("*1\r\n$99999999999999999999\r\n", &r), LOGSCAN_BAD);
}

static void recovery_stops_at_a_second(void)
{
    struct logscan_report r;
    static const char text[] = "#TS:10\r\n" SET_A "#TS:20\r\n" MULTI SET_A "#TS:21\r\n" SET_A EXEC "!!!";
    const uint8_t *p = (const uint8_t *)text;
    size_t first = 8 + strlen(SET_A), n = sizeof text - 1 - 3;
    CHECK_EQ(logscan_check(p, 0, n, 15000, &r), LOGSCAN_WHOLE);
    CHECK_EQ(r.good, first);
    CHECK(r.cut && r.first_ms == 10000 && r.time_ms == 10999 && r.commands == 1);
    CHECK_EQ(logscan_check(p, 0, n, 9999, &r), LOGSCAN_WHOLE);
    CHECK(r.cut && r.good == 0 && !r.commands);
    CHECK_EQ(logscan_check(p, 0, n, 20500, &r), LOGSCAN_WHOLE); /* in the middle of a MULTI: none of it */
    CHECK(r.cut && r.good == first);
    CHECK_EQ(logscan_check(p, 0, n, 21000, &r), LOGSCAN_WHOLE);
    CHECK(!r.cut && r.good == n && r.time_ms == 21999);
    CHECK_EQ(logscan_check(p, 0, n + 3, 15000, &r), LOGSCAN_WHOLE); /* damage behind the point */
    CHECK_EQ(r.good, first);
    CHECK_EQ(logscan_check(p, 0, n + 3, 22000, &r), LOGSCAN_BAD);
}

/* A batch of one MULTI of two SETs, committed at that time. */
static size_t batch_at(uint8_t *out, uint64_t time_ms, uint64_t synced)
{
    struct log_batch b = batch_of(1, 0, 2);
    b.time_ms = time_ms;
    b.synced = synced;
    CHECK(log_batch_end(&b));
    size_t n = b.len;
    memcpy(out, b.buf, n);
    log_batch_free(&b);
    return n;
}

static void recovery_stops_at_a_batch(void)
{
    int fd = open_with_log();
    static uint8_t file[8192];
    struct logscan_report r;
    size_t ends[4], n = 0;
    for (int i = 0; i < 4; i++) ends[i] = n += batch_at(file + n, 1000 + 10 * (uint64_t)i, n);
    for (uint64_t t = 990; t < 1040; t++) { /* 1000, 1010, 1020, 1030 */
        size_t want = t < 1000 ? 0 : ends[(t - 1000) / 10];
        CHECK_EQ(logscan_check(file, 0, n, t, &r), LOGSCAN_WHOLE);
        CHECK_EQ(r.good, want);
        CHECK_EQ(r.cut, t < 1030);
        CHECK_EQ(r.lsn, t < 1000 ? 0 : 1 + (t - 1000) / 10);
        CHECK_EQ(r.time_ms, t < 1000 ? 0 : t / 10 * 10);
        CHECK_EQ(r.commands, r.lsn * 5);
        CHECK_EQ(r.first_ms, 1000);
    }
    file[ends[1] + 30] ^= 1; /* the third batch is damaged: everything before it can still be had */
    CHECK_EQ(logscan_check(file, 0, n, 1010, &r), LOGSCAN_WHOLE);
    CHECK(r.cut && r.good == ends[1]);
    CHECK_EQ(logscan_check(file, 0, n, 1011, &r), LOGSCAN_BAD);
    CHECK_EQ(r.time_ms, 1010);
    fixture_close(fd);
}

/* ---- the writer ---- */

static char folder[] = "/tmp/shoal-test-log-XXXXXX";

static size_t file_bytes(int seq, char *buf, size_t cap)
{
    char path[100];
    snprintf(path, sizeof path, "%s/a.aof.%d.incr.aof", folder, seq);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, buf, cap);
    if (fd >= 0) close(fd);
    return n < 0 ? 0 : (size_t)n;
}

static void file_create(int seq)
{
    char path[100];
    snprintf(path, sizeof path, "%s/a.aof.%d.incr.aof", folder, seq);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    close(fd);
}

static int count(const char *p, size_t n, const char *word)
{
    int found = 0;
    for (const char *at = p; (at = memmem(at, n - (size_t)(at - p), word, strlen(word))); at++) found++;
    return found;
}

static void the_heir_goes_on_at_the_mark(void)
{
    int fd = open_with_log();
    static char buf[1 << 20];
    struct logscan_report r;
    atomic_store(&seg()->settings[SET_appendfsync], 1);
    file_create(1);
    logwriter_resume(1, 0, 0);
    use_slot(5);
    logwriter_begin(folder, "a.aof");
    for (int i = 0; i < 10; i++) commit_from(1 + (uint32_t)i % 2, 0, 1, i);
    use_slot(5);
    logwriter_run(20);
    CHECK_EQ(atomic_load(&seg()->durable_lsn), 10);
    CHECK(logwriter_drained());
    CHECK_EQ(slot_at(1)->log.head, slot_at(1)->log.tail);
    struct log_mark m = logwriter_mark();
    logwriter_end(); /* as if killed right after a write() whose mark was not set: */
    int file = open((snprintf(buf, sizeof buf, "%s/a.aof.1.incr.aof", folder), buf), O_WRONLY | O_APPEND);
    CHECK(file >= 0 && write(file, "*3\r\n$3\r\nSET\r\n$1\r\nk", 18) == 18);
    close(file);
    for (int i = 10; i < 20; i++) commit_from(1, 0, 1, i);
    use_slot(5);
    logwriter_begin(folder, "a.aof");
    logwriter_run(20);
    CHECK_EQ(atomic_load(&seg()->durable_lsn), 20);
    size_t n = file_bytes(1, buf, sizeof buf);
    CHECK(n > m.bytes);
    CHECK_EQ(logscan_check((uint8_t *)buf, 0, n, 0, &r), LOGSCAN_WHOLE);
    CHECK_EQ(r.lsn, 20);
    CHECK_EQ(count(buf, n, "\r\nSET\r\n"), 20);
    logwriter_end();
    fixture_close(fd);
}

static void a_switch_divides_at_its_lsn(void)
{
    int fd = open_with_log();
    static char buf[1 << 20];
    atomic_store(&seg()->settings[SET_appendfsync], 0);
    file_create(1);
    file_create(2);
    logwriter_resume(1, 0, 0);
    for (int i = 0; i < 5; i++) commit_from(1, 0, 1, i);
    txn_lock_all(&my_txn);
    logwriter_switch_locked(2);
    txn_unlock(&my_txn);
    for (int i = 5; i < 12; i++) commit_from(2, 0, 1, i);
    use_slot(5);
    logwriter_begin(folder, "a.aof");
    logwriter_run(30);
    CHECK_EQ(atomic_load(&seg()->log_next_file), 0);
    CHECK_EQ(count(buf, file_bytes(1, buf, sizeof buf), "\r\nSET\r\n"), 5);
    CHECK_EQ(count(buf, file_bytes(2, buf, sizeof buf), "\r\nSET\r\n"), 7);
    CHECK_EQ(logwriter_mark().lsn, 12);
    logwriter_end();
    fixture_close(fd);
}

/* Cuts at any moment of the writer's work: no record behind a cut is in the file before it, where the next base would drop it. */
static void a_cut_while_the_writer_gathers(void)
{
    enum { FILES = 30 };
    int fd = open_with_log(), status;
    static char buf[1 << 20];
    char path[100];
    uint64_t cuts[FILES + 1] = {0};
    struct logscan_report r;
    atomic_store(&seg()->settings[SET_appendfsync], 1);
    slow_disk_us = 8000;
    for (int k = 1; k <= FILES; k++) file_create(100 + k);
    logwriter_resume(101, 0, 0);
    for (int k = 1; k <= FILES; k++) {
        pid_t writer = fork(); /* a new one each time: who has waited in vain for company several times stops doing so */
        if (!writer) {
            use_slot(5);
            logwriter_begin(folder, "a.aof");
            for (;;) logwriter_run(1000);
        }
        commit_from(1, 0, 1, k);
        usleep((useconds_t)(15000 + k * 797 % 6000)); /* opened and forced, written and forced; then the next is held back for up to 2 ms */
        txn_lock_all(&my_txn);
        cuts[k] = atomic_load(&seg()->lsn);
        if (k < FILES) logwriter_switch_locked(101 + (uint64_t)k);
        txn_unlock(&my_txn);
        for (int i = 0; i < 3; i++) commit_from(1, 0, 1, i);
        for (int n = 0; n < 50000 && (atomic_load(&seg()->log_next_file) || logwriter_mark().lsn < atomic_load(&seg()->lsn)); n++) usleep(20);
        CHECK_EQ(logwriter_mark().lsn, atomic_load(&seg()->lsn));
        kill(writer, SIGKILL);
        waitpid(writer, &status, 0);
    }
    slow_disk_us = 0;
    for (int k = 1; k < FILES; k++) {
        CHECK_EQ(logscan_check((uint8_t *)buf, 0, file_bytes(100 + k, buf, sizeof buf), 0, &r), LOGSCAN_WHOLE);
        CHECK_EQ(r.lsn, cuts[k]);
    }
    for (int k = 1; k <= FILES; k++) unlink((snprintf(path, sizeof path, "%s/a.aof.%d.incr.aof", folder, 100 + k), path));
    fixture_close(fd);
}

static void a_failed_file_is_left_and_a_new_base_heals(void)
{
    int fd = open_with_log();
    static char buf[1 << 20];
    atomic_store(&seg()->settings[SET_appendfsync], 1);
    file_create(4);
    logwriter_resume(3, 0, 0); /* no such file */
    commit_from(1, 0, 1, 1);
    use_slot(5);
    logwriter_begin(folder, "a.aof");
    logwriter_run(10);
    CHECK(atomic_load(&seg()->log_failed) != 0);
    CHECK_EQ(atomic_load(&seg()->write_error), 2);
    CHECK_EQ(atomic_load(&seg()->durable_lsn), 0);
    txn_lock_all(&my_txn);
    logwriter_switch_locked(4); /* the cut of a new base, which holds LSN 1 */
    txn_unlock(&my_txn);
    commit_from(1, 0, 1, 2);
    use_slot(5);
    logwriter_run(30);
    CHECK_EQ(atomic_load(&seg()->log_failed), 0);
    CHECK_EQ(atomic_load(&seg()->durable_lsn), 0); /* the base is not done */
    logwriter_base_done();
    CHECK_EQ(atomic_load(&seg()->write_error), 0);
    logwriter_run(30);
    CHECK_EQ(atomic_load(&seg()->durable_lsn), 2);
    CHECK_EQ(count(buf, file_bytes(4, buf, sizeof buf), "\r\nSET\r\n"), 1);
    logwriter_end();
    fixture_close(fd);
}

static void large_records_lie_outside_and_are_freed(void)
{
    int fd = open_with_log();
    static char big[1 << 20], buf[3 << 20];
    memset(big, 'x', sizeof big);
    file_create(6);
    logwriter_resume(6, 0, 0);
    use_slot(1);
    uint64_t before = seg()->pages_used - seg()->pages_free;
    struct txn *t = fixture_begin();
    size_t frame = txn_log_begin(t, 0);
    txn_log_put(t, "*2\r\n$4\r\nECHO\r\n$1048576\r\n", 24);
    txn_log_put(t, big, sizeof big);
    txn_log_put(t, "\r\n", 2);
    txn_log_end(t, frame);
    txn_commit(t);
    CHECK(seg()->pages_used - seg()->pages_free > before);
    use_slot(5);
    logwriter_begin(folder, "a.aof");
    logwriter_run(30);
    CHECK_EQ(seg()->pages_used - seg()->pages_free, before);
    struct logscan_report r;
    size_t n = file_bytes(6, buf, sizeof buf);
    CHECK_EQ(logscan_check((uint8_t *)buf, 0, n, 0, &r), LOGSCAN_WHOLE);
    CHECK_EQ(r.commands, 2);
    logwriter_end();
    FIXTURE_SOUND();
    fixture_close(fd);
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    RUN(records_come_in_order_of_lsn);
    RUN(a_gap_waits_for_its_record);
    RUN(the_writer_is_woken_when_the_last_has_come);
    RUN(batches_select_wrap_and_end_with_a_mark);
    RUN(what_waiting_clients_get_are_units_of_their_own);
    RUN(torn_ends_are_known_from_damage);
    RUN(what_was_not_forced_may_be_missing_anywhere);
    RUN(others_may_go_on_in_a_file_of_ours);
    RUN(files_of_others_are_read_as_redis_does);
    RUN(recovery_stops_at_a_second);
    RUN(recovery_stops_at_a_batch);
    RUN(the_heir_goes_on_at_the_mark);
    RUN(a_switch_divides_at_its_lsn);
    RUN(a_cut_while_the_writer_gathers);
    RUN(a_failed_file_is_left_and_a_new_base_heals);
    RUN(large_records_lie_outside_and_are_freed);
    char path[100];
    for (int i = 1; i <= 6; i++) unlink((snprintf(path, sizeof path, "%s/a.aof.%d.incr.aof", folder, i), path));
    rmdir(folder);
    return check_report();
}
