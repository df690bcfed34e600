/* test_list.c - lists against an array: random operations with commits and rollbacks, at several node sizes; encodings; freeing. */
#include "check.h"
#include "keyspace/lazy.h"
#include "keyspace/objtype.h"
#include "rnd.h"
#include "segment_fixture.h"
#include "types/list_node.h"

#define MODEL_MAX 4000

struct model {
    uint32_t n;
    struct slice v[MODEL_MAX]; /* malloc'ed */
};

static struct slice slice_copy(struct slice s)
{
    uint8_t *p = malloc(s.n + 1);
    memcpy(p, s.p, s.n);
    return (struct slice){p, s.n};
}

static void model_insert(struct model *m, uint32_t at, struct slice s)
{
    memmove(m->v + at + 1, m->v + at, (m->n - at) * sizeof *m->v);
    m->v[at] = slice_copy(s);
    m->n++;
}

static void model_remove(struct model *m, uint32_t at)
{
    free((void *)(uintptr_t)m->v[at].p);
    memmove(m->v + at, m->v + at + 1, (m->n - at - 1) * sizeof *m->v);
    m->n--;
}

static void model_free(struct model *m)
{
    while (m->n) model_remove(m, m->n - 1);
}

static void model_copy(struct model *to, const struct model *from)
{
    model_free(to);
    for (uint32_t i = 0; i < from->n; i++) model_insert(to, i, from->v[i]);
}

static uint8_t text[20000];

/* What most values begin with, for a while: nodes get stems, and others take their place. */
static unsigned theme;
static struct slice themed_value(void)
{
    static const char *const begins[] = {"element:", "user:000:session:", "2026-11-27T10:", "abc"};
    size_t n = strlen(begins[theme % 4]);
    memcpy(text, begins[theme % 4], n);
    if (theme % 7 == 0) memset(text + n, 'y', 80), n += 80; /* longer than a stem may be */
    uint64_t more = rnd() % 12 ? rnd() % 12 : rnd() % 400;  /* also more than may follow a stem */
    rnd_fill(text + n, more);
    return (struct slice){text, n + more};
}

static struct slice random_value(void)
{
    switch (rnd() % 10) {
    case 0: return (struct slice){text, num_from_i64(text, (int64_t)(rnd() % 100))};
    case 1: return (struct slice){text, num_from_i64(text, (int64_t)rnd())};
    case 2: return (struct slice){text, 0};
    case 3: rnd_fill(text, 300); return (struct slice){text, rnd() % 300};
    case 4: rnd_fill(text, 16); return (struct slice){text, rnd() % 60 ? 70 : rnd() % sizeof text};
    case 5: case 6: return themed_value();
    default: memcpy(text, "element:", 8); return (struct slice){text, 8 + num_from_i64(text + 8, (int64_t)(rnd() % 20))};
    }
}

struct compare {
    const struct model *m;
    uint32_t at;
    bool same;
};

static bool compare_one(const struct lp_value *v, void *arg)
{
    struct compare *c = arg;
    uint8_t room[NUM_I64_ROOM];
    struct slice s = v->text ? (struct slice){v->text, v->n} : (struct slice){room, num_from_i64(room, v->number)};
    if (c->at >= c->m->n || s.n != c->m->v[c->at].n || memcmp(s.p, c->m->v[c->at].p, s.n)) c->same = false;
    c->at++;
    return c->same;
}

static uint64_t stems_seen;

/* Every node's count and what it says to save agree with its elements; none is larger than its block. */
static bool nodes_are_sound(const struct list *l)
{
    for (shm_off off = list_first(l); off; off = node_next(l, off)) {
        const struct list_node *n = node_at(off);
        struct elements_sum sum = {0, 1};
        if (!is_plain(n)) sum = elements_sum(n, node_first(n), node_end(n));
        if (sum.saved != n->saved || sum.count != node_count(n) || n->tail > n->size) return false;
        if (n->head < sizeof *n + node_stem(n).n || n->head > n->tail) return false;
        stems_seen += node_stem(n).n && n->saved;
    }
    return true;
}

static bool same(const struct list *l, const struct model *m)
{
    if (!nodes_are_sound(l)) return false;
    struct compare c = {m, 0, true};
    if (l->root) list_each(l->enc, l->root, compare_one, &c);
    if (!c.same || c.at != m->n || (l->root && list_length(l) != m->n)) return false;
    struct list_place at;
    uint8_t room[LIST_TEXT_ROOM];
    bool more = m->n > 0 && list_seek(l, -1, &at);
    for (uint32_t i = m->n; i-- > 0;) { /* backwards too */
        struct slice s = list_text(&at, room);
        if (!more || s.n != m->v[i].n || memcmp(s.p, m->v[i].p, s.n)) return false;
        more = list_step(l, &at, LIST_HEAD);
    }
    return !more;
}

