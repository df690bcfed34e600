/* base/bits.c - the bit string primitives of bits.h, a machine word at a time. Pure functions.
 *
 * The build is for any x86-64, so the popcount instruction is chosen when it is there (all since 2008); the other loop counts in
 * registers and is three times slower.
 */
#include "base/bits.h"

#include "base/le.h"

/* ---- counting ---- */

static ALWAYS_INLINE uint64_t count_words(const uint8_t *p, size_t n)
{
    uint64_t a = 0, b = 0, c = 0, d = 0;
    for (; n >= 32; p += 32, n -= 32) {
        a += (uint64_t)__builtin_popcountll(le_load64(p));
        b += (uint64_t)__builtin_popcountll(le_load64(p + 8));
        c += (uint64_t)__builtin_popcountll(le_load64(p + 16));
        d += (uint64_t)__builtin_popcountll(le_load64(p + 24));
    }
    for (; n >= 8; p += 8, n -= 8)
        a += (uint64_t)__builtin_popcountll(le_load64(p));
    for (; n > 0; p++, n--)
        b += (uint64_t)__builtin_popcountll(*p);
    return a + b + c + d;
}

#ifdef __x86_64__
__attribute__((target("popcnt"))) static uint64_t count_popcnt(const uint8_t *p, size_t n) { return count_words(p, n); }

static uint64_t count_plain(const uint8_t *p, size_t n)
{
    const uint64_t ones = ~UINT64_C(0) / 255;
    uint64_t total = 0;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t v = le_load64(p);
        v -= v >> 1 & ones * 0x55;
        v = (v & ones * 0x33) + (v >> 2 & ones * 0x33);
        total += ((v + (v >> 4)) & ones * 0x0F) * ones >> 56;
    }
    for (; n > 0; p++, n--)
        for (unsigned v = *p; v != 0; v &= v - 1)
            total++;
    return total;
}

uint64_t bits_count(const void *p, size_t n) { return __builtin_cpu_supports("popcnt") ? count_popcnt(p, n) : count_plain(p, n); }
#else
uint64_t bits_count(const void *p, size_t n) { return count_words(p, n); }
#endif

uint64_t bits_count_range(const uint8_t *p, uint64_t from, uint64_t to)
{
    if (from >= to)
        return 0;
    uint64_t first = from >> 3, last = (to - 1) >> 3; /* bytes */
    uint8_t head = (uint8_t)(0xFFu >> (from & 7)), tail = (uint8_t)(0xFF00u >> (((to - 1) & 7) + 1));
    if (first == last)
        return (uint64_t)__builtin_popcount(p[first] & head & tail);
    return (uint64_t)__builtin_popcount(p[first] & head) + bits_count(p + first + 1, last - first - 1) +
           (uint64_t)__builtin_popcount(p[last] & tail);
}

/* ---- searching ---- */

int64_t bits_find(const uint8_t *p, uint64_t from, uint64_t to, unsigned bit)
{
    uint64_t at = from, flip = bit ? 0 : ~UINT64_C(0);
    for (; at < to && (at & 7) != 0; at++)
        if (bits_get(p, at) == bit)
            return (int64_t)at;
    for (; at + 64 <= to; at += 64) {
        uint64_t word = be_load64(p + (at >> 3)) ^ flip;
        if (word != 0)
            return (int64_t)(at + (uint64_t)__builtin_clzll(word));
    }
    for (; at < to; at++)
        if (bits_get(p, at) == bit)
            return (int64_t)at;
    return -1;
}

/* ---- combining ---- */

/* The plain loops are what the compiler turns into vector code. */
void bits_combine(enum bits_op op, uint8_t *dst, const uint8_t *src, size_t n)
{
    size_t words = n / 8 * 8;
#define COMBINE(expression)                                                                                            \
    for (size_t i = 0; i < words; i += 8) {                                                                            \
        uint64_t d = le_load64(dst + i), s = le_load64(src + i);                                                       \
        le_store64(dst + i, (expression));                                                                             \
    }                                                                                                                  \
    for (size_t i = words; i < n; i++) {                                                                               \
        uint64_t d = dst[i], s = src[i];                                                                               \
        dst[i] = (uint8_t)(expression);                                                                                \
    }
    switch (op) {
    case BITS_AND:
        COMBINE(d & s);
        break;
    case BITS_OR:
        COMBINE(d | s);
        break;
    case BITS_XOR:
        COMBINE(d ^ s);
        break;
    case BITS_NOT:
        COMBINE(~s | (d & 0));
        break;
    }
#undef COMBINE
}

/* ---- fields ---- */

/* Up to 9 bytes hold the field; they are read one after the other into 72 bits. */
uint64_t bits_field_get(const uint8_t *p, uint64_t at, unsigned width)
{
    const uint8_t *b = p + (at >> 3);
    unsigned used = (unsigned)(at & 7) + width, bytes = (used + 7) / 8;
    unsigned __int128 v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | b[i];
    return (uint64_t)(v >> (bytes * 8 - used)) & (~UINT64_C(0) >> (64 - width));
}

void bits_field_set(uint8_t *p, uint64_t at, unsigned width, uint64_t value)
{
    uint8_t *b = p + (at >> 3);
    unsigned used = (unsigned)(at & 7) + width, bytes = (used + 7) / 8, below = bytes * 8 - used;
    unsigned __int128 mask = (unsigned __int128)(~UINT64_C(0) >> (64 - width)) << below, v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | b[i];
    v = (v & ~mask) | ((unsigned __int128)value << below & mask);
    for (unsigned i = bytes; i-- > 0; v >>= 8)
        b[i] = (uint8_t)v;
}

bool bits_add_signed(int64_t value, int64_t delta, unsigned width, enum bits_overflow rule, int64_t *out)
{
    int64_t max = (int64_t)((uint64_t)INT64_MAX >> (64 - width)), min = -max - 1;
    __int128 sum = (__int128)value + delta;
    if (sum >= min && sum <= max) {
        *out = (int64_t)sum;
        return true;
    }
    if (rule == BITS_FAIL)
        return false;
    *out = rule == BITS_SAT ? (sum > max ? max : min) : bits_sign_extend((uint64_t)sum, width);
    return true;
}

bool bits_add_unsigned(uint64_t value, int64_t delta, unsigned width, enum bits_overflow rule, uint64_t *out)
{
    uint64_t max = ~UINT64_C(0) >> (64 - width);
    __int128 sum = (__int128)value + delta;
    if (sum >= 0 && sum <= (__int128)max) {
        *out = (uint64_t)sum;
        return true;
    }
    if (rule == BITS_FAIL)
        return false;
    *out = rule == BITS_SAT ? (sum > 0 ? max : 0) : (uint64_t)sum & max;
    return true;
}
