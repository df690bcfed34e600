/* ds/listpack.c - reading, editing and validating listpacks. Pure functions over the caller's memory; format in listpack.h. */
#include "ds/listpack.h"

const uint8_t lp_empty[LP_EMPTY_BYTES] = {LP_EMPTY_BYTES, 0, 0, 0, 0, 0, LP_END};

static uint16_t header_count(const uint8_t *lp) { return le_load16(lp + 4); }

static void put_header(uint8_t *lp, uint32_t bytes, uint16_t count)
{
    le_store32(lp, bytes);
    le_store16(lp + 4, count);
}

static uint16_t count_field(uint64_t count) { return (uint16_t)MIN(count, (uint64_t)LP_COUNT_UNKNOWN); }

/* ---- reading ---- */

/* The last byte first: it is where neighbouring names differ, and it saves the call. */
static ALWAYS_INLINE bool same_bytes(const uint8_t *a, const uint8_t *b, size_t n)
{
    return n == 0 || (a[n - 1] == b[n - 1] && memcmp(a, b, n) == 0);
}

const uint8_t *lp_prev(const uint8_t *lp, const uint8_t *p)
{
    return p == lp + LP_HEADER ? NULL : lp_step_back(p);
}

const uint8_t *lp_last(const uint8_t *lp) { return lp_prev(lp, lp_end(lp)); }

uint32_t lp_count(const uint8_t *lp)
{
    uint32_t n = header_count(lp);
    if (likely(n != LP_COUNT_UNKNOWN))
        return n;
    n = 0;
    for (const uint8_t *p = lp + LP_HEADER; *p != LP_END; p = lp_after(p))
        n++;
    return n;
}

const uint8_t *lp_seek(const uint8_t *lp, int64_t index)
{
    int64_t count = header_count(lp);
    if (count != LP_COUNT_UNKNOWN) {
        if (index < -count || index >= count)
            return NULL;
        if (index < 0)
            index += count;
        if (index > count / 2)
            index -= count;
    }
    if (index >= 0) {
        const uint8_t *p = lp_first(lp);
        while (p != NULL && index-- > 0)
            p = lp_next(p);
        return p;
    }
    const uint8_t *p = lp_end(lp);
    while (p != NULL && index++ < 0)
        p = lp_prev(lp, p);
    return p;
}

const uint8_t *lp_random(const uint8_t *lp, uint64_t r, uint32_t group)
{
    uint32_t groups = lp_count(lp) / group;
    return groups == 0 ? NULL : lp_seek(lp, (int64_t)(r % groups) * group);
}

struct slice lp_text(const uint8_t *p, uint8_t room[NUM_I64_ROOM])
{
    struct lp_value v;
    lp_get(p, &v);
    if (v.text != NULL)
        return (struct slice){v.text, v.n};
    return (struct slice){room, num_from_i64(room, v.number)};
}

bool lp_equals(const uint8_t *p, const uint8_t *s, size_t n)
{
    struct lp_value v;
    int64_t number;
    lp_get(p, &v);
    if (v.text != NULL)
        return v.n == n && same_bytes(v.text, s, n);
    return num_parse_i64(s, n, &number) && number == v.number;
}

const uint8_t *lp_find(const uint8_t *p, const uint8_t *s, size_t n, uint32_t skip)
{
    int64_t number = 0;
    bool is_number = num_parse_i64(s, n, &number);
    while (p != NULL) {
        struct lp_value v;
        lp_get(p, &v);
        if (v.text == NULL ? is_number && v.number == number : v.n == n && same_bytes(v.text, s, n))
            return p;
        p = lp_after(p);
        for (uint32_t i = skip; i > 0 && *p != LP_END; i--)
            p = lp_after(p);
        if (*p == LP_END)
            return NULL;
    }
    return NULL;
}

/* ---- items ---- */

static uint32_t with_back(uint32_t body) { return body + lp_back_bytes(body); }

/* Bytes of the body of a number. */
static uint32_t number_body(int64_t v)
{
    if (v >= 0 && v <= 127)
        return 1;
    if (v >= -4096 && v <= 4095)
        return 2;
    if (v >= INT16_MIN && v <= INT16_MAX)
        return 3;
    if (v >= -8388608 && v <= 8388607)
        return 4;
    return v >= INT32_MIN && v <= INT32_MAX ? 5 : 9;
}

