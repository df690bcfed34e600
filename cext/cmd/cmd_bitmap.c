/* cmd/cmd_bitmap.c - strings as bit arrays: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP.
 *
 * Parsing, ranges and replies; the work on bits is base/bits. Offsets are 64-bit numbers of bits, and a string has fewer than
 * 2^61 bytes, so a length in bits fits.
 *
 * Locks, transaction and death: as cmd/cmd.h says of handlers.
 */
#include "cmd/cmd_bitmap.h"

#include "base/bits.h"

bool parse_bit_offset(struct cmd *c, uint32_t i, unsigned width, uint64_t *offset)
{
    struct slice s = c->argv[i];
    bool in_fields = width && s.n && s.p[0] == '#';
    int64_t v;
    if (num_parse_i64(s.p + in_fields, s.n - in_fields, &v) && v >= 0 &&
        !(in_fields && __builtin_mul_overflow(v, (int64_t)width, &v)) &&
        (c->replaying || (v >> 3) < setting(SET_proto_max_bulk_len))) {
        *offset = (uint64_t)v;
        return true;
    }
    reply_error(c->out, ERR_BITOFFSET);
    return false;
}

struct entry *string_with_bits(struct cmd *c, const struct key *k, struct entry *e, uint64_t bits, uint8_t **bytes, bool *changed)
{
    size_t need = (size_t)((bits + 7) >> 3), have = string_length(e);
    *changed = !e || need > have;
    if (!e) e = ks_set_raw(c->txn, k, (struct slice){0}, TTL_CLEAR);
    return ks_string_resize(c->txn, k, e, MAX(need, have), bytes);
}

void cmd_setbit(struct cmd *c)
{
    struct key k = key_for(c, 1);
    uint64_t at;
    int64_t bit;
    uint8_t *bytes;
    bool changed;
    if (!parse_bit_offset(c, 2, 0, &at)) return;
    if (!arg_i64_or(c, 3, &bit, "ERR bit is not an integer or out of range")) return;
    if (bit & ~INT64_C(1)) {
        reply_error(c->out, ERR_BITVALUE);
        return;
    }
    struct entry *e = ks_write(c->txn, &k);
    if (wrong_type(c, e, OBJ_STRING)) return;
    string_with_bits(c, &k, e, at + 1, &bytes, &changed);
    unsigned old = bits_get(bytes, at);
    if (changed || old != (unsigned)bit) {
        txn_touch(c->txn, bytes + (at >> 3), 1);
        bits_set(bytes, at, (unsigned)bit);
        cmd_modified(c, &k, '$', "setbit");
    }
    reply_int(c->out, old);
}

void cmd_getbit(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct digits room;
    uint64_t at;
    if (!parse_bit_offset(c, 2, 0, &at)) return;
    const struct entry *e = ks_read(&k);
    if (wrong_type(c, e, OBJ_STRING)) return;
    struct slice s = string_bytes(e, &room);
    reply_int(c->out, (at >> 3) < s.n ? bits_get(s.p, at) : 0);
}

/* ---- ranges ---- */

/* BYTE or BIT as argument i; replies the error. */
static bool parse_unit(struct cmd *c, uint32_t i, bool *bits)
{
    *bits = arg_is(c, i, "BIT");
    if (*bits || arg_is(c, i, "BYTE")) return true;
    reply_error(c->out, ERR_SYNTAX);
    return false;
}

struct bit_range {
    int64_t start, end; /* both included, negative: from the end; in `unit` */
    bool in_bits;
    bool end_given;
};

/* Bits [*from, *to) of a string of n bytes. False: the range is empty. */
static bool resolve_range(const struct bit_range *r, size_t n, uint64_t *from, uint64_t *to)
{
    int64_t total = (int64_t)(r->in_bits ? n << 3 : n), start = r->start, end = r->end_given ? r->end : total - 1;
    if (start < 0) start = MAX(total + start, 0);
    if (end < 0) end = MAX(total + end, 0);
    if (end >= total) end = total - 1;
    if (start > end) return false;
    *from = (uint64_t)start << (r->in_bits ? 0 : 3);
    *to = (uint64_t)(end + 1) << (r->in_bits ? 0 : 3);
    return true;
}

