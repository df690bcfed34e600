/* tests/c/test_ziplist.c - ziplists and zipmaps of a plain writer read back; the documented example; hostile bytes. */
#include "check.h"
#include "ds/ziplist.h"
#include "ds/zipmap.h"
#include "rnd.h"

enum { VALUES = 60, BYTES = 200000 };

static uint8_t out[BYTES], texts[VALUES][17000];
static struct lp_value values[VALUES];

static uint8_t *put_entry(uint8_t *p, const struct lp_value *v, uint32_t previous)
{
    if (previous < 254 && rnd() % 8 != 0) {
        *p++ = (uint8_t)previous;
    } else {
        *p = 254;
        le_store32(p + 1, previous);
        p += 5;
    }
    if (v->text != NULL) {
        if (v->n < 64) {
            *p++ = (uint8_t)v->n;
        } else if (v->n < 16384) {
            *p++ = (uint8_t)(0x40 | v->n >> 8);
            *p++ = (uint8_t)v->n;
        } else {
            *p = 0x80;
            be_store32(p + 1, v->n);
            p += 5;
        }
        memcpy(p, v->text, v->n);
        return p + v->n;
    }
    int64_t x = v->number;
    static const uint8_t code[9] = {0, 0xFE, 0xC0, 0xF0, 0xD0, 0, 0, 0, 0xE0};
    int n = x >= 0 && x <= 12 ? 0 : x == (int8_t)x ? 1 : x == (int16_t)x ? 2 : x >= -8388608 && x < 8388608 ? 3 : x == (int32_t)x ? 4 : 8;
    *p++ = n == 0 ? (uint8_t)(0xF1 + x) : code[n];
    for (int i = 0; i < n; i++)
        *p++ = (uint8_t)(x >> (8 * i));
    return p;
}

/* Writes `count` random values as a ziplist; returns its size. */
static size_t write_ziplist(uint32_t count)
{
    static const uint32_t sizes[] = {0, 1, 10, 63, 64, 250, 300, 16383, 16384, 17000};
    uint8_t *p = out + 10, *last = p;
    uint32_t previous = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct lp_value *v = &values[i];
        if (rnd() & 1) {
            *v = (struct lp_value){.number = rnd() % 4 ? (int64_t)rnd() >> (rnd() & 63) : (int64_t)(rnd() % 20) - 3};
        } else {
            v->text = texts[i];
            v->n = rnd() % 3 ? (uint32_t)(rnd() % 30) : sizes[rnd() % ARRAY_LEN(sizes)];
            rnd_fill(texts[i], v->n);
        }
        last = p;
        p = put_entry(p, v, previous);
        previous = (uint32_t)(p - last);
    }
    *p++ = 0xFF;
    le_store32(out, (uint32_t)(p - out));
    le_store32(out + 4, (uint32_t)(last - out));
    le_store16(out + 8, (uint16_t)(rnd() % 4 ? count : 65535));
    return (size_t)(p - out);
}

static void written_ziplists_read_back(void)
{
    for (int round = 0; round < 300; round++) {
        uint32_t count = (uint32_t)(rnd() % (VALUES + 1)), i = 0, wrong = 0;
        size_t n = write_ziplist(count);
        uint8_t *copy = copy_exactly(out, n);
        struct ziplist_reader r;
        struct lp_value v;
        CHECK(ziplist_open(&r, copy, n));
        for (; ziplist_next(&r, &v); i++) {
            const struct lp_value *w = &values[i];
            wrong += (v.text == NULL) != (w->text == NULL);
            wrong += w->text == NULL ? v.number != w->number : v.n != w->n || memcmp(v.text, w->text, v.n) != 0;
        }
        CHECK(i == count && wrong == 0 && ziplist_done(&r));
        free(copy);
    }
}

static void documented_ziplist(void)
{
    static const uint8_t two_five[] = {0x0F, 0, 0, 0, 0x0C, 0, 0, 0, 2, 0, 0, 0xF3, 2, 0xF6, 0xFF};
    struct ziplist_reader r;
    struct lp_value v;
    CHECK(ziplist_open(&r, two_five, sizeof two_five) && ziplist_said_count(&r) == 2);
    CHECK(ziplist_next(&r, &v) && v.text == NULL && v.number == 2);
    CHECK(!ziplist_done(&r));
    CHECK(ziplist_next(&r, &v) && v.number == 5 && !ziplist_next(&r, &v) && ziplist_done(&r));
    CHECK(!ziplist_open(&r, two_five, sizeof two_five - 1) && !ziplist_open(&r, two_five, 5));
}

static void documented_zipmap(void)
{
    static const uint8_t bytes[] = {2, 3, 'f', 'o', 'o', 3, 0, 'b', 'a', 'r', 5, 'h', 'e', 'l', 'l', 'o', 5, 2, 'w', 'o', 'r', 'l', 'd', 0, 0, 0xFF};
    struct zipmap_reader r;
    struct slice f, v;
    CHECK(zipmap_open(&r, bytes, sizeof bytes));
    CHECK(zipmap_next(&r, &f, &v) && f.n == 3 && memcmp(f.p, "foo", 3) == 0 && v.n == 3 && memcmp(v.p, "bar", 3) == 0);
    CHECK(zipmap_next(&r, &f, &v) && f.n == 5 && memcmp(f.p, "hello", 5) == 0 && v.n == 5 && memcmp(v.p, "world", 5) == 0);
    CHECK(!zipmap_next(&r, &f, &v) && zipmap_done(&r));
}

static unsigned read_all(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = copy_exactly(bytes, n);
    struct ziplist_reader z;
    struct zipmap_reader m;
    struct lp_value v;
    struct slice field, value;
    unsigned sound = 0, sum = 0;
    if (ziplist_open(&z, copy, n)) {
        while (ziplist_next(&z, &v))
            for (uint32_t i = 0; v.text != NULL && i < v.n; i++)
                sum += v.text[i];
        sound += ziplist_done(&z);
    }
    if (zipmap_open(&m, copy, n)) {
        while (zipmap_next(&m, &field, &value)) {
            for (size_t i = 0; i < field.n; i++)
                sum += field.p[i];
            for (size_t i = 0; i < value.n; i++)
                sum += value.p[i];
        }
        sound += zipmap_done(&m);
    }
    free(copy);
    return sound + (sum == 1);
}

static void hostile_bytes(void)
{
    unsigned sound = 0;
    for (int round = 0; round < 400; round++) {
        size_t n = write_ziplist((uint32_t)(rnd() % 8));
        for (int i = 0; i < 40; i++) {
            size_t at = 10 + rnd() % MIN(n - 10, (size_t)40);
            uint8_t kept = out[at];
            out[at] = (uint8_t)(rnd() % 3 ? rnd() : 0xF0 + rnd() % 16);
            sound += read_all(out, n);
            out[at] = kept;
        }
    }
    for (int i = 0; i < 100000; i++) {
        uint8_t noise[40];
        size_t n = 11 + rnd() % 20;
        rnd_fill(noise, n);
        noise[n - 1] = 0xFF;
        noise[1 + rnd() % 9] = 254;
        if (rnd() & 1) {
            le_store32(noise, (uint32_t)n);
            le_store32(noise + 4, 10);
        } else {
            for (size_t k = 0; k < 6; k++)
                noise[k] &= 7;
        }
        sound += read_all(noise, n);
    }
    CHECK(sound > 100);
}

int main(void)
{
    RUN(documented_ziplist);
    RUN(documented_zipmap);
    RUN(written_ziplists_read_back);
    RUN(hostile_bytes);
    return check_report();
}
