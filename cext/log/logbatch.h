/* log/logbatch.h - the bytes of an AOF that records become.
 *
 * A batch is what one write() takes: SELECT when the database changes, MULTI and EXEC around a record of several commands, the commands, a
 * `#TS:` line (seconds) when aof-timestamp-enabled asks for it, and at the end one line of ours, which Redis skips as it skips every
 * line that begins with '#':
 *     #BATCH lsn=<last LSN> time=<its commit in ms> bytes=<bytes since the line before, or the file's start> synced=<bytes of this file
 *     that were known to be forced to the disk when the line was written> crc=<CRC-64 of those bytes and of this line up to here, hex>\r\n
 * Every file of ours begins with such a line of no bytes, forced to the disk before anything else is written, and after a clean stop it ends
 * with one. redis-server, when it goes on in a file of ours, begins with SELECT; a batch of ours that would begin so has the line
 * "#BATCH\r\n" before it.
 *
 * Private memory of the log writer. Death: nothing is lost, the heir starts anew from the mark in the header.
 */
#ifndef SHOAL_LOG_LOGBATCH_H
#define SHOAL_LOG_LOGBATCH_H

#include "shm/ring.h"

#define LOG_BATCH_BYTES (4u << 20) /* a batch ends when it is this long */
#define LOG_MARK_WORD "#BATCH "

struct log_batch {
    uint8_t *buf;
    size_t len, cap;
    uint64_t db;        /* selected after it; the caller sets it to LOG_DB_NONE at the start of a file */
    uint64_t lsn, time_ms; /* of its last record */
    uint64_t second;    /* of the last #TS: line */
    uint64_t synced;    /* for its line; the caller sets it */
    uint32_t records;
    bool timestamps;
};

void log_batch_clear(struct log_batch *b); /* keeps db */
/* False: no memory; nothing of the record is in the batch. */
bool log_batch_add(struct log_batch *b, const struct log_record *r);
/* The line at the end. */
bool log_batch_end(struct log_batch *b);
#define LOG_MARK_MAX 160 /* bytes of that line at most */
struct log_mark_line {
    uint64_t lsn, time_ms, bytes, synced;
};
/* The line behind bytes of this CRC-64; its length. */
size_t log_mark_format_crc(const struct log_mark_line *m, uint64_t crc, char text[LOG_MARK_MAX]);
/* The line behind `bytes`. */
size_t log_mark_format(const struct log_mark_line *m, const uint8_t *bytes, char text[LOG_MARK_MAX]);
void log_batch_free(struct log_batch *b);

#endif
