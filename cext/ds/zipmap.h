/* ds/zipmap.h - reads zipmaps: the small hashes of RDB files before Redis 2.6. Read-only, nothing writes them.
 *
 *   count u8 (254: unknown) | pair ... | 0xFF
 *   pair:   length | field | length | unused u8 | value | `unused` bytes
 *   length: u8 below 254, or 254 and u32 little-endian
 *
 * The reader checks as it goes, as that of ds/ziplist.h: open, next until false, then done.
 */
#ifndef SHOAL_DS_ZIPMAP_H
#define SHOAL_DS_ZIPMAP_H

#include "base/base.h"

struct zipmap_reader {
    const uint8_t *start;
    const uint8_t *p;   /* next pair */
    const uint8_t *end; /* the 0xFF */
    uint32_t seen;      /* pairs read */
    bool corrupt;
};

bool zipmap_open(struct zipmap_reader *r, const uint8_t *p, size_t n);
/* The next pair; both point into the zipmap. False: end or corrupt. */
bool zipmap_next(struct zipmap_reader *r, struct slice *field, struct slice *value);
bool zipmap_done(const struct zipmap_reader *r);

#endif
