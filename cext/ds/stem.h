/* ds/stem.h - texts in a node without their common beginning.
 *
 * The texts of a node often begin alike ("user:1041", "user:1042"; "2026-11-..."). A node may keep such a beginning once, its stem of at
 * most STEM_MAX bytes, and elements that begin with it only what follows. They stand among listpack's entries (listpack.h) under codes
 * that listpack leaves free:
 *   F5..FD + 0..8 bytes      stem, then so many bytes
 *   FE n8 + n bytes          stem, then n bytes (9..255)
 * Each element says for itself whether it has the stem, so elements are added and removed without regard to others; a node's stem is
 * chosen by stem_vote() when the node is built anew. Sizes with and without are kept apart: limits count the bytes that listpack would need.
 *
 * PURE, like listpack.h: memory is the caller's. A listpack from outside never has these codes: lp_validate() refuses them.
 */
#ifndef SHOAL_DS_STEM_H
#define SHOAL_DS_STEM_H

#include "ds/listpack.h"

#define STEM_MAX 63u
#define STEM_MIN 3u                      /* shorter ones gain too little */
#define STEM_TEXT_MAX (STEM_MAX + 255u)  /* bytes of the longest text that is kept with a stem */
#define STEM_SHORT 8u                    /* what follows the stem: up to so many bytes have the length in the code */

static ALWAYS_INLINE bool stem_is_at(const uint8_t *p) { return *p >= LP_STEMMED && *p <= LP_STEMMED_LONG; }

/* What follows the stem in the element at p, for which stem_is_at(p). */
static ALWAYS_INLINE struct slice stem_rest(const uint8_t *p)
{
    if (*p == LP_STEMMED_LONG) return (struct slice){p + 2, p[1]};
    return (struct slice){p + 1, *p - LP_STEMMED};
}

/* The element at p; a text with the stem is put together in `room` of STEM_TEXT_MAX bytes. */
static ALWAYS_INLINE void stem_get(struct slice stem, const uint8_t *p, struct lp_value *v, uint8_t *room)
{
    if (likely(!stem_is_at(p))) {
        lp_get(p, v);
        return;
    }
    struct slice rest = stem_rest(p);
    memcpy(room, stem.p, stem.n);
    memcpy(room + stem.n, rest.p, rest.n);
    *v = (struct lp_value){.text = room, .n = (uint32_t)(stem.n + rest.n)};
}

/* A text as it is looked for in a node: once parsed, once compared with the stem. */
struct stem_key {
    struct slice text, rest; /* rest: behind the stem; only if has_stem */
    int64_t number;
    bool is_number, has_stem;
};
static ALWAYS_INLINE bool stem_begins(struct slice stem, struct slice text)
{
    return stem.n && text.n >= stem.n && bytes_equal(stem.p, text.p, stem.n);
}
static ALWAYS_INLINE struct stem_key stem_key(struct slice stem, struct slice text)
{
    struct stem_key k = {.text = text, .has_stem = stem_begins(stem, text)};
    if (k.has_stem) k.rest = (struct slice){text.p + stem.n, text.n - stem.n};
    k.is_number = num_parse_i64(text.p, text.n, &k.number);
    return k;
}
static ALWAYS_INLINE bool stem_equals(const uint8_t *p, const struct stem_key *k)
{
    if (stem_is_at(p)) {
        struct slice rest = stem_rest(p);
        return k->has_stem && rest.n == k->rest.n && bytes_equal(rest.p, k->rest.p, rest.n);
    }
    struct lp_value v;
    lp_get(p, &v);
    if (!v.text) return k->is_number && v.number == k->number;
    return v.n == k->text.n && (!v.n || (v.text[v.n - 1] == k->text.p[v.n - 1] && bytes_equal(v.text, k->text.p, v.n)));
}

/* The text measured for a node with this stem (n 0: none). */
struct lp_item stem_item(struct slice stem, struct slice text);
/* Bytes that the element at p would have more as an entry of a listpack, back-lengths included; 0 without the stem. */
uint32_t stem_saves(uint32_t stem_bytes, const uint8_t *p);
/* The same of an item. */
static inline uint32_t stem_item_saves(uint32_t stem_bytes, const struct lp_item *item)
{
    uint32_t n = item->n + stem_bytes;
    return item->stemmed ? lp_text_bytes(n) - item->bytes : 0;
}

/* ---- choosing a stem ---- */
struct stem_vote {
    struct slice reference;        /* one of the texts: the stem will be a beginning of it */
    uint32_t common[STEM_MAX + 1]; /* texts with so many first bytes in common with it */
};
static inline void stem_vote_begin(struct stem_vote *v, struct slice reference) { *v = (struct stem_vote){.reference = reference}; }
void stem_vote_add(struct stem_vote *v, struct slice text);
/* The beginning that saves most; n 0: none saves enough to be worth it. Points into the reference. */
struct slice stem_vote_end(const struct stem_vote *v);

#endif
