/* base/crc64.h - the two checksums that Redis' formats use.
 *
 * CRC-64: the Jones polynomial 0xAD93D23594C935A9, reflected, start 0, no final xor: end of dump.rdb, DUMP payloads, AOF batch marks.
 *   Check value of "123456789": 0xE9C6D914C4B8D9CA.
 * CRC-16: XMODEM (polynomial 0x1021, not reflected, start 0): cluster key slots. Check value of "123456789": 0x31C3.
 * The tables are made when the module is loaded, before main; afterwards they are only read.
 */
#ifndef SHOAL_BASE_CRC64_H
#define SHOAL_BASE_CRC64_H

#include "base/base.h"

#define KEY_SLOTS 16384

/* Goes on from `crc` (0 at the start); feed pieces in order. */
uint64_t crc64(uint64_t crc, const void *data, size_t n);
/* The sum as it is n zero bytes later. Sums are linear: when bytes in front of n others are changed, the sum of all changes by the sum of
 * the exclusive or of old and new bytes, moved so far. */
uint64_t crc64_shift(uint64_t crc, uint64_t n);

uint16_t crc16(const void *data, size_t n);
/* Cluster slot of a key: of the part inside the first {...} if that is not empty, else of all of it. */
unsigned crc16_key_slot(const uint8_t *key, size_t n);

#endif
