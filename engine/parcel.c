/* Two conditions and one mutex. A stop wakes the waiters through a short timed wait rather than through a descriptor: the queue is inside the
   process, 100 ms is at once for a person, and it costs nothing while messages flow. */
#include "engine/parcel.h"

#include "imap/pull.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define STOP_LOOK_NS 100000000L

struct parcel_queue {
	pthread_mutex_t lock;
	pthread_cond_t changed,
		seats;               /* seats: for takers beyond those that may have a run; messages do not wake them */
	struct parcel *first, *last; /* guarded by lock, as all below */
	uint64_t bytes, cap;
	size_t queued, taken;
	struct seats {
		unsigned takers, busy; /* at most; now */
		bool fixed;
	} seat[PARCEL_ROUTES];
	unsigned putting, taking; /* that wait for room, for a run */
	bool closed;
	struct stop *stop; /* borrowed */
};

void parcel_release(struct budget *memory, struct parcel **p)
{
	pull_release(memory, &(*p)->mail);
	free((*p)->reasons);
	free(*p);
	*p = NULL;
}

struct parcel_queue *parcel_queue_new(uint64_t cap_bytes, struct stop *stop)
{
	struct parcel_queue *q = calloc(1, sizeof *q);
	if (!q)
		return NULL;
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->changed, &attr);
	pthread_cond_init(&q->seats, NULL);
	pthread_condattr_destroy(&attr);
	q->cap = cap_bytes;
	for (unsigned r = 0; r < PARCEL_ROUTES; r++)
		q->seat[r].takers = UINT_MAX;
	q->stop = stop;
	return q;
}

static void wait_locked(struct parcel_queue *q)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += STOP_LOOK_NS;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	pthread_cond_timedwait(&q->changed, &q->lock, &t);
}

static uint64_t weight(const struct parcel *p)
{
	return p->mail->print.size + 512;
}

int parcel_queue_put(struct parcel_queue *q, struct parcel **list, struct err *err)
{
	uint64_t bytes = 0;
	size_t n = 0;
	struct parcel *last = NULL;
	for (struct parcel *p = *list; p; p = p->next) {
		bytes += weight(p);
		n++;
		last = p;
	}
	if (!n)
		return 0;
	pthread_mutex_lock(&q->lock);
	q->putting++;
	while (q->queued && q->bytes + bytes > q->cap && !stop_is_asked(q->stop))
		wait_locked(q);
	q->putting--;
	if (stop_is_asked(q->stop)) {
		pthread_mutex_unlock(&q->lock);
		return err_set(err, ERR_STOPPED, "stopped while messages waited to be put");
	}
	if (q->last)
		q->last->next = *list;
	else
		q->first = *list;
	q->last = last;
	q->queued += n;
	q->bytes += bytes;
	*list = NULL;
	pthread_mutex_unlock(&q->lock);
	pthread_cond_broadcast(&q->changed); /* who wakes finds it free */
	return 0;
}

/* Where the first parcel for that route hangs; *at NULL: there is none. */
static struct parcel **first_of_locked(struct parcel_queue *q, unsigned route)
{
	struct parcel **at = &q->first;
	while (*at && (*at)->route != route)
		at = &(*at)->next;
	return at;
}

/* Where there is a run, and a seat for it; NULL: over. What another route still holds may come here yet. A taker without a seat sleeps until more are
   allowed: the last one that has a seat keeps it. */
static struct parcel **wait_for_run_locked(struct parcel_queue *q, unsigned route)
{
	while (!stop_is_asked(q->stop)) {
		bool may = q->seat[route].busy < q->seat[route].takers;
		struct parcel **at = first_of_locked(q, route);
		if (may && *at)
			return at;
		if (q->closed && (!may || (!q->queued && !q->taken)))
			return NULL;
		if (!may) {
			pthread_cond_wait(&q->seats, &q->lock);
			continue;
		}
		q->taking++;
		wait_locked(q);
		q->taking--;
	}
	return NULL;
}

