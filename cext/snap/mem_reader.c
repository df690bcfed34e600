/* snap/mem_reader.c - views of entries. The rules: mem_reader.h. */
#include "snap/mem_reader.h"

struct mem_reader mem_live;

#define ENTRY_GUESS 128u /* most entries are smaller: one copy is enough */

/* Bytes of the entry that begins at `p`, of which `have` are readable; 0 = more must be read first. */
static size_t entry_bytes_needed(const uint8_t *p, size_t have)
{
    const struct entry *e = (const void *)p;
    size_t at = (size_t)((const uint8_t *)entry_body(e) - p);
    enum encoding enc = entry_enc(e);
    bool inline_value = enc == ENC_EMBSTR || enc == ENC_RAW;
    uint32_t value = 0, key = e->klen;
    if (inline_value) memcpy(&value, p + at, 4);
    at += value_part_size(enc);
    if (e->flags & ENTRY_LONG_KEY) {
        if (at + 4 > have) return 0;
        memcpy(&key, p + at, 4);
        at += 4;
    }
    return at + key + value;
}

const struct entry *mem_view_entry(struct mem_reader *r, shm_off off)
{
    if (!r->copy) return shm_ptr(off);
    const uint8_t *p = mem_view_upto(r, off, ENTRY_GUESS);
    uint64_t left = seg()->arena_off + atomic_load_explicit(&seg()->arena_committed, memory_order_relaxed) - off;
    size_t have = MIN((uint64_t)ENTRY_GUESS, left);
    size_t need = entry_bytes_needed(p, have);
    if (need <= have) return (const void *)p;
    uint8_t *whole = scratch_alloc(need);
    memcpy(whole, p, have);
    r->copy(r, off + have, whole + have, need - have);
    return (const void *)whole;
}
