/* cmd/cmd_set.h - what the files of set commands share. Needs the key's stripe and an open transaction. */
#ifndef SHOAL_CMD_CMD_SET_H
#define SHOAL_CMD_CMD_SET_H

#include "cmd/cmd.h"
#include "types/set.h"

/* Stores a set that was changed (e: its entry) or is new (e NULL). */
void set_store(struct cmd *c, const struct key *k, struct entry *e, const struct set *s);
/* Deletes the key of a set without members and says so; true when it did. */
bool set_delete_if_empty(struct cmd *c, const struct key *k, const struct set *s);

#endif
