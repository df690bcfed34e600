/* tests/c/test_intset.c - random adds and removes against a sorted array, known bytes, hostile bytes. */
#include "check.h"
#include "ds/intset.h"
#include "rnd.h"

#include <stdlib.h>

enum { MAX_COUNT = 600 };

static int64_t model[MAX_COUNT + 1];
static uint32_t model_count;

static bool model_find(int64_t v, uint32_t *at)
{
    for (*at = 0; *at < model_count && model[*at] < v; ++*at)
        ;
    return *at < model_count && model[*at] == v;
}

static uint8_t *carry_out(uint8_t *is, const struct intset_plan *plan)
{
    uint64_t old = intset_bytes(is);
    uint8_t *result = malloc(plan->new_bytes);
    if (plan->widens || (rnd() & 1)) {
        intset_build(result, is, plan);
    } else {
        uint8_t *roomy = malloc(MAX(old, plan->new_bytes));
        memcpy(roomy, is, old);
        intset_apply(roomy, plan);
        for (uint64_t i = INTSET_HEADER; i < MIN(old, plan->new_bytes); i++)
            if (roomy[i] != is[i] && (i < plan->at || i >= plan->at + plan->reach))
                CHECK(!"a store outside the announced range");
        memcpy(result, roomy, plan->new_bytes);
        free(roomy);
    }
    free(is);
    CHECK_EQ(intset_bytes(result), plan->new_bytes);
    return result;
}

static void step(uint8_t **is, unsigned bits)
{
    struct intset_plan plan;
    uint32_t at, got;
    int64_t v = model_count > 0 && rnd() % 4 == 0 ? model[rnd() % model_count] : (int64_t)rnd() >> (64 - bits);
    bool in = model_find(v, &at);
    CHECK(intset_find(*is, v, &got) == in && got == at);
    if (model_count < MAX_COUNT && rnd() % 3 != 0) {
        bool adds = intset_plan_add(*is, v, &plan);
        CHECK(adds == !in);
        if (adds) {
            memmove(model + at + 1, model + at, (model_count++ - at) * sizeof *model);
            model[at] = v;
            *is = carry_out(*is, &plan);
        }
    } else {
        bool removes = intset_plan_remove(*is, v, &plan);
        CHECK(removes == in);
        if (removes) {
            memmove(model + at, model + at + 1, (--model_count - at) * sizeof *model);
            *is = carry_out(*is, &plan);
        }
    }
}

static void random_changes_agree_with_the_model(void)
{
    for (int round = 0; round < 15; round++) {
        uint8_t *is = malloc(INTSET_HEADER), *sorted;
        memcpy(is, intset_empty, INTSET_HEADER);
        model_count = 0;
        for (unsigned i = 0; i < 1500; i++)
            step(&is, round % 3 == 0 ? 9 : 9 + i * 55 / 1500);
        CHECK_EQ(intset_count(is), model_count);
        for (uint32_t i = 0; i < model_count; i++)
            CHECK_EQ(intset_get(is, i), model[i]);
        CHECK(intset_validate(is, intset_bytes(is), true));
        sorted = malloc(intset_sorted_bytes(model, model_count));
        intset_build_sorted(sorted, model, model_count);
        CHECK(intset_count(sorted) == model_count && intset_validate(sorted, intset_sorted_bytes(model, model_count), true));
        CHECK(intset_get(sorted, 0) == model[0] && intset_get(sorted, model_count - 1) == model[model_count - 1]);
        free(sorted);
        free(is);
    }
}

static void known_bytes(void)
{
    static const uint8_t narrow[] = {2, 0, 0, 0, 3, 0, 0, 0, 0xFF, 0xFF, 1, 0, 2, 0};
    static const uint8_t wide[] = {4, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0x80, 0, 0};
    int64_t a[] = {-1, 1, 2};
    uint8_t got[32], more[32];
    struct intset_plan plan;
    intset_build_sorted(got, a, 3);
    CHECK_MEM(got, narrow, sizeof narrow);
    intset_build_sorted(got, a + 1, 1);
    CHECK(intset_plan_add(got, 32768, &plan) && plan.widens && plan.new_bytes == sizeof wide);
    intset_build(more, got, &plan);
    CHECK_MEM(more, wide, sizeof wide);
}

static void hostile_bytes(void)
{
    static const uint8_t good[] = {2, 0, 0, 0, 3, 0, 0, 0, 0xFF, 0xFF, 1, 0, 2, 0};
    CHECK(intset_validate(good, sizeof good, true) && !intset_validate(good, sizeof good - 1, true));
    CHECK(!intset_validate(intset_empty, INTSET_HEADER, false));
    for (int i = 0; i < 100000; i++) {
        size_t n = rnd() % (sizeof good + 1);
        uint8_t *bad = copy_exactly(good, n);
        for (int k = 0; k < 2 && n > 0; k++)
            bad[rnd() % n] = (uint8_t)(rnd() & 1 ? rnd() % 10 : rnd());
        if (intset_validate(bad, n, true))
            CHECK(intset_get(bad, 0) <= intset_get(bad, intset_count(bad) - 1) && intset_bytes(bad) == n);
        free(bad);
    }
    static const uint8_t twins[] = {2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0};
    CHECK(intset_validate(twins, sizeof twins, false) && !intset_validate(twins, sizeof twins, true));
}

int main(void)
{
    RUN(random_changes_agree_with_the_model);
    RUN(known_bytes);
    RUN(hostile_bytes);
    return check_report();
}
