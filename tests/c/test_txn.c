/* test_txn.c - the bracket: commit, rollback, savepoints, undo beyond one chunk, memory that runs out, and death at any instruction. */
#include <signal.h>
#include <sys/wait.h>

#include "check.h"
#include "segment_fixture.h"

static void commit_keeps_abort_takes_back(void)
{
    int fd = fixture_open(64 << 20);
    struct key a = fixture_key("a"), b = fixture_key("b");
    struct txn *t = fixture_begin();
    ks_set_bytes(t, &a, SLICE("one"), TTL_CLEAR);
    txn_commit(t);
    int64_t used = slots_used_bytes();
    t = fixture_begin();
    ks_set_bytes(t, &a, SLICE("two"), TTL_CLEAR);
    ks_set_bytes(t, &b, SLICE("new"), TTL_CLEAR);
    ks_delete(t, &a);
    txn_abort(t);
    CHECK_EQ(ks_db_size(0), 1);
    CHECK_EQ(slots_used_bytes(), used);
    const struct entry *e = ks_peek(&a);
    CHECK(e && entry_bytes(e).n == 3 && !memcmp(entry_bytes(e).p, "one", 3));
    CHECK(!ks_peek(&b));
    FIXTURE_SOUND();
    fixture_close(fd);
}

static void savepoint_takes_back_only_what_came_after(void)
{
    int fd = fixture_open(64 << 20);
    struct key a = fixture_key("a"), b = fixture_key("b"), c = fixture_key("c");
    struct txn *t = fixture_begin();
    ks_set_int(t, &a, 7, TTL_CLEAR);
    struct txn_savepoint sp = txn_savepoint(t);
    ks_set_int(t, &b, 8, TTL_CLEAR);
    ks_delete(t, &a);
    txn_rollback_to(t, sp);
    ks_set_int(t, &c, 9, TTL_CLEAR);
    txn_commit(t);
    CHECK(ks_peek(&a) && *entry_int(ks_peek(&a)) == 7);
    CHECK(!ks_peek(&b));
    CHECK(ks_peek(&c) && *entry_int(ks_peek(&c)) == 9);
    FIXTURE_SOUND();
    fixture_close(fd);
}

static void undo_spans_chunks(void)
{
    int fd = fixture_open(256 << 20);
    char name[32];
    struct txn *t = fixture_begin();
    for (int i = 0; i < 30000; i++) {
        struct key k = fixture_key((snprintf(name, sizeof name, "key:%d", i), name));
        ks_set_bytes(t, &k, SLICE("some value that is not short, to fill the undo area"), TTL_CLEAR);
    }
    CHECK(my_slot->undo_chunks != 0);
    txn_abort(t);
    CHECK_EQ(ks_db_size(0), 0);
    CHECK_EQ(my_slot->undo_chunks, 0);
    FIXTURE_SOUND();
    t = fixture_begin();
    for (int i = 0; i < 30000; i++) {
        struct key k = fixture_key((snprintf(name, sizeof name, "key:%d", i), name));
        ks_set_int(t, &k, i, TTL_CLEAR);
    }
    txn_commit(t);
    CHECK_EQ(ks_db_size(0), 30000);
    t = fixture_begin();
    for (int i = 0; i < 30000; i += 2) {
        struct key k = fixture_key((snprintf(name, sizeof name, "key:%d", i), name));
        CHECK(ks_delete(t, &k));
    }
    txn_commit(t);
    CHECK_EQ(ks_db_size(0), 15000);
    FIXTURE_SOUND();
    fixture_close(fd);
}

static void no_memory_leaves_everything_as_it_was(void)
{
    int fd = fixture_open(64 << 20);
    char name[32];
    static uint8_t big[1 << 20];
    volatile int stored = 0, failed = 0;
    for (int i = 0; i < 100 && !failed; i++) {
        struct key k = fixture_key((snprintf(name, sizeof name, "key:%d", i), name));
        struct txn *t = fixture_begin();
        if (setjmp(fixture_failed) == 0) {
            ks_set_bytes(t, &k, (struct slice){big, sizeof big}, TTL_CLEAR);
            txn_commit(t);
            stored++;
        } else {
            CHECK_EQ(t->failure, TXN_NO_MEMORY);
            txn_abort(t);
            failed = 1;
        }
    }
    CHECK(failed && stored > 30);
    CHECK_EQ(ks_db_size(0), stored);
    FIXTURE_SOUND();
    fixture_close(fd);
}

/* ---- death ---- */

static uint64_t rng;
static uint64_t random64(void)
{
    rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
    return rng;
}

/* A value that tells whether it is whole: n bytes, each the same letter. */
static void fill(uint8_t *buf, size_t n) { memset(buf, 'a' + (int)(random64() % 26), n); }

static bool whole(struct slice v)
{
    for (size_t i = 1; i < v.n; i++)
        if (v.p[i] != v.p[0]) return false;
    return true;
}

