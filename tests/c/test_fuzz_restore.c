/* tests/c/test_fuzz_restore.c - damaged payloads of every type and encoding through RESTORE, and what is accepted nevertheless through the
 * commands of its type: nothing crashes, nothing reads outside of what it may, nothing answers what cannot be, memory stays sound.
 *
 * SHOAL_FUZZ_ROUNDS (default 3000) and SHOAL_FUZZ_SEED set how much and which; with SHOAL_FUZZ_CORPUS the undamaged values go to that folder.
 * Built with -DSHOAL_LIBFUZZER and clang's -fsanitize=fuzzer the same file looks for new ways by itself (`make fuzz`); an input is a type byte
 * and the value behind it.
 */
#include "check.h"
#include "cmd/cmd_object.h"
#include "cmd/dispatch.h"
#include "keyspace/lazy.h"
#include "net/client.h"
#include "payloads.h"
#include "segment_fixture.h"
#include "snap/rdb_save.h"

#include "base/crc64.h"

#define ARGS 24u
#define VALUE_MAX (1u << 20)

static struct client *client;
static struct reply reply;
static uint8_t message[VALUE_MAX + 16];

/* ---- commands ---- */

static void run(uint32_t argc, const struct slice *argv)
{
    reply_rewind(&reply, 0);
    dispatch_internal(client, &reply, argv, argc, false);
    scratch_reset();
}

/* Words separated by spaces; `text` may not hold more than ARGS. */
static void command(const char *text)
{
    struct slice argv[ARGS];
    uint32_t argc = 0;
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, " ");
        argv[argc++] = (struct slice){(const uint8_t *)p, n};
        p += n + (p[n] == ' ');
    }
    run(argc, argv);
    client->resp = reply.resp = client->resp == 2 ? 3 : 2;
}

static bool restore(const char *key, const uint8_t *value, size_t n)
{
    memcpy(message, value, n);
    le_store16(message + n, 11);
    le_store64(message + n + 2, crc64(0, message, n + 2));
    struct slice argv[] = {SLICE("RESTORE"), {(const uint8_t *)key, strlen(key)}, SLICE("0"), {message, n + 10}, SLICE("REPLACE")};
    run(5, argv);
    return reply.len && reply.buf[0] == '+';
}

