/* cmd/cmd_generic.c - keys of any type: DEL, UNLINK, EXISTS, TOUCH, TYPE, RENAME, RENAMENX, COPY, MOVE; TIME.
 *
 * COPY and MOVE to another database need no further stripe: a key's stripe does not depend on its database.
 * DEL and UNLINK do the same: the keyspace hands large values to the lazy queue whichever was sent.
 *
 * Locks, transaction and death: as cmd/cmd.h says of handlers.
 */
#include "base/clock.h"
#include "cmd/cmd_string.h"
#include "keyspace/objtype.h"

/* ---- DEL, EXISTS ---- */

void cmd_del(struct cmd *c)
{
    int64_t deleted = 0;
    for (uint32_t n = 0; n < c->nkeys; n++) {
        struct key k = key_nth(c, n);
        if (!ks_write(c->txn, &k) || !ks_delete(c->txn, &k)) continue;
        cmd_modified(c, &k, 'g', "del");
        deleted++;
    }
    reply_int(c->out, deleted);
}

void cmd_unlink(struct cmd *c)
{
    cmd_del(c);
}

/* A look-up that counts hits and misses but leaves the access clock alone. */
static struct entry *peek_counted(const struct key *k)
{
    struct entry *e = ks_peek(k);
    stat_add(e ? STAT_HITS : STAT_MISSES, 1);
    return e;
}

void cmd_exists(struct cmd *c)
{
    int64_t found = 0;
    for (uint32_t n = 0; n < c->nkeys; n++) {
        struct key k = key_nth(c, n);
        found += peek_counted(&k) != NULL;
    }
    reply_int(c->out, found);
}

void cmd_touch(struct cmd *c)
{
    int64_t found = 0;
    bool no_touch = ks_no_touch;
    ks_no_touch = false; /* CLIENT NO-TOUCH does not mean this command */
    for (uint32_t n = 0; n < c->nkeys; n++) {
        struct key k = key_nth(c, n);
        found += ks_read(&k) != NULL;
    }
    ks_no_touch = no_touch;
    reply_int(c->out, found);
}

void cmd_type(struct cmd *c)
{
    struct key k = key_for(c, 1);
    const struct entry *e = peek_counted(&k);
    reply_status(c->out, e ? type_name(entry_type(e)) : "none");
}

/* ---- RENAME ---- */

static bool same_bytes(struct slice a, struct slice b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static void rename_key(struct cmd *c, bool only_if_free)
{
    struct key from = key_for(c, 1), to = key_for(c, 2);
    bool same = same_bytes(from.name, to.name), taken;
    if (!ks_write(c->txn, &from)) {
        reply_error(c->out, ERR_NOSUCHKEY);
        return;
    }
    taken = same || ks_write(c->txn, &to);
    if (only_if_free && taken) {
        reply_int(c->out, 0);
        return;
    }
    if (!same) {
        if (taken) ks_delete(c->txn, &to);
        ks_rename(c->txn, &from, &to);
        cmd_modified(c, &from, 'g', "rename_from");
        cmd_notify(c, &to, 'g', "rename_to");
    }
    if (only_if_free)
        reply_int(c->out, 1);
    else
        reply_ok(c->out);
}

void cmd_rename(struct cmd *c)
{
    rename_key(c, false);
}

void cmd_renamenx(struct cmd *c)
{
    rename_key(c, true);
}

/* ---- MOVE, COPY ---- */

void cmd_move(struct cmd *c)
{
    struct key from = key_for(c, 1), to = from;
    if (!arg_db(c, 2, &to.db)) return;
    if (to.db == from.db) {
        reply_error(c->out, ERR_SAMEOBJECT);
        return;
    }
    if (!ks_write(c->txn, &from) || ks_write(c->txn, &to)) {
        reply_int(c->out, 0);
        return;
    }
    ks_rename(c->txn, &from, &to);
    cmd_modified(c, &from, 'g', "move_from");
    cmd_notify(c, &to, 'g', "move_to");
    reply_int(c->out, 1);
}

/* The value at e under another key, same encoding. */
static struct entry *copy_value(struct txn *t, const struct entry *e, const struct key *to)
{
    enum encoding enc = entry_enc(e);
    uint8_t *room;
    if (entry_type(e) != OBJ_STRING) {
        const struct objtype *type = objtypes[entry_type(e)];
        txn_expect(t, type->memory(enc, *entry_root(e), 5));
        shm_off root = type->copy(t, enc, *entry_root(e));
        return ks_set_object(t, to, entry_type(e), enc, root, TTL_CLEAR);
    }
    if (enc == ENC_INT) return ks_set_int(t, to, *entry_int(e), TTL_CLEAR);
    struct slice s = entry_bytes(e);
    if (enc != ENC_EMBSTR) return ks_set_raw(t, to, s, TTL_CLEAR);
    struct entry *made = ks_set_room(t, to, s.n, TTL_CLEAR, &room);
    memcpy(room, s.p, s.n);
    return made;
}

static bool parse_copy_options(struct cmd *c, uint32_t *db, bool *replace)
{
    for (uint32_t i = 3; i < c->argc; i++) {
        if (arg_is(c, i, "REPLACE")) {
            *replace = true;
        } else if (arg_is(c, i, "DB") && i + 1 < c->argc) {
            if (!arg_db(c, ++i, db)) return false;
        } else {
            reply_error(c->out, ERR_SYNTAX);
            return false;
        }
    }
    return true;
}

void cmd_copy(struct cmd *c)
{
    struct key from = key_for(c, 1), to = key_for(c, 2);
    bool replace = false;
    if (!parse_copy_options(c, &to.db, &replace)) return;
    if (to.db == from.db && same_bytes(from.name, to.name)) {
        reply_error(c->out, ERR_SAMEOBJECT);
        return;
    }
    struct entry *e = ks_read(&from);
    if (!e || (ks_write(c->txn, &to) && !replace)) {
        reply_int(c->out, 0);
        return;
    }
    int64_t expire = entry_expire(e);
    ks_delete(c->txn, &to);
    struct entry *made = copy_value(c->txn, e, &to);
    if (expire >= 0) ks_set_expire(c->txn, &to, made, expire);
    cmd_modified(c, &to, 'g', "copy_to");
    reply_int(c->out, 1);
}

void cmd_time(struct cmd *c)
{
    int64_t us = clock_wall_us();
    reply_array(c->out, 2);
    reply_bulk_int(c->out, us / 1000000);
    reply_bulk_int(c->out, us % 1000000);
}
