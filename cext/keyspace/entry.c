/* keyspace/entry.c - sizes and names of entries. Layout: entry.h. Takes no lock. */
#include "keyspace/entry.h"

uint64_t entry_size(const struct entry *e)
{
    struct slice k = entry_key(e);
    uint64_t n = (uint64_t)(k.p + k.n - (const uint8_t *)e);
    enum encoding enc = entry_enc(e);
    return enc == ENC_EMBSTR || enc == ENC_RAW ? n + entry_bytes(e).n : n;
}

const char *encoding_name(enum encoding e)
{
    static const char *const names[ENC_COUNT] = {
        [ENC_INT] = "int",           [ENC_EMBSTR] = "embstr",       [ENC_RAW] = "raw",
        [ENC_EXT] = "raw",           [ENC_LISTPACK] = "listpack",   [ENC_QUICKLIST] = "quicklist",
        [ENC_INTSET] = "intset",     [ENC_HASHTABLE] = "hashtable", [ENC_SKIPLIST] = "skiplist",
        [ENC_STREAM] = "stream",     [ENC_LISTPACK_EX] = "listpackex",
    };
    return e < ENC_COUNT && names[e] ? names[e] : "unknown";
}

const char *type_name(enum obj_type t)
{
    static const char *const names[8] = {
        [OBJ_STRING] = "string", [OBJ_LIST] = "list", [OBJ_SET] = "set",
        [OBJ_ZSET] = "zset",     [OBJ_HASH] = "hash", [OBJ_STREAM] = "stream",
    };
    return (unsigned)t < 8 && names[t] ? names[t] : "none";
}
