#include "engine/pool.h"

#include "engine/base/clock.h"
#include "engine/base/lock.h"
#include "engine/base/log.h"
#include "engine/job.h"
#include "engine/roster.h"
#include "engine/shut.h"

#include <stdlib.h>
#include <string.h>

#define POOL_JOBS 256
#define LOOK_MS 200 /* how often what people asked is looked at: `stop` acts within two seconds */
#define JOB_STACK ((size_t)2 * 1024 * 1024)
#define PACE_MS 500
#define LESSONS_MS 60000 /* between two savings of what was learned */
#define DRAIN_MS 8000    /* what is in flight gets so long to end; then its connections are cut, and it is in doubt */
#define SHUT_S 600       /* a mailbox that is shut so long gives its place away, to one that is due sooner */
#define LOCK_TRIES 20    /* a killed engine's lock is free a moment later */

struct slot {
	struct pool *pool;
	struct user user;
	struct stop *stop; /* owned: the mailbox's */
	struct live live;
	pthread_t thread;
	bool used;
	int64_t drain_ms; /* mono clock; when it was asked to end; 0: not yet */
	int64_t order;    /* the later it began, the larger */
	_Atomic bool ended;
};

struct pool {
	struct work work;
	const struct pool_conf *conf;
	struct stop *stop;
	struct slot slots[POOL_JOBS];
	size_t active;
	struct roster roster;
	struct shut shut;
	int64_t begun, turned_at, paced_ms, lessons_ms; /* jobs so far; when things were done last */
	bool waiting;                                   /* somebody waits for room, or is due later, */
	int64_t next_at;                                /* not sooner than then, if not for room (wall) */
};

static void *slot_main(void *arg)
{
	struct slot *s = arg;
	job_run(&s->pool->work, &s->user, s->stop, &s->live);
	atomic_store(&s->ended, true);
	return NULL;
}

static void reap(struct pool *p)
{
	for (size_t i = 0; i < POOL_JOBS; i++) {
		struct slot *s = &p->slots[i];
		if (!s->used || !atomic_load(&s->ended))
			continue;
		pthread_join(s->thread, NULL);
		if (s->live.gave_until)
			shut_note(&p->shut, s->user.id, atomic_load(&s->live.source_pauses), s->live.gave_until);
		live_end(&s->live, p->work.store);
		stop_free(&s->stop);
		s->used = false;
		p->active--;
	}
}

static int start(struct pool *p, const struct user *u, struct err *err)
{
	size_t i = 0;
	while (i < POOL_JOBS && p->slots[i].used)
		i++;
	struct slot *s = &p->slots[i]; /* the caller has seen that one is free */
	memset(s, 0, sizeof *s);
	s->pool = p;
	s->user = *u;
	s->order = p->begun++;
	s->stop = stop_new(p->stop);
	live_begin(&s->live, p->work.store, u);
	atomic_store(&s->live.source_pauses, shut_take(&p->shut, u->id, clock_wall_s()));
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, JOB_STACK);
	int rc = s->stop ? pthread_create(&s->thread, &attr, slot_main, s) : -1;
	pthread_attr_destroy(&attr);
	if (rc) {
		live_end(&s->live, p->work.store);
		stop_free(&s->stop);
		struct err why = ERR_INIT;
		err_set(&why, ERR_BUSY, "no thread or descriptor is left for another mailbox");
		return store_user_state(
			p->work.store, u->id, u->lease_epoch, USER_QUEUED, &why, clock_wall_s() + 60, err);
	}
	s->used = true;
	p->active++;
	log_line(LOG_INFO, "mailbox %s -> %s: begun", u->source_user, u->address);
	return 0;
}

/* Claims as many as have room. */
static int claim(struct pool *p, struct err *err)
{
	p->waiting = false;
	while (p->active < POOL_JOBS && !stop_is_asked(p->stop)) {
		struct user u;
		bool found = false;
		int64_t next_at = 0;
		if (store_user_claim(p->work.store, p->conf->batch_id, &u, &found, &next_at, err))
			return -1;
		p->waiting = next_at > 0;
		p->next_at = next_at;
		if (!found)
			return 0;
		if (start(p, &u, err))
			return -1;
	}
	return 0;
}

/* A server that says nothing any more does not hold a stop for minutes. */
static void cut_overdue(struct pool *p)
{
	int64_t now = clock_mono_ms();
	for (size_t i = 0; i < POOL_JOBS; i++) {
		struct slot *s = &p->slots[i];
		if (!s->used || !stop_is_asked(s->stop))
			continue;
		if (!s->drain_ms)
			s->drain_ms = now;
		if (now - s->drain_ms >= DRAIN_MS && stop_level(s->stop) < STOP_NOW)
			stop_request(s->stop, STOP_NOW);
	}
}

