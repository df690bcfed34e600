/* snap/file_writer.h - a large new file, written behind its maker's back: a thread sums up and writes while the next piece is being made.
 *
 * The maker fills a buffer and hands it over for another one; at most FILE_WRITER_PIECES - 1 wait. Whole pages go to the disk past the page
 * cache where the file system can do that (O_DIRECT): a snapshot is read once, if ever, so it should not push out what others need, and
 * the fsync at its end has nothing left to do. Elsewhere writing back is begun every 32 MiB, to the same end.
 *
 * Nothing shared; used by the persistence process only, which must not fork between open and close. Death in the middle: an unfinished
 * file, which nobody has named yet.
 */
#ifndef SHOAL_SNAP_FILE_WRITER_H
#define SHOAL_SNAP_FILE_WRITER_H

#include <pthread.h>

#include "base/base.h"

#define FILE_WRITER_PIECE ((size_t)2 << 20) /* bytes of a buffer */
#define FILE_WRITER_PIECES 3

struct file_writer {
    int fd;
    bool direct, sum;
    uint8_t *memory;             /* all buffers, page after page */
    uint64_t crc, bytes, hinted; /* thread: of what is written */
    int error;                   /* thread: errno of what failed, 0 = nothing; under the lock while it runs */
    size_t length[FILE_WRITER_PIECES];
    uint64_t given, done;        /* pieces; place = number % FILE_WRITER_PIECES; under the lock */
    bool ending, threaded;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

/* The file is written from its beginning; `sum`: with its CRC-64. 0, or errno. */
int file_writer_open(struct file_writer *w, int fd, bool sum);
/* The buffer that is to be filled now, FILE_WRITER_PIECE bytes. */
uint8_t *file_writer_buffer(struct file_writer *w);
/* Hands over the first *used bytes of it; what does not fill a page is kept: *used of the new buffer is taken already. Waits for a
 * free buffer. False: writing has failed (w->error). */
bool file_writer_next(struct file_writer *w, size_t *used);
/* Hands over the rest and waits until everything is written; w->crc and w->bytes are those of the whole file then. */
bool file_writer_finish(struct file_writer *w, size_t used);
/* Puts a few bytes behind a finished file. */
bool file_writer_append(struct file_writer *w, const void *p, size_t n);
/* Ends the thread, whatever it is doing, and frees everything but the descriptor. */
void file_writer_close(struct file_writer *w);

#endif
