/* tests/c/test_listpack.c - known bytes, random edits against a plain array, seeking, hostile bytes. */
#include "check.h"
#include "ds/listpack.h"
#include "rnd.h"

#include <stdlib.h>

enum { MODEL_MAX = 400, TEXT_MAX = 5000 };

/* The model: an array of texts. */
static struct model_entry {
    uint8_t *s;
    size_t n;
} model[MODEL_MAX];
static uint32_t model_count;

/* Numbers of every width, their look-alikes, and strings around every change of encoding. */
static size_t random_text(uint8_t *s)
{
    static const size_t sizes[] = {0, 1, 5, 20, 62, 63, 64, 65, 125, 126, 127, 128, 300, 4094, 4095, 4096, 4097};
    switch (rnd() % 8) {
    case 0:
    case 1:
    case 2:
        return num_from_i64(s, (int64_t)rnd() >> (rnd() & 63));
    case 3:
        return (size_t)sprintf((char *)s, "0%u", (unsigned)rnd() % 100);
    case 4: {
        size_t n = sizes[rnd() % ARRAY_LEN(sizes)];
        rnd_fill(s, n);
        return n;
    }
    default: {
        size_t n = rnd() % 12;
        memset(s, 'a' + (int)(rnd() % 3), n);
        return n;
    }
    }
}

static void model_check(const uint8_t *lp)
{
    uint8_t room[NUM_I64_ROOM];
    uint32_t i = 0, wrong = 0;
    CHECK_EQ(lp_count(lp), model_count);
    for (const uint8_t *p = lp_first(lp); p != NULL; p = lp_next(p), i++) {
        struct slice t = lp_text(p, room);
        wrong += i >= model_count || t.n != model[i].n || memcmp(t.p, model[i].s, t.n) != 0 || !lp_equals(p, model[i].s, model[i].n);
    }
    CHECK(i == model_count && wrong == 0);
    for (const uint8_t *p = lp_last(lp); p != NULL; p = lp_prev(lp, p)) {
        struct slice t = lp_text(p, room);
        i--;
        wrong += t.n != model[i].n || memcmp(t.p, model[i].s, t.n) != 0;
    }
    CHECK(i == 0 && wrong == 0);
    CHECK(lp_validate(lp, lp_bytes(lp), true, NULL, NULL));
}

static void model_splice(uint32_t at, uint32_t remove, const struct model_entry *entries, uint32_t n)
{
    remove = MIN(remove, model_count - at);
    for (uint32_t i = 0; i < remove; i++)
        free(model[at + i].s);
    memmove(model + at + n, model + at + remove, (model_count - at - remove) * sizeof *model);
    if (n > 0)
        memcpy(model + at, entries, n * sizeof *model);
    model_count += n - remove;
}

/* One random edit, in place or into a new buffer; gives back the listpack in an allocation of exactly its size. */
static uint8_t *random_edit(uint8_t *lp)
{
    struct lp_item items[5];
    struct model_entry entries[5];
    struct lp_edit e;
    uint32_t n = (uint32_t)(rnd() % 5), remove = (uint32_t)(rnd() % 5), at = (uint32_t)(rnd() % (model_count + 1));
    if (model_count > MODEL_MAX - 10)
        remove = 50;
    if (rnd() % 4 == 0)
        at = model_count;
    for (uint32_t i = 0; i < n; i++) {
        entries[i].s = malloc(TEXT_MAX);
        entries[i].n = random_text(entries[i].s);
        items[i] = lp_item_text(entries[i].s, entries[i].n);
    }
    const uint8_t *pos = lp_seek(lp, at);
    CHECK((pos == NULL) == (at == model_count));
    CHECK(lp_plan(lp, pos, remove, items, n, &e));
    uint8_t *result = malloc(e.new_bytes);
    if (rnd() & 1) {
        lp_build(result, lp, &e);
    } else {
        uint8_t *roomy = malloc(MAX(e.old_bytes, e.new_bytes)), *before = malloc(MAX(e.old_bytes, e.new_bytes));
        memcpy(roomy, lp, e.old_bytes);
        memcpy(before, lp, e.old_bytes);
        lp_apply(roomy, &e);
        for (uint32_t i = LP_HEADER; i < MIN(e.old_bytes, e.new_bytes); i++) /* only the announced range changes */
            if (before[i] != roomy[i] && (i < e.at || i >= e.at + lp_edit_reach(&e)))
                CHECK(!"a store outside the announced range");
        memcpy(result, roomy, e.new_bytes);
        free(roomy);
        free(before);
    }
    CHECK_EQ(lp_bytes(result), e.new_bytes);
    model_splice(at, remove, entries, n);
    free(lp);
    return result;
}

