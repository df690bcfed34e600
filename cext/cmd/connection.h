/* cmd/connection.h - what the commands on connections share. */
#ifndef SHOAL_CMD_CONNECTION_H
#define SHOAL_CMD_CONNECTION_H

#include "cmd/client.h"
#include "cmd/cmd.h"

/* A name or library text may hold no spaces, line breaks or other unprintable bytes: CLIENT LIST could not be read. */
bool client_text_ok(struct slice text);
/* Takes user and password as AUTH does; on failure replies the error and returns false. */
bool client_log_in(struct cmd *c, struct slice user, struct slice password);

#endif
