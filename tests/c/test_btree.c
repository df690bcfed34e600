/* test_btree.c - the counted B+-tree against a sorted array: inserts, removals, ranks, ranges, building, draining, rollback. */
#include "check.h"
#include "rnd.h"
#include "segment_fixture.h"

#include "ds/btree.h"

#define MODEL_MAX 20000
static uint64_t model[MODEL_MAX];
static uint32_t model_n;
static uint32_t esz = 13; /* of the running test: 13 as sorted sets, 24 as streams */

static int compare(const uint8_t *entry, const void *key)
{
    uint64_t a, b;
    memcpy(&a, entry, 8);
    memcpy(&b, key, 8);
    return a < b ? -1 : a > b;
}

static void entry_make(uint8_t *e, uint64_t v)
{
    memset(e, (int)(v & 0xff), 24);
    memcpy(e, &v, 8);
}

static uint32_t model_place(uint64_t v)
{
    uint32_t lo = 0, hi = model_n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (model[mid] < v)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void both_insert(struct txn *x, struct btree *t, uint64_t v)
{
    struct bt_path p;
    uint8_t e[24];
    uint32_t i = model_place(v);
    bool there = i < model_n && model[i] == v;
    CHECK_EQ(bt_find(t, esz, compare, &v, &p), there);
    if (p.leaf) CHECK_EQ(bt_rank(&p), i);
    if (there || model_n == MODEL_MAX) return;
    entry_make(e, v);
    bt_insert_at(x, t, esz, &p, e);
    memmove(model + i + 1, model + i, (model_n - i) * sizeof *model);
    model[i] = v;
    model_n++;
    CHECK_EQ(bt_rank(&p), i);
    CHECK(memcmp(bt_leaf_entry(p.leaf, esz, p.at), e, esz) == 0);
}

static void both_remove(struct txn *x, struct btree *t, uint64_t v)
{
    struct bt_path p;
    uint32_t i = model_place(v);
    bool there = i < model_n && model[i] == v;
    CHECK_EQ(bt_find(t, esz, compare, &v, &p), there);
    if (!there) return;
    bt_remove_at(x, t, esz, &p);
    memmove(model + i, model + i + 1, (model_n - i - 1) * sizeof *model);
    model_n--;
}

static uint32_t gone;
static void count_gone(struct txn *x, const uint8_t *entry, void *arg)
{
    (void)x;
    uint64_t *expect = arg, v;
    memcpy(&v, entry, 8);
    if (expect) CHECK_EQ(v, expect[gone]);
    gone++;
}

static void both_remove_range(struct txn *x, struct btree *t, uint32_t from, uint32_t n)
{
    if (from > model_n) from = model_n;
    if (n > model_n - from) n = model_n - from;
    gone = 0;
    bt_remove_range(x, t, esz, from, n, count_gone, model + from);
    CHECK_EQ(gone, n);
    memmove(model + from, model + from + n, (model_n - from - n) * sizeof *model);
    model_n -= n;
}

static void equals_model(const struct btree *t)
{
    CHECK(bt_check(t, esz, compare));
    CHECK_EQ(t->count, model_n);
    uint32_t i = 0;
    uint64_t v;
    for (struct bt_cursor c = bt_first(t, esz); c.leaf; bt_next(&c), i++) {
        memcpy(&v, bt_entry(c, esz), 8);
        CHECK_EQ(v, model[i]);
    }
    CHECK_EQ(i, model_n);
    for (struct bt_cursor c = bt_last(t, esz); c.leaf; bt_prev(&c)) {
        memcpy(&v, bt_entry(c, esz), 8);
        CHECK_EQ(v, model[--i]);
    }
    CHECK_EQ(i, 0);
    for (int k = 0; k < 20 && model_n; k++) {
        uint32_t r = (uint32_t)(rnd() % model_n);
        memcpy(&v, bt_entry(bt_at_rank(t, esz, r), esz), 8);
        CHECK_EQ(v, model[r]);
    }
    CHECK(!bt_at_rank(t, esz, model_n).leaf);
}

static struct btree *tree_make(void)
{
    struct txn *x = fixture_begin();
    struct btree *t = shm_ptr(txn_alloc_zero(x, sizeof *t));
    txn_commit(x);
    model_n = 0;
    return t;
}

/* Random changes in transactions, of which every third is rolled back. */
static void random_changes(uint64_t range, uint32_t rounds)
{
    int fd = fixture_open(64 << 20);
    struct btree *t = tree_make();
    static uint64_t saved[MODEL_MAX];
    for (uint32_t r = 0; r < rounds; r++) {
        uint32_t saved_n = model_n, bias = (uint32_t)(rnd() % 5);
        memcpy(saved, model, sizeof saved);
        struct txn *x = fixture_begin();
        for (uint32_t i = 0; i < rnd() % 120; i++) {
            if (rnd() % 5 < bias)
                both_insert(x, t, rnd() % range);
            else if (rnd() % 30)
                both_remove(x, t, model_n && rnd() % 4 ? model[rnd() % model_n] : rnd() % range);
            else
                both_remove_range(x, t, (uint32_t)(rnd() % (model_n + 1)), (uint32_t)(rnd() % 200));
        }
        if (r % 3 == 2) {
            txn_abort(x);
            memcpy(model, saved, sizeof saved);
            model_n = saved_n;
        } else {
            txn_commit(x);
        }
        if (r % 8 == 0) equals_model(t);
    }
    equals_model(t);
    struct txn *x = fixture_begin();
    both_remove_range(x, t, 0, model_n);
    txn_commit(x);
    equals_model(t);
    FIXTURE_SOUND();
    fixture_close(fd);
}

static void changes_small(void) { esz = 13, random_changes(60, 600); }
static void changes_large(void) { esz = 13, random_changes(100000, 1500); }
static void changes_wide_entries(void) { esz = 24, random_changes(100000, 800); }

static void order_of_inserts_and_fill(void)
{
    int fd = fixture_open(64 << 20);
    esz = 13;
    for (int direction = 0; direction < 2; direction++) {
        struct btree *t = tree_make();
        struct txn *x = fixture_begin();
        for (uint64_t i = 0; i < MODEL_MAX; i++) both_insert(x, t, direction ? MODEL_MAX - i : i);
        txn_commit(x);
        equals_model(t);
        CHECK_EQ(t->leaves, (MODEL_MAX + 37) / 38); /* packed */
        x = fixture_begin();
        while (model_n) both_remove(x, t, direction ? model[0] : model[model_n - 1]);
        txn_commit(x);
        equals_model(t);
    }
    FIXTURE_SOUND();
    fixture_close(fd);
}

static void next_number(uint8_t *entry, void *arg)
{
    uint64_t *v = arg;
    uint8_t e[24];
    model[model_n++] = *v;
    entry_make(e, *v);
    memcpy(entry, e, esz);
    *v += 3;
}

static void build_then_change_then_drain(void)
{
    int fd = fixture_open(64 << 20);
    static const uint32_t sizes[] = {0, 1, 3, 4, 37, 38, 39, 77, 1000, 1482, 1483, 19000};
    for (uint32_t s = 0; s < ARRAY_LEN(sizes); s++) {
        esz = s % 2 ? 13 : 24;
        struct btree *t = tree_make();
        uint64_t v = 5;
        struct txn *x = fixture_begin();
        bt_build(x, t, esz, sizes[s], next_number, &v);
        txn_abort(x);
        CHECK_EQ(t->root, 0);
        model_n = 0, v = 5;
        x = fixture_begin();
        bt_build(x, t, esz, sizes[s], next_number, &v);
        txn_commit(x);
        equals_model(t);
        x = fixture_begin();
        for (int i = 0; i < 500; i++) both_insert(x, t, rnd() % (v + 9));
        txn_commit(x);
        equals_model(t);
        gone = 0;
        bool done = false;
        while (!done) {
            uint64_t budget = 50;
            x = fixture_begin();
            done = bt_drain(x, t, esz, count_gone, NULL, &budget);
            txn_commit(x);
        }
        CHECK_EQ(gone, model_n);
        CHECK_EQ(t->leaves + t->inners, 0);
    }
    FIXTURE_SOUND();
    fixture_close(fd);
}

static void replaced_entries_show_everywhere(void)
{
    int fd = fixture_open(64 << 20);
    esz = 13;
    struct btree *t = tree_make();
    struct txn *x = fixture_begin();
    for (uint64_t i = 0; i < 5000; i++) both_insert(x, t, i * 10);
    for (uint32_t i = 0; i < 5000; i++) {
        struct bt_path p;
        uint8_t e[24];
        CHECK(bt_find(t, esz, compare, &model[i], &p));
        model[i] += 4;
        entry_make(e, model[i]);
        bt_replace_at(x, t, esz, &p, e);
    }
    txn_commit(x);
    equals_model(t);
    fixture_close(fd);
}

int main(void)
{
    RUN(changes_small);
    RUN(changes_large);
    RUN(changes_wide_entries);
    RUN(order_of_inserts_and_fill);
    RUN(build_then_change_then_drain);
    RUN(replaced_entries_show_everywhere);
    return check_report();
}
