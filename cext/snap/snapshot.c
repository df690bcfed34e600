/* snap/snapshot.c - the cut, reading as of it, and the pre-image pool's upkeep. Protocol and death: snapshot.h and shm/cow.h.
 *
 * Owns (as long as a snapshot runs): header.cow_active, cow_limit, preimg_*; the copy-on-write map; the pool; the spill file.
 */
#include "snap/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "shm/segment.h"

#define POOL_STEP (1ull << 20)   /* bytes of pool committed at a time */
#define POOL_AHEAD (8ull << 20)  /* kept committed beyond what writers have taken; a quarter of a small pool */
#define POOL_SMALLEST (4ull << 20)

static struct snapshot_info info;
static uint64_t pool_blocks;   /* the bound, in pre-images; places are taken modulo this */
static uint64_t ahead_blocks;  /* kept ready beyond what writers have taken */
static uint64_t pool_committed; /* bytes of the pool that have memory */
static uint64_t spilled;       /* pre-images [0, spilled) are in the file */
static bool pool_lost;         /* the spill file cannot be written: the snapshot is of no use any more */
static int spill_fd = -1;
static char spill_dir_copy[512];

const struct snapshot_info *snapshot_info(void)
{
    info.preimages = atomic_load_explicit(&seg()->preimg_next, memory_order_relaxed);
    info.spilled = spilled;
    return &info;
}

/* ---- memory ---- */

static int commit(uint64_t off, uint64_t n, const char *what, char *err, size_t errlen)
{
    if (segment_commit(off, n) == 0) return 0;
    snprintf(err, errlen, "no shared memory for %s: %s", what, strerror(errno));
    return -1;
}

static uint64_t map_bytes(uint64_t limit) { return round_up((limit - seg()->arena_off) / COW_BLOCK * sizeof(uint32_t), 4096); }

static void give_memory_back(void)
{
    struct seg_header *h = seg();
    uint64_t limit = atomic_load_explicit(&h->cow_limit, memory_order_relaxed);
    if (limit > h->arena_off) segment_discard(h->cow_off, map_bytes(limit));
    segment_discard(h->preimg_off, atomic_load_explicit(&h->preimg_blocks, memory_order_relaxed) * COW_BLOCK);
    pool_committed = 0;
    if (spill_fd >= 0) close(spill_fd);
    spill_fd = -1;
}

/* Waits until every other process has been seen outside a transaction once: whoever read cow_active before is done then. */
static void wait_for_writers(void)
{
    for (uint32_t i = 0; i < SLOT_MAX; i++) {
        struct slot *s = slot_at(i);
        uint64_t txns = atomic_load_explicit(&s->stats[STAT_TXNS], memory_order_acquire);
        if (s == my_slot) continue;
        while ((atomic_load_explicit(&s->status, memory_order_acquire) != STATUS_IDLE ||
                atomic_load_explicit(&s->sysop_count, memory_order_acquire) != 0) &&
               atomic_load_explicit(&s->stats[STAT_TXNS], memory_order_acquire) == txns) {
            if (!atomic_load_explicit(&s->pid, memory_order_relaxed)) break;
            usleep(50);
        }
    }
}

/* Waits until the copies that had a number when this was called are whole (or their process is dead: nobody finds them then).
 * Writers may hold stripes meanwhile, waiting for the very room that the caller is about to make. */
static void wait_for_copies(void)
{
    for (uint32_t i = 0; i < SLOT_MAX; i++) {
        struct slot *s = slot_at(i);
        uint32_t before = atomic_load(&s->cow_copies);
        while ((before & 1) && atomic_load(&s->cow_copies) == before && atomic_load_explicit(&s->pid, memory_order_relaxed)) sched_yield();
    }
}

/* ---- begin and end ---- */

void (*snapshot_at_cut)(void);