void cmd_bitcount(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct bit_range r = {.end_given = c->argc > 2};
    struct digits room;
    uint64_t from, to;
    if (c->argc == 3 || c->argc > 5) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (c->argc > 2 && (!arg_i64(c, 2, &r.start) || !arg_i64(c, 3, &r.end))) return;
    if (c->argc == 5 && !parse_unit(c, 4, &r.in_bits)) return;
    const struct entry *e = ks_read(&k);
    if (wrong_type(c, e, OBJ_STRING)) return;
    struct slice s = string_bytes(e, &room);
    bool backwards = r.start < 0 && r.end < 0 && r.start > r.end;
    if (backwards || !resolve_range(&r, s.n, &from, &to))
        reply_int(c->out, 0);
    else
        reply_int(c->out, (int64_t)bits_count_range(s.p, from, to));
}

void cmd_bitpos(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct bit_range r = {.end_given = c->argc > 4};
    struct digits room;
    uint64_t from, to;
    int64_t bit, at = -1;
    if (!arg_i64(c, 2, &bit)) return;
    if (bit & ~INT64_C(1)) {
        reply_error(c->out, ERR_BITARG);
        return;
    }
    if (c->argc > 6) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (c->argc > 3 && !arg_i64(c, 3, &r.start)) return;
    if (c->argc == 6 && !parse_unit(c, 5, &r.in_bits)) return;
    if (c->argc > 4 && !arg_i64(c, 4, &r.end)) return;
    const struct entry *e = ks_read(&k);
    if (wrong_type(c, e, OBJ_STRING)) return;
    struct slice s = string_bytes(e, &room);
    if (!e) {
        at = bit ? -1 : 0; /* no key: endless zeros */
    } else if (resolve_range(&r, s.n, &from, &to)) {
        at = bits_find(s.p, from, to, (unsigned)bit);
        if (at < 0 && !bit && !r.end_given) at = (int64_t)(s.n << 3); /* zeros follow the end */
    }
    reply_int(c->out, at);
}

/* ---- BITOP ---- */

static bool parse_bitop(struct cmd *c, enum bits_op *op)
{
    static const char *const names[] = {[BITS_AND] = "AND", [BITS_OR] = "OR", [BITS_XOR] = "XOR", [BITS_NOT] = "NOT"};
    for (uint32_t i = 0; i < ARRAY_LEN(names); i++)
        if (arg_is(c, 1, names[i])) {
            *op = (enum bits_op)i;
            if (*op != BITS_NOT || c->argc == 4) return true;
            reply_errorf(c->out, "ERR BITOP NOT must be called with a single source key.");
            return false;
        }
    reply_error(c->out, ERR_SYNTAX);
    return false;
}

/* dst (n bytes) = the sources combined; a shorter source is followed by zeros. */
static void combine_all(enum bits_op op, uint8_t *dst, size_t n, const struct slice *src, uint32_t count)
{
    if (op == BITS_NOT) {
        bits_combine(op, dst, src[0].p, n);
        return;
    }
    memcpy(dst, src[0].p, src[0].n);
    memset(dst + src[0].n, 0, n - src[0].n);
    for (uint32_t i = 1; i < count; i++) {
        bits_combine(op, dst, src[i].p, src[i].n);
        if (op == BITS_AND) memset(dst + src[i].n, 0, n - src[i].n);
    }
}

void cmd_bitop(struct cmd *c)
{
    enum bits_op op;
    if (!parse_bitop(c, &op)) return;
    struct key dest = key_for(c, 2);
    uint32_t count = c->argc - 3;
    struct slice *src = scratch_alloc(count * sizeof *src);
    struct digits *rooms = scratch_alloc(count * sizeof *rooms);
    size_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct key k = key_for(c, i + 3);
        const struct entry *e = ks_read(&k);
        if (wrong_type(c, e, OBJ_STRING)) return;
        src[i] = string_bytes(e, &rooms[i]);
        n = MAX(n, src[i].n);
    }
    if (n) {
        uint8_t *result = scratch_alloc(n);
        combine_all(op, result, n, src, count);
        ks_set_raw(c->txn, &dest, (struct slice){result, n}, TTL_CLEAR);
        cmd_modified(c, &dest, '$', "set");
    } else if (ks_delete(c->txn, &dest)) {
        cmd_modified(c, &dest, 'g', "del");
    }
    reply_int(c->out, (int64_t)n);
}
