/* Migration users: read with lease and counts, found by name, deleted, and what the person's verbs make of them. */
#include "engine/store/parts.h"

#include "engine/base/clock.h"
#include "engine/store/names.h"
#include "engine/store/rows.h"
#include "engine/store/verb.h"

#define USERS ((size_t)200000)

void user_read(struct query *q, struct user *u)
{
	memset(u, 0, sizeof(*u));
	u->id = get_int(q);
	u->batch_id = get_int(q);
	u->row = get_unsigned(q);
	get_text(q, u->source_user, sizeof(u->source_user));
	get_text(q, u->user_root, sizeof(u->user_root));
	get_text(q, u->address, sizeof(u->address));
	get_text(q, u->dest_id, sizeof(u->dest_id));
	u->state = get_enum(q, USER_FAILED + 1);
	u->synced_at = get_int(q);
	unsigned want = get_enum(q, WANT_COMPLETE + 1), pass = get_enum(q, WANT_COMPLETE + 1);
	bool held = get_bool(q);
	u->incremental = u->synced_at != 0;
	u->completing = (held ? pass : want) == WANT_COMPLETE;
	u->error_kind = get_enum(q, ERR_KINDS_END);
	get_text(q, u->error, sizeof(u->error));
	u->retry_at = get_int(q);
	u->tries = get_unsigned(q);
	u->crashes = get_unsigned(q);
	u->lease_epoch = get_int(q);
	u->started_at = get_int(q);
	counts_read(q, &u->counts);
	get_text(q, u->now_folder, sizeof(u->now_folder));
	get_text(q, u->dest_address, sizeof(u->dest_address));
}

static void read_row(struct query *q, void *row)
{
	user_read(q, row);
}

static const struct rows of_batch = {.sql = "SELECT " USER_COLUMNS " WHERE u.batch_id = ? ORDER BY u.line",
	.read = read_row,
	.size = sizeof(struct user),
	.cap = USERS};

int store_user_list(struct store *s, int64_t batch_id, struct user **out, size_t *n, struct err *err)
{
	void *rows;
	int rc = rows_list(s, &of_batch, batch_id, &rows, n, err);
	*out = rows;
	return rc;
}

struct get_args {
	int64_t batch_id, id;
	const char *who;
	struct user *out;
};

static int get_step(struct db *db, void *arg, struct err *err)
{
	struct get_args *a = arg;
	struct query q;
	query_begin(&q, db,
		a->who ? "SELECT " USER_COLUMNS
			 " WHERE u.batch_id = ?1 AND (u.source_user = ?2 OR u.address = ?2 COLLATE NOCASE) "
			 "ORDER BY u.address = ?2 COLLATE NOCASE DESC, u.line LIMIT 1"
		       : "SELECT " USER_COLUMNS " WHERE u.id = ?");
	put_int(&q, a->who ? a->batch_id : a->id);
	if (a->who)
		put_text(&q, a->who);
	int rc = query_row(&q, err);
	if (rc > 0)
		user_read(&q, a->out);
	query_end(&q);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (!a->who)
		return err_set(err, ERR_NOT_FOUND, "mailbox %lld is not in the state any more", (long long)a->id);
	return names_fail(db, "mailbox", "SELECT address FROM user ORDER BY address_key LIMIT 1000", a->who, err);
}

int store_user_get(struct store *s, int64_t batch_id, const char *who, struct user *out, struct err *err)
{
	struct get_args a = {.batch_id = batch_id, .who = who, .out = out};
	return store_look(s, get_step, &a, err);
}

int store_user_by_id(struct store *s, int64_t id, struct user *out, struct err *err)
{
	struct get_args a = {.id = id, .out = out};
	return store_look(s, get_step, &a, err);
}

/* --- what the verbs need to know, and do --- */

struct brief {
	int64_t id;
	struct verb_user v;
};
struct want_args {
	int64_t batch_id, user_id;
	enum verb verb;
	const char *who;
	struct brief *rows;
	size_t n, room;
	unsigned changed;
};

static int load_briefs(struct db *db, struct want_args *a, struct err *err)
{
	struct query q;
	int rc;
	a->n = 0;
	query_begin(&q, db,
		"SELECT u.id, u.state, w.held, u.synced_at, u.want, u.pass FROM user u JOIN work w ON "
		"w.user_id = u.id "
		"WHERE u.batch_id = ?1 AND (?2 = 0 OR u.id = ?2) ORDER BY u.line");
	put_int(&q, a->batch_id);
	put_int(&q, a->user_id);
	while ((rc = query_row(&q, err)) > 0) {
		if (rows_grow((void **)&a->rows, &a->room, a->n, sizeof(*a->rows), USERS, err) < 0) {
			query_end(&q);
			return -1;
		}
		struct brief *b = &a->rows[a->n++];
		b->id = get_int(&q);
		b->v.state = get_enum(&q, USER_FAILED + 1);
		b->v.held = get_bool(&q);
		b->v.synced = get_bool(&q);
		b->v.want = get_enum(&q, WANT_COMPLETE + 1);
		b->v.pass = get_enum(&q, WANT_COMPLETE + 1);
	}
	return rc;
}

static int apply(struct db *db, int64_t id, const struct verb_effect *e, struct err *err)
{
	struct query q;
	query_begin(&q, db,
		e->afresh ? "UPDATE user SET want = ?, state = ?, error_kind = 0, error = '', retry_at = "
			    "0, tries = 0, crashes = 0 "
			    "WHERE id = ?"
			  : "UPDATE user SET want = ?, state = ?, retry_at = 0 WHERE id = ?");
	put_uint(&q, e->want);
	put_uint(&q, e->state);
	put_int(&q, id);
	return query_run(&q, err);
}

