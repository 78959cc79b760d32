/* Leases: who moves a user, what became of it. A lease is a flag and an epoch in the user's narrow row; each write of a job names the epoch, so that
   what a dead or replaced engine still sends changes nothing. */
#include "engine/store/parts.h"

#include "engine/base/clock.h"
#include "engine/base/utf8.h"
#include "engine/store/effort.h"
#include "engine/store/verb.h"

#define CRASHES_FAILED 3 /* the last time alone: claim.c */

int lease_check(struct db *db, int64_t user_id, int64_t epoch, struct err *err)
{
	struct query q;
	query_begin(&q, db, "SELECT 1 FROM work WHERE user_id = ? AND epoch = ? AND held = 1");
	put_int(&q, user_id);
	put_int(&q, epoch);
	int rc = query_row(&q, err);
	query_end(&q);
	return rc > 0 ? 0 : rc < 0 ? -1 : err_set(err, ERR_CONFLICT, "this mailbox is not leased to this job any more");
}

/* --- the end of a batch --- */

static int count_users(struct db *db, int64_t batch_id, struct verb_tally *t, struct err *err)
{
	struct query q;
	int rc;
	query_begin(&q, db, "SELECT state, count(*) FROM user WHERE batch_id = ? GROUP BY state");
	put_int(&q, batch_id);
	while ((rc = query_row(&q, err)) > 0) {
		enum user_state state = get_enum(&q, USER_FAILED + 1);
		unsigned n = get_unsigned(&q);
		t->users += n;
		if (state == USER_SYNCED)
			t->synced += n;
		else if (state == USER_COMPLETED || state == USER_COMPLETED_WITH_WARNINGS)
			t->completed += n;
		else if (state == USER_FAILED)
			t->failed += n;
		else
			t->stopped += n;
	}
	return rc;
}

int batch_settle(struct db *db, int64_t batch_id, struct err *err)
{
	struct query q;
	query_begin(&q, db,
		"SELECT state, EXISTS (SELECT 1 FROM user WHERE batch_id = ?1 AND want > 0) "
		"OR EXISTS (SELECT 1 FROM work w JOIN user u ON u.id = w.user_id WHERE w.held = 1 AND "
		"u.batch_id = ?1) "
		"FROM batch WHERE id = ?1");
	put_int(&q, batch_id);
	int rc = query_row(&q, err);
	enum batch_state state = rc > 0 ? get_enum(&q, BATCH_FAILED + 1) : BATCH_CREATED;
	bool active = rc > 0 && get_bool(&q);
	query_end(&q);
	bool runs = state == BATCH_SYNCING || state == BATCH_STOPPING || state == BATCH_COMPLETING;
	if (rc < 0 || active || !runs)
		return rc < 0 ? -1 : 0;
	struct verb_tally t = {.stopping = state == BATCH_STOPPING};
	if (count_users(db, batch_id, &t, err) < 0)
		return -1;
	query_begin(&q, db, "UPDATE batch SET state = ?, ended_at = ? WHERE id = ?");
	put_uint(&q, verb_batch_end(&t));
	put_int(&q, clock_wall_s());
	put_int(&q, batch_id);
	return query_run(&q, err);
}

/* --- a new engine --- */

