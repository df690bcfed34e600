/* cmd/cmd_lcs.c - LCS: the longest common subsequence of two strings.
 *
 * The classic table, but only one row of lengths is kept; of every cell one bit remains: whether the way back goes up (to the shorter
 * first string) or left. That is a 32nd of the table of lengths, but the limit on its size stays Redis' (proto-max-bulk-len), since
 * the time grows with it. Ties go left, as in Redis, so that of several longest subsequences the same one is found.
 *
 * Both keys' stripes are held; memory is the command's scratch memory.
 */
#include "cmd/cmd_string.h"

struct lcs {
    struct slice a, b;
    uint32_t length;
    size_t stride;  /* bytes of bits per row */
    uint8_t *up;    /* bit j of row i: from cell (i+1, j+1) the way goes up */
    uint32_t *row;
};

static void fill(struct lcs *l)
{
    for (size_t i = 0; i < l->a.n; i++) {
        uint8_t *bits = l->up + i * l->stride;
        uint32_t diagonal = 0;
        for (size_t j = 0; j < l->b.n; j++) {
            uint32_t above = l->row[j + 1], left = l->row[j];
            if (l->a.p[i] == l->b.p[j]) {
                l->row[j + 1] = diagonal + 1;
            } else if (above > left) {
                bits[j >> 3] |= (uint8_t)(1u << (j & 7));
            } else {
                l->row[j + 1] = left;
            }
            diagonal = above;
        }
    }
    l->length = l->row[l->b.n];
}

/* False, with the error replied, when the strings are too long. */
static bool compute(struct cmd *c, struct lcs *l)
{
    uint64_t cells, bytes;
    if (l->a.n >= UINT32_MAX - 1 || l->b.n >= UINT32_MAX - 1) {
        reply_errorf(c->out, "ERR String too long for LCS");
        return false;
    }
    if (__builtin_mul_overflow(l->a.n + 1, l->b.n + 1, &cells) || __builtin_mul_overflow(cells, sizeof(uint32_t), &bytes) ||
        bytes > (uint64_t)setting(SET_proto_max_bulk_len)) {
        reply_errorf(c->out, "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
        return false;
    }
    l->stride = (l->b.n + 7) / 8;
    l->up = scratch_alloc(l->stride * l->a.n + 1);
    l->row = scratch_alloc((l->b.n + 1) * sizeof *l->row);
    memset(l->up, 0, l->stride * l->a.n);
    memset(l->row, 0, (l->b.n + 1) * sizeof *l->row);
    fill(l);
    return true;
}

/* Goes back from (*i, *j) to the end of the next run of common bytes and takes it: the run is a[*i, *i + n) = b[*j, *j + n). */
static size_t next_run(const struct lcs *l, size_t *i, size_t *j)
{
    size_t n = 0;
    while (*i && *j) {
        if (l->a.p[*i - 1] == l->b.p[*j - 1]) {
            n++;
            --*i;
            --*j;
        } else if (n) {
            break;
        } else if (l->up[(*i - 1) * l->stride + ((*j - 1) >> 3)] >> ((*j - 1) & 7) & 1) {
            --*i;
        } else {
            --*j;
        }
    }
    return n;
}

static void reply_range(struct reply *r, size_t start, size_t n)
{
    reply_array(r, 2);
    reply_int(r, (int64_t)start);
    reply_int(r, (int64_t)(start + n - 1));
}

static void reply_indexes(struct cmd *c, const struct lcs *l, int64_t min_length, bool with_length)
{
    size_t i = l->a.n, j = l->b.n, n;
    uint64_t runs = 0;
    reply_map(c->out, 2);
    reply_cstring(c->out, "matches");
    size_t place = reply_later(c->out);
    while ((n = next_run(l, &i, &j)) != 0) {
        if ((int64_t)n < min_length) continue;
        reply_array(c->out, with_length ? 3 : 2);
        reply_range(c->out, i, n);
        reply_range(c->out, j, n);
        if (with_length) reply_int(c->out, (int64_t)n);
        runs++;
    }
    reply_later_array(c->out, place, runs);
    reply_cstring(c->out, "len");
    reply_int(c->out, l->length);
}

static void reply_subsequence(struct cmd *c, const struct lcs *l)
{
    uint8_t *text = scratch_alloc(l->length + 1);
    size_t i = l->a.n, j = l->b.n, n, at = l->length;
    while ((n = next_run(l, &i, &j)) != 0) {
        at -= n;
        memcpy(text + at, l->a.p + i, n);
    }
    reply_bulk(c->out, text, l->length);
}

enum { LCS_LEN = 1, LCS_IDX = 2, LCS_WITHMATCHLEN = 4, LCS_MINMATCHLEN = 8 };

void cmd_lcs(struct cmd *c)
{
    int64_t min_length = 0;
    uint32_t seen = 0;
    struct digits room_a, room_b;
    const struct opt rows[] = {
        {"LEN", OPT_FLAG, NULL, LCS_LEN, 0},
        {"IDX", OPT_FLAG, NULL, LCS_IDX, 0},
        {"WITHMATCHLEN", OPT_FLAG, NULL, LCS_WITHMATCHLEN, 0},
        {"MINMATCHLEN", OPT_I64, &min_length, LCS_MINMATCHLEN, 0},
    };
    struct key ka = key_for(c, 1), kb = key_for(c, 2);
    const struct entry *a = ks_read(&ka), *b = ks_read(&kb);
    if ((a && entry_type(a) != OBJ_STRING) || (b && entry_type(b) != OBJ_STRING)) {
        reply_errorf(c->out, "ERR The specified keys must contain string values");
        return;
    }
    if (!parse_options(c, 3, rows, ARRAY_LEN(rows), &seen)) return;
    if ((seen & LCS_LEN) && (seen & LCS_IDX)) {
        reply_errorf(c->out, "ERR If you want both the length and indexes, please just use IDX.");
        return;
    }
    struct lcs l = {.a = string_bytes(a, &room_a), .b = string_bytes(b, &room_b)};
    if (!compute(c, &l)) return;
    if (seen & LCS_IDX)
        reply_indexes(c, &l, min_length, seen & LCS_WITHMATCHLEN);
    else if (seen & LCS_LEN)
        reply_int(c->out, l.length);
    else
        reply_subsequence(c, &l);
}
