/* test_snapshot.c - a cut beside running writers: what it shows is one moment, whatever they do meanwhile, also from the spill file. */
#include <signal.h>
#include <sys/wait.h>

#include "check.h"
#include "segment_fixture.h"
#include "snap/snapshot.h"

#define PAIRS 4000

static uint64_t rng;
static uint64_t random64(void)
{
    rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
    return rng;
}

/* Both keys of a pair hold the same letter and length, and always change in one transaction. */
static void pair_change(uint64_t i)
{
    static uint8_t buf[20000];
    char a_name[32], b_name[32];
    snprintf(a_name, sizeof a_name, "a:%llu", (unsigned long long)i), snprintf(b_name, sizeof b_name, "b:%llu", (unsigned long long)i);
    struct key a = fixture_key(a_name), b = fixture_key(b_name);
    uint64_t map[STRIPE_COUNT / 64] = {0};
    uint32_t sa = stripe_of(a.hash), sb = stripe_of(b.hash);
    map[sa / 64] |= 1ull << sa % 64, map[sb / 64] |= 1ull << sb % 64;
    struct txn *t = &my_txn;
    txn_begin(t);
    txn_lock_map(t, map);
    uint64_t dice = random64() % 16;
    size_t n = dice == 7 ? 9000 + random64() % 10000 : 1 + random64() % 600;
    if (dice == 0) {
        ks_delete(t, &a);
        ks_delete(t, &b);
    } else {
        memset(buf, 'a' + (int)(random64() % 26), n);
        ks_set_raw(t, &a, (struct slice){buf, n}, TTL_CLEAR);
        ks_set_raw(t, &b, (struct slice){buf, n}, TTL_CLEAR);
    }
    txn_commit(t);
}

static pid_t start_writer(uint32_t slot)
{
    pid_t pid = fork();
    if (pid) return pid;
    slot_acquire(slot, SLOT_WORKER);
    txn_init(&my_txn);
    my_txn.on_fail = &fixture_failed;
    if (setjmp(fixture_failed)) _exit(3);
    rng = slot * 0x9e3779b97f4a7c15ull;
    for (;;) pair_change(random64() % PAIRS);
}

static struct seen {
    uint32_t len;
    uint8_t letter, there;
} seen[2][PAIRS];
static uint64_t entries;

static bool on_db(void *arg, uint32_t db, uint64_t keys, uint64_t expires)
{
    (void)arg, (void)expires;
    CHECK_EQ(db, 0);
    CHECK_EQ(keys, snapshot_info()->keys);
    return true;
}

static bool on_entry(void *arg, const struct entry *e, size_t size)
{
    (void)arg, (void)size;
    static uint8_t bytes[32768];
    struct slice k = entry_key(e), v = {0};
    char name[32] = {0};
    memcpy(name, k.p, MIN(k.n, sizeof name - 1));
    uint64_t i = strtoull(name + 2, NULL, 10);
    CHECK(i < PAIRS && (name[0] == 'a' || name[0] == 'b'));
    if (check_failures) return false;
    if (entry_enc(e) == ENC_EXT) {
        v = (struct slice){bytes, entry_ext(e)->len};
        snap_read(entry_ext(e)->off, bytes, v.n);
    } else {
        v = entry_bytes(e);
    }
    for (size_t j = 1; j < v.n; j++)
        if (v.p[j] != v.p[0]) {
            CHECK(!"a torn value");
            return false;
        }
    struct seen *s = &seen[name[0] == 'b'][i];
    CHECK(!s->there);
    *s = (struct seen){(uint32_t)v.n, v.p[0], 1};
    entries++;
    return true;
}

static void snapshots_beside_writers(uint64_t pool, bool slow)
{
    int fd = fixture_open(256 << 20);
    seg()->workers = 3;
    rng = 42;
    for (uint64_t i = 0; i < PAIRS; i++) pair_change(i);
    pid_t w2 = start_writer(2), w3 = start_writer(3);
    char err[200] = "";
    uint64_t spilled = 0;
    for (int round = 0; round < 12 && !check_failures; round++) {
        usleep(20000);
        memset(seen, 0, sizeof seen);
        entries = 0;
        CHECK(snapshot_begin(pool, "/tmp", err, sizeof err) == 0 || (fprintf(stderr, "%s\n", err), 0));
        for (int i = 0; i < (slow ? 40 : 1); i++) {
            usleep(3000);
            CHECK_EQ(snapshot_tend(), 0);
        }
        struct snap_visitor v = {on_db, on_entry, NULL};
        CHECK(snapshot_walk(&v));
        CHECK_EQ(entries, snapshot_info()->keys);
        CHECK(snapshot_info()->preimages > 0);
        spilled += snapshot_info()->spilled;
        snapshot_end();
        for (int i = 0; i < PAIRS; i++) {
            CHECK_EQ(seen[0][i].there, seen[1][i].there);
            CHECK_EQ(seen[0][i].len, seen[1][i].len);
            CHECK_EQ(seen[0][i].letter, seen[1][i].letter);
        }
    }
    if (slow) CHECK(spilled > 0);
    kill(w2, SIGKILL), kill(w3, SIGKILL);
    waitpid(w2, NULL, 0), waitpid(w3, NULL, 0);
    for (uint32_t s = 2; s <= 3; s++) {
        slot_acquire(s, SLOT_WORKER);
        slot_repair();
    }
    slot_acquire(1, SLOT_WORKER);
    FIXTURE_SOUND();
    fixture_close(fd);
}

static void one_moment_beside_writers(void) { snapshots_beside_writers(256 << 20, false); }
static void one_moment_from_the_spill_file(void) { snapshots_beside_writers(1, true); }

int main(void)
{
    RUN(one_moment_beside_writers);
    RUN(one_moment_from_the_spill_file);
    return check_report();
}
