#include "engine/job.h"

#include "engine/base/clock.h"
#include "engine/base/failpoint.h"
#include "engine/base/log.h"
#include "engine/intent.h"
#include "engine/plan.h"
#include "engine/renamed.h"
#include "engine/wanted.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define QUEUE_BYTES ((uint64_t)4 * 1024 * 1024)
#define BACK_OFF_FIRST_MS 500
#define BACK_OFF_MOST_MS 60000
#define BACK_OFF_STATED_MS 5000                /* a server that throttles and says for how long: beside what it says */
#define BACK_OFF_THROTTLED_MS (15 * 60 * 1000) /* a server that throttles and does not say for how long */
#define RETRY_USER_S 300 /* a mailbox that failed for a passing reason is tried again after this, times its tries */
#define RETRY_FOLDER \
	3        /* so often by itself, where a folder is the reason and nothing more was moved: a person must look */
#define ROUNDS 6 /* passes over folders whose UIDVALIDITY changed or whose messages were withdrawn */
#define SPARED_ROUNDS 2 /* of them: what a busy side refuses is tried once more in the next */

void job_fail(struct job *j, const struct err *why)
{
	pthread_mutex_lock(&j->lock);
	bool first = j->fatal.kind == ERR_NONE;
	if (first)
		j->fatal = *why;
	pthread_mutex_unlock(&j->lock);
	stop_request(j->stop, STOP_DRAIN);
	if (first && why->kind != ERR_STOPPED)
		log_err(LOG_WARN, why, "batch %s, mailbox %s", j->batch.name, j->user.source_user);
}

bool job_is_over(struct job *j)
{
	return stop_is_asked(j->stop);
}

void job_sleep(struct job *j, enum live_side side, int64_t ms, const struct err *why)
{
	live_wait(j->live, side, clock_mono_ms() + ms, why);
	clock_sleep_ms(ms, stop_fd(j->stop, STOP_DRAIN));
	live_woke(j->live, side);
}

int job_back_off(struct job *j, enum live_side side, const struct tries *t, struct err *err)
{
	struct err why = *err;
	unsigned first = j->source_login.endpoint.retry_ms;
	int64_t ms = first ? first : BACK_OFF_FIRST_MS;
	int64_t most = !err_asks_to_wait(&why)  ? BACK_OFF_MOST_MS
		       : why.retry_after_ms > 0 ? BACK_OFF_STATED_MS
						: BACK_OFF_THROTTLED_MS;
	for (unsigned i = 1; i < t->pauses && ms < most; i++)
		ms *= 2;
	if (ms > most)
		ms = most;
	if (why.retry_after_ms > ms)
		ms = why.retry_after_ms;
	job_sleep(j, side, ms, &why);
	err_clear(err);
	return job_is_over(j) ? err_set(err, ERR_STOPPED, "stopped while waiting to try again") : 0;
}

/* --- connections ------------------------------------------------------------------------------- */

static int note_sign_in(struct job *j, bool ok, struct err *why)
{
	struct err err = ERR_INIT;
	bool paused = false;
	if (store_endpoint_sign_in(j->work->store, j->batch.endpoint_id, j->user.id, ok, &paused, &err))
		log_err(LOG_ERROR, &err, "endpoint %s", j->source_login.endpoint.name);
	if (paused)
		err_hint(why,
			"three sign-ins in a row were refused: sign-ins at endpoint %s are paused before the host bans "
			"this address; "
			"check the passwords, then: nightferry endpoint test %s",
			j->source_login.endpoint.name, j->source_login.endpoint.name);
	return 0;
}

void job_source_failed(struct job *j, const struct err *why)
{
	if (!j->source_tries.failures)
		j->failing_since_ms = clock_mono_ms();
	tries_note(&j->source_tries, why);
	atomic_store(&j->live->source_pauses, j->source_tries.pauses);
	limit_source_refused(j, why);
}

