/* The writer: one thread owns the write connection. Steps are queued; it takes all that are there, runs them in one transaction and
   commits it, so that waiters of many mailboxes share one sync of the disk. Steps that nobody waits for may lie LAZY_MS or until
   LAZY_ITEMS, and go with the next one that somebody waits for. The write lock is held only while a group runs, so that commands of
   other processes get in between.

   A group runs without savepoints first, since steps hardly ever fail. When one does, everything is rolled back and the group runs again
   with a savepoint each, so that only the faulty step is undone. */
#include "engine/store/parts.h"

#include "engine/base/clock.h"

#include <assert.h>
#include <signal.h>

#define LAZY_MS 200
#define LAZY_ITEMS 256
#define QUEUE_ITEMS 1024 /* more: who queues waits (bounds the memory) */
#define TROUBLES 256

struct op {
	struct op *next;
	struct step step; /* run NULL: a flush */
	bool waits, bare, done;
	int rc;
	struct err *err; /* borrowed from the waiter, or owned when queued */
	pthread_t from;
};

struct trouble {
	struct trouble *next;
	int64_t user_id;
	pthread_t from;
	struct err err;
};

struct writer {
	struct db *db; /* owned; the thread's alone once it runs */
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work;  /* something to do */
	pthread_cond_t done;  /* a group is done */
	struct op *queue, **tail;
	struct op *running; /* the group at work; its members are freed under the lock */
	size_t lazy_items;  /* in queue */
	unsigned waiting;   /* ops in queue that somebody waits for */
	int64_t lazy_since; /* mono; of the oldest */
	bool stop;
	uint64_t groups;
	struct trouble *troubles;
	unsigned n_troubles;
};

static void keep_trouble_locked(struct writer *w, const struct op *op)
{
	for (struct trouble *t = w->troubles; t; t = t->next) {
		if (t->user_id == op->step.user_id)
			return; /* the first one says what began it */
	}
	struct trouble *t = w->n_troubles < TROUBLES ? calloc(1, sizeof(*t)) : NULL;
	if (!t)
		return;
	*t = (struct trouble){.next = w->troubles, .user_id = op->step.user_id, .from = op->from, .err = *op->err};
	w->troubles = t;
	w->n_troubles++;
}

/* --- a group --- */

static void fail_group(struct op *list, const struct err *why)
{
	for (struct op *op = list; op; op = op->next) {
		if (op->bare)
			continue;
		op->rc = -1;
		*op->err = *why;
	}
}

static void roll_back(struct db *db)
{
	struct err ignored = ERR_INIT;
	db_quiet(db);
	if (db_in_transaction(db)) /* a full disk has rolled back already */
		db_exec(db, "ROLLBACK", &ignored);
}

static int run_cached(struct db *db, const char *literal, struct err *err)
{
	struct query q;
	query_begin(&q, db, literal);
	return query_run(&q, err);
}

static int run_guarded(struct db *db, struct op *op, struct err *err)
{
	if (run_cached(db, "SAVEPOINT step", err) < 0)
		return -1;
	op->rc = op->step.run(db, op->step.arg, op->err);
	if (op->rc < 0) {
		db_quiet(db);
		if (!db_in_transaction(db)) {
			*err = *op->err;
			return -1;
		}
		if (run_cached(db, "ROLLBACK TO step", err) < 0)
			return -1;
	}
	return run_cached(db, "RELEASE step", err);
}

/* Both sides of the commit, for the tests that kill the process. */
static void pass_failpoints(const struct op *list, bool after)
{
	for (const struct op *op = list; op; op = op->next) {
		enum failpoint p = after ? op->step.after : op->step.before;
		if (op->step.run && op->rc == 0 && p != FAILPOINTS_END)
			failpoint_hit(p);
	}
}

