/* ds/intset.h - a small set of integers as one sorted array, byte for byte Redis' intset.
 *
 *   width u32 (2, 4 or 8) | count u32 | count numbers of `width` bytes, ascending, signed      all little-endian
 * The width is that of the widest number that was ever in; it never shrinks.
 *
 * PURE, as ds/listpack.h: intset_plan_add and intset_plan_remove say what would change; then the caller announces
 *   [0, INTSET_HEADER) and [plan.at, plan.at + plan.reach)   and calls intset_apply (room for plan.new_bytes), or
 *   allocates plan.new_bytes and calls intset_build.
 * A plan that widens can only be built (plan.widens).
 */
#ifndef SHOAL_DS_INTSET_H
#define SHOAL_DS_INTSET_H

#include "base/le.h"

#define INTSET_HEADER 8

extern const uint8_t intset_empty[INTSET_HEADER]; /* width 2, no numbers */

struct intset_plan {
    int64_t value;
    uint32_t index;     /* where the value is or comes */
    bool adds;          /* else it removes */
    bool widens;        /* every number gets more bytes: build only */
    uint32_t width;     /* after */
    uint64_t at;        /* offset of the first byte that intset_apply changes behind the header */
    uint64_t reach;     /* number of bytes it changes from there */
    uint64_t new_bytes; /* whole size after */
};

static inline uint32_t intset_width(const uint8_t *is) { return le_load32(is); }
static inline uint32_t intset_count(const uint8_t *is) { return le_load32(is + 4); }
static inline uint64_t intset_bytes(const uint8_t *is) { return INTSET_HEADER + (uint64_t)intset_width(is) * intset_count(is); }

/* Number at index, which is below the count. A random member is intset_get(is, r % count); least and greatest are the ends. */
static inline int64_t intset_get(const uint8_t *is, uint32_t index)
{
    uint32_t width = intset_width(is);
    const uint8_t *p = is + INTSET_HEADER + (uint64_t)index * width;
    return width == 2 ? (int16_t)le_load16(p) : width == 4 ? (int32_t)le_load32(p) : (int64_t)le_load64(p);
}

/* True if v is in; *index is where it is, or where it would come. index may be NULL. */
bool intset_find(const uint8_t *is, int64_t v, uint32_t *index);

/* False: nothing to do (v is in already, or is not in). */
bool intset_plan_add(const uint8_t *is, int64_t v, struct intset_plan *plan);
bool intset_plan_remove(const uint8_t *is, int64_t v, struct intset_plan *plan);
void intset_apply(uint8_t *is, const struct intset_plan *plan);
void intset_build(uint8_t *dst, const uint8_t *src, const struct intset_plan *plan);

/* Size of the intset of `count` ascending, distinct numbers; intset_build_sorted writes it. */
uint64_t intset_sorted_bytes(const int64_t *sorted, uint32_t count);
void intset_build_sorted(uint8_t *dst, const int64_t *sorted, uint32_t count);

/* Is this an intset of exactly n bytes, not empty? Deep: also ascending without twins. Never reads outside. */
bool intset_validate(const uint8_t *is, size_t n, bool deep);

#endif
