/* log/logstate.h - the log's words in the segment's header, for the parts of the log writer. What they mean together: logwriter.h.
 *
 * Writers: the mark belongs to the log writer alone (and to logwriter_resume() before anything is served); durable_lsn and synced_lsn only
 * grow, and are moved by the log writer's threads and the persistence process for what a base holds. No locks. Death: each word
 * is whole at any instruction; the mark flips between two copies.
 */
#ifndef SHOAL_LOG_LOGSTATE_H
#define SHOAL_LOG_LOGSTATE_H

#include "shm/layout.h"

enum log_policy { FSYNC_NO, FSYNC_ALWAYS, FSYNC_EVERYSEC }; /* appendfsync, as in settings.def */

void log_mark_set(struct log_mark m);
/* All of them up to `lsn`: as safe as appendfsync promises; forced to the disk. */
void log_publish_durable(uint64_t lsn);
void log_publish_synced(uint64_t lsn);
/* Wakes the workers whose replies or clients wait for what was published, or for room in their ring. */
void log_wake_waiting(void);
/* Wakes the worker of a slot, if it sleeps. */
void log_wake_slot(uint32_t i);
/* False while a first base is being written for a log that was off or had failed: replies that need durability wait for it. */
bool log_counts(void);
/* The current file is not trusted any more. */
bool log_failed(void);

#endif
