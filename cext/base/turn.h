/* base/turn.h - how the calling thread takes turns with others on a processor.
 *
 * Since Linux 6.12 a thread may ask for the length of its turns: who wakes with a shorter one goes before whoever has a longer one.
 * Older kernels, and those that refuse, change nothing that anybody relies on. Nothing shared.
 */
#ifndef SHOAL_BASE_TURN_H
#define SHOAL_BASE_TURN_H

#include "base/base.h"

/* `batch`: it is no hurry (SCHED_BATCH). `nicer`: so much is added to its nice value. Turns of `ns` nanoseconds, 100,000 to 100,000,000. */
void turn_set(bool batch, int nicer, uint64_t ns);

/* Runs fn(arg) in a thread that lets others go first, and waits for it: work of seconds beside those who serve. Signals stay with the caller's
 * thread. Where there is no thread, in the caller's own. */
void turn_run_aside(void (*fn)(void *arg), void *arg);

#endif
