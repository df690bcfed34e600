/* disktrace: a preload library that writes down what one process tree does to the files of one folder, and can end a process at any step.
 *
 *   gcc -shared -fPIC -O2 -o disktrace.so disktrace.c -ldl
 *   DISKTRACE_FOLDER=/data DISKTRACE_CONTROL=/dev/shm/c DISKTRACE_FILE=/dev/shm/t LD_PRELOAD=./disktrace.so some-server ...
 *
 * Seen are open (when it makes or empties a file), write, pwrite, writev, truncate, ftruncate, fsync, fdatasync, rename, unlink and mkdir on
 * regular files and folders below DISKTRACE_FOLDER, except for names that end in "/log" or "/shoal.segment"; only libc calls.
 *
 * Trace: one record a call, appended with one writev, so the file's order is an order of all processes: a call's record is written after
 * the call and before its result is known to the caller, so whatever follows from the call follows in the file, too. fsync has a record
 * before and one after, both with its thread, since several may be in flight on one file. Other programs may append records of their own (kind 'M': the marks of clients). See tests/crash/powercut.py.
 *
 * Control: a file of struct control, mapped shared. The seen calls of processes whose thread name begins with `who` are counted; the one with
 * number kill_at ends its process with SIGKILL, before the call or after it, and with `all` its parent (the supervisor), too.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control { /* 64 bytes; written by the test, `count` and `killed` by us */
    _Atomic uint32_t tracing, count, kill_at, after, all, killed, sync_us, pad; /* sync_us: each fsync takes that much longer */
    char who[16]; /* "" = everybody */
    char last[16]; /* the call at which it died */
};

struct record {
    uint32_t magic, kind; /* kind: a letter */
    uint64_t time_ns;     /* monotonic */
    uint64_t inode;
    int64_t a, b;         /* by kind: offset, new length or thread; of fsync a folder's (before), its result (after) */
    uint32_t name_len, name2_len;
    uint64_t data_len;
};
#define MAGIC 0x4b534944u

static struct control *control;
static int trace_fd = -1;
static char folder[1024];

__attribute__((constructor)) static void begin(void)
{
    const char *dir = getenv("DISKTRACE_FOLDER"), *name = getenv("DISKTRACE_CONTROL"), *trace = getenv("DISKTRACE_FILE");
    if (!dir || !name) return;
    snprintf(folder, sizeof folder, "%s", dir);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return;
    void *p = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (p == MAP_FAILED) return;
    control = p;
    if (trace) trace_fd = (int)syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
}

/* ---- which files ---- */

