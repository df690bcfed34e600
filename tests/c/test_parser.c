/* tests/c/test_parser.c - RESP and inline commands whole, byte by byte, in random pieces, and random garbage. */
#include "check.h"
#include "resp/parser.h"
#include "rnd.h"

static const struct parse_limits open_limits = {512 << 20, true}, closed_limits = {512 << 20, false};

/* A copy with exactly the padding that the parser may read. */
static uint8_t *padded(const void *p, size_t n)
{
    uint8_t *copy = malloc(n + PARSE_PAD);
    memcpy(copy, p, n);
    memset(copy + n, '7', PARSE_PAD); /* digits, the worst that can lie there */
    return copy;
}

/* One line per command or error: "SET|a|b;" "(empty);" "!words" */
static size_t describe(char *out, const struct slice *argv, uint32_t argc)
{
    size_t at = 0;
    for (uint32_t i = 0; i < argc; i++) {
        memcpy(out + at, argv[i].p, argv[i].n);
        at += argv[i].n;
        out[at++] = i + 1 < argc ? '|' : ';';
    }
    return at;
}

/* Feeds the bytes in pieces of 1..piece bytes; each piece is seen in a new allocation. */
static size_t feed_in_pieces(const char *bytes, size_t n, size_t piece, const struct parse_limits *limits, char *out)
{
    struct parser s = {0};
    size_t start = 0, have = 0, at = 0;
    while (start < n) {
        size_t more = 1 + rnd() % piece;
        have = MIN(have + more, n);
        for (;;) {
            uint8_t *copy = padded(bytes + start, have - start);
            size_t used = 0;
            enum parse_result r = parser_feed(&s, copy, have - start, limits, &used);
            if (r == PARSE_DONE) at += describe(out + at, s.args, s.argc);
            if (r == PARSE_ERROR) at += (size_t)sprintf(out + at, "!%s", s.error);
            free(copy);
            start += used;
            if (r == PARSE_DONE || r == PARSE_EMPTY) parser_reset(&s);
            if (r == PARSE_ERROR) {
                parser_reset(&s);
                return at;
            }
            if (r == PARSE_MORE || start == have) break;
        }
        if (have == n) break;
    }
    parser_reset(&s);
    return at;
}

/* As the server does it: whole commands first, the resumable parser for the rest. */
static size_t feed_whole(const char *bytes, size_t n, const struct parse_limits *limits, char *out)
{
    struct slice argv[64];
    size_t start = 0, at = 0;
    uint8_t *copy = padded(bytes, n);
    while (start < n) {
        uint32_t argc;
        size_t used = limits->authenticated ? parse_whole(copy + start, n - start, limits->max_bulk, argv, 64, &argc) : 0;
        if (used) {
            at += describe(out + at, argv, argc);
            start += used;
            continue;
        }
        struct parser s = {0};
        enum parse_result r = parser_feed(&s, copy + start, n - start, limits, &used);
        if (r == PARSE_DONE) at += describe(out + at, s.args, s.argc);
        if (r == PARSE_ERROR) at += (size_t)sprintf(out + at, "!%s", s.error);
        parser_reset(&s);
        if (r == PARSE_MORE || r == PARSE_ERROR) break;
        start += used;
    }
    free(copy);
    return at;
}

static void expect(const char *bytes, size_t n, const struct parse_limits *limits, const char *want)
{
    char *out = malloc(4 * n + 256);
    for (int way = 0; way < 8; way++) {
        size_t len = way == 0 ? feed_whole(bytes, n, limits, out) : feed_in_pieces(bytes, n, way == 1 ? 1 : 1u << way, limits, out);
        out[len] = 0;
        CHECK_STR(out, want);
    }
    free(out);
}

#define EXPECT(bytes, want) expect(bytes, sizeof(bytes) - 1, &open_limits, want)
#define EXPECT_CLOSED(bytes, want) expect(bytes, sizeof(bytes) - 1, &closed_limits, want)

