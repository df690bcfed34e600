/* base/sha.c - SHA-1 and SHA-256 after FIPS 180-4, sections 5 and 6. Pure functions, nothing shared. */
#include "base/sha.h"

#include "base/le.h"

typedef void compress_fn(uint32_t *h, const uint8_t *block);

static uint32_t rotl(uint32_t v, unsigned n) { return v << n | v >> (32 - n); }
static uint32_t rotr(uint32_t v, unsigned n) { return v >> n | v << (32 - n); }

static void sha1_compress(uint32_t *h, const uint8_t *block)
{
    uint32_t w[80];
    for (int t = 0; t < 16; t++)
        w[t] = be_load32(block + 4 * t);
    for (int t = 16; t < 80; t++)
        w[t] = rotl(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int t = 0; t < 80; t++) {
        uint32_t f, k;
        if (t < 20) {
            f = (b & c) | (~b & d);
            k = 0x5A827999;
        } else if (t < 40) {
            f = b ^ c ^ d;
            k = 0x6ED9EBA1;
        } else if (t < 60) {
            f = (b & c) | (b & d) | (c & d);
            k = 0x8F1BBCDC;
        } else {
            f = b ^ c ^ d;
            k = 0xCA62C1D6;
        }
        uint32_t next = rotl(a, 5) + f + e + k + w[t];
        e = d;
        d = c;
        c = rotl(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t sha256_k[64] = {
    0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
    0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
    0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
    0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
    0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
    0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
    0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
    0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
};

static void sha256_compress(uint32_t *h, const uint8_t *block)
{
    uint32_t w[64], v[8];
    for (int t = 0; t < 16; t++)
        w[t] = be_load32(block + 4 * t);
    for (int t = 16; t < 64; t++) {
        uint32_t s0 = rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    memcpy(v, h, sizeof v);
    for (int t = 0; t < 64; t++) {
        uint32_t e = v[4], a = v[0];
        uint32_t t1 = v[7] + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & v[5]) ^ (~e & v[6])) + sha256_k[t] + w[t];
        uint32_t t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof v[0]);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        h[i] += v[i];
}

static void feed(struct sha *s, const void *data, size_t n, compress_fn *compress)
{
    const uint8_t *p = data;
    size_t used = s->bytes % SHA_BLOCK;
    s->bytes += n;
    if (n == 0)
        return;
    if (used != 0) {
        size_t part = MIN(n, SHA_BLOCK - used);
        memcpy(s->block + used, p, part);
        if (used + part < SHA_BLOCK)
            return;
        compress(s->h, s->block);
        p += part;
        n -= part;
    }
    for (; n >= SHA_BLOCK; p += SHA_BLOCK, n -= SHA_BLOCK)
        compress(s->h, p);
    memcpy(s->block, p, n);
}

/* A one bit, zeros, the length in bits; then the state words, big-endian. */
static void end(struct sha *s, uint8_t *digest, size_t digest_bytes, compress_fn *compress)
{
    uint64_t bits = s->bytes * 8;
    size_t used = s->bytes % SHA_BLOCK;
    s->block[used++] = 0x80;
    if (used > SHA_BLOCK - 8) {
        memset(s->block + used, 0, SHA_BLOCK - used);
        compress(s->h, s->block);
        used = 0;
    }
    memset(s->block + used, 0, SHA_BLOCK - 8 - used);
    be_store64(s->block + SHA_BLOCK - 8, bits);
    compress(s->h, s->block);
    for (size_t i = 0; i < digest_bytes / 4; i++)
        be_store32(digest + 4 * i, s->h[i]);
}

void sha1_init(struct sha *s)
{
    *s = (struct sha){.h = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0}};
}

void sha1_feed(struct sha *s, const void *data, size_t n) { feed(s, data, n, sha1_compress); }
void sha1_end(struct sha *s, uint8_t digest[SHA1_BYTES]) { end(s, digest, SHA1_BYTES, sha1_compress); }

void sha256_init(struct sha *s)
{
    *s = (struct sha){
        .h = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19}};
}

void sha256_feed(struct sha *s, const void *data, size_t n) { feed(s, data, n, sha256_compress); }
void sha256_end(struct sha *s, uint8_t digest[SHA256_BYTES]) { end(s, digest, SHA256_BYTES, sha256_compress); }

void sha1_bytes(const void *data, size_t n, uint8_t digest[SHA1_BYTES])
{
    struct sha s;
    sha1_init(&s);
    sha1_feed(&s, data, n);
    sha1_end(&s, digest);
}

void sha256_bytes(const void *data, size_t n, uint8_t digest[SHA256_BYTES])
{
    struct sha s;
    sha256_init(&s);
    sha256_feed(&s, data, n);
    sha256_end(&s, digest);
}

void hex_text(char *dst, const uint8_t *src, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        dst[2 * i] = digits[src[i] >> 4];
        dst[2 * i + 1] = digits[src[i] & 15];
    }
}
