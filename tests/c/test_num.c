/* tests/c/test_num.c - integers and floats to text and back: edges, round trips, agreement with printf and strtod. */
#include "base/num.h"
#include "check.h"
#include "rnd.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static bool i64_of(const char *s, int64_t *v) { return num_parse_i64((const uint8_t *)s, strlen(s), v); }
static bool u64_of(const char *s, uint64_t *v) { return num_parse_u64((const uint8_t *)s, strlen(s), v); }

static const char *text_of_double(double v)
{
    static char text[NUM_DOUBLE_ROOM + 1];
    text[num_from_double((uint8_t *)text, v)] = 0;
    return text;
}

static const char *text_of_ldouble(long double v)
{
    static char text[NUM_LDOUBLE_ROOM + 1];
    text[num_from_ldouble((uint8_t *)text, v)] = 0;
    return text;
}

static void parse_i64_accepts_only_canonical(void)
{
    static const char *const bad[] = {"",    "-",   "+1",  "-0",  "01",  " 1", "1 ", "1.0", "0x1", "9223372036854775808", "-9223372036854775809",
                                      "--1", "-01", "00",  "12345678a", "a2345678", "1234567/", "1234567:", "99999999999999999999", "-9999999999999999999"};
    int64_t v = 77;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK(!i64_of(bad[i], &v) && v == 77);
    CHECK(i64_of("0", &v) && v == 0);
    CHECK(i64_of("-1", &v) && v == -1);
    CHECK(i64_of("9223372036854775807", &v) && v == INT64_MAX);
    CHECK(i64_of("-9223372036854775808", &v) && v == INT64_MIN);
    CHECK(!num_parse_i64((const uint8_t *)"1\0", 2, &v));
}

static void parse_u64_edges(void)
{
    uint64_t v = 0;
    CHECK(u64_of("18446744073709551615", &v) && v == UINT64_MAX);
    CHECK(!u64_of("18446744073709551616", &v) && !u64_of("99999999999999999999", &v) && !u64_of("1844674407370955161x", &v));
    CHECK(u64_of("000000000000000000000000012", &v) && v == 12);
    CHECK(u64_of("0", &v) && v == 0);
    CHECK(!u64_of("", &v) && !u64_of("-1", &v) && !u64_of("+1", &v) && !u64_of("100000000000000000000", &v));
}

static void integers_round_trip(void)
{
    for (unsigned i = 0; i < 300000; i++) {
        uint64_t u = rnd() >> (rnd() & 63), u2 = 0;
        if (i < 2000)
            u = i;
        int64_t v = (int64_t)u, v2 = 0;
        char want[32];
        uint8_t got[32];
        int n = snprintf(want, sizeof want, "%" PRIu64, u);
        size_t m = num_from_u64(got, u);
        if (m != (size_t)n || memcmp(got, want, m) != 0 || !num_parse_u64(got, m, &u2) || u2 != u)
            CHECK(!"u64 round trip");
        n = snprintf(want, sizeof want, "%" PRId64, v);
        m = num_from_i64(got, v);
        if (m != (size_t)n || memcmp(got, want, m) != 0 || !num_parse_i64(got, m, &v2) || v2 != v)
            CHECK(!"i64 round trip");
    }
    for (uint64_t p = 1; p < UINT64_MAX / 10; p *= 10)
        CHECK(num_digits_u64(p) == num_digits_u64(p - (p > 1)) + (p > 1) && num_digits_u64(p * 10 - 1) == num_digits_u64(p));
}

static void parse_double_words(void)
{
    static const char *const bad[] = {"", " 1", "1 ", "nan", "-nan", "NAN(1)", "1e400", "-1e400", "1e-400", "1e", "e1", ".", "+", "1.2.3", "0x", "--1"};
    static const struct {
        const char *text;
        double want;
    } good[] = {{"inf", INFINITY}, {"-inf", -INFINITY}, {"+Infinity", INFINITY}, {"0x10", 16}, {".5", .5}, {"5.", 5}, {"-0", -0.0},
                {"1e22", 1e22}, {"1e23", 1e23}, {"9007199254740993", 9007199254740992.0}, {"5e-324", 5e-324}, {"0e999999", 0},
                {"0.000000000000000000000000000000000000000001", 1e-42}, {"1.7976931348623157e308", 1.7976931348623157e308}};
    double v = 7;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK(!num_parse_double((const uint8_t *)bad[i], strlen(bad[i]), &v) && v == 7);
    CHECK(!num_parse_double((const uint8_t *)"1\0", 2, &v));
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        CHECK(num_parse_double((const uint8_t *)good[i].text, strlen(good[i].text), &v) && memcmp(&v, &good[i].want, sizeof v) == 0);
    char text[2000];
    memset(text, '0', sizeof text);
    text[1] = '.';
    text[1999] = '1';
    CHECK(!num_parse_double((uint8_t *)text, sizeof text, &v)); /* underflow */
    text[300] = '1';
    CHECK(num_parse_double((uint8_t *)text, sizeof text, &v) && v == 1e-299);
}

