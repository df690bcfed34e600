/* tests/c/payloads.h - values as RDB bytes made by hand: element forms, and the compact encodings of older versions of Redis. */
#ifndef SHOAL_TESTS_PAYLOADS_H
#define SHOAL_TESTS_PAYLOADS_H

#include <stdio.h>

#include "base/le.h"
#include "rnd.h"
#include "snap/rdb_out.h"

struct payload {
    unsigned type;
    uint8_t *p;
    size_t n;
};

static struct rdb_out made;
static uint8_t made_bytes[4 << 20];

static void begin(void) { made = (struct rdb_out){.buf = made_bytes, .cap = sizeof made_bytes}; }
static struct payload end(unsigned type) { return (struct payload){type, copy_exactly(made.buf, made.len), made.len}; }

static size_t word(char *dst, unsigned i, unsigned size)
{
    size_t n = (size_t)(i % 3 ? sprintf(dst, "%u", i * 7919) : sprintf(dst, "word-%u", i));
    for (; i % 3 == 0 && n < size; n++) dst[n] = (char)('a' + i % 26);
    return n;
}

/* Values of the element forms: lists, sets (1 string each), sorted sets (string and score), hashes (2 strings). */
static inline struct payload plain(unsigned type, unsigned count, unsigned size)
{
    char text[70000];
    begin();
    if (type == RDB_HASH_TTL) rdb_put_u64(&made, 4000000000000);
    rdb_put_len(&made, count);
    for (unsigned i = 0; i < count; i++) {
        if (type == RDB_HASH_TTL) rdb_put_len(&made, i % 4 ? 0 : i * 1000 + 1);
        rdb_put_string(&made, text, word(text, i, size));
        if (type == RDB_ZSET_2) rdb_put_double(&made, (double)i / 4);
        if (type == RDB_HASH || type == RDB_HASH_TTL) rdb_put_string(&made, text, word(text, i + 1, size));
    }
    return end(type);
}

/* A ziplist of words: `pairs`: word and its number / 4 (zset) or word and the next word (hash). */
enum row { ROW_WORDS, ROW_SCORES, ROW_FIELDS };

static size_t ziplist(uint8_t *z, unsigned count, enum row kind)
{
    uint8_t *p = z + 10, *last = p;
    unsigned entries = count * (kind == ROW_WORDS ? 1 : 2);
    for (unsigned i = 0, previous = 0; i < entries; i++) {
        char text[64];
        size_t n;
        if (kind == ROW_WORDS)
            n = word(text, i, 0);
        else if (i % 2 == 0)
            n = word(text, i / 2, 0);
        else
            n = kind == ROW_SCORES ? (size_t)sprintf(text, "%.17g", i / 2 / 4.0) : word(text, i / 2 + 1, 0);
        last = p;
        *p++ = (uint8_t)previous;
        *p++ = (uint8_t)n;
        memcpy(p, text, n);
        p += n;
        previous = (unsigned)(p - last);
    }
    *p++ = 0xFF;
    le_store32(z, (uint32_t)(p - z));
    le_store32(z + 4, (uint32_t)(last - z));
    le_store16(z + 8, (uint16_t)entries);
    return (size_t)(p - z);
}

static inline struct payload old(unsigned type, unsigned count)
{
    uint8_t z[8192];
    begin();
    enum row kind = type == RDB_ZSET_ZIPLIST ? ROW_SCORES : type == RDB_HASH_ZIPLIST ? ROW_FIELDS : ROW_WORDS;
    if (type == RDB_LIST_QUICKLIST) rdb_put_len(&made, 1);
    if (type == RDB_HASH_ZIPMAP) {
        uint8_t *p = z;
        *p++ = (uint8_t)count;
        for (unsigned i = 0; i < count; i++) {
            char text[64];
            uint8_t n = (uint8_t)word(text, i, 0);
            *p++ = n;
            memcpy(p, text, n);
            p += n;
            n = (uint8_t)word(text, i + 1, 0);
            *p++ = n;
            *p++ = 0;
            memcpy(p, text, n);
            p += n;
        }
        *p++ = 0xFF;
        rdb_put_blob(&made, z, (size_t)(p - z));
    } else {
        rdb_put_blob(&made, z, ziplist(z, count, kind));
    }
    return end(type);
}

#endif
