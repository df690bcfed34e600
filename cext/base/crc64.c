/* base/crc64.c - CRC-64 eight bytes a step (slicing-by-8; Kounavis and Berry, 2005), CRC-16 a byte a step. */
#include "base/crc64.h"

#include "base/le.h"

#define JONES_REFLECTED UINT64_C(0x95AC9329AC4BC9B5) /* 0xAD93D23594C935A9, bits reversed */
#define XMODEM 0x1021u

static uint64_t crc64_table[8][256]; /* [k][b]: what byte b does to the sum when k more bytes follow it */
static uint16_t crc16_table[256];

__attribute__((constructor)) static void make_tables(void)
{
    for (unsigned b = 0; b < 256; b++) {
        uint64_t v = b;
        unsigned w = b << 8;
        for (int bit = 0; bit < 8; bit++) {
            v = v & 1 ? v >> 1 ^ JONES_REFLECTED : v >> 1;
            w = w & 0x8000 ? w << 1 ^ XMODEM : w << 1;
        }
        crc64_table[0][b] = v;
        crc16_table[b] = (uint16_t)w;
    }
    for (int k = 1; k < 8; k++)
        for (unsigned b = 0; b < 256; b++) {
            uint64_t v = crc64_table[k - 1][b];
            crc64_table[k][b] = v >> 8 ^ crc64_table[0][v & 0xFF];
        }
}

uint64_t crc64(uint64_t crc, const void *data, size_t n)
{
    const uint8_t *p = data;
    for (; n >= 8; p += 8, n -= 8) {
        crc ^= le_load64(p);
        crc = crc64_table[7][crc & 0xFF] ^ crc64_table[6][crc >> 8 & 0xFF] ^ crc64_table[5][crc >> 16 & 0xFF] ^
              crc64_table[4][crc >> 24 & 0xFF] ^ crc64_table[3][crc >> 32 & 0xFF] ^ crc64_table[2][crc >> 40 & 0xFF] ^
              crc64_table[1][crc >> 48 & 0xFF] ^ crc64_table[0][crc >> 56];
    }
    for (; n > 0; p++, n--)
        crc = crc64_table[0][(crc ^ *p) & 0xFF] ^ crc >> 8;
    return crc;
}

uint16_t crc16(const void *data, size_t n)
{
    const uint8_t *p = data;
    unsigned crc = 0;
    for (; n > 0; p++, n--)
        crc = (crc << 8 & 0xFFFF) ^ crc16_table[crc >> 8 ^ *p];
    return (uint16_t)crc;
}

unsigned crc16_key_slot(const uint8_t *key, size_t n)
{
    const uint8_t *open = n > 0 ? memchr(key, '{', n) : NULL;
    if (open != NULL) {
        const uint8_t *tag = open + 1, *close = memchr(tag, '}', (size_t)(key + n - tag));
        if (close != NULL && close > tag)
            return crc16(tag, (size_t)(close - tag)) % KEY_SLOTS;
    }
    return crc16(key, n) % KEY_SLOTS;
}
