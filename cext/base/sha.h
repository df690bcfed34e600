/* base/sha.h - SHA-1 (script names, DEBUG DIGEST) and SHA-256 (ACL passwords): FIPS 180-4. Pure functions.
 */
#ifndef SHOAL_BASE_SHA_H
#define SHOAL_BASE_SHA_H

#include "base/base.h"

#define SHA1_BYTES 20
#define SHA256_BYTES 32
#define SHA_BLOCK 64

/* One state serves both: SHA-1 uses the first five words. */
struct sha {
    uint32_t h[8];
    uint64_t bytes; /* fed so far */
    uint8_t block[SHA_BLOCK];
};

void sha1_init(struct sha *s);
void sha1_feed(struct sha *s, const void *data, size_t n);
void sha1_end(struct sha *s, uint8_t digest[SHA1_BYTES]);

void sha256_init(struct sha *s);
void sha256_feed(struct sha *s, const void *data, size_t n);
void sha256_end(struct sha *s, uint8_t digest[SHA256_BYTES]);

/* Whole buffers at once. */
void sha1_bytes(const void *data, size_t n, uint8_t digest[SHA1_BYTES]);
void sha256_bytes(const void *data, size_t n, uint8_t digest[SHA256_BYTES]);

/* Lower-case hexadecimal text of n bytes: writes 2n characters, no terminator. */
void hex_text(char *dst, const uint8_t *src, size_t n);

#endif