static const char *const calls[8][32] = {
    [OBJ_STRING] = {"GET k", "STRLEN k", "GETRANGE k -5 -1", "BITCOUNT k", "PFCOUNT k", "PFADD k a b c", "PFMERGE k2 k", "INCR k", "SETBIT k 1000 1",
                    "BITFIELD k INCRBY u5 100 1", "APPEND k x", "SETRANGE k 3 xyz", "BITPOS k 0", "LCS k k2 LEN"},
    [OBJ_LIST] = {"LRANGE k 0 -1", "LINDEX k 3", "LINDEX k -4", "LPOS k word-0 RANK -1 COUNT 0", "LINSERT k BEFORE word-0 new", "LSET k 2 other",
                  "RPUSH k tail 12", "LPUSH k head", "LREM k -2 word-3", "LPOP k 2", "RPOP k", "LTRIM k 1 -2", "LMOVE k k2 LEFT RIGHT", "SORT k ALPHA",
                  "LSET k 0 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
    [OBJ_SET] = {"SMEMBERS k", "SISMEMBER k 7919", "SRANDMEMBER k -5", "SSCAN k 0", "SADD k 5 word-9 new -70000", "SREM k word-0", "SINTER k k",
                 "SUNIONSTORE k2 k k2", "SPOP k 2", "SMOVE k k2 7919", "SDIFF k k2", "SORT k ALPHA", "SADD k 99999999999"},
    [OBJ_ZSET] = {"ZRANGE k 0 -1 WITHSCORES", "ZRANGEBYSCORE k (1 +inf", "ZRANGEBYLEX k - +", "ZREVRANGE k 0 3", "ZRANK k word-3 WITHSCORE",
                  "ZSCORE k word-0", "ZCOUNT k -inf 5", "ZLEXCOUNT k [a +", "ZADD k 1.5 word-0 7 new", "ZINCRBY k -inf word-3", "ZSCAN k 0", "ZRANDMEMBER k -3",
                  "ZUNIONSTORE k2 2 k k2", "ZPOPMIN k 2", "ZPOPMAX k", "ZREMRANGEBYRANK k 1 2", "GEOPOS k word-0", "GEOSEARCH k FROMLONLAT 1 1 BYRADIUS 9 km",
                  "ZRANGESTORE k2 k 0 -1", "ZREMRANGEBYSCORE k 1 2"},
    [OBJ_HASH] = {"HGETALL k", "HLEN k", "HGET k word-0", "HRANDFIELD k -4 WITHVALUES", "HSCAN k 0", "HSET k word-0 new other 12", "HINCRBY k n 5",
                  "HDEL k word-3", "HTTL k FIELDS 2 word-0 word-3", "HEXPIRE k 100 FIELDS 1 word-0", "HPERSIST k FIELDS 1 word-0", "HSTRLEN k word-0",
                  "HSET k long xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
    [OBJ_STREAM] = {"XRANGE k - +", "XREVRANGE k + - COUNT 5", "XLEN k", "XINFO STREAM k FULL", "XINFO GROUPS k", "XINFO CONSUMERS k g",
                    "XREAD COUNT 3 STREAMS k 0", "XPENDING k g", "XPENDING k g - + 10", "XREADGROUP GROUP g alice COUNT 2 STREAMS k >",
                    "XREADGROUP GROUP g alice STREAMS k 0", "XACK k g 1-1", "XCLAIM k g bob 0 2-2 3-3", "XAUTOCLAIM k g bob 0 0", "XADD k * f v",
                    "XDEL k 3-3", "XTRIM k MAXLEN 5", "XTRIM k MINID ~ 4", "XSETID k 18446744073709551615-5", "XGROUP DELCONSUMER k g alice",
                    "XGROUP SETID k g 3", "XGROUP DESTROY k g", "XADD k MAXLEN = 1 * f v"},
};
static const char *const any[] = {"DUMP k", "OBJECT ENCODING k", "MEMORY USAGE k SAMPLES 0", "DEBUG DIGEST-VALUE k", "COPY k k2 REPLACE", "RENAME k k2", "RENAME k2 k"};

static struct entry *value_of(const char *name)
{
    struct key k = fixture_key(name);
    return ks_peek(&k);
}

/* What was accepted must be whole: its own payload makes the same value again. */
static void same_again(void)
{
    uint8_t one[DIGEST_BYTES] = {0}, two[DIGEST_BYTES] = {0};
    struct rdb_out o;
    const struct entry *e = value_of("k");
    if (!e) return;
    rdb_out_collect(&o);
    rdb_put_byte(&o, (uint8_t)rdb_type_of(&mem_live, e));
    rdb_save_object(&o, &mem_live, e);
    if (rdb_failed(&o) || o.len > VALUE_MAX) return;
    CHECK(object_digest(e, one));
    scratch_reset();
    bool again = restore("k2", o.buf, o.len);
    CHECK(again);
    if (again && value_of("k2")) CHECK(object_digest(value_of("k2"), two) && !memcmp(one, two, DIGEST_BYTES));
    scratch_reset();
}

static void exercise(void)
{
    same_again();
    for (size_t i = 0; i < ARRAY_LEN(any); i++) command(any[i]);
    const struct entry *e = value_of("k");
    if (!e) return;
    const char *const *list = calls[entry_type(e)];
    for (size_t i = 0; i < 32 && list[i]; i++) command(list[i]);
    same_again();
}

static void one_input(const uint8_t *p, size_t n)
{
    if (n > VALUE_MAX || !n) return;
    if (restore("k", p, n)) exercise();
    command("DEL k k2");
    while (lazy_step(100000)) {}
}

static void start(void)
{
    fixture_open(512u << 20);
    command_table_init();
    ticks_init();
    dispatch_init();
    client = client_create_internal();
    reply_init(&reply);
    reply.resp = client->resp = 2;
}

#ifdef SHOAL_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static bool started;
    if (!started) start();
    started = true;
    check_failures = 0;
    one_input(p, n);
    ENSURE(!check_failures);
    return 0;
}
#endif

/* ---- the corpus ---- */

#define CORPUS 128u
static struct {
    uint8_t *p;
    size_t n;
} corpus[CORPUS];
static uint32_t corpus_count;

static void corpus_add(unsigned type, const uint8_t *p, size_t n)
{
    ENSURE(corpus_count < CORPUS);
    uint8_t *copy = malloc(n + 1);
    copy[0] = (uint8_t)type;
    memcpy(copy + 1, p, n);
    corpus[corpus_count].p = copy;
    corpus[corpus_count++].n = n + 1;
}

/* As k is now, packed and plain. */
static void corpus_key(void)
{
    for (int compress = 0; compress < 2; compress++) {
        struct rdb_out o;
        const struct entry *e = value_of("k");
        rdb_out_collect(&o);
        o.compress = compress;
        rdb_save_object(&o, &mem_live, e);
        corpus_add(rdb_type_of(&mem_live, e), o.buf, o.len);
        scratch_reset();
    }
    command("DEL k");
}

static void corpus_handmade(void)
{
    static const unsigned types[] = {RDB_LIST, RDB_SET, RDB_ZSET_2, RDB_HASH, RDB_HASH_TTL};
    static const unsigned olds[] = {RDB_LIST_ZIPLIST, RDB_LIST_QUICKLIST, RDB_ZSET_ZIPLIST, RDB_HASH_ZIPLIST, RDB_HASH_ZIPMAP};
    for (size_t i = 0; i < ARRAY_LEN(types) * 3; i++) {
        struct payload x = plain(types[i / 3], (unsigned[]){3, 30, 300}[i % 3], 12);
        corpus_add(x.type, x.p, x.n);
        CHECK(restore("k", corpus[corpus_count - 1].p, corpus[corpus_count - 1].n));
        corpus_key(); /* and in the encoding that it becomes */
        free(x.p);
    }
    for (size_t i = 0; i < ARRAY_LEN(olds); i++) {
        struct payload x = old(olds[i], 12);
        corpus_add(x.type, x.p, x.n);
        free(x.p);
    }
}

static void corpus_by_commands(void)
{
    static const char *const strings[] = {"SET k 12", "SET k 300", "SET k -70000", "SET k some-text-that-is-a-bit-longer-longer-longer-longer",
                                          "SET k xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "PFADD k a b c d e f", "SADD k 1 2 300",
                                          "SADD k 1 70000 5000000000", "GEOADD k 13.3 38.1 word-0 15.1 37.5 word-3", "ZADD k inf a -inf b 0.1 c"};
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        command(strings[i]);
        corpus_key();
    }
    for (int size = 4; size < 400; size *= 9) {
        for (int i = 1; i < size; i++) {
            char text[100];
            snprintf(text, sizeof text, i % 7 ? "XADD k %d-%d f v%d g 12" : "XADD k %d-%d other text%d", i, i, i);
            command(text);
        }
        static const char *const groups[] = {"XGROUP CREATE k g 0", "XGROUP CREATE k empty $", "XREADGROUP GROUP g alice COUNT 3 STREAMS k >",
                                             "XREADGROUP GROUP g bob COUNT 2 STREAMS k >", "XGROUP CREATECONSUMER k g idle", "XDEL k 2-2", "XACK k g 1-1"};
        for (size_t i = 0; i < ARRAY_LEN(groups); i++) command(groups[i]);
        corpus_key();
    }
}

