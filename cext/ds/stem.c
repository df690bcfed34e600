/* ds/stem.c - measuring texts against a stem, and choosing one. Format: stem.h. Pure functions over the caller's memory. */
#include "ds/stem.h"

static uint32_t stemmed_bytes(uint32_t rest)
{
    uint32_t body = rest + (rest <= STEM_SHORT ? 1 : 2);
    return body + lp_back_bytes(body);
}

struct lp_item stem_item(struct slice stem, struct slice text)
{
    struct lp_item item = lp_item_text(text.p, text.n);
    if (!item.text || !stem_begins(stem, text) || text.n - stem.n > 255) return item;
    uint32_t rest = (uint32_t)(text.n - stem.n);
    return (struct lp_item){.text = item.text + stem.n, .n = rest, .bytes = stemmed_bytes(rest), .stemmed = true};
}

uint32_t stem_saves(uint32_t stem_bytes, const uint8_t *p)
{
    if (!stem_is_at(p)) return 0;
    uint32_t rest = (uint32_t)stem_rest(p).n;
    return lp_text_bytes(rest + stem_bytes) - stemmed_bytes(rest);
}

void stem_vote_add(struct stem_vote *v, struct slice text)
{
    size_t most = MIN(MIN(text.n, v->reference.n), (size_t)STEM_MAX), n = 0;
    while (n + 8 <= most && le_load64(text.p + n) == le_load64(v->reference.p + n)) n += 8;
    while (n < most && text.p[n] == v->reference.p[n]) n++;
    if (text.n - n > 255) return; /* too much would follow */
    v->common[n]++;
}

struct slice stem_vote_end(const struct stem_vote *v)
{
    uint32_t with = 0, best_saved = 0, best = 0;
    for (uint32_t n = STEM_MAX; n >= STEM_MIN; n--) {
        with += v->common[n]; /* texts that have at least so many bytes in common */
        uint32_t saved = with * n, cost = n + with; /* the stem itself, and a second byte of length for some */
        if (saved > cost + 8 && saved - cost > best_saved) best_saved = saved - cost, best = n;
    }
    return (struct slice){v->reference.p, best};
}
