/* tests/c/segment_fixture.h - a small segment in anonymous memory for tests of everything above shm/. */
#ifndef SHOAL_TESTS_SEGMENT_FIXTURE_H
#define SHOAL_TESTS_SEGMENT_FIXTURE_H

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "keyspace/keyspace.h"
#include "shm/guard.h"
#include "shm/repair.h"
#include "shm/segment.h"
#include "snap/check.h"

static jmp_buf fixture_failed;

/* Makes and maps a segment of `arena` bytes, takes slot 1. Returns its descriptor. */
static inline int fixture_open(uint64_t arena)
{
    struct segment_params p = {.arena_bytes = arena, .initial_bytes = arena, .databases = 16, .workers = 1, .clients_max = 16};
    char err[200];
    int fd = memfd_create("shoal-test", 0);
    if (fd < 0 || ftruncate(fd, (off_t)segment_size(&p)) || segment_create(fd, &p, err, sizeof err)) {
        fprintf(stderr, "no segment: %s\n", err);
        exit(1);
    }
    slot_acquire(1, SLOT_WORKER);
    txn_init(&my_txn);
    my_txn.on_fail = &fixture_failed;
    keyspace_format(16);
    ks_set_now_ms(clock_wall_us() / 1000);
    guard_arm();
    return fd;
}

static inline void fixture_close(int fd)
{
    segment_unmap();
    close(fd);
}

static inline struct key fixture_key(const char *name) { return key_make((struct slice){(const uint8_t *)name, strlen(name)}, 0); }

/* One transaction that holds every stripe. */
static inline struct txn *fixture_begin(void)
{
    txn_begin(&my_txn);
    txn_lock_all(&my_txn);
    return &my_txn;
}

static inline void fixture_found(const struct check_finding *f, void *arg)
{
    fprintf(stderr, "database %u stripe %u key '%.*s': %s\n", f->db, f->stripe, (int)MIN(f->key_bytes, CHECK_KEY_SHOWN), (const char *)f->key, f->why);
    ++*(uint32_t *)arg;
}

/* CHECKs allocator and keyspace: the full check finds nothing in memory that is sound. */
#define FIXTURE_SOUND()                                                        \
    do {                                                                       \
        char why_[300] = "";                                                   \
        CHECK(arena_check(why_, sizeof why_) || (fprintf(stderr, "%s\n", why_), 0)); \
        uint32_t damaged_ = 0;                                                 \
        check_everything(fixture_found, &damaged_);                            \
        CHECK(damaged_ == 0);                                                  \
    } while (0)

#endif
