#include "upload/exosim/pool.h"

#include "engine/base/clock.h"
#include "upload/exosim/backend.h"
#include "upload/exosim/prepare.h"

#include <assert.h>

#define IDLE_MAX 8
#define OPEN_TRIES 5

struct pool {
	pthread_mutex_t lock;
	struct link *idle; /* owned */
	size_t n;
};

struct pool *pool_new(void)
{
	struct pool *p = calloc(1, sizeof(*p));

	assert(p);
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

static void link_free(struct link *l)
{
	wire_free(&l->wire);
	free(l->selected);
	order_done(&l->order);
	free(l);
}

void pool_free(struct pool **p)
{
	if (!*p)
		return;
	while ((*p)->idle) {
		struct link *l = (*p)->idle;

		(*p)->idle = l->next;
		link_free(l);
	}
	pthread_mutex_destroy(&(*p)->lock);
	free(*p);
	*p = NULL;
}

static struct link *take_idle(struct pool *p, const char *folder)
{
	struct link **best = NULL, *l = NULL;

	pthread_mutex_lock(&p->lock);
	for (struct link **at = &p->idle; *at; at = &(*at)->next)
		if (!best || (folder && (*at)->selected && strcmp((*at)->selected, folder) == 0))
			best = at;
	if (best) {
		l = *best;
		*best = l->next;
		p->n--;
	}
	pthread_mutex_unlock(&p->lock);
	return l;
}

/* A folder that is deleted while it is open ends the connection at its next command: where folders changed, none is open. */
static bool is_usable(struct link *l, unsigned generation)
{
	struct err err = ERR_INIT;

	/* The backend may have closed it meanwhile (a restart, its idle time). */
	if (wire_fill(l->wire) < 0 || wire_is_broken(l->wire))
		return false;
	if (l->generation == generation || !l->selected)
		return true;
	free(l->selected);
	l->selected = NULL;
	return backend_command(l->wire, "UNSELECT", NULL, NULL, &err) == 0;
}

int pool_take(struct exosim *x, struct mailbox *m, const char *folder, struct link **out, struct err *err)
{
	unsigned generation = folders_generation(m->folders);
	struct link *l;

	while ((l = take_idle(m->pool, folder)) != NULL) {
		if (is_usable(l, generation)) {
			l->generation = generation;
			*out = l;
			return 0;
		}
		link_free(l);
	}
	l = calloc(1, sizeof(*l));
	assert(l);
	/* A backend that has just been started may not be up to it yet. */
	for (int i = 0; i < OPEN_TRIES && backend_open(&l->wire, x, m->address, x->stop, err) < 0; i++)
		clock_sleep_ms(100, stop_fd(x->stop, STOP_NOW));
	if (!l->wire || prepare_once(x, m, l->wire, err) < 0) {
		link_free(l);
		return -1;
	}
	l->generation = folders_generation(m->folders);
	*out = l;
	return 0;
}

void pool_give(struct mailbox *m, struct link **pl, bool is_lost)
{
	struct link *l = *pl;
	struct pool *p = m->pool;

	*pl = NULL;
	if (!l)
		return;
	if (!is_lost && !wire_is_broken(l->wire)) {
		pthread_mutex_lock(&p->lock);
		if (p->n < IDLE_MAX) {
			l->next = p->idle;
			p->idle = l;
			p->n++;
			l = NULL;
		}
		pthread_mutex_unlock(&p->lock);
	}
	if (l)
		link_free(l);
}
