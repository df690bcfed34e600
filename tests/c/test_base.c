/* tests/c/test_base.c - hash quality, SHA check values, glob, CRC check values, LZF round trips and hostile LZF. */
#include "base/crc64.h"
#include "base/glob.h"
#include "base/hash.h"
#include "base/lzf.h"
#include "base/sha.h"
#include "check.h"
#include "rnd.h"

#include <math.h>
#include <stdlib.h>

/* ---- hash ---- */

/* Turning any one input bit turns every output bit half of the time. */
static void hash_avalanche(void)
{
    static const size_t sizes[] = {1, 3, 4, 7, 8, 12, 16, 17, 24, 40, 64, 65, 130};
    enum { TRIES = 1500 };
    for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
        size_t n = sizes[k];
        double worst = 0;
        for (size_t bit = 0; bit < n * 8; bit += n > 16 ? 5 : 1) {
            unsigned turned[64] = {0};
            for (int t = 0; t < TRIES; t++) {
                uint8_t key[130];
                uint64_t seed = rnd();
                rnd_fill(key, n);
                uint64_t before = hash_bytes(key, n, seed);
                key[bit / 8] ^= (uint8_t)(1u << bit % 8);
                uint64_t diff = before ^ hash_bytes(key, n, seed);
                for (int b = 0; b < 64; b++)
                    turned[b] += diff >> b & 1;
            }
            for (int b = 0; b < 64; b++)
                worst = fmax(worst, fabs((double)turned[b] / TRIES - 0.5));
        }
        CHECK(worst < 0.085); /* 6.6 standard deviations */
    }
}

