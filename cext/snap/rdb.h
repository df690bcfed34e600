/* snap/rdb.h - the numbers of the RDB format: value types, opcodes, length forms. Constants only.
 *
 * A file is "REDIS" and a version of four digits, or "VALKEY" and one of three, then records, then RDB_OP_EOF and a CRC-64 (0: none). A record is opcodes that speak
 * of it (expiry, idle time, frequency), a type byte, the key as a string, the value. A DUMP payload is a type byte, the value, the
 * version as two bytes, the CRC-64 of all before; both little-endian.
 *
 * Lengths: 00nnnnnn | 01nnnnnn n8 | 80 n32 big-endian | 81 n64 big-endian | 11eeeeee: no length but a string in a special form,
 * RDB_ENC_INT8 ... RDB_ENC_LZF (length of the packed bytes, length, packed bytes).
 * Strings: a length and the bytes, or a special form.
 */
#ifndef SHOAL_SNAP_RDB_H
#define SHOAL_SNAP_RDB_H

#include "base/base.h"

#define RDB_VERSION 10        /* what we write: Redis 7.0 and later read it */
#define RDB_VERSION_MAX 12    /* what we read of Redis (7.4 to 8.2) ... */
#define RDB_VERSION_VALKEY 80 /* ... and of Valkey (9.0, 9.1), which gives some type bytes a meaning of its own */
#define RDB_VERSION_HASH_TTL 12 /* what a hash with expiring fields needs */

enum rdb_type {
    RDB_STRING = 0,
    RDB_LIST = 1,
    RDB_SET = 2,
    RDB_ZSET = 3,              /* scores as text */
    RDB_HASH = 4,
    RDB_ZSET_2 = 5,            /* scores as binary doubles */
    RDB_MODULE = 6,            /* of modules: never read */
    RDB_MODULE_2 = 7,
    RDB_HASH_ZIPMAP = 9,
    RDB_LIST_ZIPLIST = 10,
    RDB_SET_INTSET = 11,
    RDB_ZSET_ZIPLIST = 12,
    RDB_HASH_ZIPLIST = 13,
    RDB_LIST_QUICKLIST = 14,   /* of ziplists */
    RDB_STREAM = 15,
    RDB_HASH_LISTPACK = 16,
    RDB_ZSET_LISTPACK = 17,
    RDB_LIST_QUICKLIST_2 = 18, /* of listpacks and single large elements */
    RDB_STREAM_2 = 19,         /* with first id, largest deleted id, entries added; groups with entries read */
    RDB_SET_LISTPACK = 20,     /* version 11 */
    RDB_STREAM_3 = 21,         /* version 11: consumers with their active time */
    RDB_HASH_TTL_OLD = 22,     /* before the release of Redis 7.4 */
    RDB_HASH_LISTPACK_TTL_OLD = 23,
    RDB_HASH_TTL = 24,         /* version 12: HASH_METADATA: least expiry, then per field: expiry relative to it + 1 (0 none), field, value */
    RDB_HASH_LISTPACK_TTL = 25, /* version 12: HASH_LISTPACK_EX: least expiry, listpack of field, value, expiry (0 none) */
    RDB_HASH_VALKEY,           /* no type byte: what 22 means in files of Valkey: field, value, expiry in ms (int64 little-endian, -1 none) */
    RDB_TYPE_COUNT
};

/* Can files and payloads of this version be read? */
static inline bool rdb_version_known(unsigned version)
{
    return (version >= 1 && version <= RDB_VERSION_MAX) || version == RDB_VERSION_VALKEY;
}

/* What a type byte means in a file of that version; RDB_TYPE_COUNT: nothing. */
static inline unsigned rdb_type_of_byte(uint8_t byte, unsigned version)
{
    if (byte >= RDB_HASH_VALKEY) return RDB_TYPE_COUNT;
    if (version < RDB_VERSION_VALKEY || byte < RDB_HASH_TTL_OLD) return byte;
    return byte == RDB_HASH_TTL_OLD ? RDB_HASH_VALKEY : RDB_TYPE_COUNT;
}

enum rdb_opcode {
    RDB_OP_SLOT_INFO = 244,    /* three lengths: cluster slot, its keys, its keys with expiry */
    RDB_OP_FUNCTION_2 = 245,   /* a string: the library's code */
    RDB_OP_FUNCTION_PRE_GA = 246,
    RDB_OP_MODULE_AUX = 247,
    RDB_OP_IDLE = 248,         /* a length: seconds */
    RDB_OP_FREQ = 249,         /* a byte: LFU counter */
    RDB_OP_AUX = 250,          /* two strings: name, value */
    RDB_OP_RESIZE_DB = 251,    /* two lengths: keys, keys with expiry */
    RDB_OP_EXPIRE_MS = 252,    /* int64 little-endian, unix time */
    RDB_OP_EXPIRE = 253,       /* int32 little-endian, seconds */
    RDB_OP_SELECT_DB = 254,    /* a length */
    RDB_OP_EOF = 255,
};

enum rdb_string_form { RDB_ENC_INT8 = 0, RDB_ENC_INT16 = 1, RDB_ENC_INT32 = 2, RDB_ENC_LZF = 3 };

enum rdb_quicklist_node { RDB_NODE_PLAIN = 1, RDB_NODE_PACKED = 2 }; /* RDB_LIST_QUICKLIST_2 */

#endif
