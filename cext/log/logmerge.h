/* log/logmerge.h - records of all rings in LSN order.
 *
 * One private cursor a slot. LSNs have no holes (shm/ring.h), so the next record is the one that carries the next number; while no ring
 * shows it, its worker is just about to publish it (or is dead, and its heir will). Reads the rings without a lock: each has one producer,
 * and its places are given back by log_merge_give_back() alone. Files and replicas (log/replfeed.h) have a merge of their own each. Death: the heir starts anew from the mark in the header.
 */
#ifndef SHOAL_LOG_LOGMERGE_H
#define SHOAL_LOG_LOGMERGE_H

#include "shm/ring.h"

struct log_merge {
    uint64_t at[SLOT_MAX]; /* ring positions: what lies before was taken */
    uint64_t next;         /* LSN of the record to come */
    uint32_t last;         /* slot of the last one: often that of the next, too */
};

/* From the record behind LSN `after` on; older ones still in the rings are passed over. */
void log_merge_init(struct log_merge *m, uint64_t after);
/* The next record if it is there, not yet taken. */
const struct log_record *log_merge_next(struct log_merge *m);
void log_merge_take(struct log_merge *m, const struct log_record *r);
/* Passes over what is there up to `lsn`; its effects are in a base. True: all of it was there. */
bool log_merge_skip(struct log_merge *m, uint64_t lsn);
/* The same whatever comes before the next one is not there: for a log that was off, while others had records. Everything up to `lsn` is published. */
void log_merge_pass(struct log_merge *m, uint64_t lsn);
/* Whether any ring shows a record that was not taken; it may be another than the next. */
bool log_merge_anything(struct log_merge *m);
/* The rings get the places of everything that was taken back; `other`, if not NULL, must have taken it, too. */
void log_merge_give_back(const struct log_merge *m, const struct log_merge *other);

#endif
