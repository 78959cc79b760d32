/* The lock and the waiting around admit.c. One mutex guards all scopes of a throttle. A thread that must wait sleeps in poll on
   its gate's eventfd and its stop token, at most until the time its leaf can go on by itself; whoever changes something grants
   for all and wakes those it granted. The eventfds are written under the lock: a gate cannot vanish meanwhile, and an eventfd
   never blocks. Nothing is written when nobody waits. */
#include "throttle/gate.h"

#include "engine/base/clock.h"
#include "throttle/admit.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define GATE_SLEEP_MOST_MS 3600000
#define PIECE_LEAST 4096 /* commands and answers are smaller, and do not wait */
#define PIECE_MOST 65536
#define PIECES_PER_S 10
#define CATCH_UP \
	2 /* what gathered in a pause goes at so many times the rate: a second's worth in a burst is the whole line for its time */
#define SPREAD_MOST_MS 1000 /* the rate may be raised meanwhile */
#define PARTING_S 1         /* what takes no longer is sent to its end when a stop is asked */

struct throttle {
	struct admit core; /* guarded by lock; the first member, scopes point to it */
	pthread_mutex_t lock;
};

struct gate {
	struct waiter waiter;      /* the first member; guarded by the throttle's lock while it is queued */
	struct throttle *throttle; /* borrowed: the leaf's */
	struct scope *leaf;        /* counted: open as long as the gate */
	struct stop *stop;         /* borrowed: the caller's; may be NULL */
	int wake_fd;               /* owned */
	int64_t patience_ms;
	struct gate *line; /* owned: a gate at the line's leaf; NULL: no line */
	uint64_t unpaid;   /* octets that passed and have not waited */
	int64_t next_ms;   /* of the next piece, not sooner */
	int64_t paced_ms;
};

_Static_assert(offsetof(struct throttle, core) == 0, "a scope's home is its throttle");
_Static_assert(offsetof(struct gate, waiter) == 0, "a waiter is its gate");

static struct throttle *throttle_of(const struct scope *s)
{
	return (struct throttle *)s->home;
}

static void throttle_lock(struct throttle *t)
{
	pthread_mutex_lock(&t->lock);
}

