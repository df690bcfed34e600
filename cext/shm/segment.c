/* shm/segment.c - the segment's life. Owns shm_base, my_slot and the header's constants; layout: layout.h.
 *
 * Locks: blob writers claim blob_head.writer; the heir of a dead writer frees it (a half-written copy is never the current one).
 * Growing is the supervisor's alone. A death during segment_create leaves a segment without magic, which is never attached.
 */
#include "shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "shm/backlog.h"
#include "shm/client_record.h"
#include "shm/pageheap.h"
#include "shm/repair.h"
#include "shm/txn.h"

char *shm_base;
struct slot *my_slot;
uint32_t my_slot_index;

#define GROW_CHUNK (64ull << 20)
#define GROW_LEAST (1ull << 20) /* what is tried last when shared memory is nearly full */
#define START_LEAST (8ull << 20) /* arena without which a server does not start */
#define SEGMENT_PAGE 4096ull
#define KERNEL_STEP (512ull << 10) /* bytes given or taken back in one system call: some 0.2 ms */

struct plan { /* where the parts lie for given parameters */
    uint64_t stripes, slots, areas, area_size, clients, blobs, repl, repl_ring, pages, cow, preimg, preimg_size, arena, arena_size, end;
};

static uint64_t machine_memory(void)
{
    return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static struct plan plan_for(const struct segment_params *p)
{
    struct plan l = {0};
    uint64_t at = round_up(sizeof(struct seg_header), SEGMENT_PAGE);
    l.arena_size = round_up(p->arena_bytes ? p->arena_bytes : machine_memory(), GROW_CHUNK);
    l.preimg_size = round_up(l.arena_size / 4, GROW_CHUNK);
    l.stripes = at;
    at = round_up(at + STRIPE_COUNT * sizeof(struct stripe_lock), SEGMENT_PAGE);
    l.slots = at;
    at = round_up(at + SLOT_MAX * sizeof(struct slot), SEGMENT_PAGE);
    l.areas = at;
    l.area_size = UNDO_AREA_BYTES + INBOX_BYTES + SLOW_BYTES + OBSERVE_BYTES + LOG_RING_BYTES;
    at += SLOT_MAX * l.area_size;
    l.clients = at;
    at = round_up(at + (uint64_t)p->clients_max * sizeof(struct client_record), SEGMENT_PAGE);
    l.blobs = at;
    at += 2ull * BLOB_COUNT * BLOB_BYTES;
    l.repl = at;
    at = round_up(at + sizeof(struct repl_shared), SEGMENT_PAGE);
    l.repl_ring = at;
    at += BACKLOG_MOST;
    l.pages = at;
    at = round_up(at + l.arena_size / PAGE_SIZE_ARENA * sizeof(struct page), SEGMENT_PAGE);
    l.cow = at;
    at = round_up(at + l.arena_size / COW_BLOCK * sizeof(uint32_t), GROW_CHUNK);
    l.preimg = at;
    at += l.preimg_size;
    l.arena = at;
    l.end = at + l.arena_size;
    return l;
}

uint64_t segment_size(const struct segment_params *p) { return plan_for(p).end; }

uint64_t layout_fingerprint(void)
{
    const uint64_t parts[] = {sizeof(struct seg_header), sizeof(struct slot),   sizeof(struct page),
                              STRIPE_COUNT,              SLOT_MAX,              PAGE_SIZE_ARENA,
                              COW_BLOCK,                 ARENA_CLASSES,         SETTING_COUNT,
                              STAT_COUNT,                LOG_RING_BYTES,        sizeof(struct client_record),
                              UNDO_AREA_BYTES,           INBOX_BYTES,           SLOW_BYTES,           OBSERVE_BYTES,         sizeof(struct repl_shared), 13 /* layout revision: bump when a structure in the arena changes */};
    uint64_t h = 1469598103934665603ull;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) h = (h ^ parts[i]) * 1099511628211ull;
    return h;
}

static void read_boot_id(char out[40])
{
    memset(out, 0, 40);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t n = read(fd, out, 36);
    if (n < 0) out[0] = 0;
    close(fd);
}

/* posix_fallocate by offset; returns 0 or -1 with errno. In short steps: the kernel may not let the processor go inside one, however
 * urgently a worker wants it. */
static int commit_range(int fd, uint64_t off, uint64_t n)
{
    for (uint64_t end = off + n, step; off < end; off += step) {
        int e;
        step = MIN(end - off, KERNEL_STEP);
        do e = posix_fallocate(fd, (off_t)off, (off_t)step);
        while (e == EINTR);
        errno = e;
        if (e) return -1;
    }
    return 0;
}

