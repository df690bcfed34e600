/* ds/ziplist.c - the checking ziplist reader of ziplist.h. Pure functions. */
#include "ds/ziplist.h"

#define HEADER 10
#define COUNT_UNKNOWN 65535
#define BIG_PREVIOUS 254

bool ziplist_open(struct ziplist_reader *r, const uint8_t *p, size_t n)
{
    if (n < HEADER + 1 || n > UINT32_MAX || le_load32(p) != n || p[n - 1] != 0xFF)
        return false;
    *r = (struct ziplist_reader){.start = p, .p = p + HEADER, .end = p + n - 1};
    uint32_t last = le_load32(p + 4);
    return last >= HEADER && last < n;
}

/* Bytes of data of a number encoding; 0: an immediate; -1: no such encoding. */
static int number_bytes(uint8_t c)
{
    switch (c) {
    case 0xC0:
        return 2;
    case 0xD0:
        return 4;
    case 0xE0:
        return 8;
    case 0xF0:
        return 3;
    case 0xFE:
        return 1;
    }
    return c >= 0xF1 && c <= 0xFD ? 0 : -1;
}

static int64_t number_value(uint8_t c, const uint8_t *p)
{
    switch (c) {
    case 0xC0:
        return (int16_t)le_load16(p);
    case 0xD0:
        return (int32_t)le_load32(p);
    case 0xE0:
        return (int64_t)le_load64(p);
    case 0xF0:
        return (int32_t)(le_load24(p) << 8) >> 8;
    case 0xFE:
        return (int8_t)*p;
    }
    return c - 0xF1;
}

/* The string at *at, whose encoding byte is below 0xC0; moves *at behind it. False: it does not fit. */
static bool get_text(const uint8_t **at, const uint8_t *end, struct lp_value *v)
{
    const uint8_t *p = *at;
    size_t left = (size_t)(end - p), head = *p < 0x40 ? 1 : *p < 0x80 ? 2 : 5;
    if (left < head)
        return false;
    v->n = head == 1 ? *p & 63u : head == 2 ? (*p & 63u) << 8 | p[1] : be_load32(p + 1);
    if (left - head < v->n)
        return false;
    v->text = p + head;
    *at = p + head + v->n;
    return true;
}

/* The size that the entry at *at says the one before has; moves *at behind it. */
static bool get_previous(const uint8_t **at, const uint8_t *end, uint32_t *size)
{
    const uint8_t *p = *at;
    if (*p < BIG_PREVIOUS) {
        *size = *p;
        *at = p + 1;
    } else {
        if (end - p < 5)
            return false;
        *size = le_load32(p + 1);
        *at = p + 5;
    }
    return *at < end;
}

static bool get_number(const uint8_t **at, const uint8_t *end, struct lp_value *v)
{
    const uint8_t *p = *at;
    int bytes = number_bytes(*p);
    if (bytes < 0 || end - p - 1 < bytes)
        return false;
    v->text = NULL;
    v->number = number_value(*p, p + 1);
    *at = p + 1 + bytes;
    return true;
}

bool ziplist_next(struct ziplist_reader *r, struct lp_value *v)
{
    const uint8_t *p = r->p;
    uint32_t previous, before = r->last != NULL ? (uint32_t)(p - r->last) : 0;
    if (r->corrupt || p == r->end)
        return false;
    if (!get_previous(&p, r->end, &previous) || previous != before ||
        !(*p < 0xC0 ? get_text(&p, r->end, v) : get_number(&p, r->end, v))) {
        r->corrupt = true;
        return false;
    }
    r->last = r->p;
    r->p = p;
    r->seen++;
    return true;
}

bool ziplist_done(const struct ziplist_reader *r)
{
    uint32_t last = (uint32_t)((r->last != NULL ? r->last : r->end) - r->start), said = ziplist_said_count(r);
    return !r->corrupt && r->p == r->end && last == le_load32(r->start + 4) && (said == COUNT_UNKNOWN || said == r->seen);
}