int job_source(struct job *j, struct err *err)
{
	while (!j->source) {
		if (job_is_over(j))
			return err_set(err, ERR_STOPPED, "stopped");
		*err = ERR_INIT;
		if (!conn_open(&j->source, &j->source_login.conf, j->stop, NULL, NULL, err)) {
			note_sign_in(j, true, err);
			j->source_reached = true;
			return 0;
		}
		err_wrap(err, "source %s", j->source_login.endpoint.name);
		job_source_failed(j, err);
		if (err->kind == ERR_CREDENTIALS || err->kind == ERR_BANNED)
			note_sign_in(j, false, err);
		enum err_action act = err_action(err->kind);
		if (act != ACT_RETRY && act != ACT_WAIT)
			return -1;
		if (j->source_tries.failures >= (j->source_reached ? JOB_TRIES : JOB_FIRST_TRIES))
			return -1;
		log_err(LOG_INFO, err, "mailbox %s: the source will be tried again", j->user.source_user);
		if (job_back_off(j, LIVE_SOURCE, &j->source_tries, err))
			return -1;
	}
	return 0;
}

void job_drop_source(struct job *j)
{
	conn_close(&j->source);
}

int job_source_again(struct job *j, struct tries *t, struct err *err)
{
	if (!tries_go_on(t, err, JOB_TRIES))
		return -1;
	job_drop_source(j);
	return job_back_off(j, LIVE_SOURCE, t, err);
}

int job_copy_ref(struct job *j, struct route_folder *f, unsigned r, struct folder_ref *out, struct err *err)
{
	pthread_mutex_lock(&j->lock);
	const struct folder_ref *ref = &f->refs[r];
	bool known = ref->path != NULL;
	*out = (struct folder_ref){.path = strdup(known ? ref->path : ""),
		.id = strdup(ref->id ? ref->id : ""),
		.generation = strdup(ref->generation ? ref->generation : ""),
		.mark = strdup(ref->mark ? ref->mark : ""),
		.existing = ref->existing};
	pthread_mutex_unlock(&j->lock);
	if (known && out->path && out->id && out->generation && out->mark)
		return 0;
	folder_ref_done(out);
	return known ? err_set(err, ERR_MEMORY, "no memory")
		     : err_set(err, ERR_FOLDER, "route %s does not know the destination folder",
			       j->routes[r].ops->name);
}

void job_set_ref(struct job *j, struct route_folder *f, unsigned r, struct folder_ref *ref)
{
	pthread_mutex_lock(&j->lock);
	folder_ref_done(&f->refs[r]);
	f->refs[r] = *ref;
	pthread_mutex_unlock(&j->lock);
	*ref = (struct folder_ref){0};
}

void job_fail_folder(struct job *j, struct route_folder *f, const struct err *why)
{
	const char *name = f->source ? f->source->name : f->dest.path;
	if (!f->failed)
		j->failed_folders++;
	f->failed = true;
	if (j->folder_error.kind == ERR_NONE) {
		j->folder_error = *why;
		j->folder_error.kind = ERR_FOLDER;
		err_wrap_name(&j->folder_error, "folder", name);
	}
	log_err(LOG_WARN, why, "batch %s, mailbox %s, folder %s", j->batch.name, j->user.source_user, name);
}

bool job_spares(struct job *j, struct route_folder *f, enum live_side side, const struct err *why)
{
	bool passes = why->kind == ERR_BUSY || (why->kind == ERR_LOST && why->server[0]);
	pthread_mutex_lock(&j->lock);
	bool spares = passes && j->round < SPARED_ROUNDS;
	if (spares && j->spared.kind == ERR_NONE) {
		j->spared = *why;
		j->spared_by = side;
	}
	pthread_mutex_unlock(&j->lock);
	if (spares)
		atomic_store(&f->unfinished, true);
	return spares;
}

/* --- the life of a job --------------------------------------------------------------------------- */

/* A new round begins; who was busy in the last gets some time before. */
static int begin_round(struct job *j, unsigned round, struct err *err)
{
	pthread_mutex_lock(&j->lock);
	struct err why = j->spared;
	enum live_side side = j->spared_by;
	j->spared = ERR_INIT;
	j->round = round;
	pthread_mutex_unlock(&j->lock);
	if (why.kind == ERR_NONE)
		return 0;
	*err = why;
	return job_back_off(j, side, &(struct tries){.pauses = round}, err);
}

