/* cmd/cmd_bitfield.c - BITFIELD and BITFIELD_RO: integers of 1 to 64 bits anywhere in a string.
 *
 * All operations are parsed before the first is carried out, so a bad one changes nothing. Bits behind the string's end read as
 * zero; the string grows once, to the highest offset written. A field that crosses the end is read through a small copy.
 *
 * Locks, transaction and death: as cmd/cmd.h says of handlers.
 */
#include "base/bits.h"
#include "cmd/cmd_bitmap.h"

enum field_op_kind { FIELD_GET, FIELD_SET, FIELD_INCRBY };

struct field_op {
    uint64_t at;
    int64_t value;   /* SET: new value; INCRBY: to add */
    uint8_t kind;    /* enum field_op_kind */
    uint8_t width;   /* bits */
    uint8_t rule;    /* enum bits_overflow */
    bool is_signed;
};

static bool parse_type(struct cmd *c, uint32_t i, struct field_op *op)
{
    struct slice s = c->argv[i];
    int64_t width = 0;
    op->is_signed = s.n && s.p[0] == 'i';
    bool ok = s.n && (op->is_signed || s.p[0] == 'u') && num_parse_i64(s.p + 1, s.n - 1, &width);
    if (ok && width >= 1 && width <= (op->is_signed ? 64 : 63)) {
        op->width = (uint8_t)width;
        return true;
    }
    reply_errorf(c->out, "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.");
    return false;
}

static bool parse_rule(struct cmd *c, uint32_t i, uint8_t *rule)
{
    static const char *const names[] = {[BITS_WRAP] = "WRAP", [BITS_SAT] = "SAT", [BITS_FAIL] = "FAIL"};
    for (uint8_t k = 0; k < ARRAY_LEN(names); k++)
        if (arg_is(c, i, names[k])) {
            *rule = k;
            return true;
        }
    reply_errorf(c->out, "ERR Invalid OVERFLOW type specified");
    return false;
}

struct field_plan {
    struct field_op *ops;
    uint32_t count;
    uint64_t end;  /* bits that the string must have for what is written */
    bool writes;
};

/* One operation at argument i; returns the arguments it took, 0 with the error replied. */
static uint32_t parse_op(struct cmd *c, uint32_t i, struct field_plan *plan, uint8_t *rule)
{
    uint32_t left = c->argc - i - 1;
    struct field_op *op = &plan->ops[plan->count];
    if (arg_is(c, i, "OVERFLOW") && left >= 1) return parse_rule(c, i + 1, rule) ? 2 : 0;
    if (arg_is(c, i, "GET") && left >= 2) {
        op->kind = FIELD_GET;
    } else if (arg_is(c, i, "SET") && left >= 3) {
        op->kind = FIELD_SET;
    } else if (arg_is(c, i, "INCRBY") && left >= 3) {
        op->kind = FIELD_INCRBY;
    } else {
        reply_error(c->out, ERR_SYNTAX);
        return 0;
    }
    if (!parse_type(c, i + 1, op) || !parse_bit_offset(c, i + 2, op->width, &op->at)) return 0;
    op->rule = *rule;
    plan->count++;
    if (op->kind == FIELD_GET) return 3;
    if (!arg_i64(c, i + 3, &op->value)) return 0;
    plan->writes = true;
    plan->end = MAX(plan->end, op->at + op->width);
    return 4;
}

static bool parse_ops(struct cmd *c, struct field_plan *plan)
{
    uint8_t rule = BITS_WRAP;
    plan->ops = scratch_alloc(c->argc * sizeof *plan->ops);
    for (uint32_t i = 2, taken; i < c->argc; i += taken)
        if (!(taken = parse_op(c, i, plan, &rule))) return false;
    return true;
}

static void reply_field(struct cmd *c, const struct field_op *op, uint64_t raw)
{
    reply_int(c->out, op->is_signed ? bits_sign_extend(raw, op->width) : (int64_t)raw);
}

static uint64_t read_field(const struct field_op *op, struct slice s)
{
    uint8_t part[16] = {0};
    size_t first = (size_t)(op->at >> 3), last = (size_t)((op->at + op->width - 1) >> 3);
    if (first >= s.n) return 0;
    if (likely(last < s.n)) return bits_field_get(s.p, op->at, op->width);
    memcpy(part, s.p + first, s.n - first);
    return bits_field_get(part, op->at & 7, op->width);
}

/* The new value of the field, by the overflow rule; false: it stays as it is. */
static bool new_value(const struct field_op *op, uint64_t old, uint64_t *raw)
{
    bool set = op->kind == FIELD_SET;
    int64_t delta = set ? 0 : op->value, s;
    if (!op->is_signed) return bits_add_unsigned(set ? (uint64_t)op->value : old, delta, op->width, op->rule, raw);
    if (!bits_add_signed(set ? op->value : bits_sign_extend(old, op->width), delta, op->width, op->rule, &s)) return false;
    *raw = (uint64_t)s;
    return true;
}

/* One SET or INCRBY on the string; returns whether it changed something. */
static bool write_field(struct cmd *c, const struct field_op *op, uint8_t *bytes)
{
    uint64_t old = bits_field_get(bytes, op->at, op->width), raw;
    if (!new_value(op, old, &raw)) {
        reply_null(c->out);
        return false;
    }
    raw &= UINT64_MAX >> (64 - op->width);
    reply_field(c, op, op->kind == FIELD_SET ? old : raw);
    if (raw == old) return false;
    size_t first = (size_t)(op->at >> 3), last = (size_t)((op->at + op->width - 1) >> 3);
    txn_touch(c->txn, bytes + first, last - first + 1);
    bits_field_set(bytes, op->at, op->width, raw);
    return true;
}

static void run_reads(struct cmd *c, const struct field_plan *plan, const struct entry *e)
{
    struct digits room;
    struct slice s = string_bytes(e, &room);
    reply_array(c->out, plan->count);
    for (uint32_t i = 0; i < plan->count; i++) reply_field(c, &plan->ops[i], read_field(&plan->ops[i], s));
}

static void run_all(struct cmd *c, const struct field_plan *plan, const struct key *k, struct entry *e)
{
    uint8_t *bytes;
    bool grew;
    uint64_t changes = 0;
    e = string_with_bits(c, k, e, plan->end, &bytes, &grew);
    reply_array(c->out, plan->count);
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct field_op *op = &plan->ops[i];
        if (op->kind == FIELD_GET)
            reply_field(c, op, read_field(op, entry_bytes(e)));
        else
            changes += write_field(c, op, bytes);
    }
    if (!changes && !grew) return;
    cmd_modified(c, k, '$', "setbit");
    c->dirty += changes > 1 ? changes - 1 : 0;
}

void cmd_bitfield(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct field_plan plan = {0};
    if (!parse_ops(c, &plan)) return;
    struct entry *e = plan.writes ? ks_write(c->txn, &k) : ks_read(&k);
    if (wrong_type(c, e, OBJ_STRING)) return;
    if (plan.writes)
        run_all(c, &plan, &k, e);
    else
        run_reads(c, &plan, e);
}

void cmd_bitfield_ro(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct field_plan plan = {0};
    if (!parse_ops(c, &plan)) return;
    if (plan.writes) {
        reply_errorf(c->out, "ERR BITFIELD_RO only supports the GET subcommand");
        return;
    }
    const struct entry *e = ks_read(&k);
    if (wrong_type(c, e, OBJ_STRING)) return;
    run_reads(c, &plan, e);
}
