#include "upload/exosim/front.h"

#include "engine/base/clock.h"
#include "upload/exosim/session.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1000

struct front {
	struct exosim *x; /* borrowed */
	int fd;
	pthread_t thread;
};

struct job {
	struct exosim *x;
	int fd;
};

int front_listen(unsigned *port, struct err *err)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), e;

	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 256) == 0 &&
			getsockname(fd, (struct sockaddr *)&a, &n) == 0) {
			*port = ntohs(a.sin_port);
			return fd;
		}
	}
	e = errno;
	if (fd >= 0)
		close(fd);
	return err_set(err, ERR_CONFLICT, "listen on 127.0.0.1:%u: %s", *port, strerror(e));
}

static void *serve(void *arg)
{
	struct job job = *(struct job *)arg;

	free(arg);
	session_run(job.x, job.fd);
	atomic_fetch_sub(&job.x->sessions, 1);
	return NULL;
}

static void start(struct exosim *x, int fd)
{
	struct job *job = malloc(sizeof(*job));
	pthread_attr_t attr;
	pthread_t t;

	assert(job);
	*job = (struct job){x, fd};
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, (size_t)512 * 1024);
	atomic_fetch_add(&x->connections, 1);
	if (atomic_fetch_add(&x->sessions, 1) >= CONNECTIONS_MAX || pthread_create(&t, &attr, serve, job) != 0) {
		atomic_fetch_sub(&x->sessions, 1);
		close(fd);
		free(job);
	}
	pthread_attr_destroy(&attr);
}

static void *accept_all(void *arg)
{
	struct front *f = arg;
	struct pollfd p[2] = {
		{.fd = f->fd, .events = POLLIN}, {.fd = stop_fd(f->x->stop, STOP_DRAIN), .events = POLLIN}};

	while (!stop_is_asked(f->x->stop)) {
		int fd;

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (!(p[0].revents & POLLIN))
			continue;
		fd = accept(f->fd, NULL, NULL);
		if (fd >= 0) {
			fcntl(fd, F_SETFD, FD_CLOEXEC);
			start(f->x, fd);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
			clock_sleep_ms(50, stop_fd(f->x->stop, STOP_DRAIN));
		}
	}
	return NULL;
}

int front_open(struct front **out, struct exosim *x, int listen_fd, struct err *err)
{
	struct front *f = calloc(1, sizeof(*f));

	assert(f);
	f->x = x;
	f->fd = listen_fd;
	if (pthread_create(&f->thread, NULL, accept_all, f) != 0) {
		close(listen_fd);
		free(f);
		return err_set(err, ERR_INTERNAL, "no thread to accept with");
	}
	*out = f;
	return 0;
}

bool front_close(struct front **f)
{
	struct exosim *x;
	int64_t deadline = clock_mono_ms() + 5000;

	if (!*f)
		return true;
	x = (*f)->x;
	pthread_join((*f)->thread, NULL);
	close((*f)->fd);
	while (atomic_load(&x->sessions) && clock_mono_ms() < deadline)
		clock_sleep_ms(5, -1);
	free(*f);
	*f = NULL;
	return atomic_load(&x->sessions) == 0;
}
