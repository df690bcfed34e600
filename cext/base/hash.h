/* base/hash.h - the keyed 64-bit hash of the keyspace and of every hash table: multiply-and-fold over 8-byte words.
 *
 * Both factors of every product are mixed with the secret first, so that who does not know the seed can neither build collisions
 * nor force a factor to zero. Inline: about 2 ns for a key of 16 bytes, 4 ns for 64. The result depends on seed, length and
 * every byte; all 64 bits are good, so take a stripe from the high bits, a bucket from the low ones and a tag from between.
 * The seed is made once per segment and lives in its header: hashes of one segment agree between all its processes.
 * Not a cryptographic hash, and never written to a file.
 */
#ifndef SHOAL_BASE_HASH_H
#define SHOAL_BASE_HASH_H

#include "base/le.h"

/* Fractions of the square roots of 2, 3, 5 and 7 (the last two made odd at the end): nothing up the sleeve. */
#define HASH_K0 UINT64_C(0x6A09E667F3BCC909)
#define HASH_K1 UINT64_C(0xBB67AE8584CAA73B)
#define HASH_K2 UINT64_C(0x3C6EF372FE94F82B)
#define HASH_K3 UINT64_C(0xA54FF53A5F1D36F1)

/* High and low half of the 128-bit product, folded. */
static ALWAYS_INLINE uint64_t hash_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 p = (unsigned __int128)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

/* Mixes one 64-bit number (a cursor, a pointer-sized key). */
static ALWAYS_INLINE uint64_t hash_u64(uint64_t v, uint64_t seed)
{
    return hash_fold(hash_fold(v ^ seed ^ HASH_K0, seed + HASH_K1) ^ v, seed ^ HASH_K2);
}

/* 17 bytes and more: four lanes of 16 bytes while there is much, then single steps; the last 16 bytes are left to the caller. */
static inline uint64_t hash_body(const uint8_t *p, size_t n, uint64_t secret)
{
    uint64_t h = secret;
    if (n > 64) {
        uint64_t h1 = secret, h2 = secret, h3 = secret;
        do {
            h = hash_fold(le_load64(p) ^ HASH_K0 ^ h, le_load64(p + 8) ^ secret);
            h1 = hash_fold(le_load64(p + 16) ^ HASH_K1 ^ h1, le_load64(p + 24) ^ secret);
            h2 = hash_fold(le_load64(p + 32) ^ HASH_K2 ^ h2, le_load64(p + 40) ^ secret);
            h3 = hash_fold(le_load64(p + 48) ^ HASH_K3 ^ h3, le_load64(p + 56) ^ secret);
            p += 64;
            n -= 64;
        } while (n > 64);
        h = (h ^ h1) + (h2 ^ h3);
    }
    for (; n > 16; p += 16, n -= 16)
        h = hash_fold(le_load64(p) ^ HASH_K1 ^ h, le_load64(p + 8) ^ secret);
    return h;
}

/* Hash of n bytes under a secret seed. */
static ALWAYS_INLINE uint64_t hash_bytes(const void *key, size_t n, uint64_t seed)
{
    const uint8_t *p = key;
    uint64_t secret = seed ^ HASH_K3, h = secret, a, b;
    if (likely(n <= 16)) {
        if (n >= 8) {
            a = le_load64(p);
            b = le_load64(p + n - 8);
        } else if (n >= 4) {
            a = le_load32(p);
            b = le_load32(p + n - 4);
        } else if (n > 0) {
            a = (uint64_t)p[0] << 16 | (uint64_t)p[n >> 1] << 8 | p[n - 1];
            b = 0;
        } else {
            a = b = 0;
        }
    } else {
        h = hash_body(p, n, secret);
        a = le_load64(p + n - 16);
        b = le_load64(p + n - 8);
    }
    uint64_t mixed = hash_fold(a ^ HASH_K1 ^ secret, b ^ h ^ (seed << 32 | seed >> 32));
    return hash_fold(mixed ^ HASH_K0 ^ n, seed + HASH_K2) ^ mixed;
}

#endif
