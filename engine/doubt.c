/* Items in doubt: intended, and nobody knows whether the destination has them, because we died or its answer was lost. They are looked up at the
   destination, not sooner than settle_after (the far side may still be committing), and only what did not arrive is sent again. */
#include "engine/job.h"

#include "engine/base/clock.h"
#include "engine/base/failpoint.h"
#include "engine/base/log.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS (1 + JOB_ITEM_TRIES) /* of sending again: once together, then one at a time */

struct doubt { /* the items in doubt of one destination folder */
	struct job *j;
	struct route_folder *f;
	struct item *items;             /* owned */
	struct pending *pending;        /* owned; beside items */
	uint8_t (*canons)[CANON_BYTES]; /* owned; beside items */
	size_t n;
	bool *gone; /* owned; no longer at the source, so that its content cannot be compared */
};

static void doubt_done(struct doubt *d)
{
	for (size_t i = 0; i < d->n; i++)
		item_done(&d->items[i]);
	free(d->items);
	free(d->pending);
	free(d->canons);
	free(d->gone);
}

static int doubt_load(struct doubt *d, struct err *err)
{
	struct job *j = d->j;
	if (store_flush(j->work->store, err) ||
		store_in_doubt(j->work->store, j->user.id, d->f->dest.id, &d->items, &d->n, err))
		return -1;
	if (!d->n)
		return 0;
	d->pending = calloc(d->n, sizeof *d->pending);
	d->canons = calloc(d->n, sizeof *d->canons);
	d->gone = calloc(d->n, sizeof *d->gone);
	if (!d->pending || !d->canons || !d->gone)
		return err_set(err, ERR_MEMORY, "no memory for %zu items in doubt", d->n);
	for (size_t i = 0; i < d->n; i++)
		d->pending[i].print = &d->items[i].print;
	return 0;
}

static int wait_until_due(struct doubt *d, struct err *err)
{
	struct job *j = d->j;
	int64_t after = j->target_login.row.settle_after_ms;
	if (after < 0)
		after = j->ops->settle_after_ms;
	int64_t since = atomic_load(&d->f->doubt_at_ms);
	if (since < j->begun_ms)
		since = j->begun_ms; /* an earlier process left them: it may have died this moment */
	int64_t left = since + after - clock_mono_ms();
	if (left <= 0)
		return 0;
	log_line(LOG_INFO, "mailbox %s: %zu messages in %s are in doubt; looked up in %lld s", j->user.address, d->n,
		d->f->mapping->path, (long long)(left + 999) / 1000);
	while (left > 0 && !job_is_over(j)) {
		clock_sleep_ms(left, stop_fd(j->stop, STOP_DRAIN));
		left = since + after - clock_mono_ms();
	}
	return job_is_over(j) ? err_set(err, ERR_STOPPED, "stopped") : 0;
}

static int look_once(struct doubt *d, struct err *err)
{
	struct job *j = d->j;
	struct folder_ref ref;
	char **claimed = NULL;
	size_t n_claimed = 0;
	if (job_target(j, err) || job_copy_ref(j, d->f, &ref, err))
		return -1;
	int rc = store_claimed(j->work->store, d->f->dest.id, &claimed, &n_claimed, err);
	/* A folder made anew holds nothing from before: every message in it is a candidate. */
	const char *mark = strcmp(ref.generation, d->f->dest.generation) ? "" : d->f->dest.mark;
	if (!rc)
		rc = settle_pending(
			j->target, &ref, mark, (const char *const *)claimed, n_claimed, d->pending, d->n, err);
	store_ids_free(&claimed, n_claimed);
	folder_ref_done(&ref);
	return rc;
}

static int look(struct doubt *d, struct err *err)
{
	for (unsigned tries = 1; look_once(d, err); tries++) {
		enum err_action act = err_action(err->kind);
		if ((act != ACT_RETRY && act != ACT_WAIT) || tries >= JOB_TRIES)
			return err_wrap(err, "looking up what is in doubt in %s", d->f->mapping->path);
		job_drop_target(d->j);
		struct err why = *err;
		if (job_back_off(d->j, tries, &why, err))
			return -1;
	}
	return 0;
}

static void meta_of(const struct item *it, struct pull_meta *out)
{
	memset(out, 0, sizeof *out);
	out->uid = it->uid;
	out->size = it->size;
	out->flags = it->flags_source;
	out->received = it->received;
}

static size_t index_of(const struct doubt *d, uint32_t uid)
{
	size_t i = 0;
	while (i < d->n && !(d->items[i].uid == uid && d->items[i].generation_id == d->f->generation.id))
		i++;
	return i;
}

