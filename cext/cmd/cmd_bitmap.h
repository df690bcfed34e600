/* cmd/cmd_bitmap.h - what the bit commands share: offsets in bits, and a string that is long enough for them. */
#ifndef SHOAL_CMD_CMD_BITMAP_H
#define SHOAL_CMD_CMD_BITMAP_H

#include "cmd/cmd_string.h"

/* Argument i as an offset in bits; with `width` also "#n", which is n fields of that width. Replies the error. */
bool parse_bit_offset(struct cmd *c, uint32_t i, unsigned width, uint64_t *offset);

/* The string at e (NULL: none yet), at least `bits` bits long and raw; *changed: it was made or became longer. */
struct entry *string_with_bits(struct cmd *c, const struct key *k, struct entry *e, uint64_t bits, uint8_t **bytes, bool *changed);

#endif
