/* base/crc64.c - CRC-64 eight bytes a step (slicing-by-8; Kounavis and Berry, 2005), CRC-16 a byte a step; on x86-64 processors that can
 * multiply without carries, long pieces are folded 64 bytes a step first (Gopal and others, 2009). */
#include "base/crc64.h"

#include "base/le.h"

#define JONES_REFLECTED UINT64_C(0x95AC9329AC4BC9B5) /* 0xAD93D23594C935A9, bits reversed */
#define XMODEM 0x1021u

static uint64_t crc64_table[8][256]; /* [k][b]: what byte b does to the sum when k more bytes follow it */
static uint16_t crc16_table[256];

__attribute__((constructor)) static void make_tables(void)
{
    for (unsigned b = 0; b < 256; b++) {
        uint64_t v = b;
        unsigned w = b << 8;
        for (int bit = 0; bit < 8; bit++) {
            v = v & 1 ? v >> 1 ^ JONES_REFLECTED : v >> 1;
            w = w & 0x8000 ? w << 1 ^ XMODEM : w << 1;
        }
        crc64_table[0][b] = v;
        crc16_table[b] = (uint16_t)w;
    }
    for (int k = 1; k < 8; k++)
        for (unsigned b = 0; b < 256; b++) {
            uint64_t v = crc64_table[k - 1][b];
            crc64_table[k][b] = v >> 8 ^ crc64_table[0][v & 0xFF];
        }
}

static uint64_t times_x(uint64_t v) { return v & 1 ? v >> 1 ^ JONES_REFLECTED : v >> 1; }

/* a times b modulo P, both reflected. */
static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t product = 0;
    for (; a; a <<= 1, b = times_x(b))
        if (a >> 63) product ^= b;
    return product;
}

uint64_t crc64_shift(uint64_t crc, uint64_t n)
{
    for (uint64_t by = UINT64_C(1) << 55; n; n >>= 1, by = times(by, by)) /* x^8, x^16, x^32 ... */
        if (n & 1) crc = times(crc, by);
    return crc;
}

static uint64_t by_table(uint64_t crc, const uint8_t *p, size_t n)
{
    for (; n >= 8; p += 8, n -= 8) {
        crc ^= le_load64(p);
        crc = crc64_table[7][crc & 0xFF] ^ crc64_table[6][crc >> 8 & 0xFF] ^ crc64_table[5][crc >> 16 & 0xFF] ^
              crc64_table[4][crc >> 24 & 0xFF] ^ crc64_table[3][crc >> 32 & 0xFF] ^ crc64_table[2][crc >> 40 & 0xFF] ^
              crc64_table[1][crc >> 48 & 0xFF] ^ crc64_table[0][crc >> 56];
    }
    for (; n > 0; p++, n--)
        crc = crc64_table[0][(crc ^ *p) & 0xFF] ^ crc >> 8;
    return crc;
}

#if defined(__x86_64__)
#include <immintrin.h>

#define FOLD_LEAST 256u

/* A register of 128 bits is a polynomial with its highest power in bit 0. Moved forward by D bits it is, modulo P, its low half times
 * x^(D+64) plus its high half times x^D; one power less, because a product of two reflected numbers comes out one bit too low. */
struct fold {
    uint64_t low, high;
};
static struct fold fold_512, fold_128;
static bool can_fold;

/* x^n modulo P, reflected. */
static uint64_t power(unsigned n)
{
    uint64_t v = UINT64_C(1) << 63;
    while (n-- > 0) v = times_x(v);
    return v;
}

__attribute__((constructor)) static void make_folds(void)
{
    __builtin_cpu_init();
    can_fold = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
    fold_512 = (struct fold){power(512 + 63), power(511)};
    fold_128 = (struct fold){power(128 + 63), power(127)};
}

#define WITH_CLMUL __attribute__((target("pclmul,sse4.1")))

WITH_CLMUL static inline __m128i moved(__m128i v, __m128i by)
{
    return _mm_xor_si128(_mm_clmulepi64_si128(v, by, 0x00), _mm_clmulepi64_si128(v, by, 0x11));
}

/* n is at least 64. */
WITH_CLMUL static uint64_t by_folding(uint64_t crc, const uint8_t *p, size_t n)
{
    const __m128i far = _mm_set_epi64x((long long)fold_512.high, (long long)fold_512.low);
    const __m128i near = _mm_set_epi64x((long long)fold_128.high, (long long)fold_128.low);
    const __m128i *in = (const __m128i *)(const void *)p;
    __m128i a = _mm_xor_si128(_mm_loadu_si128(in), _mm_set_epi64x(0, (long long)crc));
    __m128i b = _mm_loadu_si128(in + 1), c = _mm_loadu_si128(in + 2), d = _mm_loadu_si128(in + 3);
    for (p += 64, n -= 64; n >= 64; p += 64, n -= 64) {
        in = (const __m128i *)(const void *)p;
        a = _mm_xor_si128(moved(a, far), _mm_loadu_si128(in));
        b = _mm_xor_si128(moved(b, far), _mm_loadu_si128(in + 1));
        c = _mm_xor_si128(moved(c, far), _mm_loadu_si128(in + 2));
        d = _mm_xor_si128(moved(d, far), _mm_loadu_si128(in + 3));
    }
    b = _mm_xor_si128(moved(a, near), b);
    c = _mm_xor_si128(moved(b, near), c);
    d = _mm_xor_si128(moved(c, near), d);
    uint8_t rest[16]; /* has the same remainder as all that went into it */
    _mm_storeu_si128((__m128i *)(void *)rest, d);
    return by_table(by_table(0, rest, sizeof rest), p, n);
}

uint64_t crc64(uint64_t crc, const void *data, size_t n)
{
    return n >= FOLD_LEAST && can_fold ? by_folding(crc, data, n) : by_table(crc, data, n);
}
#else
uint64_t crc64(uint64_t crc, const void *data, size_t n) { return by_table(crc, data, n); }
#endif

uint16_t crc16(const void *data, size_t n)
{
    const uint8_t *p = data;
    unsigned crc = 0;
    for (; n > 0; p++, n--)
        crc = (crc << 8 & 0xFFFF) ^ crc16_table[crc >> 8 ^ *p];
    return (uint16_t)crc;
}

unsigned crc16_key_slot(const uint8_t *key, size_t n)
{
    const uint8_t *open = n > 0 ? memchr(key, '{', n) : NULL;
    if (open != NULL) {
        const uint8_t *tag = open + 1, *close = memchr(tag, '}', (size_t)(key + n - tag));
        if (close != NULL && close > tag)
            return crc16(tag, (size_t)(close - tag)) % KEY_SLOTS;
    }
    return crc16(key, n) % KEY_SLOTS;
}
