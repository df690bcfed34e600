/* tests/c/test_propagate.c - what each write command of the string, bitmap and generic groups leaves in the log: effects, not words.
 *
 * Commands go through the dispatcher with the log switched on; the record is read from the ring and turned back into words. Every
 * record is then replayed into the emptied keyspace, which must end as it was (by DEBUG DIGEST's algorithm, expiries included). */
#include "cmd/cmd_object.h"
#include "cmd/dispatch.h"
#include "cmd/propagate.h"
#include "shm/ring.h"

#include "check.h"
#include "segment_fixture.h"

#define NOW 1700000000000ll

static struct client_record record;
static struct client client = {.fd = -1, .resp = 2, .authenticated = true, .record = &record};
static struct reply out;

/* ---- running ---- */

/* Splits at spaces; '' is the empty word. */
static uint32_t split(char *text, struct slice *argv)
{
    uint32_t n = 0;
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        argv[n++] = strcmp(word, "''") ? (struct slice){(uint8_t *)word, strlen(word)} : (struct slice){(uint8_t *)word, 0};
    return n;
}

static void execute(const struct slice *argv, uint32_t argc, bool replaying)
{
    out.len = 0;
    dispatch_internal(&client, &out, argv, argc, replaying);
    ks_expire_noted();
    scratch_reset();
}

static void run(const char *command)
{
    char text[512];
    struct slice argv[32];
    snprintf(text, sizeof text, "%s", command);
    execute(argv, split(text, argv), false);
}

/* ---- the log ---- */

static char history[1 << 16]; /* every payload since reset(), RESP */
static size_t history_len;
static uint32_t history_dbs[512], history_frames;

/* A frame's RESP as words; returns its arguments. */
static uint32_t words_of(const uint8_t *p, struct slice *argv)
{
    uint32_t argc = (uint32_t)strtoul((const char *)p + 1, (char **)(uintptr_t)&p, 10);
    for (uint32_t i = 0; i < argc; i++) {
        size_t n = strtoul((const char *)p + 3, (char **)(uintptr_t)&p, 10); /* behind "\r\n$" */
        argv[i] = (struct slice){p + 2, n};
        p += 2 + n;
    }
    return argc;
}

/* Takes the records of the ring: appends them to the history and returns them as text, "db:WORDS|db:WORDS". */
static const char *logged(void)
{
    static char text[4096];
    size_t at = 0;
    text[0] = 0;
    uint64_t position = slot_at(1)->log.tail;
    for (const struct log_record *r; (r = ring_next(1, &position)) != NULL; ring_advance(r, &position)) {
        const uint8_t *p = log_payload(r);
        for (uint32_t f = 0; f < r->frames; f++) {
            struct log_frame frame;
            struct slice argv[32];
            memcpy(&frame, p, sizeof frame);
            memcpy(history + history_len, p + sizeof frame, frame.len);
            history_dbs[history_frames++] = frame.db;
            uint32_t argc = words_of((const uint8_t *)history + history_len, argv);
            history_len += frame.len;
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%u:", at ? "|" : "", frame.db);
            for (uint32_t i = 0; i < argc; i++)
                at += (size_t)snprintf(text + at, sizeof text - at, "%s%.*s", i ? " " : "", (int)argv[i].n, (const char *)argv[i].p);
            p += sizeof frame + frame.len;
        }
    }
    ring_consume_to(1, position);
    return text;
}

static void reset(void)
{
    client.db = 0;
    ks_set_now_ms(NOW);
    run("FLUSHALL");
    logged();
    history_len = history_frames = 0;
}

/* Runs a command and compares what it logs. */
#define LOGS(command, expected)          \
    do {                                 \
        run(command);                    \
        CHECK_STR(logged(), (expected)); \
    } while (0)

static void digest(uint8_t d[DIGEST_BYTES])
{
    txn_lock_all(&my_txn);
    CHECK(dataset_digest(d));
    txn_unlock(&my_txn);
}

/* The history, replayed into an emptied keyspace, gives the same dataset. */
static void check_replay(void)
{
    uint8_t before[DIGEST_BYTES], after[DIGEST_BYTES];
    digest(before);
    size_t len = history_len;
    uint32_t frames = history_frames;
    run("FLUSHALL");
    const uint8_t *p = (const uint8_t *)history;
    for (uint32_t f = 0; f < frames; f++) {
        struct slice argv[32];
        uint32_t argc = words_of(p, argv);
        client.db = history_dbs[f];
        execute(argv, argc, true);
        CHECK(out.len && out.buf[0] != '-');
        p = argv[argc - 1].p + argv[argc - 1].n + 2;
    }
    CHECK(p == (const uint8_t *)history + len);
    digest(after);
    CHECK_MEM(before, after, DIGEST_BYTES);
    FIXTURE_SOUND();
    reset();
    CHECK_STR(logged(), "");
}

/* ---- tests ---- */

