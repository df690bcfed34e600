/* base/le.h - unaligned little-endian loads and stores, and two byte swaps for the formats that are big-endian.
 *
 * Every format that we share with Redis (listpack, intset, RDB, HyperLogLog) is little-endian, and so is every machine that we
 * build for; a big-endian build stops here instead of writing files that nobody can read.
 */
#ifndef SHOAL_BASE_LE_H
#define SHOAL_BASE_LE_H

#include "base/base.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "Shoal needs a little-endian machine");

static ALWAYS_INLINE uint16_t le_load16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static ALWAYS_INLINE uint32_t le_load32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static ALWAYS_INLINE uint64_t le_load64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Three bytes, sign not extended. */
static ALWAYS_INLINE uint32_t le_load24(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16; }

static ALWAYS_INLINE void le_store16(void *p, uint16_t v) { memcpy(p, &v, sizeof v); }
static ALWAYS_INLINE void le_store32(void *p, uint32_t v) { memcpy(p, &v, sizeof v); }
static ALWAYS_INLINE void le_store64(void *p, uint64_t v) { memcpy(p, &v, sizeof v); }

static ALWAYS_INLINE void le_store24(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
}

static ALWAYS_INLINE uint32_t be_load32(const void *p) { return __builtin_bswap32(le_load32(p)); }
static ALWAYS_INLINE uint64_t be_load64(const void *p) { return __builtin_bswap64(le_load64(p)); }
static ALWAYS_INLINE void be_store32(void *p, uint32_t v) { le_store32(p, __builtin_bswap32(v)); }
static ALWAYS_INLINE void be_store64(void *p, uint64_t v) { le_store64(p, __builtin_bswap64(v)); }

#endif
