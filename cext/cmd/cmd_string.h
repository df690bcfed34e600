/* cmd/cmd_string.h - what the string, bitmap and generic handlers share: a string value as bytes, whatever its encoding, and the
 * times that options give. */
#ifndef SHOAL_CMD_CMD_STRING_H
#define SHOAL_CMD_CMD_STRING_H

#include "base/num.h"
#include "cmd/cmd.h"

/* Bits of the options of SET and GETEX. */
enum {
    SET_IF_ABSENT = 1 << 0, /* NX */
    SET_IF_THERE = 1 << 1,  /* XX */
    SET_GET = 1 << 2,
    SET_KEEPTTL = 1 << 3,
    SET_EX = 1 << 4,
    SET_PX = 1 << 5,
    SET_EXAT = 1 << 6,
    SET_PXAT = 1 << 7,
    SET_PERSIST = 1 << 8,
    SET_TIMES = SET_EX | SET_PX | SET_EXAT | SET_PXAT,
};

/* Room for the digits of a string that is stored as a number. */
struct digits {
    uint8_t text[NUM_I64_ROOM];
};

/* The bytes of the string at e; they lie in the entry or in `room`. NULL: an empty string. */
static inline struct slice string_bytes(const struct entry *e, struct digits *room)
{
    if (!e) return (struct slice){room->text, 0};
    if (entry_enc(e) == ENC_INT) return (struct slice){room->text, num_from_i64(room->text, *entry_int(e))};
    return entry_bytes(e);
}

static inline size_t string_length(const struct entry *e)
{
    struct digits room;
    return string_bytes(e, &room).n;
}

static ALWAYS_INLINE void reply_string(struct cmd *c, const struct entry *e)
{
    if (entry_enc(e) == ENC_INT)
        reply_bulk_int(c->out, *entry_int(e));
    else
        reply_slice(c->out, entry_bytes(e));
}

/* False, with the error replied, when size + more is more than a string may have (proto-max-bulk-len). */
bool string_may_grow(struct cmd *c, uint64_t size, uint64_t more);

/* The unix time in milliseconds that the option `kind` (one of SET_TIMES) with this value means; replies the error. */
bool expire_time(struct cmd *c, uint32_t kind, struct slice value, int64_t *at);

/* Logs `command key ... PXAT/at` in place of what was sent: SET with an expiry, PEXPIREAT. */
void propagate_set(struct cmd *c, struct slice key, struct slice value, int64_t at);
void propagate_pexpireat(struct cmd *c, struct slice key, int64_t at);
/* Logs DEL key (UNLINK when lazyfree-lazy-user-del or -expire says so is the same to a replayer). */
void propagate_del(struct cmd *c, struct slice key);

/* ERR invalid expire time in '...' command. */
void reply_bad_expire(struct cmd *c);

#endif