/* Reads from the source the content of those that header values alone cannot tell apart. */
static int compute_canons(struct doubt *d, struct pull *pull, struct err *err)
{
	for (;;) {
		struct mail *m = NULL;
		struct err item = ERR_INIT, unreadable = ERR_INIT;
		if (pull_next(pull, &m, &item, err))
			return -1;
		if (!m)
			return 0;
		size_t i = index_of(d, m->uid);
		if (i < d->n && m->body && !canon_digest(m->body, d->canons[i], &unreadable))
			d->pending[i].canon = d->canons[i];
		pull_release(d->j->work->memory, &m);
	}
}

static int fetch_canons(struct doubt *d, struct err *err)
{
	struct pull *pull = NULL;
	struct folder_state state;
	int64_t generation = d->f->generation.id;
	struct pull_meta *v = calloc(d->n, sizeof *v);
	size_t n = 0;
	if (!v)
		return err_set(err, ERR_MEMORY, "no memory for %zu items in doubt", d->n);
	for (size_t i = 0; i < d->n; i++)
		if (d->pending[i].outcome == SETTLE_NEEDS_CANON && d->items[i].generation_id == generation)
			meta_of(&d->items[i], &v[n++]);
	int rc = n ? pass_open(d->j, d->f, &pull, &state, err) : 0;
	if (!rc && n && d->f->generation.id == generation)
		rc = pull_want(pull, v, n, err) || compute_canons(d, pull, err) ? -1 : 0;
	pull_close(&pull);
	free(v);
	for (size_t i = 0; i < d->n && !rc; i++)
		d->gone[i] = d->pending[i].outcome == SETTLE_NEEDS_CANON && !d->pending[i].canon;
	return rc;
}

static int fetch_canons_with_retries(struct doubt *d, struct err *err)
{
	for (unsigned tries = 1; fetch_canons(d, err); tries++) {
		enum err_action act = err_action(err->kind);
		if ((act != ACT_RETRY && act != ACT_WAIT) || tries >= JOB_TRIES)
			return err_wrap(err, "comparing what is in doubt in %s", d->f->mapping->path);
		job_drop_source(d->j);
		struct err why = *err;
		if (job_back_off(d->j, tries, &why, err))
			return -1;
	}
	return 0;
}

static bool needs_canon(const struct doubt *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->pending[i].outcome == SETTLE_NEEDS_CANON && !d->gone[i])
			return true;
	return false;
}

/* \Flagged is stored after an APPEND (spec/exchange-online.md section 2); the one in doubt may not have got so far. */
static int finish_flags(struct doubt *d, const struct item *it, struct err *err)
{
	struct folder_ref ref;
	if (!(it->flags_source & MAIL_FLAGGED) || d->j->target_login.row.kind != TARGET_EXCHANGE)
		return 0;
	if (job_target(d->j, err) || job_copy_ref(d->j, d->f, &ref, err))
		return -1;
	failpoint_hit(FP_FINISH_BEFORE_FLAGS);
	int rc = d->j->target->ops->set_flags(
		d->j->target, &ref, it->receipt.id, it->flags_source & (MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED), err);
	failpoint_hit(FP_FINISH_AFTER_FLAGS);
	folder_ref_done(&ref);
	if (rc && (err->kind == ERR_GONE || err->kind == ERR_CHANGED || err->kind == ERR_MESSAGE)) {
		err_clear(err);
		rc = 0;
	}
	return rc;
}

static int record_found(struct doubt *d, size_t *found, struct err *err)
{
	struct job *j = d->j;
	for (size_t i = 0; i < d->n; i++) {
		if (d->pending[i].outcome != SETTLE_FOUND)
			continue;
		struct item rec = d->items[i];
		rec.state = ITEM_DONE;
		rec.how = HOW_COPIED;
		rec.receipt = d->pending[i].receipt;
		rec.flags_written = rec.flags_source & (MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED | MAIL_DRAFT);
		rec.at = clock_wall_s();
		if (finish_flags(d, &rec, err) ||
			store_placed(j->work->store, j->user.id, j->user.lease_epoch, &rec, 1, err))
			return -1;
		failpoint_hit(FP_FINISH_AFTER_COMMIT);
		++*found;
	}
	return store_flush(j->work->store, err);
}

/* Those whose content can no longer be compared: neither sent again nor called arrived. */
static int record_gone(struct doubt *d, struct err *err)
{
	struct job *j = d->j;
	for (size_t i = 0; i < d->n; i++) {
		if (!d->gone[i])
			continue;
		struct item rec = d->items[i];
		rec.state = ITEM_GONE;
		rec.error_kind = ERR_GONE;
		snprintf(rec.error, sizeof rec.error,
			"expunged at the source while it was in doubt; a message with the same header "
			"values is in %s: look there whether it is this one",
			d->f->mapping->path);
		if (store_set_aside(j->work->store, j->user.id, j->user.lease_epoch, &rec, 1, err))
			return -1;
	}
	return 0;
}

