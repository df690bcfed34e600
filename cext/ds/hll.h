/* ds/hll.h - HyperLogLog as a string value, bit for bit as Redis keeps it: 16384 registers of 6 bits, error 0.81 %.
 *
 *   "HYLL" | encoding u8 (0 dense, 1 sparse) | 3 unused | cached count u64 little-endian, valid while its highest bit is 0 | registers
 *   dense    register i is the 6 bits from bit 6i on, lowest bit of each byte first; the value is always HLL_DENSE_BYTES long
 *   sparse   opcodes:  00nnnnnn           n + 1 registers are 0
 *                      01nnnnnn nnnnnnnn  n + 1 registers are 0
 *                      1vvvvvnn           n + 1 registers are v + 1
 * The estimate is Ertl's ("New cardinality estimation algorithms for HyperLogLog sketches", 2017, algorithm 6); the element hash is
 * MurmurHash64A with seed 0xADC83B19; the low 14 bits choose the register.
 *
 * PURE. Two ways to add:
 *   one store   the value is dense: hll_hash, hll_dense_get; if lower, announce hll_dense_range and byte HLL_CACHE_MARK, then
 *               hll_dense_set and hll_cache_drop;
 *   a copy      copy the value into a struct hll_work (private memory), hll_add as often as wanted, store work.p[0, n) as the new value.
 *               A value longer than HLL_WORK_BYTES is corrupt.
 * Functions that read sparse registers check them on the way and return false on nonsense, so no value is dangerous.
 */
#ifndef SHOAL_DS_HLL_H
#define SHOAL_DS_HLL_H

#include "base/base.h"

#define HLL_REGISTERS 16384
#define HLL_BITS 6
#define HLL_HEADER 16
#define HLL_DENSE_BYTES (HLL_HEADER + HLL_REGISTERS * HLL_BITS / 8)
#define HLL_EMPTY_BYTES (HLL_HEADER + 2)
#define HLL_CACHE_MARK 15 /* offset of the byte that hll_cache_drop changes */
/* No sparse value that makes sense is longer: each register costs at most the two bytes of a long zero run. */
#define HLL_WORK_BYTES (HLL_HEADER + 2 * HLL_REGISTERS + 16)
#define HLL_SPARSE_MAX_DEFAULT 3000

enum hll_encoding { HLL_DENSE = 0, HLL_SPARSE = 1 };

/* ---- whole values ---- */

/* Magic, known encoding, and the right size if dense. Everything else here asks for that first. */
bool hll_is(const uint8_t *p, size_t n);
/* hll_is, and the sparse opcodes cover exactly all registers. */
bool hll_validate(const uint8_t *p, size_t n);
static inline enum hll_encoding hll_encoding(const uint8_t *p) { return (enum hll_encoding)p[4]; }
/* Writes the empty sparse value, HLL_EMPTY_BYTES. */
void hll_init(uint8_t *p);

/* The cached count, or false if a register has changed since. */
bool hll_cache_get(const uint8_t *p, uint64_t *count);
void hll_cache_put(uint8_t *p, uint64_t count); /* changes bytes 8 to 15 */
void hll_cache_drop(uint8_t *p);

/* ---- registers ---- */

struct hll_hash {
    uint32_t index; /* of the register */
    uint32_t rank;  /* what the register must at least be: 1 to 51 */
};
struct hll_hash hll_hash(const void *element, size_t n);
uint64_t hll_murmur64a(const void *key, size_t n, uint64_t seed);

unsigned hll_dense_get(const uint8_t *p, uint32_t index);
void hll_dense_set(uint8_t *p, uint32_t index, unsigned value);
/* The bytes that hll_dense_set changes. */
void hll_dense_range(uint32_t index, uint32_t *at, uint32_t *n);

/* Raises each of regs to the value's register. False: corrupt. */
bool hll_merge(uint8_t regs[HLL_REGISTERS], const uint8_t *p, size_t n);
/* Estimates of one value (cache ignored), of plain registers. */
bool hll_count(const uint8_t *p, size_t n, uint64_t *count);
uint64_t hll_count_registers(const uint8_t regs[HLL_REGISTERS]);

/* ---- changing a private copy ---- */

struct hll_work {
    uint8_t *p;        /* HLL_WORK_BYTES of private memory that holds the value */
    size_t n;          /* its length now */
    size_t sparse_max; /* hll-sparse-max-bytes: longer becomes dense */
};

enum hll_result { HLL_CORRUPT = -1, HLL_SAME = 0, HLL_RAISED = 1 };

/* Raise one register, or the register of an element; drops the cached count if that changes it. */
enum hll_result hll_raise(struct hll_work *w, uint32_t index, unsigned value);
enum hll_result hll_add(struct hll_work *w, const void *element, size_t n);
/* False: corrupt. */
bool hll_to_dense(struct hll_work *w);

#endif
