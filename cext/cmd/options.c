/* cmd/options.c - the one parser of commands' options.
 *
 * Rows are tried in order; words are compared without regard to case. An option may be repeated (the last value counts, as in Redis)
 * unless its own bit is among its `excludes`. Numbers are parsed where they stand, so an earlier bad number is reported before a
 * later bad word; a command whose values Redis checks after all words takes them as OPT_SLICE.
 */
#include "cmd/cmd.h"

static uint32_t values_of(enum opt_kind kind)
{
    return kind == OPT_FLAG ? 0 : kind == OPT_I64_PAIR ? 2 : 1;
}

static bool syntax_error(struct cmd *c)
{
    reply_error(c->out, ERR_SYNTAX);
    return false;
}

static bool parse_value(struct cmd *c, uint32_t i, const struct opt *o)
{
    switch (o->kind) {
    case OPT_FLAG:
        if (o->value) *(uint32_t *)o->value |= o->bit;
        return true;
    case OPT_SLICE: *(struct slice *)o->value = c->argv[i]; return true;
    case OPT_I64: return arg_i64(c, i, o->value);
    case OPT_COUNT: return arg_i64(c, i, o->value) && (*(int64_t *)o->value > 0 || syntax_error(c));
    case OPT_DOUBLE: return arg_double(c, i, o->value, NULL);
    case OPT_I64_PAIR: return arg_i64(c, i, o->value) && arg_i64(c, i + 1, (int64_t *)o->value + 1);
    }
    return false;
}

bool parse_options(struct cmd *c, uint32_t from, const struct opt *rows, uint32_t nrows, uint32_t *seen)
{
    uint32_t found = 0;
    for (uint32_t i = from; i < c->argc;) {
        const struct opt *o = rows, *end = rows + nrows;
        while (o < end && !arg_is(c, i, o->word)) o++;
        if (o == end || found & o->excludes) return syntax_error(c);
        uint32_t n = values_of(o->kind);
        if (c->argc - i - 1 < n) return syntax_error(c);
        if (!parse_value(c, i + 1, o)) return false;
        found |= o->bit;
        i += 1 + n;
    }
    if (seen) *seen |= found;
    return true;
}
