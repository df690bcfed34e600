/* cmd/cmd_hll.c - PFADD PFCOUNT PFMERGE PFDEBUG PFSELFTEST: HyperLogLogs, which are strings (ds/hll.h has the bytes).
 *
 * A dense value is changed where it lies, a byte or two per register; a sparse one is copied to private memory, changed there and stored
 * whole. Every sparse byte is checked while it is read, so a value that a client made up with SET gets an error.
 *
 * PFCOUNT is a reading command that stores the count in the value's header. That store is no part of what a death must undo: its mark
 * of validity is written last, so the count is either the right one or none (count_store).
 */
#include "base/num.h"
#include "cmd/cmd.h"
#include "ds/hll.h"

#include <math.h>
#include <stdio.h>

static const char corrupt[] = "INVALIDOBJ Corrupted HLL object detected";

/* The bytes of the value at e, which must be a HyperLogLog; replies the error and returns false. */
static bool hll_value(struct cmd *c, const struct entry *e, struct slice *v)
{
    if (wrong_type(c, e, OBJ_STRING)) return false;
    *v = entry_enc(e) == ENC_INT ? (struct slice){0} : entry_bytes(e);
    if (likely(v->p && hll_is(v->p, v->n))) {
        if (likely(v->n <= HLL_WORK_BYTES)) return true;
        reply_errorf(c->out, "%s", corrupt);
        return false;
    }
    reply_error(c->out, ERR_BADHLL);
    return false;
}

static struct hll_work work_room(size_t n)
{
    return (struct hll_work){scratch_alloc(HLL_WORK_BYTES), n, (size_t)setting(SET_hll_sparse_max_bytes)};
}

static struct hll_work work_copy(struct slice v)
{
    struct hll_work w = work_room(v.n);
    memcpy(w.p, v.p, v.n);
    return w;
}

static struct hll_work work_new(void)
{
    struct hll_work w = work_room(HLL_EMPTY_BYTES);
    hll_init(w.p);
    hll_cache_drop(w.p);
    return w;
}

static void work_store(struct cmd *c, const struct key *k, const struct hll_work *w)
{
    ks_set_raw(c->txn, k, (struct slice){w->p, w->n}, TTL_KEEP);
}

/* Raises a register of a dense value in place; false: it was that high already. */
static bool dense_raise(struct txn *t, uint8_t *p, uint32_t index, unsigned value)
{
    if (hll_dense_get(p, index) >= value) return false;
    uint32_t at, n;
    hll_dense_range(index, &at, &n);
    txn_touch(t, p + at, n);
    hll_dense_set(p, index, value);
    if (!(p[HLL_CACHE_MARK] & 0x80)) {
        txn_touch(t, p + HLL_CACHE_MARK, 1);
        hll_cache_drop(p);
    }
    return true;
}

/* ---- PFADD ---- */

static uint64_t dense_add(struct cmd *c, struct slice v)
{
    uint64_t raised = 0;
    for (uint32_t i = 2; i < c->argc; i++) {
        struct hll_hash h = hll_hash(c->argv[i].p, c->argv[i].n);
        raised += dense_raise(c->txn, (uint8_t *)(uintptr_t)v.p, h.index, h.rank);
    }
    return raised;
}

/* Adds the elements to a private copy; false: corrupt. */
static bool work_add(struct cmd *c, struct hll_work *w, uint64_t *raised)
{
    for (uint32_t i = 2; i < c->argc; i++) {
        enum hll_result r = hll_add(w, c->argv[i].p, c->argv[i].n);
        if (r == HLL_CORRUPT) return false;
        *raised += r == HLL_RAISED;
    }
    return true;
}

void cmd_pfadd(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e = ks_write(c->txn, &k);
    struct slice v;
    uint64_t changes = e == NULL; /* a new value is a change of its own */
    if (e && !hll_value(c, e, &v)) return;
    if (e && hll_encoding(v.p) == HLL_DENSE) {
        changes = dense_add(c, v);
    } else {
        struct hll_work w = e ? work_copy(v) : work_new();
        if (!work_add(c, &w, &changes)) {
            reply_errorf(c->out, "%s", corrupt);
            return;
        }
        if (changes) work_store(c, &k, &w);
    }
    if (changes) {
        cmd_modified(c, &k, '$', "pfadd");
        c->dirty += changes - 1;
    }
    reply_int(c->out, changes != 0);
}

/* ---- PFCOUNT ---- */

