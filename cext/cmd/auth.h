/* cmd/auth.h - who may log in: users and the hashes of their passwords.
 *
 * Shared blob BLOB_USERS holds one ACL line per user, ended by line feeds, as ACL LIST prints them:
 *     user default on #5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8 ~* &* +@all
 * An empty blob is the default user without a password. Writer: CONFIG SET requirepass and ACL commands (Python), which then sets
 * <auth-required>. Each process keeps a private copy and reads it again when the blob's version moves.
 * Not for: what a user may do once he is in.
 */
#ifndef SHOAL_CMD_AUTH_H
#define SHOAL_CMD_AUTH_H

#include "base/base.h"

/* Is this the user's password, and the user on? Takes the same time however much of the password is right. */
bool auth_check(struct slice user, struct slice password);
/* The default user needs no password. */
bool auth_default_open(void);

#endif
