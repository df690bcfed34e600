/* test_zset.c - sorted sets against a plain array: adding with all options, removing, ranks, ranges, conversion, copies, rollback. */
#include "check.h"
#include "rnd.h"
#include "segment_fixture.h"

#include "keyspace/lazy.h"
#include "keyspace/objtype.h"
#include "types/zset.h"

#define MODEL_MAX 3000
struct model_member {
    char name[40];
    double score;
};
static struct model_member model[MODEL_MAX];
static uint32_t model_n;

static struct slice text(const char *s) { return (struct slice){(const uint8_t *)s, strlen(s)}; }

static int model_compare(const void *a, const void *b)
{
    const struct model_member *x = a, *y = b;
    return x->score < y->score ? -1 : x->score > y->score ? 1 : strcmp(x->name, y->name);
}

static int model_find(const char *name)
{
    for (uint32_t i = 0; i < model_n; i++)
        if (!strcmp(model[i].name, name)) return (int)i;
    return -1;
}

static void random_name(char *name, uint32_t range)
{
    uint64_t n = rnd() % range;
    snprintf(name, 40, n % 3 ? "member:%" PRIu64 : "%" PRIu64, n);
}

static double random_score(void) { return rnd() % 4 ? (double)(int64_t)(rnd() % 50) - 20 : (double)(rnd() % 1000) / 7; }

static void both_add(struct txn *t, struct zset *z, uint32_t range, uint32_t how)
{
    char name[40];
    random_name(name, range);
    double score = random_score(), now = -1;
    int i = model_find(name);
    if (i < 0 && model_n == MODEL_MAX) return;
    uint32_t done = zset_add(t, z, text(name), score, how, &now);
    if (i < 0) {
        CHECK_EQ(done, how & ZADD_XX ? ZADD_NOP : ZADD_ADDED);
        if (how & ZADD_XX) return;
        model[model_n].score = score;
        strcpy(model[model_n++].name, name);
        return;
    }
    double want = how & ZADD_INCR ? model[i].score + score : score;
    bool nop = how & ZADD_NX || (how & ZADD_GT && want <= model[i].score) || (how & ZADD_LT && want >= model[i].score);
    CHECK_EQ(done, nop ? ZADD_NOP : want != model[i].score ? ZADD_UPDATED : 0);
    if (nop) return;
    CHECK(now == want);
    model[i].score = want;
}

static void both_remove(struct txn *t, struct zset *z, uint32_t range)
{
    char name[40];
    random_name(name, range);
    int i = model_find(name);
    CHECK_EQ(zset_remove(t, z, text(name)), i >= 0);
    if (i >= 0) model[i] = model[--model_n];
}

static void both_remove_ranks(struct txn *t, struct zset *z)
{
    if (!model_n) return;
    uint32_t from = (uint32_t)(rnd() % model_n), n = (uint32_t)(rnd() % 9) % (model_n - from) + 1;
    if (rnd() % 20 == 0 && model_n > 100) { /* few stay */
        from = (uint32_t)(rnd() % 10);
        n = model_n - from - (uint32_t)(rnd() % 10) - 1;
    }
    qsort(model, model_n, sizeof *model, model_compare);
    zset_remove_ranks(t, z, from, n);
    memmove(model + from, model + from + n, (model_n - from - n) * sizeof *model);
    model_n -= n;
}

static void equals_model(const struct zset *z)
{
    struct zset_walk w;
    struct zmember m;
    CHECK_EQ(zset_count(z), model_n);
    CHECK(zset_check(z));
    qsort(model, model_n, sizeof *model, model_compare);
    for (int down = 0; down < 2; down++) {
        uint32_t i = 0;
        zset_walk_from(z, &w, down && model_n ? model_n - 1 : 0, down);
        for (; zset_walk_next(&w, &m); i++) {
            const struct model_member *want = &model[down ? model_n - 1 - i : i];
            CHECK(m.score == want->score && slice_compare(m.name, text(want->name)) == 0);
        }
        CHECK_EQ(i, model_n);
    }
    for (uint32_t k = 0; k < 10 && model_n; k++) {
        uint32_t i = (uint32_t)(rnd() % model_n);
        double score = model[i].score;
        CHECK_EQ(zset_rank(z, text(model[i].name), &score), i);
        uint32_t below = 0, upto = 0;
        for (uint32_t j = 0; j < model_n; j++) {
            below += model[j].score < score;
            upto += model[j].score <= score;
        }
        CHECK_EQ(zset_rank_of_score(z, score, false), below);
        CHECK_EQ(zset_rank_of_score(z, score, true), upto);
    }
    CHECK_EQ(zset_rank(z, text("nobody"), &(double){0}), -1);
}

