/* snap/rdb_save.h - values and keys as RDB records.
 *
 * Reads everything through a mem_reader: live for who holds the stripes (DUMP), as of the cut for a snapshot, which holds nothing. A value
 * is written node by node; scratch memory is rewound after each, so the largest value costs a few hundred KiB.
 */
#ifndef SHOAL_SNAP_RDB_SAVE_H
#define SHOAL_SNAP_RDB_SAVE_H

#include "snap/mem_reader.h"
#include "snap/rdb_out.h"

/* The type byte of an entry's value. */
enum rdb_type rdb_type_of(struct mem_reader *r, const struct entry *e);
/* The RDB version a file or payload must name when it holds this type: RDB_VERSION or newer. */
unsigned rdb_version_of(enum rdb_type type);

/* The value without type byte and key. `e` is a view of the entry (mem_view_entry). Asks nobody: failures are o->failed. */
void rdb_save_object(struct rdb_out *o, struct mem_reader *r, const struct entry *e);

/* A whole record: expiry, access clock (as maxmemory-policy has it; now_ms is the wall clock), type, key, value. */
void rdb_save_record(struct rdb_out *o, struct mem_reader *r, const struct entry *e, int64_t now_ms);

/* ---- one file per type; `root` as in the entry ---- */
void rdb_save_list(struct rdb_out *o, struct mem_reader *r, enum encoding enc, shm_off root);
void rdb_save_set(struct rdb_out *o, struct mem_reader *r, enum encoding enc, shm_off root);
void rdb_save_zset(struct rdb_out *o, struct mem_reader *r, enum encoding enc, shm_off root);
void rdb_save_hash(struct rdb_out *o, struct mem_reader *r, enum encoding enc, shm_off root);
void rdb_save_stream(struct rdb_out *o, struct mem_reader *r, enum encoding enc, shm_off root);

/* RDB_HASH, RDB_HASH_LISTPACK or one of those with fields' expiries. */
enum rdb_type rdb_hash_type(struct mem_reader *r, enum encoding enc, shm_off root);

/* A listpack in the arena as a blob. */
void rdb_save_listpack(struct rdb_out *o, struct mem_reader *r, shm_off lp);
/* n bytes at off as they are, in pieces that may be viewed. */
void rdb_save_pieces(struct rdb_out *o, struct mem_reader *r, shm_off off, uint64_t n);
/* n bytes at off as a string: in one piece while it may be packed, else piece by piece. */
void rdb_save_bytes(struct rdb_out *o, struct mem_reader *r, shm_off off, uint64_t n);
/* A member of a set or sorted set as a string: length (1, or 255 and 4) and bytes at off. */
void rdb_save_member(struct rdb_out *o, struct mem_reader *r, shm_off off);

#endif
