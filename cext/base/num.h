/* base/num.h - numbers to text and back, in exactly the words that Redis 7.2 reads and writes.
 *
 * Parsers take bytes and a length (no terminator needed), return false on anything they do not accept, and then leave *out alone.
 * Printers write no terminator and return the length; `dst` must have room for the constant named at each.
 * Pure: no locale (digits are ASCII), no shared memory. num_parse_double and num_parse_ldouble may allocate for a text longer than
 * NUM_TEXT_STACK bytes and free it before they return.
 */
#ifndef SHOAL_BASE_NUM_H
#define SHOAL_BASE_NUM_H

#include "base/base.h"

#define NUM_I64_ROOM 20     /* "-9223372036854775808" and "18446744073709551615" */
#define NUM_DOUBLE_ROOM 32  /* longest: "-2.2250738585072014e-308" is 24 */
#define NUM_LDOUBLE_ROOM 5120
#define NUM_TEXT_STACK 320

/* Canonical decimals only: "0", or an optional '-' and a digit 1-9 first. No '+', spaces, leading zeros, "-0". */
bool num_parse_i64(const uint8_t *s, size_t n, int64_t *out);
/* Digits only; leading zeros are allowed (stream IDs have always been read so). */
bool num_parse_u64(const uint8_t *s, size_t n, uint64_t *out);

/* Decimal text; room NUM_I64_ROOM. */
size_t num_from_i64(uint8_t *dst, int64_t v);
size_t num_from_u64(uint8_t *dst, uint64_t v);
/* Number of decimal digits of v, 1 to 20. */
unsigned num_digits_u64(uint64_t v);

/* What strtod reads in the C locale (hexadecimal and "inf" included), but: no space before or after, no NaN, no overflow to
 * infinity, no underflow to zero. Correctly rounded. */
bool num_parse_double(const uint8_t *s, size_t n, double *out);
/* As Redis 7.2 prints a score: integers below 2^62 as integers, else shortest digits (Grisu2: always reads back as the same
 * double, the shortest text in 99.9 % of the cases), "inf", "-inf", "nan", "-0". Room NUM_DOUBLE_ROOM. */
size_t num_from_double(uint8_t *dst, double v);
/* With exactly `decimals` digits (1 to 17) behind the point, as GEODIST prints; |v| * 10^decimals must be below 2^63. */
size_t num_from_double_fixed(uint8_t *dst, double v, unsigned decimals);
/* True if v is an integer that Redis would print as one (magnitude at most 2^62); stores it. */
bool num_double_to_i64(double v, int64_t *out);

/* The same rules for the long double of INCRBYFLOAT and HINCRBYFLOAT (an underflow to zero is accepted if strtold reports a
 * subnormal only); refuses texts of NUM_LDOUBLE_ROOM bytes or more. */
bool num_parse_ldouble(const uint8_t *s, size_t n, long double *out);
/* "%.17Lf" without trailing zeros, "-0" as "0". Room NUM_LDOUBLE_ROOM. */
size_t num_from_ldouble(uint8_t *dst, long double v);

#endif
