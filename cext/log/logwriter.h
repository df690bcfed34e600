/* log/logwriter.h - the log writer process: one writer, one fdatasync for everybody.
 *
 * A step: gather what the rings show, in LSN order, into one batch; write() it at the end of the current incr file; record {LSN, file, length}
 * in the header (the mark not in use is filled, then the index flips); give the rings' places back; fdatasync by policy; publish
 * durable_lsn; wake the workers whose replies wait (slot.wait_lsn) or whose clients wait for room (slot.log.producer_waits).
 *   always     fdatasync after every write; durable_lsn = synced_lsn. On a slow disk several are in flight, each for what was written
 *              before it began, and are published in order (loglanes.h); a write may wait a little for those who come back after an
 *              fdatasync that has released them: asleep, until the last of them wakes it (log_wake_lsn)
 *   everysec   a helper thread does it, so writing never waits; durable_lsn follows the write
 *   no         the kernel does it when it likes, and the helper twice a minute (logscan.h says what for)
 *
 * Files: <folder>/<name>.<sequence>.incr.aof. Who makes a base (the persistence process) creates and names the next one beforehand and, with
 * all stripes held at the cut, stores log_switch_lsn and then log_next_file: records up to that LSN end the current file, which is forced
 * to the disk, whatever the policy; the next one begins behind it. log_next_file goes to 0 when that has happened.
 *
 * A write or fsync that fails: log_failed keeps its errno, write_error its bit 2 (writes get -MISCONF), nothing is written to that file any
 * more; the rings keep their records. A base of a later cut holds their effects: its switch drops them, and durable_lsn follows when the
 * persistence process has put base and manifest on the disk and says so (logwriter_base_done).
 *
 * Parts: logmerge (the rings in LSN order), logbatch (their bytes), logfile (the file and its end), loglanes (threads and fdatasyncs of `always`, and
 * the pen, which guards all private memory here), logsync (the helper thread of the others), logstate (the words in the header and whom they wake),
 * logwriter.c (the rounds).
 *
 * Locks: none but the page lock, for moments (ring_consume_to). Death at any instruction: the heir cuts the file to the mark's length and
 * goes on behind its LSN; places in rings that were not given back are given back then.
 */
#ifndef SHOAL_LOG_LOGWRITER_H
#define SHOAL_LOG_LOGWRITER_H

#include "shm/layout.h"

/* Once per process, in its slot: where the files are. Goes on from the mark. */
void logwriter_begin(const char *folder, const char *name);
/* Works for about `ms` milliseconds. */
void logwriter_run(uint32_t ms);
/* Everything that was committed is in the file and, unless appendfsync is no, forced to the disk; or the log has failed or is off. */
bool logwriter_drained(void);
void logwriter_end(void);
/* Words for the server's log since the last call, "" = none; *warning: how bad. */
const char *logwriter_words(bool *warning);

/* ---- for the other processes ---- */

/* The log goes on in file `file`, which has `bytes` bytes, behind LSN `lsn`: after loading, before serving. Holds all stripes. */
void logwriter_resume(uint64_t file, uint64_t bytes, uint64_t lsn);
/* Under all stripes, at a cut: what is committed from here on goes to `file`, which is empty; switches logging on if it is off. */
void logwriter_switch_locked(uint64_t file);
/* The base of that cut and the manifest that names it are on the disk: the log counts again. */
void logwriter_base_done(void);
/* CONFIG SET appendonly no: takes all stripes. */
void logwriter_off(void);
/* The current mark, consistent. */
struct log_mark logwriter_mark(void);
void write_error_set(uint32_t bit, bool on); /* header.write_error: 1 snapshots, 2 the log */

#endif
