/* base/num_float.c - double and long double to text and back, as Redis 7.2 writes them. Pure functions; rules in num.h.
 *
 * Reading: a text of at most 19 digits whose power of ten is exact in the type is one exact integer times or divided by one exact
 * power, hence correctly rounded (Clinger, "How to read floating point numbers accurately", 1990). All else goes to strtod.
 * Writing: Grisu2 (Loitsch, "Printing floating-point numbers quickly and accurately with integers", 2010) with the digit
 * generation window [-60, -32], which is what Redis 7.2's output shows; layout of digits and exponent likewise.
 */
#include "base/num.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

struct decimal {
    uint64_t digits; /* all digits as one integer, point removed */
    int power;       /* value = digits * 10^power */
    bool negative;
};

/* [+-]digits[.digits][e[+-]digits] with at most 19 digits that count. False: something else, or too long. */
static bool scan_decimal(const uint8_t *s, size_t n, struct decimal *d)
{
    const uint8_t *end = s + n;
    unsigned seen = 0, counted = 0;
    *d = (struct decimal){0};
    if (s < end && (*s == '-' || *s == '+'))
        d->negative = *s++ == '-';
    for (bool after_point = false; s < end; s++) {
        unsigned c = *s - (unsigned)'0';
        if (c <= 9) {
            counted += d->digits != 0 || c != 0;
            if (counted > 19)
                return false;
            d->digits = d->digits * 10 + c;
            d->power -= after_point;
            seen++;
        } else if (*s == '.' && !after_point) {
            after_point = true;
        } else {
            break;
        }
    }
    if (seen == 0 || seen > 64)
        return false;
    if (s == end)
        return true;
    if ((*s | 0x20) != 'e' || ++s == end)
        return false;
    bool down = *s == '-';
    s += *s == '-' || *s == '+';
    if (s == end || end - s > 4)
        return false;
    int e = 0;
    for (; s < end; s++) {
        unsigned c = *s - (unsigned)'0';
        if (c > 9)
            return false;
        e = e * 10 + (int)c;
    }
    d->power += down ? -e : e;
    return true;
}

/* A terminated copy of [s, s+n), in `stack` if it fits. NULL: refused before it is parsed (empty, space first, zero byte inside). */
static char *terminated_copy(const uint8_t *s, size_t n, char stack[NUM_TEXT_STACK])
{
    if (n == 0 || *s == ' ' || (*s >= '\t' && *s <= '\r') || memchr(s, 0, n) != NULL)
        return NULL;
    char *text = n < NUM_TEXT_STACK ? stack : malloc(n + 1);
    if (text != NULL) {
        memcpy(text, s, n);
        text[n] = 0;
    }
    return text;
}

static NOINLINE bool parse_double_slow(const uint8_t *s, size_t n, double *out)
{
    char stack[NUM_TEXT_STACK], *end;
    char *text = terminated_copy(s, n, stack);
    if (text == NULL)
        return false;
    errno = 0;
    double v = strtod(text, &end);
    bool ok = *end == 0 && !isnan(v) && !(errno == ERANGE && (isinf(v) || v == 0));
    if (text != stack)
        free(text);
    if (ok)
        *out = v;
    return ok;
}

