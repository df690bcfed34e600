/* snap/save_hash.c - hashes: as RDB_HASH_LISTPACK or RDB_HASH while no field expires, else in the forms of RDB version 12.
 *
 * Our packs leave out a listpack's back-lengths and common beginnings (types/hash.h), so a listpack is made of them here. In one with times, Redis keeps the
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

/* Writes an element as an entry of a listpack, or only measures it (to NULL). Returns its bytes there. */
static uint32_t element(uint8_t *to, struct slice stem, const uint8_t *p)
{
    uint8_t room[STEM_TEXT_MAX];
    struct lp_value v;
    stem_get(stem, p, &v, room);
    struct lp_item item = v.text ? lp_item_text(v.text, v.n) : lp_item_number(v.number);
    if (to) lp_item_write(to, &item);
    return item.bytes;
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
    struct group *groups = scratch_alloc((pack_count(pack) + 1) * sizeof *groups);
    const struct pack_stems stems = pack_stems(pack);
    const struct slice stem_of[3] = {stems.field, stems.value, {0}};
    const uint8_t *p = pack_fields(pack), *end = (const uint8_t *)pack + pack->bytes;
    uint32_t n = 0, bytes = LP_EMPTY_BYTES;
    while (p < end && n < pack_count(pack)) {
        groups[n] = (struct group){p, 0};
        for (uint32_t i = 0; i < have; i++, p += lp_body_bytes(p)) {
            if (i == 2) groups[n].expire_ms = number_at(p);
            if (i < take) bytes += element(NULL, stem_of[i], p);
        }
        n++;
    }
    if (take == 3) qsort(groups, n, sizeof *groups, by_time);
    uint8_t *lp = scratch_alloc(bytes), *to = lp + LP_HEADER;
    le_store32(lp, bytes);
    le_store16(lp + 4, (uint16_t)MIN((uint64_t)n * take, (uint64_t)LP_COUNT_UNKNOWN));
    for (uint32_t k = 0; k < n; k++) {
        p = groups[k].p;
        for (uint32_t i = 0; i < take; i++, p += lp_body_bytes(p)) to += element(to, stem_of[i], p);
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
