#include "engine/pool.h"

#include "engine/base/clock.h"
#include "engine/base/lock.h"
#include "engine/base/log.h"
#include "engine/job.h"

#include <stdlib.h>
#include <string.h>

#define POOL_JOBS 256
#define LOOK_MS 200 /* how often what people asked is looked at: `stop` acts within two seconds */
#define JOB_STACK ((size_t)2 * 1024 * 1024)
#define DRAIN_MS 8000 /* what is in flight gets so long to end; then its connections are cut, and it is in doubt */
#define LOCK_TRIES 20 /* a killed engine's lock is free a moment later */

struct slot {
	struct pool *pool;
	struct user user;
	struct stop *stop; /* owned: the mailbox's */
	pthread_t thread;
	bool used;
	int64_t drain_ms; /* mono clock; when it was asked to end; 0: not yet */
	_Atomic bool ended;
};

struct pool {
	struct work work;
	const struct pool_conf *conf;
	struct stop *stop;
	struct slot slots[POOL_JOBS];
	size_t active;
};

static void *slot_main(void *arg)
{
	struct slot *s = arg;
	job_run(&s->pool->work, &s->user, s->stop);
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
	s->stop = stop_new(p->stop);
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, JOB_STACK);
	int rc = s->stop ? pthread_create(&s->thread, &attr, slot_main, s) : -1;
	pthread_attr_destroy(&attr);
	if (rc) {
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

/* Claims as many as have room. *waiting: somebody is due later. */
static int claim(struct pool *p, bool *waiting, struct err *err)
{
	*waiting = false;
	while (p->active < POOL_JOBS && !stop_is_asked(p->stop)) {
		struct user u;
		bool found = false;
		int64_t next_at = 0;
		if (store_user_claim(p->work.store, p->conf->batch_id, &u, &found, &next_at, err))
			return -1;
		*waiting = next_at > 0;
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

static int loop(struct pool *p, struct err *err)
{
	int64_t version = -1;
	size_t active_before = SIZE_MAX;
	int64_t looked_ms = 0;
	bool waiting = false;
	while (!stop_is_asked(p->stop)) {
		reap(p);
		cut_overdue(p);
		int64_t now = clock_mono_ms(), seen = store_version(p->work.store);
		if (seen != version || p->active != active_before || now - looked_ms >= 1000) {
			version = seen;
			looked_ms = now;
			stop_unwanted(p);
			if (claim(p, &waiting, err))
				return -1;
			active_before = p->active;
		}
		if (p->conf->once && !p->active)
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
	work_done(&p->work);
	lock_free(&lock);
	free(p);
	return rc;
}
