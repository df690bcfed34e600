/* cmd/cmd_zset.h - what the files of sorted set and geo commands share. Needs the keys' stripes; what changes, an open transaction. */
#ifndef SHOAL_CMD_CMD_ZSET_H
#define SHOAL_CMD_CMD_ZSET_H

#include "cmd/cmd.h"
#include "types/zset.h"

/* The sorted set in argv[arg] for reading; *there is false when there is none. False: WRONGTYPE was replied. */
bool zset_read(struct cmd *c, uint32_t arg, struct zset *z, bool *there);
/* Stores a sorted set that was changed (e: its entry) or is new (e NULL). */
void zset_store(struct cmd *c, const struct key *k, struct entry *e, const struct zset *z);
/* Deletes the key of a sorted set without members and says so; true when it did. */
bool zset_delete_if_empty(struct cmd *c, const struct key *k, const struct zset *z);
/* Members, in order, take the place of whatever is at argv[arg]; none: the key is deleted. Replies how many. */
void zset_store_result(struct cmd *c, uint32_t arg, const struct zmember *members, uint64_t n, const char *event);

/* ZADD's body: adds n >= 1 members to the key in argv[1] as the options (enum zadd) say, and replies. */
void zset_add_members(struct cmd *c, const struct zmember *members, uint32_t n, uint32_t how, bool count_changed);

/* Replies of members with scores: RESP3 nests pairs, RESP2 is flat. */
void reply_members_head(struct reply *r, uint64_t n, bool scores);
void reply_member(struct reply *r, const struct zmember *m, bool scores);

enum zset_end { ZSET_MIN, ZSET_MAX };
enum zpop_form { ZPOP_FLAT, ZPOP_PAIRS, ZPOP_KEY_FLAT, ZPOP_KEY_PAIRS };
/* Pops up to n >= 1 members of the sorted set at e and replies them in this form; logs nothing itself. Returns how many. */
uint64_t zset_pop(struct cmd *c, const struct key *k, struct entry *e, enum zset_end end, uint64_t n, enum zpop_form form);

/* A growing row of members in scratch memory. */
struct members {
    struct zmember *at;
    uint64_t n, cap;
};
void members_add(struct members *l, struct slice name, double score);

#endif
