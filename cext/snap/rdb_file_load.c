/* snap/rdb_file_load.c - an RDB file read into the keyspace. Contract: rdb_file.h.
 *
 * A private window over the file is moved as the reader asks for more. Each key is put in by a transaction that holds its stripe; a
 * death leaves the keys read so far (the next start loads anew into an empty segment).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc64.h"
#include "base/le.h"
#include "base/num.h"
#include "shm/segment.h"
#include "snap/rdb_file.h"
#include "snap/rdb_head.h"
#include "snap/rdb_load.h"

#define WINDOW (1u << 20)

struct loader {
    struct rdb_in in;
    int fd;
    uint8_t *buf;
    size_t cap, summed; /* bytes of buf whose CRC is taken already, from its start */
    uint64_t base;      /* file offset of buf[0] */
    uint64_t crc;
    bool eof;
    uint32_t flags;
    struct rdb_file_info *info;
    /* what has been said of the next key */
    int64_t expire_ms, idle_s;
    int freq;
    uint32_t db;
};

static uint64_t offset_of(const struct loader *l) { return l->base + (uint64_t)(l->in.p - l->buf); }

/* Takes into the CRC what the reader has passed. */
static void sum_up(struct loader *l)
{
    size_t done = (size_t)(l->in.p - l->buf);
    if (done > l->summed) l->crc = crc64(l->crc, l->buf + l->summed, done - l->summed);
    l->summed = done;
}

static bool window_more(struct rdb_in *in, size_t need)
{
    struct loader *l = in->ctx;
    size_t left = (size_t)(in->end - in->p);
    sum_up(l);
    memmove(l->buf, in->p, left);
    l->base += (uint64_t)(in->p - l->buf);
    l->summed = 0;
    if (need > l->cap) {
        size_t cap = MAX(need, l->cap * 2);
        uint8_t *p = need > (1ull << 33) ? NULL : realloc(l->buf, cap);
        if (!p) return false;
        l->buf = p;
        l->cap = cap;
    }
    in->p = l->buf;
    in->end = l->buf + left;
    while (!l->eof && left < l->cap) {
        ssize_t r = read(l->fd, l->buf + left, l->cap - left);
        if (r < 0 && errno == EINTR) continue;
        if (r <= 0) {
            l->eof = true;
            break;
        }
        left += (size_t)r;
        in->end = l->buf + left;
        if (left >= need && left >= WINDOW / 2) break;
    }
    atomic_store_explicit(&seg()->progress_done, l->base + left, memory_order_relaxed);
    return left >= need;
}

static bool aux_is(struct slice name, const char *what) { return name.n == strlen(what) && !memcmp(name.p, what, name.n); }

static bool read_aux(struct loader *l)
{
    struct slice name, value;
    int64_t v;
    if (!rdb_get_string(&l->in, &name)) return false;
    uint8_t copy[32];
    size_t n = MIN(name.n, sizeof copy);
    memcpy(copy, name.p, n); /* the window may move under the name */
    if (!rdb_get_string(&l->in, &value)) return false;
    name = (struct slice){copy, n};
    if (num_parse_i64(value.p, value.n, &v)) {
        if (aux_is(name, "ctime")) l->info->created_s = v;
        if (aux_is(name, "used-mem")) l->info->used_mem = v;
        if (aux_is(name, "aof-base")) l->info->aof_base = v != 0;
    }
    return true;
}

static bool skip_lengths(struct loader *l, int n)
{
    uint64_t v;
    for (int i = 0; i < n; i++)
        if (!rdb_get_len(&l->in, &v)) return false;
    return true;
}

#define SMALLEST_RECORD 4u /* bytes: a file of n bytes cannot hold more than n / 4 keys, whatever it says */
#define WORTH_RESERVING 50000u

static bool read_resize(struct loader *l)
{
    uint64_t keys, expires;
    struct stat st;
    if (!rdb_get_len(&l->in, &keys) || !rdb_get_len(&l->in, &expires)) return false;
    if (keys < WORTH_RESERVING || fstat(l->fd, &st) || keys > (uint64_t)st.st_size / SMALLEST_RECORD) return true;
    if (segment_wait_room(keys * sizeof(struct bucket) / HT_FILL * 2, 10000)) ks_reserve(l->db, keys);
    return true;
}

