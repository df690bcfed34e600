/* engine_transfer.c - keys on their way to another server, for Python. The contract: engine.h; what happens: snap/transfer.h. */
#include "engine.h"

#include "cmd/cmd.h"
#include "snap/transfer.h"

/* One kind of thing under two names: Python's is opaque. */
static struct transfer *of(struct engine_transfer *x) { return (struct transfer *)(void *)x; }

struct engine_transfer *engine_transfer_begin(uint32_t db, uint32_t n, const char *const *names, const size_t *lens, int watch)
{
    const struct scratch_mark mark = scratch_mark();
    struct slice *list = scratch_alloc((n + !n) * sizeof *list);
    for (uint32_t i = 0; i < n; i++) list[i] = (struct slice){(const uint8_t *)names[i], lens[i]};
    struct transfer *x = transfer_begin(db, n, list, watch);
    scratch_rewind(mark);
    return (struct engine_transfer *)(void *)x;
}

int engine_transfer_payload(struct engine_transfer *x, uint32_t i, const char **p, size_t *n, int64_t *expire_ms)
{
    const struct transfer_key *k = &of(x)->keys[i];
    ENSURE(i < of(x)->count);
    *p = (const char *)k->payload;
    *n = k->payload_bytes;
    *expire_ms = k->expire_ms;
    return k->state == TRANSFER_TOO_LARGE ? -1 : k->state == TRANSFER_READY;
}

void engine_transfer_arrived(struct engine_transfer *x, uint32_t i)
{
    ENSURE(i < of(x)->count);
    of(x)->keys[i].state = TRANSFER_ARRIVED;
}

int engine_transfer_end(struct engine_transfer *x) { return transfer_end(of(x)) ? 0 : -1; }

int engine_transfer_removed(struct engine_transfer *x, uint32_t i)
{
    ENSURE(i < of(x)->count);
    return of(x)->keys[i].state == TRANSFER_REMOVED;
}

void engine_transfer_free(struct engine_transfer *x) { transfer_free(of(x)); }