static void stop_unwanted(struct pool *p)
{
	for (size_t i = 0; i < POOL_JOBS; i++) {
		struct slot *s = &p->slots[i];
		enum user_want want;
		struct err err = ERR_INIT;
		if (!s->used || stop_is_asked(s->stop))
			continue;
		if (store_user_wanted(p->work.store, s->user.id, &want, &err) == 0 && want == WANT_NOTHING)
			stop_request(s->stop, STOP_DRAIN);
	}
}

/* --- windows, rates, how many at once ------------------------------------------------------------ */

static void part(struct slot *s, enum binding binding, const struct err *why)
{
	live_part(&s->live, binding, why);
	stop_request(s->stop, STOP_DRAIN);
}

/* With NF_FAILPOINTS, NIGHTFERRY_LIMIT_SCALE makes it shorter, as it does windows (engine/limit.c). */
static int64_t shut_s(void)
{
#ifdef NF_FAILPOINTS
	const char *text = getenv("NIGHTFERRY_LIMIT_SCALE");
	return (int64_t)(SHUT_S * (text ? strtod(text, NULL) : 1));
#else
	return SHUT_S;
#endif
}

/* A mailbox that a server shut for long gives its place to one that waits; its scope keeps the fence.
   Not for a short while: it may be the largest, and comes back only when there is room. */
static bool part_shut(struct pool *p, struct slot *s, int64_t wall)
{
	const struct live_row *r = &s->live.row;
	struct err why = ERR_INIT;
	char at[CLOCK_TEXT];
	if (!p->waiting || p->next_at > wall + SHUT_S || !s->live.is_shut || r->binding != BIND_FENCE ||
		r->fenced_until - wall < shut_s())
		return false;
	clock_format(r->fenced_until, at, sizeof at);
	err_set(&why, ERR_DEFERRED, "deferred until %s: %s; others go on meanwhile", at, r->detail);
	snprintf(why.server, sizeof why.server, "%s", r->fence_words);
	why.retry_after_ms = (r->fenced_until - wall) * 1000;
	log_line(LOG_INFO, "mailbox %s: back into the queue, %s", s->user.source_user, why.text);
	s->live.gave_until = r->fenced_until;
	part(s, BIND_FENCE, &why);
	return true;
}

/* A mailbox more than its batch may have now goes back into the queue: the one that began last. */
static void part_surplus(struct pool *p, struct course *c)
{
	unsigned most = course_mailboxes(c);
	struct err why = ERR_INIT;
	err_set(&why, ERR_DEFERRED, "fewer mailboxes at once (%u): it goes on when there is room", most);
	why.retry_after_ms = -1;
	for (; most && c->active > most; c->active--) {
		struct slot *last = NULL;
		for (size_t i = 0; i < POOL_JOBS; i++) {
			struct slot *s = &p->slots[i];
			if (s->used && !stop_is_asked(s->stop) && s->user.batch_id == c->batch.id &&
				(!last || s->order > last->order))
				last = s;
		}
		if (!last)
			return;
		log_line(LOG_INFO, "mailbox %s: back into the queue, %s", last->user.source_user, why.text);
		part(last, BIND_NOTHING, &why);
	}
}

/* Every mailbox is looked at, and told what a person or the clock changed. */
static void follow(struct pool *p, int64_t wall)
{
	for (size_t i = 0; i < p->roster.n; i++) {
		struct course *c = &p->roster.v[i];
		c->active = c->held_back = 0;
		c->per_s = 0;
	}
	for (size_t i = 0; i < POOL_JOBS; i++) {
		struct slot *s = &p->slots[i];
		struct course *c = s->used ? roster_find(&p->roster, s->user.batch_id) : NULL;
		if (!c)
			continue;
		struct limit_rates rates;
		course_rates(c, &rates);
		live_look(&s->live, p->work.store, rates.share);
		if (stop_is_asked(s->stop))
			continue;
		live_set(&s->live, &rates, c->batch.uploads ? c->batch.uploads : 1);
		if (c->closed.kind != ERR_NONE) {
			part(s, BIND_WINDOW, &c->closed);
			continue;
		}
		if (part_shut(p, s, wall))
			continue;
		enum binding b = s->live.row.binding;
		c->active++;
		c->troubles += atomic_exchange(&s->live.troubles, 0);
		c->held_back += b == BIND_RATE || b == BIND_WINDOW || b == BIND_FENCE;
		c->per_s += s->live.work_per_s;
	}
	for (size_t i = 0; i < p->roster.n; i++)
		part_surplus(p, &p->roster.v[i]);
}

