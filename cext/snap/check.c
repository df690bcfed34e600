/* snap/check.c - stripe by stripe: see check.h. Owns the list of suspicions between check_slice() and check_confirm(), in private memory. */
#include "snap/check.h"

#include <stdio.h>

#include "base/clock.h"
#include "snap/check_value.h"
#include "snap/snapshot.h"

struct stripe_walk {
    uint32_t db, stripe;
    uint64_t keys, expires;
    bool damaged;
    check_found_fn *found;
    void *arg;
};

static void report(const struct checker *c, struct stripe_walk *w, const struct slice *key)
{
    w->damaged = true;
    struct check_finding f = {.db = w->db, .stripe = w->stripe, .has_key = key != NULL};
    if (key) {
        f.key_bytes = (uint32_t)key->n;
        if (key->n) memcpy(f.key, key->p, MIN(key->n, (size_t)CHECK_KEY_SHOWN));
    }
    memcpy(f.why, c->why, sizeof f.why);
    w->found(&f, w->arg);
}

/* ---- one key ---- */

struct key_look {
    struct slice key;
    uint8_t shown[CHECK_KEY_SHOWN];
    bool named;         /* the key itself could be read */
    uint64_t hash;
    uint8_t flags;
};

/* False: it is damaged (c->why). An interruption leaves through the caller's on_damage. */
static bool look_at_key(struct checker *c, shm_off item, struct key_look *k)
{
    sigjmp_buf here, *const outer = c->on_damage;
    struct scratch_mark mark = scratch_mark();
    k->named = false;
    c->on_damage = &here;
    int left = sigsetjmp(here, 0);
    if (!left) {
        const struct entry *e;
        k->key = check_entry_key(c, item, &e);
        k->hash = key_hash(k->key);
        if (k->key.n) memcpy(k->shown, k->key.p, MIN(k->key.n, sizeof k->shown));
        k->named = true;
        k->flags = check_entry(c, item, &k->key);
    }
    c->on_damage = outer;
    scratch_rewind(mark);
    k->key.p = k->shown; /* its length is right, its bytes are the first ones */
    if (left == CHECK_INTERRUPTED) siglongjmp(*outer, left);
    return !left;
}

static bool stripe_item(struct checker *c, shm_off item, void *arg, uint64_t *hash)
{
    struct stripe_walk *w = arg;
    struct key_look k;
    bool sound = look_at_key(c, item, &k);
    w->keys++;
    if (k.named) *hash = k.hash;
    if (!sound) report(c, w, k.named ? &k.key : NULL);
    if (k.named && stripe_of(k.hash) != w->stripe) check_damage(c, "a key is in another stripe than it is looked for");
    if (sound) w->expires += (k.flags & ENTRY_EXPIRES) != 0;
    return k.named;
}

/* ---- a stripe ---- */

/* False: the database was never used. */
static bool read_stripe(struct checker *c, uint32_t db, uint32_t i, struct stripe *s)
{
    shm_off table;
    check_read(c, seg()->keyspace + offsetof(struct keyspace, tables) + db * sizeof table, &table, sizeof table);
    if (!table) return false;
    check_block(c, table, sizeof(struct db_table), "a database");
    check_read(c, table + i * sizeof *s, s, sizeof *s);
    return true;
}

static void walk_stripe(struct checker *c, struct stripe_walk *w)
{
    struct stripe s;
    if (!read_stripe(c, w->db, w->stripe, &s)) return;
    check_table(c, &s.keys, stripe_item, w);
    if (!w->damaged && s.expires != w->expires)
        check_damage(c, "a stripe counts %llu keys that expire, and has %llu", (unsigned long long)s.expires, (unsigned long long)w->expires);
}

/* False: it was interrupted. */
static bool check_stripe(struct checker *c, struct stripe_walk *w)
{
    sigjmp_buf here;
    struct scratch_mark mark = scratch_mark();
    c->on_damage = &here;
    int left = sigsetjmp(here, 0);
    if (!left) walk_stripe(c, w);
    c->on_damage = NULL;
    scratch_rewind(mark);
    if (left == CHECK_DAMAGE) report(c, w, NULL);
    return left != CHECK_INTERRUPTED;
}

uint64_t check_everything(check_found_fn *found, void *arg)
{
    struct checker c;
    uint64_t keys = 0;
    checker_init(&c, false, -1);
    check_guard(&c);
    for (uint32_t db = 0; db < seg()->databases; db++)
        for (uint32_t i = 0; i < STRIPE_COUNT; i++) {
            struct stripe_walk w = {.db = db, .stripe = i, .found = found, .arg = arg};
            check_stripe(&c, &w);
            keys += w.keys;
        }
    check_unguard();
    return keys;
}

