/* test_check.c - the check of all keys and values (snap/check.h) over memory that is damaged at random: it comes to an end, reads nothing that is not
 * there (a fault would be caught by its guard, and is counted as a failure here), and sees damage; live and as of a cut alike.
 *
 * SHOAL_FUZZ_ROUNDS (default 500) and SHOAL_FUZZ_SEED set how much and which.
 */
#include "check.h"
#include "cmd/cmd_object.h"
#include "cmd/dispatch.h"
#include "net/client.h"
#include "rnd.h"
#include "segment_fixture.h"
#include "shm/pageheap.h"
#include "snap/snapshot.h"

static struct client *client;
static struct reply reply;

/* Words separated by spaces. */
static void command(const char *text)
{
    static struct slice argv[64];
    uint32_t argc = 0;
    for (const char *p = text; *p && argc < 64;) {
        size_t n = strcspn(p, " ");
        argv[argc++] = (struct slice){(const uint8_t *)p, n};
        p += n + (p[n] == ' ');
    }
    reply_rewind(&reply, 0);
    dispatch_internal(client, &reply, argv, argc, false);
    CHECK(reply.len && reply.buf[0] != '-');
    scratch_reset();
}

static void fill(void)
{
    static char text[20000];
    static const char *const once[] = {
        "SADD set:packed a bc def", "SADD set:numbers 1 5 70000", "ZADD zset:packed 1 a 2.5 b 3 c", "HSET hash:packed f:1 v f:2 w f:3 12 f:4 zz",
        "HSET hash:times f:1 v f:2 w", "HPEXPIRE hash:times 100000000 FIELDS 1 f:1", "RPUSH list:packed item:1 item:2 item:3 4", "SET number 17",
        "SET expiring value PX 100000000", "XADD stream 1-1 a b c d", "XGROUP CREATE stream g 0", "XREADGROUP GROUP g alice COUNT 3 STREAMS stream >",
        "XGROUP CREATECONSUMER stream g bob",
    };
    for (size_t i = 0; i < ARRAY_LEN(once); i++) command(once[i]);
    for (unsigned i = 0; i < 700; i++) {
        static const char *const many[] = {"SADD set m:%u", "ZADD zset %u member:%u", "HSET hash f:%u v:%u", "RPUSH list element:%u %u", "XADD stream %u-7 a %u",
                                           "SET key:%u value:%u"};
        for (size_t k = 0; k < ARRAY_LEN(many); k++) {
            snprintf(text, sizeof text, many[k], i + 2, i + 2); /* NOLINT: the formats are ours */
            command(text);
        }
    }
    for (unsigned n = 9000; n < 20000; n += 5000) {
        int at = snprintf(text, sizeof text, n == 9000 ? "SET long " : "RPUSH list ");
        memset(text + at, 'x', sizeof text - (size_t)at - 1);
        text[n] = 0;
        command(text);
    }
    command("HPEXPIRE hash 100000000 FIELDS 1 f:5");
}

static uint64_t found, faults;

static void on_found(const struct check_finding *f, void *arg)
{
    (void)arg;
    found++;
    faults += strstr(f->why, "dies by signal") != NULL;
}

static uint64_t all_keys(void)
{
    uint64_t n = 0;
    for (uint32_t db = 0; db < seg()->databases; db++) n += ks_db_size(db);
    return n;
}

static void in_slices(void)
{
    char err[200] = "";
    uint64_t place = 0, keys = 0;
    while (place != CHECK_PLACE_END) {
        CHECK_EQ(snapshot_begin(1 << 20, "/tmp", err, sizeof err), 0);
        struct check_progress p = check_slice(place, 300, 1000, -1);
        snapshot_end();
        check_confirm(on_found, NULL);
        place = p.place;
        keys += p.keys;
    }
    if (!found) CHECK_EQ(keys, all_keys());
}

/* Bytes of a word, or a few bits. */
static void damage(uint8_t *p)
{
    uint64_t word = rnd() % 3 ? rnd() : seg()->arena_off + rnd() % (seg()->pages_used * PAGE_SIZE_ARENA);
    if (rnd() % 3)
        *p ^= (uint8_t)(1u << rnd() % 8);
    else
        memcpy(p, &word, rnd() % 2 ? 8 : 5);
}

static void damaged_memory(void)
{
    const char *text = getenv("SHOAL_FUZZ_ROUNDS"), *seed = getenv("SHOAL_FUZZ_SEED");
    uint64_t rounds = text ? strtoull(text, NULL, 10) : 500, seen = 0;
    uint64_t used = seg()->pages_used * PAGE_SIZE_ARENA, map = seg()->pages_used * sizeof(struct page);
    uint8_t *arena = shm_ptr(seg()->arena_off), *pages = (uint8_t *)page_at(0), *arena_was = malloc(used), *pages_was = malloc(map);
    rnd_state = seed ? strtoull(seed, NULL, 10) : 42;
    memcpy(arena_was, arena, used);
    memcpy(pages_was, pages, map);
    for (uint64_t i = 0; i < rounds && !check_failures; i++) {
        for (uint64_t n = 1 + rnd() % 40; n; n--) damage(arena + rnd() % (used - 8));
        if (i % 8 == 0) damage(pages + rnd() % (map - 8));
        found = 0;
        check_everything(on_found, NULL);
        if (i % 16 == 0) { /* with wrong places of whole databases no server starts: it is a start's business to try */
            uint64_t at = seg()->keyspace - seg()->arena_off;
            memcpy(arena + at, arena_was + at, sizeof(struct keyspace) + seg()->databases * sizeof(shm_off));
            in_slices();
        }
        seen += found > 0;
        memcpy(arena, arena_was, used);
        memcpy(pages, pages_was, map);
    }
    CHECK_EQ(faults, 0);
    CHECK(seen > rounds / 4);
    free(arena_was), free(pages_was);
    FIXTURE_SOUND();
}

static void sound_memory(void)
{
    CHECK_EQ(check_everything(on_found, NULL), all_keys());
    in_slices();
    CHECK_EQ(found, 0);
}

int main(void)
{
    int fd = fixture_open(128u << 20);
    command_table_init();
    ticks_init();
    dispatch_init();
    client = client_create_internal();
    reply_init(&reply);
    reply.resp = client->resp = 2;
    RUN(fill);
    RUN(sound_memory);
    RUN(damaged_memory);
    fixture_close(fd);
    return check_report();
}
