/* cmd/secrets.h - arguments that must not be seen by others: MONITOR and SLOWLOG show "(redacted)" in their place. */
#ifndef SHOAL_CMD_SECRETS_H
#define SHOAL_CMD_SECRETS_H

#include "cmd/cmd.h"

/* Does argument i hold a password, or something that Redis hides with one? */
bool cmd_secret(const struct cmd *c, uint32_t i);
/* The argument as it may be shown. */
static inline struct slice cmd_shown_arg(const struct cmd *c, uint32_t i) { return cmd_secret(c, i) ? SLICE("(redacted)") : c->argv[i]; }

#endif
