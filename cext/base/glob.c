/* base/glob.c - the pattern matcher of glob.h. Pure functions; no recursion. */
#include "base/glob.h"

static ALWAYS_INLINE uint8_t fold(uint8_t c, bool nocase) { return nocase && c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c; }

/* Does the bracket at *at (just after '[') hold c? Moves *at behind the closing bracket or to the end. */
static bool match_bracket(const uint8_t **at, const uint8_t *end, uint8_t c, bool nocase)
{
    const uint8_t *p = *at;
    bool negated = p < end && *p == '^', found = false;
    p += negated;
    c = fold(c, nocase);
    while (p < end && *p != ']') {
        if (*p == '\\' && end - p >= 2) {
            found |= fold(p[1], nocase) == c;
            p += 2;
        } else if (end - p >= 3 && p[1] == '-') {
            uint8_t low = fold(MIN(p[0], p[2]), nocase), high = fold(MAX(p[0], p[2]), nocase);
            found |= c >= low && c <= high;
            p += 3;
        } else {
            found |= fold(*p, nocase) == c;
            p++;
        }
    }
    *at = p < end ? p + 1 : end;
    return found != negated;
}

/* Matches one text byte against the pattern item at *at, which is not a star. Moves *at behind the item. */
static ALWAYS_INLINE bool match_one(const uint8_t **at, const uint8_t *end, uint8_t c, bool nocase)
{
    const uint8_t *p = *at;
    switch (*p) {
    case '?':
        *at = p + 1;
        return true;
    case '[':
        *at = p + 1;
        return match_bracket(at, end, c, nocase);
    case '\\':
        p += end - p >= 2;
        break;
    }
    *at = p + 1;
    return fold(*p, nocase) == fold(c, nocase);
}

bool glob_match(const uint8_t *p, size_t pattern_n, const uint8_t *s, size_t text_n, bool nocase)
{
    const uint8_t *p_end = p + pattern_n, *s_end = s + text_n;
    const uint8_t *star = NULL, *retry = NULL; /* behind the last star; the text position it was last tried at */
    if (text_n == 0)
        return pattern_n == 0;
    while (s < s_end) {
        if (p < p_end && *p == '*') {
            while (p < p_end && *p == '*')
                p++;
            if (p == p_end)
                return true;
            star = p;
            retry = s;
        } else if (p < p_end && match_one(&p, p_end, *s, nocase)) {
            s++;
        } else if (star != NULL) {
            p = star;
            s = ++retry;
        } else {
            return false;
        }
    }
    while (p < p_end && *p == '*')
        p++;
    return p == p_end;
}

bool glob_is_literal(const uint8_t *pattern, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (pattern[i] == '*' || pattern[i] == '?' || pattern[i] == '[' || pattern[i] == '\\')
            return false;
    return true;
}
