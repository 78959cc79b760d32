/* A byte budget. Waiters stand in a queue and are granted in its order, by whoever releases: a large
   reservation is not starved by small ones, and a grant is never taken by a thread that came later. Each
   waiter has an eventfd, so that it can poll that and its stop token at once. */
#define _GNU_SOURCE
#include "engine/base/budget.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct waiter { /* on its thread's stack, in the queue until granted or gone */
	uint64_t bytes;
	int fd; /* eventfd: readable when granted */
	bool granted;
	struct waiter *next;
};

struct budget {
	uint64_t total;        /* never changes */
	struct budget *common; /* borrowed; NULL: none. Its mutex is taken with ours held, never the other way round */
	pthread_mutex_t mutex;
	uint64_t used;  /* guarded by mutex, as what follows */
	uint64_t taken; /* of the common one: what used is above total */
	struct waiter *first, *last;
};

struct budget *budget_new(uint64_t bytes)
{
	struct budget *b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->total = bytes;
	pthread_mutex_init(&b->mutex, NULL);
	return b;
}

struct budget *budget_new_within(uint64_t bytes, struct budget *common)
{
	struct budget *b = budget_new(bytes);
	if (b)
		b->common = common;
	return b;
}

static uint64_t above(const struct budget *b, uint64_t used)
{
	return b->common && used > b->total ? used - b->total : 0;
}

static void use_locked(struct budget *b, uint64_t used)
{
	uint64_t taken = above(b, used);
	if (taken != b->taken)
		budget_correct(b->common, b->taken, taken);
	b->taken = taken;
	b->used = used;
}

static bool take_locked(struct budget *b, uint64_t bytes)
{
	uint64_t used = b->used + bytes, more = above(b, used) - b->taken;
	bool fits = b->used == 0 || used <= b->total;
	if (!fits && b->common && budget_try(b->common, more)) {
		b->taken += more;
		fits = true;
	}
	if (fits)
		use_locked(b, used);
	return fits;
}

static void grant_locked(struct budget *b)
{
	while (b->first && take_locked(b, b->first->bytes)) {
		struct waiter *w = b->first;
		b->first = w->next;
		if (!b->first)
			b->last = NULL;
		w->granted = true;
		const uint64_t one = 1;
		ssize_t n;
		do {
			n = write(w->fd, &one, sizeof(one));
		} while (n < 0 && errno == EINTR);
	}
}

bool budget_try(struct budget *b, uint64_t bytes)
{
	pthread_mutex_lock(&b->mutex);
	bool fits = !b->first && take_locked(b, bytes);
	pthread_mutex_unlock(&b->mutex);
	return fits;
}

/* Out of the queue; false if it was granted meanwhile. */
static bool leave_queue(struct budget *b, struct waiter *w)
{
	pthread_mutex_lock(&b->mutex);
	bool was_waiting = !w->granted;
	if (was_waiting) {
		struct waiter *before = NULL;
		for (struct waiter *i = b->first; i != w; i = i->next)
			before = i;
		if (before)
			before->next = w->next;
		else
			b->first = w->next;
		if (b->last == w)
			b->last = before;
		grant_locked(b); /* it may have been what held up the rest */
	}
	pthread_mutex_unlock(&b->mutex);
	return was_waiting;
}

int budget_reserve(struct budget *b, uint64_t bytes, struct stop *stop, struct err *err)
{
	if (stop_is_asked(stop))
		return err_set(err, ERR_STOPPED, "stopped");
	if (budget_try(b, bytes))
		return 0;
	struct waiter w = {.bytes = bytes, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	if (w.fd < 0)
		return err_set(err, ERR_MEMORY, "no descriptor to wait with: %s", strerror(errno));
	pthread_mutex_lock(&b->mutex);
	if (b->last)
		b->last->next = &w;
	else
		b->first = &w;
	b->last = &w;
	grant_locked(b); /* something may have been released since the try */
	pthread_mutex_unlock(&b->mutex);

	struct pollfd fds[2] = {{.fd = w.fd, .events = POLLIN}, {.fd = stop_fd(stop, STOP_DRAIN), .events = POLLIN}};
	while (poll(fds, 2, -1) < 0 && errno == EINTR) {
	}
	int rc = 0;
	if (leave_queue(b, &w)) {
		rc = err_set(err, ERR_STOPPED, "stopped");
	} else if (stop_is_asked(stop)) { /* granted and stopped at once: nothing new is started */
		budget_release(b, bytes);
		rc = err_set(err, ERR_STOPPED, "stopped");
	}
	close(w.fd);
	return rc;
}

void budget_correct(struct budget *b, uint64_t held, uint64_t real)
{
	pthread_mutex_lock(&b->mutex);
	use_locked(b, b->used - (held < b->used ? held : b->used) + real);
	grant_locked(b);
	pthread_mutex_unlock(&b->mutex);
}

void budget_release(struct budget *b, uint64_t bytes)
{
	budget_correct(b, bytes, 0);
}

uint64_t budget_used(struct budget *b)
{
	pthread_mutex_lock(&b->mutex);
	uint64_t used = b->used;
	pthread_mutex_unlock(&b->mutex);
	return used;
}

void budget_free(struct budget **b)
{
	if (!*b)
		return;
	pthread_mutex_destroy(&(*b)->mutex);
	free(*b);
	*b = NULL;
}
