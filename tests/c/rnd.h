/* tests/c/rnd.h - a small random generator for tests (splitmix64): the same numbers in every run. */
#ifndef SHOAL_TESTS_RND_H
#define SHOAL_TESTS_RND_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t rnd_state = 42;

static inline uint64_t rnd(void)
{
    uint64_t z = rnd_state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static inline void rnd_fill(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)rnd();
}

/* A copy in an allocation of exactly n bytes, so that the sanitizer sees a read behind it. Free it. */
static __attribute__((noinline, unused)) uint8_t *copy_exactly(const void *p, size_t n)
{
    uint8_t *copy = malloc(n + !n);
    if (n > 0)
        memcpy(copy, p, n);
    return copy;
}

#endif
