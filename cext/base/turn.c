/* base/turn.c - sched_setattr(2). What for: turn.h. */
#include "base/turn.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

void turn_set(bool batch, int nicer, uint64_t ns)
{
    struct { /* struct sched_attr, which not every libc has */
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } how = {.size = sizeof how, .policy = batch ? SCHED_BATCH : SCHED_OTHER, .runtime = ns};
    how.nice = MIN(getpriority(PRIO_PROCESS, 0) + nicer, 19);
    (void)syscall(SYS_sched_setattr, 0, &how, 0); /* refused: as before */
}

#define ASIDE_NICE 5
#define ASIDE_TURN_NS 10000000u /* long turns: whoever wakes with a shorter one goes first (Linux 6.12 and later) */

struct aside {
    void (*fn)(void *arg);
    void *arg;
};

static void *aside_main(void *arg)
{
    const struct aside *a = arg;
    turn_set(true, ASIDE_NICE, ASIDE_TURN_NS);
    a->fn(a->arg);
    return NULL;
}

void turn_run_aside(void (*fn)(void *arg), void *arg)
{
    struct aside a = {fn, arg};
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV), sigdelset(&all, SIGBUS); /* a fault of the thread's own is for its handler */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, NULL, aside_main, &a);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        fn(arg);
    else
        pthread_join(thread, NULL);
}
