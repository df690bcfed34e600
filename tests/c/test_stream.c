/* tests/c/test_stream.c - streams against a plain array: appends, deletions, trims, walks both ways, groups; saved and loaded again. */
#include "check.h"
#include "rnd.h"
#include "segment_fixture.h"
#include "snap/rdb_load.h"
#include "snap/rdb_save.h"
#include "types/stream.h"
#include "keyspace/lazy.h"
#include "keyspace/objtype.h"

#include <setjmp.h>

#define MODEL 6000

static struct model {
    struct stream_id id;
    bool live;
    char value[24];
} model[MODEL];
static unsigned model_n;

static struct stream *the_stream(const struct key *k)
{
    struct entry *e = ks_peek(k);
    return e ? stream_of(e) : NULL;
}

static void check_against_model(const struct stream *s)
{
    for (int reverse = 0; reverse < 2; reverse++) {
        struct stream_iter it;
        struct stream_id id;
        uint32_t fields;
        unsigned at = reverse ? model_n : 0, wrong = 0, seen = 0;
        unsigned a = (unsigned)(rnd() % model_n), b = a + (unsigned)(rnd() % (model_n - a));
        if (rnd() % 4 == 0) a = 0, b = model_n - 1;
        struct stream_id from = model[a].id, to = model[b].id;
        at = reverse ? b + 1 : a;
        stream_iterate(&it, s, from, to, reverse);
        while (stream_next(&it, &id, &fields)) {
            do at = reverse ? at - 1 : at;
            while (reverse && !model[at].live);
            while (!reverse && !model[at].live) at++;
            wrong += stream_id_compare(model[at].id, id) != 0;
            for (uint32_t i = 0; i < fields; i++) {
                uint8_t fr[NUM_I64_ROOM], vr[NUM_I64_ROOM];
                struct slice f, v;
                stream_pair(&it, &f, fr, &v, vr);
                wrong += v.n != strlen(model[at].value) || memcmp(v.p, model[at].value, v.n) != 0;
                wrong += f.n != 2 || f.p[0] != 'f';
            }
            at = reverse ? at : at + 1;
            seen++;
        }
        unsigned want = 0;
        for (unsigned i = a; i <= b; i++) want += model[i].live;
        CHECK_EQ(wrong, 0);
        CHECK_EQ(seen, want);
    }
}

static void append_one(struct txn *t, struct stream *s)
{
    struct model *m = &model[model_n];
    m->id = (struct stream_id){s->last_id.ms + rnd() % 3, 0};
    m->id.seq = m->id.ms == s->last_id.ms ? s->last_id.seq + 1 + rnd() % 2 : rnd() % 5;
    m->live = true;
    snprintf(m->value, sizeof m->value, rnd() % 2 ? "%llu" : "v%llu", (unsigned long long)(rnd() >> rnd() % 63));
    struct slice pairs[10];
    uint32_t fields = rnd() % 3 ? 2 : 1 + (uint32_t)(rnd() % 4);
    static const char names[5][3] = {"f0", "f1", "f2", "f3", "f4"};
    for (uint32_t i = 0; i < fields; i++) {
        pairs[2 * i] = (struct slice){(const uint8_t *)names[i], 2};
        pairs[2 * i + 1] = (struct slice){(const uint8_t *)m->value, strlen(m->value)};
    }
    CHECK(stream_append(t, s, m->id, pairs, fields));
    model_n++;
}

static unsigned live_count(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < model_n; i++) n += model[i].live;
    return n;
}

static void trim_some(struct txn *t, struct stream *s)
{
    struct stream_trim how = {.by_id = rnd() % 2};
    unsigned live = live_count(), gone = 0, want = 0;
    how.maxlen = live - MIN(live, (unsigned)(rnd() % 150));
    how.minid = model[rnd() % model_n].id;
    if (how.by_id && stream_id_compare(how.minid, s->first_id) > 0 && rnd() % 8) how.minid = s->first_id;
    for (unsigned i = 0; i < model_n; i++) {
        if (!model[i].live) continue;
        if (how.by_id ? stream_id_compare(model[i].id, how.minid) >= 0 : live - gone <= how.maxlen) break;
        model[i].live = false;
        gone++;
    }
    want = gone;
    CHECK_EQ(stream_trim(t, s, &how), want);
}

static void entries_follow_a_model(void)
{
    static const int64_t limits[][2] = {{4096, 100}, {4096, 300}, {200, 0}, {0, 5}, {4096, 1000}};
    for (size_t round = 0; round < ARRAY_LEN(limits); round++) {
        int fd = fixture_open(64 << 20);
        struct key k = fixture_key("s");
        seg()->settings[SET_stream_node_max_bytes] = limits[round][0];
        seg()->settings[SET_stream_node_max_entries] = limits[round][1];
        model_n = 0;
        struct txn *t = fixture_begin();
        ks_set_object(t, &k, OBJ_STREAM, ENC_STREAM, stream_create(t), TTL_CLEAR);
        txn_commit(t);
        for (int step = 0; model_n < 3000; step++) {
            t = fixture_begin();
            struct stream *s = the_stream(&k);
            bool undo = rnd() % 10 == 0;
            unsigned before = model_n;
            static struct model kept[MODEL];
            memcpy(kept, model, sizeof kept);
            for (unsigned n = 1 + (unsigned)(rnd() % 20); n; n--) append_one(t, s);
            if (rnd() % 2) {
                unsigned i = (unsigned)(rnd() % model_n);
                bool was = model[i].live;
                model[i].live = false;
                CHECK_EQ(stream_delete(t, s, model[i].id), was);
            }
            if (rnd() % 20 == 0) trim_some(t, s);
            if (undo) {
                txn_abort(t);
                model_n = before;
                memcpy(model, kept, sizeof kept);
            } else {
                txn_commit(t);
            }
            s = the_stream(&k);
            if (!model_n) continue;
            CHECK_EQ(s->length, live_count());
            if (step % 10 == 0) check_against_model(s);
            struct stream_id first = STREAM_ID_MIN;
            for (unsigned i = 0; i < model_n; i++)
                if (model[i].live) {
                    first = model[i].id;
                    break;
                }
            CHECK(stream_id_compare(first, s->first_id) == 0);
        }
        t = fixture_begin();
        ks_delete(t, &k);
        txn_commit(t);
        while (lazy_step(50)) {}
        FIXTURE_SOUND();
        CHECK_EQ(slots_used_bytes() > 0, true);
        fixture_close(fd);
    }
}

