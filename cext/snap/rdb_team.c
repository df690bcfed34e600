/* snap/rdb_team.c - several processes that load one RDB file.
 *
 * The caller forks them, each on a free slot behind those of the server's standing processes, and waits; it touches no key meanwhile, so
 * nothing that a loader holds can stop it. Small files, pipes and machines with one processor are read by the caller itself.
 *
 * Death of a loader: the others are killed, all their slots repaired, and the load has failed: the caller may empty the keyspace and
 * try again. Death of the caller: the kernel kills the loaders; its heir calls rdb_team_abandon() before anything else.
 * Shared memory: a private mapping (struct rdb_team); words of the header: progress_done, save_cancel (gives up).
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/repair.h"
#include "shm/segment.h"
#include "snap/rdb_loader.h"

#define WORTH_A_TEAM (16u << 20) /* bytes of a file */
#define FIRST_SLOT_BEHIND 3u     /* the workers', the persistence process's, the log writer's */
#define SLOTS_BEHIND 8u          /* slots whose areas have memory: workers and so many (shm/segment.c) */
#define POLL_US 1000u
#define PROGRESS_TURNS 2000u     /* some seconds */

unsigned rdb_team_most = RDB_TEAM_MAX;
void (*rdb_load_progress)(uint64_t bytes);

static uint32_t first_slot(void) { return seg()->workers + FIRST_SLOT_BEHIND; }
static uint32_t end_slot(void) { return MIN(seg()->workers + SLOTS_BEHIND, SLOT_MAX); }
static bool slot_free(uint32_t i) { return !atomic_load(&slot_at(i)->pid); }

static uint32_t processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) ? 1 : (uint32_t)CPU_COUNT(&set);
}

static uint32_t team_size(int fd)
{
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || lseek(fd, 0, SEEK_CUR) != 0 || st.st_size < WORTH_A_TEAM) return 1;
    if (atomic_load(&my_slot->kind) != SLOT_PERSISTENCE) return 1;
    uint32_t slots = 0;
    for (uint32_t i = first_slot(); i < end_slot(); i++) slots += slot_free(i);
    return MIN(MIN(slots, processors()), rdb_team_most);
}

/* ---- a loader ---- */

static NORETURN void loader_main(int fd, uint32_t flags, struct rdb_team *team, uint32_t share, uint32_t slot, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    prctl(PR_SET_NAME, "shoal: loader");
    slot_acquire(slot, SLOT_TOOL);
    txn_init(&my_txn);
    struct rdb_share *s = &team->shares[share];
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = open(path, O_RDONLY | O_CLOEXEC); /* with a reading-ahead of its own, if that can be had */
    if (own >= 0) fd = own;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    int result = loader_run(fd, flags, team, share, &s->info, &s->own, s->err, sizeof s->err);
    if (result) atomic_store(&team->stop, s->own);
    s->result = result;
    slot_release_clean();
    _exit(0);
}

/* ---- the caller ---- */

/* What dead loaders left in their slots is put right; this process stays who it is. First for all what the allocator's locks guard: repair
 * may need one that another of them holds. */
static void repair(const uint32_t *slots, uint32_t n)
{
    struct slot *mine = my_slot;
    uint32_t index = my_slot_index;
    for (uint32_t step = 0; step < 2; step++)
        for (uint32_t i = 0; i < n; i++) {
            if (slot_free(slots[i])) continue;
            my_slot = slot_at(slots[i]);
            my_slot_index = slots[i];
            if (step == 0) {
                slot_repair_allocator();
            } else {
                slot_repair();
                slot_release_clean();
            }
        }
    my_slot = mine;
    my_slot_index = index;
}

struct loaders {
    uint32_t n, left;
    pid_t pid[RDB_TEAM_MAX]; /* 0 = gone */
    uint32_t slot[RDB_TEAM_MAX];
    int died; /* status of the first that did not end by itself, 0 = none */
};

static void kill_all(struct loaders *x)
{
    for (uint32_t i = 0; i < x->n; i++)
        if (x->pid[i]) kill(x->pid[i], SIGKILL);
}

