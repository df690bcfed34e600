/* snap/rdb_in.c - lengths, strings and numbers of the RDB format, read with care. Rules: rdb_in.h; forms: rdb.h. */
#include "snap/rdb_in.h"

#include "base/le.h"
#include "base/lzf.h"
#include "base/num.h"

#include <math.h>

bool rdb_get_byte(struct rdb_in *in, uint8_t *b)
{
    if (!rdb_have(in, 1)) return false;
    *b = *in->p++;
    return true;
}

bool rdb_get_u64(struct rdb_in *in, uint64_t *v)
{
    if (!rdb_have(in, 8)) return false;
    *v = le_load64(in->p);
    in->p += 8;
    return true;
}

bool rdb_get_double(struct rdb_in *in, double *v)
{
    uint64_t bits;
    if (!rdb_get_u64(in, &bits)) return false;
    memcpy(v, &bits, 8);
    return isnan(*v) ? rdb_bad(in) : true;
}

bool rdb_get_double_text(struct rdb_in *in, double *v)
{
    uint8_t n;
    if (!rdb_get_byte(in, &n)) return false;
    if (n == 253) return rdb_bad(in); /* not a number */
    if (n >= 254) {
        *v = n == 255 ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    if (!rdb_have(in, n)) return false;
    bool sound = num_parse_double(in->p, n, v);
    in->p += n;
    return sound && !isnan(*v) ? true : rdb_bad(in);
}

/* *form: -1, or the special form that comes in place of a length. */
static bool get_len_or_form(struct rdb_in *in, uint64_t *n, int *form)
{
    uint8_t b;
    *form = -1;
    if (!rdb_get_byte(in, &b)) return false;
    switch (b >> 6) {
    case 0: *n = b; return true;
    case 1: {
        uint8_t low;
        if (!rdb_get_byte(in, &low)) return false;
        *n = (uint64_t)(b & 63) << 8 | low;
        return true;
    }
    case 3: *form = b & 63; return true;
    }
    if (b != 0x80 && b != 0x81) return rdb_bad(in);
    size_t bytes = b == 0x80 ? 4 : 8;
    if (!rdb_have(in, bytes)) return false;
    *n = bytes == 4 ? be_load32(in->p) : be_load64(in->p);
    in->p += bytes;
    return true;
}

bool rdb_get_len(struct rdb_in *in, uint64_t *n)
{
    int form;
    if (!get_len_or_form(in, n, &form)) return false;
    return form < 0 ? true : rdb_bad(in);
}

bool rdb_get_count(struct rdb_in *in, size_t least, uint64_t *n)
{
    if (!rdb_get_len(in, n)) return false;
    if (!in->more && *n > (size_t)(in->end - in->p) / least) return rdb_bad(in);
    return true;
}

bool rdb_get_raw(struct rdb_in *in, size_t n, struct slice *s)
{
    if (n > RDB_STRING_MAX) return rdb_bad(in);
    if (!rdb_have(in, n)) return false;
    *s = (struct slice){in->p, n};
    if (in->more) {
        uint8_t *copy = scratch_alloc(n + !n);
        memcpy(copy, in->p, n);
        s->p = copy;
    }
    in->p += n;
    return true;
}

static bool get_int_string(struct rdb_in *in, int form, struct slice *s)
{
    size_t bytes = (size_t)1 << form;
    if (!rdb_have(in, bytes)) return false;
    int64_t v = form == RDB_ENC_INT8    ? (int8_t)in->p[0]
                : form == RDB_ENC_INT16 ? (int16_t)le_load16(in->p)
                                        : (int32_t)le_load32(in->p);
    in->p += bytes;
    uint8_t *text = scratch_alloc(NUM_I64_ROOM);
    *s = (struct slice){text, num_from_i64(text, v)};
    return true;
}

static bool get_packed_string(struct rdb_in *in, struct slice *s)
{
    uint64_t packed, n;
    if (!rdb_get_len(in, &packed) || !rdb_get_len(in, &n)) return false;
    /* a copy of three bytes makes at most 264: a larger length is a lie */
    if (!n || n > RDB_STRING_MAX || packed > RDB_STRING_MAX || n > packed * 264) return rdb_bad(in);
    if (!rdb_have(in, packed)) return false;
    uint8_t *text = scratch_alloc(n);
    if (!lzf_decompress(in->p, packed, text, n)) return rdb_bad(in);
    in->p += packed;
    *s = (struct slice){text, n};
    return true;
}

bool rdb_get_string(struct rdb_in *in, struct slice *s)
{
    uint64_t n;
    int form;
    if (!get_len_or_form(in, &n, &form)) return false;
    if (form < 0) return n > RDB_STRING_MAX ? rdb_bad(in) : rdb_get_raw(in, n, s);
    if (form <= RDB_ENC_INT32) return get_int_string(in, form, s);
    return form == RDB_ENC_LZF ? get_packed_string(in, s) : rdb_bad(in);
}
