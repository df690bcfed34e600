/* test_log_lanes.c - several fdatasyncs in flight: the order of publishing, and what a failed one takes with it. The log writer is a child
 * process; this one commits, and holds, ends and fails its fdatasyncs one by one. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"
#include "segment_fixture.h"
#include "log/loglanes.h"
#include "log/logscan.h"
#include "log/logwriter.h"
#include "shm/ring.h"

#define CALLS_MOST 1024u

/* In memory that both processes share. */
static struct disk {
    _Atomic uint32_t calls, slow_us;
    _Atomic uint32_t holds; /* 1 = calls wait until they are let go */
    _Atomic int ends[CALLS_MOST]; /* 0 = wait; 1 = good; else minus the errno */
    _Atomic uint64_t descriptors; /* a bit for each that was used */
} *disk;

/* Takes libc's place. */
int fdatasync(int fd)
{
    uint32_t call = atomic_fetch_add(&disk->calls, 1);
    int end = 1;
    CHECK(call < CALLS_MOST);
    atomic_fetch_or(&disk->descriptors, 1ull << fd);
    if (disk->slow_us) usleep(disk->slow_us);
    while (disk->holds && !(end = atomic_load(&disk->ends[call]))) usleep(100);
    if (end == 1) return fsync(fd);
    errno = -end;
    return -1;
}

static char folder[] = "/tmp/shoal-test-lanes-XXXXXX", path[100];
static pid_t writer;
static int segment;

static void until_true(bool (*seen)(uint64_t), uint64_t n)
{
    for (int i = 0; i < 100000 && !seen(n); i++) usleep(100);
    CHECK(seen(n));
}

static bool calls_are(uint64_t n) { return disk->calls >= n; }
static bool durable_is(uint64_t n) { return atomic_load(&seg()->durable_lsn) >= n; }
static bool failed_is(uint64_t n) { return (atomic_load(&seg()->log_failed) != 0) == (n != 0); }

