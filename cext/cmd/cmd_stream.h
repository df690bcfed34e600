/* cmd/cmd_stream.h - what the stream handlers share: ids as arguments and replies, entries as replies, records of group changes. */
#ifndef SHOAL_CMD_CMD_STREAM_H
#define SHOAL_CMD_CMD_STREAM_H

#include "cmd/cmd.h"
#include "types/stream.h"

#define STREAM_ID_ROOM 41 /* two numbers of 20 digits and '-' */

/* An id as a text: ms, ms-seq or with seq_given not NULL ms-*; not strict also "-" and "+", the least and the greatest. */
bool stream_id_parse(struct slice text, uint64_t missing_seq, bool strict, struct stream_id *id, bool *seq_given);
/* These reply the error and return false. */
bool arg_stream_id(struct cmd *c, uint32_t i, uint64_t missing_seq, bool strict, struct stream_id *id);
/* Bounds of a range; "(id" leaves the id itself out. */
bool arg_stream_start(struct cmd *c, uint32_t i, struct stream_id *id);
bool arg_stream_end(struct cmd *c, uint32_t i, struct stream_id *id);

size_t stream_id_text(uint8_t *dst, struct stream_id id);
/* In scratch memory. */
struct slice stream_id_slice(struct stream_id id);
struct slice number_slice(int64_t v);
void reply_stream_id(struct cmd *c, struct stream_id id);

/* The entry that the iterator stands on: its id and its fields and values. */
void reply_stream_entry(struct cmd *c, struct stream_iter *it, struct stream_id id, uint32_t fields);
/* The live entries of a range as an array, at most `count` (0 = all). */
void reply_stream_range(struct cmd *c, const struct stream *s, struct stream_id from, struct stream_id to, uint64_t count, bool reverse);
/* One entry, without an array around it; false: there is none in the range and nothing was replied. */
bool reply_stream_first(struct cmd *c, const struct stream *s, struct stream_id from, struct stream_id to, bool reverse);

/* The stream at the key. NULL: there is none; *wrong: it is another type and WRONGTYPE was replied. */
struct stream *stream_to_read(struct cmd *c, const struct key *k, bool *wrong);
struct stream *stream_to_write(struct cmd *c, const struct key *k, bool *wrong);

/* NOGROUP No such key '...' or consumer group '...' */
void reply_no_group(struct cmd *c, struct slice key, struct slice group, const char *tail);

/* ---- what is logged for changes of groups, as Redis does it ---- */
void log_claim(struct cmd *c, struct slice key, const struct stream_group *g, struct stream_id id, const struct stream_nack *n);
void log_group_id(struct cmd *c, struct slice key, const struct stream_group *g);
/* The consumer of that name, made (told and logged) if it is not there; its seen time is now. */
struct stream_consumer *consumer_for(struct cmd *c, const struct key *k, struct stream_group *g, struct slice name);

#endif
