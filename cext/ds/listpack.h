/* ds/listpack.h - the compact row of small strings and integers, byte for byte Redis' listpack.
 *
 *   bytes u32 | count u16 | entry ... | 0xFF         both little-endian; count 65535 means "more than fits: walk and count"
 *   entry:  encoding and data | back-length          back-length: size of the former, 1 to 5 bytes, readable from its end backwards
 *   0xxxxxxx                 number 0..127           10nnnnnn data         string of n bytes
 *   110xxxxx x8              number of 13 bits       1110nnnn n8 data      string of n (12 bits) bytes
 *   F0 n32 data              string, 32-bit length   F1..F4 + 2 3 4 8      number of 16, 24, 32, 64 bits
 * A text that is a canonical number is always stored as the number. F5..FE are free; structures of ours that are no listpacks use them for
 * texts without their common beginning (ds/stem.h): the functions here measure and write such entries, but do not read their text.
 *
 * PURE: nothing here allocates, locks or knows of transactions; memory is the caller's, and so are the announcements. Therefore every
 * change has two steps. lp_plan() reads the listpack and says what would change; then the caller chooses:
 *   in place    touch [0, LP_HEADER) and [edit.at, edit.at + lp_edit_reach(&edit)), then lp_apply(); needs new_bytes of room
 *   new buffer  allocate edit.new_bytes, lp_build(dst, src, &edit), swap the offset, free the old
 * In place is right for a change of equal size and for appends into slack; a shift of much memory is cheaper as a new buffer.
 *
 * A position is a pointer to an entry; NULL is "no such entry". Functions trust their listpack: bytes from outside go through
 * lp_validate(deep) first.
 */
#ifndef SHOAL_DS_LISTPACK_H
#define SHOAL_DS_LISTPACK_H

#include "base/le.h"
#include "base/num.h"

#define LP_HEADER 6
#define LP_EMPTY_BYTES 7
#define LP_END 0xFF
#define LP_STEMMED 0xF5      /* F5..FD: what follows a stem, 0..8 bytes; FE: its length, then it */
#define LP_STEMMED_LONG 0xFE
#define LP_COUNT_UNKNOWN 65535
#define LP_MAX_BYTES (1u << 30) /* as Redis' safety limit: no plan makes a larger one */

/* What an entry holds: text of n bytes, or when text is NULL the number. Text points into the listpack. */
struct lp_value {
    const uint8_t *text;
    uint32_t n;
    int64_t number;
};

/* What shall be stored, measured once. The text must live until the edit is done. */
struct lp_item {
    const uint8_t *text; /* NULL: number */
    uint32_t n;
    uint32_t bytes; /* of the whole entry, back-length included */
    bool stemmed;   /* text is what follows a stem (ds/stem.h) */
    int64_t number;
};

/* A planned change. Offsets and sizes in bytes. */
struct lp_edit {
    const struct lp_item *items;
    uint32_t item_count;
    uint32_t at;        /* where the change begins; the first new entry stands here afterwards */
    uint32_t removed;   /* bytes that go */
    uint32_t added;     /* bytes that come */
    uint32_t old_bytes; /* whole listpack before */
    uint32_t new_bytes; /* and after */
    uint16_t new_count; /* header field after */
};

/* ---- reading ---- */

/* A whole empty listpack, to plan against when there is none yet. */
extern const uint8_t lp_empty[LP_EMPTY_BYTES];

static inline uint32_t lp_bytes(const uint8_t *lp) { return le_load32(lp); }
static inline const uint8_t *lp_end(const uint8_t *lp) { return lp + lp_bytes(lp) - 1; }

/* Size of encoding and data of the entry at p, without back-length. */
static ALWAYS_INLINE uint32_t lp_body_bytes(const uint8_t *p)
{
    static const uint8_t fixed[16] = {5, 3, 4, 5, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 1};
    uint32_t c = p[0];
    if (c < 0x80)
        return 1;
    if (c < 0xC0)
        return 1 + (c & 0x3F);
    if (c < 0xE0)
        return 2;
    if (c < 0xF0)
        return 2 + ((c & 0x0F) << 8 | p[1]);
    return fixed[c & 0x0F] + (c == 0xF0 ? le_load32(p + 1) : c == LP_STEMMED_LONG ? p[1] : 0);
}

/* Size of the back-length that follows a body of n bytes. */
static ALWAYS_INLINE uint32_t lp_back_bytes(uint32_t n)
{
    return n <= 127 ? 1 : n < 16383 ? 2 : n < 2097151 ? 3 : n < 268435455 ? 4 : 5;
}

/* The byte behind the entry at p: the next entry or LP_END. */
static ALWAYS_INLINE const uint8_t *lp_after(const uint8_t *p)
{
    uint32_t n = lp_body_bytes(p);
    return p + n + lp_back_bytes(n);
}

/* First entry, or NULL. */
static ALWAYS_INLINE const uint8_t *lp_first(const uint8_t *lp) { return lp[LP_HEADER] == LP_END ? NULL : lp + LP_HEADER; }

/* The entry behind p, or NULL. */
static ALWAYS_INLINE const uint8_t *lp_next(const uint8_t *p)
{
    p = lp_after(p);
    return *p == LP_END ? NULL : p;
}

/* The entry before p (p may be lp_end(lp)), or NULL. */
const uint8_t *lp_prev(const uint8_t *lp, const uint8_t *p);
const uint8_t *lp_last(const uint8_t *lp);