static int free_lease(struct db *db, int64_t user_id, bool crashed, int64_t *batch_id, struct err *err)
{
	struct query q;
	query_begin(&q, db, "SELECT batch_id, want, crashes FROM user WHERE id = ?");
	put_int(&q, user_id);
	int rc = query_row(&q, err);
	if (rc <= 0)
		return rc;
	*batch_id = get_int(&q);
	unsigned want = get_enum(&q, WANT_COMPLETE + 1), crashes = get_unsigned(&q) + crashed;
	query_end(&q);
	bool failed = crashes >= CRASHES_FAILED;
	query_begin(&q, db,
		"UPDATE user SET state = ?1, want = ?2, crashes = ?3, error_kind = CASE WHEN ?4 THEN ?5 "
		"ELSE error_kind END, "
		"error = CASE WHEN ?4 THEN ?6 ELSE error END WHERE id = ?7");
	put_uint(&q, failed ? USER_FAILED : want ? USER_QUEUED : USER_STOPPED);
	put_uint(&q, failed ? WANT_NOTHING : want);
	put_uint(&q, crashes);
	put_int(&q, failed);
	put_uint(&q, ERR_INTERNAL);
	put_text(&q, "the engine crashed three times while it moved this mailbox, the last time alone; the "
		     "others went on without it; "
		     "please report it with the log, then `start` it again");
	put_int(&q, user_id);
	if (query_run(&q, err) < 0)
		return -1;
	query_begin(&q, db, "UPDATE work SET held = 0, epoch = epoch + 1, folder = '' WHERE user_id = ?");
	put_int(&q, user_id);
	if (query_run(&q, err) < 0)
		return -1;
	/* It is not known when the engine died: the time until now counts as trouble, from the lease's begin on. */
	return effort_lost(db, user_id, err);
}

static int begin_step(struct db *db, void *arg, struct err *err)
{
	const bool *crashed = arg;
	for (;;) {
		struct query q;
		query_begin(&q, db, "SELECT user_id FROM work WHERE held = 1 LIMIT 1");
		int rc = query_row(&q, err);
		int64_t user_id = rc > 0 ? get_int(&q) : 0, batch_id = 0;
		query_end(&q);
		if (rc <= 0)
			return rc;
		if (free_lease(db, user_id, *crashed, &batch_id, err) < 0 || batch_settle(db, batch_id, err) < 0)
			return -1;
	}
}