static void cut(void)
{
    struct seg_header *h = seg();
    static uint32_t epoch;
    int64_t start = clock_mono_us();
    txn_lock_all(&my_txn);
    atomic_store_explicit(&h->cut_lsn, atomic_load_explicit(&h->lsn, memory_order_acquire), memory_order_relaxed);
    /* pages taken since the map was committed are beyond it: nothing of them is covered, so the limit is read again here */
    uint64_t limit = h->arena_off + *(volatile uint64_t *)&h->pages_used * PAGE_SIZE_ARENA;
    if (limit < atomic_load_explicit(&h->cow_limit, memory_order_relaxed))
        atomic_store_explicit(&h->cow_limit, limit, memory_order_relaxed);
    info.lsn = atomic_load_explicit(&h->cut_lsn, memory_order_relaxed);
    info.cut_ms = clock_wall_ms();
    info.keys = 0;
    for (uint32_t db = 0; db < h->databases; db++) info.keys += ks_db_size(db);
    atomic_store_explicit(&h->cow_active, ++epoch ? epoch : ++epoch, memory_order_release);
    if (snapshot_at_cut) snapshot_at_cut();
    txn_unlock(&my_txn);
    info.cut_us = (uint64_t)(clock_mono_us() - start);
}

int snapshot_begin(uint64_t pool_bytes, const char *spill_dir, char *err, size_t errlen)
{
    struct seg_header *h = seg();
    ENSURE(atomic_load(&h->cow_active) == 0);
    pool_blocks = MIN(MAX(pool_bytes, POOL_SMALLEST), h->preimg_size) / COW_BLOCK;
    snprintf(spill_dir_copy, sizeof spill_dir_copy, "%s", spill_dir);
    ahead_blocks = MIN(POOL_AHEAD / COW_BLOCK, pool_blocks / 4);
    uint64_t first = MIN(POOL_AHEAD, pool_blocks * COW_BLOCK);
    spilled = 0;
    pool_lost = false;
    /* everything committed is covered, so no page can be taken between here and the cut that the map does not cover */
    uint64_t limit = h->arena_off + atomic_load_explicit(&h->arena_committed, memory_order_acquire);
    atomic_store_explicit(&h->cow_limit, limit, memory_order_relaxed);
    if (commit(h->cow_off, map_bytes(limit), "the copy-on-write map", err, errlen) ||
        commit(h->preimg_off, first, "pre-images", err, errlen)) {
        give_memory_back();
        return -1;
    }
    pool_committed = first;
    atomic_store(&h->preimg_next, 0);
    atomic_store(&h->preimg_blocks, pool_blocks);
    atomic_store(&h->preimg_committed, pool_committed / COW_BLOCK);
    cut();
    return 0;
}

void snapshot_end(void)
{
    struct seg_header *h = seg();
    atomic_store_explicit(&h->preimg_committed, PREIMG_DROP, memory_order_release); /* nobody waits for a place any more */
    txn_lock_all(&my_txn);
    atomic_store_explicit(&h->cow_active, 0, memory_order_release);
    txn_unlock(&my_txn);
    wait_for_writers();
    give_memory_back();
    atomic_store_explicit(&h->preimg_committed, 0, memory_order_release);
}

void snapshot_abandon(void)
{
    if (atomic_load(&seg()->cow_active) || atomic_load(&seg()->preimg_committed)) snapshot_end();
}

/* ---- the pool ---- */

