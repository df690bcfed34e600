/* cmd/cmd_substring.c - parts of strings: APPEND, STRLEN, SETRANGE, GETRANGE, SUBSTR.
 *
 * A string that grows does so through ks_string_resize, which leaves room for more; what is stored into it is announced first.
 *
 * Locks, transaction and death: as cmd/cmd.h says of handlers.
 */
#include "cmd/cmd_string.h"

bool string_may_grow(struct cmd *c, uint64_t size, uint64_t more)
{
    uint64_t total;
    if (c->replaying) return true;
    if (!__builtin_add_overflow(size, more, &total) && total <= (uint64_t)setting(SET_proto_max_bulk_len)) return true;
    reply_error(c->out, ERR_TOOLONG);
    return false;
}

/* Stores `value` at `offset` of a string that was `n` bytes long before it was resized: what lies behind its old end needs no undo. */
static void store_string_bytes(struct txn *t, uint8_t *bytes, size_t n, size_t offset, struct slice value)
{
    size_t old = offset >= n ? 0 : MIN(value.n, n - offset);
    if (old) txn_touch(t, bytes + offset, old);
    if (value.n > old) txn_fresh(t, bytes + offset + old, value.n - old);
    if (value.n) memcpy(bytes + offset, value.p, value.n);
}

void cmd_append(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct slice more = c->argv[2];
    struct entry *e = ks_write(c->txn, &k);
    size_t n = 0;
    if (!e) {
        ks_set_bytes(c->txn, &k, more, TTL_CLEAR);
    } else {
        uint8_t *bytes;
        if (wrong_type(c, e, OBJ_STRING)) return;
        n = string_length(e);
        if (!string_may_grow(c, n, more.n)) return;
        ks_string_resize(c->txn, &k, e, n + more.n, &bytes);
        store_string_bytes(c->txn, bytes, n, n, more);
    }
    cmd_modified(c, &k, '$', "append");
    reply_int(c->out, (int64_t)(n + more.n));
}

void cmd_strlen(struct cmd *c)
{
    struct key k = key_for(c, 1);
    const struct entry *e = ks_read(&k);
    if (wrong_type(c, e, OBJ_STRING)) return;
    reply_int(c->out, (int64_t)string_length(e));
}

void cmd_setrange(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct slice value = c->argv[3];
    int64_t offset;
    uint8_t *bytes;
    if (!arg_i64(c, 2, &offset)) return;
    if (offset < 0) {
        reply_error(c->out, ERR_OFFSETRANGE);
        return;
    }
    struct entry *e = ks_write(c->txn, &k);
    if (wrong_type(c, e, OBJ_STRING)) return;
    size_t n = string_length(e);
    if (!value.n) {
        reply_int(c->out, (int64_t)n);
        return;
    }
    if (!string_may_grow(c, (uint64_t)offset, value.n)) return;
    size_t after = MAX(n, (size_t)offset + value.n);
    if (!e) e = ks_set_raw(c->txn, &k, (struct slice){0}, TTL_CLEAR);
    ks_string_resize(c->txn, &k, e, after, &bytes);
    store_string_bytes(c->txn, bytes, n, (size_t)offset, value);
    cmd_modified(c, &k, '$', "setrange");
    reply_int(c->out, (int64_t)after);
}

void cmd_getrange(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct digits room;
    int64_t start, end;
    if (!arg_i64(c, 2, &start) || !arg_i64(c, 3, &end)) return;
    const struct entry *e = ks_read(&k);
    if (wrong_type(c, e, OBJ_STRING)) return;
    struct slice s = string_bytes(e, &room);
    int64_t n = (int64_t)s.n;
    bool backwards = start < 0 && end < 0 && start > end;
    if (start < 0) start = MAX(n + start, 0);
    if (end < 0) end = MAX(n + end, 0);
    if (end >= n) end = n - 1;
    if (backwards || start > end)
        reply_bulk(c->out, "", 0);
    else
        reply_bulk(c->out, s.p + start, (size_t)(end - start + 1));
}

void cmd_substr(struct cmd *c)
{
    cmd_getrange(c);
}
