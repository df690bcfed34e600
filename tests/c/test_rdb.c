/* tests/c/test_rdb.c - values of every type and encoding through save and load: live and copied reading give the same bytes, old encodings
 * give the same values as plain ones, damaged payloads are refused or harmless. */
#include "check.h"
#include "keyspace/lazy.h"
#include "payloads.h"
#include "rnd.h"
#include "segment_fixture.h"
#include "snap/rdb_load.h"
#include "log/logscan.h"
#include "snap/rdb_save.h"
#include "snap/resp_base.h"

static int segment;

static void copy_bytes(struct mem_reader *r, shm_off off, void *dst, size_t n)
{
    (void)r;
    memcpy(dst, shm_ptr(off), n);
}
static struct mem_reader copying = {copy_bytes};

/* What a key holds, as a payload; p is malloc'ed. */
static struct payload save(const struct key *k, struct mem_reader *r)
{
    struct rdb_out o;
    struct entry *e = ks_peek(k);
    rdb_out_collect(&o);
    o.compress = true;
    const struct entry *view = mem_view_entry(r, shm_offset(e));
    rdb_save_object(&o, r, view);
    CHECK(!rdb_failed(&o));
    struct payload x = {rdb_type_of(r, view), copy_exactly(o.buf, o.len), o.len};
    scratch_reset();
    return x;
}

/* The commands of a RESP base: read either way they are the same, and whole. */
static void check_commands(const struct key *k)
{
    struct payload x[2];
    for (int i = 0; i < 2; i++) {
        struct mem_reader *r = i ? &copying : &mem_live;
        struct rdb_out o;
        rdb_out_collect(&o);
        resp_base_key(&o, r, mem_view_entry(r, shm_offset(ks_peek(k))));
        CHECK(!rdb_failed(&o));
        x[i] = (struct payload){0, copy_exactly(o.buf, o.len), o.len};
        scratch_reset();
    }
    CHECK(x[0].n == x[1].n && !memcmp(x[0].p, x[1].p, x[0].n));
    struct logscan s = {.p = x[0].p, .n = x[0].n};
    enum logscan_result result;
    uint64_t commands = 0;
    for (; (result = logscan_next(&s)) == LOGSCAN_COMMAND; commands++) CHECK(s.argc <= 2 + 2 * RESP_BASE_ITEMS);
    CHECK(result == LOGSCAN_END && commands > 0);
    logscan_free(&s);
    free(x[0].p), free(x[1].p);
}

static enum rdb_result load(const struct key *k, const struct payload *x)
{
    struct txn *t = fixture_begin();
    struct txn_savepoint before = txn_savepoint(t);
    struct rdb_in in = {.p = x->p, .end = x->p + x->n}, skipped = in;
    enum rdb_result result = rdb_load_object(&in, x->type, t, k, NULL);
    if (result == RDB_LOADED) /* who only passes over it comes to the same place */
        CHECK(rdb_skip_object(&skipped, x->type) && skipped.p == in.p);
    else
        rdb_skip_object(&skipped, x->type); /* or nowhere, but not out of bounds */
    if (result != RDB_LOADED) txn_rollback_to(t, before);
    txn_commit(t);
    scratch_reset();
    return result;
}

/* ---- tests ---- */

static const unsigned plain_types[] = {RDB_LIST, RDB_SET, RDB_ZSET_2, RDB_HASH, RDB_HASH_TTL};

static bool same(const struct payload *a, const struct payload *b)
{
    return a->type == b->type && a->n == b->n && !memcmp(a->p, b->p, a->n);
}

