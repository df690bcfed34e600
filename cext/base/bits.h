/* base/bits.h - bit strings as SETBIT, BITCOUNT, BITPOS, BITOP and BITFIELD see them.
 *
 * Bit 0 is the highest bit of the first byte, and a field of several bits is big-endian. All functions are pure and work on memory of
 * the caller; offsets are in bits and the caller has checked that they lie inside. bits_field_set changes only the bytes
 * [at / 8, (at + width - 1) / 8], which is the range to announce before the store.
 */
#ifndef SHOAL_BASE_BITS_H
#define SHOAL_BASE_BITS_H

#include "base/base.h"

static inline unsigned bits_get(const uint8_t *p, uint64_t at) { return p[at >> 3] >> (7 - (at & 7)) & 1; }

static inline void bits_set(uint8_t *p, uint64_t at, unsigned bit)
{
    uint8_t mask = (uint8_t)(0x80u >> (at & 7));
    p[at >> 3] = (uint8_t)(bit ? p[at >> 3] | mask : p[at >> 3] & ~mask);
}

/* Number of ones in n bytes. */
uint64_t bits_count(const void *p, size_t n);
/* Number of ones among bits [from, to). */
uint64_t bits_count_range(const uint8_t *p, uint64_t from, uint64_t to);
/* First bit among [from, to) that equals `bit`, or -1. */
int64_t bits_find(const uint8_t *p, uint64_t from, uint64_t to, unsigned bit);

enum bits_op { BITS_AND, BITS_OR, BITS_XOR, BITS_NOT };
/* dst = dst op src over n bytes; BITS_NOT: dst = ~src. dst and src are the same or do not overlap. */
void bits_combine(enum bits_op op, uint8_t *dst, const uint8_t *src, size_t n);

/* The field of `width` bits (1 to 64) at bit `at`. Reads and writes only bytes that hold bits of the field. */
uint64_t bits_field_get(const uint8_t *p, uint64_t at, unsigned width);
void bits_field_set(uint8_t *p, uint64_t at, unsigned width, uint64_t value);
/* The low `width` bits of v as a signed number. */
static inline int64_t bits_sign_extend(uint64_t v, unsigned width) { return (int64_t)(v << (64 - width)) >> (64 - width); }

enum bits_overflow { BITS_WRAP, BITS_SAT, BITS_FAIL };
/* value + delta in a field of `width` bits; signed 1 to 64, unsigned 1 to 63. False: it overflows and the rule is BITS_FAIL.
 * For BITFIELD SET give delta 0: the value itself is then brought into range by the same rule. */
bool bits_add_signed(int64_t value, int64_t delta, unsigned width, enum bits_overflow rule, int64_t *out);
bool bits_add_unsigned(uint64_t value, int64_t delta, unsigned width, enum bits_overflow rule, uint64_t *out);

#endif
