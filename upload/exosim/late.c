#include "upload/exosim/late.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "upload/exosim/backend.h"

#include <assert.h>

struct item {
	struct mailbox *box; /* borrowed */
	int64_t due_ms;
	char *command;      /* owned */
	struct spool *body; /* owned */
	struct item *next;  /* owned */
};

struct late {
	struct exosim *x; /* borrowed */
	pthread_mutex_t lock;
	struct item *first; /* owned */
	struct stop *stop;  /* owned; child of the run's */
	pthread_t thread;
};

static void item_free(struct item *i)
{
	free(i->command);
	spool_free(&i->body);
	free(i);
}

static struct item *take_due(struct late *l, int64_t now_ms)
{
	struct item *found = NULL;

	pthread_mutex_lock(&l->lock);
	for (struct item **p = &l->first; *p; p = &(*p)->next)
		if ((*p)->due_ms <= now_ms) {
			found = *p;
			*p = found->next;
			break;
		}
	pthread_mutex_unlock(&l->lock);
	return found;
}

static void store(struct late *l, struct item *i)
{
	struct wire *w = NULL;
	struct err err = ERR_INIT;
	char line[1600];

	if (backend_open(&w, l->x, i->box->address, l->stop, &err) < 0 ||
		backend_append(w, i->command, i->body, &err) < 0) {
		log_line(LOG_WARN, "late message for %s: %s", i->box->address, err_line(&err, line, sizeof(line)));
	} else {
		MAILBOX_COUNT(i->box, appended, 1);
		MAILBOX_COUNT(i->box, appended_bytes, spool_size(i->body));
	}
	MAILBOX_COUNT(i->box, late_pending, -1);
	wire_free(&w);
}

static void *run(void *arg)
{
	struct late *l = arg;

	while (!stop_is_asked(l->stop)) {
		struct item *i = take_due(l, clock_mono_ms());

		if (i) {
			store(l, i);
			item_free(i);
		} else {
			clock_sleep_ms(20, stop_fd(l->stop, STOP_DRAIN));
		}
	}
	return NULL;
}

struct late *late_new(struct exosim *x)
{
	struct late *l = calloc(1, sizeof(*l));

	assert(l);
	l->x = x;
	l->stop = stop_new(x->stop);
	pthread_mutex_init(&l->lock, NULL);
	if (pthread_create(&l->thread, NULL, run, l) != 0)
		abort();
	return l;
}

void late_add(struct late *l, struct mailbox *m, int64_t due_ms, const char *command, struct spool **body)
{
	struct item *i = calloc(1, sizeof(*i));

	assert(i);
	*i = (struct item){.box = m, .due_ms = due_ms, .command = strdup(command), .body = *body};
	*body = NULL;
	MAILBOX_COUNT(m, late_pending, 1);
	pthread_mutex_lock(&l->lock);
	i->next = l->first;
	l->first = i;
	pthread_mutex_unlock(&l->lock);
}

void late_free(struct late **l)
{
	if (!*l)
		return;
	stop_request((*l)->stop, STOP_NOW);
	pthread_join((*l)->thread, NULL);
	while ((*l)->first) {
		struct item *i = (*l)->first;

		(*l)->first = i->next;
		item_free(i);
	}
	stop_free(&(*l)->stop);
	pthread_mutex_destroy(&(*l)->lock);
	free(*l);
	*l = NULL;
}