static void parse_double_agrees_with_strtod(void)
{
    for (int i = 0; i < 200000; i++) {
        char text[64];
        uint64_t digits = rnd() >> (rnd() & 63);
        int n = rnd() & 1 ? snprintf(text, sizeof text, "%" PRIu64 "e%d", digits, (int)(rnd() % 60) - 30)
                          : snprintf(text, sizeof text, "-%" PRIu64 ".%" PRIu64, digits % 1000000, (uint64_t)(rnd() % 1000000));
        double got, want = strtod(text, NULL);
        if (!num_parse_double((uint8_t *)text, (size_t)n, &got) || memcmp(&got, &want, sizeof got) != 0)
            CHECK(!"strtod disagrees");
        long double lgot, lwant = strtold(text, NULL);
        if (!num_parse_ldouble((uint8_t *)text, (size_t)n, &lgot) || lgot != lwant)
            CHECK(!"strtold disagrees");
    }
}

static void double_words(void)
{
    static const struct {
        double v;
        const char *want;
    } rows[] = {{3, "3"}, {3.1, "3.1"}, {1e20, "1e+20"}, {1e-5, "0.00001"}, {1e-7, "1e-7"}, {1.234e-6, "1.234e-6"}, {-0.0, "-0"},
                {123456789.5, "123456789.5"}, {4e18, "4000000000000000000"}, {1e19, "1e+19"}, {1.5e300, "1.5e+300"}, {5e-324, "5e-324"},
                {INFINITY, "inf"}, {-INFINITY, "-inf"}, {-3.25, "-3.25"}, {0.1, "0.1"}, {1.0 / 3, "0.3333333333333333"},
                {-2.2250738585072014e-308, "-2.2250738585072014e-308"}, {NAN, "nan"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK(strcmp(text_of_double(rows[i].v), rows[i].want) == 0);
}

static void fixed_agrees_with_printf(void)
{
    for (int i = 0; i < 100000; i++) {
        double v = (double)((int64_t)rnd() >> 20) / 1048576.0 / (i % 7 + 1) + 0.00001;
        char want[64];
        uint8_t got[64];
        size_t n = num_from_double_fixed(got, v, 4);
        if (n != (size_t)snprintf(want, sizeof want, "%.4f", v) || memcmp(got, want, n) != 0)
            CHECK(fabs(strtod(want, NULL) - v) > 0.000049999); /* only a tie may round the other way */
    }
    uint8_t got[64];
    CHECK_EQ(num_from_double_fixed(got, 0, 4), 6);
    CHECK_MEM(got, "0.0000", 6);
}

static void doubles_round_trip(void)
{
    for (int i = 0; i < 400000; i++) {
        uint64_t bits = rnd();
        double v, back;
        memcpy(&v, &bits, sizeof v);
        if (i & 1)
            v = (double)(int64_t)(rnd() >> 20) / 1000.0;
        if (!isfinite(v))
            continue;
        back = strtod(text_of_double(v), NULL);
        if (memcmp(&v, &back, sizeof v) != 0)
            CHECK(!"double round trip");
    }
}

static void ldouble_words(void)
{
    CHECK(strcmp(text_of_ldouble(3.0L), "3") == 0);
    CHECK(strcmp(text_of_ldouble(-0.0L), "0") == 0);
    CHECK(strcmp(text_of_ldouble(-1e-30L), "0") == 0);
    CHECK(strcmp(text_of_ldouble(-0.1L), "-0.1") == 0);
    CHECK(strcmp(text_of_ldouble(123456.789123456789123L), "123456.78912345678912033") == 0);
    CHECK(strcmp(text_of_ldouble(1e30L), "1000000000000000000024696061952") == 0);
    long double v;
    CHECK(num_parse_ldouble((const uint8_t *)"1e4000", 6, &v) && strlen(text_of_ldouble(v)) == 4000);
    CHECK(!num_parse_ldouble((const uint8_t *)"1e5000", 6, &v) && !num_parse_ldouble((const uint8_t *)"nan", 3, &v));
    CHECK(!num_parse_ldouble((const uint8_t *)" 1", 2, &v) && !num_parse_ldouble((const uint8_t *)"", 0, &v));
}

static void ldoubles_agree_with_printf(void)
{
    for (int i = 0; i < 200000; i++) {
        long double v = (long double)(int64_t)rnd() * powl(2.0L, (int)(rnd() % 130) - 128);
        char want[256];
        size_t n = (size_t)snprintf(want, sizeof want, "%.17Lf", v);
        while (want[n - 1] == '0')
            n--;
        n -= want[n - 1] == '.';
        want[n] = 0;
        if (strcmp(want, "-0") == 0)
            strcpy(want, "0");
        if (strcmp(text_of_ldouble(v), want) != 0)
            CHECK(!"printf disagrees");
    }
}

int main(void)
{
    RUN(parse_i64_accepts_only_canonical);
    RUN(parse_u64_edges);
    RUN(integers_round_trip);
    RUN(parse_double_words);
    RUN(parse_double_agrees_with_strtod);
    RUN(double_words);
    RUN(fixed_agrees_with_printf);
    RUN(doubles_round_trip);
    RUN(ldouble_words);
    RUN(ldoubles_agree_with_printf);
    return check_report();
}
