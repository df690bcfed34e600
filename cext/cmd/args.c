/* cmd/args.c - arguments to numbers, with Redis' words where they are none.
 *
 * Pure apart from the error reply: no keys, no locks, nothing shared.
 */
#include "base/num.h"
#include "cmd/cmd.h"

static bool refuse(struct cmd *c, const char *error, enum error_id otherwise)
{
    if (error)
        reply_errorf(c->out, "%s", error);
    else
        reply_error(c->out, otherwise);
    return false;
}

bool arg_i64_or(struct cmd *c, uint32_t i, int64_t *v, const char *error)
{
    return likely(num_parse_i64(c->argv[i].p, c->argv[i].n, v)) || refuse(c, error, ERR_NOTINT);
}

bool arg_i64(struct cmd *c, uint32_t i, int64_t *v)
{
    return arg_i64_or(c, i, v, NULL);
}

bool arg_i64_range(struct cmd *c, uint32_t i, int64_t min, int64_t max, int64_t *v)
{
    bool positive = min == 0 && max == INT64_MAX;
    if (!arg_i64_or(c, i, v, positive ? "ERR value is out of range, must be positive" : NULL)) return false;
    if (likely(*v >= min && *v <= max)) return true;
    if (positive) return refuse(c, NULL, ERR_NOTPOSITIVE);
    reply_errorf(c->out, "ERR value is out of range, value must between %lld and %lld", (long long)min, (long long)max);
    return false;
}

bool arg_i32(struct cmd *c, uint32_t i, const char *error, int32_t *v)
{
    int64_t wide;
    if (!num_parse_i64(c->argv[i].p, c->argv[i].n, &wide)) return refuse(c, error, ERR_NOTINT);
    if ((wide < INT32_MIN || wide > INT32_MAX) && error) return refuse(c, error, ERR_NOTINT);
    if (!arg_i64_range(c, i, INT32_MIN, INT32_MAX, &wide)) return false;
    *v = (int32_t)wide;
    return true;
}

bool db_exists(struct cmd *c, int32_t number)
{
    return (number >= 0 && (uint32_t)number < seg()->databases) || refuse(c, NULL, ERR_BADDB);
}

bool arg_db(struct cmd *c, uint32_t i, uint32_t *db)
{
    int32_t v;
    if (!arg_i32(c, i, NULL, &v) || !db_exists(c, v)) return false;
    *db = (uint32_t)v;
    return true;
}

bool arg_double(struct cmd *c, uint32_t i, double *v, const char *error)
{
    return num_parse_double(c->argv[i].p, c->argv[i].n, v) || refuse(c, error, ERR_NOTFLOAT);
}

bool arg_long_double(struct cmd *c, uint32_t i, long double *v)
{
    return num_parse_ldouble(c->argv[i].p, c->argv[i].n, v) || refuse(c, NULL, ERR_NOTFLOAT);
}

bool slice_is(struct slice s, const char *word)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t a = s.p[i], b = (uint8_t)word[i];
        if (!b || a != b) {
            if (!b || (a | 0x20) != (b | 0x20) || (uint8_t)((a | 0x20) - 'a') > 25) return false;
        }
    }
    return word[s.n] == 0;
}

bool arg_is(const struct cmd *c, uint32_t i, const char *word)
{
    return slice_is(c->argv[i], word);
}

/* What strtoul takes whole, as Redis does: nothing at all is 0, a sign is allowed, white space before is not. */
bool arg_cursor(struct cmd *c, uint32_t i, uint64_t *cursor)
{
    struct slice s = c->argv[i];
    *cursor = 0;
    if (!s.n) return true;
    bool sign = s.p[0] == '-' || s.p[0] == '+';
    if (!num_parse_u64(s.p + sign, s.n - sign, cursor)) return refuse(c, NULL, ERR_BADCURSOR);
    if (s.p[0] == '-') *cursor = 0 - *cursor;
    return true;
}