static void save_lessons(struct pool *p, int64_t now_ms)
{
	if (now_ms - p->lessons_ms < LESSONS_MS)
		return;
	p->lessons_ms = now_ms;
	for (size_t i = 0; i < POOL_JOBS; i++)
		if (p->slots[i].used)
			live_save_lessons(&p->slots[i].live, p->work.store);
}

/* Reads what people changed, and the clock; before anybody is claimed. The wall clock may jump either way: it is asked anew each time. */
static int turn(struct pool *p, bool changed, struct err *err)
{
	int64_t wall = clock_wall_s(), now_ms = clock_mono_ms();
	if (changed && roster_read(&p->roster, p->work.store, err))
		return -1;
	if ((changed || wall != p->turned_at) && roster_turn(&p->roster, p->work.store, wall, err))
		return -1;
	p->turned_at = wall;
	follow(p, wall);
	if (now_ms - p->paced_ms >= PACE_MS) {
		p->paced_ms = now_ms;
		if (roster_pace(&p->roster, p->work.store, now_ms, p->waiting, err))
			return -1;
	}
	save_lessons(p, now_ms);
	return 0;
}

/* May a run of one batch end although it is not done? Not while it only waits for its window or for a new day. */
static int waits_for_clock(struct pool *p, bool *waits, struct err *err)
{
	struct course *c = p->conf->batch_id ? roster_find(&p->roster, p->conf->batch_id) : NULL;
	int64_t next_at = 0;
	*waits = false;
	if (!c || c->now.over || c->now.open_at == INT64_MAX || c->batch.state == BATCH_STOPPING)
		return 0;
	*waits = c->now.open_at > 0;
	if (!*waits && store_deferred_next(p->work.store, c->batch.id, &next_at, err))
		return -1;
	*waits |= next_at > 0;
	return 0;
}

static int loop(struct pool *p, struct err *err)
{
	int64_t version = -1;
	size_t active_before = SIZE_MAX;
	int64_t looked_ms = 0;
	while (!stop_is_asked(p->stop)) {
		reap(p);
		cut_overdue(p);
		int64_t now = clock_mono_ms(), seen = store_version(p->work.store);
		bool changed = seen != version;
		if (turn(p, changed, err))
			return -1;
		bool look = changed || p->active != active_before || now - looked_ms >= 1000;
		if (look) {
			version = seen;
			looked_ms = now;
			stop_unwanted(p);
			if (claim(p, err))
				return -1;
			active_before = p->active;
		}
		bool ends = p->conf->once && look && !p->active, waits = false;
		if (ends && waits_for_clock(p, &waits, err))
			return -1;
		if (ends && !waits)
			return 0;
		clock_sleep_ms(LOOK_MS, stop_fd(p->stop, STOP_DRAIN));
	}
	return 0;
}

static void wait_for_jobs(struct pool *p)
{
	while (p->active) {
		reap(p);
		cut_overdue(p);
		clock_sleep_ms(20, -1);
	}
}

static int take_engine_lock(struct store *store, struct lock **lock, struct err *err)
{
	char path[MODEL_PATH];
	snprintf(path, sizeof path, "%s.lock", store_path(store));
	for (int i = 0; lock_take(lock, path, err); i++) {
		if (err->kind != ERR_CONFLICT || i == LOCK_TRIES) {
			if (err->kind == ERR_CONFLICT) {
				err_wrap(err, "another engine works on this state");
				err_hint(err, "commands reach it through the state; nightferry batch status shows what "
					      "it does");
			}
			return -1;
		}
		clock_sleep_ms(100, -1);
	}
	return 0;
}

int pool_run(struct store *store, const struct pool_conf *conf, struct stop *stop, struct err *err)
{
	struct lock *lock = NULL;
	struct pool *p = calloc(1, sizeof *p);
	if (!p)
		return err_set(err, ERR_MEMORY, "no memory for the engine");
	if (take_engine_lock(store, &lock, err)) {
		free(p);
		return -1;
	}
	p->conf = conf;
	p->stop = stop;
	p->roster.stretch_ms = conf->stretch_ms;
	int rc = work_init(&p->work, store, stop, err);
	if (!rc)
		rc = store_engine_begin(store, conf->crashed, err);
	if (!rc)
		rc = loop(p, err);
	if (rc) /* the store failed: nothing can be recorded any more */
		stop_request(stop, STOP_DRAIN);
	wait_for_jobs(p);
	if (!rc && p->work.fatal.kind != ERR_NONE) {
		*err = p->work.fatal;
		rc = -1;
	}
	shut_done(&p->shut);
	roster_done(&p->roster);
	work_done(&p->work);
	lock_free(&lock);
	free(p);
	return rc;
}