static int walk_folders(struct job *j, struct err *err)
{
	bool again = true;
	for (unsigned round = 0; again && round < ROUNDS; round++) {
		again = false;
		if (begin_round(j, round, err))
			return -1;
		for (size_t i = 0; i < j->list.n; i++) {
			struct route_folder *f = &j->folders[i];
			if (f->finished || f->failed || !wanted_folder(&j->batch, f->source, f->mapping))
				continue;
			if (job_is_over(j))
				return err_set(err, ERR_STOPPED, "stopped");
			if (store_user_now(j->work->store, j->user.id, j->user.lease_epoch, f->source->name, err))
				return -1;
			if (pass_folder(j, f, err))
				return err_wrap_name(err, "folder", f->source->name);
			again |= !f->finished && !f->failed;
		}
		if (parcel_queue_drain(j->queue, err) || store_flush(j->work->store, err))
			return -1;
		store_trouble(j->work->store, j->user.id, err);
		if (err->kind != ERR_NONE)
			return -1;
		if (doubt_settle(j, err) || doubt_settle_orphans(j, err))
			return -1;
		for (size_t i = 0; i < j->list.n; i++) {
			struct route_folder *f = &j->folders[i];
			if (atomic_exchange(&f->unfinished, false))
				f->finished = false;
			/* Also what was to be sent again after a doubt and could not be fetched. */
			again |= f->opened && !f->finished && !f->failed;
		}
	}
	if (again)
		return err_set(err, ERR_CHANGED, "the source's folders kept changing while they were read");
	if (j->failed_folders) {
		*err = j->folder_error;
		if (j->failed_folders > 1)
			err_wrap(err, "%u folders could not be moved, the first", j->failed_folders);
		if (!err->hint[0])
			err_hint(err, "all other folders were moved; start the user again, or leave the folder out "
				      "with --exclude");
		return -1;
	}
	return 0;
}

static int start_putters(struct job *j, struct err *err)
{
	bool ok = true;
	parcel_queue_set_takers(j->queue, j->batch.uploads);
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 1024 * 1024); /* libetpan puts 64 KiB on the stack (spec/imap.md 1) */
	for (unsigned r = 0; r < j->n_routes; r++) {
		/* Where a person says how many, all of them: those beyond sleep until more are asked for. */
		unsigned fixed = route_putters(j, r),
			 most = !route_carries(j, r) ? 0
				: fixed              ? fixed
						     : JOB_UPLOADS,
			 n = 0;
		if (fixed)
			parcel_queue_fix_takers(j->queue, r, fixed);
		for (; n < most; n++) {
			struct putter_thread *t = &j->putters[j->n_putters];
			*t = (struct putter_thread){.job = j, .route = r};
			if (pthread_create(&t->thread, &attr, putter_main, t))
				break;
			j->n_putters++;
		}
		ok = ok && (n > 0 || most == 0);
	}
	pthread_attr_destroy(&attr);
	return ok ? 0 : err_set(err, ERR_MEMORY, "no thread for the upload");
}

static int prepare(struct job *j, struct err *err)
{
	struct store *s = j->work->store;
	struct endpoint e;
	struct target_row t;
	if (store_batch_by_id(s, j->user.batch_id, &j->batch, err) ||
		store_endpoint_by_id(s, j->batch.endpoint_id, &e, err) ||
		store_target_by_id(s, j->batch.target_id, &t, err) ||
		source_login_init(&j->source_login, s, &e, j->user.source_user, j->user.id, err) ||
		target_login_init(&j->target_login, j->work, &t, j->user.address, j->user.id, err))
		return -1;
	if (limit_open(j, err) || route_plan(j, err))
		return -1;
	j->queue = parcel_queue_new(QUEUE_BYTES, j->stop);
	j->memory = budget_new_within(WORK_OWN_BYTES, j->work->memory);
	if (!j->queue || !j->memory)
		return err_set(err, ERR_MEMORY, "no memory for the queue");
	live_attach(j->live, &j->limits, j->queue);
	return 0;
}

static int note_alias(struct job *j, const char *own, struct err *err)
{
	char text[MODEL_ERROR];
	bool first_name = strstr(own, ".onmicrosoft.com") || strstr(j->user.address, ".onmicrosoft.com");
	snprintf(text, sizeof text, "%.300s is %s of the mailbox that the destination calls %.300s", j->user.address,
		first_name ? "another name" : "an alias", own);
	return store_note(j->work->store, j->user.id, "alias", text, err);
}

