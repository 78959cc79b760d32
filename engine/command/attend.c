#include "engine/command/attend.h"

#include "engine/base/clock.h"
#include "engine/base/lock.h"
#include "engine/command/left_behind.h"
#include "engine/command/progress.h"
#include "engine/command/supervisor.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define ATTACHED_MS 500
#define CONFLICTS_MOST 5 /* engines that came and went while this one tried to begin */

static bool is_busy(enum batch_state s)
{
	return s == BATCH_SYNCING || s == BATCH_STOPPING || s == BATCH_COMPLETING;
}

int attend_exit_code(struct store *s, int64_t batch_id, struct err *err)
{
	struct user *v = NULL;
	size_t n = 0;
	int code = EXIT_DONE;
	if (store_user_list(s, batch_id, &v, &n, err))
		return -1;
	bool all_sign_in = true, failed = false, stopped = false, deferred = false, skipped = false, gone = false;
	struct pace pace;
	struct left_behind left;
	if (store_pace_get(s, batch_id, &pace, err) || store_left_behind(s, batch_id, 0, &left, err)) {
		free(v);
		return -1;
	}
	skipped = left_behind_any(&left);
	for (size_t i = 0; i < n; i++) {
		if (v[i].state == USER_FAILED) {
			failed = true;
			all_sign_in &= v[i].error_kind == ERR_CREDENTIALS || v[i].error_kind == ERR_BANNED ||
				       v[i].error_kind == ERR_RIGHTS;
		} else if (v[i].state != USER_SYNCED && v[i].state != USER_COMPLETED &&
			   v[i].state != USER_COMPLETED_WITH_WARNINGS) {
			stopped = true;
			deferred |= v[i].state == USER_QUEUED && (v[i].error_kind == ERR_DEFERRED || pace.open_at);
		}
		skipped |= v[i].counts.skipped || v[i].counts.refused;
		gone |= v[i].counts.gone > 0;
	}
	if (failed)
		code = all_sign_in ? EXIT_SIGN_IN : EXIT_FAILED;
	else if (deferred)
		code = EXIT_DEFERRED;
	else if (stopped)
		code = EXIT_STOPPED;
	else if (skipped)
		code = EXIT_SKIPPED;
	else if (gone)
		code = EXIT_CHANGED;
	free(v);
	return code;
}

/* Another engine moves the batch: look on until it is done, or the engine is gone. */
static int look_on(struct cli *c, int64_t batch_id, struct progress *p, const char *lock_path, bool *interrupted,
	bool *engine_gone, struct err *err)
{
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &old);
	*interrupted = *engine_gone = false;
	int rc = 0;
	for (;;) {
		struct batch b;
		int pid;
		if ((rc = store_batch_by_id(c->store, batch_id, &b, err)) || !is_busy(b.state))
			break;
		if ((*engine_gone = !lock_is_held(lock_path, &pid)))
			break;
		progress_tick(p, false);
		const struct timespec tick = {.tv_nsec = ATTACHED_MS * 1000000L};
		if ((*interrupted = sigtimedwait(&set, NULL, &tick) > 0))
			break;
	}
	progress_tick(p, true);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return rc;
}

static int run_in_place(struct cli *c, int64_t batch_id, struct progress *p, bool *stopped, int *code, struct err *said,
	struct err *err)
{
	char log[MODEL_PATH + 8];
	snprintf(log, sizeof log, "%s.log", c->state);
	struct supervisor_conf conf = {.state = c->state,
		.key_file = c->key_file,
		.batch_id = batch_id,
		.once = true,
		.log_path = log,
		.verbose = true,
		.tick = progress_tick,
		.ctx = p};
	return supervisor_run(&conf, code, stopped, said, err);
}

