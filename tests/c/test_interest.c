/* tests/c/test_interest.c - watched and awaited keys: marks, their rollback, expiry, replaced databases, sweeping. */
#include "check.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <unistd.h>

#include "keyspace/interest.h"
#include "shm/segment.h"

static struct txn *const t = &my_txn;
static jmp_buf failed;

static void start_segment(void)
{
    struct segment_params p = {.arena_bytes = 64u << 20, .initial_bytes = 16u << 20, .databases = 4, .workers = 2, .clients_max = 10};
    char err[256] = "";
    int fd = memfd_create("shoal-test-interest", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)segment_size(&p)) != 0 || segment_create(fd, &p, err, sizeof err) != 0) {
        fprintf(stderr, "no segment: %s\n", err);
        _exit(1);
    }
    slot_acquire(1, SLOT_WORKER);
    txn_init(t);
    t->on_fail = &failed;
    keyspace_format(4);
    ks_set_now_ms(1700000000000);
}

static struct key key_of(const char *name, uint32_t db)
{
    return key_make((struct slice){(const uint8_t *)name, strlen(name)}, db);
}

static void begin(void)
{
    txn_begin(t);
    txn_lock_all(t);
}

static shm_off watch(const char *name, uint32_t db, uint64_t client)
{
    struct key k = key_of(name, db);
    begin();
    shm_off reg = interest_watch(t, &k, 1, client);
    txn_commit(t);
    return reg;
}

static bool changed(shm_off reg, const char *name, uint32_t db)
{
    struct key k = key_of(name, db);
    begin();
    bool yes = interest_changed(reg, &k);
    txn_commit(t);
    return yes;
}

static void forget(shm_off reg)
{
    begin();
    interest_remove(t, reg);
    txn_commit(t);
}

static void modify(const char *name, uint32_t db)
{
    struct key k = key_of(name, db);
    begin();
    interest_modified(t, &k);
    txn_commit(t);
}

static void put(const char *name, uint32_t db, int64_t expire_ms)
{
    struct key k = key_of(name, db);
    begin();
    struct entry *e = ks_set_bytes(t, &k, SLICE("value"), TTL_CLEAR);
    if (expire_ms >= 0) ks_set_expire(t, &k, e, expire_ms);
    txn_commit(t);
}

static void drop(const char *name, uint32_t db)
{
    struct key k = key_of(name, db);
    begin();
    ks_delete(t, &k);
    txn_commit(t);
}

static uint64_t lists_used(void)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < STRIPE_COUNT; i++) n += stripe_lock_at(i)->interest != 0;
    return n;
}

static void only_watchers_of_the_changed_key_are_marked(void)
{
    int64_t used = slots_used_bytes();
    shm_off a1 = watch("a", 0, 1), a2 = watch("a", 0, 2), b = watch("b", 0, 1), a_db1 = watch("a", 1, 1);
    modify("a", 0);
    CHECK(changed(a1, "a", 0));
    CHECK(changed(a2, "a", 0));
    CHECK(!changed(b, "b", 0));
    CHECK(!changed(a_db1, "a", 1));
    forget(a1);
    modify("b", 0);
    CHECK(changed(b, "b", 0));
    CHECK(changed(a2, "a", 0));
    forget(b);
    forget(a2);
    forget(a_db1);
    CHECK_EQ(lists_used(), 0);
    CHECK_EQ(slots_used_bytes(), used);
}

static void a_rolled_back_write_marks_nobody(void)
{
    shm_off reg = watch("k", 0, 1);
    struct key k = key_of("k", 0), other = key_of("other", 0);
    begin();
    interest_modified(t, &k);
    CHECK(interest_changed(reg, &k));
    interest_watch(t, &other, 1, 2);
    interest_watch(t, &k, 1, 2);
    txn_abort(t);
    CHECK(!changed(reg, "k", 0));
    CHECK_EQ(lists_used(), 1);
    begin();
    CHECK_EQ(interest_first(&k, INTEREST_WATCH), reg);
    CHECK_EQ(interest_next(reg, INTEREST_WATCH), 0);
    txn_commit(t);
    forget(reg);
}

static void a_removal_that_is_rolled_back_leaves_the_line_whole(void)
{
    shm_off r1 = watch("k", 0, 1), r2 = watch("k", 0, 2), r3 = watch("k", 0, 3);
    struct key k = key_of("k", 0);
    begin();
    interest_remove(t, r2);
    CHECK_EQ(interest_next(r1, INTEREST_WATCH), r3);
    interest_remove(t, r1);
    interest_remove(t, r3);
    CHECK_EQ(lists_used(), 0);
    txn_abort(t);
    begin();
    CHECK_EQ(interest_first(&k, INTEREST_WATCH), r1);
    CHECK_EQ(interest_next(r1, INTEREST_WATCH), r2);
    CHECK_EQ(interest_next(r2, INTEREST_WATCH), r3);
    txn_commit(t);
    forget(r1);
    forget(r2);
    forget(r3);
}