bool num_parse_double(const uint8_t *s, size_t n, double *out)
{
    static const double exact[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct decimal d;
    if (!scan_decimal(s, n, &d) || d.digits > (uint64_t)1 << DBL_MANT_DIG || d.power < -22 || d.power > 22)
        return parse_double_slow(s, n, out);
    double v = (double)d.digits;
    v = d.power < 0 ? v / exact[-d.power] : v * exact[d.power];
    *out = d.negative ? -v : v;
    return true;
}

bool num_parse_ldouble(const uint8_t *s, size_t n, long double *out)
{
    struct decimal d;
    if (n < 40 && scan_decimal(s, n, &d) && (LDBL_MANT_DIG >= 64 || d.digits <= (uint64_t)1 << 53) && d.power <= 0 &&
        d.power >= -19) {
        long double scale = 1;
        for (int i = d.power; i < 0; i++)
            scale *= 10;
        long double v = (long double)d.digits / scale;
        *out = d.negative ? -v : v;
        return true;
    }
    char stack[NUM_TEXT_STACK], *end;
    char *text = n < NUM_LDOUBLE_ROOM ? terminated_copy(s, n, stack) : NULL;
    if (text == NULL)
        return false;
    errno = 0;
    long double v = strtold(text, &end);
    bool ok = *end == 0 && !isnan(v) && !(errno == ERANGE && (isinf(v) || v == 0));
    if (text != stack)
        free(text);
    if (ok)
        *out = v;
    return ok;
}

/* ---- Grisu2 ---- */

struct fp {
    uint64_t f; /* value = f * 2^e */
    int e;
};

#define POWER_FIRST (-348)
#define POWER_STEP 8
#define WINDOW_LOW (-60)
#define WINDOW_HIGH (-32)

/* 10^k for k = -348, -340, ... 340: the top 64 bits, rounded. The binary exponent follows from k (power_exponent). */
static const uint64_t power_bits[] = {
    0xFA8FD5A0081C0288, 0xBAAEE17FA23EBF76, 0x8B16FB203055AC76, 0xCF42894A5DCE35EA, 0x9A6BB0AA55653B2D,
    0xE61ACF033D1A45DF, 0xAB70FE17C79AC6CA, 0xFF77B1FCBEBCDC4F, 0xBE5691EF416BD60C, 0x8DD01FAD907FFC3C,
    0xD3515C2831559A83, 0x9D71AC8FADA6C9B5, 0xEA9C227723EE8BCB, 0xAECC49914078536D, 0x823C12795DB6CE57,
    0xC21094364DFB5637, 0x9096EA6F3848984F, 0xD77485CB25823AC7, 0xA086CFCD97BF97F4, 0xEF340A98172AACE5,
    0xB23867FB2A35B28E, 0x84C8D4DFD2C63F3B, 0xC5DD44271AD3CDBA, 0x936B9FCEBB25C996, 0xDBAC6C247D62A584,
    0xA3AB66580D5FDAF6, 0xF3E2F893DEC3F126, 0xB5B5ADA8AAFF80B8, 0x87625F056C7C4A8B, 0xC9BCFF6034C13053,
    0x964E858C91BA2655, 0xDFF9772470297EBD, 0xA6DFBD9FB8E5B88F, 0xF8A95FCF88747D94, 0xB94470938FA89BCF,
    0x8A08F0F8BF0F156B, 0xCDB02555653131B6, 0x993FE2C6D07B7FAC, 0xE45C10C42A2B3B06, 0xAA242499697392D3,
    0xFD87B5F28300CA0E, 0xBCE5086492111AEB, 0x8CBCCC096F5088CC, 0xD1B71758E219652C, 0x9C40000000000000,
    0xE8D4A51000000000, 0xAD78EBC5AC620000, 0x813F3978F8940984, 0xC097CE7BC90715B3, 0x8F7E32CE7BEA5C70,
    0xD5D238A4ABE98068, 0x9F4F2726179A2245, 0xED63A231D4C4FB27, 0xB0DE65388CC8ADA8, 0x83C7088E1AAB65DB,
    0xC45D1DF942711D9A, 0x924D692CA61BE758, 0xDA01EE641A708DEA, 0xA26DA3999AEF774A, 0xF209787BB47D6B85,
    0xB454E4A179DD1877, 0x865B86925B9BC5C2, 0xC83553C5C8965D3D, 0x952AB45CFA97A0B3, 0xDE469FBD99A05FE3,
    0xA59BC234DB398C25, 0xF6C69A72A3989F5C, 0xB7DCBF5354E9BECE, 0x88FCF317F22241E2, 0xCC20CE9BD35C78A5,
    0x98165AF37B2153DF, 0xE2A0B5DC971F303A, 0xA8D9D1535CE3B396, 0xFB9B7CD9A4A7443C, 0xBB764C4CA7A44410,
    0x8BAB8EEFB6409C1A, 0xD01FEF10A657842C, 0x9B10A4E5E9913129, 0xE7109BFBA19C0C9D, 0xAC2820D9623BF429,
    0x80444B5E7AA7CF85, 0xBF21E44003ACDD2D, 0x8E679C2F5E44FF8F, 0xD433179D9C8CB841, 0x9E19DB92B4E31BA9,
    0xEB96BF6EBADF77D9, 0xAF87023B9BF0EE6B,
};

/* floor(k * log2(10)) - 63, exact over the whole table. */
static int power_exponent(int k) { return (k * 217706 >> 16) - 63; }

static struct fp fp_multiply(struct fp a, struct fp b)
{
    unsigned __int128 p = (unsigned __int128)a.f * b.f + ((uint64_t)1 << 63);
    return (struct fp){(uint64_t)(p >> 64), a.e + b.e + 64};
}

/* The power 10^k that brings a number with binary exponent e into the window; *k gets the exponent. */
static struct fp find_power(int e, int *k)
{
    int i = (int)(-(e + (int)ARRAY_LEN(power_bits)) * 0.30102999566398114 - POWER_FIRST) / POWER_STEP;
    for (;;) {
        *k = POWER_FIRST + i * POWER_STEP;
        struct fp power = {power_bits[i], power_exponent(*k)};
        int scaled = e + power.e + 64;
        if (scaled < WINDOW_LOW)
            i++;
        else if (scaled > WINDOW_HIGH)
            i--;
        else
            return power;
    }
}

/* Takes the last digit down while that comes nearer to the value and stays inside the interval. */
static void round_last(uint8_t *last, uint64_t delta, uint64_t rest, uint64_t unit, uint64_t target)
{
    while (rest < target && delta - rest >= unit && (rest + unit < target || target - rest > rest + unit - target)) {
        --*last;
        rest += unit;
    }
}

/* Shortest digits inside (low, high), near to w. All three share one exponent in the window. Returns how many; *k is corrected. */
static int make_digits(struct fp w, struct fp low, struct fp high, uint8_t *digits, int *k)
{
    int shift = -high.e, n = 0, kappa = 10;
    uint64_t one = (uint64_t)1 << shift, fraction = high.f & (one - 1), delta = high.f - low.f, target = high.f - w.f;
    uint32_t whole = (uint32_t)(high.f >> shift);
    for (uint32_t unit = 1000000000; kappa > 0; unit /= 10) {
        uint32_t digit = whole / unit;
        whole -= digit * unit;
        if (digit != 0 || n != 0)
            digits[n++] = (uint8_t)('0' + digit);
        kappa--;
        uint64_t rest = ((uint64_t)whole << shift) + fraction;
        if (rest <= delta) {
            *k += kappa;
            round_last(&digits[n - 1], delta, rest, (uint64_t)unit << shift, target);
            return n;
        }
    }
    for (uint64_t scale = 10;; scale *= 10) {
        fraction *= 10;
        delta *= 10;
        uint32_t digit = (uint32_t)(fraction >> shift);
        fraction &= one - 1;
        if (digit != 0 || n != 0)
            digits[n++] = (uint8_t)('0' + digit);
        kappa--;
        if (fraction < delta) {
            *k += kappa;
            round_last(&digits[n - 1], delta, fraction, one, target * scale);
            return n;
        }
    }
}

/* Digits of a positive finite double: value = digits * 10^*k. */
static int grisu2(double v, uint8_t *digits, int *k)
{
    uint64_t bits, hidden = (uint64_t)1 << 52;
    memcpy(&bits, &v, sizeof bits);
    int biased = (int)(bits >> 52 & 0x7FF);
    struct fp w = {bits & (hidden - 1), biased ? biased - 1075 : -1074};
    w.f += biased ? hidden : 0;
    struct fp high = {2 * w.f + 1, w.e - 1};
    int norm = __builtin_clzll(high.f);
    high = (struct fp){high.f << norm, high.e - norm};
    int closer = w.f == hidden ? 2 : 1; /* below a power of two the neighbour is half as far */
    struct fp low = {(w.f << closer) - 1, w.e - closer};
    low = (struct fp){low.f << (low.e - high.e), high.e};
    norm = __builtin_clzll(w.f);
    w = (struct fp){w.f << norm, w.e - norm};
    int power;
    struct fp scale = find_power(high.e, &power);
    w = fp_multiply(w, scale);
    high = fp_multiply(high, scale);
    low = fp_multiply(low, scale);
    low.f++;
    high.f--;
    *k = -power;
    return make_digits(w, low, high, digits, k);
}

/* ---- writing ---- */

/* d[.ddd]e+-x */
static size_t layout_exponent(uint8_t *dst, const uint8_t *digits, int n, int exponent)
{
    uint8_t *p = dst;
    *p++ = digits[0];
    if (n > 1) {
        *p++ = '.';
        memcpy(p, digits + 1, (size_t)n - 1);
        p += n - 1;
    }
    *p++ = 'e';
    *p++ = exponent < 0 ? '-' : '+';
    p += num_from_u64(p, (uint64_t)abs(exponent));
    return (size_t)(p - dst);
}

/* Chooses between 1200, 0.0012, 1.2 and 1.2e+30 by the rules that Redis 7.2's output shows. */
static size_t layout(uint8_t *dst, const uint8_t *digits, int n, int k, bool negative)
{
    int exponent = k + n - 1;
    if (k >= 0 && exponent < n + 7) {
        memcpy(dst, digits, (size_t)n);
        memset(dst + n, '0', (size_t)k);
        return (size_t)(n + k);
    }
    if (k < 0 && (k > -7 || abs(exponent) < 4)) {
        int before = n + k; /* digits before the point */
        if (before > 0) {
            memcpy(dst, digits, (size_t)before);
            dst[before] = '.';
            memcpy(dst + before + 1, digits + before, (size_t)-k);
            return (size_t)n + 1;
        }
        memset(dst, '0', (size_t)(2 - before));
        dst[1] = '.';
        memcpy(dst + 2 - before, digits, (size_t)n);
        return (size_t)(2 - before + n);
    }
    return layout_exponent(dst, digits, MIN(n, 18 - negative), exponent);
}

bool num_double_to_i64(double v, int64_t *out)
{
    if (!(v >= -0x1p62 && v <= 0x1p62))
        return false;
    int64_t i = (int64_t)v;
    if ((double)i != v)
        return false;
    *out = i;
    return true;
}

static size_t put_word(uint8_t *dst, const char *word)
{
    size_t n = strlen(word);
    memcpy(dst, word, n);
    return n;
}

size_t num_from_double(uint8_t *dst, double v)
{
    int64_t i;
    if (isnan(v))
        return put_word(dst, "nan");
    if (isinf(v))
        return put_word(dst, v < 0 ? "-inf" : "inf");
    if (v == 0)
        return put_word(dst, signbit(v) ? "-0" : "0");
    if (num_double_to_i64(v, &i))
        return num_from_i64(dst, i);
    uint8_t digits[20];
    int k;
    bool negative = v < 0;
    if (negative)
        *dst++ = '-';
    int n = grisu2(fabs(v), digits, &k);
    return negative + layout(dst, digits, n, k, negative);
}

size_t num_from_double_fixed(uint8_t *dst, double v, unsigned decimals)
{
    uint64_t unit = 1;
    for (unsigned i = 0; i < decimals; i++)
        unit *= 10;
    int64_t scaled = llrint(v * (double)unit);
    uint64_t all = scaled < 0 ? 0 - (uint64_t)scaled : (uint64_t)scaled, fraction = all % unit;
    uint8_t *p = dst;
    if (scaled < 0)
        *p++ = '-';
    p += num_from_u64(p, all / unit);
    *p++ = '.';
    unsigned zeros = decimals - num_digits_u64(fraction);
    memset(p, '0', zeros);
    num_from_u64(p + zeros, fraction);
    return (size_t)(p - dst) + decimals;
}

#if LDBL_MANT_DIG == 64
#define FRACTION_DIGITS 17
#define FRACTION_UNITS 100000000000000000u /* 10^17 */

/* Below 2^63 the fraction times 10^17 fits 128 bits exactly, so one shift with round-half-even gives what printf gives. */
static size_t ldouble_fixed(uint8_t *dst, long double v)
{
    uint64_t whole = (uint64_t)v, units = 0;
    long double fraction = v - (long double)whole;
    if (fraction > 0) {
        int e;
        uint64_t f = (uint64_t)ldexpl(frexpl(fraction, &e), 64);
        unsigned shift = (unsigned)(64 - e);
        unsigned __int128 product = (unsigned __int128)f * FRACTION_UNITS, one = 1;
        if (shift < 127) {
            units = (uint64_t)(product >> shift);
            unsigned __int128 rest = product & ((one << shift) - 1), half = one << (shift - 1);
            units += rest > half || (rest == half && (units & 1));
        }
        if (units == FRACTION_UNITS) {
            units = 0;
            whole++;
        }
    }
    size_t n = num_from_u64(dst, whole);
    if (units == 0)
        return n;
    dst[n++] = '.';
    unsigned zeros = FRACTION_DIGITS - num_digits_u64(units);
    memset(dst + n, '0', zeros);
    n += zeros + num_from_u64(dst + n + zeros, units);
    while (dst[n - 1] == '0')
        n--;
    return n;
}
#endif

size_t num_from_ldouble(uint8_t *dst, long double v)
{
    if (isinf(v))
        return put_word(dst, v < 0 ? "-inf" : "inf");
    if (isnan(v))
        return put_word(dst, "nan");
#if LDBL_MANT_DIG == 64
    if (fabsl(v) < 0x1p63L) {
        bool negative = signbit(v);
        size_t fixed = ldouble_fixed(dst + negative, fabsl(v));
        if (!negative)
            return fixed;
        if (fixed == 1 && dst[1] == '0') {
            dst[0] = '0';
            return 1;
        }
        dst[0] = '-';
        return fixed + 1;
    }
#endif
    char text[NUM_LDOUBLE_ROOM];
    size_t n = (size_t)snprintf(text, sizeof text, "%.17Lf", v);
    ENSURE(n < sizeof text);
    while (text[n - 1] == '0')
        n--;
    n -= text[n - 1] == '.';
    if (n == 2 && text[0] == '-' && text[1] == '0')
        return put_word(dst, "0");
    memcpy(dst, text, n);
    return n;
}