/* Resolved once to what the destination itself calls the mailbox, by a route that can; else the address serves. */
static int resolve(struct job *j, struct err *err)
{
	struct target_login *l = &j->target_login;
	char id[MODEL_TEXT] = "", own[MODEL_TEXT] = "";
	if (j->user.dest_id[0] && strcmp(j->user.dest_id, j->user.address) != 0)
		return 0;
	for (unsigned r = 0; r < j->n_routes && !id[0]; r++) {
		const struct job_route *route = &j->routes[r];
		if (!route_carries(j, r) || !route->ops->identify || !route->target)
			continue;
		struct tries tries = {0};
		int rc = 0;
		while ((rc = route_target(j, r, err) ? -2
						     : route->ops->identify(route->target, id, sizeof id, own,
							       sizeof own, err)) == -1 &&
			!route_again(j, r, &tries, err))
			;
		if (!rc)
			continue;
		if (route_leave(j, r, err))
			return -1;
		id[0] = 0;
	}
	if (!id[0] && j->user.dest_id[0])
		return 0;
	if (own[0] && strcasecmp(own, j->user.address) != 0 && note_alias(j, own, err))
		return -1;
	if (store_user_dest_id(j->work->store, j->user.id, j->user.lease_epoch, id[0] ? id : j->user.address, own, err))
		return -1;
	if (id[0]) { /* the putters are not there yet: nobody else reads it */
		snprintf(l->user_id, sizeof l->user_id, "%s", id);
		l->conf.user_id = l->user_id;
	}
	return 0;
}

static int move(struct job *j, struct err *err)
{
	if (prepare(j, err))
		return -1;
	if (store_user_state(j->work->store, j->user.id, j->user.lease_epoch, USER_VALIDATING, NULL, 0, err))
		return -1;
	if (route_open_all(j, err) || resolve(j, err) || plan_folders(j, err))
		return -1;
	enum user_state busy = j->user.completing    ? USER_COMPLETING
			       : j->user.incremental ? USER_INCREMENTAL_SYNCING
						     : USER_SYNCING;
	if (store_user_state(j->work->store, j->user.id, j->user.lease_epoch, busy, NULL, 0, err) ||
		start_putters(j, err))
		return -1;
	return walk_folders(j, err) || renamed_note(j, err) ? -1 : 0;
}

static void stop_putters(struct job *j)
{
	if (!j->queue)
		return;
	parcel_queue_close(j->queue);
	for (unsigned i = 0; i < j->n_putters; i++)
		pthread_join(j->putters[i].thread, NULL);
	/* Never begun: the intents are void, so that the next run need not look for them. */
	struct parcel *rest = parcel_queue_rest(j->queue);
	intent_withdraw(j, &rest);
}

/* Of this machine, and the same for every mailbox. Other kinds that stop a run concern one mailbox where a job meets them. */
static bool ends_run(enum err_kind kind)
{
	return kind == ERR_DISK || kind == ERR_STORE || kind == ERR_VAULT;
}

