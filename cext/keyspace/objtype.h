/* keyspace/objtype.h - what a type must be able to do, one row per type (objtypes.def), filled in by types/.
 * A function gets the entry's encoding and root (offset), needs the key's stripe and, where it changes, a transaction. */
#ifndef SHOAL_KEYSPACE_OBJTYPE_H
#define SHOAL_KEYSPACE_OBJTYPE_H

#include "keyspace/entry.h"

struct objtype {
    const char *name; /* as TYPE says it */
    /* Frees everything below the root. With *budget (items it may free in this call): false = more is left; call again. */
    bool (*free_some)(struct txn *t, enum encoding enc, shm_off root, uint64_t *budget);
    /* How many items a free would touch: above 64 it is left to the lazy queue. */
    uint64_t (*free_effort)(enum encoding enc, shm_off root);
    /* A deep copy; returns the new root (same encoding). */
    shm_off (*copy)(struct txn *t, enum encoding enc, shm_off root);
    /* Bytes below the root; looks at no more than `samples` items of a collection (0 = all) and extrapolates. */
    uint64_t (*memory)(enum encoding enc, shm_off root, uint64_t samples);
    /* When the first part of the value expires (hash fields): a lower bound, unix time in milliseconds; 0 = none does. NULL: never. */
    int64_t (*due)(enum encoding enc, shm_off root);
};

/* Indexed by enum obj_type; a type that is not built in has no functions (NULL). types/ registers its row at load time. */
extern const struct objtype *objtypes[8];

#endif