/* ---- damage ---- */

static uint8_t interesting(void)
{
    static const uint8_t bytes[] = {0, 1, 2, 3, 4, 5, 9, 11, 16, 19, 20, 21, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0x82, 0xc0, 0xc1, 0xc2, 0xc3,
                                    0xe0, 0xef, 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xfd, 0xfe, 0xff};
    return bytes[rnd() % sizeof bytes];
}

/* One change; returns the new length. */
static size_t damage(uint8_t *p, size_t n)
{
    size_t at = rnd() % 2 ? rnd() % MIN(n, (size_t)24) : rnd() % n, len = 1 + rnd() % 8;
    switch (rnd() % 8) {
    case 0: p[at] = (uint8_t)rnd(); return n;
    case 1: p[at] = interesting(); return n;
    case 2: p[at] ^= (uint8_t)(1u << rnd() % 8); return n;
    case 3: p[at] = (uint8_t)(p[at] + rnd() % 5 - 2); return n;
    case 4: return n > 2 ? 1 + rnd() % (n - 1) : n; /* an end too early */
    case 5: /* bytes taken out */
        len = MIN(len, n - at);
        memmove(p + at, p + at + len, n - at - len);
        return MAX(n - len, (size_t)1);
    case 6: /* bytes put in */
        memmove(p + at + len, p + at, n - at);
        for (size_t i = 0; i < len; i++) p[at + i] = interesting();
        return n + len;
    default: { /* a part of another value */
        uint32_t other = (uint32_t)(rnd() % corpus_count);
        len *= 8;
        len = MIN(len, MIN(n - at, corpus[other].n));
        memcpy(p + at, corpus[other].p + rnd() % (corpus[other].n - len + 1), len);
        return n;
    }
    }
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static uint64_t tried, accepted;

static void damaged_values(void)
{
    uint64_t rounds = number_of("SHOAL_FUZZ_ROUNDS", 3000);
    rnd_state = number_of("SHOAL_FUZZ_SEED", 42);
    for (; tried < rounds; tried++) {
        uint32_t which = (uint32_t)(rnd() % corpus_count);
        size_t n = corpus[which].n;
        uint8_t *work = malloc(n + 64);
        memcpy(work, corpus[which].p, n);
        for (uint64_t hits = 1 + rnd() % 4; hits; hits--) n = damage(work, n);
        uint8_t *exact = copy_exactly(work, n); /* a read behind it is seen */
        int before = check_failures;
        if (restore("k", exact, n)) {
            accepted++;
            exercise();
        }
        command("DEL k k2");
        if (check_failures != before) fprintf(stderr, "round %" PRIu64 ", type %u, %zu bytes\n", tried, exact[0], n);
        free(work), free(exact);
        while (lazy_step(100000)) {}
    }
}

/* For libFuzzer, a file each. */
static void write_corpus(const char *folder)
{
    for (uint32_t i = 0; i < corpus_count; i++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/value-%u", folder, i);
        FILE *f = fopen(name, "wb");
        CHECK(f && fwrite(corpus[i].p, 1, corpus[i].n, f) == corpus[i].n);
        if (f) fclose(f);
    }
}

static void undamaged_values(void)
{
    for (uint32_t i = 0; i < corpus_count; i++) {
        CHECK(restore("k", corpus[i].p, corpus[i].n));
        one_input(corpus[i].p, corpus[i].n);
    }
}

#ifndef SHOAL_LIBFUZZER
int main(void)
{
    start();
    RUN(corpus_handmade);
    RUN(corpus_by_commands);
    const char *folder = getenv("SHOAL_FUZZ_CORPUS");
    if (folder) {
        write_corpus(folder);
        return check_report();
    }
    RUN(undamaged_values);
    RUN(damaged_values);
    FIXTURE_SOUND();
    if (getenv("SHOAL_FUZZ_ROUNDS")) printf("%" PRIu64 " damaged values, %" PRIu64 " of them accepted\n", tried, accepted);
    return check_report();
}
#endif
