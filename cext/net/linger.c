/* net/linger.c - is it worth waiting for more clients, and for how long. Rules: linger.h. */
#include "net/linger.h"

#include <sys/prctl.h>
#include <time.h>

#include "base/clock.h"
#include "cmd/dispatch.h"
#include "shm/ring.h"
#include "shm/slot.h"

#define WINDOW_US 1000
#define BUSY_TURNS 20u      /* a millisecond: fewer, and too little would come in the time */
#define SLACK_NS 1000u      /* the kernel rounds up short sleeps by so much; its usual 50 us are too many here */
#define TRIAL_WINDOWS 10u   /* busy windows of each trial */
#define KEPT_WINDOWS 300u   /* for which its outcome counts */
#define TOLERATED 32        /* lingering may cost one in so many of the turns before it is given up: the rate is not that exact */

struct linger_window linger_window = {.number = 1};

enum phase { TRIAL_WITHOUT, TRIAL_WITH, KEPT };

static int64_t begun_us;         /* of the window */
static uint32_t turns_each_ms;   /* in the last window; 0 = it was not busy */
static enum phase phase;
static uint32_t windows;         /* of the phase */
static uint64_t turns;           /* in them */
static int64_t us;               /* they took */
static double rate_without;
static bool pays;

void linger_init(void) { prctl(PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0); }

static void next_phase(enum phase next)
{
    phase = next;
    windows = 0;
    turns = 0;
    us = 0;
}

static void count_busy_window(uint64_t its_turns, int64_t its_us)
{
    windows++;
    turns += its_turns;
    us += its_us;
    double rate = (double)turns / (double)us;
    if (phase == TRIAL_WITHOUT && windows >= TRIAL_WINDOWS) {
        rate_without = rate;
        next_phase(TRIAL_WITH);
    } else if (phase == TRIAL_WITH && windows >= TRIAL_WINDOWS) {
        pays = rate >= rate_without - rate_without / TOLERATED;
        next_phase(KEPT);
    } else if (phase == KEPT && windows >= KEPT_WINDOWS) {
        next_phase(TRIAL_WITHOUT);
    }
}

static void end_window(int64_t now)
{
    int64_t took = now - begun_us;
    uint64_t rate = (uint64_t)linger_window.turns * 1000 / (uint64_t)took;
    bool busy = linger_window.clients >= LINGER_BUSY_CLIENTS && rate >= BUSY_TURNS;
    turns_each_ms = busy ? (uint32_t)rate : 0;
    if (busy) count_busy_window(linger_window.turns, took);
    begun_us = now;
    linger_window = (struct linger_window){.number = linger_window.number + 1};
}

void linger(uint32_t events)
{
    int64_t now = clock_cached_mono_us(), most = setting(SET_gather_us);
    if (now - begun_us >= WINDOW_US) end_window(now);
    if (!turns_each_ms || events >= LINGER_CLIENTS || !most || group_commit_on()) return;
    if (phase == TRIAL_WITHOUT || (phase == KEPT && !pays)) return;
    int64_t wait_us = MIN(LINGER_CLIENTS * 1000 / turns_each_ms, most);
    struct timespec t = {0, wait_us * 1000};
    stat_add(STAT_LINGERED, 1);
    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL); /* a signal ends it, and so it should */
}