/* Keeps the count in the value. Outside a transaction only the stripe's lock protects it: low bytes first, the mark of validity last. */
static void count_store(struct cmd *c, uint8_t *p, uint64_t count)
{
    if (c->txn->active) {
        txn_touch(c->txn, p + 8, 8);
        hll_cache_put(p, count);
        return;
    }
    uint8_t bytes[16];
    hll_cache_put(bytes, count);
    cow_touch(shm_offset(p + 8), 8);
    memcpy(p + 8, bytes + 8, 7);
    store_order();
    *(volatile uint8_t *)&p[HLL_CACHE_MARK] = bytes[HLL_CACHE_MARK];
    guard_close();
}

/* One key: the cached count, or counted and cached. */
static void count_one(struct cmd *c)
{
    struct key k = key_for(c, 1);
    struct entry *e = ks_read(&k);
    struct slice v;
    uint64_t count = 0;
    if (e) {
        if (!hll_value(c, e, &v)) return;
        if (!hll_cache_get(v.p, &count)) {
            if (!hll_count(v.p, v.n, &count)) {
                reply_errorf(c->out, "%s", corrupt);
                return;
            }
            count_store(c, (uint8_t *)(uintptr_t)v.p, count);
        }
    }
    reply_int(c->out, (int64_t)count);
}

/* Raises `regs` to the values of the keys argv[from..]; replies the error and returns false. *dense: one of them is. */
static bool merge_keys(struct cmd *c, uint32_t from, uint8_t regs[HLL_REGISTERS], bool *dense)
{
    for (uint32_t i = from; i < c->argc; i++) {
        struct key k = key_for(c, i);
        const struct entry *e = ks_read(&k);
        struct slice v;
        if (!e) continue;
        if (!hll_value(c, e, &v)) return false;
        if (hll_encoding(v.p) == HLL_DENSE) *dense = true;
        if (!hll_merge(regs, v.p, v.n)) {
            reply_errorf(c->out, "%s", corrupt);
            return false;
        }
    }
    return true;
}

void cmd_pfcount(struct cmd *c)
{
    if (c->argc == 2) {
        count_one(c);
        return;
    }
    uint8_t *regs = scratch_alloc(HLL_REGISTERS);
    bool dense = false;
    memset(regs, 0, HLL_REGISTERS);
    if (merge_keys(c, 1, regs, &dense)) reply_int(c->out, (int64_t)hll_count_registers(regs));
}

/* ---- PFMERGE ---- */

void cmd_pfmerge(struct cmd *c)
{
    uint8_t *regs = scratch_alloc(HLL_REGISTERS);
    bool dense = false;
    memset(regs, 0, HLL_REGISTERS);
    if (!merge_keys(c, 1, regs, &dense)) return;
    struct key k = key_for(c, 1);
    struct entry *e = ks_write(c->txn, &k);
    struct slice v;
    if (e && !hll_value(c, e, &v)) return;
    struct hll_work w = e ? work_copy(v) : work_new();
    bool sound = !dense || hll_to_dense(&w);
    for (uint32_t i = 0; sound && i < HLL_REGISTERS; i++)
        if (regs[i]) sound = hll_raise(&w, i, regs[i]) != HLL_CORRUPT;
    if (!sound) {
        reply_errorf(c->out, "%s", corrupt);
        return;
    }
    hll_cache_drop(w.p);
    work_store(c, &k, &w);
    cmd_modified(c, &k, '$', "pfadd"); /* Redis' event for this too */
    reply_ok(c->out);
}

/* ---- PFDEBUG ---- */

/* The opcodes as text: z: short run of zeros, Z: long one, v: value and run. */
static void reply_opcodes(struct cmd *c, struct slice v)
{
    char *text = scratch_alloc(v.n * 8 + 16);
    size_t n = 0;
    for (const uint8_t *p = v.p + HLL_HEADER, *end = v.p + v.n; p < end;) {
        bool is_long = (*p & 0xC0) == 0x40;
        if (is_long && end - p < 2) {
            reply_errorf(c->out, "%s", corrupt);
            return;
        }
        if (*p & 0x80)
            n += (size_t)sprintf(text + n, "v:%d,%d ", (*p >> 2 & 31) + 1, (*p & 3) + 1);
        else
            n += (size_t)sprintf(text + n, "%c:%d ", is_long ? 'Z' : 'z', (is_long ? (*p & 63) << 8 | p[1] : *p & 63) + 1);
        p += is_long ? 2 : 1;
    }
    reply_bulk(c->out, text, n ? n - 1 : 0);
}