/* One record, and the log writer is told. */
static void commit(void)
{
    static const char set[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n1\r\n";
    struct txn *t = fixture_begin();
    size_t frame = txn_log_begin(t, 0);
    txn_log_put(t, set, sizeof set - 1);
    txn_log_end(t, frame);
    txn_commit(t);
    ring_wake_writer();
}

/* A commit whose fdatasync begins at once on a lane of its own; the number of its call. */
static uint32_t commit_in_flight(void)
{
    uint32_t call = disk->calls;
    commit();
    until_true(calls_are, call + 1);
    return call;
}

static void let_go(uint32_t call, int end) { atomic_store(&disk->ends[call], end); }

static void start_writer(void)
{
    writer = fork();
    if (writer) return;
    slot_acquire(5, SLOT_WORKER);
    txn_init(&my_txn);
    logwriter_begin(folder, "a.aof");
    for (;;) logwriter_run(50);
}

/* A writer whose disk is slow enough to use all lanes, with `held` fdatasyncs in flight: calls[0..held), LSNs from *before + 1 on. */
static void begin(uint32_t held, uint32_t calls[], uint64_t *before)
{
    segment = fixture_open(64 << 20);
    CHECK_EQ(segment_commit_rings(), 0);
    atomic_store(&seg()->log_enabled, 1);
    atomic_store(&seg()->settings[SET_appendfsync], 1);
    memset(disk, 0, sizeof *disk);
    int fd = open((snprintf(path, sizeof path, "%s/a.aof.1.incr.aof", folder), path), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    close(fd);
    logwriter_resume(1, 0, 0);
    start_writer();
    disk->slow_us = 6000;
    for (int i = 0; i < 20; i++) {
        commit();
        until_true(durable_is, atomic_load(&seg()->lsn));
    }
    disk->slow_us = 0;
    disk->holds = 1;
    *before = atomic_load(&seg()->lsn);
    for (uint32_t i = 0; i < held; i++) calls[i] = commit_in_flight();
    CHECK_EQ(disk->calls, calls[held - 1] + 1);
}

static void end(void)
{
    int status;
    kill(writer, SIGKILL);
    waitpid(writer, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* it lived until then */
    unlink(path);
    fixture_close(segment);
}

static void they_are_published_in_order_of_lsn(void)
{
    uint32_t calls[LOG_LANES];
    uint64_t before;
    begin(LOG_LANES, calls, &before);
    CHECK(__builtin_popcountll(disk->descriptors) >= LOG_LANES); /* one each */
    commit();
    usleep(30000);
    CHECK_EQ(disk->calls, calls[LOG_LANES - 1] + 1); /* all lanes are in use: it waits */
    for (uint32_t i = LOG_LANES - 1; i > 0; i--) let_go(calls[i], 1);
    usleep(30000);
    CHECK_EQ(atomic_load(&seg()->durable_lsn), before);
    CHECK_EQ(atomic_load(&seg()->synced_lsn), before);
    let_go(calls[0], 1);
    until_true(durable_is, before + LOG_LANES);
    until_true(calls_are, calls[LOG_LANES - 1] + 2); /* and the one that waited begins */
    CHECK_EQ(atomic_load(&seg()->durable_lsn), before + LOG_LANES);
    let_go(calls[LOG_LANES - 1] + 1, 1);
    until_true(durable_is, before + LOG_LANES + 1);
    CHECK_EQ(atomic_load(&seg()->synced_lsn), before + LOG_LANES + 1);
    CHECK_EQ(atomic_load(&seg()->log_records), before + LOG_LANES + 1);
    CHECK_EQ(atomic_load(&seg()->log_syncs), 20 + LOG_LANES + 1);
    end();
}

/* The one in the middle fails, before or after those around it have succeeded. */
static void nothing_behind_a_failed_one_is_published(void)
{
    static const uint32_t orders[][LOG_LANES] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (uint32_t o = 0; o < sizeof orders / sizeof orders[0]; o++) {
        uint32_t calls[LOG_LANES];
        uint64_t before;
        begin(LOG_LANES, calls, &before);
        for (uint32_t i = 0; i < LOG_LANES; i++) {
            let_go(calls[orders[o][i]], orders[o][i] == 1 ? -EIO : 1);
            usleep(3000);
            CHECK(atomic_load(&seg()->durable_lsn) <= before + 1);
        }
        until_true(failed_is, 1);
        until_true(durable_is, before + 1);
        commit();
        usleep(20000);
        CHECK_EQ(atomic_load(&seg()->durable_lsn), before + 1);
        CHECK_EQ(atomic_load(&seg()->synced_lsn), before + 1);
        CHECK_EQ(atomic_load(&seg()->log_failed), EIO);
        CHECK_EQ(atomic_load(&seg()->write_error), 2);
        CHECK_EQ(disk->calls, calls[LOG_LANES - 1] + 1); /* that file is forced no more */
        end();
    }
}

/* A new base holds what a failed file may have lost; what an fdatasync of the old file says later counts for nothing. */
static void a_change_of_files_waits_for_those_in_flight(void)
{
    uint32_t calls[LOG_LANES];
    uint64_t before;
    char next[100];
    begin(LOG_LANES, calls, &before);
    int fd = open((snprintf(next, sizeof next, "%s/a.aof.2.incr.aof", folder), next), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    close(fd);
    let_go(calls[0], -EIO);
    until_true(failed_is, 1);
    txn_lock_all(&my_txn);
    logwriter_switch_locked(2);
    txn_unlock(&my_txn);
    usleep(20000);
    CHECK_EQ(logwriter_mark().file, 1);
    CHECK(atomic_load(&seg()->log_failed) != 0);
    disk->holds = 0; /* the others end well */
    until_true(failed_is, 0);
    CHECK_EQ(atomic_load(&seg()->durable_lsn), before);
    logwriter_base_done();
    until_true(durable_is, before + LOG_LANES);
    CHECK_EQ(logwriter_mark().file, 2);
    commit();
    until_true(durable_is, before + LOG_LANES + 1);
    CHECK_EQ(atomic_load(&seg()->write_error), 0);
    end();
    unlink(next);
}

/* Killed with all lanes in flight: the heir forces what they had not, before it is published. */
static void the_heir_forces_what_was_in_flight(void)
{
    static char buf[1 << 16];
    uint32_t calls[LOG_LANES];
    uint64_t before;
    int status;
    begin(LOG_LANES, calls, &before);
    kill(writer, SIGKILL);
    waitpid(writer, &status, 0);
    CHECK_EQ(atomic_load(&seg()->durable_lsn), before);
    disk->holds = 0;
    start_writer();
    until_true(durable_is, before + LOG_LANES);
    CHECK(disk->calls > calls[LOG_LANES - 1] + 1);
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, buf, sizeof buf);
    struct logscan_report r;
    close(fd);
    CHECK_EQ(logscan_check((uint8_t *)buf, 0, (size_t)n, 0, &r), LOGSCAN_WHOLE);
    CHECK_EQ(r.lsn, before + LOG_LANES);
    end();
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    disk = mmap(NULL, sizeof *disk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(disk != MAP_FAILED);
    RUN(they_are_published_in_order_of_lsn);
    RUN(nothing_behind_a_failed_one_is_published);
    RUN(a_change_of_files_waits_for_those_in_flight);
    RUN(the_heir_forces_what_was_in_flight);
    rmdir(folder);
    return check_report();
}
