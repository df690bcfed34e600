/* cmd/handlers.h - prototypes of all C handlers named in commands.def. */
#ifndef SHOAL_CMD_HANDLERS_H
#define SHOAL_CMD_HANDLERS_H

struct cmd;

#define NONE cmd_none
#define PY cmd_python
#define COMMAND(ident, name, handler, ...) void handler(struct cmd *);
#define SUBCOMMAND(ident, container, name, handler, ...) void handler(struct cmd *);
#define DEPRECATED(ident, since, instead)
#include "commands.def"
#undef NONE
#undef PY
#undef COMMAND
#undef SUBCOMMAND
#undef DEPRECATED

/* Runs the function in server/commands that has this command's name: the handler of every PY row. */
void cmd_python(struct cmd *);

#endif