/* ---- beside writers ---- */

#define SUSPECTS_MOST 64u

static struct check_finding suspects[SUSPECTS_MOST];
static uint32_t suspect_count; /* may be more than there is room for: the last one's stripe is looked at as a whole then */

static void suspect(const struct check_finding *f, void *arg)
{
    (void)arg;
    uint32_t at = MIN(suspect_count, SUSPECTS_MOST - 1);
    suspects[at] = *f;
    if (suspect_count >= SUSPECTS_MOST) suspects[at].has_key = false;
    if (suspect_count <= SUSPECTS_MOST) suspect_count++;
}

struct check_progress check_slice(uint64_t place, uint64_t stripes, uint32_t ms, int wake_fd)
{
    struct checker c;
    struct check_progress out = {.place = place};
    int64_t end = clock_mono_us() + (int64_t)ms * 1000;
    uint64_t all = (uint64_t)seg()->databases << STRIPE_BITS;
    suspect_count = 0;
    checker_init(&c, true, wake_fd);
    check_guard(&c);
    while (out.place < all && stripes-- && suspect_count < SUSPECTS_MOST && clock_mono_us() < end) {
        struct stripe_walk w = {.db = (uint32_t)(out.place >> STRIPE_BITS), .stripe = (uint32_t)out.place & (STRIPE_COUNT - 1), .found = suspect};
        out.interrupted = !check_stripe(&c, &w);
        if (out.interrupted) break;
        out.keys += w.keys;
        out.place++;
    }
    check_unguard();
    if (out.place >= all) out.place = CHECK_PLACE_END;
    return out;
}

struct seeking {
    const struct check_finding *f; /* the key looked for: its first bytes and length */
    struct stripe_walk *w;
    bool found;
};

static bool is_sought(struct checker *c, shm_off item, void *arg)
{
    struct seeking *s = arg;
    const struct entry *e;
    struct slice key = check_entry_key(c, item, &e);
    if (key.n != s->f->key_bytes || memcmp(key.p, s->f->key, key.n) != 0) return true;
    struct key_look k;
    s->found = !look_at_key(c, item, &k);
    if (s->found) report(c, s->w, k.named ? &k.key : NULL);
    return false;
}

/* The stripe is held. Keys longer than what is shown of them cannot be looked for: their stripe is walked. */
static void confirm_one(struct checker *c, const struct check_finding *f, struct stripe_walk *w)
{
    if (!f->has_key || f->key_bytes > CHECK_KEY_SHOWN) {
        check_stripe(c, w);
        return;
    }
    sigjmp_buf here;
    struct scratch_mark mark = scratch_mark();
    struct seeking s = {.f = f, .w = w};
    c->on_damage = &here;
    int left = sigsetjmp(here, 0);
    if (!left) {
        struct stripe stripe;
        if (read_stripe(c, w->db, w->stripe, &stripe)) check_chain_of(c, &stripe.keys, key_hash((struct slice){f->key, f->key_bytes}), is_sought, &s);
    }
    c->on_damage = NULL;
    scratch_rewind(mark);
    if (left) report(c, w, NULL);
}

static void confirm_holding(const struct check_finding *f, check_found_fn *found, void *arg)
{
    struct checker c;
    struct stripe_walk w = {.db = f->db, .stripe = f->stripe, .found = found, .arg = arg};
    lock_acquire(&stripe_lock_at(f->stripe)->word, slot_owner_id());
    checker_init(&c, false, -1);
    check_guard(&c);
    confirm_one(&c, f, &w);
    check_unguard();
    lock_release(&stripe_lock_at(f->stripe)->word);
}

void check_confirm(check_found_fn *found, void *arg)
{
    uint32_t n = MIN(suspect_count, SUSPECTS_MOST);
    suspect_count = 0;
    for (uint32_t i = 0; i < n; i++) confirm_holding(&suspects[i], found, arg);
}

static void keep_first(const struct check_finding *f, void *arg)
{
    struct check_finding *first = arg;
    if (!first->why[0]) *first = *f;
}

bool check_key_now(uint32_t db, struct slice name, struct check_finding *f)
{
    struct check_finding sought = {.db = db, .stripe = stripe_of(key_hash(name)), .has_key = true, .key_bytes = (uint32_t)name.n};
    ENSURE(name.n <= CHECK_KEY_SHOWN && db < seg()->databases);
    if (name.n) memcpy(sought.key, name.p, name.n);
    *f = (struct check_finding){0};
    confirm_holding(&sought, keep_first, f);
    return f->why[0] != 0;
}