enum step { STEP_MORE, STEP_END, STEP_BAD };

/* One key in a transaction of its own. `why` is set when it is not the file that is to blame. */
void (*rdb_file_empty_key)(struct slice key);

static enum step load_key(struct loader *l, unsigned type, const char **why)
{
    struct slice name;
    if (!rdb_get_string(&l->in, &name)) return STEP_BAD;
    uint8_t *copy = scratch_alloc(name.n + 1);
    memcpy(copy, name.p, name.n);
    struct key k = key_make((struct slice){copy, name.n}, l->db);
    struct txn *t = &my_txn;
    bool over = l->expire_ms >= 0 && l->expire_ms < ks_now_ms() && (l->flags & RDB_FILE_IGNORE_EXPIRED);
    /* the arena is committed ahead of need; a load may outrun that */
    if (!segment_wait_room((uint64_t)(l->in.end - l->in.p) + name.n, 10000)) {
        *why = "no memory for it: make maxmemory or /dev/shm larger";
        return STEP_BAD;
    }
    txn_begin(t);
    txn_lock_stripe(t, stripe_of(k.hash));
    if (ks_peek(&k)) {
        txn_abort(t);
        *why = "the same key twice";
        return STEP_BAD;
    }
    struct entry *e = NULL;
    enum rdb_result r = rdb_load_object(&l->in, type, t, &k, &e);
    if (r != RDB_LOADED || over) { /* what is over was read only to get past it */
        txn_abort(t);
        if (r == RDB_LOADED) l->info->expired++;
        if (r == RDB_IS_EMPTY) l->info->empty++;
        if (r == RDB_IS_EMPTY && rdb_file_empty_key) rdb_file_empty_key(k.name);
        if (r == RDB_IS_BAD && l->in.why) *why = l->in.why;
        return r != RDB_IS_BAD ? STEP_MORE : STEP_BAD;
    }
    if (l->expire_ms >= 0) e = ks_set_expire(t, &k, e, l->expire_ms);
    if (l->idle_s >= 0) store_access_clock(&e->access, (uint32_t)(ks_now_ms() / 1000 - l->idle_s) & 0xffffff);
    if (l->freq >= 0) store_access_clock(&e->access, (uint32_t)(ks_now_ms() / 60000 & 0xffff) << 8 | (uint32_t)l->freq);
    txn_commit(t);
    l->info->keys++;
    int64_t delay = setting(SET_key_load_delay); /* for tests: microseconds; negative: one after so many keys */
    if (unlikely(delay) && (delay > 0 || l->info->keys % (uint64_t)-delay == 0)) usleep(delay > 0 ? (useconds_t)delay : 1);
    return STEP_MORE;
}