/* A lease that is still held: the engine before did not end well. */
static int left_look(struct db *db, void *arg, struct err *err)
{
	bool *left = arg;
	struct query q;
	query_begin(&q, db, "SELECT EXISTS (SELECT 1 FROM work WHERE held = 1)");
	int rc = query_row(&q, err);
	*left = rc > 0 && get_bool(&q);
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_engine_begin(struct store *s, bool crashed, struct err *err)
{
	bool left = false;
	if (store_look(s, left_look, &left, err) < 0 || (left && store_check_unclean(s, err) < 0))
		return -1;
	return left ? store_do(s, begin_step, &crashed, err) : 0;
}

/* --- what became of it --- */

struct state_args {
	int64_t user_id, epoch, retry_at;
	enum user_state state;
	const struct err *why;
};

struct lease_row {
	int64_t batch_id, moved, moved_at_claim;
	enum user_want want, pass;
	unsigned tries;
};

static int read_lease(struct db *db, const struct state_args *a, struct lease_row *l, struct err *err)
{
	struct query q;
	query_begin(&q, db,
		"SELECT u.batch_id, u.want, u.pass, u.tries, w.copied + w.adopted, w.moved_at_claim FROM "
		"work w JOIN user u ON u.id = w.user_id "
		"WHERE w.user_id = ? AND w.epoch = ? AND w.held = 1");
	put_int(&q, a->user_id);
	put_int(&q, a->epoch);
	int rc = query_row(&q, err);
	if (rc > 0) {
		l->batch_id = get_int(&q);
		l->want = get_enum(&q, WANT_COMPLETE + 1);
		l->pass = get_enum(&q, WANT_COMPLETE + 1);
		l->tries = get_unsigned(&q);
		l->moved = get_int(&q);
		l->moved_at_claim = get_int(&q);
	}
	query_end(&q);
	return rc > 0 ? 0 : rc < 0 ? -1 : err_set(err, ERR_CONFLICT, "this mailbox is not leased to this job any more");
}

/* The state that follows from what the job says and what the person asked for meanwhile; want: what is left to do. */
static enum user_state next_state(const struct state_args *a, const struct lease_row *l, enum user_want *want)
{
	*want = l->want;
	switch (a->state) {
	case USER_SYNCED:
		if (l->want == l->pass)
			*want = WANT_NOTHING;
		return *want ? USER_QUEUED : USER_SYNCED; /* asked to complete while it was synced: that is next */
	case USER_COMPLETED:
	case USER_COMPLETED_WITH_WARNINGS:
		*want = WANT_NOTHING;
		return a->state;
	case USER_FAILED:
		if (a->retry_at == 0)
			*want = WANT_NOTHING;
		return USER_FAILED;
	case USER_QUEUED:
	case USER_STOPPED: /* the engine was stopped: it goes on with the next one. Stopped by the person: it waits for `start` */
		return l->want ? USER_QUEUED : USER_STOPPED;
	case USER_VALIDATING:
	case USER_SYNCING:
	case USER_INCREMENTAL_SYNCING:
	case USER_COMPLETING:
		break;
	}
	return a->state;
}

static int end_lease(struct db *db, const struct state_args *a, const struct lease_row *l, struct err *err)
{
	struct query q;
	enum user_want want;
	enum user_state state = next_state(a, l, &want);
	bool well = a->state == USER_SYNCED || a->state == USER_COMPLETED || a->state == USER_COMPLETED_WITH_WARNINGS;
	bool has_error = a->why && a->why->kind != ERR_NONE && a->why->kind != ERR_STOPPED;
	bool failed = a->state == USER_FAILED || (a->state == USER_QUEUED && has_error && a->why->kind != ERR_DEFERRED);
	unsigned tries = !failed ? 0 : l->moved > l->moved_at_claim ? 1 : l->tries + 1;
	char line[MODEL_ERROR] = "";
	if (has_error)
		err_line(a->why, line, sizeof(line));
	query_begin(&q, db,
		"UPDATE user SET state = ?1, want = ?2, error_kind = ?3, error = ?4, retry_at = ?5, "
		"tries = ?6, "
		"crashes = CASE WHEN ?7 THEN 0 ELSE crashes END, synced_at = CASE WHEN ?7 THEN ?8 ELSE "
		"synced_at END WHERE id = ?9");
	put_uint(&q, state);
	put_uint(&q, want);
	put_uint(&q, has_error ? a->why->kind : ERR_NONE);
	put_text(&q, line);
	put_int(&q, want ? a->retry_at : 0);
	put_uint(&q, tries);
	put_int(&q, well);
	put_int(&q, clock_wall_s());
	put_int(&q, a->user_id);
	if (query_run(&q, err) < 0)
		return -1;
	query_begin(&q, db, "UPDATE work SET held = 0, folder = '' WHERE user_id = ?");
	put_int(&q, a->user_id);
	if (query_run(&q, err) < 0 ||
		effort_end(db, a->user_id, clock_wall_s(), a->why ? a->why->kind : ERR_NONE, well, err) < 0)
		return -1;
	bool completed = state == USER_COMPLETED || state == USER_COMPLETED_WITH_WARNINGS;
	if (completed && secret_drop_rows(db, "user", a->user_id, "", err) < 0)
		return -1;
	return batch_settle(db, l->batch_id, err);
}

static int state_step(struct db *db, void *arg, struct err *err)
{
	const struct state_args *a = arg;
	struct lease_row l;
	if (read_lease(db, a, &l, err) < 0)
		return -1;
	bool goes_on = a->state == USER_VALIDATING || a->state == USER_SYNCING ||
		       a->state == USER_INCREMENTAL_SYNCING || a->state == USER_COMPLETING;
	if (!goes_on)
		return end_lease(db, a, &l, err);
	struct query q;
	query_begin(&q, db, "UPDATE user SET state = ? WHERE id = ?");
	put_uint(&q, a->state);
	put_int(&q, a->user_id);
	return query_run(&q, err);
}

int store_user_state(struct store *s, int64_t user_id, int64_t epoch, enum user_state state, const struct err *why,
	int64_t retry_at, struct err *err)
{
	struct state_args a = {.user_id = user_id, .epoch = epoch, .state = state, .why = why, .retry_at = retry_at};
	return store_do(s, state_step, &a, err);
}

struct now_args {
	int64_t user_id, epoch;
	const char *dest_id, *dest_address;
	char folder[MODEL_TEXT];
};

static int now_step(struct db *db, void *arg, struct err *err)
{
	const struct now_args *a = arg;
	struct query q;
	query_begin(&q, db, "UPDATE work SET folder = ? WHERE user_id = ? AND epoch = ? AND held = 1");
	put_text_cut(&q, a->folder, sizeof(a->folder) - 1);
	put_int(&q, a->user_id);
	put_int(&q, a->epoch);
	return query_run(&q, err);
}

int store_user_now(struct store *s, int64_t user_id, int64_t epoch, const char *folder, struct err *err)
{
	struct now_args *a = calloc(1, sizeof(*a));
	if (!a)
		return err_set(err, ERR_MEMORY, "out of memory");
	a->user_id = user_id;
	a->epoch = epoch;
	snprintf(a->folder, sizeof(a->folder), "%s", folder ? folder : "");
	utf8_trim(a->folder);
	return store_queue(s, now_step, a, user_id, err);
}

/* Two users that resolve to one mailbox (an alias) would be mixed into it. */
static int dest_id_step(struct db *db, void *arg, struct err *err)
{
	const struct now_args *a = arg;
	struct query q;
	if (lease_check(db, a->user_id, a->epoch, err) < 0)
		return -1;
	query_begin(&q, db,
		"SELECT b.name, o.line, o.address FROM user me JOIN batch mb ON mb.id = me.batch_id JOIN "
		"target mt ON mt.id = mb.target_id "
		"JOIN user o ON o.dest_id = ?2 AND o.dest_id <> '' AND o.id <> me.id JOIN batch b ON "
		"b.id = o.batch_id "
		"JOIN target t ON t.id = b.target_id WHERE me.id = ?1 AND (o.batch_id = me.batch_id OR "
		"o.state NOT IN (?3, ?4)) "
		"AND (t.id = mt.id OR (t.kind = mt.kind AND t.tenant = mt.tenant AND t.imap_host = "
		"mt.imap_host)) LIMIT 1");
	put_int(&q, a->user_id);
	put_text(&q, a->dest_id);
	put_uint(&q, USER_COMPLETED);
	put_uint(&q, USER_COMPLETED_WITH_WARNINGS);
	int rc = query_row(&q, err);
	if (rc > 0) {
		char batch[MODEL_NAME], address[MODEL_TEXT];
		get_text(&q, batch, sizeof(batch));
		unsigned line = get_unsigned(&q);
		get_text(&q, address, sizeof(address));
		query_end(&q);
		err_set(err, ERR_CONFLICT,
			"the destination is the same mailbox as %s (batch \"%s\", row %u): one address is an "
			"alias of the other",
			address, batch, line);
		return -1;
	}
	if (rc < 0)
		return -1;
	query_begin(&q, db, "UPDATE user SET dest_id = ?, dest_address = ? WHERE id = ?");
	put_text_cut(&q, a->dest_id, MODEL_TEXT - 1);
	put_text_cut(&q, a->dest_address, MODEL_TEXT - 1);
	put_int(&q, a->user_id);
	return query_run(&q, err);
}

int store_user_dest_id(
	struct store *s, int64_t user_id, int64_t epoch, const char *dest_id, const char *dest_address, struct err *err)
{
	struct now_args a = {.user_id = user_id, .epoch = epoch, .dest_id = dest_id, .dest_address = dest_address};
	return store_do(s, dest_id_step, &a, err);
}

struct wanted_args {
	int64_t user_id;
	enum user_want want;
};

static int wanted_look(struct db *db, void *arg, struct err *err)
{
	struct wanted_args *a = arg;
	struct query q;
	query_begin(&q, db, "SELECT want FROM user WHERE id = ?");
	put_int(&q, a->user_id);
	int rc = query_row(&q, err);
	a->want = rc > 0 ? get_enum(&q, WANT_COMPLETE + 1) : WANT_NOTHING;
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_user_wanted(struct store *s, int64_t user_id, enum user_want *want, struct err *err)
{
	struct wanted_args a = {.user_id = user_id};
	int rc = store_look(s, wanted_look, &a, err);
	*want = a.want;
	return rc;
}
