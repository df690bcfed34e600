/* shm/scratch.c - memory for the length of one command: chunks that are kept and bumped through.
 *
 * Private to the process. Whoever drives commands calls scratch_reset() after each (also after one that failed through txn_fail),
 * which keeps the first chunk and frees the rest.
 */
#include <stdlib.h>

#include "shm/txn.h"

#define SCRATCH_CHUNK (256u << 10)

struct chunk {
    struct chunk *next;
    size_t cap, used;
    _Alignas(16) char bytes[];
};

static struct chunk *chunks; /* newest first; the last one is the kept one */

void *scratch_alloc(size_t n)
{
    n = round_up(n, 16);
    if (!chunks || chunks->cap - chunks->used < n) {
        size_t cap = MAX(n, (size_t)SCRATCH_CHUNK);
        struct chunk *c = n > SIZE_MAX / 2 ? NULL : malloc(sizeof *c + cap);
        if (!c) txn_fail(&my_txn, TXN_NO_MEMORY, n);
        *c = (struct chunk){.next = chunks, .cap = cap};
        chunks = c;
    }
    void *p = chunks->bytes + chunks->used;
    chunks->used += n;
    return p;
}

void scratch_reset(void)
{
    while (chunks && (chunks->next || chunks->cap > SCRATCH_CHUNK)) {
        struct chunk *next = chunks->next;
        free(chunks);
        chunks = next;
    }
    if (chunks) chunks->used = 0;
}

struct scratch_mark scratch_mark(void)
{
    return (struct scratch_mark){chunks, chunks ? chunks->used : 0};
}

void scratch_rewind(struct scratch_mark m)
{
    while (chunks && chunks != m.chunk && chunks->next) {
        struct chunk *next = chunks->next;
        free(chunks);
        chunks = next;
    }
    if (chunks) chunks->used = chunks == m.chunk ? m.used : 0;
}