/* Makes the value dense; false (replied): corrupt. */
static bool make_dense(struct cmd *c, const struct key *k, struct slice *v)
{
    if (hll_encoding(v->p) == HLL_DENSE) return true;
    struct hll_work w = work_copy(*v);
    if (!hll_to_dense(&w)) {
        reply_errorf(c->out, "%s", corrupt);
        return false;
    }
    work_store(c, k, &w);
    cmd_modified(c, k, '$', "pfadd");
    *v = entry_bytes(ks_peek(k));
    return true;
}

void cmd_pfdebug(struct cmd *c)
{
    struct key k = key_for(c, 2);
    struct entry *e = ks_write(c->txn, &k);
    struct slice v;
    if (!e) {
        reply_errorf(c->out, "ERR The specified key does not exist");
        return;
    }
    if (!hll_value(c, e, &v)) return;
    bool sparse = hll_encoding(v.p) == HLL_SPARSE;
    if (arg_is(c, 1, "getreg")) {
        if (!make_dense(c, &k, &v)) return;
        reply_array(c->out, HLL_REGISTERS);
        for (uint32_t i = 0; i < HLL_REGISTERS; i++) reply_int(c->out, hll_dense_get(v.p, i));
    } else if (arg_is(c, 1, "decode")) {
        if (sparse)
            reply_opcodes(c, v);
        else
            reply_errorf(c->out, "ERR HLL encoding is not sparse");
    } else if (arg_is(c, 1, "encoding")) {
        reply_status(c->out, sparse ? "sparse" : "dense");
    } else if (arg_is(c, 1, "todense")) {
        if (make_dense(c, &k, &v)) reply_int(c->out, sparse);
    } else {
        reply_errorf(c->out, "ERR Unknown PFDEBUG subcommand '%.*s'", (int)MIN(c->argv[1].n, (size_t)128), (const char *)c->argv[1].p);
    }
}

/* ---- PFSELFTEST ---- */

/* Packed registers against plain ones. Returns the first register that differs, or HLL_REGISTERS. */
static uint32_t selftest_registers(uint8_t *dense, uint8_t *plain, uint64_t *random)
{
    memset(dense, 0, HLL_DENSE_BYTES);
    for (uint32_t round = 0; round < 100; round++) {
        for (uint32_t i = 0; i < HLL_REGISTERS; i++) {
            *random = *random * 6364136223846793005u + 1442695040888963407u;
            plain[i] = *random >> 33 & 63;
            hll_dense_set(dense, i, plain[i]);
        }
        for (uint32_t i = 0; i < HLL_REGISTERS; i++)
            if (hll_dense_get(dense, i) != plain[i]) return i;
    }
    return HLL_REGISTERS;
}

/* Estimates at powers of ten up to a million within six standard errors, small ones without sparse and dense differing. 0 = good, else the
 * cardinality that was estimated badly. */
static uint64_t selftest_estimates(struct hll_work *sparse, struct hll_work *dense, uint64_t seed)
{
    uint64_t check = 1;
    double error = 1.04 / sqrt(HLL_REGISTERS);
    for (uint64_t n = 1; n <= 1000000; n++) {
        uint64_t element = n ^ seed, a = 0, b = 0;
        hll_add(dense, &element, sizeof element);
        if (n <= 10000) hll_add(sparse, &element, sizeof element);
        if (n != check) continue;
        if (!hll_count(dense->p, dense->n, &a)) return n;
        if (n <= 10000 && (!hll_count(sparse->p, sparse->n, &b) || a != b)) return n;
        uint64_t off = a > n ? a - n : n - a, most = (uint64_t)ceil(error * 6 * (double)n);
        if (off > (n == 10 ? 1 : most)) return n;
        check *= 10;
    }
    return 0;
}

void cmd_pfselftest(struct cmd *c)
{
    uint64_t seed = (uint64_t)c->now_ms * 0x9E3779B97F4A7C15u, random = seed;
    struct hll_work sparse = work_new(), dense = work_new();
    dense.sparse_max = 0;
    sparse.sparse_max = HLL_SPARSE_MAX_DEFAULT;
    uint32_t bad = selftest_registers(scratch_alloc(HLL_DENSE_BYTES), scratch_alloc(HLL_REGISTERS), &random);
    if (bad < HLL_REGISTERS) {
        reply_errorf(c->out, "TESTFAILED Register %u is not what was stored", bad);
        return;
    }
    hll_to_dense(&dense);
    uint64_t n = selftest_estimates(&sparse, &dense, seed);
    if (n)
        reply_errorf(c->out, "TESTFAILED Too high error for a cardinality of %llu", (unsigned long long)n);
    else
        reply_ok(c->out);
}
