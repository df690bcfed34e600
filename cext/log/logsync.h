/* log/logsync.h - fdatasync beside the writing: a helper thread of the log writer process, for everysec and no.
 *
 * One order at a time: what was written before it was given is on the disk when the thread publishes synced_lsn. Private memory under a
 * mutex. Death: the thread dies with its process; what it had not published is forced by the heir. Not for `always`, where who writes
 * waits for the disk himself (loglanes.h).
 */
#ifndef SHOAL_LOG_LOGSYNC_H
#define SHOAL_LOG_LOGSYNC_H

#include "base/base.h"

/* Asks it to force `fd`, which holds everything up to `lsn` in its first `bytes`; false: it still works. Starts it the first time. */
bool log_sync_ask(int fd, uint64_t lsn, uint64_t bytes);
/* Waits until it does not use the file; its error, if it had one, is taken. */
int log_sync_rest(void);
/* Its error, if it had one, is taken (errno, 0 = none); *synced grows to the bytes that it has forced. */
int log_sync_error(uint64_t *synced);
void log_sync_end(void);

#endif