/* Saves the stream and loads it under another key; both must save to the same bytes. */
static void survives_saving(void)
{
    int fd = fixture_open(64 << 20);
    struct key k = fixture_key("s"), k2 = fixture_key("copy");
    model_n = 0;
    struct txn *t = fixture_begin();
    ks_set_object(t, &k, OBJ_STREAM, ENC_STREAM, stream_create(t), TTL_CLEAR);
    struct stream *s = the_stream(&k);
    for (int i = 0; i < 500; i++) append_one(t, s);
    for (int i = 0; i < 60; i++) {
        struct model *m = &model[rnd() % model_n];
        stream_delete(t, s, m->id);
        m->live = false;
    }
    struct stream_group *g = stream_group_create(t, s, SLICE("group"), model[100].id, 7);
    struct stream_consumer *a = stream_consumer_create(t, g, SLICE("alice"), 1000), *b = stream_consumer_create(t, g, SLICE("bob"), 2000);
    stream_group_create(t, s, SLICE("empty"), STREAM_ID_MIN, STREAM_READ_UNKNOWN);
    for (int i = 0; i < 100; i++) stream_nack_add(t, g, i % 3 ? a : b, model[i].id, i, (uint64_t)i);
    for (int i = 0; i < 100; i += 5) stream_nack_give(t, stream_nack(g, model[i].id), model[i].id, a);
    for (int i = 0; i < 100; i += 7) CHECK(stream_nack_remove(t, g, model[i].id));
    CHECK_EQ(a->pending.count + b->pending.count, g->pending.count);
    txn_commit(t);
    struct rdb_out one, two;
    rdb_out_collect(&one);
    one.compress = true;
    rdb_save_object(&one, &mem_live, ks_peek(&k));
    one.buf = copy_exactly(one.buf, one.len);
    t = fixture_begin();
    struct rdb_in in = {.p = one.buf, .end = one.buf + one.len};
    CHECK_EQ(rdb_load_object(&in, RDB_STREAM_2, t, &k2, NULL), RDB_LOADED);
    CHECK(in.p == in.end);
    txn_commit(t);
    rdb_out_collect(&two);
    two.compress = true;
    rdb_save_object(&two, &mem_live, ks_peek(&k2));
    CHECK_EQ(one.len, two.len);
    CHECK_MEM(one.buf, two.buf, MIN(one.len, two.len));
    check_against_model(the_stream(&k2));

    t = fixture_begin(); /* a copy made by the type's own function is the same again */
    shm_off copied = objtypes[OBJ_STREAM]->copy(t, ENC_STREAM, *entry_root(ks_peek(&k)));
    ks_set_object(t, &k2, OBJ_STREAM, ENC_STREAM, copied, TTL_CLEAR);
    txn_commit(t);
    rdb_out_collect(&two);
    two.compress = true;
    rdb_save_object(&two, &mem_live, ks_peek(&k2));
    CHECK(one.len == two.len && !memcmp(one.buf, two.buf, one.len));

    /* every cut and many damaged copies are refused or loaded, never followed astray */
    free(one.buf);
    rdb_out_collect(&one);
    rdb_save_object(&one, &mem_live, ks_peek(&k));
    for (int i = 0; i < 4000; i++) {
        uint8_t *bad = copy_exactly(one.buf, one.len);
        size_t n = i % 3 ? one.len : rnd() % one.len;
        for (uint64_t hits = rnd() % 4 + (i % 3 > 0); hits; hits--) bad[rnd() % one.len] = (uint8_t)rnd();
        t = fixture_begin();
        struct txn_savepoint before = txn_savepoint(t);
        uint8_t *exact = copy_exactly(bad, n);
        struct rdb_in hostile = {.p = exact, .end = exact + n};
        if (rdb_load_object(&hostile, RDB_STREAM_2, t, &k2, NULL) == RDB_LOADED) {
            struct stream_iter it;
            struct stream_id id;
            uint32_t fields;
            stream_iterate(&it, the_stream(&k2), STREAM_ID_MIN, STREAM_ID_MAX, i % 2);
            while (stream_next(&it, &id, &fields))
                for (; fields; fields--) {
                    uint8_t fr[NUM_I64_ROOM], vr[NUM_I64_ROOM];
                    struct slice f, v;
                    stream_pair(&it, &f, fr, &v, vr);
                }
            stream_delete(t, the_stream(&k2), model[rnd() % model_n].id);
        } else {
            txn_rollback_to(t, before);
        }
        txn_abort(t);
        free(bad);
        free(exact);
        scratch_reset();
    }
    t = fixture_begin();
    ks_delete(t, &k);
    ks_delete(t, &k2);
    txn_commit(t);
    while (lazy_step(20)) {}
    FIXTURE_SOUND();
    fixture_close(fd);
}

int main(void)
{
    RUN(entries_follow_a_model);
    RUN(survives_saving);
    return check_report();
}
