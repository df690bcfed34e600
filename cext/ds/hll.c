/* ds/hll.c - HyperLogLog registers, sparse and dense, and the estimate; format and paper in hll.h. Pure functions. */
#include "ds/hll.h"

#include "base/le.h"

#include <math.h>

#define INDEX_BITS 14
#define RANK_BITS (64 - INDEX_BITS)
#define MAX_RANK (RANK_BITS + 1)
#define SPARSE_MAX_VALUE 32
#define SPARSE_MAX_VALUE_RUN 4
#define SPARSE_MAX_SHORT_ZEROS 64

/* ---- whole values ---- */

bool hll_is(const uint8_t *p, size_t n)
{
    return n >= HLL_HEADER && memcmp(p, "HYLL", 4) == 0 && p[4] <= HLL_SPARSE && (p[4] != HLL_DENSE || n == HLL_DENSE_BYTES);
}

void hll_init(uint8_t *p)
{
    memset(p, 0, HLL_HEADER);
    memcpy(p, "HYLL", 4);
    p[4] = HLL_SPARSE;
    p[HLL_HEADER] = 0x40 | (HLL_REGISTERS - 1) >> 8;
    p[HLL_HEADER + 1] = (HLL_REGISTERS - 1) & 0xFF;
}

bool hll_cache_get(const uint8_t *p, uint64_t *count)
{
    *count = le_load64(p + 8);
    return (p[HLL_CACHE_MARK] & 0x80) == 0;
}

void hll_cache_put(uint8_t *p, uint64_t count) { le_store64(p + 8, count); }
void hll_cache_drop(uint8_t *p) { p[HLL_CACHE_MARK] |= 0x80; }

/* ---- hash ---- */

uint64_t hll_murmur64a(const void *key, size_t n, uint64_t seed)
{
    const uint64_t m = 0xC6A4A7935BD1E995u;
    const uint8_t *p = key;
    uint64_t h = seed ^ n * m, tail = 0;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t k = le_load64(p) * m;
        h = (h ^ (k ^ k >> 47) * m) * m;
    }
    if (n > 0) {
        memcpy(&tail, p, n);
        h = (h ^ tail) * m;
    }
    h = (h ^ h >> 47) * m;
    return h ^ h >> 47;
}

struct hll_hash hll_hash(const void *element, size_t n)
{
    uint64_t h = hll_murmur64a(element, n, 0xADC83B19u);
    uint64_t rest = h >> INDEX_BITS | UINT64_C(1) << RANK_BITS; /* the mark ends the search at the last rank */
    return (struct hll_hash){(uint32_t)(h & (HLL_REGISTERS - 1)), (uint32_t)__builtin_ctzll(rest) + 1};
}

/* ---- dense ---- */

void hll_dense_range(uint32_t index, uint32_t *at, uint32_t *n)
{
    *at = HLL_HEADER + index * HLL_BITS / 8;
    *n = (index * HLL_BITS & 7) > 2 ? 2 : 1;
}

unsigned hll_dense_get(const uint8_t *p, uint32_t index)
{
    uint32_t at, n;
    hll_dense_range(index, &at, &n);
    unsigned pair = n == 2 ? le_load16(p + at) : p[at];
    return pair >> (index * HLL_BITS & 7) & 63;
}

void hll_dense_set(uint8_t *p, uint32_t index, unsigned value)
{
    uint32_t at, n, shift = index * HLL_BITS & 7;
    hll_dense_range(index, &at, &n);
    if (n == 1)
        p[at] = (uint8_t)((p[at] & ~(63u << shift)) | value << shift);
    else
        le_store16(p + at, (uint16_t)((le_load16(p + at) & ~(63u << shift)) | value << shift));
}

/* Eight registers are six bytes. */
static void dense_unpack8(const uint8_t *p, uint8_t out[8])
{
    uint64_t v = le_load32(p) | (uint64_t)le_load16(p + 4) << 32;
    for (int i = 0; i < 8; i++)
        out[i] = v >> (i * HLL_BITS) & 63;
}

/* ---- sparse ---- */

/* One opcode: a run of `run` registers that all are `value`. */
struct op {
    uint32_t run;
    uint32_t bytes;
    unsigned value;
};

static ALWAYS_INLINE bool is_value(uint8_t c) { return c >= 0x80; }