static int segment_fd = -1; /* kept for growing */

static int fail(char *err, size_t errlen, const char *what)
{
    snprintf(err, errlen, "%s: %s", what, strerror(errno));
    return -1;
}

static int map_whole(int fd, uint64_t size, char *err, size_t errlen)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (p == MAP_FAILED) return fail(err, errlen, "mapping the segment");
    (void)madvise(p, size, MADV_HUGEPAGE);
    (void)madvise(p, size, MADV_DONTDUMP);
    shm_base = p;
    segment_fd = fd;
    return 0;
}

/* Commits all that is written without asking: header, locks, slots in use, client records, blobs, the map of pages. */
static int commit_fixed(int fd, const struct plan *l, const struct segment_params *p)
{
    if (commit_range(fd, 0, l->areas)) return -1;
    uint32_t used = MIN(p->workers + 8, SLOT_MAX);
    for (uint32_t i = 0; i < used; i++)
        if (commit_range(fd, l->areas + i * l->area_size, UNDO_AREA_BYTES + INBOX_BYTES + SLOW_BYTES + OBSERVE_BYTES)) return -1;
    if (commit_range(fd, l->clients, l->blobs - l->clients)) return -1;
    for (uint32_t i = 0; i < 2 * BLOB_COUNT; i++)
        if (commit_range(fd, l->blobs + i * (uint64_t)BLOB_BYTES, 65536)) return -1;
    if (commit_range(fd, l->repl, l->repl_ring - l->repl)) return -1;
    return 0;
}

static void write_header(const struct plan *l, const struct segment_params *p)
{
    struct seg_header *h = seg();
    h->fingerprint = layout_fingerprint();
    read_boot_id(h->boot_id);
    h->size = l->end;
    if (getrandom(&h->hash_seed, sizeof h->hash_seed, 0) != sizeof h->hash_seed) h->hash_seed = (uint64_t)clock_wall_us() * 0x9e3779b97f4a7c15ull;
    h->databases = p->databases;
    h->workers = p->workers;
    h->clients_max = p->clients_max;
    h->created_ms = (uint64_t)clock_wall_us() / 1000;
    h->stripes_off = l->stripes, h->slots_off = l->slots, h->slot_areas_off = l->areas, h->clients_off = l->clients;
    h->blobs_off = l->blobs, h->repl_off = l->repl, h->repl_ring_off = l->repl_ring, h->pages_off = l->pages, h->cow_off = l->cow, h->preimg_off = l->preimg, h->arena_off = l->arena;
    h->slot_area_size = l->area_size;
    h->arena_size = l->arena_size;
    h->preimg_size = l->preimg_size;
    h->pages_total = l->arena_size / PAGE_SIZE_ARENA;
    atomic_store(&h->next_client_id, 1);
    static const int64_t defaults[SETTING_COUNT] = {
#define SETTING(ident, name, def) [SET_##ident] = (def),
#include "settings.def"
#undef SETTING
    };
    for (uint32_t i = 0; i < SETTING_COUNT; i++) atomic_store_explicit(&h->settings[i], defaults[i], memory_order_relaxed);
}

int segment_create(int fd, const struct segment_params *p, char *err, size_t errlen)
{
    struct plan l = plan_for(p);
    if (commit_fixed(fd, &l, p)) return fail(err, errlen, "committing shared memory");
    if (map_whole(fd, l.end, err, errlen)) return -1;
    write_header(&l, p);
    repl_id_renew();
    uint64_t first = MAX(round_up(p->initial_bytes, GROW_CHUNK), GROW_CHUNK);
    while (atomic_load(&seg()->arena_committed) < MIN(first, l.arena_size))
        if (segment_grow() <= 0) {
            if (atomic_load(&seg()->arena_committed) >= START_LEAST) break;
            return fail(err, errlen, "committing shared memory");
        }
    atomic_thread_fence(memory_order_release);
    *(volatile uint64_t *)&seg()->magic = SHM_MAGIC; /* last: from here on it may be attached */
    return 0;
}