static void finish(struct job *j, int rc, struct err *err)
{
	struct store *s = j->work->store;
	pthread_mutex_lock(&j->lock);
	if (j->fatal.kind != ERR_NONE) {
		rc = -1;
		*err = j->fatal;
	}
	pthread_mutex_unlock(&j->lock);
	struct err late = ERR_INIT, trouble;
	int flushed = store_flush(s, &late);
	store_trouble(s, j->user.id, &trouble); /* taken in any case: it is not the next run's */
	if (!rc && (flushed || trouble.kind != ERR_NONE)) {
		rc = -1;
		*err = flushed ? late : trouble;
	}
	if (rc && (err->kind == ERR_STOPPED || err->kind == ERR_DEFERRED))
		live_take_parting(j->live, err);
	failpoint_hit(FP_USER_BEFORE_FINISH);
	enum user_state state = j->user.completing ? USER_COMPLETED : USER_SYNCED;
	int64_t retry_at = 0;
	if (rc && err->kind == ERR_STOPPED) {
		/* The person stopped this user; or the engine stops, and the next one goes on with it. */
		state = stop_is_asked(j->work->stop) ? USER_QUEUED : USER_STOPPED;
		rc = 0;
	} else if (rc && err->kind == ERR_DEFERRED) {
		state = USER_QUEUED;
		retry_at = err->retry_after_ms > 0 ? clock_wall_s() + (err->retry_after_ms + 999) / 1000 : 0;
	} else if (rc && ends_run(err->kind)) {
		state = USER_QUEUED; /* nothing is wrong with this mailbox: it goes on when the machine is well again */
		work_fail(j->work, err);
	} else if (rc) {
		state = USER_FAILED;
		enum err_action act = err_action(err->kind);
		int64_t wait = RETRY_USER_S * (int64_t)(j->user.tries + 1);
		if (err->retry_after_ms > wait * 1000)
			wait = err->retry_after_ms / 1000 + 1;
		if (act == ACT_RETRY || act == ACT_WAIT || (act == ACT_SKIP_FOLDER && j->user.tries < RETRY_FOLDER) ||
			(act == ACT_STOP_MAILBOX && err->retry_after_ms > 0))
			retry_at = clock_wall_s() + wait;
	}
	struct err why = *err;
	live_conclude(j->live, s);
	if (store_user_state(s, j->user.id, j->user.lease_epoch, state, rc ? &why : NULL, retry_at, err)) {
		log_err(LOG_ERROR, err, "mailbox %s: its state could not be saved", j->user.source_user);
		if (ends_run(err->kind))
			work_fail(j->work, err);
	}
	if (rc && state == USER_FAILED)
		log_err(LOG_WARN, &why, "batch %s, mailbox %s: %s", j->batch.name, j->user.source_user,
			user_state_name(state));
	else
		log_line(LOG_INFO, "batch %s, mailbox %s: %s", j->batch.name, j->user.source_user,
			user_state_name(state));
}

static void job_done(struct job *j)
{
	live_detach(j->live);
	job_drop_source(j);
	route_close_all(j);
	limit_close(j);
	for (size_t i = 0; j->folders && i < j->list.n; i++) {
		generation_done(&j->folders[i].generation);
		dest_folder_done(&j->folders[i].dest);
		for (unsigned r = 0; r < JOB_ROUTES; r++)
			folder_ref_done(&j->folders[i].refs[r]);
	}
	free(j->folders);
	adopt_done(j);
	map_done(&j->mappings, j->list.n);
	folder_list_done(&j->list);
	parcel_queue_free(&j->queue);
	budget_free(&j->memory);
	source_login_done(&j->source_login);
	target_login_done(&j->target_login);
	stop_free(&j->stop);
	pthread_mutex_destroy(&j->lock);
}

void job_run(struct work *work, const struct user *user, struct stop *stop, struct live *live)
{
	struct job *j = calloc(1, sizeof *j);
	if (!j) {
		struct err none = ERR_INIT, late = ERR_INIT;
		err_set(&none, ERR_MEMORY, "no memory for another mailbox");
		log_err(LOG_ERROR, &none, "mailbox %s", user->source_user);
		if (store_user_state(
			    work->store, user->id, user->lease_epoch, USER_QUEUED, &none, clock_wall_s() + 60, &late))
			log_err(LOG_ERROR, &late, "mailbox %s: its state could not be saved", user->source_user);
		return;
	}
	j->work = work;
	j->user = *user;
	j->fatal = j->spared = ERR_INIT;
	j->folder_error = ERR_INIT;
	j->begun_ms = clock_mono_ms();
	j->stop = stop;
	j->live = live;
	j->source_tries.pauses = atomic_load(&live->source_pauses);
	pthread_mutex_init(&j->lock, NULL);
	struct err err = ERR_INIT;
	int rc = (j->stop = stop_new(stop)) ? move(j, &err)
					    : err_set(&err, ERR_MEMORY, "no descriptor for the stop token");
	if (rc && err.kind != ERR_STOPPED)
		err_wrap(&err, "mailbox %s", user->source_user);
	stop_putters(j);
	finish(j, rc, &err);
	job_done(j);
	free(j);
}