static void kinds_stand_in_one_line_but_are_told_apart(void)
{
    struct key k = key_of("line", 0);
    begin();
    shm_off w = interest_watch(t, &k, 1, 1);
    shm_off b1 = interest_add(t, &k, &(struct interest_who){.client_id = 2, .slot = 2, .kind = INTEREST_BLOCKED, .order = 7, .wants = 2});
    shm_off b2 = interest_add(t, &k, &(struct interest_who){.client_id = 3, .slot = 1, .kind = INTEREST_BLOCKED, .order = 8, .wants = 2});
    CHECK_EQ(interest_first(&k, INTEREST_BLOCKED), b1);
    CHECK_EQ(interest_next(b1, INTEREST_BLOCKED), b2);
    CHECK_EQ(interest_first(&k, INTEREST_TRACKING), 0);
    CHECK_EQ(interest_at(b1)->order, 7);
    interest_modified(t, &k);
    CHECK_EQ(interest_at(b1)->marks, 0);
    CHECK_EQ(interest_at(w)->marks, INTEREST_CHANGED);
    txn_commit(t);
    CHECK_EQ(interest_sweep(1), 2);
    CHECK_EQ(lists_used(), 1);
    CHECK_EQ(interest_sweep(2), 1);
    CHECK_EQ(lists_used(), 0);
}

static void expiry_is_a_change_unless_it_was_over_at_watch_time(void)
{
    int64_t now = ks_now_ms();
    put("soon", 0, now + 10);
    put("over", 0, now - 10);
    shm_off soon = watch("soon", 0, 1), over = watch("over", 0, 1);
    CHECK(!changed(soon, "soon", 0));
    CHECK(!changed(over, "over", 0));
    ks_set_now_ms(now + 20);
    CHECK(changed(soon, "soon", 0)); /* nobody removed it yet */
    drop("over", 0);
    struct key k = key_of("over", 0);
    begin();
    interest_expired(t, &k);
    txn_commit(t);
    CHECK(!changed(over, "over", 0));
    modify("over", 0);
    CHECK(changed(over, "over", 0));
    forget(soon);
    forget(over);
    drop("soon", 0);
    ks_set_now_ms(now);
}

static void replace(uint32_t db, uint32_t source)
{
    begin();
    interest_replace_db(t, db, source);
    txn_commit(t);
}

static void emptying_a_database_touches_what_exists(void)
{
    put("here", 0, -1);
    put("there", 1, -1);
    shm_off here = watch("here", 0, 1), nowhere = watch("nowhere", 0, 1), there = watch("there", 1, 1);
    replace(0, INTEREST_EMPTIED);
    CHECK(changed(here, "here", 0));
    CHECK(!changed(nowhere, "nowhere", 0));
    CHECK(!changed(there, "there", 1));
    forget(here);
    forget(nowhere);
    forget(there);
    drop("here", 0);
    drop("there", 1);
}

static void swapping_databases_touches_what_exists_in_either(void)
{
    int64_t now = ks_now_ms();
    put("mine", 0, -1);
    put("yours", 1, -1);
    put("over", 1, now - 5);
    shm_off mine = watch("mine", 0, 1), yours = watch("yours", 0, 1), none = watch("none", 0, 1), over = watch("over", 0, 1);
    replace(0, 1);
    CHECK(changed(mine, "mine", 0));
    CHECK(changed(yours, "yours", 0));
    CHECK(!changed(none, "none", 0));
    CHECK(!changed(over, "over", 0));
    CHECK_EQ(interest_at(over)->marks, INTEREST_EXPIRED);
    forget(mine);
    forget(yours);
    forget(none);
    forget(over);
    drop("mine", 0);
    drop("yours", 1);
    drop("over", 1);
}

int main(void)
{
    start_segment();
    RUN(only_watchers_of_the_changed_key_are_marked);
    RUN(a_rolled_back_write_marks_nobody);
    RUN(a_removal_that_is_rolled_back_leaves_the_line_whole);
    RUN(kinds_stand_in_one_line_but_are_told_apart);
    RUN(expiry_is_a_change_unless_it_was_over_at_watch_time);
    RUN(emptying_a_database_touches_what_exists);
    RUN(swapping_databases_touches_what_exists_in_either);
    return check_report();
}
