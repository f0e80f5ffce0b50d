/* A disk on which a synced write takes its time: fsync and its like last at
 * least SLOW_DISK_US microseconds. What is there already is not made slower.
 * Loaded with LD_PRELOAD into the daemon alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void until(long long start)
{
    const char *us = getenv("SLOW_DISK_US");
    long long end = start + (us ? atoll(us) : 0) * 1000;
    struct timespec t = {end / 1000000000LL, end % 1000000000LL};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0) {
    }
}

#define SLOW(name)                                             \
    int name(int fd)                                           \
    {                                                          \
        static int (*real)(int);                               \
        if (!real)                                             \
            real = (int (*)(int))dlsym(RTLD_NEXT, #name);      \
        long long start = now();                               \
        int done = real(fd);                                   \
        until(start);                                          \
        return done;                                           \
    }

SLOW(fsync)
SLOW(fdatasync)
SLOW(syncfs)