/* Pairs of keys always change together, in one transaction: after a death both are there or neither, with the same length. */
static void pair_change(int i)
{
    static uint8_t buf[60000];
    char a_name[32], b_name[32];
    snprintf(a_name, sizeof a_name, "pair:%d:a", i), snprintf(b_name, sizeof b_name, "pair:%d:b", i);
    struct key a = fixture_key(a_name), b = fixture_key(b_name);
    uint64_t map[STRIPE_COUNT / 64] = {0};
    uint32_t sa = stripe_of(a.hash), sb = stripe_of(b.hash);
    map[sa / 64] |= 1ull << sa % 64, map[sb / 64] |= 1ull << sb % 64;
    struct txn *t = &my_txn;
    txn_begin(t);
    txn_lock_map(t, map);
    uint64_t dice = random64() % 10;
    if (dice < 2) {
        ks_delete(t, &a);
        ks_delete(t, &b);
    } else {
        size_t n = dice == 9 ? 8000 + random64() % 50000 : 1 + random64() % 300;
        fill(buf, n);
        ks_set_raw(t, &a, (struct slice){buf, n}, TTL_CLEAR);
        fill(buf, n);
        ks_set_raw(t, &b, (struct slice){buf, n}, TTL_CLEAR);
        if (dice == 3) {
            ks_set_expire(t, &a, ks_peek(&a), ks_now_ms() + 100000);
            ks_set_expire(t, &b, ks_peek(&b), ks_now_ms() + 100000);
        }
    }
    if (dice == 5)
        txn_abort(t);
    else
        txn_commit(t);
}

static void child_works(uint64_t seed)
{
    rng = seed * 0x9e3779b97f4a7c15ull | 1;
    txn_init(&my_txn);
    my_txn.on_fail = &fixture_failed;
    if (setjmp(fixture_failed)) _exit(3);
    for (;;) pair_change((int)(random64() % 500));
}

static void check_pairs(void)
{
    char name[32];
    for (int i = 0; i < 500; i++) {
        struct key a = fixture_key((snprintf(name, sizeof name, "pair:%d:a", i), name));
        const struct entry *ea = ks_peek(&a);
        char other[32];
        struct key b = fixture_key((snprintf(other, sizeof other, "pair:%d:b", i), other));
        const struct entry *eb = ks_peek(&b);
        CHECK(!ea == !eb);
        if (!ea || !eb) continue;
        CHECK_EQ(entry_bytes(ea).n, entry_bytes(eb).n);
        CHECK(whole(entry_bytes(ea)) && whole(entry_bytes(eb)));
        CHECK_EQ(entry_expire(ea), entry_expire(eb));
    }
}

static void death_at_any_instruction(void)
{
    int fd = fixture_open(128 << 20);
    const char *rounds = getenv("SHOAL_CRASH_ROUNDS");
    int n = rounds ? atoi(rounds) : 300;
    for (int round = 0; round < n; round++) {
        pid_t pid = fork();
        if (pid == 0) child_works((uint64_t)round + 1);
        usleep((useconds_t)(200 + (round * 7919) % 3000));
        kill(pid, SIGKILL);
        int status;
        waitpid(pid, &status, 0);
        CHECK(WIFSIGNALED(status));
        slot_acquire(1, SLOT_WORKER);
        slot_repair();
        txn_init(&my_txn);
        my_txn.on_fail = &fixture_failed;
        FIXTURE_SOUND();
        check_pairs();
        for (uint32_t i = 0; i < STRIPE_COUNT; i++) CHECK_EQ(lock_owner(&stripe_lock_at(i)->word), 0);
        if (check_failures) break;
    }
    fixture_close(fd);
}

/* Two processes on the same pairs, one of them killed again and again: the other goes on, nothing is torn. */
static void death_beside_a_living_process(void)
{
    int fd = fixture_open(128 << 20);
    seg()->workers = 2;
    pid_t other = fork();
    if (other == 0) {
        slot_acquire(2, SLOT_WORKER);
        child_works(4711);
    }
    for (int round = 0; round < 100; round++) {
        pid_t pid = fork();
        if (pid == 0) child_works((uint64_t)round + 99);
        usleep((useconds_t)(500 + (round * 7919) % 3000));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        slot_acquire(1, SLOT_WORKER);
        slot_repair();
        txn_init(&my_txn);
        my_txn.on_fail = &fixture_failed;
        uint64_t before = atomic_load(&slot_at(2)->stats[STAT_TXNS]);
        for (int i = 0; i < 2000 && atomic_load(&slot_at(2)->stats[STAT_TXNS]) == before; i++) usleep(1000);
        CHECK(atomic_load(&slot_at(2)->stats[STAT_TXNS]) > before);
        txn_lock_all(&my_txn);
        check_pairs();
        txn_unlock(&my_txn);
        if (check_failures) break;
    }
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    uint32_t mine = my_slot_index;
    slot_acquire(2, SLOT_WORKER);
    slot_repair();
    slot_acquire(mine, SLOT_WORKER);
    FIXTURE_SOUND();
    check_pairs();
    fixture_close(fd);
}

int main(void)
{
    RUN(commit_keeps_abort_takes_back);
    RUN(savepoint_takes_back_only_what_came_after);
    RUN(undo_spans_chunks);
    RUN(no_memory_leaves_everything_as_it_was);
    RUN(death_at_any_instruction);
    RUN(death_beside_a_living_process);
    return check_report();
}