static void random_changes(uint32_t range, uint32_t rounds)
{
    int fd = fixture_open(64 << 20);
    static struct model_member saved[MODEL_MAX];
    struct txn *t = fixture_begin();
    struct zset z = zset_create(t, 1, 3);
    txn_commit(t);
    model_n = 0;
    for (uint32_t r = 0; r < rounds; r++) {
        struct zset before = z;
        uint32_t saved_n = model_n, bias = (uint32_t)(rnd() % 4);
        memcpy(saved, model, sizeof saved);
        t = fixture_begin();
        for (uint32_t i = 0; i < rnd() % 60; i++) {
            static const uint32_t options[] = {0, 0, 0, ZADD_NX, ZADD_XX, ZADD_GT, ZADD_LT, ZADD_INCR, ZADD_INCR | ZADD_GT};
            if (rnd() % 4 < bias + 1)
                both_add(t, &z, range, options[rnd() % ARRAY_LEN(options)]);
            else if (rnd() % 10)
                both_remove(t, &z, range);
            else
                both_remove_ranks(t, &z);
        }
        if (r % 3 == 2) {
            txn_abort(t);
            z = before;
            memcpy(model, saved, sizeof saved);
            model_n = saved_n;
        } else {
            txn_commit(t);
        }
        if (r % 5 == 0) equals_model(&z);
        scratch_reset();
    }
    equals_model(&z);
    t = fixture_begin();
    struct zset copy = {z.enc, objtypes[OBJ_ZSET]->copy(t, z.enc, z.root)};
    txn_commit(t);
    equals_model(&copy);
    CHECK(objtypes[OBJ_ZSET]->memory(z.enc, z.root, 0) >= model_n * 10);
    for (bool done = false; !done;) {
        uint64_t budget = 100;
        t = fixture_begin();
        done = objtypes[OBJ_ZSET]->free_some(t, z.enc, z.root, &budget);
        txn_commit(t);
    }
    equals_model(&copy);
    t = fixture_begin();
    uint64_t all = UINT64_MAX;
    CHECK(objtypes[OBJ_ZSET]->free_some(t, copy.enc, copy.root, &all));
    txn_commit(t);
    while (lazy_step(1000)) {} /* what was left when few stayed */
    CHECK_EQ(slots_used_bytes(), 0);
    FIXTURE_SOUND();
    fixture_close(fd);
}

static void changes_of_a_listpack(void) { random_changes(100, 600); }
static void changes_of_a_table(void) { random_changes(4000, 900); }

static void names_in_order_of_bytes(void)
{
    int fd = fixture_open(64 << 20);
    for (int big = 0; big < 2; big++) {
        struct txn *t = fixture_begin();
        struct zset z = zset_create(t, big ? 1000 : 1, 0);
        double now;
        static const char *const names[] = {"", "a", "aa", "b", "10", "9", "\xff", "\x01"};
        for (uint32_t i = 0; i < ARRAY_LEN(names); i++) zset_add(t, &z, text(names[i]), 0, 0, &now);
        txn_commit(t);
        CHECK_EQ(z.enc, big ? ENC_SKIPLIST : ENC_LISTPACK);
        CHECK(zset_check(&z));
        CHECK_EQ(zset_rank_of_name(&z, text("a"), false), 4);
        CHECK_EQ(zset_rank_of_name(&z, text("a"), true), 5);
        CHECK_EQ(zset_rank_of_name(&z, text("9a"), true), 4);
        CHECK_EQ(zset_rank_of_name(&z, text("\xff\xff"), true), 8);
        CHECK_EQ(zset_rank_of_name(&z, text(""), false), 0);
    }
    fixture_close(fd);
}

static void long_names_and_build(void)
{
    int fd = fixture_open(64 << 20);
    static uint8_t bytes[700];
    struct txn *t = fixture_begin();
    struct zmember m[500];
    memset(bytes, 'x', sizeof bytes);
    for (uint32_t i = 0; i < 500; i++) m[i] = (struct zmember){{bytes, 700 - (size_t)i}, (double)i};
    struct zset z = zset_build(t, m, 500);
    txn_commit(t);
    CHECK_EQ(z.enc, ENC_SKIPLIST);
    CHECK(zset_check(&z));
    for (uint32_t i = 0; i < 500; i++) {
        double score = -1;
        CHECK_EQ(zset_rank(&z, m[i].name, &score), i);
        CHECK(score == i);
    }
    t = fixture_begin();
    for (uint32_t i = 0; i < 60; i++) m[i].name.n = 64 - i;
    z = zset_build(t, m, 60);
    txn_commit(t);
    CHECK_EQ(z.enc, ENC_LISTPACK);
    CHECK(zset_check(&z));
    fixture_close(fd);
}

static void listpack_up_to_the_limit(void)
{
    int fd = fixture_open(64 << 20);
    struct txn *t = fixture_begin();
    struct zset z = zset_create(t, 1, 1);
    for (int i = 0; i < 129; i++) {
        char name[20];
        double now;
        CHECK_EQ(z.enc, ENC_LISTPACK);
        snprintf(name, sizeof name, "%d", i);
        zset_add(t, &z, text(name), i, 0, &now);
    }
    CHECK_EQ(z.enc, ENC_SKIPLIST);
    txn_commit(t);
    fixture_close(fd);
}

int main(void)
{
    RUN(listpack_up_to_the_limit);
    RUN(changes_of_a_listpack);
    RUN(changes_of_a_table);
    RUN(names_in_order_of_bytes);
    RUN(long_names_and_build);
    return check_report();
}