static void random_edits_agree_with_the_model(void)
{
    for (int round = 0; round < 12; round++) {
        uint8_t *lp = malloc(LP_EMPTY_BYTES);
        memcpy(lp, lp_empty, LP_EMPTY_BYTES);
        for (int step = 0; step < 300; step++) {
            lp = random_edit(lp);
            if (step % 7 == 0)
                model_check(lp);
        }
        model_check(lp);
        for (int i = 0; i < 100 && model_count > 0; i++) {
            uint32_t k = (uint32_t)(rnd() % model_count), want = 0;
            while (model[want].n != model[k].n || memcmp(model[want].s, model[k].s, model[k].n) != 0)
                want++;
            CHECK(lp_find(lp_first(lp), model[k].s, model[k].n, 0) == lp_seek(lp, want));
            CHECK(lp_seek(lp, (int64_t)k - model_count) == lp_seek(lp, k));
            CHECK(lp_find(lp_seek(lp, k), model[k].s, model[k].n, 1) == lp_seek(lp, k));
            CHECK(lp_random(lp, k, 1) == lp_seek(lp, k));
        }
        CHECK(lp_seek(lp, model_count) == NULL && lp_seek(lp, -(int64_t)model_count - 1) == NULL);
        model_splice(0, model_count, NULL, 0);
        free(lp);
    }
}

static void known_bytes(void)
{
    static const uint8_t want[] = {35, 0,    0,    0,   6,   0,   0x7F, 1, 0xDF, 0xFF, 2,  0x82, 'h',  'i', 3,    0xF1, 0xE8, 0x80,
                                   3,  0xF4, 0,    0,   0,   0,   0,    0, 0,    0x80, 9,  0x80, 1,    0xC0, 0x80, 2,   0xFF};
    struct lp_item items[6] = {lp_item_text("127", 3), lp_item_text("-1", 2),  lp_item_text("hi", 2),
                               lp_item_number(-32536), lp_item_number(INT64_MIN), lp_item_text("", 0)};
    struct lp_item last = lp_item_text("128", 3);
    struct lp_edit e;
    uint8_t got[64], more[64];
    CHECK(lp_plan(lp_empty, NULL, 0, items, 6, &e));
    lp_build(got, lp_empty, &e);
    CHECK_EQ(e.new_bytes, 32);
    CHECK_MEM(got + LP_HEADER, want + LP_HEADER, 25);
    CHECK(lp_plan(got, NULL, 0, &last, 1, &e) && e.new_bytes == 35);
    lp_build(more, got, &e);
    CHECK_EQ(le_load16(more + 4), 7);
    CHECK_MEM(more + LP_HEADER, want + LP_HEADER, 29);
    lp_build_range(got, lp_seek(more, 1), lp_seek(more, 3), 2);
    CHECK(lp_validate(got, 14, true, NULL, NULL) && lp_equals(lp_last(got), (const uint8_t *)"hi", 2));
    uint8_t joined[128];
    lp_build_joined(joined, got, more);
    CHECK(lp_validate(joined, 14 + 35 - LP_EMPTY_BYTES, true, NULL, NULL) && lp_count(joined) == 9);
    CHECK(lp_equals(lp_seek(joined, 2), (const uint8_t *)"127", 3));
}