static bool is_absent(const struct doubt *d, size_t i)
{
	return d->pending[i].outcome == SETTLE_ABSENT && !d->gone[i];
}

/* The intents of what did not arrive are taken back, a generation at a time. absent: those of this generation, to be fetched again. */
static int withdraw_absent(struct doubt *d, struct pull_meta *absent, size_t *n_absent, struct err *err)
{
	struct job *j = d->j;
	uint32_t *uids = calloc(d->n, sizeof *uids);
	int rc = uids ? 0 : err_set(err, ERR_MEMORY, "no memory for %zu items in doubt", d->n);
	for (size_t i = 0; i < d->n && !rc;) {
		int64_t generation = d->items[i].generation_id;
		size_t n = 0;
		for (; i < d->n && d->items[i].generation_id == generation; i++) {
			if (!is_absent(d, i))
				continue;
			uids[n++] = d->items[i].uid;
			if (generation == d->f->generation.id)
				meta_of(&d->items[i], &absent[(*n_absent)++]);
		}
		if (n)
			rc = store_withdraw(j->work->store, j->user.id, j->user.lease_epoch, generation, uids, n, err);
	}
	free(uids);
	return rc;
}

static int refuse_absent(struct doubt *d, struct err *err)
{
	struct job *j = d->j;
	for (size_t i = 0; i < d->n; i++) {
		if (!is_absent(d, i))
			continue;
		struct item rec = d->items[i];
		struct err why = ERR_INIT;
		err_set(&why, ERR_MESSAGE, "the destination loses the connection whenever this message is put");
		err_hint(&why, "it is tried again when the user is started again");
		rec.state = ITEM_REFUSED;
		rec.error_kind = why.kind;
		err_line(&why, rec.error, sizeof rec.error);
		if (store_set_aside(j->work->store, j->user.id, j->user.lease_epoch, &rec, 1, err))
			return -1;
	}
	return 0;
}

/* round: how often this was done before in a row. At the last what is absent is refused instead of sent again; from the second on messages are sent
   one at a time, so that one which costs the connection takes no other with it. look_only: nothing is sent again now. *resent: messages that were
   handed over again. */
static int settle_folder(
	struct job *j, struct route_folder *f, unsigned round, bool look_only, size_t *resent, struct err *err)
{
	struct doubt d = {.j = j, .f = f};
	struct pull_meta *absent = NULL;
	size_t found = 0, n_absent = 0;
	int rc = doubt_load(&d, err);
	if (rc || !d.n)
		goto out;
	rc = -1;
	if (wait_until_due(&d, err))
		goto out;
	if (look(&d, err))
		goto out;
	if (needs_canon(&d) && (fetch_canons_with_retries(&d, err) || look(&d, err)))
		goto out;
	for (size_t i = 0; i < d.n; i++) /* a second look that still cannot tell has no more to go by */
		d.gone[i] |= d.pending[i].outcome == SETTLE_NEEDS_CANON;
	absent = calloc(d.n, sizeof *absent);
	if (!absent) {
		err_set(err, ERR_MEMORY, "no memory for %zu items in doubt", d.n);
		goto out;
	}
	if (record_found(&d, &found, err) || record_gone(&d, err) ||
		(round == ROUNDS ? refuse_absent(&d, err) : withdraw_absent(&d, absent, &n_absent, err)))
		goto out;
	failpoint_hit(FP_SETTLE_AFTER_COMMIT);
	atomic_store(&f->doubts, 0);
	log_line(LOG_INFO, "mailbox %s, folder %s: of %zu messages in doubt %zu had arrived", j->user.address,
		f->mapping->path, d.n, found);
	f->one_by_one = round > 0;
	rc = n_absent && !look_only ? pass_again(j, f, absent, n_absent, err) : 0;
	f->one_by_one = false;
	*resent += n_absent;
out:
	free(absent);
	doubt_done(&d);
	return rc;
}

int doubt_settle_folder(struct job *j, struct route_folder *f, struct err *err)
{
	size_t resent = 0;
	return settle_folder(j, f, 0, true, &resent, err);
}

int doubt_settle(struct job *j, struct err *err)
{
	for (unsigned round = 0; round <= ROUNDS; round++) {
		size_t resent = 0;
		for (size_t i = 0; i < j->list.n; i++)
			if (j->folders[i].opened && settle_folder(j, &j->folders[i], round, false, &resent, err))
				return -1;
		if (!resent)
			return 0;
		if (parcel_queue_drain(j->queue, err) || store_flush(j->work->store, err))
			return -1;
	}
	return 0;
}