static int ends_in(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

static int ours(const char *path)
{
    size_t n = strlen(folder);
    return n && !strncmp(path, folder, n) && (!path[n] || path[n] == '/') && !ends_in(path, "/log") && !ends_in(path, "/shoal.segment") &&
           !strstr(path, " (deleted)");
}

/* The path behind a descriptor if it is one of ours. */
static int fd_ours(int fd, char path[1024], struct stat *st)
{
    char link[64];
    if (!control || fstat(fd, st) || (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, 1023);
    if (n < 0) return 0;
    path[n] = 0;
    return ours(path);
}

/* A path as given, made absolute. */
static int path_ours(const char *given, char path[1024])
{
    char cwd[512];
    if (!control) return 0;
    if (given[0] == '/')
        snprintf(path, 1024, "%s", given);
    else if (getcwd(cwd, sizeof cwd))
        snprintf(path, 1024, "%s/%s", cwd, given);
    else
        return 0;
    return ours(path);
}

/* ---- counting and ending ---- */

static int counted(void)
{
    char name[17] = "";
    prctl(PR_GET_NAME, name, 0, 0, 0);
    return !strncmp(name, control->who, strnlen(control->who, sizeof control->who));
}

static void die(const char *call)
{
    strncpy(control->last, call, sizeof control->last - 1);
    atomic_store(&control->killed, 1);
    if (atomic_load(&control->all)) kill(getppid(), SIGKILL);
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Before each call; 1: it ends after the call. */
static int step(const char *call)
{
    if (!atomic_load(&control->kill_at) || !counted()) return 0;
    if (atomic_fetch_add(&control->count, 1) + 1 != atomic_load(&control->kill_at)) return 0;
    if (atomic_load(&control->after)) return 1;
    die(call);
    return 0;
}

/* ---- records ---- */

static void put(char kind, uint64_t inode, int64_t a, int64_t b, const char *name, const char *name2, const void *data, size_t n)
{
    if (trace_fd < 0 || !atomic_load(&control->tracing)) return;
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    struct record r = {MAGIC, (uint32_t)kind, (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec, inode, a, b,
                       (uint32_t)(name ? strlen(name) : 0), (uint32_t)(name2 ? strlen(name2) : 0), n};
    struct iovec v[4] = {{&r, sizeof r}, {(void *)(uintptr_t)name, r.name_len}, {(void *)(uintptr_t)name2, r.name2_len}, {(void *)(uintptr_t)data, n}};
    if (syscall(SYS_writev, trace_fd, v, 4) < 0) abort();
}

#define REAL(ret, name, ...) \
    static ret (*real)(__VA_ARGS__); \
    if (!real) real = (ret (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* ---- files ---- */

static int opened(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode)
{
    char p[1024];
    struct stat st;
    if (!(flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE || !path_ours(path, p)) return real(path, flags, mode);
    int was = stat(p, &st) == 0, end = step("open");
    int fd = real(path, flags, mode);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        if (!was) put('C', (uint64_t)st.st_ino, 0, 0, p, NULL, NULL, 0);
        if (was && (flags & O_TRUNC)) put('T', (uint64_t)st.st_ino, 0, 0, p, NULL, NULL, 0);
    }
    if (end) die("open");
    return fd;
}

#define MODE_OF(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list args; \
        va_start(args, flags); \
        mode = (mode_t)va_arg(args, int); \
        va_end(args); \
    }

int open(const char *path, int flags, ...) { MODE_OF(flags) REAL(int, "open", const char *, int, ...); return opened(real, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) REAL(int, "open64", const char *, int, ...); return opened(real, path, flags, mode); }

static void wrote(int fd, const void *b, ssize_t n, off_t at, const char *path, const struct stat *st)
{
    (void)fd;
    if (n > 0) put('W', (uint64_t)st->st_ino, at, 0, path, NULL, b, (size_t)n);
}

ssize_t write(int fd, const void *b, size_t n)
{
    REAL(ssize_t, "write", int, const void *, size_t);
    char path[1024];
    struct stat st;
    if (!fd_ours(fd, path, &st)) return real(fd, b, n);
    int end = step("write");
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t done = real(fd, b, n);
    wrote(fd, b, done, at, path, &st);
    if (end) die("write");
    return done;
}

static ssize_t pwrote(ssize_t (*real)(int, const void *, size_t, off_t), int fd, const void *b, size_t n, off_t o)
{
    char path[1024];
    struct stat st;
    if (!fd_ours(fd, path, &st)) return real(fd, b, n, o);
    int end = step("pwrite");
    ssize_t done = real(fd, b, n, o);
    wrote(fd, b, done, o, path, &st);
    if (end) die("pwrite");
    return done;
}

ssize_t pwrite(int fd, const void *b, size_t n, off_t o) { REAL(ssize_t, "pwrite", int, const void *, size_t, off_t); return pwrote(real, fd, b, n, o); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o) { REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t); return pwrote(real, fd, b, n, o); }

ssize_t writev(int fd, const struct iovec *v, int c)
{
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    char path[1024];
    struct stat st;
    return c > 0 && fd_ours(fd, path, &st) ? write(fd, v[0].iov_base, v[0].iov_len) : real(fd, v, c); /* a short write: callers go on */
}

static int cut(int (*real)(int, off_t), int fd, off_t n)
{
    char path[1024];
    struct stat st;
    if (!fd_ours(fd, path, &st)) return real(fd, n);
    int end = step("ftruncate"), result = real(fd, n);
    if (!result) put('T', (uint64_t)st.st_ino, n, 0, path, NULL, NULL, 0);
    if (end) die("ftruncate");
    return result;
}

int ftruncate(int fd, off_t n) { REAL(int, "ftruncate", int, off_t); return cut(real, fd, n); }
int ftruncate64(int fd, off64_t n) { REAL(int, "ftruncate64", int, off64_t); return cut(real, fd, n); }

static int cut_path(int (*real)(const char *, off_t), const char *given, off_t n)
{
    char path[1024];
    struct stat st;
    if (!path_ours(given, path) || stat(path, &st)) return real(given, n);
    int end = step("truncate"), result = real(given, n);
    if (!result) put('T', (uint64_t)st.st_ino, n, 0, path, NULL, NULL, 0);
    if (end) die("truncate");
    return result;
}

int truncate(const char *p, off_t n) { REAL(int, "truncate", const char *, off_t); return cut_path(real, p, n); }
int truncate64(const char *p, off64_t n) { REAL(int, "truncate64", const char *, off64_t); return cut_path(real, p, n); }

static int synced(int (*real)(int), int fd, const char *call)
{
    char path[1024];
    struct stat st;
    if (!fd_ours(fd, path, &st)) return real(fd);
    int end = step(call);
    int64_t who = (int64_t)syscall(SYS_gettid);
    put('B', (uint64_t)st.st_ino, who, S_ISDIR(st.st_mode), path, NULL, NULL, 0);
    if (control->sync_us) usleep(control->sync_us);
    int result = real(fd);
    put('S', (uint64_t)st.st_ino, who, result, path, NULL, NULL, 0);
    if (end) die(call);
    return result;
}

int fsync(int fd) { REAL(int, "fsync", int); return synced(real, fd, "fsync"); }
int fdatasync(int fd) { REAL(int, "fdatasync", int); return synced(real, fd, "fdatasync"); }

/* ---- names ---- */

int rename(const char *from, const char *to)
{
    REAL(int, "rename", const char *, const char *);
    char a[1024], b[1024];
    if (!path_ours(from, a) || !path_ours(to, b)) return real(from, to);
    int end = step("rename"), result = real(from, to);
    if (!result) put('R', 0, 0, 0, a, b, NULL, 0);
    if (end) die("rename");
    return result;
}

int unlink(const char *given)
{
    REAL(int, "unlink", const char *);
    char path[1024];
    if (!path_ours(given, path)) return real(given);
    int end = step("unlink"), result = real(given);
    if (!result) put('U', 0, 0, 0, path, NULL, NULL, 0);
    if (end) die("unlink");
    return result;
}

int mkdir(const char *given, mode_t mode)
{
    REAL(int, "mkdir", const char *, mode_t);
    char path[1024];
    if (!path_ours(given, path)) return real(given, mode);
    int end = step("mkdir"), result = real(given, mode);
    if (!result) put('D', 0, 0, 0, path, NULL, NULL, 0);
    if (end) die("mkdir");
    return result;
}
