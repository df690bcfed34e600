/* test_set.c - sets against a table of flags: adding, removing, encodings, random members, copies, rollback. */
#include "check.h"
#include "rnd.h"
#include "segment_fixture.h"

#include "keyspace/objtype.h"
#include "types/set.h"

#define RANGE_MAX 4000
static bool in[RANGE_MAX];
static uint32_t in_count;
static bool words; /* members are words, not numbers */

static struct slice member(uint32_t i)
{
    static char text[40];
    int n = snprintf(text, sizeof text, words ? "member:%u" : "%u", i);
    return (struct slice){(uint8_t *)text, (size_t)n};
}

static bool count_member(const struct lp_value *v, void *arg)
{
    uint8_t room[NUM_I64_ROOM];
    char text[40];
    struct slice s = set_text(v, room);
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    uint32_t i = (uint32_t)atoi(words ? text + 7 : text);
    CHECK(i < RANGE_MAX && in[i]);
    ++*(uint32_t *)arg;
    return true;
}

static void equals_model(const struct set *s)
{
    uint32_t n = 0;
    CHECK_EQ(set_count(s), in_count);
    set_each(s->enc, s->root, count_member, &n);
    CHECK_EQ(n, in_count);
    for (uint32_t i = 0; i < RANGE_MAX; i++) CHECK_EQ(set_has(s, member(i)), in[i]);
    for (int i = 0; i < 20 && in_count; i++) {
        struct lp_value v;
        set_random(s, rnd, &v);
        count_member(&v, &n);
    }
    n = 0;
    uint64_t cursor = 0;
    do cursor = set_scan(s, cursor, count_member, &n);
    while (cursor);
    CHECK_EQ(n, in_count);
}

static void random_changes(uint32_t range, bool with_words, uint32_t rounds)
{
    int fd = fixture_open(64 << 20);
    static bool saved[RANGE_MAX];
    words = with_words;
    memset(in, 0, sizeof in);
    in_count = 0;
    struct txn *t = fixture_begin();
    struct set s = set_create(t, member(1), 1);
    txn_commit(t);
    CHECK_EQ(s.enc, words ? ENC_LISTPACK : ENC_INTSET);
    for (uint32_t r = 0; r < rounds; r++) {
        struct set before = s;
        uint32_t saved_n = in_count, bias = (uint32_t)(rnd() % 4);
        memcpy(saved, in, sizeof saved);
        t = fixture_begin();
        for (uint32_t k = 0; k < rnd() % 60; k++) {
            uint32_t i = (uint32_t)(rnd() % range);
            bool add = rnd() % 4 <= bias;
            CHECK_EQ(add ? set_add(t, &s, member(i)) : set_remove(t, &s, member(i)), add != in[i]);
            in_count += (uint32_t)add - in[i];
            in[i] = add;
        }
        if (r % 3 == 2) {
            txn_abort(t);
            s = before;
            memcpy(in, saved, sizeof saved);
            in_count = saved_n;
        } else {
            txn_commit(t);
        }
        if (r % 20 == 0) equals_model(&s);
        scratch_reset();
    }
    equals_model(&s);
    CHECK_EQ(s.enc, range > 512 ? ENC_HASHTABLE : words ? ENC_LISTPACK : ENC_INTSET);
    t = fixture_begin();
    struct set copy = {s.enc, objtypes[OBJ_SET]->copy(t, s.enc, s.root)};
    txn_commit(t);
    equals_model(&copy);
    CHECK(objtypes[OBJ_SET]->memory(s.enc, s.root, 5) >= in_count);
    for (int k = 0; k < 2; k++) {
        struct set x = k ? copy : s;
        for (bool done = false; !done;) {
            uint64_t budget = 100;
            t = fixture_begin();
            done = objtypes[OBJ_SET]->free_some(t, x.enc, x.root, &budget);
            txn_commit(t);
        }
    }
    CHECK_EQ(slots_used_bytes(), 0);
    FIXTURE_SOUND();
    fixture_close(fd);
}

static void few_numbers(void) { random_changes(400, false, 300); }
static void few_words(void) { random_changes(100, true, 300); }
static void many_numbers(void) { random_changes(RANGE_MAX, false, 400); }
static void many_words(void) { random_changes(RANGE_MAX, true, 400); }

static void encodings_as_redis(void)
{
    int fd = fixture_open(64 << 20);
    struct txn *t = fixture_begin();
    uint8_t big[65];
    memset(big, 'b', sizeof big);
    struct set s = set_create(t, SLICE("1"), 1);
    for (int i = 0; i < 512; i++) {
        char text[20];
        set_add(t, &s, (struct slice){(uint8_t *)text, (size_t)sprintf(text, "%d", i)});
    }
    CHECK_EQ(s.enc, ENC_INTSET);
    set_add(t, &s, SLICE("512"));
    CHECK_EQ(s.enc, ENC_HASHTABLE);
    s = set_create(t, SLICE("1"), 1);
    set_add(t, &s, SLICE("1"));
    set_add(t, &s, SLICE("a"));
    CHECK_EQ(s.enc, ENC_LISTPACK);
    set_add(t, &s, (struct slice){big, 64});
    CHECK_EQ(s.enc, ENC_LISTPACK);
    set_add(t, &s, (struct slice){big, 65});
    CHECK_EQ(s.enc, ENC_HASHTABLE);
    CHECK_EQ(set_count(&s), 4);
    CHECK_EQ(set_create(t, SLICE("x"), 129).enc, ENC_HASHTABLE);
    CHECK_EQ(set_create(t, SLICE("7"), 129).enc, ENC_INTSET);
    txn_abort(t);
    fixture_close(fd);
}

static void every_member_is_as_likely(void)
{
    int fd = fixture_open(64 << 20);
    struct txn *t = fixture_begin();
    words = true;
    struct set s = set_create(t, member(0), 1000);
    for (uint32_t i = 0; i < 100; i++) set_add(t, &s, member(i));
    uint32_t seen[100] = {0};
    for (int i = 0; i < 100000; i++) {
        struct lp_value v;
        set_random(&s, rnd, &v);
        char text[20] = {0};
        memcpy(text, v.text, v.n);
        seen[atoi(text + 7)]++;
    }
    double chi = 0;
    for (int i = 0; i < 100; i++) chi += (seen[i] - 1000.0) * (seen[i] - 1000.0) / 1000.0;
    CHECK(chi < 160); /* 99 degrees of freedom: exceeded once in 10,000 seeds */
    txn_commit(t);
    fixture_close(fd);
}

int main(void)
{
    RUN(few_numbers);
    RUN(few_words);
    RUN(many_numbers);
    RUN(many_words);
    RUN(encodings_as_redis);
    RUN(every_member_is_as_likely);
    return check_report();
}
