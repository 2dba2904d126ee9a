// Preloaded into the binary: a system that lacks what environment variables say.
//   LACKING_LOCKS=ERRNO    no file can be locked
//   LACKING_THREADS=COUNT  no more than so many threads can be started
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

int flock(int file, int operation) {
    const char *error = getenv("LACKING_LOCKS");
    if (error) {
        errno = atoi(error);
        return -1;
    }
    int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
    return real(file, operation);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
    static atomic_int started;
    const char *count = getenv("LACKING_THREADS");
    if (count && atomic_fetch_add(&started, 1) >= atoi(count)) {
        return EAGAIN;
    }
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, start, argument);
}
