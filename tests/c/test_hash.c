/* test_hash.c - hashes against an array of pairs: random operations with commits and rollbacks, packs and tables, fields that expire. */
#include "check.h"
#include "keyspace/lazy.h"
#include "keyspace/objtype.h"
#include "rnd.h"
#include "segment_fixture.h"
#include "types/hash.h"

#define MODEL_MAX 2000

struct pair {
    char field[300], value[1200];
    int64_t expire_ms;
};

struct model {
    uint32_t n;
    struct pair v[MODEL_MAX];
};

static struct slice text(const char *s) { return (struct slice){(const uint8_t *)s, strlen(s)}; }

static void random_field(char *out)
{
    uint64_t k = rnd() % 300;
    if (rnd() % 40 == 0) {
        memset(out, 'f', 280);
        snprintf(out + 270, 20, "%d", (int)(k % 10));
    } else {
        snprintf(out, 300, rnd() % 4 ? "field:%d" : "%d", (int)k);
    }
}

static void random_value(char *out)
{
    switch (rnd() % 6) {
    case 0: snprintf(out, 1200, "%lld", (long long)rnd()); break;
    case 1: out[0] = 0; break;
    case 2: {
        size_t n = rnd() % (rnd() % 10 ? 60 : 1000);
        memset(out, 'v', n);
        out[n] = 0;
        break;
    }
    default: snprintf(out, 1200, "value %d", (int)(rnd() % 1000));
    }
}

static int find(const struct model *m, const char *field)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (!strcmp(m->v[i].field, field)) return (int)i;
    return -1;
}

struct compare {
    const struct model *m;
    uint32_t seen;
    bool wrong;
};

static bool compare_one(const struct hash_field *f, void *arg)
{
    struct compare *c = arg;
    uint8_t room[2][NUM_I64_ROOM];
    struct slice k = hash_text(&f->field, room[0]), v = hash_text(&f->value, room[1]);
    char name[301];
    memcpy(name, k.p, k.n);
    name[k.n] = 0;
    int i = find(c->m, name);
    if (i < 0 || strlen(c->m->v[i].value) != v.n || memcmp(c->m->v[i].value, v.p, v.n) || c->m->v[i].expire_ms != f->expire_ms) c->wrong = true;
    c->seen++;
    return true;
}

static bool same(const struct hash *h, const struct model *m)
{
    struct compare c = {.m = m}, s = {.m = m};
    if (!h->root) return m->n == 0;
    hash_each_even_expired(h->enc, h->root, compare_one, &c);
    uint64_t cursor = 0;
    do cursor = hash_scan(h, cursor, compare_one, &s);
    while (cursor);
    return !c.wrong && c.seen == m->n && !s.wrong && s.seen == m->n && hash_length(h) == m->n;
}

static void random_operation(struct txn *t, struct hash *h, struct model *m, bool expiring, uint64_t deletes)
{
    struct pair p = {.expire_ms = -1};
    random_field(p.field);
    int i = find(m, p.field);
    uint64_t what = rnd() % 100;
    struct hash_field f;
    uint8_t room[NUM_I64_ROOM];
    if (what < 90 - deletes) {
        enum hash_ttl ttl = rnd() % 2 ? HASH_TTL_KEEP : HASH_TTL_CLEAR;
        if (i < 0 && m->n == MODEL_MAX) return;
        random_value(p.value);
        CHECK_EQ(hash_set(t, h, text(p.field), text(p.value), ttl), i < 0);
        if (i < 0) {
            m->v[m->n++] = p;
        } else {
            if (ttl == HASH_TTL_KEEP) p.expire_ms = m->v[i].expire_ms;
            m->v[i] = p;
        }
    } else if (what < 90) {
        CHECK_EQ(hash_delete(t, h, text(p.field)), i >= 0);
        if (i >= 0) m->v[i] = m->v[--m->n];
    } else if (expiring && i >= 0 && what < 96) {
        m->v[i].expire_ms = rnd() % 4 ? ks_now_ms() + 1000 + (int64_t)(rnd() % 100000) : -1;
        hash_set_expire(t, h, text(p.field), m->v[i].expire_ms);
        int64_t earliest = hash_earliest(h->enc, h->root);
        if (m->v[i].expire_ms >= 0) CHECK(earliest > 0 && earliest <= m->v[i].expire_ms);
    } else {
        CHECK_EQ(h->root && hash_find(h, text(p.field), &f), i >= 0);
        if (i >= 0) {
            struct slice v = hash_text(&f.value, room);
            CHECK(v.n == strlen(m->v[i].value) && !memcmp(v.p, m->v[i].value, v.n));
        }
    }
    if (!m->n && h->root) {
        uint64_t all = UINT64_MAX;
        CHECK(objtypes[OBJ_HASH]->free_some(t, h->enc, h->root, &all));
        *h = HASH_EMPTY;
    }
}