struct lp_item lp_item_number(int64_t v) { return (struct lp_item){.number = v, .bytes = with_back(number_body(v))}; }

struct lp_item lp_item_text(const void *s, size_t n)
{
    static const uint8_t nothing[1];
    int64_t number;
    if (num_parse_i64(s, n, &number))
        return lp_item_number(number);
    return (struct lp_item){.text = n == 0 ? nothing : s, .n = (uint32_t)n, .bytes = lp_text_bytes((uint32_t)n)};
}

struct lp_item lp_item_value(const struct lp_value *v)
{
    return v->text != NULL ? lp_item_text(v->text, v->n) : lp_item_number(v->number);
}

static uint8_t *put_number(uint8_t *p, int64_t v)
{
    switch (number_body(v)) {
    case 1:
        *p = (uint8_t)v;
        return p + 1;
    case 2:
        p[0] = (uint8_t)(0xC0 | ((uint64_t)v >> 8 & 0x1F));
        p[1] = (uint8_t)v;
        return p + 2;
    case 3:
        *p = 0xF1;
        le_store16(p + 1, (uint16_t)v);
        return p + 3;
    case 4:
        *p = 0xF2;
        le_store24(p + 1, (uint32_t)v);
        return p + 4;
    case 5:
        *p = 0xF3;
        le_store32(p + 1, (uint32_t)v);
        return p + 5;
    default:
        *p = 0xF4;
        le_store64(p + 1, (uint64_t)v);
        return p + 9;
    }
}

static uint8_t *put_text(uint8_t *p, const uint8_t *s, uint32_t n)
{
    if (n < 64) {
        *p++ = (uint8_t)(0x80 | n);
    } else if (n < 4096) {
        *p++ = (uint8_t)(0xE0 | n >> 8);
        *p++ = (uint8_t)n;
    } else {
        *p = 0xF0;
        le_store32(p + 1, n);
        p += 5;
    }
    memcpy(p, s, n);
    return p + n;
}

static uint8_t *put_stemmed(uint8_t *p, const uint8_t *s, uint32_t n)
{
    if (n <= LP_STEMMED_LONG - LP_STEMMED - 1) {
        *p++ = (uint8_t)(LP_STEMMED + n);
    } else {
        *p++ = LP_STEMMED_LONG;
        *p++ = (uint8_t)n;
    }
    memcpy(p, s, n);
    return p + n;
}

/* The highest seven bits first; all bytes but the first carry the mark. */
static uint8_t *put_back(uint8_t *p, uint32_t n)
{
    uint32_t bytes = lp_back_bytes(n);
    for (uint32_t i = bytes; i-- > 0; n >>= 7)
        p[i] = (uint8_t)((n & 0x7F) | (i > 0 ? 0x80 : 0));
    return p + bytes;
}

uint32_t lp_item_body_bytes(const struct lp_item *item)
{
    if (item->text == NULL) return number_body(item->number);
    if (item->stemmed) return item->n + (item->n <= LP_STEMMED_LONG - LP_STEMMED - 1 ? 1 : 2);
    return item->n + (item->n < 64 ? 1 : item->n < 4096 ? 2 : 5);
}

uint8_t *lp_item_write_body(uint8_t *p, const struct lp_item *item)
{
    if (item->text == NULL) return put_number(p, item->number);
    return unlikely(item->stemmed) ? put_stemmed(p, item->text, item->n) : put_text(p, item->text, item->n);
}

uint8_t *lp_item_write(uint8_t *p, const struct lp_item *item)
{
    uint8_t *body_end = lp_item_write_body(p, item);
    return put_back(body_end, (uint32_t)(body_end - p));
}

static uint8_t *put_items(uint8_t *p, const struct lp_edit *e)
{
    for (uint32_t i = 0; i < e->item_count; i++) p = lp_item_write(p, &e->items[i]);
    return p;
}

/* ---- edits ---- */

