/* cmd/cmd_hash.h - what the handlers of hashes share. */
#ifndef SHOAL_CMD_CMD_HASH_H
#define SHOAL_CMD_CMD_HASH_H

#include "cmd/cmd.h"
#include "types/hash.h"

/* For writing; fields whose time is over are removed first, with HDEL records. False: WRONGTYPE was replied. e NULL: no such key, h is
 * empty. */
bool hash_for_write(struct cmd *c, const struct key *k, struct entry **e, struct hash *h);
/* For reading. The same results. */
bool hash_for_read(struct cmd *c, const struct key *k, const struct entry **e, struct hash *h);
/* Stores a changed hash: makes the key when e is NULL, deletes it when the hash is empty ("del" event). */
void hash_store(struct cmd *c, const struct key *k, struct entry *e, const struct hash *h);

#endif
