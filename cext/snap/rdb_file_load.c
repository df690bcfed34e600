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
#include "snap/rdb_head.h"
#include "snap/rdb_loader.h"

#define WINDOW (512u << 10)

/* Takes into the CRC what the reader has passed. */
static void sum_up(struct loader *l)
{
    size_t done = (size_t)(l->in.p - l->buf);
    if (done > l->summed && l->sums) l->crc = crc64(l->crc, l->buf + l->summed, done - l->summed);
    l->summed = done;
}

static bool window_more(struct rdb_in *in, size_t need)
{
    struct loader *l = in->ctx;
    if (!loader_settle(l)) return false;
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
        ssize_t r = l->seekable ? pread(l->fd, l->buf + left, l->cap - left, (off_t)(l->base + left)) : read(l->fd, l->buf + left, l->cap - left);
        if (r < 0 && errno == EINTR) continue;
        if (r <= 0) {
            if (r < 0) l->read_error = errno;
            l->eof = true;
            break;
        }
        left += (size_t)r;
        in->end = l->buf + left;
        if (left >= need && left >= WINDOW / 2) break;
    }
    if (!l->share) atomic_store_explicit(&seg()->progress_done, l->base + left, memory_order_relaxed);
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

/* ---- whose turn it is ---- */

#define BATCH_KEYS 256u
#define BATCH_BYTES (256u << 10)

static bool is_ours(struct loader *l)
{
    uint64_t at = loader_offset(l);
    if (!l->team) return true;
    if (l->batch_keys == BATCH_KEYS || at - l->batch_at >= BATCH_BYTES) {
        l->batch++;
        l->batch_keys = 0;
        l->batch_at = at;
    }
    l->batch_keys++;
    if (l->batch > l->claimed) l->claimed = atomic_fetch_add(&l->team->next, 1);
    return l->batch == l->claimed;
}

static bool skip_key(struct loader *l, unsigned type) { return rdb_skip_object(&l->in, RDB_STRING) && rdb_skip_object(&l->in, type); }

static bool given_up(struct loader *l)
{
    if (unlikely(atomic_load_explicit(&seg()->save_cancel, memory_order_relaxed) & SAVE_CANCEL)) l->why = "it was cancelled";
    if (unlikely(l->team && atomic_load_explicit(&l->team->stop, memory_order_relaxed))) l->why = "another process has failed";
    return l->why != NULL;
}

/* ---- records ---- */

static enum step read_record(struct loader *l)
{
    uint8_t op, byte;
    uint64_t v;
    if (!rdb_get_byte(&l->in, &op)) return STEP_BAD;
    switch (op) {
    case RDB_OP_EOF: return loader_settle(l) ? STEP_END : STEP_BAD;
    case RDB_OP_AUX: return read_aux(l) ? STEP_MORE : STEP_BAD;
    case RDB_OP_RESIZE_DB: return read_resize(l) ? STEP_MORE : STEP_BAD;
    case RDB_OP_SLOT_INFO: return skip_lengths(l, 3) ? STEP_MORE : STEP_BAD;
    case RDB_OP_SELECT_DB:
        if (!rdb_get_len(&l->in, &v)) return STEP_BAD;
        if (v >= seg()->databases) {
            l->why = "a database number beyond the setting `databases`";
            return STEP_BAD;
        }
        if (!loader_settle(l)) return STEP_BAD;
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
        l->why = "functions, which this version does not have";
        return STEP_BAD;
    case RDB_OP_MODULE_AUX:
        l->why = "data of modules, which this version does not have";
        return STEP_BAD;
    default: break;
    }
    unsigned type = rdb_type_of_byte(op, l->info->version);
    if (!rdb_type_known(type)) {
        l->why = "a value of an unknown type";
        return STEP_BAD;
    }
    bool good = is_ours(l) ? loader_key(l, type) : skip_key(l, type);
    l->expire_ms = l->idle_s = -1;
    l->freq = -1;
    return good ? STEP_MORE : STEP_BAD;
}

static bool read_head(struct loader *l)
{
    struct slice s;
    if (!rdb_get_raw(&l->in, RDB_MAGIC_BYTES, &s) || !rdb_magic(s.p, &l->info->version)) {
        l->why = "it does not begin like an RDB file";
        return false;
    }
    if (!rdb_version_known(l->info->version)) {
        l->why = "a version of the format that this version cannot read";
        return false;
    }
    return true;
}

static bool read_sum(struct loader *l)
{
    struct slice s;
    if (l->info->version < 5) return true;
    sum_up(l);
    uint64_t crc = l->crc;
    if (!rdb_get_raw(&l->in, 8, &s)) return false;
    uint64_t want = le_load64(s.p);
    if (l->sums && want && want != crc) {
        l->why = "RDB CRC error: wrong checksum, the file is damaged";
        return false;
    }
    return true;
}

#define LOOK_EVERY 64u /* records between two looks at the clock, and at whether to go on */

static int load_all(struct loader *l)
{
    if (!read_head(l)) return -1;
    for (uint32_t n = 0;; n++) {
        if (n % LOOK_EVERY == 0) {
            ks_set_now_ms(clock_wall_ms());
            if (given_up(l)) return -1;
        }
        enum step s = read_record(l);
        scratch_reset();
        if (s == STEP_BAD) return -1;
        if (s == STEP_END) return read_sum(l) ? 0 : -1;
    }
}

static const char *reason(const struct loader *l)
{
    if (l->read_error) return strerror(l->read_error);
    return l->why ? l->why : l->in.why ? l->in.why : "the file ends too early, or its bytes make no sense";
}

int loader_run(int fd, uint32_t flags, struct rdb_team *team, uint32_t share, struct rdb_file_info *info, bool *own, char *err,
               size_t errlen)
{
    static struct loader l; /* of this process; static: lives through a longjmp */
    jmp_buf failed, *outer = my_txn.on_fail;
    volatile int result = -1;
    *info = (struct rdb_file_info){0};
    l = (struct loader){.fd = fd, .flags = flags, .info = info, .expire_ms = -1, .idle_s = -1, .freq = -1, .cap = WINDOW,
                        .buf = malloc(WINDOW), .team = team, .share = share, .seekable = lseek(fd, 0, SEEK_CUR) == 0};
    l.sums = (flags & RDB_FILE_CHECKSUM) && !share;
    if (!l.buf) {
        snprintf(err, errlen, "no memory for a file window");
        return -1;
    }
    if (team) l.claimed = atomic_fetch_add(&team->next, 1);
    l.in = (struct rdb_in){.p = l.buf, .end = l.buf, .more = window_more, .ctx = &l};
    ks_set_now_ms(clock_wall_ms());
    bool expiry_was = ks_expiry_on;
    ks_expiry_on = false; /* what is read stays until the server serves */
    my_txn.on_fail = &failed;
    if (setjmp(failed) == 0) {
        result = load_all(&l);
    } else {
        if (my_txn.active) txn_abort(&my_txn);
        l.why = LOADER_NO_MEMORY;
    }
    my_txn.on_fail = outer;
    ks_expiry_on = expiry_was;
    info->bytes = loader_offset(&l);
    *own = !team || l.batch == l.claimed;
    if (result) snprintf(err, errlen, "at byte %llu: %s", (unsigned long long)info->bytes, reason(&l));
    scratch_reset();
    free(l.buf);
    return result;
}
