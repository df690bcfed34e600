/* base/lzf.c - LZF reader and writer; the format is in lzf.h. Pure functions. */
#include "base/lzf.h"

#include "base/le.h"

#define MIN_COPY 4 /* the format has copies of 3: they save a byte at most, and look for them in text without repeats is in vain */
#define MAX_COPY 264
#define MAX_DISTANCE 8192
#define MAX_RUN 32
#define SKIP_BITS 5 /* after each 2^n bytes without a copy the search takes longer steps */
#define SKIP_MAX 16

static ALWAYS_INLINE uint32_t slot_of(const uint8_t *p) { return le_load32(p) * 0x9E3779B1u >> 19; }

/* Writes literals in runs of at most 32. NULL: no room. */
static uint8_t *put_literals(uint8_t *out, const uint8_t *out_end, const uint8_t *from, const uint8_t *to)
{
    size_t n = (size_t)(to - from);
    if ((size_t)(out_end - out) < n + (n + MAX_RUN - 1) / MAX_RUN)
        return NULL;
    while (from < to) {
        size_t run = MIN((size_t)(to - from), (size_t)MAX_RUN);
        *out++ = (uint8_t)(run - 1);
        memcpy(out, from, run);
        out += run;
        from += run;
    }
    return out;
}

static uint8_t *put_copy(uint8_t *out, const uint8_t *out_end, size_t length, size_t distance)
{
    size_t code = length - 2, back = distance - 1;
    if (out_end - out < 3)
        return NULL;
    if (code < 7) {
        *out++ = (uint8_t)(code << 5 | back >> 8);
    } else {
        *out++ = (uint8_t)(7 << 5 | back >> 8);
        *out++ = (uint8_t)(code - 7);
    }
    *out++ = (uint8_t)back;
    return out;
}

static size_t common_length(const uint8_t *a, const uint8_t *b, size_t limit)
{
    size_t n = 0;
    while (n + 8 <= limit) {
        uint64_t diff = le_load64(a + n) ^ le_load64(b + n);
        if (diff != 0)
            return n + (size_t)(__builtin_ctzll(diff) >> 3);
        n += 8;
    }
    while (n < limit && a[n] == b[n])
        n++;
    return n;
}

size_t lzf_compress(const uint8_t *src, size_t n, uint8_t *dst, size_t dst_n, struct lzf_work *work)
{
    const uint8_t *p = src, *literals = src, *end = src + n, *out_end = dst + dst_n;
    uint8_t *out = dst;
    if (n <= MIN_COPY || n > INT32_MAX)
        return 0;
    if (work->base > UINT32_MAX - (uint32_t)n - 1)
        memset(work, 0, sizeof *work);
    uint32_t base = work->base;
    work->base += (uint32_t)n; /* for the next call; last[] holds base + position + 1 */
    while (end - p >= MIN_COPY) {
        uint32_t *last = &work->last[slot_of(p)];
        size_t at = (size_t)(p - src), seen = *last > base ? *last - base : 0;
        *last = base + (uint32_t)at + 1;
        const uint8_t *ref = src + seen - 1;
        if (seen == 0 || at - (seen - 1) > MAX_DISTANCE || le_load32(ref) != le_load32(p)) {
            p += 1 + MIN((size_t)(p - literals) >> SKIP_BITS, (size_t)SKIP_MAX);
            continue;
        }
        size_t length = MIN_COPY + common_length(ref + MIN_COPY, p + MIN_COPY, MIN((size_t)(end - p), (size_t)MAX_COPY) - MIN_COPY);
        out = put_literals(out, out_end, literals, p);
        if (out == NULL || (out = put_copy(out, out_end, length, (size_t)(p - ref))) == NULL)
            return 0;
        p += length;
        literals = p;
        if (end - p >= MIN_COPY - 1)
            work->last[slot_of(p - 1)] = base + (uint32_t)(p - 1 - src) + 1;
    }
    out = put_literals(out, out_end, literals, end);
    return out == NULL ? 0 : (size_t)(out - dst);
}

/* Copies forward, so that a copy may read what it has just written. */
static void copy_back(uint8_t *out, size_t distance, size_t length)
{
    const uint8_t *from = out - distance;
    if (distance >= length)
        memcpy(out, from, length);
    else if (distance == 1)
        memset(out, *from, length);
    else
        while (length-- > 0)
            *out++ = *from++;
}

bool lzf_decompress(const uint8_t *src, size_t n, uint8_t *dst, size_t dst_n)
{
    const uint8_t *p = src, *end = src + n;
    uint8_t *out = dst, *out_end = dst + dst_n;
    while (p < end) {
        size_t control = *p++;
        if (control < MAX_RUN) {
            size_t run = control + 1;
            if ((size_t)(end - p) < run || (size_t)(out_end - out) < run)
                return false;
            memcpy(out, p, run);
            p += run;
            out += run;
            continue;
        }
        size_t length = control >> 5;
        if (length == 7) {
            if (p == end)
                return false;
            length += *p++;
        }
        length += 2;
        if (p == end)
            return false;
        size_t distance = ((control & 31) << 8 | *p++) + 1;
        if ((size_t)(out - dst) < distance || (size_t)(out_end - out) < length)
            return false;
        copy_back(out, distance, length);
        out += length;
    }
    return out == out_end;
}
