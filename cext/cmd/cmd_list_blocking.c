/* cmd/cmd_list_blocking.c - BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH: as their plain forms when there is something, else they wait.
 *
 * They log what they did, never themselves. Locks, transaction and death: as cmd/cmd.h says of handlers; waiting: cmd/blocking.h.
 */
#include "cmd/blocking.h"
#include "cmd/cmd_list.h"

#define WANTS_LIST (UINT64_C(1) << OBJ_LIST)

static void blocking_pop(struct cmd *c, enum list_end where)
{
    int64_t timeout;
    if (!arg_timeout(c, c->argc - 1, &timeout)) return;
    for (uint32_t i = 1; i < c->argc - 1; i++) {
        struct key k = key_for(c, i);
        struct entry *e;
        struct list l;
        if (!list_for_write(c, &k, &e, &l)) return;
        if (!e) continue;
        reply_array(c->out, 2);
        reply_slice(c->out, k.name);
        list_pop_one(c, &k, e, &l, where);
        propagate_pop(c, k.name, where, 0);
        return;
    }
    if (cmd_may_block(c))
        cmd_block(c, 1, c->argc - 2, timeout, WANTS_LIST);
    else
        reply_null_array(c->out);
}

void cmd_blpop(struct cmd *c) { blocking_pop(c, LIST_HEAD); }
void cmd_brpop(struct cmd *c) { blocking_pop(c, LIST_TAIL); }

void cmd_blmpop(struct cmd *c)
{
    struct list_mpop m;
    int64_t timeout;
    if (!arg_list_mpop(c, 2, &m) || !arg_timeout(c, 1, &timeout) || list_mpop(c, &m)) return;
    if (cmd_may_block(c))
        cmd_block(c, m.first, m.numkeys, timeout, WANTS_LIST);
    else
        reply_null_array(c->out);
}

static void blocking_move(struct cmd *c, enum list_end from, enum list_end to, int64_t timeout, uint32_t argc, const struct slice *argv)
{
    if (list_move(c, from, to)) {
        if (c->dirty) cmd_propagate(c, argc, argv);
    } else if (cmd_may_block(c)) {
        cmd_block(c, 1, 1, timeout, WANTS_LIST);
    } else {
        reply_null(c->out);
    }
}

void cmd_blmove(struct cmd *c)
{
    enum list_end from, to;
    int64_t timeout;
    if (!arg_list_end(c, 3, &from) || !arg_list_end(c, 4, &to) || !arg_timeout(c, 5, &timeout)) return;
    const struct slice argv[5] = {SLICE("LMOVE"), c->argv[1], c->argv[2], c->argv[3], c->argv[4]};
    blocking_move(c, from, to, timeout, 5, argv);
}

void cmd_brpoplpush(struct cmd *c)
{
    int64_t timeout;
    if (!arg_timeout(c, 3, &timeout)) return;
    const struct slice argv[3] = {SLICE("RPOPLPUSH"), c->argv[1], c->argv[2]};
    blocking_move(c, LIST_TAIL, LIST_HEAD, timeout, 3, argv);
}
