/* tests/c/check.h - the whole unit-test framework for C: CHECK, CHECK_EQ, CHECK_MEM, RUN, and a closing line.
 *
 * A test file is one program: static functions, then main() { RUN(one); RUN(two); return check_done(); }.
 * A failed check prints its place and goes on; the program's exit code is 1 if any failed.
 */
#ifndef SHOAL_TESTS_CHECK_H
#define SHOAL_TESTS_CHECK_H

#include <stdio.h>
#include <string.h>

static unsigned long check_passed, check_failed;

#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (cond) {                                                                                                    \
            check_passed++;                                                                                            \
        } else {                                                                                                       \
            check_failed++;                                                                                            \
            printf("%s:%d: FAILED: %s\n", __FILE__, __LINE__, #cond);                                                  \
        }                                                                                                              \
    } while (0)

#define CHECK_EQ(got, want)                                                                                            \
    do {                                                                                                               \
        long long got_ = (long long)(got), want_ = (long long)(want);                                                  \
        if (got_ == want_) {                                                                                           \
            check_passed++;                                                                                            \
        } else {                                                                                                       \
            check_failed++;                                                                                            \
            printf("%s:%d: FAILED: %s is %lld, not %lld\n", __FILE__, __LINE__, #got, got_, want_);                    \
        }                                                                                                              \
    } while (0)

#define CHECK_MEM(got, got_len, want, want_len)                                                                        \
    CHECK((size_t)(got_len) == (size_t)(want_len) && memcmp((got), (want), (size_t)(want_len)) == 0)

#define RUN(test)                                                                                                      \
    do {                                                                                                               \
        unsigned long before_ = check_failed;                                                                          \
        test();                                                                                                        \
        if (check_failed != before_)                                                                                   \
            printf("^ in %s\n", #test);                                                                                \
    } while (0)

static inline int check_done(void)
{
    printf("%lu passed, %lu failed\n", check_passed, check_failed);
    return check_failed != 0;
}

#endif