/* Do the header's places follow from its sizes? What they lead to is not looked at. */
static bool places_are_right(const struct seg_header *h)
{
    struct segment_params p = {.arena_bytes = h->arena_size, .databases = h->databases, .workers = h->workers, .clients_max = h->clients_max};
    if (!h->arena_size || h->arena_size % GROW_CHUNK || h->arena_size > h->size || h->clients_max > h->size / sizeof(struct client_record)) return false;
    struct plan l = plan_for(&p);
    uint64_t committed = atomic_load_explicit(&h->arena_committed, memory_order_relaxed);
    return h->stripes_off == l.stripes && h->slots_off == l.slots && h->slot_areas_off == l.areas && h->clients_off == l.clients &&
           h->blobs_off == l.blobs && h->repl_off == l.repl && h->repl_ring_off == l.repl_ring && h->pages_off == l.pages && h->cow_off == l.cow && h->preimg_off == l.preimg && h->arena_off == l.arena &&
           h->slot_area_size == l.area_size && h->preimg_size == l.preimg_size && h->size == l.end &&
           h->pages_total == h->arena_size / PAGE_SIZE_ARENA && committed <= h->arena_size && h->pages_used * PAGE_SIZE_ARENA <= committed &&
           h->keyspace >= h->arena_off && h->keyspace < h->arena_off + committed;
}

int segment_map(int fd, char *err, size_t errlen)
{
    struct stat st;
    struct seg_header head;
    char boot[40];
    if (fstat(fd, &st)) return fail(err, errlen, "looking at the segment");
    if ((uint64_t)st.st_size < sizeof head || pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head) {
        snprintf(err, errlen, "it is too short to be a segment");
        return -1;
    }
    read_boot_id(boot);
    const char *why = head.magic != SHM_MAGIC                        ? "it was never finished, or is no segment of ours"
                      : head.fingerprint != layout_fingerprint()     ? "it has another layout (made by another version)"
                      : memcmp(head.boot_id, boot, sizeof boot) != 0 ? "it was made before the machine was last started"
                      : head.size != (uint64_t)st.st_size            ? "its size is wrong"
                      : !places_are_right(&head)                     ? "its header is damaged"
                                                                     : NULL;
    if (why) {
        snprintf(err, errlen, "%s", why);
        return -1;
    }
    return map_whole(fd, head.size, err, errlen);
}

void segment_unmap(void)
{
    if (shm_base) munmap(shm_base, seg()->size);
    shm_base = NULL;
    my_slot = NULL;
    segment_fd = -1;
}

/* ---- growing ---- */

static long futex(_Atomic uint32_t *word, int op, uint32_t value, const struct timespec *timeout)
{
    return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

/* n bytes of the arena from `have` on, and their places in the map of pages. */
static bool commit_chunk(const struct seg_header *h, uint64_t have, uint64_t n)
{
    uint64_t map_first = have / PAGE_SIZE_ARENA * sizeof(struct page), map_n = n / PAGE_SIZE_ARENA * sizeof(struct page);
    return !commit_range(segment_fd, h->pages_off + map_first, map_n) && !commit_range(segment_fd, h->arena_off + have, n);
}

int segment_grow(void)
{
    struct seg_header *h = seg();
    uint64_t have = atomic_load_explicit(&h->arena_committed, memory_order_relaxed);
    atomic_store_explicit(&h->grow_wanted, 0, memory_order_release);
    if (have >= h->arena_size) return 0;
    uint64_t n = MIN(GROW_CHUNK, h->arena_size - have);
    while (n >= GROW_LEAST && !commit_chunk(h, have, n)) n /= 2;
    if (n < GROW_LEAST) {
        atomic_store_explicit(&h->grow_failed, 1, memory_order_release);
        futex((_Atomic uint32_t *)&h->grow_failed, FUTEX_WAKE, INT32_MAX, NULL);
        return -1;
    }
    atomic_store_explicit(&h->grow_failed, 0, memory_order_relaxed);
    atomic_store_explicit(&h->arena_committed, have + n, memory_order_release);
    futex((_Atomic uint32_t *)(void *)&h->arena_committed, FUTEX_WAKE, INT32_MAX, NULL);
    return 1;
}

static struct timespec span_ms(uint32_t ms) { return (struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}; }

bool segment_grow_wait(uint32_t ms)
{
    struct timespec ts = span_ms(ms);
    if (atomic_load_explicit(&seg()->grow_wanted, memory_order_acquire)) return true;
    futex(&seg()->grow_wanted, FUTEX_WAIT, 0, &ts);
    return atomic_load_explicit(&seg()->grow_wanted, memory_order_acquire) != 0;
}

bool segment_has_room(uint64_t bytes)
{
    struct seg_header *h = seg();
    uint64_t committed = atomic_load_explicit(&h->arena_committed, memory_order_acquire);
    uint64_t pages = *(volatile uint64_t *)&h->pages_used - *(volatile uint64_t *)&h->pages_free;
    return committed - pages * PAGE_SIZE_ARENA >= bytes;
}

bool segment_wait_room(uint64_t bytes, uint32_t ms)
{
    struct seg_header *h = seg();
    int64_t deadline = clock_mono_us() + (int64_t)ms * 1000;
    for (;;) {
        uint64_t committed = atomic_load_explicit(&h->arena_committed, memory_order_acquire);
        uint64_t used = *(volatile uint64_t *)&h->pages_used * PAGE_SIZE_ARENA;
        if (committed - used >= bytes + GROW_CHUNK / 8) return true;
        if (committed >= h->arena_size || atomic_load_explicit(&h->grow_failed, memory_order_acquire)) return false;
        if (clock_mono_us() >= deadline) return false;
        if (atomic_exchange_explicit(&h->grow_wanted, 1, memory_order_acq_rel) == 0) futex(&h->grow_wanted, FUTEX_WAKE, 1, NULL);
        struct timespec nap = span_ms(5);
        futex((_Atomic uint32_t *)(void *)&h->arena_committed, FUTEX_WAIT, (uint32_t)committed, &nap);
    }
}

int segment_commit(uint64_t off, uint64_t n) { return commit_range(segment_fd, off, n); }

int segment_discard(uint64_t off, uint64_t n)
{
    for (uint64_t end = off + n, step; off < end; off += step) {
        step = MIN(end - off, KERNEL_STEP);
        if (fallocate(segment_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)step)) return -1;
    }
    return 0;
}

