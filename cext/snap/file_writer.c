/* snap/file_writer.c - the buffers, the thread that empties them, and writing with or without the page cache. Contract: file_writer.h. */
#include "snap/file_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/crc64.h"

#define PAGE ((size_t)4096)
#define HINT_EVERY (32ull << 20) /* bytes between two hints to write back */

/* ---- writing ---- */

static void set_direct(struct file_writer *w, bool on)
{
    int flags = fcntl(w->fd, F_GETFL);
    w->direct = flags >= 0 && fcntl(w->fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0 && on;
}

static int write_all(struct file_writer *w, const uint8_t *p, size_t n)
{
    while (n) {
        if (w->direct && (n % PAGE || (uintptr_t)p % PAGE)) set_direct(w, false); /* the end of the file, or what a short write left */
        ssize_t r = write(w->fd, p, n);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0 && errno == EINVAL && w->direct) { /* other alignments than ours */
            set_direct(w, false);
            continue;
        }
        if (r <= 0) return r < 0 ? errno : ENOSPC;
        p += r;
        n -= (size_t)r;
        w->bytes += (uint64_t)r;
    }
    return 0;
}

static void hint(struct file_writer *w)
{
    if (w->direct || w->bytes - w->hinted < HINT_EVERY) return;
    sync_file_range(w->fd, (off_t)w->hinted, (off_t)(w->bytes - w->hinted), SYNC_FILE_RANGE_WRITE);
    w->hinted = w->bytes;
}

static int write_piece(struct file_writer *w, uint64_t number)
{
    const uint8_t *p = w->memory + number % FILE_WRITER_PIECES * FILE_WRITER_PIECE;
    size_t n = w->length[number % FILE_WRITER_PIECES];
    if (w->sum) w->crc = crc64(w->crc, p, n);
    int error = write_all(w, p, n);
    hint(w);
    return error;
}

static void *thread_main(void *arg)
{
    struct file_writer *w = arg;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (w->done == w->given && !w->ending) pthread_cond_wait(&w->changed, &w->lock);
        if (w->done == w->given || w->ending) break;
        uint64_t number = w->done;
        pthread_mutex_unlock(&w->lock);
        int error = write_piece(w, number);
        pthread_mutex_lock(&w->lock);
        w->done++;
        if (error) w->error = error;
        pthread_cond_broadcast(&w->changed);
        if (error) break;
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- what the maker calls ---- */

int file_writer_open(struct file_writer *w, int fd, bool sum)
{
    *w = (struct file_writer){.fd = fd, .sum = sum};
    w->memory = mmap(NULL, FILE_WRITER_PIECES * FILE_WRITER_PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (w->memory == MAP_FAILED) return ENOMEM;
    (void)madvise(w->memory, FILE_WRITER_PIECES * FILE_WRITER_PIECE, MADV_NOHUGEPAGE); /* a huge page is cleared in one go: milliseconds */
    set_direct(w, true);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    sigset_t all, before; /* signals are the process's own thread's */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    w->threaded = pthread_create(&w->thread, NULL, thread_main, w) == 0; /* else the maker writes itself */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return 0;
}

uint8_t *file_writer_buffer(struct file_writer *w) { return w->memory + w->given % FILE_WRITER_PIECES * FILE_WRITER_PIECE; }

/* Hands over n bytes of the current buffer and waits until at most `waiting` pieces are not written. */
static bool give(struct file_writer *w, size_t n, uint64_t waiting)
{
    w->length[w->given % FILE_WRITER_PIECES] = n;
    if (!w->threaded) {
        w->error = write_piece(w, w->given++);
        w->done = w->given;
        return !w->error;
    }
    pthread_mutex_lock(&w->lock);
    w->given++;
    pthread_cond_broadcast(&w->changed);
    while (w->given - w->done > waiting && !w->error) pthread_cond_wait(&w->changed, &w->lock);
    bool good = !w->error;
    pthread_mutex_unlock(&w->lock);
    return good;
}

bool file_writer_next(struct file_writer *w, size_t *used)
{
    size_t rest = *used % PAGE;
    const uint8_t *from = file_writer_buffer(w) + *used - rest;
    if (!give(w, *used - rest, FILE_WRITER_PIECES - 1)) return false;
    memcpy(file_writer_buffer(w), from, rest); /* the piece before is not filled again yet */
    *used = rest;
    return true;
}

bool file_writer_finish(struct file_writer *w, size_t used)
{
    if (!give(w, used, 0)) return false;
    if (w->direct) set_direct(w, false);
    return true;
}

bool file_writer_append(struct file_writer *w, const void *p, size_t n)
{
    w->error = write_all(w, p, n);
    return !w->error;
}

void file_writer_close(struct file_writer *w)
{
    if (w->threaded) {
        pthread_mutex_lock(&w->lock);
        w->ending = true;
        pthread_cond_broadcast(&w->changed);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
    }
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    munmap(w->memory, FILE_WRITER_PIECES * FILE_WRITER_PIECE);
}
