/* cmd/cmd_list.h - what the handlers of lists share: popping with its effects, parsing LEFT and RIGHT. */
#ifndef SHOAL_CMD_CMD_LIST_H
#define SHOAL_CMD_CMD_LIST_H

#include "cmd/cmd.h"
#include "types/list.h"

/* A bulk string. */
static inline void reply_value(struct reply *r, const struct lp_value *v)
{
    if (v->text)
        reply_bulk(r, v->text, v->n);
    else
        reply_bulk_int(r, v->number);
}

/* LEFT or RIGHT at argv[i]; else ERR syntax error. */
bool arg_list_end(struct cmd *c, uint32_t i, enum list_end *end);
/* For writing. False: WRONGTYPE was replied. e NULL: no such key, l is empty. */
bool list_for_write(struct cmd *c, const struct key *k, struct entry **e, struct list *l);
/* Stores a list that lost elements: settled, or deleted when it is empty; tells events and adds `removed` to dirty. */
void list_shrunk(struct cmd *c, const struct key *k, struct entry *e, struct list *l, uint64_t removed, const char *event);
/* Stores a list that got elements; e NULL makes the key. */
void list_grown(struct cmd *c, const struct key *k, struct entry *e, const struct list *l);
/* Pops one element and replies it as a bulk string, with events. */
void list_pop_one(struct cmd *c, const struct key *k, struct entry *e, struct list *l, enum list_end where);
/* Pops `count` elements (at most all) and replies them as an array, with events. Returns how many. */
uint64_t list_pop_range(struct cmd *c, const struct key *k, struct entry *e, struct list *l, enum list_end where, uint64_t count);
/* LMOVE once its arguments are parsed; replies null when the source is empty. True: it moved. */
bool list_move(struct cmd *c, enum list_end from, enum list_end to);
/* LMPOP, BLMPOP: arguments from argv[at] (numkeys) on. */
struct list_mpop {
    uint32_t first, numkeys;
    enum list_end where;
    int64_t count;
};
bool arg_list_mpop(struct cmd *c, uint32_t at, struct list_mpop *m);
/* Pops from the first key that has elements and replies [key, [elements]]; logs [LR]POP. False: all keys are empty. An error was replied:
 * also true. */
bool list_mpop(struct cmd *c, const struct list_mpop *m);
/* Logs LPOP or RPOP, with a count if it is not 0, in place of the command. */
void propagate_pop(struct cmd *c, struct slice key, enum list_end where, uint64_t count);

#endif
