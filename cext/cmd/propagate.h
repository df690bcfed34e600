/* cmd/propagate.h - from an executed command to the records that replay it. For the dispatcher and the keyspace's hooks;
 * handlers use cmd_propagate() of cmd/cmd.h. */
#ifndef SHOAL_CMD_PROPAGATE_H
#define SHOAL_CMD_PROPAGATE_H

#include "cmd/cmd.h"

/* One command as a frame of the transaction's record, in canonical RESP (array of bulk strings). Only while log_on(). */
void cmd_log(struct txn *t, uint32_t db, uint32_t argc, const struct slice *argv);

/* After a WRITE handler: logs the command as it was sent if it changed something and the handler did not say otherwise. */
void cmd_log_sent(struct cmd *c);

/* A key goes away because its time is over (ks_write, ks_expire_cycle, ks_expire_noted): logs a DEL and tells watchers and
 * the publisher of events. Needs the key's stripe and an open transaction. */
void cmd_key_expired(struct txn *t, const struct key *k);
/* A key was removed for maxmemory (keyspace/evict.h): the same. */
void cmd_key_evicted(struct txn *t, const struct key *k);

/* Receives the keyspace events whose class notify-keyspace-events names; `wanted` is that setting (bit 1: keyspace channel, bit 2:
 * keyevent channel). Set before serving by whoever publishes; NULL = nobody does. */
typedef void event_publisher(const struct key *k, const char *event, int64_t wanted);
extern event_publisher *cmd_event_publisher;

#endif
