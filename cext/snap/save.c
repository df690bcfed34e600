/* snap/save.c - which RDB type a value is written as, strings, whole records. Reading rules: mem_reader.h. */
#include "snap/rdb_save.h"

#include "base/le.h"
#include "ds/listpack.h"

#define MEMBER_GUESS 64u

unsigned rdb_version_of(enum rdb_type type)
{
    return type == RDB_HASH_TTL || type == RDB_HASH_LISTPACK_TTL ? RDB_VERSION_HASH_TTL : RDB_VERSION;
}

enum rdb_type rdb_type_of(struct mem_reader *r, const struct entry *e)
{
    enum encoding enc = entry_enc(e);
    switch (entry_type(e)) {
    case OBJ_STRING: return RDB_STRING;
    case OBJ_LIST: return RDB_LIST_QUICKLIST_2;
    case OBJ_SET: return enc == ENC_INTSET ? RDB_SET_INTSET : RDB_SET; /* a listpack of a set is version 11 */
    case OBJ_ZSET: return enc == ENC_LISTPACK ? RDB_ZSET_LISTPACK : RDB_ZSET_2;
    case OBJ_STREAM: return RDB_STREAM_2;
    case OBJ_HASH: return rdb_hash_type(r, enc, *entry_root(e));
    }
    ENSURE(false);
}

void rdb_save_listpack(struct rdb_out *o, struct mem_reader *r, shm_off lp)
{
    struct scratch_mark mark = scratch_mark();
    uint32_t n = le_load32(mem_view(r, lp, 4));
    rdb_put_blob(o, mem_view(r, lp, n), n);
    scratch_rewind(mark);
}

void rdb_save_member(struct rdb_out *o, struct mem_reader *r, shm_off off)
{
    const uint8_t *p = mem_view_upto(r, off, MEMBER_GUESS);
    uint32_t n = *p, head = 1;
    if (n == 255) {
        memcpy(&n, p + 1, 4);
        head = 5;
    }
    if (head + n > MEMBER_GUESS)
        rdb_save_bytes(o, r, off + head, n);
    else
        rdb_put_string(o, p + head, n);
}

void rdb_save_pieces(struct rdb_out *o, struct mem_reader *r, shm_off off, uint64_t n)
{
    while (n && !o->failed) {
        struct scratch_mark mark = scratch_mark();
        uint64_t piece = MIN(n, (uint64_t)MEM_PIECE);
        rdb_put_raw(o, mem_view(r, off, piece), piece);
        off += piece;
        n -= piece;
        scratch_rewind(mark);
    }
}

void rdb_save_bytes(struct rdb_out *o, struct mem_reader *r, shm_off off, uint64_t n)
{
    if (n <= (o->compress ? RDB_COMPRESS_MAX : MEM_PIECE)) {
        struct scratch_mark mark = scratch_mark();
        rdb_put_string(o, mem_view(r, off, n), n);
        scratch_rewind(mark);
        return;
    }
    rdb_put_len(o, n);
    rdb_save_pieces(o, r, off, n);
}

static void save_string(struct rdb_out *o, struct mem_reader *r, const struct entry *e)
{
    if (entry_enc(e) == ENC_INT) {
        rdb_put_int_string(o, *entry_int(e));
    } else if (entry_enc(e) == ENC_EXT) {
        rdb_save_bytes(o, r, entry_ext(e)->off, entry_ext(e)->len);
    } else {
        struct slice s = entry_bytes(e);
        rdb_put_string(o, s.p, s.n);
    }
}

void rdb_save_object(struct rdb_out *o, struct mem_reader *r, const struct entry *e)
{
    typedef void save_fn(struct rdb_out *, struct mem_reader *, enum encoding, shm_off);
    static save_fn *const save[8] = {
        [OBJ_LIST] = rdb_save_list, [OBJ_SET] = rdb_save_set, [OBJ_ZSET] = rdb_save_zset,
        [OBJ_HASH] = rdb_save_hash, [OBJ_STREAM] = rdb_save_stream,
    };
    struct scratch_mark mark = scratch_mark();
    if (entry_type(e) == OBJ_STRING)
        save_string(o, r, e);
    else
        save[entry_type(e)](o, r, entry_enc(e), *entry_root(e));
    scratch_rewind(mark);
}

/* The access clock as Redis keeps it in files: idle seconds, or the frequency counter; only under a policy that uses it. */
static void save_access(struct rdb_out *o, const struct entry *e, int64_t now_ms)
{
    int64_t policy = setting(SET_maxmemory_policy); /* settings.def */
    if (policy == 1 || policy == 5) {
        rdb_put_byte(o, RDB_OP_IDLE);
        rdb_put_len(o, ((uint64_t)now_ms / 1000 - e->access) & 0xffffff);
    } else if (policy == 2 || policy == 6) {
        rdb_put_byte(o, RDB_OP_FREQ);
        rdb_put_byte(o, (uint8_t)e->access);
    }
}

void rdb_save_record(struct rdb_out *o, struct mem_reader *r, const struct entry *e, int64_t now_ms)
{
    struct slice key = entry_key(e);
    if (entry_expire(e) >= 0) {
        rdb_put_byte(o, RDB_OP_EXPIRE_MS);
        rdb_put_u64(o, (uint64_t)entry_expire(e));
    }
    save_access(o, e, now_ms);
    rdb_put_byte(o, (uint8_t)rdb_type_of(r, e));
    rdb_put_string(o, key.p, key.n);
    rdb_save_object(o, r, e);
}