/* Wakes whom the core wants woken, but not the caller himself, and unlocks. */
static void throttle_unlock(struct throttle *t, const struct gate *self)
{
	struct waiter *w;
	while ((w = admit_take_wake(&t->core))) {
		const struct gate *g = (struct gate *)w;
		uint64_t one = 1;
		if (g != self)
			while (write(g->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
				continue;
	}
	pthread_mutex_unlock(&t->lock);
}

struct throttle *throttle_new(void)
{
	struct throttle *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	admit_init(&t->core);
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void throttle_free(struct throttle **t)
{
	if (!*t)
		return;
	admit_done(&(*t)->core);
	pthread_mutex_destroy(&(*t)->lock);
	free(*t);
	*t = NULL;
}

struct scope *scope_open(struct throttle *t, struct scope *parent, const char *name, const struct scope_limits *limits)
{
	throttle_lock(t);
	struct scope *s = admit_open(&t->core, clock_mono_ms(), parent, name, limits);
	throttle_unlock(t, NULL);
	return s;
}

void scope_close(struct scope **s)
{
	if (!*s)
		return;
	struct throttle *t = throttle_of(*s);
	throttle_lock(t);
	admit_close(&t->core, clock_mono_ms(), s);
	throttle_unlock(t, NULL);
}

void scope_set_limits(struct scope *s, const struct scope_limits *limits)
{
	struct throttle *t = throttle_of(s);
	throttle_lock(t);
	int64_t now_ms = clock_mono_ms();
	meter_set_limits(&s->meter, now_ms, limits);
	admit_touch(&t->core, now_ms, s);
	throttle_unlock(t, NULL);
}

void scope_set_share(struct scope *s, double share)
{
	struct throttle *t = throttle_of(s);
	throttle_lock(t);
	int64_t now_ms = clock_mono_ms();
	meter_set_share(&s->meter, now_ms, share);
	admit_touch(&t->core, now_ms, s);
	throttle_unlock(t, NULL);
}

void scope_fence(struct scope *s, int64_t ms, const char *reason)
{
	struct throttle *t = throttle_of(s);
	throttle_lock(t);
	int64_t now_ms = clock_mono_ms();
	meter_fence(&s->meter, now_ms, ms, reason);
	admit_touch(&t->core, now_ms, s);
	throttle_unlock(t, NULL);
}

struct gate *gate_new(struct scope *leaf, struct stop *stop)
{
	struct gate *g = calloc(1, sizeof *g);
	if (!g)
		return NULL;
	g->throttle = throttle_of(leaf);
	g->leaf = leaf;
	g->stop = stop;
	g->patience_ms = INT64_MAX;
	g->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->wake_fd < 0) {
		free(g);
		return NULL;
	}
	throttle_lock(g->throttle);
	admit_hold(leaf);
	throttle_unlock(g->throttle, NULL);
	return g;
}

void gate_free(struct gate **g)
{
	if (!*g)
		return;
	gate_free(&(*g)->line);
	scope_close(&(*g)->leaf);
	close((*g)->wake_fd);
	free(*g);
	*g = NULL;
}

void gate_set_patience(struct gate *g, int64_t longest_fence_ms)
{
	g->patience_ms = longest_fence_ms;
}

/* Sleeps without the lock until woken, stopped, or until_ms. */
static void gate_sleep(struct gate *g, int64_t now_ms, int64_t until_ms)
{
	struct pollfd fds[2] = {{.fd = g->wake_fd, .events = POLLIN},
		{.fd = g->stop ? stop_fd(g->stop, STOP_DRAIN) : -1, .events = POLLIN}};
	int64_t ms = -1;
	if (until_ms != LEDGER_NEVER) {
		ms = until_ms > now_ms ? until_ms - now_ms : 0;
		if (ms > GATE_SLEEP_MOST_MS)
			ms = GATE_SLEEP_MOST_MS;
	}
	uint64_t count;
	if (poll(fds, 2, (int)ms) > 0 && fds[0].revents)
		while (read(g->wake_fd, &count, sizeof count) < 0 && errno == EINTR)
			continue;
}

static int gate_deferred(const struct gate *g, int64_t fence_ms, struct err *err)
{
	err_set(err, ERR_DEFERRED, "%s is closed for %lld s more", g->leaf->name, (long long)(fence_ms + 999) / 1000);
	err->retry_after_ms = fence_ms;
	return -1;
}

/* Waits in the queue; the lock is held at the start and at the end. 0: granted. */
static int gate_wait_locked(struct gate *g, struct err *err)
{
	struct throttle *t = g->throttle;
	struct waiter *w = &g->waiter;
	int64_t now_ms = clock_mono_ms();
	while (!w->granted) {
		int64_t fence_end = admit_fence_end(g->leaf, now_ms);
		bool late = fence_end && fence_end - now_ms > g->patience_ms;
		if (stop_is_asked(g->stop) || late) {
			admit_cancel(&t->core, now_ms, g->leaf, w);
			return late ? gate_deferred(g, fence_end - now_ms, err)
				    : err_set(err, ERR_STOPPED, "stopped while waiting for %s", g->leaf->name);
		}
		w->armed_ms = g->leaf->head == w ? admit_retry_at(g->leaf) : LEDGER_NEVER;
		int64_t until_ms = w->armed_ms;
		throttle_unlock(t, g);
		gate_sleep(g, now_ms, until_ms);
		throttle_lock(t);
		now_ms = clock_mono_ms();
		if (!w->granted && g->leaf->head == w && admit_retry_at(g->leaf) <= now_ms)
			admit_run(&t->core, now_ms);
	}
	return 0;
}

int gate_enter(struct gate *g, const struct demand *d, struct permit **permit, struct err *err)
{
	*permit = NULL;
	if (stop_is_asked(g->stop))
		return err_set(err, ERR_STOPPED, "stopped before entering %s", g->leaf->name);
	struct permit *p = malloc(sizeof *p);
	if (!p)
		return err_set(err, ERR_MEMORY, "no memory for a permit");
	throttle_lock(g->throttle);
	g->waiter.demand = *d;
	admit_enter(&g->throttle->core, clock_mono_ms(), g->leaf, &g->waiter, p);
	int rc = g->waiter.granted ? 0 : gate_wait_locked(g, err);
	throttle_unlock(g->throttle, g);
	if (rc)
		free(p);
	else
		*permit = p;
	return rc;
}

bool gate_try(struct gate *g, const struct demand *d, struct permit **permit, int64_t *wait_ms)
{
	int64_t until_ms = LEDGER_NEVER;
	*permit = NULL;
	*wait_ms = LEDGER_NEVER;
	struct permit *p = malloc(sizeof *p);
	if (!p)
		return false;
	throttle_lock(g->throttle);
	int64_t now_ms = clock_mono_ms();
	bool may = admit_try(&g->throttle->core, now_ms, g->leaf, d, p, &until_ms);
	throttle_unlock(g->throttle, g);
	if (may) {
		*permit = p;
		*wait_ms = 0;
		return true;
	}
	free(p);
	if (until_ms != LEDGER_NEVER)
		*wait_ms = until_ms > now_ms ? until_ms - now_ms : 1;
	return false;
}

void gate_leave(struct permit **permit, enum verdict v, const struct throttle_hint *hint, uint64_t bytes_sent,
	unsigned latency_ms)
{
	struct permit *p = *permit;
	if (!p)
		return;
	struct throttle *t = throttle_of(p->leaf);
	throttle_lock(t);
	admit_leave(&t->core, clock_mono_ms(), p, v, hint, bytes_sent, latency_ms);
	throttle_unlock(t, NULL);
	free(p);
	*permit = NULL;
}

/* --- the line --- */

int gate_set_line(struct gate *g, struct scope *leaf)
{
	gate_free(&g->line);
	g->line = gate_new(leaf, g->stop);
	return g->line ? 0 : -1;
}

double gate_line_rate(struct gate *g)
{
	double rate = 0;
	if (!g || !g->line)
		return 0;
	throttle_lock(g->line->throttle);
	for (const struct scope *s = g->line->leaf; s; s = s->parent) {
		double own = s->meter.amount[METER_BYTES].rate.per_s;
		if (own > 0 && (rate <= 0 || own < rate))
			rate = own;
	}
	throttle_unlock(g->line->throttle, NULL);
	return rate;
}

size_t gate_piece(struct gate *g)
{
	double piece = gate_line_rate(g) / PIECES_PER_S;
	if (piece <= 0 || piece > PIECE_MOST)
		return PIECE_MOST;
	return piece < PIECE_LEAST ? PIECE_LEAST : (size_t)piece;
}

/* Waits for its turn. The lock is held, as in gate_wait_locked. */
static void line_pass_locked(struct gate *line, uint64_t octets)
{
	struct throttle *t = line->throttle;
	struct permit p;
	struct err stopped;
	line->waiter.demand = (struct demand){.bytes = octets};
	admit_enter(&t->core, clock_mono_ms(), line->leaf, &line->waiter, &p);
	if (line->waiter.granted || gate_wait_locked(line, &stopped) == 0)
		admit_leave(&t->core, clock_mono_ms(), &p, VERDICT_OK, NULL, octets, 0);
}

void gate_pace(struct gate *g, uint64_t octets)
{
	struct gate *line = g ? g->line : NULL;
	if (!line || (g->unpaid += octets) < PIECE_LEAST || stop_is_asked(g->stop))
		return;
	double rate = gate_line_rate(g);
	int64_t begun = clock_mono_ms();
	throttle_lock(line->throttle);
	line_pass_locked(line, g->unpaid);
	throttle_unlock(line->throttle, line);
	int64_t now = clock_mono_ms();
	if (rate > 0 && g->next_ms > now) { /* after the queue, where it is seen to wait */
		clock_sleep_ms(g->next_ms - now, stop_fd(g->stop, STOP_DRAIN));
		now = clock_mono_ms();
	}
	double spread = rate > 0 ? (double)g->unpaid * 1000 / (rate * CATCH_UP) : 0;
	g->next_ms = now + (int64_t)(spread < SPREAD_MOST_MS ? spread : SPREAD_MOST_MS);
	g->paced_ms += now - begun;
	g->unpaid = 0;
}

bool gate_gives_up(struct gate *g, uint64_t octets)
{
	if (!g || !stop_is_asked(g->stop))
		return false;
	double rate = gate_line_rate(g);
	return rate > 0 && (double)octets > rate * PARTING_S;
}

int64_t gate_paced_ms(const struct gate *g)
{
	return g ? g->paced_ms : 0;
}

/* The scope at or above leaf that its first waiter waits for. */
static void view_binding(struct scope *s, int64_t now_ms, struct scope_view *out)
{
	const struct scope *leaf = admit_first_waiting(s->home, s);
	if (!leaf || !leaf->blocked_on)
		return;
	struct scope *on = leaf->blocked_on;
	struct meter *m = &on->meter;
	out->binding = leaf->why;
	out->binding_wait_ms = leaf->retry_ms == LEDGER_NEVER ? -1
			       : leaf->retry_ms > now_ms      ? leaf->retry_ms - now_ms
							      : 0;
	out->binding_closed = m->share <= 0;
	out->binding_fenced_ms = m->fence_end_ms > now_ms ? m->fence_end_ms - now_ms : 0;
	if (out->binding_fenced_ms)
		snprintf(out->binding_reason, sizeof out->binding_reason, "%s", m->reason);
	for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++) {
		if (leaf->why != (k == METER_BYTES ? DIM_BYTES : DIM_REQUESTS))
			continue;
		out->binding_own_rate = bucket_wait_ms(&m->amount[k].rate, now_ms) > 0;
		out->binding_learned = m->amount[k].adapt.level > 0 && !out->binding_own_rate;
	}
	if (leaf->why == DIM_IN_FLIGHT)
		out->binding_learned = m->flight.level > 0 || m->flight.steer.limit > 0;
	snprintf(out->binding_scope, sizeof out->binding_scope, "%s", leaf->blocked_on->name);
}

void scope_look(struct scope *s, struct scope_view *out)
{
	struct throttle *t = throttle_of(s);
	*out = (struct scope_view){.binding = DIM_NONE};
	throttle_lock(t);
	int64_t now_ms = clock_mono_ms();
	struct meter *m = &s->meter;
	out->fenced = m->fence_end_ms > now_ms;
	out->fenced_ms = out->fenced ? m->fence_end_ms - now_ms : 0;
	if (out->fenced)
		snprintf(out->reason, sizeof out->reason, "%s", m->reason);
	out->in_flight = m->in_flight;
	out->waiting = s->waiting;
	out->refused = m->refused;
	out->bytes_per_s = meter_rate_per_s(m, now_ms, METER_BYTES);
	out->requests_per_s = meter_rate_per_s(m, now_ms, METER_REQUESTS);
	out->allowed_bytes_per_s = meter_allowed_per_s(m, now_ms, METER_BYTES);
	out->allowed_requests_per_s = meter_allowed_per_s(m, now_ms, METER_REQUESTS);
	unsigned most = flight_limit(&m->flight, now_ms);
	out->allowed_in_flight = most == UINT32_MAX ? 0 : most;
	struct scope_learned l;
	meter_get_learned(m, &l);
	out->learned = l.requests > 0 || l.bytes > 0 || l.in_flight;
	view_binding(s, now_ms, out);
	throttle_unlock(t, NULL);
}

void scope_get_learned(struct scope *s, struct scope_learned *out)
{
	struct throttle *t = throttle_of(s);
	throttle_lock(t);
	meter_get_learned(&s->meter, out);
	throttle_unlock(t, NULL);
}

void scope_set_learned(struct scope *s, const struct scope_learned *l, int64_t age_s)
{
	struct throttle *t = throttle_of(s);
	throttle_lock(t);
	/* It counts where nothing is known yet, and only narrows: nobody who waits may go sooner. */
	meter_set_learned(&s->meter, clock_mono_ms(), l, age_s);
	throttle_unlock(t, NULL);
}
