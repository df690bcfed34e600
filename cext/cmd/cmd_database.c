/* cmd/cmd_database.c - whole databases: FLUSHDB, FLUSHALL, SWAPDB. Rows are LOCK_ALL: every stripe is held.
 *
 * Flushing detaches the tables; their memory goes back in the background whether ASYNC or SYNC was sent, and a running snapshot keeps
 * what it still needs. Watchers of keys that go, come or change hands are marked before the change. A flush is logged even if there was
 * nothing to delete, as in Redis, so that replicas do the same. FLUSHALL ends a BGSAVE that is running: the dataset it saves is gone.
 */
#include "cmd/blocking.h"
#include "cmd/cmd.h"
#include "keyspace/interest.h"

static bool parse_flush_mode(struct cmd *c)
{
    if (c->argc == 1 || (c->argc == 2 && (arg_is(c, 1, "ASYNC") || arg_is(c, 1, "SYNC")))) return true;
    reply_error(c->out, ERR_SYNTAX);
    return false;
}

static void flush_db(struct cmd *c, uint32_t db)
{
    interest_replace_db(c->txn, db, INTEREST_EMPTIED);
    c->dirty += ks_flush_db(c->txn, db);
    blocking_note_db(db); /* consumers of groups do not wait for a stream that is gone */
}

void cmd_flushdb(struct cmd *c)
{
    if (!parse_flush_mode(c)) return;
    flush_db(c, c->db);
    cmd_propagate(c, c->argc, c->argv);
    reply_ok(c->out);
}

void cmd_flushall(struct cmd *c)
{
    if (!parse_flush_mode(c)) return;
    for (uint32_t db = 0; db < seg()->databases; db++) flush_db(c, db);
    atomic_fetch_or(&seg()->save_cancel, SAVE_CANCEL_FLUSHED);
    cmd_propagate(c, c->argc, c->argv);
    reply_ok(c->out);
}

void cmd_swapdb(struct cmd *c)
{
    int32_t a, b;
    if (!arg_i32(c, 1, "ERR invalid first DB index", &a) || !arg_i32(c, 2, "ERR invalid second DB index", &b)) return;
    if (!db_exists(c, a) || !db_exists(c, b)) return;
    if (a != b) {
        interest_replace_db(c->txn, (uint32_t)a, (uint32_t)b);
        interest_replace_db(c->txn, (uint32_t)b, (uint32_t)a);
        ks_swap_db(c->txn, (uint32_t)a, (uint32_t)b);
        blocking_note_db((uint32_t)a);
        blocking_note_db((uint32_t)b);
    }
    c->dirty++;
    reply_ok(c->out);
}
