/* net/input.h - from a readable socket to executed commands.
 *
 * Input is read into a buffer that all clients of the worker share; what is left of it when a client's turn ends (half a command, or
 * more than its share) is copied to a buffer of its own, which lives until it is used up. So an idle client holds no buffer. A large
 * argument is read straight into room for all of it, and that room is kept for the client's next ones until it is idle for two seconds.
 */
#ifndef SHOAL_NET_INPUT_H
#define SHOAL_NET_INPUT_H

#include "net/client.h"

#define LENT_BYTES (64u << 10) /* of the shared buffer */

/* Whose commands are being executed, and how many bytes of input it has, those of the batch in hand included (CLIENT LIST). */
extern const struct client *input_running;
extern size_t input_running_bytes;

void input_init(void);
/* The socket is readable: reads. Input is executed in groups, so that what the commands of several clients look up is fetched into the
 * cache together; what is left of the group runs with input_run(). */
void input_ready(struct client *c);
void input_run(void);
/* Goes on with input that is there already (a new turn, the end of a pause or of waiting). */
void input_continue(struct client *c);
/* Frees a buffer that was kept for large arguments if none has come lately. */
void input_drop_idle(struct client *c, int64_t now_ms);

#endif