/* Chi-square of sequential keys over 4096 buckets, by low, high and middle bits, with a fixed seed. */
static void hash_spreads_sequential_keys(void)
{
    enum { BUCKETS = 4096, KEYS = BUCKETS * 64 };
    static unsigned low[BUCKETS], high[BUCKETS], middle[BUCKETS];
    static const char *const formats[] = {"key:%012u", "%u", "user:%u:profile", "a-rather-long-prefix-that-many-share/with/parts/%u/and-a-tail"};
    for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
        memset(low, 0, sizeof low);
        memset(high, 0, sizeof high);
        memset(middle, 0, sizeof middle);
        for (unsigned i = 0; i < KEYS; i++) {
            char key[100];
            int n = snprintf(key, sizeof key, formats[f], i);
            uint64_t h = hash_bytes(key, (size_t)n, 12345);
            low[h % BUCKETS]++;
            high[h >> 52]++;
            middle[h >> 26 & (BUCKETS - 1)]++;
        }
        double x[3] = {0};
        for (unsigned b = 0; b < BUCKETS; b++) {
            x[0] += (low[b] - 64.0) * (low[b] - 64.0) / 64;
            x[1] += (high[b] - 64.0) * (high[b] - 64.0) / 64;
            x[2] += (middle[b] - 64.0) * (middle[b] - 64.0) / 64;
        }
        for (int i = 0; i < 3; i++) /* mean 4095, standard deviation 90 */
            CHECK(x[i] > 4095 - 6 * 90 && x[i] < 4095 + 6 * 90);
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void hash_has_no_collisions_and_depends_on_all(void)
{
    enum { KEYS = 200000 };
    uint64_t *h = malloc(KEYS * sizeof *h);
    for (unsigned i = 0; i < KEYS; i++) {
        uint8_t zeros[200] = {0};
        uint32_t v = i / 4;
        memcpy(zeros + i % 4 * 5, &v, sizeof v);
        h[i] = hash_bytes(zeros, 20 + i % 4 * 31, 7);
    }
    qsort(h, KEYS, sizeof *h, by_value);
    unsigned same = 0;
    for (unsigned i = 1; i < KEYS; i++)
        same += h[i] == h[i - 1];
    CHECK_EQ(same, 0);
    free(h);
    uint8_t key[100] = {0};
    for (size_t n = 0; n < 99; n++)
        CHECK(hash_bytes(key, n, 1) != hash_bytes(key, n + 1, 1) && hash_bytes(key, n, 1) != hash_bytes(key, n, 2));
    CHECK(hash_u64(1, 0) != hash_u64(2, 0) && hash_u64(1, 0) != hash_u64(1, 1));
}

/* ---- SHA ---- */

static void check_hex(const uint8_t *digest, size_t n, const char *want)
{
    char text[2 * SHA256_BYTES];
    hex_text(text, digest, n);
    CHECK_EQ(strlen(want), 2 * n);
    CHECK_MEM(text, want, 2 * n);
}

static void sha_check_values(void)
{
    uint8_t d[SHA256_BYTES];
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    sha1_bytes("abc", 3, d);
    check_hex(d, SHA1_BYTES, "a9993e364706816aba3e25717850c26c9cd0d89d");
    sha1_bytes("", 0, d);
    check_hex(d, SHA1_BYTES, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    sha1_bytes(two_blocks, 56, d);
    check_hex(d, SHA1_BYTES, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    sha256_bytes("abc", 3, d);
    check_hex(d, SHA256_BYTES, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_bytes(two_blocks, 56, d);
    check_hex(d, SHA256_BYTES, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void sha_in_pieces(void)
{
    uint8_t a[1000] = {0}, whole[SHA256_BYTES], parts[SHA256_BYTES];
    rnd_fill(a, sizeof a);
    for (int i = 0; i < 200; i++) {
        struct sha s;
        size_t n = rnd() % (sizeof a + 1);
        sha256_bytes(a, n, whole);
        sha256_init(&s);
        for (size_t at = 0; at < n;) {
            size_t part = rnd() % 150;
            part = MIN(part, n - at);
            sha256_feed(&s, a + at, part);
            at += part;
        }
        sha256_end(&s, parts);
        CHECK_MEM(whole, parts, sizeof parts);
    }
    struct sha s;
    sha1_init(&s);
    memset(a, 'a', sizeof a);
    for (int i = 0; i < 1000; i++)
        sha1_feed(&s, a, 1000);
    sha1_end(&s, parts);
    check_hex(parts, SHA1_BYTES, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

/* ---- glob ---- */

static bool glob(const char *pattern, const char *text, bool nocase)
{
    return glob_match((const uint8_t *)pattern, strlen(pattern), (const uint8_t *)text, strlen(text), nocase);
}

static void glob_rows(void)
{
    static const struct {
        const char *pattern, *text;
        bool nocase, want;
    } rows[] = {{"*", "abc", 0, 1}, {"*", "", 0, 0}, {"", "", 0, 1}, {"", "a", 0, 0}, {"a*c", "abbc", 0, 1}, {"a*c", "abcd", 0, 0},
                {"h?llo", "hello", 0, 1}, {"h?llo", "hllo", 0, 0}, {"h[ae]llo", "hallo", 0, 1}, {"h[^e]llo", "hello", 0, 0},
                {"h[a-c]", "hb", 0, 1}, {"h[c-a]", "hb", 0, 1}, {"h\\*", "h*", 0, 1}, {"h\\*", "hx", 0, 0}, {"HELLO", "hello", 1, 1},
                {"[A-C]x", "bX", 1, 1}, {"HELLO", "hello", 0, 0}, {"a[", "a", 0, 0}, {"[abc", "b", 0, 1}, {"a\\", "a\\", 0, 1},
                {"[\\]]", "]", 0, 1}, {"**a**", "bab", 0, 1}, {"a*b*c*", "axxbxxcxx", 0, 1}, {"[^]x", "ax", 0, 1}, {"a?", "a", 0, 0}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK(glob(rows[i].pattern, rows[i].text, rows[i].nocase) == rows[i].want);
    CHECK(glob_is_literal((const uint8_t *)"plain", 5) && !glob_is_literal((const uint8_t *)"a[b", 3));
}

/* A pattern that makes a naive matcher need 2^many steps; and noise must stay inside its exact-size buffers (ASan watches). */
static void glob_hostile(void)
{
    enum { TEXT = 30000 };
    char *text = malloc(TEXT), pattern[64];
    memset(text, 'a', TEXT);
    for (int i = 0; i < 60; i += 2)
        memcpy(pattern + i, "a*", 2);
    CHECK(!glob_match((uint8_t *)memcpy(pattern + 60, "b", 1) - 60, 61, (uint8_t *)text, TEXT, false));
    free(text);
    static const char alphabet[] = "ab[]^-*?\\";
    unsigned matched = 0;
    for (int i = 0; i < 100000; i++) {
        size_t pn = rnd() % 12, tn = rnd() % 12;
        uint8_t *p = malloc(pn + !pn), *t = malloc(tn + !tn);
        for (size_t k = 0; k < pn; k++)
            p[k] = (uint8_t)alphabet[rnd() % 9];
        for (size_t k = 0; k < tn; k++)
            t[k] = (uint8_t)alphabet[rnd() % 9];
        matched += glob_match(p, pn, t, tn, rnd() & 1);
        free(p);
        free(t);
    }
    CHECK(matched > 1000);
}

/* ---- CRC ---- */

static void crc_check_values(void)
{
    CHECK(crc64(0, "123456789", 9) == UINT64_C(0xE9C6D914C4B8D9CA));
    CHECK(crc64(0, "", 0) == 0);
    CHECK_EQ(crc16("123456789", 9), 0x31C3);
    uint8_t a[300];
    rnd_fill(a, sizeof a);
    for (size_t cut = 0; cut <= sizeof a; cut++)
        CHECK(crc64(crc64(0, a, cut), a + cut, sizeof a - cut) == crc64(0, a, sizeof a));
    static uint8_t long_one[5000];
    rnd_fill(long_one, sizeof long_one);
    uint64_t sum = 0;
    for (size_t n = 0; n <= sizeof long_one; n++) { /* byte by byte, against all at once: both ways of summing up */
        if (n % 7 == 0 || n > 4900) CHECK(crc64(0, long_one, n) == sum);
        if (n < sizeof long_one) sum = crc64(sum, long_one + n, 1);
    }
    CHECK(crc64(0x1234567890abcdef, long_one + 1, 999) != crc64(0, long_one + 1, 999));
    /* a change in front of n bytes, without summing those up again */
    for (size_t n = 0; n < 4900; n = n * 3 + 1) {
        uint8_t was = long_one[5], change;
        uint64_t before = crc64(0, long_one, 6 + n);
        long_one[5] ^= 0x5a;
        change = was ^ long_one[5];
        CHECK((before ^ crc64_shift(crc64(0, &change, 1), n)) == crc64(0, long_one, 6 + n));
    }
    CHECK_EQ(crc16_key_slot((const uint8_t *)"foo", 3), 12182);
    CHECK_EQ(crc16_key_slot((const uint8_t *)"x{foo}y{bar}", 12), 12182);
    CHECK_EQ(crc16_key_slot((const uint8_t *)"foo{}", 5), crc16("foo{}", 5) % KEY_SLOTS);
    CHECK_EQ(crc16_key_slot((const uint8_t *)"foo{", 4), crc16("foo{", 4) % KEY_SLOTS);
    CHECK_EQ(crc16_key_slot((const uint8_t *)"", 0), 0);
}

/* ---- LZF ---- */

static void lzf_round_trip_one(size_t n, unsigned letters)
{
    static struct lzf_work work;
    uint8_t *src = calloc(1, n + !n), *packed = malloc(n + !n), *back = malloc(n + !n);
    for (size_t i = 0; i < n; i++)
        src[i] = i > 20 && rnd() % 4 ? src[i - 1 - rnd() % MIN(i, 20u)] : (uint8_t)('a' + rnd() % letters);
    size_t m = lzf_compress(src, n, packed, n > 4 ? n - 4 : 0, &work);
    if (m != 0) {
        CHECK(m <= n - 4 && lzf_decompress(packed, m, back, n) && memcmp(src, back, n) == 0);
        CHECK(!lzf_decompress(packed, m, back, n - 1) && !lzf_decompress(packed, m - 1, back, n));
    } else {
        CHECK(n < 32 || letters > 3);
    }
    free(src);
    free(packed);
    free(back);
}

static void lzf_round_trips(void)
{
    for (size_t n = 0; n < 400; n++)
        for (unsigned letters = 1; letters < 250; letters = letters * 3 + 1)
            lzf_round_trip_one(n, letters);
    for (int i = 0; i < 100; i++)
        lzf_round_trip_one(rnd() % 60000, (unsigned)(1 + rnd() % 30));
}

/* What repeats is found also behind much that does not. */
static void lzf_late_repeats(void)
{
    static struct lzf_work work;
    static uint8_t src[200000], packed[200000], back[200000];
    rnd_fill(src, 100000);
    for (size_t i = 100000; i < sizeof src; i++) src[i] = (uint8_t)"all that is said twice is said once too often "[i % 46];
    size_t m = lzf_compress(src, sizeof src, packed, sizeof src - 4, &work);
    CHECK(m > 0 && m < 110000);
    CHECK(lzf_decompress(packed, m, back, sizeof src) && memcmp(src, back, sizeof src) == 0);
    CHECK(lzf_compress(src, 100000, packed, 100000 - 4, &work) == 0);
}

static void lzf_known_bytes(void)
{
    static const uint8_t packed[] = {0x01, 'a', 'b', 0xE0, 0x00, 0x01}; /* "ab", then 9 bytes from 2 back */
    uint8_t out[11];
    CHECK(lzf_decompress(packed, sizeof packed, out, sizeof out) && memcmp(out, "abababababa", 11) == 0);
}

static void lzf_hostile(void)
{
    for (int i = 0; i < 200000; i++) {
        size_t n = rnd() % 40, out_n = rnd() % 300;
        uint8_t *src = malloc(n + !n), *out = malloc(out_n + !out_n);
        rnd_fill(src, n);
        if (n > 1 && (rnd() & 1))
            src[0] &= 31;
        lzf_decompress(src, n, out, out_n);
        free(src);
        free(out);
    }
}

int main(void)
{
    RUN(hash_avalanche);
    RUN(hash_spreads_sequential_keys);
    RUN(hash_has_no_collisions_and_depends_on_all);
    RUN(sha_check_values);
    RUN(sha_in_pieces);
    RUN(glob_rows);
    RUN(glob_hostile);
    RUN(crc_check_values);
    RUN(lzf_round_trips);
    RUN(lzf_late_repeats);
    RUN(lzf_known_bytes);
    RUN(lzf_hostile);
    return check_report();
}
