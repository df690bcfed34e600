/* base/lzf.h - the LZF compression of strings in RDB files and DUMP payloads.
 *
 * The format is a row of pieces, each led by a control byte c:
 *   c < 32         a literal run: the next c + 1 bytes as they are
 *   c >= 32        a copy: length (c >> 5) + 2, or for c >> 5 == 7 the next byte + 9; distance ((c & 31) << 8 | next byte) + 1
 * so copies are 3 to 264 bytes long and come from at most 8192 bytes back; they may overlap themselves.
 * Pure. Compression is ours and need not give the same bytes as liblzf; any LZF reader can read it. It passes over bytes that do not repeat
 * with growing steps, so that what cannot be packed is given up soon.
 */
#ifndef SHOAL_BASE_LZF_H
#define SHOAL_BASE_LZF_H

#include "base/base.h"

/* Hash slots that lzf_compress works with: 32 KiB, given by the caller, all zero before the first call. Positions of earlier calls stay in it but
 * lie below `base`, so nothing needs clearing between calls, and the output does not depend on them. */
#define LZF_SLOTS 8192
struct lzf_work {
    uint32_t base; /* positions of the current call are above this */
    uint32_t last[LZF_SLOTS];
};

/* Compressed size, or 0 if it would not fit dst_n (give n - 4 as Redis does: smaller gains are not worth it). n below 2 GiB. */
size_t lzf_compress(const uint8_t *src, size_t n, uint8_t *dst, size_t dst_n, struct lzf_work *work);

/* True if src decodes to exactly dst_n bytes. Hostile input never reads or writes outside the two buffers. */
bool lzf_decompress(const uint8_t *src, size_t n, uint8_t *dst, size_t dst_n);

#endif
