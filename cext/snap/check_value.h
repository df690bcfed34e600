/* snap/check_value.h - is a key's value whole? Every type and encoding, as far as its layout allows to tell: texts may be any bytes.
 *
 * Leaves through check_damage() when it is not. Locks, views, interruptions: check_mem.h.
 */
#ifndef SHOAL_SNAP_CHECK_VALUE_H
#define SHOAL_SNAP_CHECK_VALUE_H

#include "snap/check_mem.h"

/* The entry at off: header, key, and its value to the last element. *key is a view. Returns its flags. */
uint8_t check_entry(struct checker *c, shm_off off, struct slice *key);
/* Only as far as its key. */
struct slice check_entry_key(struct checker *c, shm_off off, const struct entry **e);

void check_stream(struct checker *c, shm_off root); /* check_stream.c */

#endif