static void more_entries_than_the_header_can_count(void)
{
    enum { N = 70000 };
    struct lp_item *items = malloc(N * sizeof *items);
    struct lp_edit e;
    for (int i = 0; i < N; i++)
        items[i] = lp_item_number(i % 100);
    CHECK(lp_plan(lp_empty, NULL, 0, items, N, &e) && e.new_count == LP_COUNT_UNKNOWN);
    uint8_t *lp = malloc(e.new_bytes);
    lp_build(lp, lp_empty, &e);
    CHECK_EQ(lp_count(lp), N);
    CHECK(lp_seek(lp, -1) == lp_last(lp) && lp_seek(lp, N - 1) == lp_last(lp) && lp_seek(lp, N) == NULL && lp_seek(lp, -N - 1) == NULL);
    CHECK(lp_validate(lp, e.new_bytes, true, NULL, NULL));
    CHECK(lp_plan(lp, lp_first(lp), N - 3, NULL, 0, &e) && e.new_count == LP_COUNT_UNKNOWN);
    lp_apply(lp, &e);
    CHECK_EQ(lp_count(lp), 3);
    free(lp);
    free(items);
    struct lp_item huge = lp_item_text("", 0);
    huge.bytes = LP_MAX_BYTES;
    CHECK(!lp_plan(lp_empty, NULL, 0, &huge, 1, &e));
}

static bool count_entries(const uint8_t *p, uint32_t index, void *ctx)
{
    struct lp_value v;
    lp_get(p, &v);
    *(uint32_t *)ctx = index + 1;
    return index < 1000;
}

/* Whatever passes the deep check may be walked both ways; nothing is ever read outside (ASan watches the exact-size copy). */
static void walk_if_valid(const uint8_t *bytes, size_t n)
{
    uint8_t *lp = malloc(n + !n), room[NUM_I64_ROOM];
    memcpy(lp, bytes, n);
    uint32_t seen = 0, back = 0;
    if (lp_validate(lp, n, true, count_entries, &seen)) {
        uint32_t total = 0;
        for (const uint8_t *p = lp_first(lp); p != NULL; p = lp_next(p))
            total += lp_text(p, room).n < n + NUM_I64_ROOM;
        for (const uint8_t *p = lp_last(lp); p != NULL; p = lp_prev(lp, p))
            back++;
        CHECK(total == seen && back == seen);
        lp_find(lp_first(lp), (const uint8_t *)"x", 1, 1);
    }
    free(lp);
}

static void hostile_bytes(void)
{
    uint8_t *lp = malloc(LP_EMPTY_BYTES);
    memcpy(lp, lp_empty, LP_EMPTY_BYTES);
    for (int i = 0; i < 8; i++)
        lp = random_edit(lp);
    uint32_t n = lp_bytes(lp);
    uint8_t *bad = malloc(n + 16);
    for (int i = 0; i < 30000; i++) {
        memcpy(bad, lp, n);
        for (uint64_t k = rnd() % 4; k > 0; k--)
            bad[rnd() % 2 ? LP_HEADER + rnd() % MIN(n - LP_HEADER, 64u) : rnd() % n] = (uint8_t)(rnd() % 3 ? rnd() : 0xF0 + rnd() % 16);
        walk_if_valid(bad, n);
        size_t cut = rnd() % (n + 1);
        if (cut >= LP_EMPTY_BYTES) {
            le_store32(bad, (uint32_t)cut);
            bad[cut - 1] = LP_END;
            le_store16(bad + 4, LP_COUNT_UNKNOWN);
        }
        walk_if_valid(bad, cut);
    }
    for (int i = 0; i < 100000; i++) { /* short noise with a proper frame */
        size_t m = LP_EMPTY_BYTES + rnd() % 9;
        rnd_fill(bad, m);
        bad[LP_HEADER] = (uint8_t)(rnd() & 1 ? 0xF0 : bad[LP_HEADER]);
        le_store32(bad, (uint32_t)m);
        le_store16(bad + 4, rnd() & 1 ? LP_COUNT_UNKNOWN : 1);
        bad[m - 1] = LP_END;
        walk_if_valid(bad, m);
    }
    uint32_t ignored;
    CHECK(!lp_validate(lp, 3, false, NULL, NULL) && !lp_validate(lp, n - 1, false, NULL, NULL) && lp_validate(lp, n, false, NULL, NULL));
    CHECK(lp_validate(lp, n, true, count_entries, &ignored));
    free(bad);
    free(lp);
    model_splice(0, model_count, NULL, 0);
}

int main(void)
{
    RUN(known_bytes);
    RUN(random_edits_agree_with_the_model);
    RUN(more_entries_than_the_header_can_count);
    RUN(hostile_bytes);
    return check_report();
}
