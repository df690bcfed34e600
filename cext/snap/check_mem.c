/* snap/check_mem.c - see check_mem.h. Owns the process's handlers of SIGSEGV and SIGBUS while the guard is on. */
#include "snap/check_mem.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "shm/arena.h"
#include "snap/snapshot.h"

#define LOOK_EVERY 1024u /* views between two looks at wake_fd: some 0.2 ms */

void checker_init(struct checker *c, bool as_of_cut, int wake_fd)
{
    uint64_t end = seg()->arena_off + atomic_load_explicit(&seg()->arena_committed, memory_order_acquire);
    if (as_of_cut) end = MIN(end, atomic_load_explicit(&seg()->cow_limit, memory_order_relaxed));
    *c = (struct checker){.as_of_cut = as_of_cut, .limit = end, .wake_fd = wake_fd};
}

void check_damage(struct checker *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(c->why, sizeof c->why, fmt, args);
    va_end(args);
    siglongjmp(*c->on_damage, CHECK_DAMAGE);
}

static void look_whether_to_stop(struct checker *c)
{
    struct pollfd p = {.fd = c->wake_fd, .events = POLLIN};
    if (c->wake_fd >= 0 && poll(&p, 1, 0) > 0) siglongjmp(*c->on_damage, CHECK_INTERRUPTED);
}

static bool inside(const struct checker *c, shm_off off, uint64_t n)
{
    return off >= seg()->arena_off && off <= c->limit && n <= c->limit - off;
}

const void *check_view(struct checker *c, shm_off off, uint64_t n)
{
    if (unlikely(++c->views % LOOK_EVERY == 0)) look_whether_to_stop(c);
    if (unlikely(!inside(c, off, n))) check_damage(c, "%llu bytes at offset %llu lie outside the arena", (unsigned long long)n, (unsigned long long)off);
    if (!c->as_of_cut) return shm_ptr(off);
    void *p = scratch_alloc(MAX(n, (uint64_t)1));
    snap_read(off, p, n);
    return p;
}

void check_read(struct checker *c, shm_off off, void *dst, uint64_t n)
{
    struct scratch_mark mark = scratch_mark();
    memcpy(dst, check_view(c, off, n), n);
    scratch_rewind(mark);
}

const uint8_t *check_view_guess(struct checker *c, shm_off off, uint64_t n)
{
    if (likely(inside(c, off, n) || !inside(c, off, 1))) return check_view(c, off, n);
    uint64_t have = c->limit - off;
    uint8_t *p = scratch_alloc(n);
    memset(p, 0, n);
    memcpy(p, check_view(c, off, have), have);
    return p;
}

void check_block(struct checker *c, shm_off off, uint64_t size, const char *what)
{
    if (unlikely(!inside(c, off, size) || !arena_is_block(off, size)))
        check_damage(c, "no memory of %llu bytes was handed out at offset %llu, for %s", (unsigned long long)size, (unsigned long long)off, what);
}

/* ---- faults ---- */

static struct checker *guarded;
static struct sigaction before[2];
static const int faults[2] = {SIGSEGV, SIGBUS};

static void on_fault(int number)
{
    struct checker *c = guarded;
    snprintf(c->why, sizeof c->why, "whoever follows it dies by signal %d", number); /* no fault comes out of the library: it holds no lock here */
    siglongjmp(*c->on_damage, CHECK_DAMAGE);
}

void check_guard(struct checker *c)
{
    struct sigaction a = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    sigemptyset(&a.sa_mask);
    guarded = c;
    for (int i = 0; i < 2; i++) sigaction(faults[i], &a, &before[i]);
}

void check_unguard(void)
{
    for (int i = 0; i < 2; i++) sigaction(faults[i], &before[i], NULL);
    guarded = NULL;
}