/* False: nothing left, or half an opcode. */
static ALWAYS_INLINE bool get_op(const uint8_t *p, const uint8_t *end, struct op *op)
{
    if (p >= end)
        return false;
    uint32_t c = *p;
    if (is_value(*p)) {
        *op = (struct op){(c & 3) + 1, 1, (c >> 2 & 31) + 1};
    } else if (c < 0x40) {
        *op = (struct op){c + 1, 1, 0};
    } else {
        if (end - p < 2)
            return false;
        *op = (struct op){((c & 63) << 8 | p[1]) + 1, 2, 0};
    }
    return true;
}

static uint8_t *put_zeros(uint8_t *p, uint32_t run)
{
    if (run == 0)
        return p;
    if (run > SPARSE_MAX_SHORT_ZEROS)
        *p++ = (uint8_t)(0x40 | (run - 1) >> 8);
    *p++ = (uint8_t)(run - 1);
    return p;
}

static uint8_t *put_values(uint8_t *p, unsigned value, uint32_t run)
{
    if (run > 0)
        *p++ = (uint8_t)(0x80 | (value - 1) << 2 | (run - 1));
    return p;
}

/* The body runs for every run of the sparse value, which begins at register `first`; afterwards RUNS_COMPLETE tells whether the runs
 * were sound and covered all registers. */
#define FOR_EACH_RUN(p, n, op, first)                                                                                  \
    const uint8_t *at_ = (p) + HLL_HEADER, *end_ = (p) + (n);                                                          \
    uint32_t first = 0;                                                                                                \
    struct op op;                                                                                                      \
    for (; get_op(at_, end_, &op) && op.run <= HLL_REGISTERS - first; at_ += op.bytes, first += op.run)
#define RUNS_COMPLETE(first) (at_ == end_ && (first) == HLL_REGISTERS)

bool hll_validate(const uint8_t *p, size_t n)
{
    if (!hll_is(p, n))
        return false;
    if (hll_encoding(p) == HLL_DENSE)
        return true;
    FOR_EACH_RUN(p, n, op, first)
    continue;
    return RUNS_COMPLETE(first);
}

/* ---- reading all registers ---- */

bool hll_merge(uint8_t regs[HLL_REGISTERS], const uint8_t *p, size_t n)
{
    if (hll_encoding(p) == HLL_DENSE) {
        for (uint32_t i = 0; i < HLL_REGISTERS; i += 8) {
            uint8_t eight[8];
            dense_unpack8(p + HLL_HEADER + i / 8 * HLL_BITS, eight);
            for (int k = 0; k < 8; k++)
                regs[i + k] = MAX(regs[i + k], eight[k]);
        }
        return true;
    }
    FOR_EACH_RUN(p, n, op, first)
    {
        for (uint32_t i = first; op.value != 0 && i < first + op.run; i++)
            regs[i] = (uint8_t)MAX(regs[i], op.value);
    }
    return RUNS_COMPLETE(first);
}

static double sigma(double x)
{
    if (x == 1)
        return INFINITY;
    double y = 1, z = x, before;
    do {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    } while (z != before);
    return z;
}

static double tau(double x)
{
    if (x == 0 || x == 1)
        return 0;
    double y = 1, z = 1 - x, before;
    do {
        x = sqrt(x);
        before = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    } while (z != before);
    return z / 3;
}

/* From how many registers have each value. */
static uint64_t estimate(const uint32_t histogram[64])
{
    const double m = HLL_REGISTERS, alpha = 0.721347520444481703680; /* 1 / (2 ln 2) */
    double z = m * tau((m - histogram[MAX_RANK]) / m);
    for (int rank = RANK_BITS; rank >= 1; rank--)
        z = (z + histogram[rank]) * 0.5;
    z += m * sigma(histogram[0] / m);
    return (uint64_t)llround(alpha * m * m / z);
}

bool hll_count(const uint8_t *p, size_t n, uint64_t *count)
{
    uint32_t histogram[64] = {0};
    if (hll_encoding(p) == HLL_DENSE) {
        for (uint32_t i = 0; i < HLL_REGISTERS; i += 8) {
            uint8_t eight[8];
            dense_unpack8(p + HLL_HEADER + i / 8 * HLL_BITS, eight);
            for (int k = 0; k < 8; k++)
                histogram[eight[k]]++;
        }
    } else {
        FOR_EACH_RUN(p, n, op, first)
        histogram[op.value] += op.run;
        if (!RUNS_COMPLETE(first))
            return false;
    }
    *count = estimate(histogram);
    return true;
}