static int spill_open(void)
{
    if (spill_fd >= 0) return 0;
    spill_fd = open(spill_dir_copy, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return spill_fd >= 0 ? 0 : -1;
}

/* Moves the oldest quarter of the pool to the file. All of it is whole once every writer has been seen idle. */
static int spill(void)
{
    uint64_t n = pool_blocks / 4;
    if (spill_open()) return -1;
    wait_for_copies();
    for (uint64_t i = 0; i < n;) {
        uint64_t at = (spilled + i) % pool_blocks, run = MIN(n - i, pool_blocks - at);
        const char *p = shm_ptr(seg()->preimg_off + at * COW_BLOCK);
        ssize_t w = pwrite(spill_fd, p, run * COW_BLOCK, (off_t)((spilled + i) * COW_BLOCK));
        if (w < 0 && errno == EINTR) continue;
        if (w < (ssize_t)COW_BLOCK) return -1;
        i += (uint64_t)w / COW_BLOCK;
    }
    spilled += n;
    return 0;
}

int snapshot_tend(void)
{
    struct seg_header *h = seg();
    uint64_t taken = atomic_load_explicit(&h->preimg_next, memory_order_acquire);
    uint64_t have = atomic_load_explicit(&h->preimg_committed, memory_order_relaxed);
    while (have < taken + ahead_blocks) {
        if (have < pool_blocks) {
            uint64_t n = MIN(POOL_STEP, pool_blocks * COW_BLOCK - pool_committed);
            if (n && segment_commit(h->preimg_off + pool_committed, n)) return -1;
            pool_committed += n;
            have = pool_committed / COW_BLOCK;
        } else {
            if (spill()) return -1;
            have = spilled + pool_blocks;
        }
        atomic_store_explicit(&h->preimg_committed, have, memory_order_release); /* pairs with the acquire in preimg_take */
        taken = atomic_load_explicit(&h->preimg_next, memory_order_acquire);
    }
    return 0;
}

/* ---- reading ---- */

static void preimage_read(uint64_t number, uint32_t from, void *dst, size_t n)
{
    if (number >= spilled) {
        memcpy(dst, shm_ptr(seg()->preimg_off + number % pool_blocks * COW_BLOCK + from), n);
        return;
    }
    for (size_t done = 0; done < n;) {
        ssize_t r = pread(spill_fd, (char *)dst + done, n - done, (off_t)(number * COW_BLOCK + from + done));
        if (r < 0 && errno == EINTR) continue;
        ENSURE(r > 0); /* an unlinked file of ours: only a broken disk gets here, and a torn snapshot must not be written */
        done += (size_t)r;
    }
}

#define TEND_EVERY 128u /* pieces read, some 0.1 ms of a save */

/* Now and then while reading, also in the middle of a value of millions of parts. The system call does nothing: kernels that preempt
 * lazily (since 6.12) look only there, or at the next tick, whether somebody more urgent waits for this processor. sched_yield() would
 * give up our turn even if nobody does. */
static NOINLINE void tend_and_give_way(void)
{
    (void)syscall(SYS_getppid);
    if (snapshot_tend()) pool_lost = true;
}

/* Most pieces are a few cache lines, for which a call of memcpy(), or its string instruction, costs more than the copy. */
static ALWAYS_INLINE void copy_piece(char *dst, const char *src, size_t n)
{
    for (; n >= 32; dst += 32, src += 32, n -= 32) memcpy(dst, src, 32);
    for (; n >= 8; dst += 8, src += 8, n -= 8) memcpy(dst, src, 8);
    for (; n; n--) *dst++ = *src++;
}

void snap_read(shm_off off, void *dst, size_t n)
{
    static uint32_t reads;
    struct seg_header *h = seg();
    uint64_t limit = atomic_load_explicit(&h->cow_limit, memory_order_relaxed);
    char *out = dst;
    if (unlikely(++reads % TEND_EVERY == 0)) tend_and_give_way();
    if (off + n > limit) {
        size_t have = off < limit ? (size_t)(limit - off) : 0;
        memset(out + have, 0, n - have);
        n = have;
    }
    while (n) {
        uint64_t block = cow_block_of(off);
        uint32_t from = (uint32_t)((off - h->arena_off) % COW_BLOCK);
        size_t piece = MIN(n, (size_t)(COW_BLOCK - from));
        _Atomic uint32_t *word = cow_map() + block;
        uint32_t w = atomic_load_explicit(word, memory_order_acquire);
        if (!w) {
            copy_piece(out, shm_ptr(off), piece);
            atomic_thread_fence(memory_order_acquire); /* the bytes before the word: pairs with the release in cow_copy_block */
            w = atomic_load_explicit(word, memory_order_relaxed);
            if (w) atomic_thread_fence(memory_order_acquire);
        }
        if (w) preimage_read(w - 1, from, out, piece);
        out += piece;
        off += piece;
        n -= piece;
    }
}

/* ---- walking ---- */

#define GUESS_LEAST 128u /* bytes of an entry read at first: all of it when it is not longer than the one before */
#define GUESS_MOST 1024u

struct walk {
    const struct snap_visitor *v;
    char *buf;
    size_t cap, guess;
};

static bool buf_room(struct walk *w, size_t n)
{
    if (n <= w->cap) return true;
    char *p = realloc(w->buf, n + n / 2);
    if (!p) return false;
    w->buf = p;
    w->cap = n + n / 2;
    return true;
}

/* Bytes of an entry as its first bytes tell: header, expiry, value part and a long key's length are within GUESS_LEAST. */
static uint64_t size_told(const struct entry *e)
{
    struct slice k = entry_key(e);
    enum encoding enc = entry_enc(e);
    uint32_t value = 0;
    if (enc == ENC_EMBSTR || enc == ENC_RAW) memcpy(&value, entry_body(e), 4);
    return (uint64_t)(k.p + k.n - (const uint8_t *)e) + value;
}

static bool walk_entry(struct walk *w, shm_off off)
{
    size_t guess = w->guess;
    snap_read(off, w->buf, guess);
    uint64_t size = size_told((const struct entry *)(const void *)w->buf);
    if (unlikely(size > guess)) {
        if (!buf_room(w, size)) return false;
        snap_read(off + guess, w->buf + guess, size - guess);
    }
    w->guess = MIN(MAX(round_up(size, 32), (uint64_t)GUESS_LEAST), (uint64_t)GUESS_MOST);
    return w->v->on_entry(w->v->arg, (const struct entry *)(const void *)w->buf, size);
}

/* Has the processor fetch the entries of a bucket, while those of the bucket before are worked on. Inline: gcc takes a function that only
 * fetches for one without effect. */
static ALWAYS_INLINE void fetch_entries(const struct walk *w, const struct bucket *b)
{
    for (uint32_t m = ht_used_mask(b); m; m &= m - 1) {
        shm_off off = ht_slot(b, (uint32_t)__builtin_ctz(m));
        const char *p = shm_ptr(off);
        __builtin_prefetch((const void *)(cow_map() + cow_block_of(off)));
        for (size_t at = 0; at < MIN(w->guess, (size_t)320); at += CACHE_LINE) __builtin_prefetch(p + at);
    }
}

static bool walk_chain(struct walk *w, const struct bucket *head)
{
    struct bucket b = *head;
    for (;;) {
        for (uint32_t m = ht_used_mask(&b); m; m &= m - 1)
            if (!walk_entry(w, ht_slot(&b, (uint32_t)__builtin_ctz(m)))) return false;
        shm_off next = ht_load5(b.next);
        if (!next) break;
        snap_read(next, &b, sizeof b);
    }
    return !pool_lost;
}

/* Buckets [first, first + HT_CHUNK), as many as there are; returns how many. */
static uint32_t read_chunk(const struct htable *t, uint32_t first, struct bucket *out)
{
    if (first >= t->buckets) return 0;
    shm_off off = t->dir;
    if (t->buckets > HT_CHUNK) snap_read(t->dir + (first >> HT_CHUNK_BITS) * 8ull, &off, 8);
    uint32_t n = MIN(t->buckets - first, HT_CHUNK);
    snap_read(off, out, n * sizeof *out);
    return n;
}

static bool walk_table(struct walk *w, const struct htable *t)
{
    struct bucket chunks[2][HT_CHUNK], *chunk = chunks[0], *after = chunks[1];
    uint32_t n = read_chunk(t, 0, chunk), next = 0;
    for (uint32_t first = 0; n; first += HT_CHUNK, n = next) {
        next = read_chunk(t, first + HT_CHUNK, after);
        for (uint32_t i = 0; i < n; i++) {
            if (i + 1 < n || next) fetch_entries(w, i + 1 < n ? &chunk[i + 1] : &after[0]);
            if (!walk_chain(w, &chunk[i])) return false;
        }
        struct bucket *done = chunk;
        chunk = after;
        after = done;
    }
    return true;
}

static bool walk_db(struct walk *w, uint32_t db, shm_off table)
{
    uint64_t keys = 0, expires = 0;
    struct stripe s;
    for (uint32_t i = 0; i < STRIPE_COUNT; i++) {
        snap_read(table + i * sizeof s, &s, sizeof s);
        keys += s.keys.count;
        expires += s.expires;
    }
    if (!keys) return true;
    if (!w->v->on_db(w->v->arg, db, keys, expires)) return false;
    for (uint32_t i = 0; i < STRIPE_COUNT; i++) {
        snap_read(table + i * sizeof s, &s, sizeof s);
        if (!walk_table(w, &s.keys)) return false;
    }
    return true;
}

bool snapshot_walk(const struct snap_visitor *v)
{
    struct walk w = {.v = v, .buf = malloc(65536), .cap = 65536, .guess = GUESS_LEAST};
    bool ok = w.buf != NULL;
    for (uint32_t db = 0; ok && db < seg()->databases; db++) {
        shm_off table = 0;
        snap_read(seg()->keyspace + offsetof(struct keyspace, tables) + db * sizeof(shm_off), &table, sizeof table);
        if (table) ok = walk_db(&w, db, table);
    }
    free(w.buf);
    return ok;
}
