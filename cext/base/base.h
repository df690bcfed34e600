/* base/base.h - compiler words used everywhere: likely/unlikely, checks, slices.
 *
 * ENSURE(cond)  always on: an invariant whose breach must stop this process (the supervisor starts an heir).
 * DCHECK(cond)  only with -DSHOAL_DEBUG: for checks too dear for the serving path.
 * Not for: anything that touches shared memory.
 */
#ifndef SHOAL_BASE_H
#define SHOAL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#define NORETURN __attribute__((noreturn))
#define COLD __attribute__((cold, noinline))
#define UNUSED __attribute__((unused))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CACHE_LINE 64
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Writes "file:line: what" to standard error and aborts. Safe to call anywhere. */
void ensure_failed(const char *file, int line, const char *what) NORETURN COLD;

#define ENSURE(cond) (likely(cond) ? (void)0 : ensure_failed(__FILE__, __LINE__, #cond))
#ifdef SHOAL_DEBUG
#define DCHECK(cond) ENSURE(cond)
#else
#define DCHECK(cond) ((void)sizeof(cond))
#endif

/* Bytes that somebody else owns. `p` may be NULL only when `n` is 0. */
struct slice {
    const uint8_t *p;
    size_t n; /* bytes */
};

#define SLICE(literal) ((struct slice){(const uint8_t *)(literal), sizeof(literal) - 1})

/* memcmp(a, b, n) == 0, inline: most keys are short. */
static ALWAYS_INLINE bool bytes_equal(const void *a, const void *b, size_t n)
{
    const uint8_t *p = a, *q = b;
    uint64_t x, y;
    if (likely(n >= 8)) {
        for (size_t i = 0; i + 8 < n; i += 8) {
            __builtin_memcpy(&x, p + i, 8), __builtin_memcpy(&y, q + i, 8);
            if (x != y) return false;
        }
        __builtin_memcpy(&x, p + n - 8, 8), __builtin_memcpy(&y, q + n - 8, 8);
        return x == y;
    }
    for (size_t i = 0; i < n; i++)
        if (p[i] != q[i]) return false;
    return true;
}

/* Rounds n up to a multiple of the power of two `unit`. */
static ALWAYS_INLINE uint64_t round_up(uint64_t n, uint64_t unit) { return (n + unit - 1) & ~(unit - 1); }

#endif
