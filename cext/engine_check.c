/* engine_check.c - what Python sees of the check of all keys and values (snap/check.h). The supervisor and `shoal check` look at a segment that
 * nobody serves from; the persistence process looks in slices, beside writers. Death in the middle: engine_snapshot_abandon(). */
#include <stdio.h>

#include "base/clock.h"
#include "base/turn.h"
#include "engine.h"
#include "shm/arena.h"
#include "shm/txn.h"
#include "snap/check.h"
#include "snap/snapshot.h"

_Static_assert(sizeof ((struct engine_damage *)0)->key == CHECK_KEY_SHOWN && sizeof ((struct engine_damage *)0)->why == CHECK_WHY, "a finding fits");

static void copy_finding(const struct check_finding *f, struct engine_damage *d)
{
    *d = (struct engine_damage){.db = f->db, .stripe = f->stripe, .has_key = f->has_key, .key_bytes = f->key_bytes};
    memcpy(d->key, f->key, sizeof d->key);
    memcpy(d->why, f->why, sizeof d->why);
}

/* ---- nobody serves ---- */

struct first {
    struct check_finding f;
    uint64_t count;
};

static void keep_first(const struct check_finding *f, void *arg)
{
    struct first *first = arg;
    if (!first->count++) first->f = *f;
}

static bool check_keys(char *err, size_t errlen)
{
    struct first first = {0};
    check_everything(keep_first, &first);
    if (!first.count) return true;
    const struct check_finding *f = &first.f;
    char key[CHECK_KEY_SHOWN + 16] = "";
    uint32_t n = MIN(f->key_bytes, CHECK_KEY_SHOWN);
    if (f->has_key) snprintf(key, sizeof key, ", key '%.*s'%s", (int)n, (const char *)f->key, n < f->key_bytes ? "..." : "");
    for (char *p = key; *p; p++)
        if (*p < ' ' || *p > '~') *p = '?';
    snprintf(err, errlen, "database %u, stripe %u%s: %s (%llu found)", f->db, f->stripe, key, f->why, (unsigned long long)first.count);
    return false;
}

int engine_check(int keys, char *err, size_t errlen)
{
    txn_lock_all(&my_txn);
    bool ok = arena_check(err, errlen) && (!keys || check_keys(err, errlen));
    txn_unlock(&my_txn);
    return ok ? 0 : -1;
}

/* ---- beside writers ---- */

#define BEGIN_SHARE 4 /* a slice is at least so many times as long as it took to prepare it (a large arena has a large map) */

struct slice_work {
    struct engine_check_slice *s;
    uint32_t ms;
    struct check_progress done;
};

static void slice_main(void *arg)
{
    struct slice_work *w = arg;
    w->done = check_slice(w->s->place, w->s->stripes, w->ms, w->s->wake_fd);
}

struct collected {
    struct engine_damage *found;
    uint32_t count, capacity;
};

static void collect(const struct check_finding *f, void *arg)
{
    struct collected *all = arg;
    if (all->count < all->capacity) copy_finding(f, &all->found[all->count]);
    all->count++;
}

int engine_check_slice(uint64_t pool_bytes, const char *spill_folder, struct engine_check_slice *slice, struct engine_damage *found,
                       uint32_t capacity, char *err, size_t errlen)
{
    int64_t start = clock_mono_us();
    if (snapshot_begin(pool_bytes, spill_folder, err, errlen)) return -1;
    struct slice_work w = {.s = slice, .ms = MAX(slice->ms, (uint32_t)((clock_mono_us() - start) * BEGIN_SHARE / 1000))};
    turn_run_aside(slice_main, &w);
    slice->cut_us = snapshot_info()->cut_us;
    slice->preimage_bytes = snapshot_info()->preimages * COW_BLOCK;
    snapshot_end();
    struct collected all = {.found = found, .capacity = capacity};
    check_confirm(collect, &all);
    slice->place = w.done.place;
    slice->keys = w.done.keys;
    slice->stripes_all = (uint64_t)seg()->databases << STRIPE_BITS;
    slice->damaged = all.count;
    return 0;
}

int engine_check_key(uint32_t db, const void *key, uint32_t n, struct engine_damage *found)
{
    struct check_finding f;
    bool damaged = check_key_now(db, (struct slice){key, n}, &f);
    copy_finding(&f, found);
    return damaged;
}
