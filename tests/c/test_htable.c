/* test_htable.c - the table against a plain array: growing, shrinking, rollback, draining, and what SCAN promises meanwhile. */
#include "check.h"
#include "segment_fixture.h"

struct item { /* an item of the test: its number */
    uint64_t number;
};

static uint64_t item_hash(shm_off off) { return hash_u64(((struct item *)shm_ptr(off))->number, seg()->hash_seed); }
static const struct ht_ops ops = {.hash = item_hash};
static bool item_eq(shm_off off, const void *key) { return ((struct item *)shm_ptr(off))->number == *(const uint64_t *)key; }

static struct htable *table; /* lies in the arena */

static struct ht_place find(uint64_t n) { return ht_find(table, hash_u64(n, seg()->hash_seed), item_eq, &n); }

static void add(struct txn *t, uint64_t n)
{
    shm_off off = txn_alloc(t, sizeof(struct item));
    ((struct item *)shm_ptr(off))->number = n;
    ht_insert(t, table, &ops, item_hash(off), off);
}

static void drop(struct txn *t, uint64_t n)
{
    struct ht_place at = find(n);
    CHECK(at.bucket != NULL);
    ht_remove(t, table, &ops, hash_u64(n, seg()->hash_seed), at);
    txn_free(t, at.item, sizeof(struct item));
}

static int open_table(void)
{
    int fd = fixture_open(256 << 20);
    struct txn *t = fixture_begin();
    table = shm_ptr(txn_alloc_zero(t, sizeof *table));
    txn_commit(t);
    return fd;
}

static uint64_t seed = 88172645463325252ull;
static uint64_t random64(void)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}

#define UNIVERSE 20000

static void matches_a_plain_set_through_growth_shrinking_and_rollback(void)
{
    static bool in[UNIVERSE], before[UNIVERSE];
    memset(in, 0, sizeof in);
    int fd = open_table();
    uint64_t count = 0;
    for (int round = 0; round < 600; round++) {
        uint64_t grow = round % 200 < 120 ? 80 : 20, count_before = count;
        memcpy(before, in, sizeof in);
        struct txn *t = fixture_begin();
        for (int i = 0; i < 200; i++) {
            uint64_t n = random64() % UNIVERSE;
            CHECK_EQ(find(n).bucket != NULL, in[n]);
            if (!in[n] && random64() % 100 < grow) {
                add(t, n), in[n] = true, count++;
            } else if (in[n] && random64() % 100 >= grow) {
                drop(t, n), in[n] = false, count--;
            }
        }
        if (round % 7 == 3) {
            txn_abort(t);
            memcpy(in, before, sizeof in);
            count = count_before;
        } else {
            txn_commit(t);
        }
        CHECK_EQ(table->count, count);
        if (check_failures) break;
    }
    for (uint64_t n = 0; n < UNIVERSE; n++) CHECK_EQ(find(n).bucket != NULL, in[n]);
    struct txn *t = fixture_begin();
    for (uint64_t n = 0; n < UNIVERSE; n++)
        if (in[n]) drop(t, n);
    txn_commit(t);
    CHECK_EQ(table->count, 0);
    CHECK_EQ(table->buckets, 0);
    CHECK_EQ(table->overflow, 0);
    FIXTURE_SOUND();
    fixture_close(fd);
}

static uint8_t seen[UNIVERSE];
static void see(shm_off off, void *arg)
{
    (void)arg;
    uint64_t n = ((struct item *)shm_ptr(off))->number;
    if (n < UNIVERSE) seen[n] = 1;
}

/* Items 0..999 stay; others come and go in large numbers between the calls of a scan. */
static void scan_sees_what_stays_while_the_table_changes(void)
{
    for (int way = 0; way < 4; way++) {
        int fd = open_table();
        uint64_t high = 1000, low = 1000;
        struct txn *t = fixture_begin();
        for (uint64_t n = 0; n < 1000; n++) add(t, n);
        if (way & 1)
            for (; high < 12000; high++) add(t, high);
        txn_commit(t);
        memset(seen, 0, sizeof seen);
        uint64_t cursor = 0, calls = 0;
        do {
            cursor = ht_scan(table, cursor, see, NULL);
            calls++;
            t = fixture_begin();
            for (int i = 0; i < 37; i++) {
                bool adding = way == 0 || (way == 2 && calls % 100 < 50);
                if (adding && high < UNIVERSE - 1)
                    add(t, high++);
                else if (!adding && low < high)
                    drop(t, low++);
            }
            txn_commit(t);
        } while (cursor && calls < 100000);
        CHECK_EQ(cursor, 0);
        for (uint64_t n = 0; n < 1000; n++) CHECK(seen[n]);
        fixture_close(fd);
    }
}

static void draining_frees_everything_in_bounded_steps(void)
{
    int fd = open_table();
    struct txn *t = fixture_begin();
    int64_t empty = slots_used_bytes();
    for (uint64_t n = 0; n < 5000; n++) add(t, n);
    txn_commit(t);
    CHECK(slots_used_bytes() > empty + 5000 * 8);
    bool done = false;
    int steps = 0;
    while (!done) {
        uint64_t budget = 100;
        t = fixture_begin();
        done = ht_drain(t, table, NULL, NULL, &budget);
        txn_commit(t);
        steps++;
    }
    CHECK(steps > 40);
    CHECK_EQ(table->buckets, 0);
    CHECK_EQ(table->overflow, 0);
    CHECK_EQ(slots_used_bytes(), empty + 5000 * 8);
    fixture_close(fd);
}

static void reserve_then_fill(void)
{
    int fd = open_table();
    struct txn *t = fixture_begin();
    ht_reserve(t, table, 3000);
    uint32_t buckets = table->buckets;
    for (uint64_t n = 0; n < 3000; n++) add(t, n);
    txn_commit(t);
    CHECK_EQ(table->buckets, buckets);
    for (uint64_t n = 0; n < 3000; n++) CHECK(find(n).bucket != NULL);
    CHECK(ht_random(table, random64) != 0);
    fixture_close(fd);
}

static void portable_match_equals_the_fast_one(void)
{
    struct bucket b;
    for (int i = 0; i < 10000; i++) {
        for (size_t j = 0; j < sizeof b; j++) ((uint8_t *)&b)[j] = (uint8_t)(random64() % 4);
        for (uint8_t tag = 0; tag < 4; tag++) CHECK_EQ(ht_match(&b, tag), ht_match_portable(&b, tag));
    }
}

int main(void)
{
    RUN(matches_a_plain_set_through_growth_shrinking_and_rollback);
    RUN(scan_sees_what_stays_while_the_table_changes);
    RUN(draining_frees_everything_in_bounded_steps);
    RUN(reserve_then_fill);
    RUN(portable_match_equals_the_fast_one);
    return check_report();
}
