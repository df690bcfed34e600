/* log/replfeed.h - the log writer as the maker of the stream that replicas follow (shm/backlog.h).
 *
 * It has a merge of its own, so that replicas go on while the disk does not take the log, and the other way round; the rings get a place back
 * when both have taken it. A step encodes what is there, with SELECT where the database changes and MULTI and EXEC around a record of several
 * commands, and publishes it by flipping the mark. PING (repl-ping-replica-period) and REPLCONF GETACK (WAIT) are its own words in the stream.
 *
 * A full synchronisation: the persistence process takes a cut and stores repl->cut_lsn and repl->cut, all stripes held. Behind the record of that
 * LSN, before any other byte, repl->anchor tells where in the stream that is; and a SELECT comes before the next command.
 *
 * No room: a worker has not taken the bytes that would be overwritten. It is waited for PATIENCE_US; a worker that stands still longer (it runs a
 * script, or was stopped) loses its replicas, since the stream and the writers behind it must go on. A record larger than the ring goes
 * through in pieces.
 *
 * Locks: none. Death: the heir goes on from the mark, in the middle of a record if need be (mark.partial): the same bytes come again.
 */
#ifndef SHOAL_LOG_REPLFEED_H
#define SHOAL_LOG_REPLFEED_H

#include "log/logmerge.h"

/* True: something was done. */
bool replfeed_step(void);
/* What it has taken; NULL = there is no stream. */
const struct log_merge *replfeed_merge(void);
/* Something may be done at once. */
bool replfeed_ready(void);
/* How long the log writer may sleep without being woken, microseconds. */
int64_t replfeed_nap_us(bool idle);

#endif
