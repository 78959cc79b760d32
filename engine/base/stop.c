/* Stop tokens. The whole tree shares one mutex, which the root owns: a request and the birth or death of a
   child cannot miss each other. Reading a level takes no lock. */
#define _GNU_SOURCE
#include "engine/base/stop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct stop {
	atomic_int level;             /* enum stop_level; only ever rises */
	int fds[STOP_NOW + 1];        /* by level; readable from that level on; [STOP_NONE] is unused */
	struct stop *root;            /* borrowed: the tree's root, itself for the root */
	struct stop *parent;          /* borrowed: outlives this; NULL for the root */
	struct stop *children;        /* borrowed: the first */
	struct stop *next, *previous; /* borrowed: siblings; root->mutex guards the three links */
	pthread_mutex_t mutex;        /* the root's only */
};

/* Raises one token; root->mutex is held. */
static void raise_locked(struct stop *s, enum stop_level level)
{
	int was = atomic_load(&s->level);
	if (was >= (int)level)
		return;
	atomic_store(&s->level, (int)level);
	for (int l = was + 1; l <= (int)level; l++) {
		const uint64_t one = 1;
		ssize_t n;
		do {
			n = write(s->fds[l], &one, sizeof(one));
		} while (n < 0 && errno == EINTR);
	}
}

static void link_to_parent(struct stop *s, struct stop *parent)
{
	s->parent = parent;
	s->root = parent->root;
	pthread_mutex_lock(&s->root->mutex);
	s->next = parent->children;
	if (s->next)
		s->next->previous = s;
	parent->children = s;
	raise_locked(s, (enum stop_level)atomic_load(&parent->level));
	pthread_mutex_unlock(&s->root->mutex);
}

struct stop *stop_new(struct stop *parent)
{
	struct stop *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->fds[STOP_NONE] = -1;
	s->fds[STOP_DRAIN] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->fds[STOP_NOW] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->fds[STOP_DRAIN] < 0 || s->fds[STOP_NOW] < 0) {
		for (int l = STOP_DRAIN; l <= STOP_NOW; l++) {
			if (s->fds[l] >= 0)
				close(s->fds[l]);
		}
		free(s);
		return NULL;
	}
	pthread_mutex_init(&s->mutex, NULL);
	s->root = s;
	if (parent)
		link_to_parent(s, parent);
	return s;
}

/* The next token of the subtree of top after s, parents first; no recursion, so that no depth hurts.
   root->mutex is held. */
static struct stop *next_locked(const struct stop *top, const struct stop *s)
{
	if (s->children)
		return s->children;
	while (s != top && !s->next)
		s = s->parent;
	return s == top ? NULL : s->next;
}

void stop_request(struct stop *s, enum stop_level level)
{
	pthread_mutex_lock(&s->root->mutex);
	for (struct stop *t = s; t; t = next_locked(s, t))
		raise_locked(t, level);
	pthread_mutex_unlock(&s->root->mutex);
}

enum stop_level stop_level(const struct stop *s)
{
	return (enum stop_level)atomic_load(&s->level);
}

int stop_fd(const struct stop *s, enum stop_level level)
{
	return s ? s->fds[level] : -1;
}

void stop_free(struct stop **s)
{
	struct stop *t = *s;
	if (!t)
		return;
	if (t->parent) {
		pthread_mutex_lock(&t->root->mutex);
		if (t->previous)
			t->previous->next = t->next;
		else
			t->parent->children = t->next;
		if (t->next)
			t->next->previous = t->previous;
		pthread_mutex_unlock(&t->root->mutex);
	}
	pthread_mutex_destroy(&t->mutex);
	close(t->fds[STOP_DRAIN]);
	close(t->fds[STOP_NOW]);
	free(t);
	*s = NULL;
}
