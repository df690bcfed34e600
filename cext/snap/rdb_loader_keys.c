/* snap/rdb_loader_keys.c - keys of an RDB file into the keyspace: small strings a few at a time, everything else one by one.
 *
 * Each key is a transaction of its own, which holds its stripe. A small string is only noted at first; when a row of them is there, the
 * memory that their look-ups will need is fetched for all of them, then they are put in. A death leaves the keys put in so far.
 */
#include <unistd.h>

#include "base/le.h"
#include "keyspace/prefetch.h"
#include "shm/segment.h"
#include "snap/rdb_loader.h"

#define SMALL_RECORD 4096u /* bytes that must be at hand for a string to be looked at in place */
#define ROOM_MS 10000u

void (*rdb_file_empty_key)(struct slice key);

static bool room(struct loader *l, uint64_t bytes)
{
    if (segment_wait_room(bytes, ROOM_MS)) return true; /* the arena is committed ahead of need; a load may outrun that */
    l->why = LOADER_NO_MEMORY;
    return false;
}

static bool over(const struct loader *l, int64_t expire_ms)
{
    return expire_ms >= 0 && expire_ms < ks_now_ms() && (l->flags & RDB_FILE_IGNORE_EXPIRED);
}

static void set_access(struct entry *e, int64_t idle_s, int freq)
{
    if (idle_s >= 0) store_access_clock(&e->access, (uint32_t)(ks_now_ms() / 1000 - idle_s) & 0xffffff);
    if (freq >= 0) store_access_clock(&e->access, (uint32_t)(ks_now_ms() / 60000 & 0xffff) << 8 | (uint32_t)freq);
}

/* The bracket of a key that is not there yet. */
static bool begin(struct loader *l, const struct key *k)
{
    txn_begin(&my_txn);
    txn_lock_stripe(&my_txn, stripe_of(k->hash));
    if (likely(!ks_peek(k))) return true;
    txn_abort(&my_txn);
    l->why = "the same key twice";
    return false;
}

/* ---- small strings ---- */

/* A plain string or a number that lies within [*p, end). */
static bool look(const uint8_t **p, const uint8_t *end, struct slice *s, int64_t *number, bool *is_number)
{
    const uint8_t *at = *p;
    if (end - at < 6) return false;
    size_t n;
    *is_number = false;
    switch (*at >> 6) {
    case 0: n = *at++; break;
    case 1: n = (size_t)(*at & 63) << 8 | at[1], at += 2; break;
    case 3: {
        int form = *at++ & 63;
        if (form > RDB_ENC_INT32) return false;
        *number = form == RDB_ENC_INT8 ? (int8_t)at[0] : form == RDB_ENC_INT16 ? (int16_t)le_load16(at) : (int32_t)le_load32(at);
        *is_number = true;
        *p = at + ((size_t)1 << form);
        return true;
    }
    default: return false;
    }
    if ((size_t)(end - at) < n) return false;
    *s = (struct slice){at, n};
    *p = at + n;
    return true;
}

static bool note_string(struct loader *l)
{
    struct rdb_waiting *w = &l->waiting[l->waiting_count];
    const uint8_t *p = l->in.p;
    int64_t number;
    bool is_number;
    if (l->in.end - p < SMALL_RECORD || !look(&p, l->in.end, &w->name, &number, &is_number)) return false;
    if (is_number) w->name = (struct slice){w->digits, num_from_i64(w->digits, number)};
    if (!look(&p, l->in.end, &w->value, &w->number, &w->is_number)) return false;
    l->in.p = p;
    if (over(l, l->expire_ms)) {
        l->info->expired++;
        return true;
    }
    w->expire_ms = l->expire_ms;
    w->idle_s = l->idle_s;
    w->freq = l->freq;
    l->waiting_count++;
    return true;
}

static struct entry *put_value(struct txn *t, const struct key *k, const struct rdb_waiting *w)
{
    if (w->is_number) {
        struct entry *e = ks_set_int(t, k, w->number, TTL_CLEAR);
        return w->expire_ms >= 0 ? ks_set_expire(t, k, e, w->expire_ms) : e;
    }
    return w->expire_ms >= 0 ? ks_set_bytes_until(t, k, w->value, w->expire_ms) : ks_set_bytes(t, k, w->value, TTL_CLEAR);
}

bool loader_settle(struct loader *l)
{
    uint64_t hashes[RDB_WAITING_MAX], bytes = 0;
    uint32_t n = l->waiting_count;
    if (!n) return true;
    l->waiting_count = 0;
    for (uint32_t i = 0; i < n; i++) {
        hashes[i] = key_hash(l->waiting[i].name);
        bytes += l->waiting[i].name.n + l->waiting[i].value.n;
        __builtin_prefetch(stripe_lock_at(stripe_of(hashes[i])), 1);
    }
    if (!room(l, bytes)) return false;
    ks_prefetch(l->db, hashes, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct rdb_waiting *w = &l->waiting[i];
        struct key k = {w->name, hashes[i], l->db};
        if (!begin(l, &k)) return false;
        set_access(put_value(&my_txn, &k, w), w->idle_s, w->freq);
        txn_commit(&my_txn);
        l->info->keys++;
    }
    return true;
}

/* ---- everything else ---- */

static bool put_object(struct loader *l, unsigned type)
{
    struct slice name;
    if (!rdb_get_string(&l->in, &name)) return false;
    uint8_t *copy = scratch_alloc(name.n + 1); /* the window may move under it */
    memcpy(copy, name.p, name.n);
    struct key k = key_make((struct slice){copy, name.n}, l->db);
    struct txn *t = &my_txn;
    if (!room(l, (uint64_t)(l->in.end - l->in.p) + name.n) || !begin(l, &k)) return false;
    struct entry *e = NULL;
    enum rdb_result r = rdb_load_object(&l->in, type, t, &k, &e);
    if (r != RDB_LOADED || over(l, l->expire_ms)) { /* what is over was read only to get past it */
        txn_abort(t);
        if (r == RDB_LOADED) l->info->expired++;
        if (r == RDB_IS_EMPTY) l->info->empty++;
        if (r == RDB_IS_EMPTY && rdb_file_empty_key) rdb_file_empty_key(k.name);
        return r != RDB_IS_BAD;
    }
    if (l->expire_ms >= 0) e = ks_set_expire(t, &k, e, l->expire_ms);
    set_access(e, l->idle_s, l->freq);
    txn_commit(t);
    l->info->keys++;
    return true;
}

/* For tests: microseconds after each key; negative: one after so many keys. */
static void key_delay(const struct loader *l, int64_t us)
{
    if (us > 0 || l->info->keys % (uint64_t)-us == 0) usleep(us > 0 ? (useconds_t)us : 1);
}

bool loader_key(struct loader *l, unsigned type)
{
    if (unlikely(setting(SET_key_load_delay))) key_delay(l, setting(SET_key_load_delay));
    if (type == RDB_STRING && note_string(l)) return l->waiting_count < RDB_WAITING_MAX || loader_settle(l);
    return loader_settle(l) && put_object(l, type);
}