static void print_outcome(struct cli *c, const struct batch *b, bool stopped)
{
	struct user *v = NULL;
	size_t n = 0;
	struct batch now = *b;
	struct err err = ERR_INIT;
	struct left_behind left;
	if (store_batch_by_id(c->store, b->id, &now, &err) || store_user_list(c->store, b->id, &v, &n, &err) ||
		store_left_behind(c->store, b->id, 0, &left, &err)) {
		free(v);
		cli_print_error(c, &err);
		return;
	}
	c->out = json_pack("{s:s,s:s}", "batch", b->name, "state", batch_state_name(now.state));
	json_t *users = json_array();
	char word[MODEL_NAME + 2];
	cli_word(b->name, word, sizeof word);
	bool aside = left_behind_any(&left);
	struct progress_refusals refused = progress_find_refusals(v, n);
	struct target_row t;
	size_t shown = 0;
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(users, progress_user_json(&v[i]));
		aside |= v[i].counts.skipped || v[i].counts.refused;
		/* Of a large batch only what needs somebody. */
		if (!c->json && (n <= 25 || v[i].error_kind != ERR_NONE) && shown++ < 50)
			progress_print_user(&v[i]);
	}
	json_object_set_new(c->out, "users", users);
	if (!c->json) {
		printf("Batch %s: %s%s\n", b->name, batch_state_name(now.state),
			stopped && is_busy(now.state) ? ", and no engine runs now" : "");
		bool is_copy = strncmp(b->name, "copy-", 5) == 0;
		if (refused.source && !is_copy)
			printf("New passwords: nightferry batch set %s --csv FILE; an administrator's: nightferry "
			       "endpoint set. Then start it again.\n",
				word);
		if (refused.target && !is_copy && !store_target_by_id(c->store, b->target_id, &t, &err)) {
			char target[MODEL_NAME + 2];
			printf("The destination refuses sign-ins: nightferry target test %s tells why. Then start it "
			       "again.\n",
				cli_word(t.name, target, sizeof target));
		}
		if (stopped)
			printf("Stopped in good order. It goes on where it stopped: nightferry batch start %s --wait\n",
				word);
		else if (aside)
			printf("Some items were left out: nightferry batch report %s\n", word);
		else if (now.state == BATCH_SYNCED)
			printf("Next: nightferry batch verify %s\n", word);
	}
	free(v);
}

int attend_batch(struct cli *c, const struct batch *b, struct err *err)
{
	char lock_path[MODEL_PATH + 8];
	struct progress *p = NULL;
	bool stopped = false;
	int rc = 0, code = EXIT_DONE;
	struct err said = ERR_INIT;
	unsigned conflicts = 0;
	snprintf(lock_path, sizeof lock_path, "%s.lock", c->state);
	if (progress_new(&p, c->store, b->id, c->json, err))
		return -1;
	progress_watch(p, &stopped);
	for (bool again = true; again && !rc;) {
		int pid = 0;
		struct batch now;
		again = false;
		said = ERR_INIT;
		if ((rc = store_batch_by_id(c->store, b->id, &now, err)) || !is_busy(now.state))
			break;
		if (lock_is_held(lock_path, &pid)) {
			bool interrupted = false;
			if (!c->json)
				printf("An engine runs already (process %d); looking on. Ctrl-C only stops the "
				       "looking.\n",
					pid);
			rc = look_on(c, b->id, p, lock_path, &interrupted, &again, err);
			if (interrupted) {
				progress_free(&p);
				return EXIT_STOPPED;
			}
		} else {
			rc = run_in_place(c, b->id, p, &stopped, &code, &said, err);
			/* Its own lock conflict means that somebody was quicker: look on. */
			again = !rc && said.kind == ERR_CONFLICT && conflicts++ < CONFLICTS_MOST;
		}
	}
	progress_free(&p);
	if (rc)
		return -1;
	if (said.kind != ERR_NONE) {
		*err = said;
		return -1;
	}
	if (code == EXIT_STORE || code == EXIT_INTERNAL) {
		err_set(err, code == EXIT_STORE ? ERR_STORE : ERR_INTERNAL,
			"the engine ended with an error; see %s.log", c->state);
		return -1;
	}
	print_outcome(c, b, stopped);
	code = attend_exit_code(c->store, b->id, err);
	return stopped && (code == EXIT_DONE || code == EXIT_DEFERRED) ? EXIT_STOPPED : code;
}