static enum step read_record(struct loader *l, const char **why)
{
    uint8_t op, byte;
    uint64_t v;
    if (!rdb_get_byte(&l->in, &op)) return STEP_BAD;
    switch (op) {
    case RDB_OP_EOF: return STEP_END;
    case RDB_OP_AUX: return read_aux(l) ? STEP_MORE : STEP_BAD;
    case RDB_OP_RESIZE_DB: return read_resize(l) ? STEP_MORE : STEP_BAD;
    case RDB_OP_SLOT_INFO: return skip_lengths(l, 3) ? STEP_MORE : STEP_BAD;
    case RDB_OP_SELECT_DB:
        if (!rdb_get_len(&l->in, &v)) return STEP_BAD;
        if (v >= seg()->databases) {
            *why = "a database number beyond the setting `databases`";
            return STEP_BAD;
        }
        l->db = (uint32_t)v;
        return STEP_MORE;
    case RDB_OP_EXPIRE_MS:
        if (!rdb_get_u64(&l->in, &v)) return STEP_BAD;
        l->expire_ms = (int64_t)v < 0 ? 0 : (int64_t)v;
        return STEP_MORE;
    case RDB_OP_EXPIRE: {
        struct slice s;
        if (!rdb_get_raw(&l->in, 4, &s)) return STEP_BAD;
        int32_t seconds = (int32_t)le_load32(s.p);
        l->expire_ms = seconds < 0 ? 0 : (int64_t)seconds * 1000;
        return STEP_MORE;
    }
    case RDB_OP_IDLE:
        if (!rdb_get_len(&l->in, &v)) return STEP_BAD;
        l->idle_s = (int64_t)MIN(v, (uint64_t)0xffffff);
        return STEP_MORE;
    case RDB_OP_FREQ:
        if (!rdb_get_byte(&l->in, &byte)) return STEP_BAD;
        l->freq = byte;
        return STEP_MORE;
    case RDB_OP_FUNCTION_2:
    case RDB_OP_FUNCTION_PRE_GA:
        *why = "functions, which this version does not have";
        return STEP_BAD;
    case RDB_OP_MODULE_AUX:
        *why = "data of modules, which this version does not have";
        return STEP_BAD;
    default: break;
    }
    unsigned type = rdb_type_of_byte(op, l->info->version);
    if (!rdb_type_known(type)) {
        *why = "a value of an unknown type";
        return STEP_BAD;
    }
    enum step s = load_key(l, type, why);
    l->expire_ms = l->idle_s = -1;
    l->freq = -1;
    return s;
}

static bool read_head(struct loader *l, const char **why)
{
    struct slice s;
    if (!rdb_get_raw(&l->in, RDB_MAGIC_BYTES, &s) || !rdb_magic(s.p, &l->info->version)) {
        *why = "it does not begin like an RDB file";
        return false;
    }
    if (!rdb_version_known(l->info->version)) {
        *why = "a version of the format that this version cannot read";
        return false;
    }
    return true;
}

static bool read_sum(struct loader *l, const char **why)
{
    struct slice s;
    if (l->info->version < 5) return true;
    sum_up(l);
    uint64_t crc = l->crc;
    if (!rdb_get_raw(&l->in, 8, &s)) return false;
    uint64_t want = le_load64(s.p);
    if ((l->flags & RDB_FILE_CHECKSUM) && want && want != crc) {
        *why = "RDB CRC error: the file is damaged";
        return false;
    }
    return true;
}

static int load_all(struct loader *l, const char **why)
{
    if (!read_head(l, why)) return -1;
    for (;;) {
        enum step s = read_record(l, why);
        scratch_reset();
        ks_set_now_ms(clock_wall_ms());
        if (s == STEP_BAD) return -1;
        if (s == STEP_END) return read_sum(l, why) ? 0 : -1;
    }
}

int rdb_file_load(int fd, uint32_t flags, struct rdb_file_info *info, char *err, size_t errlen)
{
    struct loader l = {.fd = fd, .flags = flags, .info = info, .expire_ms = -1, .idle_s = -1, .freq = -1, .cap = WINDOW, .buf = malloc(WINDOW)};
    static const char *why; /* static: lives through a longjmp */
    jmp_buf failed, *outer = my_txn.on_fail;
    volatile int result = -1;
    *info = (struct rdb_file_info){0};
    why = NULL;
    if (!l.buf) {
        snprintf(err, errlen, "no memory for a file window");
        return -1;
    }
    l.in = (struct rdb_in){.p = l.buf, .end = l.buf, .more = window_more, .ctx = &l};
    ks_set_now_ms(clock_wall_ms());
    bool expiry_was = ks_expiry_on;
    ks_expiry_on = false; /* what is read stays until the server serves */
    my_txn.on_fail = &failed;
    if (setjmp(failed) == 0) {
        result = load_all(&l, &why);
    } else {
        if (my_txn.active) txn_abort(&my_txn);
        why = "no memory for it: make maxmemory or /dev/shm larger";
    }
    my_txn.on_fail = outer;
    ks_expiry_on = expiry_was;
    info->bytes = offset_of(&l);
    if (result) snprintf(err, errlen, "at byte %llu: %s", (unsigned long long)info->bytes, why ? why : "the file ends too early, or its bytes make no sense");
    scratch_reset();
    free(l.buf);
    return result;
}
