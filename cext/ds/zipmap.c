/* ds/zipmap.c - the checking zipmap reader of zipmap.h. Pure functions. */
#include "ds/zipmap.h"

#include "base/le.h"

#define COUNT_UNKNOWN 254
#define BIG_LENGTH 254

bool zipmap_open(struct zipmap_reader *r, const uint8_t *p, size_t n)
{
    if (n < 2 || p[n - 1] != 0xFF)
        return false;
    *r = (struct zipmap_reader){.start = p, .p = p + 1, .end = p + n - 1};
    return true;
}

/* Reads a length; then `more` bytes and that many must still be there. */
static bool get_length(const uint8_t **at, const uint8_t *end, size_t more, uint32_t *length)
{
    const uint8_t *p = *at;
    if (p == end || *p > BIG_LENGTH)
        return false;
    if (*p < BIG_LENGTH) {
        *length = *p++;
    } else {
        if (end - p < 5)
            return false;
        *length = le_load32(p + 1);
        p += 5;
    }
    *at = p;
    return (size_t)(end - p) >= more + *length;
}

bool zipmap_next(struct zipmap_reader *r, struct slice *field, struct slice *value)
{
    const uint8_t *p = r->p;
    uint32_t n;
    if (r->corrupt || p == r->end)
        return false;
    r->corrupt = true; /* until this pair has proved sound */
    if (!get_length(&p, r->end, 0, &n))
        return false;
    *field = (struct slice){p, n};
    p += n;
    if (!get_length(&p, r->end, 1, &n))
        return false;
    uint8_t unused = *p++;
    *value = (struct slice){p, n};
    p += n;
    if (r->end - p < unused)
        return false;
    r->p = p + unused;
    r->corrupt = false;
    r->seen++;
    return true;
}

bool zipmap_done(const struct zipmap_reader *r)
{
    return !r->corrupt && r->p == r->end && (r->start[0] >= COUNT_UNKNOWN || r->start[0] == r->seen);
}