struct parcel *parcel_queue_take(
	struct parcel_queue *q, unsigned route, bool *busy, size_t max_items, uint64_t max_bytes)
{
	pthread_mutex_lock(&q->lock);
	struct seats *s = &q->seat[route];
	s->busy -= *busy;
	struct parcel **at = wait_for_run_locked(q, route);
	struct parcel *run = at ? *at : NULL;
	*busy = run != NULL;
	if (run) {
		s->busy++;
		struct parcel *end = run;
		size_t n = 1;
		uint64_t bytes = weight(run);
		while (end->next && end->next->folder == run->folder && end->next->route == route && n < max_items &&
			bytes + weight(end->next) <= max_bytes) {
			end = end->next;
			bytes += weight(end);
			n++;
		}
		*at = end->next;
		if (q->last == end) /* the run was the tail: what is before it ends the queue now */
			q->last =
				at == &q->first ? NULL : (struct parcel *)((char *)at - offsetof(struct parcel, next));
		end->next = NULL;
		q->queued -= n;
		q->taken += n;
		q->bytes -= bytes;
	}
	pthread_mutex_unlock(&q->lock);
	if (run)
		pthread_cond_broadcast(&q->changed);
	return run;
}

void parcel_queue_fix_takers(struct parcel_queue *q, unsigned route, unsigned n)
{
	pthread_mutex_lock(&q->lock);
	q->seat[route].takers = n;
	q->seat[route].fixed = true;
	pthread_mutex_unlock(&q->lock);
}

void parcel_queue_set_takers(struct parcel_queue *q, unsigned n)
{
	pthread_mutex_lock(&q->lock);
	for (unsigned r = 0; r < PARCEL_ROUTES; r++)
		if (!q->seat[r].fixed)
			q->seat[r].takers = n ? n : 1;
	pthread_cond_broadcast(&q->seats);
	pthread_mutex_unlock(&q->lock);
}

void parcel_queue_look(struct parcel_queue *q, struct parcel_view *out)
{
	pthread_mutex_lock(&q->lock);
	*out = (struct parcel_view){
		.full = q->putting > 0, .empty = q->taking > 0 && !q->first, .bytes = q->bytes, .cap = q->cap};
	pthread_mutex_unlock(&q->lock);
}

void parcel_queue_return(struct parcel_queue *q, struct parcel **list)
{
	if (!*list)
		return;
	pthread_mutex_lock(&q->lock);
	struct parcel *last = *list;
	for (struct parcel *p = *list; p; p = p->next) {
		q->taken--;
		q->queued++;
		q->bytes += weight(p);
		last = p;
	}
	last->next = q->first;
	if (!q->last)
		q->last = last;
	q->first = *list;
	*list = NULL;
	pthread_mutex_unlock(&q->lock);
	pthread_cond_broadcast(&q->changed); /* who wakes finds it free */
}

void parcel_queue_done_with(struct parcel_queue *q, size_t n)
{
	pthread_mutex_lock(&q->lock);
	q->taken -= n;
	pthread_mutex_unlock(&q->lock);
	pthread_cond_broadcast(&q->changed); /* who wakes finds it free */
}

int parcel_queue_drain(struct parcel_queue *q, struct err *err)
{
	pthread_mutex_lock(&q->lock);
	while ((q->queued || q->taken) && !stop_is_asked(q->stop))
		wait_locked(q);
	bool stopped = q->queued || q->taken;
	pthread_mutex_unlock(&q->lock);
	return stopped ? err_set(err, ERR_STOPPED, "stopped while messages were being put") : 0;
}

void parcel_queue_close(struct parcel_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_broadcast(&q->changed);
	pthread_cond_broadcast(&q->seats);
	pthread_mutex_unlock(&q->lock);
}

struct parcel *parcel_queue_rest(struct parcel_queue *q)
{
	pthread_mutex_lock(&q->lock);
	struct parcel *rest = q->first;
	q->first = q->last = NULL;
	q->queued = 0;
	q->bytes = 0;
	pthread_mutex_unlock(&q->lock);
	return rest;
}

void parcel_queue_free(struct parcel_queue **q)
{
	if (!*q)
		return;
	pthread_cond_destroy(&(*q)->changed);
	pthread_cond_destroy(&(*q)->seats);
	pthread_mutex_destroy(&(*q)->lock);
	free(*q);
	*q = NULL;
}
