/* cmd/propagate.c - writes what a command did as RESP frames into the transaction's record.
 *
 * A frame is one command in canonical form, whatever way it was sent (inline commands too), since the log writer copies frames to the
 * AOF unseen. Staged privately until the commit (shm/txn.h), so a transaction that is rolled back logs nothing.
 */
#include "cmd/propagate.h"

#include "base/num.h"

static void put_header(struct txn *t, char mark, uint64_t n)
{
    uint8_t text[NUM_I64_ROOM + 3];
    text[0] = (uint8_t)mark;
    size_t len = 1 + num_from_u64(text + 1, n);
    text[len++] = '\r';
    text[len++] = '\n';
    txn_log_put(t, text, len);
}

void cmd_log(struct txn *t, uint32_t db, uint32_t argc, const struct slice *argv)
{
    size_t frame = txn_log_begin(t, db);
    put_header(t, '*', argc);
    for (uint32_t i = 0; i < argc; i++) {
        put_header(t, '$', argv[i].n);
        txn_log_put(t, argv[i].p, argv[i].n);
        txn_log_put(t, "\r\n", 2);
    }
    txn_log_end(t, frame);
}

void cmd_log_sent(struct cmd *c)
{
    if (c->dirty && c->propagate == PROPAGATE_AS_SENT && !c->replaying && log_on()) cmd_log(c->txn, c->db, c->argc, c->argv);
}

void cmd_propagate(struct cmd *c, uint32_t argc, const struct slice *argv)
{
    c->propagate = PROPAGATE_REPLACED;
    if (!c->replaying && log_on()) cmd_log(c->txn, c->db, argc, argv);
}

void cmd_propagate_nothing(struct cmd *c)
{
    c->propagate = PROPAGATE_NOTHING;
}
