/* snap/check_stream.c - blocks, groups, consumers and pending entries of a stream that may be damaged. Layout: types/stream.h; locks: check_mem.h. */
#include "base/le.h"
#include "snap/check_value.h"
#include "types/stream_block.h"

struct stream_sum {
    uint64_t live, entries;
    struct stream_id last;
    shm_off last_off;
    shm_off consumer; /* whose pending entries are looked at; 0 = a group's */
    bool any;
};

static struct stream_ref next_ref(struct checker *c, struct stream_sum *s, const uint8_t *entry)
{
    struct stream_ref ref;
    memcpy(&ref, entry, sizeof ref);
    if (s->any && stream_id_compare(s->last, ref.id) >= 0) check_damage(c, "a stream's ids are not in order");
    s->last = ref.id;
    s->last_off = ref.off;
    s->any = true;
    s->entries++;
    return ref;
}

static void check_stream_block(struct checker *c, const uint8_t *entry, void *arg)
{
    struct stream_sum *s = arg;
    struct stream_ref ref = next_ref(c, s, entry);
    uint64_t live, head = offsetof(struct stream_block, lp);
    uint32_t cap;
    check_read(c, ref.off + offsetof(struct stream_block, cap), &cap, sizeof cap);
    check_block(c, ref.off, cap, "a stream's block");
    if (cap < head + LP_EMPTY_BYTES) check_damage(c, "a stream's block of %u bytes", cap);
    const uint8_t *lp = (const uint8_t *)check_view(c, ref.off, cap) + head;
    if (lp_bytes(lp) > cap - head || !stream_block_sound(lp, lp_bytes(lp), &live)) check_damage(c, "a stream's block is not sound");
    s->live += live;
}

static void check_nack(struct checker *c, const uint8_t *entry, void *arg)
{
    struct stream_sum *s = arg;
    struct stream_ref ref = next_ref(c, s, entry);
    const struct stream_nack *n = check_view_block(c, ref.off, sizeof *n, "a pending entry");
    if (s->consumer && n->consumer != s->consumer) check_damage(c, "a pending entry is with another consumer");
}

static uint64_t check_pending(struct checker *c, const struct btree *pending, shm_off consumer)
{
    struct stream_sum s = {.consumer = consumer};
    check_tree(c, pending, STREAM_REF, check_nack, &s);
    return s.entries;
}

/* A group or consumer: `size` bytes and its name. */
static const void *check_named(struct checker *c, shm_off off, uint64_t size, const char *what)
{
    struct stream_name n;
    check_read(c, off, &n, sizeof n);
    if (n.at != size) check_damage(c, "%s has its name at byte %u", what, n.at);
    return check_view_block(c, off, size + n.n, what);
}

typedef uint64_t row_fn(struct checker *c, shm_off item);

/* The sum of what fn returns. */
static uint64_t check_row(struct checker *c, const struct stream_row *r, row_fn *fn)
{
    uint64_t sum = 0;
    if (r->count > r->cap) check_damage(c, "a row of %u things has room for %u", r->count, r->cap);
    if (r->cap) check_block(c, r->items, r->cap * sizeof(shm_off), "a row of groups or consumers");
    for (uint32_t i = 0; i < r->count; i++) {
        struct scratch_mark mark = scratch_mark();
        sum += fn(c, le_load64(check_view(c, r->items + i * sizeof(shm_off), sizeof(shm_off))));
        scratch_rewind(mark);
    }
    return sum;
}

static uint64_t check_consumer(struct checker *c, shm_off off)
{
    const struct stream_consumer *x = check_named(c, off, sizeof *x, "a consumer");
    return check_pending(c, &x->pending, off);
}

static uint64_t check_group(struct checker *c, shm_off off)
{
    const struct stream_group *g = check_named(c, off, sizeof *g, "a group");
    uint64_t pending = check_pending(c, &g->pending, 0), of_consumers = check_row(c, &g->consumers, check_consumer);
    if (pending != of_consumers)
        check_damage(c, "a group has %llu pending entries, its consumers %llu", (unsigned long long)pending, (unsigned long long)of_consumers);
    return 0;
}

void check_stream(struct checker *c, shm_off root)
{
    struct stream s;
    check_read_block(c, root, &s, sizeof s, "a stream's head");
    struct stream_sum sum = {0};
    check_tree(c, &s.blocks, STREAM_REF, check_stream_block, &sum);
    if (sum.live != s.length || sum.last_off != s.tail.off)
        check_damage(c, "a stream counts %llu entries, and has %llu", (unsigned long long)s.length, (unsigned long long)sum.live);
    check_row(c, &s.groups, check_group);
}
