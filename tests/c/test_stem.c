/* test_stem.c - texts with and without a node's stem: written, read, compared and measured alike; which stem is chosen. */
#include "check.h"
#include "ds/stem.h"
#include "rnd.h"

/* Every text of every length around the limits reads back as it was, and saves what its sizes say. */
static void items_read_back(void)
{
    uint8_t text[600], buffer[700], room[STEM_TEXT_MAX];
    for (uint32_t stem_bytes = 0; stem_bytes <= STEM_MAX; stem_bytes += 7) {
        for (uint32_t n = 0; n < 520; n++) {
            for (int begins = 0; begins < 2; begins++) {
                rnd_fill(text, sizeof text);
                for (uint32_t i = 0; i < n; i++) text[i] |= 0x40; /* no digits */
                uint8_t stem_text[STEM_MAX + 1];
                memcpy(stem_text, text, stem_bytes);
                struct slice stem = {stem_text, stem_bytes}, s = {text, n};
                if (!begins && n) text[0] ^= 1;
                struct lp_item item = stem_item(stem, s), whole = lp_item_text(text, n);
                CHECK_EQ(item.stemmed, begins && stem_bytes && n >= stem_bytes && n - stem_bytes <= 255);
                memset(buffer, 0xAA, sizeof buffer);
                uint8_t *end = lp_item_write(buffer, &item);
                CHECK_EQ(end - buffer, item.bytes);
                CHECK_EQ(*end, 0xAA);
                CHECK(lp_after(buffer) == end && lp_step_back(end) == buffer);
                CHECK_EQ(stem_saves(stem_bytes, buffer), whole.bytes - item.bytes);
                CHECK_EQ(stem_item_saves(stem_bytes, &item), whole.bytes - item.bytes);
                struct lp_value v;
                stem_get(stem, buffer, &v, room);
                CHECK(v.text && v.n == n && memcmp(v.text, text, n) == 0);
                struct stem_key same = stem_key(stem, s), other = stem_key(stem, (struct slice){text, n + 1});
                CHECK(stem_equals(buffer, &same) && !stem_equals(buffer, &other));
            }
        }
    }
}

static void numbers_stay_numbers(void)
{
    uint8_t buffer[32], room[STEM_TEXT_MAX];
    struct lp_item item = stem_item(SLICE("12"), SLICE("1234"));
    struct lp_value v;
    lp_item_write(buffer, &item);
    stem_get(SLICE("12"), buffer, &v, room);
    CHECK(!v.text && v.number == 1234);
    struct stem_key key = stem_key(SLICE("12"), SLICE("1234"));
    CHECK(stem_equals(buffer, &key));
}

static struct slice vote(const char *const *texts, size_t n, size_t reference)
{
    struct stem_vote v;
    stem_vote_begin(&v, (struct slice){(const uint8_t *)texts[reference], strlen(texts[reference])});
    for (size_t i = 0; i < n; i++) stem_vote_add(&v, (struct slice){(const uint8_t *)texts[i], strlen(texts[i])});
    return stem_vote_end(&v);
}

static void the_stem_that_saves_most(void)
{
    const char *const numbered[] = {"user:10", "user:11", "user:12", "user:20", "user:21", "user:30", "user:31", "user:40"};
    CHECK_EQ(vote(numbered, ARRAY_LEN(numbered), 0).n, 5);
    const char *const mixed[] = {"session:abc", "session:def", "x", "session:xyz", "", "session:123"};
    CHECK_EQ(vote(mixed, ARRAY_LEN(mixed), 1).n, 8);
    CHECK_EQ(vote(mixed, ARRAY_LEN(mixed), 2).n, 0);
    const char *const nothing[] = {"alpha", "beta", "gamma", "delta"};
    CHECK_EQ(vote(nothing, ARRAY_LEN(nothing), 2).n, 0);
    char same[200];
    memset(same, 'x', 199), same[199] = 0;
    const char *const equal[] = {same, same, same, same};
    CHECK_EQ(vote(equal, ARRAY_LEN(equal), 0).n, STEM_MAX);
}

int main(void)
{
    RUN(items_read_back);
    RUN(numbers_stay_numbers);
    RUN(the_stem_that_saves_most);
    return check_report();
}