uint64_t hll_count_registers(const uint8_t regs[HLL_REGISTERS])
{
    uint32_t histogram[64] = {0};
    for (uint32_t i = 0; i < HLL_REGISTERS; i++)
        histogram[regs[i] & 63]++;
    return estimate(histogram);
}

/* ---- changing a private copy ---- */

bool hll_to_dense(struct hll_work *w)
{
    if (hll_encoding(w->p) == HLL_DENSE)
        return true;
    uint8_t dense[HLL_DENSE_BYTES] = {0};
    FOR_EACH_RUN(w->p, w->n, op, first)
    {
        for (uint32_t i = first; op.value != 0 && i < first + op.run; i++)
            hll_dense_set(dense, i, op.value);
    }
    if (!RUNS_COMPLETE(first))
        return false;
    memcpy(dense, w->p, HLL_HEADER);
    dense[4] = HLL_DENSE;
    memcpy(w->p, dense, HLL_DENSE_BYTES);
    w->n = HLL_DENSE_BYTES;
    return true;
}

static enum hll_result dense_raise(struct hll_work *w, uint32_t index, unsigned value)
{
    if (hll_dense_get(w->p, index) >= value)
        return HLL_SAME;
    hll_dense_set(w->p, index, value);
    hll_cache_drop(w->p);
    return HLL_RAISED;
}

static enum hll_result promote_and_raise(struct hll_work *w, uint32_t index, unsigned value)
{
    return hll_to_dense(w) ? dense_raise(w, index, value) : HLL_CORRUPT;
}

/* Joins runs of one value that have become neighbours, from `p` on; Redis looks at five opcodes, and the bytes shall be the same. */
static void join_values(struct hll_work *w, uint8_t *p)
{
    uint8_t *end = w->p + w->n;
    for (int look = 5; p < end && look > 0; look--) {
        struct op a, b;
        if (!get_op(p, end, &a))
            break;
        if (a.value != 0 && p + 1 < end && is_value(p[1]) && get_op(p + 1, end, &b) && a.value == b.value &&
            a.run + b.run <= SPARSE_MAX_VALUE_RUN) {
            put_values(p + 1, a.value, a.run + b.run);
            memmove(p, p + 1, (size_t)(end - p - 1));
            end--;
        } else {
            p += a.bytes;
        }
    }
    w->n = (size_t)(end - w->p);
}

static enum hll_result sparse_raise(struct hll_work *w, uint32_t index, unsigned value)
{
    uint8_t *p = w->p + HLL_HEADER, *end = w->p + w->n, *before = p, with[8], *q = with;
    uint32_t first = 0;
    struct op op;
    for (;;) {
        if (!get_op(p, end, &op))
            return HLL_CORRUPT;
        if (index < first + op.run)
            break;
        before = p;
        p += op.bytes;
        first += op.run;
    }
    if (op.value >= value)
        return HLL_SAME;
    uint32_t left = index - first, right = op.run - left - 1;
    q = op.value ? put_values(q, op.value, left) : put_zeros(q, left);
    q = put_values(q, value, 1);
    q = op.value ? put_values(q, op.value, right) : put_zeros(q, right);
    size_t with_n = (size_t)(q - with);
    if (with_n > op.bytes && w->n + with_n - op.bytes > MIN(w->sparse_max, (size_t)HLL_WORK_BYTES))
        return promote_and_raise(w, index, value);
    memmove(p + with_n, p + op.bytes, (size_t)(end - p) - op.bytes);
    memcpy(p, with, with_n);
    w->n = w->n + with_n - op.bytes;
    join_values(w, before);
    hll_cache_drop(w->p);
    return HLL_RAISED;
}

enum hll_result hll_raise(struct hll_work *w, uint32_t index, unsigned value)
{
    if (hll_encoding(w->p) == HLL_DENSE)
        return dense_raise(w, index, value);
    return value > SPARSE_MAX_VALUE ? promote_and_raise(w, index, value) : sparse_raise(w, index, value);
}

enum hll_result hll_add(struct hll_work *w, const void *element, size_t n)
{
    struct hll_hash h = hll_hash(element, n);
    return hll_raise(w, h.index, h.rank);
}
