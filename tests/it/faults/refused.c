// Preloaded into the programs of a test: while the file FAULT_ON exists, writes below the folder
// FAULT_DIR fail with the error number in it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fault(const char *path) {
  char at[8192], number[16] = {0};
  const char *dir = getenv("FAULT_DIR"), *on = getenv("FAULT_ON");
  if (!dir || !on || !path) return 0;
  if (*path != '/' && getcwd(at, 4096)) {
    strcat(at, "/");
    path = strncat(at, path, 4000);
  }
  if (strncmp(path, dir, strlen(dir))) return 0;
  int file = syscall(SYS_openat, AT_FDCWD, on, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  long got = syscall(SYS_read, file, number, 15);
  syscall(SYS_close, file);
  return got > 0 ? atoi(number) : 0;
}

static int fault_of(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  long length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return fault(path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define OR_FAIL(error, call) \
  int e = error; \
  if (e) { errno = e; return -1; } \
  return call;

static int created(const char *path, int flags) {
  return (flags & O_CREAT) && access(path, F_OK) ? fault(path) : 0;
}

ssize_t write(int fd, const void *from, size_t size) {
  OR_FAIL(fault_of(fd), NEXT(write)(fd, from, size))
}
int fdatasync(int fd) { OR_FAIL(fault_of(fd), NEXT(fdatasync)(fd)) }
int mkdir(const char *path, mode_t mode) { OR_FAIL(fault(path), NEXT(mkdir)(path, mode)) }
int open(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = va_arg(more, int);
  va_end(more);
  OR_FAIL(created(path, flags), NEXT(open)(path, flags, mode))
}
int open64(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = va_arg(more, int);
  va_end(more);
  OR_FAIL(created(path, flags), NEXT(open64)(path, flags, mode))
}
