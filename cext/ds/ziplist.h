/* ds/ziplist.h - reads ziplists: the compact rows of RDB files and DUMP payloads before RDB version 10. Read-only, nothing writes them.
 *
 *   bytes u32 | offset of the last entry u32 | count u16 | entry ... | 0xFF        little-endian; count 65535: unknown
 *   entry:  size of the entry before (u8 below 254, or 254 and u32) | encoding | data
 *   00nnnnnn  string of n       01nnnnnn n8  string of n (14 bits)       10...... n32 big-endian  string of n
 *   C0 D0 E0 F0 FE  number of 16, 32, 64, 24, 8 bits, little-endian       F1..FD  the number 0..12
 *
 * The reader checks everything as it goes, so hostile bytes need no check before, and nothing outside [p, p + n) is read:
 *   struct ziplist_reader r;
 *   if (!ziplist_open(&r, p, n)) corrupt;
 *   while (ziplist_next(&r, &v)) use v;
 *   if (!ziplist_done(&r)) corrupt;
 */
#ifndef SHOAL_DS_ZIPLIST_H
#define SHOAL_DS_ZIPLIST_H

#include "ds/listpack.h"

struct ziplist_reader {
    const uint8_t *start;
    const uint8_t *p;    /* next entry */
    const uint8_t *end;  /* the 0xFF */
    const uint8_t *last; /* entry read last, or NULL */
    uint32_t seen;       /* entries read */
    bool corrupt;
};

/* Checks the frame. */
bool ziplist_open(struct ziplist_reader *r, const uint8_t *p, size_t n);
/* The next value (text points into the ziplist). False: end or corrupt. */
bool ziplist_next(struct ziplist_reader *r, struct lp_value *v);
/* After the end: was all of it sound, count and last offset included? */
bool ziplist_done(const struct ziplist_reader *r);
/* Entries that the header speaks of; 65535 if it does not know. */
static inline uint32_t ziplist_said_count(const struct ziplist_reader *r) { return le_load16(r->start + 8); }

#endif