static int read_batch(struct db *db, int64_t id, enum batch_state *state, char *name, size_t size, struct err *err)
{
	struct query q;
	query_begin(&q, db, "SELECT state, name FROM batch WHERE id = ?");
	put_int(&q, id);
	int rc = query_row(&q, err);
	if (rc > 0) {
		*state = get_enum(&q, BATCH_FAILED + 1);
		get_text(&q, name, size);
	}
	query_end(&q);
	return rc > 0 ? 0 : rc < 0 ? -1 : err_set(err, ERR_NOT_FOUND, "the batch is not there any more");
}

static int move_batch(struct db *db, const struct want_args *a, enum batch_state now, struct err *err)
{
	struct query q;
	enum batch_state next = now;
	if (a->verb == VERB_STOP && a->user_id == 0 && (now == BATCH_SYNCING || now == BATCH_COMPLETING))
		next = BATCH_STOPPING;
	else if (a->verb == VERB_COMPLETE)
		next = BATCH_COMPLETING;
	else if (a->verb != VERB_STOP)
		next = now == BATCH_COMPLETING ? BATCH_COMPLETING : BATCH_SYNCING;
	query_begin(&q, db,
		"UPDATE batch SET state = ?1, started_at = CASE WHEN ?2 AND started_at = 0 THEN ?3 ELSE "
		"started_at END, "
		"ended_at = CASE WHEN ?2 THEN 0 ELSE ended_at END WHERE id = ?4");
	put_uint(&q, next);
	put_int(&q, a->verb != VERB_STOP);
	put_int(&q, clock_wall_s());
	put_int(&q, a->batch_id);
	if (query_run(&q, err) < 0)
		return -1;
	return batch_settle(db, a->batch_id, err);
}

static int want_step(struct db *db, void *arg, struct err *err)
{
	struct want_args *a = arg;
	enum batch_state state = BATCH_CREATED;
	char name[MODEL_NAME] = "", detail[160];
	const char *refused = NULL;
	unsigned n_refused = 0;
	a->changed = 0;
	if (read_batch(db, a->batch_id, &state, name, sizeof(name), err) < 0)
		return -1;
	const char *why = verb_refused_by_batch(a->verb, state);
	if (why)
		return err_set(err, ERR_CONFLICT, "batch \"%s\" cannot %s: %s", name, verb_name(a->verb), why);
	if (load_briefs(db, a, err) < 0)
		return -1;
	if (a->n == 0)
		return err_set(err, ERR_NOT_FOUND, "the mailbox is not in batch \"%s\"", name);
	for (size_t i = 0; i < a->n; i++) {
		struct verb_effect e = verb_on_user(a->verb, &a->rows[i].v);
		if (e.answer == VERB_REFUSED) {
			refused = e.reason;
			n_refused++;
		}
		if (e.answer != VERB_CHANGED)
			continue;
		if (apply(db, a->rows[i].id, &e, err) < 0)
			return -1;
		a->changed++;
	}
	if (a->changed == 0 && n_refused == a->n)
		return err_set(err, ERR_CONFLICT, "%s \"%s\" cannot %s: %s",
			a->user_id ? "this mailbox of batch" : "batch", name, verb_name(a->verb), refused);
	if (a->changed == 0 && a->verb != VERB_STOP)
		return 0;
	snprintf(detail, sizeof(detail), "%u of %zu mailboxes", a->changed, a->n);
	char action[64];
	snprintf(action, sizeof(action), "%s %s", a->user_id ? "user" : "batch", verb_name(a->verb));
	if (audit_add(db, a->who, action, name, detail, err) < 0)
		return -1;
	return move_batch(db, a, state, err);
}

int store_batch_want(struct store *s, int64_t batch_id, int64_t user_id, enum user_want want, const char *verb,
	unsigned *changed, struct err *err)
{
	static const enum user_want wants[VERBS_END] = {
		WANT_SYNC, WANT_NOTHING, WANT_INCREMENTAL, WANT_COMPLETE, WANT_NOTHING};
	int v = verb_parse(verb);
	if (v < 0 || v == VERB_DELETE || wants[v] != want)
		return err_set(err, ERR_INTERNAL, "\"%s\" is no verb for a batch", verb);
	struct want_args a = {.batch_id = batch_id, .user_id = user_id, .verb = (enum verb)v, .who = s->who};
	int rc = store_do(s, want_step, &a, err);
	free(a.rows);
	*changed = rc < 0 ? 0 : a.changed;
	return rc;
}

static int delete_step(struct db *db, void *arg, struct err *err)
{
	struct want_args *a = arg;
	struct query q;
	query_begin(&q, db, "SELECT batch_id FROM user WHERE id = ?");
	put_int(&q, a->user_id);
	int rc = query_row(&q, err);
	a->batch_id = rc > 0 ? get_int(&q) : 0;
	query_end(&q);
	if (rc < 0 || load_briefs(db, a, err) < 0)
		return -1;
	if (a->n == 0)
		return err_set(err, ERR_NOT_FOUND, "the mailbox is not in the state any more");
	struct verb_effect e = verb_on_user(VERB_DELETE, &a->rows[0].v);
	if (e.answer == VERB_REFUSED)
		return err_set(err, ERR_CONFLICT, "the mailbox cannot be deleted: %s", e.reason);
	if (secret_drop_rows(db, "user", a->user_id, "", err) < 0)
		return -1;
	query_begin(&q, db, "DELETE FROM user WHERE id = ?");
	put_int(&q, a->user_id);
	return query_run(&q, err);
}

int store_user_delete(struct store *s, int64_t id, struct err *err)
{
	struct want_args a = {.user_id = id};
	int rc = store_do(s, delete_step, &a, err);
	free(a.rows);
	return rc;
}