/* 0: committed (each op has its rc). 1: a step failed and nothing was done, run again guarded. -1: nothing was done, err says why. */
static int try_group(struct db *db, struct op *list, bool guarded, struct err *err)
{
	if (run_cached(db, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	for (struct op *op = list; op; op = op->next) {
		if (!op->step.run || op->bare)
			continue;
		if (guarded) {
			if (run_guarded(db, op, err) < 0)
				goto fail;
			continue;
		}
		op->rc = op->step.run(db, op->step.arg, op->err);
		if (op->rc < 0) {
			roll_back(db);
			return 1;
		}
	}
	pass_failpoints(list, false);
	if (run_cached(db, "COMMIT", err) < 0)
		goto fail;
	pass_failpoints(list, true);
	return 0;
fail:
	roll_back(db);
	return -1;
}

static void run_group(struct writer *w, struct op *list)
{
	unsigned steps = 0;
	for (struct op *op = list; op; op = op->next) {
		if (op->bare)
			op->rc = op->step.run(w->db, op->step.arg, op->err);
		else if (op->step.run)
			steps++;
	}
	if (steps == 0)
		return;
	struct err err = ERR_INIT;
	int rc = try_group(w->db, list, false, &err);
	if (rc > 0 && steps > 1)
		rc = try_group(w->db, list, true, &err);
	if (rc < 0)
		fail_group(list, &err);
}

/* --- the thread --- */

/* Waits for something to do; false: stop, and nothing is left. */
static bool wait_for_work_locked(struct writer *w)
{
	while (w->waiting == 0 && w->lazy_items < LAZY_ITEMS && !w->stop) {
		if (!w->queue) {
			pthread_cond_wait(&w->work, &w->lock);
			continue;
		}
		int64_t due = w->lazy_since + LAZY_MS;
		if (clock_mono_ms() >= due)
			break;
		struct timespec at = {.tv_sec = due / 1000, .tv_nsec = due % 1000 * 1000000};
		pthread_cond_timedwait(&w->work, &w->lock, &at);
	}
	return w->queue != NULL;
}

static void end_group_locked(struct writer *w)
{
	struct op *next;
	for (struct op *op = w->running; op; op = next) {
		next = op->next;
		if (op->waits) {
			op->done = true; /* the waiter's own: not to be touched from here on */
			continue;
		}
		if (op->rc < 0)
			keep_trouble_locked(w, op);
		op->step.drop(op->step.arg);
		free(op->err);
		free(op);
	}
	w->running = NULL;
	w->groups++;
}

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	pthread_mutex_lock(&w->lock);
	while (wait_for_work_locked(w)) {
		w->running = w->queue;
		w->queue = NULL;
		w->tail = &w->queue;
		w->lazy_items = 0;
		w->waiting = 0;
		pthread_mutex_unlock(&w->lock);
		run_group(w, w->running);
		pthread_mutex_lock(&w->lock);
		end_group_locked(w);
		pthread_mutex_unlock(&w->lock);
		pthread_cond_broadcast(&w->done); /* who wakes finds the lock free */
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int writer_start(struct writer **out, struct db **db, struct err *err)
{
	*out = NULL;
	struct writer *w = calloc(1, sizeof(*w));
	if (!w)
		return err_set(err, ERR_MEMORY, "out of memory for the store");
	w->tail = &w->queue;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->work, &attr);
	pthread_cond_init(&w->done, &attr);
	pthread_condattr_destroy(&attr);
	w->db = *db;
	sigset_t all, old; /* signals go to one thread, and that is not this one */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	int rc = pthread_create(&w->thread, NULL, writer_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0) {
		free(w);
		return err_set(err, ERR_MEMORY, "the store's thread cannot be started: %s", strerror(rc));
	}
	*db = NULL;
	*out = w;
	return 0;
}

void writer_stop(struct writer **writer)
{
	struct writer *w = *writer;
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	db_close(&w->db);
	struct trouble *next;
	for (struct trouble *t = w->troubles; t; t = next) {
		next = t->next;
		free(t);
	}
	pthread_cond_destroy(&w->work);
	pthread_cond_destroy(&w->done);
	pthread_mutex_destroy(&w->lock);
	free(w);
	*writer = NULL;
}

/* --- what other threads call --- */

/* true: the writer is to be woken, best when the lock is free again. */
static bool append_locked(struct writer *w, struct op *op)
{
	assert(!w->stop);
	*w->tail = op;
	w->tail = &op->next;
	if (op->waits)
		w->waiting++;
	else if (w->lazy_items == 0)
		w->lazy_since = clock_mono_ms();
	bool was = w->lazy_items >= LAZY_ITEMS;
	bool first = w->lazy_items == 0;
	if (!op->waits)
		w->lazy_items += op->step.weight;
	return op->waits || first || (!was && w->lazy_items >= LAZY_ITEMS);
}

static void append_and_wait_locked(struct writer *w, struct op *op)
{
	if (append_locked(w, op)) {
		pthread_mutex_unlock(&w->lock);
		pthread_cond_signal(&w->work);
		pthread_mutex_lock(&w->lock);
	}
	while (!op->done)
		pthread_cond_wait(&w->done, &w->lock);
}

static int wait_for(struct writer *w, struct op *op)
{
	pthread_mutex_lock(&w->lock);
	append_and_wait_locked(w, op);
	pthread_mutex_unlock(&w->lock);
	return op->rc;
}

int writer_do(struct writer *w, const struct step *step, struct err *err)
{
	struct op op = {.step = *step, .waits = true, .err = err};
	return wait_for(w, &op);
}

int writer_bare(struct writer *w, store_step *run, void *arg, struct err *err)
{
	struct op op = {.step = {.run = run, .arg = arg}, .waits = true, .bare = true, .err = err};
	return wait_for(w, &op);
}

int writer_queue(struct writer *w, const struct step *step, struct err *err)
{
	struct op *op = calloc(1, sizeof(*op));
	struct err *own = calloc(1, sizeof(*own));
	if (!op || !own) {
		free(op);
		free(own);
		step->drop(step->arg);
		return err_set(err, ERR_MEMORY, "out of memory for the store's queue");
	}
	*own = ERR_INIT;
	*op = (struct op){.step = *step, .err = own, .from = pthread_self()};
	if (op->step.weight == 0)
		op->step.weight = 1;
	pthread_mutex_lock(&w->lock);
	while (w->lazy_items >= QUEUE_ITEMS)
		pthread_cond_wait(&w->done, &w->lock);
	bool wakes = append_locked(w, op);
	pthread_mutex_unlock(&w->lock);
	if (wakes)
		pthread_cond_signal(&w->work);
	return 0;
}

int writer_flush(struct writer *w, struct err *err)
{
	struct op op = {.waits = true, .err = err};
	int rc = 0;
	pthread_mutex_lock(&w->lock);
	if (w->queue || w->running) {
		append_and_wait_locked(w, &op);
		rc = op.rc;
	}
	for (struct trouble *t = w->troubles; t && rc == 0; t = t->next) {
		if (pthread_equal(t->from, pthread_self())) {
			*err = t->err;
			rc = -1;
		}
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}

static bool list_claims(const struct op *list, int64_t dest_folder_id, const char *id)
{
	for (const struct op *op = list; op; op = op->next) {
		for (size_t i = 0; i < op->step.n_claims; i++) {
			const struct item *item = &op->step.claims[i];
			if (item->dest_folder_id == dest_folder_id && strcmp(item->receipt.id, id) == 0)
				return true;
		}
	}
	return false;
}

bool writer_claims(struct writer *w, int64_t dest_folder_id, const char *id)
{
	pthread_mutex_lock(&w->lock);
	bool found = list_claims(w->queue, dest_folder_id, id) || list_claims(w->running, dest_folder_id, id);
	pthread_mutex_unlock(&w->lock);
	return found;
}

uint64_t writer_groups(struct writer *w)
{
	pthread_mutex_lock(&w->lock);
	uint64_t groups = w->groups;
	pthread_mutex_unlock(&w->lock);
	return groups;
}

void writer_trouble(struct writer *w, int64_t user_id, struct err *out)
{
	err_clear(out);
	pthread_mutex_lock(&w->lock);
	for (struct trouble **at = &w->troubles; *at; at = &(*at)->next) {
		struct trouble *t = *at;
		if (t->user_id != user_id)
			continue;
		*out = t->err;
		*at = t->next;
		free(t);
		w->n_troubles--;
		break;
	}
	pthread_mutex_unlock(&w->lock);
}
