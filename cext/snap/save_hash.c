/* snap/save_hash.c - hashes: as RDB_HASH_LISTPACK or RDB_HASH while no field expires, else in the forms of RDB version 12.
 *
 * Our packs leave out a listpack's back-lengths (types/hash.h), so a listpack is made of them here. In one with times, Redis keeps the
 * fields in order of their time, those without at the end.
 */
#include <stdlib.h>

#include "base/le.h"
#include "ds/listpack.h"
#include "snap/mem_walk.h"
#include "snap/rdb_save.h"
#include "snap/value_walk.h"
#include "types/hash.h"

struct saving {
    struct rdb_out *o;
    struct mem_reader *r;
    int64_t earliest; /* 0: fields without their times */
};

static int64_t earliest_of(struct mem_reader *r, enum encoding enc, shm_off root)
{
    if (enc == ENC_LISTPACK) return 0;
    size_t at = enc == ENC_LISTPACK_EX ? 0 : offsetof(struct hash_root, earliest);
    return (int64_t)le_load64(mem_view(r, root + at, 8));
}

enum rdb_type rdb_hash_type(struct mem_reader *r, enum encoding enc, shm_off root)
{
    struct scratch_mark mark = scratch_mark();
    bool expires = earliest_of(r, enc, root) != 0;
    scratch_rewind(mark);
    if (enc == ENC_HASHTABLE) return expires ? RDB_HASH_TTL : RDB_HASH;
    return expires ? RDB_HASH_LISTPACK_TTL : RDB_HASH_LISTPACK;
}

/* ---- packs ---- */

struct group { /* one field of a pack: where it starts, how many bytes its elements have, its time */
    const uint8_t *p;
    int64_t expire_ms;
};

/* Appends an element with its back-length, or only measures it (to NULL). Returns its bytes in a listpack. */
static uint32_t element(uint8_t *to, const uint8_t *p)
{
    uint32_t body = lp_body_bytes(p), back = lp_back_bytes(body);
    if (to) {
        memcpy(to, p, body);
        /* seven bits a byte, the highest first, all but the first marked: readable from the end backwards */
        for (uint32_t i = 0; i < back; i++) {
            uint8_t bits = body >> 7 * (back - 1 - i) & 127;
            to[body + i] = i ? bits | 128 : bits;
        }
    }
    return body + back;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = ((const struct group *)a)->expire_ms, y = ((const struct group *)b)->expire_ms;
    if (x == y) return 0;
    return !x ? 1 : !y ? -1 : x < y ? -1 : 1;
}

static int64_t number_at(const uint8_t *p)
{
    struct lp_value v = {0};
    lp_get(p, &v);
    return v.number;
}

/* `have` elements a field in the pack, `take` of them in the listpack. */
static void save_pack(struct rdb_out *o, const struct hash_pack *pack, uint32_t have, uint32_t take)
{
    struct group *groups = scratch_alloc((pack->count + 1) * sizeof *groups);
    const uint8_t *p = (const uint8_t *)(pack + 1), *end = (const uint8_t *)pack + pack->bytes;
    uint32_t n = 0, bytes = LP_EMPTY_BYTES;
    while (p < end && n < pack->count) {
        groups[n] = (struct group){p, 0};
        for (uint32_t i = 0; i < have; i++, p += lp_body_bytes(p)) {
            if (i == 2) groups[n].expire_ms = number_at(p);
            if (i < take) bytes += element(NULL, p);
        }
        n++;
    }
    if (take == 3) qsort(groups, n, sizeof *groups, by_time);
    uint8_t *lp = scratch_alloc(bytes), *to = lp + LP_HEADER;
    le_store32(lp, bytes);
    le_store16(lp + 4, (uint16_t)MIN((uint64_t)n * take, (uint64_t)LP_COUNT_UNKNOWN));
    for (uint32_t k = 0; k < n; k++) {
        p = groups[k].p;
        for (uint32_t i = 0; i < take; i++, p += lp_body_bytes(p)) to += element(to, p);
    }
    *to = LP_END;
    rdb_put_blob(o, lp, bytes);
}

/* ---- tables ---- */

static void save_item(shm_off item, void *arg)
{
    struct saving *s = arg;
    struct scratch_mark mark = scratch_mark();
    struct hash_item_view x;
    hash_item_take_apart(mem_view_upto(s->r, item, HASH_ITEM_GUESS), &x);
    if (x.bytes > HASH_ITEM_GUESS) hash_item_take_apart(mem_view(s->r, item, x.bytes), &x);
    if (s->earliest) rdb_put_len(s->o, x.expire_ms < 0 ? 0 : (uint64_t)(x.expire_ms - s->earliest) + 1);
    rdb_put_string(s->o, x.field.p, x.field.n);
    rdb_put_string(s->o, x.value.p, x.value.n);
    scratch_rewind(mark);
}

void rdb_save_hash(struct rdb_out *o, struct mem_reader *r, enum encoding enc, shm_off root)
{
    struct saving s = {o, r, earliest_of(r, enc, root)};
    if (s.earliest) rdb_put_u64(o, (uint64_t)s.earliest);
    if (enc == ENC_HASHTABLE) {
        const struct hash_root *h = mem_view(r, root, sizeof *h);
        rdb_put_len(o, h->table.count);
        mem_htable_each(r, &h->table, save_item, &s);
        return;
    }
    if (enc == ENC_LISTPACK_EX) root += 8;
    const struct hash_pack *pack = mem_view(r, root, sizeof *pack);
    pack = mem_view(r, root, pack->bytes);
    save_pack(o, pack, enc == ENC_LISTPACK_EX ? 3 : 2, s.earliest ? 3 : 2);
}
