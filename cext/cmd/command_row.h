/* cmd/command_row.h - a row of commands.def as Python sees it: only text and numbers, no pointers into the table's inside.
 * The declarations are repeated in engine.h, for cffi. */
#ifndef SHOAL_CMD_COMMAND_ROW_H
#define SHOAL_CMD_COMMAND_ROW_H

#include "cmd/command_table.h"

struct command_row {
    const char *name, *fullname;
    const char *container; /* full name, "" if none */
    const char *group, *flags, *tips, *acl, *keys, *since, *complexity, *summary, *usage; /* columns */
    const char *deprecated_since, *deprecated_instead; /* "" if not deprecated */
    int32_t arity, key_first, key_last, key_step; /* keys as COMMAND INFO gives them; 0 if there are none */
    uint64_t flag_bits; /* CMD_... */
    uint64_t acl_bits;  /* all categories, those that follow from the flags too */
};

/* Row i of 0 .. command_count() - 1. The texts live as long as the process. */
void command_row(uint32_t i, struct command_row *out);
/* Index of the row for a call, as command_lookup(); -1 if there is none. argc >= 1. */
int command_row_of(const struct slice *argv, uint32_t argc);
/* command_keys() of row i for a call whose arity is right. */
int command_row_keys(uint32_t i, const struct slice *argv, uint32_t argc, struct key_index *out, uint32_t cap);

#endif
