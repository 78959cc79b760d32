/* Failpoints. The environment is read once; passing a point costs an atomic exchange, and nothing at all in
   a normal build. */
#include "engine/base/failpoint.h"

#ifdef NF_FAILPOINTS

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {
#define X(k, n) n,
	FAILPOINTS(X)
#undef X
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int armed = -1;        /* the point to die at */
static atomic_long hits_left; /* hits of it that remain */
static const char *log_path;  /* borrowed: from the environment; NULL: no log */
static atomic_bool passed[FAILPOINTS_END];

static void read_environment(void)
{
	log_path = getenv("NIGHTFERRY_FAILPOINT_LOG");
	const char *spec = getenv("NIGHTFERRY_FAILPOINT");
	if (!spec || !spec[0])
		return;
	size_t len = strcspn(spec, ":");
	for (int p = 0; p < FAILPOINTS_END; p++) {
		if (strlen(names[p]) == len && memcmp(names[p], spec, len) == 0)
			armed = p;
	}
	long count = spec[len] == ':' ? strtol(spec + len + 1, NULL, 10) : 1;
	atomic_store(&hits_left, count > 0 ? count : 1);
	if (armed < 0) { /* a typing error in a test must not pass for a point that is never hit */
		fprintf(stderr, "nightferry: NIGHTFERRY_FAILPOINT names no failpoint: %s\n", spec);
		_exit(97);
	}
}

void failpoint_hit(enum failpoint p)
{
	pthread_once(&once, read_environment);
	if (log_path && !atomic_exchange(&passed[p], true)) {
		int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		char line[80];
		int n = snprintf(line, sizeof(line), "%s\n", names[p]);
		if (fd >= 0) {
			ssize_t wrote = write(fd, line, (size_t)n);
			(void)wrote;
			close(fd);
		}
	}
	if ((int)p == armed && atomic_fetch_sub(&hits_left, 1) == 1) {
		/* The supervisor would start the engine again with the same environment: it dies first, as
		   with a machine. */
		if (getenv("NIGHTFERRY_FAILPOINT_PARENT"))
			kill(getppid(), SIGKILL);
		kill(getpid(), SIGKILL);
	}
}

#endif
