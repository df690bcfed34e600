/* net/slow.h - the slow log and latency events: each slot's ring of entries in the segment, the newest replace the oldest.
 *
 *   slot_slow_area:  struct slow_ring | entries of different length, never wrapping
 *
 * Writer: the slot's process. Readers: any, by copying the whole area and looking at `sequence` again (odd while it changes). An entry
 * is struct engine_slow of engine.h and its byte strings. Ids come from header.slow_next, so entries of all slots can be put in order;
 * SLOWLOG RESET moves header.slow_first. Death in the middle: the heir begins an empty ring if the sequence is odd.
 */
#ifndef SHOAL_NET_SLOW_H
#define SHOAL_NET_SLOW_H

#include "cmd/cmd.h"

enum slow_kind { SLOW_COMMAND, SLOW_LATENCY };

void slow_init(void); /* once per process */
/* A command that took `ns`: goes to the slow log if it is over the setting's limit, and is a latency event if it is over that one's. */
void slow_command(const struct cmd *c, int64_t ns);
/* An event of LATENCY that is not a command ("expire-cycle", "eviction-cycle"), if it is over the limit. */
void slow_event(const char *name, int64_t us);
/* Copies a slot's entries to buf, oldest first; returns the bytes they need. */
uint64_t slow_read(uint32_t slot, void *buf, uint64_t cap);

#endif
