/* Lets the n-th call on a file below some folders fail, once: loaded before the C library by tests/failing.py.

   Python, SQLite, Polars, Arrow and libxml2 all come through here. `failing_begin` is called by the process under test
   when its own work begins, so that what the interpreter does to start is not counted. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long count;
static long at;            /* which call fails; 0: none is counted */
static int wanted;         /* its errno; 0: what is usual for the call */
static int log_to = -1;
static char folders[4096]; /* parted by colons */

void failing_begin(long number, int error, const char *below, const char *log) {
    strncpy(folders, below, sizeof folders - 1);
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    log_to = real(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    wanted = error;
    at = number;
}

static int below(const char *path) {
    for (const char *each = folders; *each;) {
        size_t length = strcspn(each, ":");
        if (length && !strncmp(path, each, length) && (path[length] == '/' || !path[length])) return 1;
        each += length + (each[length] == ':');
    }
    return 0;
}

static int fails(const char *call, const char *path, int usual) {
    if (!at || !path || log_to < 0) return 0;
    char whole[8192];
    if (path[0] != '/') {
        if (!getcwd(whole, sizeof whole / 2)) return 0;
        snprintf(whole + strlen(whole), sizeof whole / 2, "/%s", path);
        path = whole;
    }
    if (!below(path)) return 0;
    long number = atomic_fetch_add(&count, 1) + 1;
    if (number != at) return 0;
    dprintf(log_to, "%s %s", call, path);
    errno = wanted ? wanted : usual;
    return 1;
}

static int fd_fails(const char *call, int fd, int usual) {
    if (!at || fd == log_to) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0 || path[0] != '/') return 0; /* a pipe, or what threads wake each other with */
    path[length] = 0;
    return fails(call, path, usual);
}

/* The call as it is: its name, what it gives back if it fails, what fails, its parameters and arguments. */
#define CALL(type, name, failed, test, parameters, arguments)             \
    type name parameters {                                                \
        static type(*real) parameters;                                    \
        if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name);    \
        if (test) return failed;                                          \
        return real arguments;                                            \
    }

#define OPEN(name)                                                        \
    int name(const char *path, int flags, ...) {                          \
        static int (*real)(const char *, int, ...);                       \
        if (!real) real = dlsym(RTLD_NEXT, #name);                        \
        va_list rest;                                                     \
        va_start(rest, flags);                                            \
        int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0; \
        va_end(rest);                                                     \
        return fails("open", path, EACCES) ? -1 : real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                      \
    int name(int folder, const char *path, int flags, ...) {              \
        static int (*real)(int, const char *, int, ...);                  \
        if (!real) real = dlsym(RTLD_NEXT, #name);                        \
        va_list rest;                                                     \
        va_start(rest, flags);                                            \
        int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0; \
        va_end(rest);                                                     \
        return fails("open", path, EACCES) ? -1 : real(folder, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

CALL(FILE *, fopen, NULL, fails("open", p, EACCES), (const char *p, const char *m), (p, m))
CALL(FILE *, fopen64, NULL, fails("open", p, EACCES), (const char *p, const char *m), (p, m))
CALL(ssize_t, read, -1, fd_fails("read", f, EIO), (int f, void *b, size_t n), (f, b, n))
CALL(ssize_t, pread, -1, fd_fails("read", f, EIO), (int f, void *b, size_t n, off_t o), (f, b, n, o))
CALL(ssize_t, pread64, -1, fd_fails("read", f, EIO), (int f, void *b, size_t n, off64_t o), (f, b, n, o))
CALL(ssize_t, readv, -1, fd_fails("read", f, EIO), (int f, const struct iovec *v, int n), (f, v, n))
CALL(ssize_t, write, -1, fd_fails("write", f, ENOSPC), (int f, const void *b, size_t n), (f, b, n))
CALL(ssize_t, pwrite, -1, fd_fails("write", f, ENOSPC), (int f, const void *b, size_t n, off_t o), (f, b, n, o))
CALL(ssize_t, pwrite64, -1, fd_fails("write", f, ENOSPC), (int f, const void *b, size_t n, off64_t o), (f, b, n, o))
CALL(ssize_t, writev, -1, fd_fails("write", f, ENOSPC), (int f, const struct iovec *v, int n), (f, v, n))
CALL(int, fsync, -1, fd_fails("sync", f, EIO), (int f), (f))
CALL(int, fdatasync, -1, fd_fails("sync", f, EIO), (int f), (f))
CALL(int, ftruncate, -1, fd_fails("truncate", f, EIO), (int f, off_t n), (f, n))
CALL(int, ftruncate64, -1, fd_fails("truncate", f, EIO), (int f, off64_t n), (f, n))
CALL(int, fchmod, -1, fd_fails("chmod", f, EPERM), (int f, mode_t m), (f, m))
CALL(int, chmod, -1, fails("chmod", p, EPERM), (const char *p, mode_t m), (p, m))
CALL(int, rename, -1, fails("rename", p, EACCES), (const char *p, const char *q), (p, q))
CALL(int, renameat, -1, fails("rename", p, EACCES), (int f, const char *p, int g, const char *q), (f, p, g, q))
CALL(int, unlink, -1, fails("unlink", p, EACCES), (const char *p), (p))
CALL(int, unlinkat, -1, fails("unlink", p, EACCES), (int f, const char *p, int n), (f, p, n))
CALL(int, mkdir, -1, fails("mkdir", p, ENOSPC), (const char *p, mode_t m), (p, m))
CALL(int, stat, -1, fails("stat", p, EIO), (const char *p, struct stat *s), (p, s))
CALL(int, stat64, -1, fails("stat", p, EIO), (const char *p, struct stat64 *s), (p, s))
CALL(int, lstat, -1, fails("stat", p, EIO), (const char *p, struct stat *s), (p, s))
CALL(int, lstat64, -1, fails("stat", p, EIO), (const char *p, struct stat64 *s), (p, s))
CALL(int, fstat, -1, fd_fails("stat", f, EIO), (int f, struct stat *s), (f, s))
CALL(int, fstat64, -1, fd_fails("stat", f, EIO), (int f, struct stat64 *s), (f, s))
CALL(void *, mmap, MAP_FAILED, f >= 0 && fd_fails("map", f, ENOMEM),
     (void *a, size_t n, int p, int g, int f, off_t o), (a, n, p, g, f, o))
CALL(void *, mmap64, MAP_FAILED, f >= 0 && fd_fails("map", f, ENOMEM),
     (void *a, size_t n, int p, int g, int f, off64_t o), (a, n, p, g, f, o))
