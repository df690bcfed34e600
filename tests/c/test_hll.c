/* tests/c/test_hll.c - registers against a plain array, sparse and dense; the estimate's error; hostile values. */
#include "check.h"
#include "ds/hll.h"
#include "rnd.h"

#include <math.h>

static uint8_t memory[HLL_WORK_BYTES], model[HLL_REGISTERS];

static struct hll_work fresh(size_t sparse_max)
{
    memset(model, 0, sizeof model);
    hll_init(memory);
    return (struct hll_work){memory, HLL_EMPTY_BYTES, sparse_max};
}

static void raises_agree_with_the_model(void)
{
    static const size_t limits[] = {HLL_SPARSE_MAX_DEFAULT, 0, 40, 13000, HLL_WORK_BYTES * 2};
    for (size_t k = 0; k < ARRAY_LEN(limits); k++) {
        struct hll_work w = fresh(limits[k]);
        uint8_t regs[HLL_REGISTERS] = {0};
        unsigned wrong = 0;
        uint64_t one, union_count;
        for (unsigned i = 0; i < 30000; i++) {
            uint32_t index = (uint32_t)(rnd() % (i & 1 ? HLL_REGISTERS : 300));
            unsigned value = 1 + (unsigned)(rnd() % (i < 20000 ? 5 : 51));
            enum hll_result want = value > model[index] ? HLL_RAISED : HLL_SAME;
            hll_cache_put(w.p, 5);
            wrong += hll_raise(&w, index, value) != want;
            wrong += hll_cache_get(w.p, &one) != (want == HLL_SAME);
            model[index] = (uint8_t)MAX(model[index], value);
            wrong += (i % 2000 == 0) && !hll_validate(w.p, w.n);
        }
        CHECK_EQ(wrong, 0);
        CHECK(hll_merge(regs, w.p, w.n));
        CHECK_MEM(regs, model, sizeof model);
        CHECK(hll_count(w.p, w.n, &one));
        union_count = hll_count_registers(model);
        CHECK_EQ(one, union_count);
        CHECK(hll_to_dense(&w) && w.n == HLL_DENSE_BYTES && hll_count(w.p, w.n, &one) && one == union_count);
    }
}

static void estimate_is_near(void)
{
    struct hll_work w = fresh(HLL_SPARSE_MAX_DEFAULT);
    uint64_t count;
    CHECK(hll_count(w.p, w.n, &count) && count == 0);
    for (unsigned i = 1; i <= 200000; i++) {
        char element[24];
        hll_add(&w, element, (size_t)sprintf(element, "element-%u", i));
        if (i == 1 || i == 50)
            CHECK(hll_count(w.p, w.n, &count) && count == i);
        if (i % 10000 == 0)
            CHECK(hll_count(w.p, w.n, &count) && fabs((double)count / i - 1) < 0.03);
    }
}

static void dense_registers(void)
{
    static uint8_t p[HLL_DENSE_BYTES], before[HLL_DENSE_BYTES];
    for (int i = 0; i < 20000; i++) {
        uint32_t index = i & 1 ? (uint32_t)(rnd() % HLL_REGISTERS) : HLL_REGISTERS - 1 - (uint32_t)(rnd() % 9), at, n;
        unsigned value = rnd() & 63;
        memcpy(before, p, sizeof p);
        hll_dense_range(index, &at, &n);
        hll_dense_set(p, index, value);
        CHECK(hll_dense_get(p, index) == value && at + n <= sizeof p);
        CHECK(memcmp(p, before, at) == 0 && memcmp(p + at + n, before + at + n, sizeof p - at - n) == 0);
    }
}

static void hash_values(void)
{
    CHECK(hll_murmur64a("", 0, 0) == 0);
    unsigned differ = 0;
    for (size_t n = 1; n < 40; n++) {
        uint8_t a[40] = {0};
        uint64_t h = hll_murmur64a(a, n, 7);
        a[n - 1] = 1;
        differ += h != hll_murmur64a(a, n, 7) && h != hll_murmur64a(a, n - 1, 7);
    }
    CHECK_EQ(differ, 39);
    for (int i = 0; i < 1000; i++) {
        struct hll_hash h = hll_hash(&i, sizeof i);
        CHECK(h.index < HLL_REGISTERS && h.rank >= 1 && h.rank <= 51);
    }
}

static void hostile_values(void)
{
    struct hll_work w = fresh(HLL_SPARSE_MAX_DEFAULT);
    for (unsigned i = 0; i < 400; i++)
        hll_add(&w, &i, sizeof i);
    size_t good_n = w.n;
    uint8_t *good = copy_exactly(w.p, good_n), regs[HLL_REGISTERS];
    unsigned refused = 0;
    for (int i = 0; i < 5000; i++) {
        size_t n = rnd() % 3 ? good_n : rnd() % (good_n + 1);
        uint64_t count;
        uint8_t *bad = copy_exactly(good, n);
        for (int k = 0; k < 3 && n > 0; k++)
            bad[rnd() % 4 || n <= HLL_HEADER ? rnd() % n : HLL_HEADER + rnd() % (n - HLL_HEADER)] = (uint8_t)rnd();
        bool valid = hll_validate(bad, n);
        refused += !valid;
        if (hll_is(bad, n)) {
            CHECK(hll_count(bad, n, &count) == valid);
            memset(regs, 0, sizeof regs);
            CHECK(hll_merge(regs, bad, n) == valid);
            memcpy(w.p, bad, n);
            w.n = n;
            for (uint32_t k = 0; k < 30; k++) {
                hll_raise(&w, (uint32_t)(rnd() % HLL_REGISTERS), 1 + (unsigned)(rnd() % 40));
                CHECK(!valid || hll_validate(w.p, w.n));
            }
        }
        free(bad);
    }
    CHECK(refused > 1000);
    static const uint8_t tail[] = {'H', 'Y', 'L', 'L', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 0xFF, 0x40};
    CHECK(hll_validate(tail, 18) && !hll_validate(tail, 19) && !hll_validate(tail, 17));
    free(good);
}

int main(void)
{
    RUN(raises_agree_with_the_model);
    RUN(estimate_is_near);
    RUN(dense_registers);
    RUN(hash_values);
    RUN(hostile_values);
    return check_report();
}
