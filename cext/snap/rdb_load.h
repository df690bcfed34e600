/* snap/rdb_load.h - values from RDB records and DUMP payloads: every value type of RDB versions 1 to 12, and of Valkey's 80, but modules'.
 *
 * Nothing in the input is trusted: wrong lengths, broken listpacks, members twice and the like are refused, never followed. There is no
 * shallow way: a damaged value in shared memory could take every process with it.
 */
#ifndef SHOAL_SNAP_RDB_LOAD_H
#define SHOAL_SNAP_RDB_LOAD_H

#include "keyspace/keyspace.h"
#include "snap/rdb_in.h"

enum rdb_result {
    RDB_LOADED,
    RDB_IS_BAD,   /* refused; what it has built so far is rolled back by the caller (savepoint or abort) */
    RDB_IS_EMPTY, /* a collection without elements: not to be kept; nothing is left of it */
};

/* Can values of this type (rdb_type_of_byte()) be read? */
bool rdb_type_known(unsigned type);

/* Reads the value of that type after type byte (and key) and puts it under k, in place of what is there, without expiry. Needs the key's stripe and an
 * open transaction. *e (may be NULL) is the new entry. Scratch memory used on the way is given back. */
enum rdb_result rdb_load_object(struct rdb_in *in, unsigned type, struct txn *t, const struct key *k, struct entry **e);

/* Why RESTORE refused the last payload, for the server's log, which must not be written inside a bracket: the worker's loop takes it. */
extern const char *rdb_refused;

/* Past a value (after type byte and key), or so many bytes, without looking inside. */
bool rdb_skip_object(struct rdb_in *in, unsigned type);
bool rdb_skip_bytes(struct rdb_in *in, uint64_t n);

/* ---- one file per type: builds the value in the arena ---- */
struct rdb_value {
    enum obj_type type;
    enum encoding enc;
    shm_off root;
};
enum rdb_result rdb_load_list(struct rdb_in *in, unsigned type, struct txn *t, struct rdb_value *v);
enum rdb_result rdb_load_set(struct rdb_in *in, unsigned type, struct txn *t, struct rdb_value *v);
enum rdb_result rdb_load_zset(struct rdb_in *in, unsigned type, struct txn *t, struct rdb_value *v);
enum rdb_result rdb_load_hash(struct rdb_in *in, unsigned type, struct txn *t, struct rdb_value *v);
enum rdb_result rdb_load_stream(struct rdb_in *in, unsigned type, struct txn *t, struct rdb_value *v);

#endif
