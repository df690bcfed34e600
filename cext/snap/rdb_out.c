/* snap/rdb_out.c - lengths, strings and numbers of the RDB format, written. Rules: rdb_out.h; forms: rdb.h. */
#include "snap/rdb_out.h"

#include "base/le.h"
#include "base/lzf.h"
#include "base/num.h"

#include <stdlib.h>

static struct lzf_work lzf; /* of this process */

/* Where `need` (at most RDB_ROOM_MAX) bytes may be written; NULL when the sink failed. */
static uint8_t *room(struct rdb_out *o, size_t need)
{
    if (unlikely(o->cap - o->len < need)) {
        if (o->failed || !o->room(o, need)) {
            o->failed = true;
            return NULL;
        }
        DCHECK(o->cap - o->len >= need);
    }
    return o->buf + o->len;
}

void rdb_put_raw(struct rdb_out *o, const void *p, size_t n)
{
    const uint8_t *from = p;
    while (n) {
        size_t piece = MIN(n, (size_t)RDB_ROOM_MAX);
        uint8_t *to = room(o, piece);
        if (!to) return;
        memcpy(to, from, piece);
        o->len += piece;
        from += piece;
        n -= piece;
    }
}

void rdb_put_byte(struct rdb_out *o, uint8_t b)
{
    uint8_t *to = room(o, 1);
    if (!to) return;
    *to = b;
    o->len++;
}

void rdb_put_len(struct rdb_out *o, uint64_t n)
{
    uint8_t *to = room(o, 9);
    if (!to) return;
    if (n < 64) {
        to[0] = (uint8_t)n;
        o->len += 1;
    } else if (n < 16384) {
        to[0] = (uint8_t)(0x40 | n >> 8);
        to[1] = (uint8_t)n;
        o->len += 2;
    } else if (n <= UINT32_MAX) {
        to[0] = 0x80;
        be_store32(to + 1, (uint32_t)n);
        o->len += 5;
    } else {
        to[0] = 0x81;
        be_store64(to + 1, n);
        o->len += 9;
    }
}

void rdb_put_u64(struct rdb_out *o, uint64_t v)
{
    uint8_t *to = room(o, 8);
    if (!to) return;
    le_store64(to, v);
    o->len += 8;
}

void rdb_put_double(struct rdb_out *o, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, 8);
    rdb_put_u64(o, bits);
}

/* A number in the special forms; false: it needs more than 32 bits. */
static bool put_small_int(struct rdb_out *o, int64_t v)
{
    if (v < INT32_MIN || v > INT32_MAX) return false;
    uint8_t *to = room(o, 5);
    if (!to) return true;
    if (v >= INT8_MIN && v <= INT8_MAX) {
        to[0] = 0xC0 | RDB_ENC_INT8;
        to[1] = (uint8_t)v;
        o->len += 2;
    } else if (v >= INT16_MIN && v <= INT16_MAX) {
        to[0] = 0xC0 | RDB_ENC_INT16;
        le_store16(to + 1, (uint16_t)v);
        o->len += 3;
    } else {
        to[0] = 0xC0 | RDB_ENC_INT32;
        le_store32(to + 1, (uint32_t)v);
        o->len += 5;
    }
    return true;
}

/* Packed with LZF when that saves at least four bytes. */
static bool put_packed(struct rdb_out *o, const void *p, size_t n)
{
    struct scratch_mark mark = scratch_mark();
    uint8_t *packed = scratch_alloc(n);
    size_t packed_n = lzf_compress(p, n, packed, n - 4, &lzf);
    if (packed_n) {
        rdb_put_byte(o, 0xC0 | RDB_ENC_LZF);
        rdb_put_len(o, packed_n);
        rdb_put_len(o, n);
        rdb_put_raw(o, packed, packed_n);
    }
    scratch_rewind(mark);
    return packed_n != 0;
}

void rdb_put_blob(struct rdb_out *o, const void *p, size_t n)
{
    if (o->compress && n >= RDB_COMPRESS_MIN && n <= RDB_COMPRESS_MAX && put_packed(o, p, n)) return;
    rdb_put_len(o, n);
    rdb_put_raw(o, p, n);
}

void rdb_put_string(struct rdb_out *o, const void *p, size_t n)
{
    int64_t v;
    if (n <= 11 && num_parse_i64(p, n, &v) && put_small_int(o, v)) return;
    rdb_put_blob(o, p, n);
}

void rdb_put_int_string(struct rdb_out *o, int64_t v)
{
    if (put_small_int(o, v)) return;
    uint8_t digits[NUM_I64_ROOM];
    size_t n = num_from_i64(digits, v);
    rdb_put_len(o, n);
    rdb_put_raw(o, digits, n);
}

/* ---- the collecting sink ---- */

#define COLLECT_FIRST (16u << 10)
#define COLLECT_KEEP (1u << 20)
#define COLLECT_MAX (512u << 20)

/* One buffer for the process, not scratch memory: savers rewind that while they write. Nobody leaks it by leaving through txn_fail. */
static uint8_t *collected;
static size_t collected_cap;

static bool collect_grow(size_t cap)
{
    uint8_t *bigger = realloc(collected, cap);
    if (!bigger) return false;
    collected = bigger;
    collected_cap = cap;
    return true;
}

static bool collect_room(struct rdb_out *o, size_t need)
{
    if (o->len + need > COLLECT_MAX || !collect_grow(MAX(o->cap * 2, o->len + need))) return false;
    o->buf = collected;
    o->cap = collected_cap;
    return true;
}

void rdb_out_collect(struct rdb_out *o)
{
    if (collected_cap > COLLECT_KEEP) {
        free(collected);
        collected = NULL;
        collected_cap = 0;
    }
    if (!collected) collect_grow(COLLECT_FIRST);
    *o = (struct rdb_out){.buf = collected, .cap = collected_cap, .room = collect_room};
}
