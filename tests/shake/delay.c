/* LD_PRELOAD: a program whose threads are late. Before a thread starts, before what is written is durable, before what a peer sent is read and
   after a thread was woken, it sleeps now and then, so that an order of events that is rare becomes common. Only programs of the name in
   NF_DELAY are touched ("nightferry exosim"); NF_DELAY_SEED makes another series, NF_DELAY_MS is the longest sleep. `make shake` uses it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t state;
static unsigned longest_us; /* 0: not ours */

__attribute__((constructor)) static void begin(void)
{
	const char *names = getenv("NF_DELAY"), *seed = getenv("NF_DELAY_SEED"), *ms = getenv("NF_DELAY_MS");
	const char *name = program_invocation_short_name, *at = names ? strstr(names, name) : NULL;
	size_t n = strlen(name);
	if (!at || (at != names && at[-1] != ' ') || (at[n] && at[n] != ' '))
		return;
	longest_us = (ms ? (unsigned)strtoul(ms, NULL, 10) : 100) * 1000;
	atomic_store(&state, (seed ? strtoull(seed, NULL, 10) : 1) * 0x9e3779b97f4a7c15u + (uint64_t)getpid());
}

/* In one of `of` cases, up to the longest sleep. */
static void late(unsigned of)
{
	if (!longest_us)
		return;
	int keep = errno;
	uint64_t x = atomic_fetch_add(&state, 0x9e3779b97f4a7c15u); /* splitmix64 */
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	x ^= x >> 31;
	if (x % of == 0) {
		uint64_t us = (x >> 20) % longest_us;
		struct timespec t = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000 * 1000)};
		nanosleep(&t, NULL);
	}
	errno = keep;
}

#define REAL(name) \
	static __typeof__(name) *real; \
	if (!real) \
	real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

struct start {
	void *(*run)(void *);
	void *arg;
};

static void *start_late(void *arg)
{
	struct start s = *(struct start *)arg;
	free(arg);
	late(2);
	return s.run(s.arg);
}

int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg)
{
	REAL(pthread_create);
	struct start *s = longest_us ? malloc(sizeof *s) : NULL;
	if (!s)
		return real(t, a, run, arg);
	*s = (struct start){run, arg};
	int rc = real(t, a, start_late, s);
	if (rc)
		free(s);
	late(4);
	return rc;
}

/* Outside of the lock: others are to go on meanwhile. */
static int woken(int rc, pthread_mutex_t *m)
{
	if (longest_us) {
		pthread_mutex_unlock(m);
		late(10);
		pthread_mutex_lock(m);
	}
	return rc;
}

/* dlsym may find the oldest version of these, which is another type. */
int pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	static int (*real)(pthread_cond_t *, pthread_mutex_t *);
	if (!real)
		real = (__typeof__(real))dlvsym(RTLD_NEXT, "pthread_cond_wait", "GLIBC_2.3.2");
	return woken(real(c, m), m);
}

int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t)
{
	static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
	if (!real)
		real = (__typeof__(real))dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
	return woken(real(c, m, t), m);
}

int fdatasync(int fd)
{
	REAL(fdatasync);
	late(3);
	return real(fd);
}

int fsync(int fd)
{
	REAL(fsync);
	late(3);
	return real(fd);
}

static int is_socket(int fd)
{
	struct stat s;
	return longest_us && !fstat(fd, &s) && S_ISSOCK(s.st_mode);
}

ssize_t read(int fd, void *p, size_t n)
{
	REAL(read);
	if (is_socket(fd))
		late(60);
	return real(fd, p, n);
}

ssize_t recv(int fd, void *p, size_t n, int flags)
{
	REAL(recv);
	late(60);
	return real(fd, p, n, flags);
}

ssize_t write(int fd, const void *p, size_t n)
{
	REAL(write);
	if (is_socket(fd))
		late(60);
	return real(fd, p, n);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	REAL(pwrite64);
	late(100);
	return real(fd, p, n, at);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	REAL(sendmsg);
	late(60);
	return real(fd, m, flags);
}
