/* base/num.c - integers to decimal text and back. Pure functions; see num.h for the rules. Floating point is in num_float.c. */
#include "base/num.h"

#include "base/le.h"

#define MAX_U64_DIGITS 20

static const char digit_pairs[201] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
                                     "49505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697"
                                     "9899";

static const uint64_t powers_of_ten[MAX_U64_DIGITS] = {
    1u,
    10u,
    100u,
    1000u,
    10000u,
    100000u,
    1000000u,
    10000000u,
    100000000u,
    1000000000u,
    10000000000u,
    100000000000u,
    1000000000000u,
    10000000000000u,
    100000000000000u,
    1000000000000000u,
    10000000000000000u,
    100000000000000000u,
    1000000000000000000u,
    10000000000000000000u,
};

unsigned num_digits_u64(uint64_t v)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1);
    unsigned guess = bits * 1233 >> 12; /* floor(bits * log10(2)): right, or one too few */
    return guess + (v >= powers_of_ten[guess] || guess == 0);
}

size_t num_from_u64(uint8_t *dst, uint64_t v)
{
    unsigned n = num_digits_u64(v);
    uint8_t *p = dst + n;
    while (v >= 100) {
        unsigned pair = (unsigned)(v % 100);
        v /= 100;
        p -= 2;
        memcpy(p, digit_pairs + 2 * pair, 2);
    }
    if (v >= 10)
        memcpy(p - 2, digit_pairs + 2 * v, 2);
    else
        p[-1] = (uint8_t)('0' + v);
    return n;
}

size_t num_from_i64(uint8_t *dst, int64_t v)
{
    if (v >= 0)
        return num_from_u64(dst, (uint64_t)v);
    *dst = '-';
    return 1 + num_from_u64(dst + 1, -(uint64_t)v);
}

/* True if all eight bytes are ASCII digits: no byte has another high nibble, not even after 6 is added. */
static ALWAYS_INLINE bool is_eight_digits(uint64_t v)
{
    return ((v & 0xF0F0F0F0F0F0F0F0u) | ((v + 0x0606060606060606u) & 0xF0F0F0F0F0F0F0F0u) >> 4) == 0x3333333333333333u;
}

/* Three multiplications join neighbours: 8 digits -> 4 pairs -> 2 quads -> one number below 10^8. */
static ALWAYS_INLINE uint32_t join_eight_digits(uint64_t v)
{
    v = (v & 0x0F0F0F0F0F0F0F0Fu) * (10 * 256 + 1) >> 8;
    v = (v & 0x00FF00FF00FF00FFu) * (100 * 65536 + 1) >> 16;
    v = (v & 0x0000FFFF0000FFFFu) * (10000 * 4294967296u + 1) >> 32;
    return (uint32_t)v;
}

/* At most 19 digits, which always fit. False at the first byte that is no digit. */
static ALWAYS_INLINE bool parse_digits(const uint8_t *s, size_t n, uint64_t *out)
{
    uint64_t v = 0;
    for (; n >= 8; s += 8, n -= 8) {
        uint64_t eight = le_load64(s);
        if (!is_eight_digits(eight))
            return false;
        v = v * 100000000u + join_eight_digits(eight);
    }
    for (; n > 0; s++, n--) {
        unsigned d = *s - (unsigned)'0';
        if (d > 9)
            return false;
        v = v * 10 + d;
    }
    *out = v;
    return true;
}

bool num_parse_i64(const uint8_t *s, size_t n, int64_t *out)
{
    if (unlikely(n == 0 || n > NUM_I64_ROOM))
        return false;
    bool negative = *s == '-';
    s += negative;
    n -= negative;
    uint64_t v;
    if (n == 0 || n > MAX_U64_DIGITS - 1 || (*s == '0' && (n > 1 || negative)) || !parse_digits(s, n, &v))
        return false;
    if (v > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool num_parse_u64(const uint8_t *s, size_t n, uint64_t *out)
{
    if (n == 0)
        return false;
    while (n > 1 && *s == '0') {
        s++;
        n--;
    }
    uint64_t v;
    if (n > MAX_U64_DIGITS || !parse_digits(s, MIN(n, MAX_U64_DIGITS - 1u), &v))
        return false;
    if (n == MAX_U64_DIGITS) {
        unsigned last = s[n - 1] - (unsigned)'0';
        if (last > 9 || __builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, last, &v))
            return false;
    }
    *out = v;
    return true;
}