bool lp_plan(const uint8_t *lp, const uint8_t *pos, uint32_t remove, const struct lp_item *items, uint32_t item_count,
             struct lp_edit *e)
{
    uint64_t added = 0;
    uint32_t gone = 0, bytes = lp_bytes(lp);
    const uint8_t *p = pos != NULL ? pos : lp + bytes - 1;
    e->at = (uint32_t)(p - lp);
    while (gone < remove && *p != LP_END) {
        p = lp_after(p);
        gone++;
    }
    for (uint32_t i = 0; i < item_count; i++)
        added += items[i].bytes;
    e->removed = (uint32_t)(p - lp) - e->at;
    uint64_t total = bytes - e->removed + added;
    if (unlikely(total > LP_MAX_BYTES))
        return false;
    uint16_t count = header_count(lp);
    e->items = items;
    e->item_count = item_count;
    e->added = (uint32_t)added;
    e->old_bytes = bytes;
    e->new_bytes = (uint32_t)total;
    e->new_count = count == LP_COUNT_UNKNOWN ? LP_COUNT_UNKNOWN : count_field((uint64_t)count - gone + item_count);
    return true;
}

void lp_apply(uint8_t *lp, const struct lp_edit *e)
{
    uint8_t *tail = lp + e->at + e->removed;
    if (e->added != e->removed)
        memmove(lp + e->at + e->added, tail, e->old_bytes - e->at - e->removed);
    put_items(lp + e->at, e);
    put_header(lp, e->new_bytes, e->new_count);
}

void lp_build(uint8_t *dst, const uint8_t *src, const struct lp_edit *e)
{
    put_header(dst, e->new_bytes, e->new_count);
    memcpy(dst + LP_HEADER, src + LP_HEADER, e->at - LP_HEADER);
    uint8_t *p = put_items(dst + e->at, e);
    memcpy(p, src + e->at + e->removed, e->old_bytes - e->at - e->removed);
}

void lp_build_range(uint8_t *dst, const uint8_t *from, const uint8_t *to, uint32_t count)
{
    uint32_t n = (uint32_t)(to - from);
    put_header(dst, LP_EMPTY_BYTES + n, count_field(count));
    memcpy(dst + LP_HEADER, from, n);
    dst[LP_HEADER + n] = LP_END;
}

void lp_build_joined(uint8_t *dst, const uint8_t *a, const uint8_t *b)
{
    uint32_t a_bytes = lp_bytes(a), b_bytes = lp_bytes(b), counts = (uint32_t)header_count(a) + header_count(b);
    memcpy(dst, a, a_bytes - 1);
    memcpy(dst + a_bytes - 1, b + LP_HEADER, b_bytes - LP_HEADER);
    put_header(dst, a_bytes + b_bytes - LP_EMPTY_BYTES, count_field(counts));
}

/* ---- bytes from outside ---- */

/* Size of the whole entry at p if it lies inside [p, end) and its back-length is right; else 0. */
static size_t sound_entry(const uint8_t *p, const uint8_t *end)
{
    size_t left = (size_t)(end - p);
    uint8_t c = *p;
    if (c > 0xF4 || (c >= 0xC0 && left < 2) || (c == 0xF0 && left < 5))
        return 0;
    uint64_t body = lp_body_bytes(p), back = 0;
    if (c == 0xF0 && (uint64_t)le_load32(p + 1) + 5 > left) /* the 32-bit sum may have wrapped */
        return 0;
    uint32_t back_bytes = lp_back_bytes((uint32_t)body);
    if (body + back_bytes > left)
        return 0;
    for (uint32_t i = 0; i < back_bytes; i++) {
        uint8_t b = p[body + i];
        if (((b & 0x80) != 0) != (i > 0))
            return 0;
        back = back << 7 | (b & 0x7F);
    }
    return back == body ? body + back_bytes : 0;
}

bool lp_validate(const uint8_t *lp, size_t n, bool deep, lp_check_fn *check, void *ctx)
{
    if (n < LP_EMPTY_BYTES || n > UINT32_MAX || lp_bytes(lp) != n || lp[n - 1] != LP_END)
        return false;
    if (!deep)
        return true;
    const uint8_t *p = lp + LP_HEADER, *end = lp + n - 1;
    uint32_t count = 0;
    while (p < end) {
        size_t size = sound_entry(p, end);
        if (size == 0 || (check != NULL && !check(p, count, ctx)))
            return false;
        p += size;
        count++;
    }
    uint16_t said = header_count(lp);
    return said == LP_COUNT_UNKNOWN || said == count;
}