int segment_commit_rings(void)
{
    struct seg_header *h = seg();
    uint32_t used = MIN(h->workers + 8, SLOT_MAX);
    for (uint32_t i = 0; i < used; i++)
        if (commit_range(segment_fd, slot_log_area(i), LOG_RING_BYTES)) return -1;
    return 0;
}

/* ---- slots ---- */

void slot_acquire(uint32_t i, enum slot_kind kind)
{
    ENSURE(i < SLOT_MAX);
    my_slot_index = i;
    my_slot = slot_at(i);
    atomic_store(&my_slot->pid, (uint32_t)getpid());
    atomic_store(&my_slot->kind, kind);
    atomic_store(&my_slot->started_ms, (uint64_t)clock_wall_us() / 1000);
    atomic_fetch_add(&my_slot->births, 1);
    if (!my_slot->undo_top) my_slot->undo_top = slot_undo_area(i);
}

void slot_release_clean(void)
{
    arena_cache_flush();
    atomic_store(&my_slot->ready, 0);
    atomic_store(&my_slot->kind, SLOT_NONE);
    atomic_store(&my_slot->pid, 0);
}

uint64_t stat_total(enum stat_id id)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < SLOT_MAX; i++) sum += atomic_load_explicit(&slot_at(i)->stats[id], memory_order_relaxed);
    return sum;
}

int64_t slots_used_bytes(void)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < SLOT_MAX; i++) sum += *(volatile int64_t *)&slot_at(i)->used_bytes;
    return sum;
}

/* ---- blobs ---- */

static char *blob_copy(uint32_t which, uint64_t version)
{
    return shm_ptr(seg()->blobs_off + (2ull * which + (version & 1)) * BLOB_BYTES);
}

uint64_t blob_version(uint32_t which) { return atomic_load_explicit(&seg()->blobs[which].version, memory_order_acquire); }

uint64_t blob_read(uint32_t which, void *buf, uint64_t cap, uint64_t *version)
{
    ENSURE(which < BLOB_COUNT);
    struct blob_head *b = &seg()->blobs[which];
    for (;;) {
        uint64_t v = blob_version(which), n = b->size[v & 1];
        if (n > BLOB_BYTES) n = BLOB_BYTES;
        if (n <= cap) memcpy(buf, blob_copy(which, v), n);
        atomic_thread_fence(memory_order_acquire);
        if (blob_version(which) != v) continue;
        *version = v;
        return n;
    }
}

int blob_write(uint32_t which, const void *p, uint64_t n, uint64_t expect)
{
    ENSURE(which < BLOB_COUNT);
    struct blob_head *b = &seg()->blobs[which];
    uint32_t free_word = 0;
    if (n > BLOB_BYTES) return -2;
    if (commit_range(segment_fd, seg()->blobs_off + (2ull * which + ((expect + 1) & 1)) * BLOB_BYTES, round_up(n + 1, SEGMENT_PAGE)))
        return -2;
    if (!atomic_compare_exchange_strong(&b->writer, &free_word, slot_owner_id())) return -1;
    int result = -1;
    if (blob_version(which) == expect) {
        memcpy(blob_copy(which, expect + 1), p, n);
        b->size[(expect + 1) & 1] = n;
        atomic_store_explicit(&b->version, expect + 1, memory_order_release); /* pairs with the acquire in blob_version */
        result = 0;
    }
    atomic_store_explicit(&b->writer, 0, memory_order_release);
    return result;
}