static void against_model(int64_t entries, int64_t value, bool expiring)
{
    int fd = fixture_open(256 << 20);
    static struct model now, before;
    now.n = 0;
    seg()->settings[SET_hash_max_listpack_entries] = entries;
    seg()->settings[SET_hash_max_listpack_value] = value;
    struct hash h = HASH_EMPTY;
    for (int round = 0; round < 1500 && !check_failures; round++) {
        struct hash kept = h;
        memcpy(before.v, now.v, now.n * sizeof *now.v);
        before.n = now.n;
        int64_t used = slots_used_bytes();
        struct txn *t = fixture_begin();
        uint64_t deletes = round / 300 % 2 ? 60 : 20; /* grows and shrinks */
        for (uint64_t n = 1 + rnd() % 10; n; n--) random_operation(t, &h, &now, expiring, deletes);
        if (rnd() % 4 == 0) {
            CHECK(same(&h, &now));
            txn_abort(t);
            h = kept;
            memcpy(now.v, before.v, before.n * sizeof *now.v);
            now.n = before.n;
            CHECK_EQ(slots_used_bytes(), used);
        } else {
            txn_commit(t);
        }
        CHECK(same(&h, &now));
        scratch_reset();
    }
    struct txn *t = fixture_begin();
    if (h.root) {
        struct hash copy = {h.enc, objtypes[OBJ_HASH]->copy(t, h.enc, h.root)};
        CHECK(same(&copy, &now));
        CHECK(objtypes[OBJ_HASH]->memory(h.enc, h.root, 0) > 0);
        value_free(t, OBJ_HASH, copy.enc, copy.root);
        value_free(t, OBJ_HASH, h.enc, h.root);
    }
    txn_commit(t);
    while (lazy_step(10)) {}
    CHECK_EQ(slots_used_bytes(), 0);
    FIXTURE_SOUND();
    fixture_close(fd);
}

static void packs(void) { against_model(100000, 100000, false); }
static void packs_that_expire(void) { against_model(100000, 100000, true); }
static void tables(void) { against_model(0, 64, false); }
static void tables_that_expire(void) { against_model(0, 64, true); }
static void packs_that_become_tables(void) { against_model(60, 64, true); }

static void count_field(struct slice field, void *arg)
{
    (void)field;
    ++*(int *)arg;
}

static void expired_fields_are_not_found_and_removed_in_steps(int64_t entries)
{
    int fd = fixture_open(64 << 20);
    seg()->settings[SET_hash_max_listpack_entries] = entries;
    struct hash h = HASH_EMPTY;
    struct hash_field f;
    int64_t now = ks_now_ms();
    struct txn *t = fixture_begin();
    for (int i = 0; i < 50; i++) {
        char name[20];
        snprintf(name, sizeof name, "f%d", i);
        hash_set(t, &h, text(name), SLICE("v"), HASH_TTL_CLEAR);
        if (i % 2) hash_set_expire(t, &h, text(name), now + i);
    }
    CHECK_EQ(h.enc, entries ? ENC_LISTPACK_EX : ENC_HASHTABLE);
    CHECK_EQ(hash_earliest(h.enc, h.root), now + 1);
    CHECK(hash_find(&h, SLICE("f49"), &f) && f.expire_ms == now + 49);
    ks_set_now_ms(now + 40);
    CHECK(!hash_find(&h, SLICE("f39"), &f));
    CHECK(hash_find(&h, SLICE("f41"), &f));
    CHECK_EQ(hash_length(&h), 50);
    int told = 0;
    CHECK_EQ(hash_remove_expired(t, &h, 7, count_field, &told), 7);
    CHECK(hash_earliest(h.enc, h.root) <= now + 39);
    CHECK_EQ(hash_remove_expired(t, &h, 100, count_field, &told), 13);
    CHECK_EQ(told, 20);
    CHECK_EQ(hash_length(&h), 30);
    CHECK_EQ(hash_earliest(h.enc, h.root), now + 41);
    CHECK_EQ(hash_remove_expired(t, &h, 100, count_field, &told), 0);
    for (int i = 0; i < 100; i++) CHECK(hash_random(&h, &f));
    txn_abort(t);
    fixture_close(fd);
}

static void expired_in_packs(void) { expired_fields_are_not_found_and_removed_in_steps(512); }
static void expired_in_tables(void) { expired_fields_are_not_found_and_removed_in_steps(0); }

/* Names and values that begin alike are kept without it, and read back whole; so after a field got a time. */
static void names_that_begin_alike(void)
{
    int fd = fixture_open(64 << 20);
    struct hash h = HASH_EMPTY;
    struct txn *t = fixture_begin();
    char field[32], value[32];
    for (int i = 0; i < 40; i++) {
        snprintf(field, sizeof field, "field%d", i), snprintf(value, sizeof value, "value:%d", 10000 + i);
        CHECK(hash_set(t, &h, text(field), text(value), HASH_TTL_CLEAR));
    }
    CHECK_EQ(h.enc, ENC_LISTPACK);
    CHECK(((struct hash_pack *)shm_ptr(h.root))->count & PACK_STEMS);
    CHECK(objtypes[OBJ_HASH]->memory(h.enc, h.root, 0) < 40 * 20 * 2 / 3);
    hash_set_expire(t, &h, text("field7"), 4000000000000);
    CHECK(hash_delete(t, &h, text("field8")) && !hash_delete(t, &h, text("field8")));
    CHECK(!hash_set(t, &h, text("field9"), text("other"), HASH_TTL_CLEAR));
    for (int i = 0; i < 40; i++) {
        struct hash_field f;
        uint8_t room[NUM_I64_ROOM];
        snprintf(field, sizeof field, "field%d", i), snprintf(value, sizeof value, "value:%d", 10000 + i);
        bool there = hash_find(&h, text(field), &f);
        CHECK_EQ(there, i != 8);
        if (!there) continue;
        struct slice v = hash_text(&f.value, room), want = i == 9 ? text("other") : text(value);
        CHECK(v.n == want.n && !memcmp(v.p, want.p, v.n) && f.expire_ms == (i == 7 ? 4000000000000 : -1));
    }
    txn_abort(t);
    scratch_reset();
    fixture_close(fd);
}

int main(void)
{
    RUN(packs);
    RUN(packs_that_expire);
    RUN(tables);
    RUN(tables_that_expire);
    RUN(packs_that_become_tables);
    RUN(expired_in_packs);
    RUN(expired_in_tables);
    RUN(names_that_begin_alike);
    return check_report();
}