static void commands(void)
{
    EXPECT("*1\r\n$4\r\nPING\r\n", "PING;");
    EXPECT("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "SET|a|;GET|a;");
    EXPECT("*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n", "PING;");
    EXPECT("*2\r\n$4\r\nECHO\r\n$12\r\nhello\r\nworld\r\n", "ECHO|hello\r\nworld;");
    EXPECT("*1\r\n$10\r\n0123456789\r\n", "0123456789;");
    EXPECT("*1\r\n$4\r\nPI", "");
    EXPECT("*", "");
}

static void inline_commands(void)
{
    EXPECT("PING\r\nECHO hi\n\r\n\nGET  a \r\n", "PING;ECHO|hi;GET|a;");
    EXPECT("SET a \"x y\\n\\x41\\\"\" 'it\\'s'\r\n", "SET|a|x y\nA\"|it's;");
    EXPECT("SET \"\" ''\r\n", "SET||;");
    EXPECT("ECHO \"a\"b\r\n", "!unbalanced quotes in request");
    EXPECT("ECHO \"a\r\n", "!unbalanced quotes in request");
    EXPECT("ECHO 'a\r\n", "!unbalanced quotes in request");
    EXPECT("ECHO a\"b\"\r\n", "ECHO|ab;");
}

static void errors(void)
{
    EXPECT("*a\r\n", "!invalid multibulk length");
    EXPECT("*3000000000\r\n", "!invalid multibulk length");
    EXPECT("*01\r\n", "!invalid multibulk length");
    EXPECT("*1\r\nfoo\r\n", "!expected '$', got 'f'");
    EXPECT("*1\r\n$-1\r\n", "!invalid bulk length");
    EXPECT("*1\r\n$x\r\n", "!invalid bulk length");
    EXPECT("*1\r\n$2000000000\r\n", "!invalid bulk length");
    EXPECT("*1\r\n$536870912\r\n", "");
    EXPECT_CLOSED("*10\r\n", "");
    EXPECT_CLOSED("*11\r\n", "!unauthenticated multibulk length");
    EXPECT_CLOSED("*1\r\n$16384\r\n", "");
    EXPECT_CLOSED("*1\r\n$16385\r\n", "!unauthenticated bulk length");
}

static void long_lines(void)
{
    static char bytes[PARSE_LINE_MAX + 100];
    struct {
        const char *start, *want;
    } rows[] = {{"a", "!too big inline request"}, {"*1", "!too big mbulk count string"}, {"*1\r\n$1", "!too big bulk count string"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        memset(bytes, '1', sizeof bytes);
        memcpy(bytes, rows[i].start, strlen(rows[i].start));
        char out[256];
        out[feed_whole(bytes, sizeof bytes, &open_limits, out)] = 0;
        CHECK_STR(out, rows[i].want);
        out[feed_in_pieces(bytes, sizeof bytes, 40000, &open_limits, out)] = 0;
        CHECK_STR(out, rows[i].want);
    }
}

static void room_for_large_arguments(void)
{
    struct parser s = {0};
    size_t used;
    uint8_t *p = padded("*2\r\n$3\r\nSET\r\n$100000\r\nabc", 26);
    CHECK_EQ(parser_feed(&s, p, 26, &open_limits, &used), PARSE_MORE);
    CHECK_EQ(parser_room(&s), 4 + 9 + 9 + 100000 + 2);
    free(p);
    parser_reset(&s);
}

/* The same bytes must mean the same, in whatever pieces they come. */
static void garbage(void)
{
    static const char *const parts[] = {"*1\r\n", "*2\r\n", "$1\r\n", "$0\r\n", "$3\r\n", "a\r\n", "abc\r\n", "\r\n", "\n", "*",
                                        "$",      "-1",     "\"",     "'",      "\\x4", "PING", " ",       "*0\r\n", "\r", "9"};
    for (int round = 0; round < 20000; round++) {
        char bytes[200], first[2048], other[2048];
        size_t n = 0, count = 1 + rnd() % 20;
        for (size_t i = 0; i < count; i++) {
            const char *part = parts[rnd() % ARRAY_LEN(parts)];
            if (n + strlen(part) + 1 > sizeof bytes) break;
            if (rnd() % 16 == 0) {
                bytes[n++] = (char)rnd();
            } else {
                memcpy(bytes + n, part, strlen(part));
                n += strlen(part);
            }
        }
        size_t a = feed_whole(bytes, n, &open_limits, first);
        size_t b = feed_in_pieces(bytes, n, 1 + rnd() % 8, &open_limits, other);
        CHECK_EQ(a, b);
        CHECK(a == b && memcmp(first, other, a) == 0);
        if (check_failures) return;
    }
}

int main(void)
{
    RUN(commands);
    RUN(inline_commands);
    RUN(errors);
    RUN(long_lines);
    RUN(room_for_large_arguments);
    RUN(garbage);
    return check_report();
}