static void wait_for_all(struct loaders *x)
{
    uint32_t turns = 0;
    while (x->left) {
        for (uint32_t i = 0; i < x->n; i++) {
            int status;
            if (!x->pid[i]) continue;
            pid_t r = waitpid(x->pid[i], &status, WNOHANG);
            if (!r || (r < 0 && errno == EINTR)) continue;
            x->pid[i] = 0;
            x->left--;
            if (r > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
            if (!x->died) x->died = r > 0 ? status : -1;
            kill_all(x); /* they may wait for ever for a lock that it holds */
        }
        if (x->left) usleep(POLL_US);
        if (rdb_load_progress && ++turns % PROGRESS_TURNS == 0) rdb_load_progress(atomic_load(&seg()->progress_done));
    }
    if (x->died) repair(x->slot, x->n);
}

static void start(struct loaders *x, uint32_t n, int fd, uint32_t flags, struct rdb_team *team)
{
    pid_t parent = getpid();
    for (uint32_t slot = first_slot(); slot < end_slot() && x->n < n; slot++) {
        if (!slot_free(slot)) continue;
        team->shares[x->n].result = -1;
        pid_t pid = fork();
        if (pid == 0) loader_main(fd, flags, team, x->n, slot, parent);
        if (pid < 0) break;
        x->pid[x->n] = pid;
        x->slot[x->n++] = slot;
        x->left++;
    }
}

/* The sum of what they did; of several failures the one of who knows best. */
static int gather(const struct rdb_team *team, uint32_t n, struct rdb_file_info *info, char *err, size_t errlen)
{
    const struct rdb_share *worst = NULL;
    *info = team->shares[0].info;
    info->keys = info->expired = info->empty = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct rdb_share *s = &team->shares[i];
        info->keys += s->info.keys;
        info->expired += s->info.expired;
        info->empty += s->info.empty;
        if (s->result && (!worst || (s->own && !worst->own))) worst = s;
    }
    if (!worst) return 0;
    info->bytes = worst->info.bytes;
    snprintf(err, errlen, "%s", worst->err);
    return -1;
}

static int load_together(int fd, uint32_t flags, uint32_t n, struct rdb_file_info *info, char *err, size_t errlen)
{
    struct loaders x = {0};
    struct rdb_team *team = mmap(NULL, sizeof *team, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (team == MAP_FAILED) {
        snprintf(err, errlen, "no memory: %s", strerror(errno));
        return -1;
    }
    start(&x, n, fd, flags, team);
    wait_for_all(&x);
    int result = -1;
    if (!x.n)
        snprintf(err, errlen, "no process could be started: %s", strerror(errno));
    else if (x.died)
        snprintf(err, errlen, RDB_LOADER_DIED " (%s %d)", WIFSIGNALED(x.died) ? "signal" : "status",
                 WIFSIGNALED(x.died) ? WTERMSIG(x.died) : WEXITSTATUS(x.died));
    else
        result = gather(team, x.n, info, err, errlen);
    munmap(team, sizeof *team);
    return result;
}

int rdb_file_load(int fd, uint32_t flags, struct rdb_file_info *info, char *err, size_t errlen)
{
    bool own;
    uint32_t n = team_size(fd);
    *info = (struct rdb_file_info){0};
    atomic_store(&seg()->save_cancel, 0);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return n > 1 ? load_together(fd, flags, n, info, err, errlen) : loader_run(fd, flags, NULL, 0, info, &own, err, errlen);
}

/* ---- after the caller's death ---- */

static bool lives(uint32_t pid)
{
    char path[32], state = 0;
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f) return false;
    if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1) state = 0;
    fclose(f);
    return state && state != 'Z' && state != 'X';
}

void rdb_team_abandon(void)
{
    uint32_t slots[SLOTS_BEHIND], n = 0;
    for (uint32_t i = first_slot(); i < end_slot(); i++) {
        const struct slot *s = slot_at(i);
        if (slot_free(i) || atomic_load(&s->kind) != SLOT_TOOL) continue;
        while (lives(atomic_load(&s->pid))) usleep(POLL_US); /* the kernel is about to end it */
        slots[n++] = i;
    }
    repair(slots, n);
}