/* Number of entries; walks if the header does not know. */
uint32_t lp_count(const uint8_t *lp);

/* Entry by index, negative from the end, from whichever end is nearer; NULL outside. */
const uint8_t *lp_seek(const uint8_t *lp, int64_t index);

/* The first entry of a random group of `group` entries (1: an entry, 2: a field), chosen by the random number r; NULL if empty. */
const uint8_t *lp_random(const uint8_t *lp, uint64_t r, uint32_t group);

/* Decodes the entry at p. */
static ALWAYS_INLINE void lp_get(const uint8_t *p, struct lp_value *v)
{
    uint32_t c = p[0];
    v->text = NULL;
    if (c < 0x80) {
        v->number = c;
    } else if (c < 0xC0) {
        v->text = p + 1;
        v->n = c & 0x3F;
    } else if (c < 0xE0) {
        v->number = (int64_t)(((c & 0x1F) << 8 | p[1]) ^ 0x1000) - 0x1000;
    } else if (c < 0xF0) {
        v->text = p + 2;
        v->n = (c & 0x0F) << 8 | p[1];
    } else if (c == 0xF0) {
        v->text = p + 5;
        v->n = le_load32(p + 1);
    } else if (c == 0xF1) {
        v->number = (int16_t)le_load16(p + 1);
    } else if (c == 0xF2) {
        v->number = (int32_t)(le_load24(p + 1) << 8) >> 8;
    } else if (c == 0xF3) {
        v->number = (int32_t)le_load32(p + 1);
    } else {
        v->number = (int64_t)le_load64(p + 1);
    }
}

/* Start of the entry that ends where p points (p is the next entry's start or the end); there must be one. */
static ALWAYS_INLINE const uint8_t *lp_step_back(const uint8_t *p)
{
    uint32_t n = *--p & 0x7F;
    for (unsigned shift = 7; *p & 0x80 && shift < 35; shift += 7) n |= (uint32_t)(*--p & 0x7F) << shift;
    return p - n;
}

/* The entry as text: points into the listpack, or at `room` where a number was printed. */
struct slice lp_text(const uint8_t *p, uint8_t room[NUM_I64_ROOM]);

/* True if the entry, as text, is these bytes. */
bool lp_equals(const uint8_t *p, const uint8_t *s, size_t n);

/* First entry from p on (p may be NULL: none) that equals the bytes, looking at one entry and then leaving out `skip`. */
const uint8_t *lp_find(const uint8_t *p, const uint8_t *s, size_t n, uint32_t skip);

/* ---- changing ---- */

struct lp_item lp_item_text(const void *s, size_t n); /* n below LP_MAX_BYTES */
struct lp_item lp_item_number(int64_t v);
struct lp_item lp_item_value(const struct lp_value *v);
/* Bytes of a whole entry for a text of n bytes that is no number. */
static inline uint32_t lp_text_bytes(uint32_t n)
{
    uint32_t body = n + (n < 64 ? 1 : n < 4096 ? 2 : 5);
    return body + lp_back_bytes(body);
}
/* Writes the entry, item->bytes long, for structures of such entries that are no listpacks; returns its end. */
uint8_t *lp_item_write(uint8_t *dst, const struct lp_item *item);
/* The same without the back-length. */
uint32_t lp_item_body_bytes(const struct lp_item *item);
uint8_t *lp_item_write_body(uint8_t *dst, const struct lp_item *item);

/* Replace `remove` entries from `pos` on (fewer if the end comes first) by the items. pos NULL or lp_end(): append.
 * False: the result would be larger than LP_MAX_BYTES. The items must outlive the edit. */
bool lp_plan(const uint8_t *lp, const uint8_t *pos, uint32_t remove, const struct lp_item *items, uint32_t item_count,
             struct lp_edit *edit);

/* Bytes that lp_apply changes from edit.at on. */
static inline uint32_t lp_edit_reach(const struct lp_edit *e)
{
    return e->added == e->removed ? e->added : MAX(e->old_bytes, e->new_bytes) - e->at;
}

/* Carries the edit out in place. No item's text may lie in a part that moves. */
void lp_apply(uint8_t *lp, const struct lp_edit *edit);
/* Writes the edited listpack, edit.new_bytes long, to dst, which does not overlap src. Items may point into src. */
void lp_build(uint8_t *dst, const uint8_t *src, const struct lp_edit *edit);

/* Writes a listpack of the `count` entries in [from, to): LP_EMPTY_BYTES + (to - from) bytes. */
void lp_build_range(uint8_t *dst, const uint8_t *from, const uint8_t *to, uint32_t count);
/* Writes a followed by b: lp_bytes(a) + lp_bytes(b) - LP_EMPTY_BYTES bytes. */
void lp_build_joined(uint8_t *dst, const uint8_t *a, const uint8_t *b);

/* ---- bytes from outside ---- */

/* Called by lp_validate for each entry that is itself sound; false refuses the whole. */
typedef bool lp_check_fn(const uint8_t *p, uint32_t index, void *ctx);

/* Is this a listpack of exactly n bytes? Shallow: header and end. Deep: every entry and the count; then all functions above are safe
 * on it. Never reads outside [lp, lp + n). `check` may be NULL. */
bool lp_validate(const uint8_t *lp, size_t n, bool deep, lp_check_fn *check, void *ctx);

#endif
