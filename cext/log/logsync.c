/* log/logsync.c - the thread that forces the file to the disk while the log writer goes on writing. Its rules: logsync.h. */
#include "log/logsync.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "log/logstate.h"

static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool started, busy, stop;
    int fd, error;
    uint64_t lsn, bytes; /* up to where it forces */
    uint64_t synced;     /* bytes that it has forced */
} helper = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void *helper_main(void *unused)
{
    pthread_mutex_lock(&helper.lock);
    while (!helper.stop) {
        if (!helper.busy) {
            pthread_cond_wait(&helper.changed, &helper.lock);
            continue;
        }
        int fd = helper.fd;
        uint64_t lsn = helper.lsn, bytes = helper.bytes;
        pthread_mutex_unlock(&helper.lock);
        int error = fdatasync(fd) ? errno : 0;
        atomic_fetch_add(&seg()->log_syncs, 1);
        pthread_mutex_lock(&helper.lock);
        if (error)
            helper.error = error;
        else
            helper.synced = bytes;
        if (!error && log_counts()) log_publish_synced(lsn);
        helper.busy = false;
        pthread_cond_broadcast(&helper.changed);
    }
    pthread_mutex_unlock(&helper.lock);
    return unused;
}

int log_sync_rest(void)
{
    pthread_mutex_lock(&helper.lock);
    while (helper.busy) pthread_cond_wait(&helper.changed, &helper.lock);
    int error = helper.error;
    helper.error = 0;
    helper.synced = 0; /* the caller forces the rest, or goes to another file */
    pthread_mutex_unlock(&helper.lock);
    return error;
}

bool log_sync_ask(int fd, uint64_t lsn, uint64_t bytes)
{
    if (!helper.started) helper.started = pthread_create(&helper.thread, NULL, helper_main, NULL) == 0;
    if (!helper.started) return false;
    pthread_mutex_lock(&helper.lock);
    bool idle = !helper.busy;
    if (idle) {
        helper.fd = fd;
        helper.lsn = lsn;
        helper.bytes = bytes;
        helper.busy = true;
        pthread_cond_broadcast(&helper.changed);
    }
    pthread_mutex_unlock(&helper.lock);
    return idle;
}

int log_sync_error(uint64_t *synced)
{
    pthread_mutex_lock(&helper.lock);
    int error = helper.busy ? 0 : helper.error;
    if (error) helper.error = 0;
    *synced = MAX(*synced, helper.synced);
    pthread_mutex_unlock(&helper.lock);
    return error;
}

void log_sync_end(void)
{
    if (!helper.started) return;
    pthread_mutex_lock(&helper.lock);
    helper.stop = true;
    pthread_cond_broadcast(&helper.changed);
    pthread_mutex_unlock(&helper.lock);
    pthread_join(helper.thread, NULL);
    helper.started = helper.stop = helper.busy = false;
}
