/* log/loglanes.h - several fdatasyncs in flight, for appendfsync always.
 *
 * A write that arrives while a slow disk is being forced need not wait for that to end and then for its own: the log writer has LOG_LANES
 * threads that all run the same rounds (logwriter.c), and each has a descriptor of its own on the file, so that the kernel tells each of
 * them of every failure. Who holds the pen gathers, writes and changes files, one at a time; the pen is put down during fdatasync and
 * during naps. So bytes are written in LSN order by whoever is free, and he forces them himself: nothing is handed from thread to thread.
 *
 *   pen        a mutex around everything in the log writer's private memory; also around its words in the header (logstate.h)
 *   watch      one of the idle threads sleeps where workers wake the log writer (header.log_sleeps); the others wait until it goes to work
 *   rest       who closes or changes the file waits until no fdatasync is in flight; nobody else acts meanwhile
 *
 * Publishing: fdatasyncs are queued in the order in which they were begun, which is that of their LSNs. One that has succeeded is published
 * when all before it have, however they end among each other. One that fails ends the file at once (log_file_fail), and neither its records nor
 * any of those behind it in the queue are published, though their own fdatasync succeeds; those before it may be.
 *
 * When to begin: each fdatasync costs the processor some 50 us, and small batches help nobody. On a fast disk (SLOW_US) there is one lane, which
 * begins when there is anything. On a slow one, `crowd` is the most records that lately were in flight or waited; a lane begins when its share of
 * them has come, or all that are not in flight, and not right behind another, since those whom both release would be in each other's way. It does not wait longer than until the lanes are evenly spaced, and a fraction of an fdatasync
 * has passed since the last one released its clients, who come back in a moment. What was waited for in vain several times is not for a while.
 *
 * Private memory. Death: the threads die with the process; what was not published is forced by the heir before it publishes anything.
 */
#ifndef SHOAL_LOG_LOGLANES_H
#define SHOAL_LOG_LOGLANES_H

#include "base/base.h"

#define LOG_LANES 3
#define LOG_TURN_NS 100000 /* whoever waits for the disk waits for these threads: they go before workers when an fdatasync is over */

/* Waits for the pen, and until nobody rests. */
void log_pen_take(void);
void log_pen_drop(void);

/* ---- with the pen ---- */

/* May an fdatasync for the records from LSN `next` on begin now, of which those up to `last` are given out? If not: until when to wait (monotonic
 * microseconds), and for which LSN to be given out (UINT64_MAX: none); *wake_lsn 0: all lanes are in use. */
bool log_lane_free(uint64_t next, uint64_t last, int64_t *until_us, uint64_t *wake_lsn);
/* Forces what was written up to `lsn`, `records` of them new; puts the pen down meanwhile. Publishes and wakes whom that releases. */
void log_lane_sync(uint64_t lsn, uint32_t records);
bool log_lanes_busy(void);
/* Waits until no fdatasync is in flight; others may end theirs, but do nothing else. */
void log_lanes_rest(void);
/* True: this thread is the one to sleep where workers wake, until log_watch_end(); false: another does. */
bool log_watch_begin(void);
void log_watch_end(void);
/* Waits until then (monotonic), or until the watch is free. */
void log_watch_wait(int64_t until_us);
/* The other threads, if they do not run yet: each calls `round` again and again, with the pen, while appendfsync is always. */
void log_lanes_start(void (*round)(void));
/* Without the pen: ends them. */
void log_lanes_end(void);

#endif