static void random_operation(struct txn *t, struct list *l, struct model *m)
{
    uint64_t what = rnd() % 100;
    struct list_place at;
    if (what < 50 && m->n + 8 < MODEL_MAX) {
        enum list_end where = rnd() % 3 ? LIST_TAIL : LIST_HEAD;
        for (uint64_t n = rnd() % 6; n > 0; n--) {
            struct slice s = random_value();
            list_expect(t, l, s.n, 1);
            list_push(t, l, where, s);
            model_insert(m, where == LIST_HEAD ? 0 : m->n, s);
        }
        return;
    }
    if (!m->n) return;
    uint32_t i = (uint32_t)(rnd() % m->n);
    if (what < 60) {
        struct slice s = random_value();
        bool after = rnd() % 2;
        list_expect(t, l, s.n, 1);
        CHECK(list_seek(l, rnd() % 2 ? (int64_t)i : (int64_t)i - m->n, &at));
        list_insert(t, l, &at, after, s);
        model_insert(m, i + after, s);
    } else if (what < 70) {
        struct slice s = rnd() % 3 ? random_value() : (memcpy(text, m->v[i].p, m->v[i].n), (struct slice){text, m->v[i].n});
        list_expect(t, l, s.n, 1);
        CHECK(list_seek(l, (int64_t)i, &at));
        list_replace(t, l, &at, s);
        model_remove(m, i);
        model_insert(m, i, s);
        list_settle(t, l, true);
    } else if (what < 85) {
        uint64_t n = rnd() % 10 ? rnd() % 5 : rnd() % (m->n + 1);
        enum list_end where = rnd() % 2 ? LIST_TAIL : LIST_HEAD;
        n = MIN(n, (uint64_t)m->n - 1);
        if (!n) return;
        list_drop(t, l, where, n);
        for (; n; n--) model_remove(m, where == LIST_HEAD ? 0 : m->n - 1);
        list_settle(t, l, true);
    } else if (what < 95) {
        struct slice s = slice_copy(m->v[i]);
        enum list_end from = rnd() % 2 ? LIST_TAIL : LIST_HEAD;
        uint64_t limit = rnd() % 3, left = limit ? limit : UINT64_MAX, removed = 0;
        for (uint32_t k = from == LIST_HEAD ? 0 : m->n - 1; k < m->n && left;) {
            bool gone = m->v[k].n == s.n && !memcmp(m->v[k].p, s.p, s.n);
            if (gone) model_remove(m, k), left--, removed++;
            if (from == LIST_TAIL) k--;
            else if (!gone) k++;
        }
        CHECK_EQ(list_remove(t, l, s, from, limit), removed);
        free((void *)(uintptr_t)s.p);
        if (m->n) list_settle(t, l, true);
    } else {
        CHECK(list_seek(l, -(int64_t)m->n, &at));
        CHECK(list_equals(&at, m->v[0]));
        CHECK(!list_seek(l, m->n, &at) && !list_seek(l, -(int64_t)m->n - 1, &at) && !list_seek(l, INT64_MIN, &at));
    }
    if (!m->n && l->root) {
        uint64_t all = UINT64_MAX;
        CHECK(objtypes[OBJ_LIST]->free_some(t, l->enc, l->root, &all));
        *l = LIST_EMPTY;
    }
}

static void against_model(int64_t fill, int64_t packed)
{
    int fd = fixture_open(256 << 20);
    static struct model now, before;
    seg()->settings[SET_list_max_listpack_size] = fill;
    seg()->settings[SET_quicklist_packed_threshold] = packed;
    struct list l = LIST_EMPTY;
    stems_seen = 0;
    for (int round = 0; round < 1500 && !check_failures; round++) {
        if (round % 50 == 0) theme = (unsigned)rnd();
        struct list kept = l;
        model_copy(&before, &now);
        int64_t used = slots_used_bytes();
        struct txn *t = fixture_begin();
        for (uint64_t n = 1 + rnd() % 5; n; n--) random_operation(t, &l, &now);
        if (rnd() % 4 == 0) {
            CHECK(same(&l, &now));
            txn_abort(t);
            l = kept;
            model_copy(&now, &before);
            CHECK_EQ(slots_used_bytes(), used);
        } else {
            txn_commit(t);
        }
        CHECK(same(&l, &now));
        scratch_reset();
        while (lazy_step(1000)) {}
    }
    CHECK(stems_seen > 100 || (fill >= 0 && fill < 7) || packed < 100);
    struct txn *t = fixture_begin();
    uint64_t all = UINT64_MAX;
    if (l.root) objtypes[OBJ_LIST]->free_some(t, l.enc, l.root, &all);
    txn_commit(t);
    while (lazy_step(1000)) {}
    CHECK_EQ(slots_used_bytes(), 0);
    FIXTURE_SOUND();
    model_free(&now);
    model_free(&before);
    fixture_close(fd);
}

