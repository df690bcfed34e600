/* tests/c/check.h - the few macros of the C unit tests.
 *
 * A test is `static void name(void)` full of CHECKs; main() calls RUN(name) for each and returns check_report(). A
 * failed check prints where and goes on with the test.
 */
#ifndef SHOAL_TESTS_CHECK_H
#define SHOAL_TESTS_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int check_failures; /* in the running test */
static int check_passed, check_failed; /* tests */

static inline void check_failure(const char *file, int line, const char *what)
{
    check_failures++;
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
}

static inline void check_equal(const char *file, int line, const char *what, int64_t a, int64_t b)
{
    if (a == b) return;
    check_failures++;
    fprintf(stderr, "%s:%d: %s: %" PRId64 " is not %" PRId64 "\n", file, line, what, a, b);
}

static inline void check_equal_text(const char *file, int line, const char *what, const char *a, const char *b)
{
    if (a && b ? strcmp(a, b) == 0 : a == b) return;
    check_failures++;
    fprintf(stderr, "%s:%d: %s: \"%s\" is not \"%s\"\n", file, line, what, a ? a : "(null)", b ? b : "(null)");
}

#define CHECK(cond) ((cond) ? (void)0 : check_failure(__FILE__, __LINE__, #cond))
/* Integers of any type up to 64 bits. */
#define CHECK_EQ(a, b) check_equal(__FILE__, __LINE__, #a " == " #b, (int64_t)(a), (int64_t)(b))
/* Zero-terminated strings; NULL equals only NULL. */
#define CHECK_STR(a, b) check_equal_text(__FILE__, __LINE__, #a " == " #b, (a), (b))
/* `n` bytes. */
#define CHECK_MEM(a, b, n) CHECK(memcmp((a), (b), (n)) == 0)

#define RUN(test)                                                    \
    do {                                                             \
        check_failures = 0;                                          \
        test();                                                      \
        check_failures ? check_failed++ : check_passed++;            \
        if (check_failures) fprintf(stderr, "FAILED: %s\n", #test);  \
    } while (0)

/* Prints the totals; the value for main() to return. */
static inline int check_report(void)
{
    printf("%d passed, %d failed\n", check_passed, check_failed);
    return check_failed ? 1 : 0;
}

#endif