static void strings(void)
{
    LOGS("SET k v", "0:SET k v");
    LOGS("set k v NX", "");
    LOGS("SET k w EX 100", "0:SET k w PXAT 1700000100000");
    LOGS("SET k w PX 100 GET", "0:SET k w PXAT 1700000000100");
    LOGS("SET k w EXAT 1800000000 XX", "0:SET k w PXAT 1800000000000");
    LOGS("SET k x KEEPTTL", "0:SET k x KEEPTTL");
    LOGS("SET k y GET KEEPTTL", "0:SET k y KEEPTTL");
    LOGS("SETEX k 10 v", "0:SET k v PXAT 1700000010000");
    LOGS("PSETEX k 10 v", "0:SET k v PXAT 1700000000010");
    LOGS("SETNX k v", "");
    LOGS("GETSET k z", "0:SET k z");
    LOGS("GETEX k", "");
    LOGS("GETEX k PERSIST", "");
    LOGS("GETEX k EX 100", "0:PEXPIREAT k 1700000100000");
    LOGS("GETEX k PERSIST", "0:PERSIST k");
    LOGS("GETEX k PXAT 5", "0:DEL k");
    LOGS("GETDEL k", "");
    LOGS("SET k v", "0:SET k v");
    LOGS("GETDEL k", "0:DEL k");
    LOGS("MSET a 1 b 2", "0:MSET a 1 b 2");
    LOGS("MSETNX a 1 c 2", "");
    LOGS("MSETNX c 1 d 2", "0:MSETNX c 1 d 2");
    LOGS("APPEND a ''", "0:APPEND a ");
    LOGS("SETRANGE a 3 xy", "0:SETRANGE a 3 xy");
    LOGS("SETRANGE a 3 ''", "");
    check_replay();
}

static void counters(void)
{
    LOGS("INCR n", "0:INCR n");
    LOGS("INCRBY n 5", "0:INCRBY n 5");
    LOGS("DECRBY n 2", "0:DECRBY n 2");
    LOGS("INCRBYFLOAT n 0.5", "0:SET n 4.5 KEEPTTL");
    LOGS("INCR n", "");
    LOGS("EXPIRE n 100", "0:PEXPIREAT n 1700000100000");
    LOGS("INCRBYFLOAT n 0.5", "0:SET n 5 KEEPTTL");
    check_replay();
}

static void bits(void)
{
    LOGS("SETBIT b 7 1", "0:SETBIT b 7 1");
    LOGS("SETBIT b 7 1", "");
    LOGS("BITFIELD b GET u8 0", "");
    LOGS("BITFIELD b SET u8 0 1", "");
    LOGS("BITFIELD b SET u8 8 9 INCRBY i5 3 2", "0:BITFIELD b SET u8 8 9 INCRBY i5 3 2");
    LOGS("BITOP NOT c b", "0:BITOP NOT c b");
    LOGS("BITOP AND c none", "0:BITOP AND c none");
    LOGS("BITOP AND c none", "");
    check_replay();
}

static void keys(void)
{
    LOGS("MSET a 1 b 2 c 3", "0:MSET a 1 b 2 c 3");
    LOGS("DEL none", "");
    LOGS("DEL a none", "0:DEL a none");
    LOGS("UNLINK b", "0:UNLINK b");
    LOGS("TOUCH c", "");
    LOGS("EXPIRE c 100 XX", "");
    LOGS("EXPIRE c 100 NX", "0:PEXPIREAT c 1700000100000");
    LOGS("PERSIST c", "0:PERSIST c");
    LOGS("PERSIST c", "");
    LOGS("COPY c d DB 3", "0:COPY c d DB 3");
    LOGS("RENAME c e", "0:RENAME c e");
    LOGS("RENAME e e", "");
    LOGS("RENAMENX e f", "0:RENAMENX e f");
    LOGS("MOVE f 2", "0:MOVE f 2");
    LOGS("SWAPDB 2 5", "0:SWAPDB 2 5");
    client.db = 5;
    LOGS("EXPIREAT f 1800000000", "5:PEXPIREAT f 1800000000000");
    LOGS("SET g 1", "5:SET g 1");
    LOGS("PEXPIRE g -1", "5:DEL g");
    LOGS("FLUSHDB ASYNC", "5:FLUSHDB ASYNC");
    LOGS("SET h 1", "5:SET h 1");
    check_replay();
}

/* What is over is deleted with a record of its own, whoever notices. */
static void expired(void)
{
    LOGS("SET a 1 PX 10", "0:SET a 1 PXAT 1700000000010");
    LOGS("SET b 1 PX 10", "0:SET b 1 PXAT 1700000000010");
    LOGS("SET c 1 PX 10", "0:SET c 1 PXAT 1700000000010");
    LOGS("SET d 1 PX 10", "0:SET d 1 PXAT 1700000000010");
    ks_set_now_ms(NOW + 20);
    LOGS("GET a", "0:DEL a");
    LOGS("INCR b", "0:DEL b|0:INCR b");
    LOGS("DEL c", "0:DEL c");
    ks_expire_cycle(0, 1, 1000000);
    CHECK_STR(logged(), "0:DEL d");
    check_replay();
}

static void errors_log_nothing(void)
{
    LOGS("SET k v EX 0", "");
    LOGS("INCRBY k x", "");
    LOGS("MSET a", "");
    LOGS("SETRANGE k -1 x", "");
    LOGS("COPY k k", "");
    LOGS("NOSUCHCOMMAND", "");
    CHECK_EQ(history_len, 0);
    reset();
}

int main(void)
{
    int fd = fixture_open(64 << 20);
    if (segment_commit_rings()) return 1;
    atomic_store(&seg()->log_enabled, 1);
    atomic_store(&seg()->settings[SET_proto_max_bulk_len], 1 << 29);
    atomic_store(&seg()->settings[SET_active_expire_enabled], 1);
    command_table_init();
    dispatch_init();
    if (setjmp(fixture_failed)) return 1;
    reset();
    RUN(strings);
    RUN(counters);
    RUN(bits);
    RUN(keys);
    RUN(expired);
    RUN(errors_log_nothing);
    fixture_close(fd);
    return check_report();
}
