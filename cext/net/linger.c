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
#define PERIOD_US 2048000   /* each begins with a trial, at the same time in every worker: */
#define TRIAL_US 192000     /* clients that one worker lets wait turn to another, so by themselves they would all look slow */
#define HALF_US 8000        /* without, with, without ...: what the end of one defers to the other hardly counts */
#define ENOUGH_US 20000.0   /* of busy windows each way, for a judgement */
#define TOLERATED 16        /* it may cost one in so many turns: the rates are not more exact than that */

struct linger_window linger_window = {.number = 1};

static int64_t begun_us;       /* of the window */
static uint32_t turns_each_ms; /* in the last window; 0 = it was not busy */

enum half { NO_TRIAL, WITHOUT, WITH };
static struct tried { /* in the newest trial, and half of what was there before */
    double turns, us;
} tried[3];
static bool fresh; /* a trial has not been judged yet */
static bool pays = true;

void linger_init(void) { prctl(PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0); }

static enum half half_of(int64_t now)
{
    int64_t at = now % PERIOD_US;
    return at >= TRIAL_US ? NO_TRIAL : at / HALF_US % 2 ? WITH : WITHOUT;
}

static void judge(void)
{
    struct tried *with = &tried[WITH], *without = &tried[WITHOUT];
    fresh = false;
    if (with->us < ENOUGH_US || without->us < ENOUGH_US) return;
    pays = with->turns * without->us * TOLERATED >= without->turns * with->us * (TOLERATED - 1);
    with->turns /= 2, with->us /= 2;
    without->turns /= 2, without->us /= 2;
}

static void count_busy_window(uint32_t turns, int64_t now)
{
    enum half began = half_of(begun_us), ended = half_of(now);
    if (began != ended || now - begun_us >= HALF_US) return; /* some of both */
    if (began == NO_TRIAL) {
        if (fresh) judge();
        return;
    }
    tried[began].turns += turns;
    tried[began].us += (double)(now - begun_us);
    fresh = true;
}

static void end_window(int64_t now)
{
    int64_t took = now - begun_us;
    uint64_t rate = (uint64_t)linger_window.turns * 1000 / (uint64_t)took;
    bool busy = linger_window.clients >= LINGER_BUSY_CLIENTS && rate >= BUSY_TURNS;
    turns_each_ms = busy ? (uint32_t)rate : 0;
    if (busy) count_busy_window(linger_window.turns, now);
    begun_us = now;
    linger_window = (struct linger_window){.number = linger_window.number + 1};
}

void linger(uint32_t events)
{
    int64_t now = clock_cached_mono_us(), most = setting(SET_gather_us);
    if (now - begun_us >= WINDOW_US) end_window(now);
    if (!turns_each_ms || events >= LINGER_CLIENTS || !most || group_commit_on()) return;
    enum half half = half_of(now);
    if (half == WITHOUT || (half == NO_TRIAL && !pays)) return;
    int64_t wait_us = MIN(LINGER_CLIENTS * 1000 / turns_each_ms, most);
    struct timespec t = {0, wait_us * 1000};
    stat_add(STAT_LINGERED, 1);
    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL); /* a signal ends it, and so it should */
}
