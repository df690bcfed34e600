/* snap/load.c - values from RDB records: which file reads which type, strings, reading over values. Contract: rdb_load.h. */
#include "snap/rdb_load.h"

#include "ds/listpack.h"

const char *rdb_refused;

typedef enum rdb_result load_fn(struct rdb_in *in, unsigned type, struct txn *t, struct rdb_value *v);

static load_fn *loader(unsigned type)
{
    static load_fn *const loaders[RDB_TYPE_COUNT] = {
        [RDB_LIST] = rdb_load_list,
        [RDB_LIST_ZIPLIST] = rdb_load_list,
        [RDB_LIST_QUICKLIST] = rdb_load_list,
        [RDB_LIST_QUICKLIST_2] = rdb_load_list,
        [RDB_SET] = rdb_load_set,
        [RDB_SET_INTSET] = rdb_load_set,
        [RDB_SET_LISTPACK] = rdb_load_set,
        [RDB_ZSET] = rdb_load_zset,
        [RDB_ZSET_2] = rdb_load_zset,
        [RDB_ZSET_ZIPLIST] = rdb_load_zset,
        [RDB_ZSET_LISTPACK] = rdb_load_zset,
        [RDB_HASH] = rdb_load_hash,
        [RDB_HASH_ZIPMAP] = rdb_load_hash,
        [RDB_HASH_ZIPLIST] = rdb_load_hash,
        [RDB_HASH_LISTPACK] = rdb_load_hash,
        [RDB_HASH_TTL_OLD] = rdb_load_hash,
        [RDB_HASH_LISTPACK_TTL_OLD] = rdb_load_hash,
        [RDB_HASH_TTL] = rdb_load_hash,
        [RDB_HASH_LISTPACK_TTL] = rdb_load_hash,
        [RDB_HASH_VALKEY] = rdb_load_hash,
        [RDB_STREAM] = rdb_load_stream,
        [RDB_STREAM_2] = rdb_load_stream,
        [RDB_STREAM_3] = rdb_load_stream,
    };
    return type < RDB_TYPE_COUNT ? loaders[type] : NULL;
}

bool rdb_type_known(unsigned type) { return type == RDB_STRING || loader(type); }

static enum rdb_result load_string(struct rdb_in *in, struct txn *t, const struct key *k, struct entry **e)
{
    struct slice s;
    if (!rdb_get_string(in, &s)) return RDB_IS_BAD;
    *e = ks_set_bytes(t, k, s, TTL_CLEAR);
    return RDB_LOADED;
}

enum rdb_result rdb_load_object(struct rdb_in *in, unsigned type, struct txn *t, const struct key *k, struct entry **e)
{
    struct scratch_mark mark = scratch_mark();
    struct entry *made = NULL;
    enum rdb_result result = RDB_IS_BAD;
    if (type == RDB_STRING) {
        result = load_string(in, t, k, &made);
    } else if (loader(type)) {
        struct rdb_value v;
        result = loader(type)(in, type, t, &v);
        if (result == RDB_LOADED) made = ks_set_object(t, k, v.type, v.enc, v.root, TTL_CLEAR);
    }
    scratch_rewind(mark);
    if (e) *e = made;
    return result;
}
