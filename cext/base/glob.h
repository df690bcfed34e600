/* base/glob.h - the patterns of KEYS, SCAN MATCH, PSUBSCRIBE, CONFIG GET and ACL.
 *
 *   *      any run of bytes, also none          ?      any one byte
 *   [abc]  one of these bytes                   [^abc] none of these
 *   [a-z]  a range, either way round            \x     the byte x itself, also inside brackets
 *
 * A bracket that is never closed ends with the pattern; a last lone backslash is itself; as in Redis, a pattern of stars does not match
 * the empty text. Works on bytes. Time is at most pattern times text: only the last star is ever tried again.
 */
#ifndef SHOAL_BASE_GLOB_H
#define SHOAL_BASE_GLOB_H

#include "base/base.h"

/* True if all of the text matches. `nocase` folds ASCII letters. */
bool glob_match(const uint8_t *pattern, size_t pattern_n, const uint8_t *text, size_t text_n, bool nocase);

/* True if the pattern has no special byte, so that it can only match itself. */
bool glob_is_literal(const uint8_t *pattern, size_t n);

#endif
