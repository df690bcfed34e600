/* snap/dump.h - the payload of DUMP, RESTORE and MIGRATE: one value as bytes that any Redis from 7.0 on can take. Form: cmd_dump.c. */
#ifndef SHOAL_SNAP_DUMP_H
#define SHOAL_SNAP_DUMP_H

#include "keyspace/entry.h"

/* The payload of an entry, in memory of the process that is good until the next rdb_out_collect(). Needs the key's stripe. False: it would be
 * larger than 512 MiB. */
bool dump_payload(const struct entry *e, struct slice *payload);

#endif
