/* base/base.c - what a failed ENSURE does. Owns nothing shared, takes no lock. */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

void ensure_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, what);
    fflush(stderr);
    abort();
}