static void round_trips(void)
{
    static const unsigned sizes[][2] = {{1, 0}, {20, 0}, {100, 30}, {130, 60}, {600, 0}, {3000, 40}, {20, 300}, {4, 60000}};
    struct key a = fixture_key("a"), b = fixture_key("a key that is longer than most, so that its entry does not fit into one guess of a "
                                                     "reader that copies, which is one hundred and twenty-eight bytes");
    for (size_t k = 0; k < ARRAY_LEN(plain_types); k++)
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            struct payload first = plain(plain_types[k], sizes[i][0], sizes[i][1]);
            CHECK_EQ(load(&a, &first), RDB_LOADED);
            struct payload one = save(&a, &mem_live), copied = save(&a, &copying);
            CHECK(same(&one, &copied));
            check_commands(&a);
            CHECK_EQ(load(&b, &one), RDB_LOADED);
            struct payload two = save(&b, &copying);
            if (entry_enc(ks_peek(&b)) != ENC_HASHTABLE) CHECK(same(&one, &two)); /* a table's order is its history's */
            CHECK(one.n == two.n || entry_enc(ks_peek(&b)) == ENC_HASHTABLE);
            CHECK_EQ(entry_enc(ks_peek(&a)), entry_enc(ks_peek(&b)));
            free(first.p), free(one.p), free(copied.p), free(two.p);
        }
}

static void strings(void)
{
    struct key a = fixture_key("a"), b = fixture_key("b");
    static const size_t sizes[] = {0, 1, 20, 21, 44, 45, 5000, 8192, 8193, 300000};
    for (size_t i = 0; i < ARRAY_LEN(sizes) * 2; i++) {
        uint8_t *text = malloc(sizes[i / 2] + 1);
        if (i % 2)
            rnd_fill(text, sizes[i / 2]);
        else
            memset(text, 'x', sizes[i / 2]);
        struct txn *t = fixture_begin();
        ks_set_bytes(t, &a, (struct slice){text, sizes[i / 2]}, TTL_CLEAR);
        txn_commit(t);
        struct payload one = save(&a, &copying);
        check_commands(&a);
        CHECK_EQ(load(&b, &one), RDB_LOADED);
        struct slice s = entry_bytes(ks_peek(&b));
        CHECK(s.n == sizes[i / 2] && !memcmp(s.p, text, s.n));
        CHECK_EQ(entry_enc(ks_peek(&a)), entry_enc(ks_peek(&b)));
        free(one.p), free(text);
    }
    static const int64_t numbers[] = {0, -1, 127, 128, -129, 32767, 40000, INT32_MAX, INT32_MIN, 1ll << 40, INT64_MIN};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct txn *t = fixture_begin();
        ks_set_int(t, &a, numbers[i], TTL_CLEAR);
        txn_commit(t);
        struct payload one = save(&a, &mem_live);
        CHECK_EQ(load(&b, &one), RDB_LOADED);
        CHECK(entry_enc(ks_peek(&b)) == ENC_INT && *entry_int(ks_peek(&b)) == numbers[i]);
        free(one.p);
    }
}

static void old_encodings(void)
{
    static const unsigned types[][2] = {{RDB_LIST_ZIPLIST, RDB_LIST}, {RDB_LIST_QUICKLIST, RDB_LIST}, {RDB_ZSET_ZIPLIST, RDB_ZSET_2},
                                        {RDB_HASH_ZIPLIST, RDB_HASH}, {RDB_HASH_ZIPMAP, RDB_HASH}};
    struct key a = fixture_key("a"), b = fixture_key("b");
    for (size_t k = 0; k < ARRAY_LEN(types); k++)
        for (unsigned count = 1; count < 100; count += 31) {
            struct payload was = old(types[k][0], count), is = plain(types[k][1], count, 0);
            CHECK_EQ(load(&a, &was), RDB_LOADED);
            CHECK_EQ(load(&b, &is), RDB_LOADED);
            struct payload one = save(&a, &mem_live), two = save(&b, &mem_live);
            CHECK(same(&one, &two));
            free(was.p), free(is.p), free(one.p), free(two.p);
        }
}

