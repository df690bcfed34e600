/* cmd/cmd_object.h - facts about a stored value for OBJECT, MEMORY USAGE and DEBUG. All need the key's stripe. */
#ifndef SHOAL_CMD_CMD_OBJECT_H
#define SHOAL_CMD_CMD_OBJECT_H

#include "cmd/cmd.h"

int64_t object_refcount(const struct entry *e);
/* Bytes of entry and value with their place in the table; a collection is judged by `samples` items (0 = all). */
uint64_t object_memory(const struct entry *e, uint64_t samples);

#define DIGEST_BYTES 20
/* Mixes type, value and whether it expires into the digest, as DEBUG DIGEST-VALUE of Redis does, so that both give the same for equal
 * values. False: this type has no digest. */
bool object_digest(const struct entry *e, uint8_t digest[DIGEST_BYTES]);
/* The digest of all databases, independent of the order of keys; every stripe is held. */
bool dataset_digest(uint8_t digest[DIGEST_BYTES]);

/* Does C run this call of DEBUG itself? The rest is Python's. */
bool debug_in_c(const struct cmd *c);

#endif
