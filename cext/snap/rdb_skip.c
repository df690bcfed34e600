/* snap/rdb_skip.c - passing over values of RDB records by their lengths alone, for a loader whose turn it is not. The forms: the files that
 * read them (load_*.c). Nothing is checked beyond what is needed to find the end. */
#include "base/le.h"
#include "snap/rdb_load.h"

bool rdb_skip_bytes(struct rdb_in *in, uint64_t n)
{
    while (n) {
        if (!rdb_have(in, 1)) return false;
        size_t piece = MIN(n, (uint64_t)(in->end - in->p));
        in->p += piece;
        n -= piece;
    }
    return true;
}

static bool skip_string(struct rdb_in *in)
{
    uint64_t n, unpacked;
    uint8_t b;
    if (!rdb_have(in, 1)) return false;
    b = *in->p;
    if (b >> 6 != 3) return rdb_get_len(in, &n) && rdb_skip_bytes(in, n);
    in->p++;
    if ((b & 63) <= RDB_ENC_INT32) return rdb_skip_bytes(in, 1ull << (b & 63));
    if ((b & 63) != RDB_ENC_LZF) return rdb_bad(in);
    return rdb_get_len(in, &n) && rdb_get_len(in, &unpacked) && rdb_skip_bytes(in, n);
}

static bool skip_double_text(struct rdb_in *in)
{
    uint8_t n;
    return rdb_get_byte(in, &n) && rdb_skip_bytes(in, n < 253 ? n : 0);
}

/* What a value consists of: s string, l length, t score as text, 8 and 16 (written i) so many bytes, (...) a count and so many times. */
static const char *shape_of(unsigned type)
{
    static const char *const shapes[RDB_TYPE_COUNT] = {
        [RDB_STRING] = "s",
        [RDB_LIST] = "(s)",
        [RDB_SET] = "(s)",
        [RDB_ZSET] = "(st)",
        [RDB_HASH] = "(ss)",
        [RDB_ZSET_2] = "(s8)",
        [RDB_HASH_ZIPMAP] = "s",
        [RDB_LIST_ZIPLIST] = "s",
        [RDB_SET_INTSET] = "s",
        [RDB_ZSET_ZIPLIST] = "s",
        [RDB_HASH_ZIPLIST] = "s",
        [RDB_LIST_QUICKLIST] = "(s)",
        [RDB_HASH_LISTPACK] = "s",
        [RDB_ZSET_LISTPACK] = "s",
        [RDB_LIST_QUICKLIST_2] = "(ls)",
        [RDB_SET_LISTPACK] = "s",
        [RDB_STREAM] = "(ss)lll(sll(i8l)(s8(i)))",
        [RDB_STREAM_2] = "(ss)llllllll(slll(i8l)(s8(i)))",
        [RDB_STREAM_3] = "(ss)llllllll(slll(i8l)(s88(i)))",
        [RDB_HASH_TTL_OLD] = "(lss)",
        [RDB_HASH_LISTPACK_TTL_OLD] = "s",
        [RDB_HASH_TTL] = "8(lss)",
        [RDB_HASH_LISTPACK_TTL] = "8s",
        [RDB_HASH_VALKEY] = "(ss8)",
    };
    return type < RDB_TYPE_COUNT ? shapes[type] : NULL;
}

static const char *behind(const char *shape)
{
    for (int depth = 1; depth; shape++) depth += *shape == '(' ? 1 : *shape == ')' ? -1 : 0;
    return shape;
}

static bool skip(struct rdb_in *in, const char *shape)
{
    uint64_t n;
    for (; *shape && *shape != ')'; shape++) {
        bool good = false;
        switch (*shape) {
        case 's': good = skip_string(in); break;
        case 'l': good = rdb_get_len(in, &n); break;
        case 't': good = skip_double_text(in); break;
        case '8': good = rdb_skip_bytes(in, 8); break;
        case 'i': good = rdb_skip_bytes(in, 16); break;
        case '(':
            good = rdb_get_len(in, &n);
            for (shape++; good && n; n--) good = skip(in, shape);
            shape = behind(shape) - 1;
            break;
        }
        if (!good) return false;
    }
    return true;
}

bool rdb_skip_object(struct rdb_in *in, unsigned type)
{
    const char *shape = shape_of(type);
    return shape ? skip(in, shape) : rdb_bad(in);
}
