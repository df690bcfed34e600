/* tests/c/test_bits.c - bit strings against one-bit-at-a-time models; the clock moves forward. */
#include "base/bits.h"
#include "base/clock.h"
#include "check.h"
#include "rnd.h"

#include <stdlib.h>

enum { BYTES = 150 };

static void count_and_find_agree_with_bits(void)
{
    for (int round = 0; round < 3000; round++) {
        size_t n = rnd() % BYTES;
        uint8_t *p = malloc(n + !n);
        rnd_fill(p, n);
        if (round % 3 == 0)
            memset(p, round % 2 ? 0xFF : 0, n);
        uint64_t from = n ? rnd() % (n * 8 + 1) : 0, to = n ? rnd() % (n * 8 + 1) : 0, ones = 0;
        int64_t first[2] = {-1, -1};
        if (n > 0 && round % 3 == 0)
            p[rnd() % n] ^= (uint8_t)(1u << (rnd() & 7));
        for (uint64_t i = from; i < to; i++) {
            unsigned bit = bits_get(p, i);
            ones += bit;
            if (first[bit] < 0)
                first[bit] = (int64_t)i;
        }
        CHECK_EQ(bits_count_range(p, from, to), ones);
        CHECK_EQ(bits_find(p, from, to, 0), first[0]);
        CHECK_EQ(bits_find(p, from, to, 1), first[1]);
        CHECK_EQ(bits_count(p, n), bits_count_range(p, 0, n * 8));
        free(p);
    }
}

static void fields_agree_with_bits(void)
{
    for (int round = 0; round < 20000; round++) {
        uint8_t want[24], *got = malloc(24);
        rnd_fill(want, sizeof want);
        memcpy(got, want, sizeof want);
        unsigned width = 1 + (unsigned)(rnd() % 64);
        uint64_t at = rnd() % (192 - width + 1), value = rnd(), read = 0;
        for (unsigned i = 0; i < width; i++)
            read = read << 1 | bits_get(want, at + i);
        CHECK(bits_field_get(got, at, width) == read);
        for (unsigned i = 0; i < width; i++)
            bits_set(want, at + i, value >> (width - 1 - i) & 1);
        bits_field_set(got, at, width, value);
        CHECK_MEM(got, want, sizeof want);
        free(got);
    }
    uint8_t *tight = calloc(1, 8); /* nothing behind the last byte is touched */
    bits_field_set(tight, 60, 4, 9);
    CHECK(bits_field_get(tight, 60, 4) == 9 && tight[7] == 9);
    free(tight);
}

static void sign_and_overflow(void)
{
    int64_t s = 0;
    uint64_t u = 0;
    CHECK(bits_sign_extend(0xFF, 8) == -1 && bits_sign_extend(0x7F, 8) == 127 && bits_sign_extend(~UINT64_C(0), 64) == -1);
    CHECK(bits_add_signed(127, 1, 8, BITS_WRAP, &s) && s == -128);
    CHECK(bits_add_signed(127, 1, 8, BITS_SAT, &s) && s == 127);
    CHECK(!bits_add_signed(127, 1, 8, BITS_FAIL, &s) && s == 127);
    CHECK(bits_add_signed(-128, -1, 8, BITS_SAT, &s) && s == -128);
    CHECK(bits_add_signed(INT64_MAX, INT64_MAX, 64, BITS_WRAP, &s) && s == -2);
    CHECK(bits_add_signed(INT64_MAX, 1, 64, BITS_SAT, &s) && s == INT64_MAX);
    CHECK(bits_add_signed(INT64_MIN, -1, 64, BITS_SAT, &s) && s == INT64_MIN);
    CHECK(bits_add_signed(300, 0, 8, BITS_SAT, &s) && s == 127);
    CHECK(bits_add_signed(0, -1, 1, BITS_FAIL, &s) && s == -1 && !bits_add_signed(0, 1, 1, BITS_FAIL, &s));
    CHECK(bits_add_unsigned(255, 1, 8, BITS_WRAP, &u) && u == 0);
    CHECK(bits_add_unsigned(255, 10, 8, BITS_SAT, &u) && u == 255);
    CHECK(bits_add_unsigned(5, -10, 8, BITS_SAT, &u) && u == 0);
    CHECK(bits_add_unsigned(5, -10, 8, BITS_WRAP, &u) && u == 251);
    CHECK(!bits_add_unsigned(5, -6, 63, BITS_FAIL, &u) && u == 251);
    CHECK(bits_add_unsigned((uint64_t)-1, 0, 8, BITS_SAT, &u) && u == 255); /* SET u8 -1 */
}

static void combine_rows(void)
{
    for (size_t n = 0; n < 70; n++) {
        uint8_t a[70], b[70], got[70];
        rnd_fill(a, n);
        rnd_fill(b, n);
        for (int op = BITS_AND; op <= BITS_NOT; op++) {
            memcpy(got, a, n);
            bits_combine((enum bits_op)op, got, b, n);
            unsigned wrong = 0;
            for (size_t i = 0; i < n; i++) {
                unsigned want[] = {a[i] & b[i], a[i] | b[i], a[i] ^ b[i], ~b[i] & 0xFF};
                wrong += got[i] != want[op];
            }
            CHECK_EQ(wrong, 0);
        }
    }
}

static void clock_runs(void)
{
    int64_t before = clock_mono_ns();
    clock_refresh();
    CHECK(clock_cached_mono_us() >= before / 1000 && clock_cached_mono_us() <= clock_mono_us());
    CHECK(clock_cached_ms() == clock_cached_us() / 1000 && clock_cached_us() <= clock_wall_us());
    CHECK(clock_cached_ms() > INT64_C(1700000000000) && clock_wall_ms() - clock_cached_ms() < 60000);
}

int main(void)
{
    RUN(count_and_find_agree_with_bits);
    RUN(fields_agree_with_bits);
    RUN(sign_and_overflow);
    RUN(combine_rows);
    RUN(clock_runs);
    return check_report();
}