static void twins_and_nothing_are_refused(void)
{
    struct key a = fixture_key("a");
    for (size_t k = 0; k < ARRAY_LEN(plain_types); k++) {
        unsigned type = plain_types[k];
        begin();
        if (type == RDB_HASH_TTL) rdb_put_u64(&made, 1);
        rdb_put_len(&made, 2);
        for (int i = 0; i < 2; i++) {
            if (type == RDB_HASH_TTL) rdb_put_len(&made, 0);
            rdb_put_string(&made, "twin", 4);
            if (type == RDB_ZSET_2) rdb_put_double(&made, i);
            if (type == RDB_HASH || type == RDB_HASH_TTL) rdb_put_string(&made, "v", 1);
        }
        struct payload twins = end(type);
        CHECK_EQ(load(&a, &twins), type == RDB_LIST ? RDB_LOADED : RDB_IS_BAD);
        struct payload nothing = plain(type, 0, 0);
        CHECK_EQ(load(&a, &nothing), RDB_IS_EMPTY);
        struct payload endless = plain(type, 3, 0);
        endless.p[type == RDB_HASH_TTL ? 8 : 0] = 63; /* more elements than there are */
        CHECK_EQ(load(&a, &endless), RDB_IS_BAD);
        free(twins.p), free(nothing.p), free(endless.p);
    }
    struct payload unknown = {RDB_MODULE_2, made_bytes, 100};
    CHECK_EQ(load(&a, &unknown), RDB_IS_BAD);
}

/* Every form damaged a thousand times: what is loaded nevertheless can be walked, saved and freed. */
static void damage(const struct payload *x)
{
    struct key a = fixture_key("a");
    struct mem_reader *readers[2] = {&mem_live, &copying};
    for (unsigned round = 0; round < 400; round++) {
        struct payload bad = {x->type, copy_exactly(x->p, x->n), x->n};
        if (round % 4 == 0) bad.n = rnd() % x->n;
        for (uint64_t hits = rnd() % 4 + (round % 4 != 0); hits && bad.n; hits--) {
            size_t at = rnd() % 2 ? rnd() % MIN(bad.n, (size_t)32) : rnd() % bad.n;
            bad.p[at] = rnd() % 3 ? (uint8_t)rnd() : (uint8_t)(bad.p[at] + rnd() % 3 - 1);
        }
        uint8_t *exact = copy_exactly(bad.p, bad.n);
        free(bad.p);
        bad.p = exact;
        if (load(&a, &bad) == RDB_LOADED) {
            struct payload again = save(&a, readers[round % 2]);
            free(again.p);
        }
        free(bad.p);
    }
    while (lazy_step(1000)) {}
}

static void damaged_payloads_are_harmless(void)
{
    static const unsigned olds[] = {RDB_LIST_ZIPLIST, RDB_LIST_QUICKLIST, RDB_ZSET_ZIPLIST, RDB_HASH_ZIPLIST, RDB_HASH_ZIPMAP};
    struct key a = fixture_key("a");
    for (size_t k = 0; k < ARRAY_LEN(plain_types); k++)
        for (unsigned count = 5; count < 1000; count *= 12) {
            struct payload x = plain(plain_types[k], count, 10);
            damage(&x);
            CHECK_EQ(load(&a, &x), RDB_LOADED);
            struct payload packed = save(&a, &mem_live);
            damage(&packed);
            free(packed.p), free(x.p);
        }
    for (size_t k = 0; k < ARRAY_LEN(olds); k++) {
        struct payload x = old(olds[k], 20);
        damage(&x);
        free(x.p);
    }
}

int main(void)
{
    segment = fixture_open(256 << 20);
    RUN(strings);
    RUN(round_trips);
    RUN(old_encodings);
    RUN(twins_and_nothing_are_refused);
    RUN(damaged_payloads_are_harmless);
    struct txn *t = fixture_begin();
    ks_flush_db(t, 0);
    txn_commit(t);
    while (lazy_step(1000)) {}
    FIXTURE_SOUND();
    fixture_close(segment);
    return check_report();
}
