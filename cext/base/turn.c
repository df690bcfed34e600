/* base/turn.c - sched_setattr(2). What for: turn.h. */
#include "base/turn.h"

#include <sched.h>
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
