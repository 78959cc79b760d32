/* The attempts at one folder. A folder that cannot be read is set aside by itself; a lost connection is opened again and the walk goes on where the
   store says. */
#include "engine/job.h"
#include "engine/walk.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"

#define FOLDER_TRIES \
	8 /* attempts at one folder that broke off without getting on: three bad messages in a row are survived */
#define STALL_MS (4 * 60 * 1000) /* a source that did nothing but fail for so long fails the mailbox for now */
#define CAUTIOUS_MESSAGES 200

/* After an attempt broke off. 0: try again; 1: the folder is failed, go on with the others; -1: the mailbox ends. */
static int after_break(struct job *j, struct route_folder *f, bool got_on, struct err *err)
{
	if (got_on)
		f->tries = (struct tries){0};
	tries_note(&f->tries, err);
	job_source_failed(j, err);
	enum err_action act = err_action(err->kind);
	bool broken = !j->source || conn_is_dead(j->source);
	if (broken)
		job_drop_source(j);
	switch (act) {
	case ACT_SKIP_FOLDER:
		if (err->kind == ERR_CHANGED && f->tries.failures < FOLDER_TRIES)
			return 0;
		job_fail_folder(j, f, err);
		return 1;
	case ACT_RETRY:
	case ACT_WAIT:
		break;
	case ACT_SKIP_MESSAGE: /* of a message, but it took the folder's walk with it */
		break;
	case ACT_DRAIN:
	case ACT_STOP_MAILBOX:
	case ACT_PAUSE_ENDPOINT:
	case ACT_STOP_RUN:
		return -1;
	}
	job_drop_source(j);
	bool stalled = j->source_tries.failures && clock_mono_ms() - j->failing_since_ms > STALL_MS;
	if (stalled || j->source_tries.failures >= 2 * JOB_TRIES)
		return -1; /* not this folder: nothing can be read any more */
	if (f->tries.failures >= FOLDER_TRIES) {
		/* Other folders may be well, but a host that cannot be reached at all is the mailbox's trouble. */
		struct err broke = *err;
		if (job_source(j, err))
			return -1;
		job_fail_folder(j, f, &broke);
		return 1;
	}
	f->cautious = CAUTIOUS_MESSAGES;
	return job_back_off(j, LIVE_SOURCE, &j->source_tries, err);
}

/* The source did all that was asked, even if nothing was to be fetched: what was lost before counts no more. Where it asked to wait last, it may do so
   again as soon as something is fetched: those waits go on. */
static void note_walked(struct job *j)
{
	if (!j->source_tries.failures)
		return;
	j->source_tries = (struct tries){0};
	atomic_store(&j->live->source_pauses, 0);
}

int pass_folder(struct job *j, struct route_folder *f, struct err *err)
{
	for (;;) {
		struct folder_state state = {0};
		struct pull *pull = NULL;
		struct haul *haul = haul_new(j, f, err);
		if (!haul)
			return -1;
		*err = ERR_INIT;
		f->attempts++;
		int rc = enter_folder(j, f, &pull, &state, err);
		if (!rc)
			rc = walk_folder(j, f, pull, &state, haul, err);
		bool got_on = haul_end(&haul);
		pull_close(&pull);
		if (!rc) {
			f->finished = true;
			f->tries = (struct tries){0};
			note_walked(j);
			return 0;
		}
		struct err broke = *err;
		rc = after_break(j, f, got_on, err);
		if (rc > 0)
			return 0;
		if (rc < 0)
			return -1;
		log_err(LOG_INFO, &broke, "mailbox %s, folder %s: once more", j->user.source_user, f->source->name);
	}
}

int pass_again(struct job *j, struct route_folder *f, struct pull_meta *v, size_t n, struct err *err)
{
	struct folder_state state = {0};
	struct pull *pull = NULL;
	struct haul *haul = haul_new(j, f, err);
	if (!haul)
		return -1;
	*err = ERR_INIT;
	int64_t generation = f->generation.id;
	int rc = enter_folder(j, f, &pull, &state, err);
	if (!rc && f->generation.id != generation) {
		f->finished = false; /* a new generation: the walk finds them under their new UIDs */
		haul_end(&haul);
		pull_close(&pull);
		return 0;
	}
	if (!rc)
		rc = pull_list_again(pull, v, n, err);
	if (!rc)
		rc = haul_fetch(haul, pull, v, n, err);
	bool got_on = haul_end(&haul);
	pull_close(&pull);
	if (!rc)
		return 0;
	f->finished = false; /* what was not fetched this time is found by the next walk */
	rc = after_break(j, f, got_on, err);
	return rc < 0 ? -1 : 0;
}