static void default_nodes(void) { against_model(-2, 1 << 30); }
static void small_nodes(void) { against_model(-1, 1 << 30); }
static void nodes_by_count(void) { against_model(4, 1 << 30); }
static void one_element_a_node(void) { against_model(0, 1 << 30); }
static void plain_nodes(void) { against_model(-1, 100); }
static void plain_nodes_by_count(void) { against_model(7, 50); }

/* Reserving for a run of elements that begin alike, then one by one: the stem is found either way, and limits do not depend on it. */
static void names_that_begin_alike(void)
{
    int fd = fixture_open(64 << 20);
    seg()->settings[SET_list_max_listpack_size] = -2;
    static uint8_t names[2000][24];
    static struct slice s[2000];
    for (int i = 0; i < 2000; i++) {
        memcpy(names[i], "element:", 8);
        s[i] = (struct slice){names[i], 8 + num_from_i64(names[i] + 8, 1000 + i)};
    }
    for (int together = 0; together < 2; together++) {
        struct list l = LIST_EMPTY;
        struct txn *t = fixture_begin();
        uint32_t n = 0;
        if (together) list_reserve(t, &l, LIST_TAIL, s, 100);
        for (; l.enc == ENC_LISTPACK && n < 2000; n++) {
            list_expect(t, &l, s[n].n, 1);
            list_push(t, &l, LIST_TAIL, s[n]);
            if (n == 99) CHECK(objtypes[OBJ_LIST]->memory(l.enc, l.root, 0) < 100 * 14 * 3 / 5);
        }
        CHECK_EQ(n, (8192 - 7) / 14 + 1); /* 14 bytes an entry of a listpack, as if there were no stem */
        for (; n < 2000; n++) list_push(t, &l, LIST_TAIL, s[n]);
        CHECK(nodes_are_sound(&l));
        CHECK(objtypes[OBJ_LIST]->memory(l.enc, l.root, 0) < 2000 * 14 * 3 / 5);
        txn_abort(t);
    }
    fixture_close(fd);
}

static void encodings_change_at_the_limit_and_at_half_of_it(void)
{
    int fd = fixture_open(64 << 20);
    seg()->settings[SET_list_max_listpack_size] = 10;
    struct list l = LIST_EMPTY;
    struct txn *t = fixture_begin();
    for (int i = 0; i < 11; i++) {
        CHECK_EQ(l.enc, ENC_LISTPACK);
        list_expect(t, &l, 1, 1);
        list_push(t, &l, LIST_TAIL, SLICE("x"));
    }
    CHECK_EQ(l.enc, ENC_QUICKLIST);
    for (int i = 11; i > 5; i--) {
        CHECK_EQ(l.enc, ENC_QUICKLIST);
        list_drop(t, &l, LIST_TAIL, 1);
        list_settle(t, &l, true);
    }
    CHECK_EQ(l.enc, ENC_LISTPACK);
    CHECK_EQ(list_length(&l), 5);
    txn_abort(t);
    fixture_close(fd);
}

static void copies_and_background_freeing(void)
{
    int fd = fixture_open(256 << 20);
    struct list l = LIST_EMPTY;
    struct txn *t = fixture_begin();
    for (int i = 0; i < 200000; i++) {
        uint8_t s[20];
        size_t n = num_from_i64(s, i);
        list_expect(t, &l, n, 1);
        list_push(t, &l, LIST_TAIL, (struct slice){s, n});
    }
    txn_commit(t);
    CHECK_EQ(list_length(&l), 200000);
    t = fixture_begin();
    struct list copy = {l.enc, objtypes[OBJ_LIST]->copy(t, l.enc, l.root)};
    list_drop(t, &l, LIST_HEAD, 199995); /* many nodes at once: cut off and left to the background */
    txn_commit(t);
    struct list_place at;
    CHECK(list_seek(&l, 0, &at) && list_equals(&at, SLICE("199995")));
    CHECK(list_seek(&copy, 123456, &at) && list_equals(&at, SLICE("123456")));
    CHECK_EQ(list_length(&copy), 200000);
    CHECK(my_slot->lazy_head != 0);
    t = fixture_begin();
    list_drop(t, &copy, LIST_TAIL, 199995);
    value_free(t, OBJ_LIST, l.enc, l.root);
    value_free(t, OBJ_LIST, copy.enc, copy.root);
    txn_commit(t);
    while (lazy_step(10)) {}
    CHECK_EQ(slots_used_bytes(), 0);
    FIXTURE_SOUND();
    fixture_close(fd);
}

int main(void)
{
    RUN(default_nodes);
    RUN(small_nodes);
    RUN(nodes_by_count);
    RUN(one_element_a_node);
    RUN(plain_nodes);
    RUN(plain_nodes_by_count);
    RUN(names_that_begin_alike);
    RUN(encodings_change_at_the_limit_and_at_half_of_it);
    RUN(copies_and_background_freeing);
    return check_report();
}
