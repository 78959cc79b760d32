/* Endpoints: rows, their replacement, and the breaker that stops signing in before a host bans this address. */
#include "engine/store/parts.h"

#include "engine/base/clock.h"
#include "engine/store/names.h"
#include "engine/store/rows.h"

#define BREAKER_USERS 3 /* different users in a row whose sign-in was refused */
#define ENDPOINTS ((size_t)10000)

#define ENDPOINT_COLUMNS \
	"id, name, host, port, tls, ca_file, any_certificate, auth, admin_user, login_template, provider, " \
	"max_mailboxes, " \
	"max_connections, bytes_per_s, bytes_per_day, quirks, silence_ms, retry_ms, test_user, tested_at, " \
	"test_passed, test_skipped, test_text, " \
	"created_at, paused_at, paused_text FROM endpoint "

static void read_row(struct query *q, void *row)
{
	struct endpoint *e = row;
	e->id = get_int(q);
	get_text(q, e->name, sizeof(e->name));
	get_text(q, e->host, sizeof(e->host));
	e->port = get_enum(q, 65536);
	e->tls = get_enum(q, TLS_NONE + 1); /* 0, the default, is the safe one */
	get_text(q, e->ca_file, sizeof(e->ca_file));
	e->accept_any_certificate = get_bool(q);
	e->auth = get_enum(q, AUTH_XOAUTH2 + 1);
	get_text(q, e->admin_user, sizeof(e->admin_user));
	get_text(q, e->login_template, sizeof(e->login_template));
	get_text(q, e->provider, sizeof(e->provider));
	e->max_mailboxes = get_unsigned(q);
	e->max_connections = get_unsigned(q);
	e->bytes_per_s = get_uint(q);
	e->bytes_per_day = get_uint(q);
	e->quirks = get_unsigned(q);
	e->silence_ms = get_unsigned(q);
	e->retry_ms = get_unsigned(q);
	get_text(q, e->test_user, sizeof(e->test_user));
	e->tested_at = get_int(q);
	e->test_passed = get_bool(q);
	e->test_skipped = get_bool(q);
	get_text(q, e->test_text, sizeof(e->test_text));
	e->created_at = get_int(q);
	e->paused_at = get_int(q);
	get_text(q, e->paused_text, sizeof(e->paused_text));
}

static const struct named kind =
	NAMED("endpoint", "an", ENDPOINT_COLUMNS, "name", read_row, struct endpoint, ENDPOINTS);

static void put_row(struct query *q, const struct endpoint *e)
{
	put_text(q, e->name);
	put_text(q, e->host);
	put_uint(q, e->port);
	put_uint(q, e->tls);
	put_text(q, e->ca_file);
	put_int(q, e->accept_any_certificate);
	put_uint(q, e->auth);
	put_text(q, e->admin_user);
	put_text(q, e->login_template);
	put_text(q, e->provider);
	put_uint(q, e->max_mailboxes);
	put_uint(q, e->max_connections);
	put_uint(q, e->bytes_per_s);
	put_uint(q, e->bytes_per_day);
	put_uint(q, e->quirks);
	put_uint(q, e->silence_ms);
	put_uint(q, e->retry_ms);
	put_text(q, e->test_user);
	put_int(q, e->tested_at);
	put_int(q, e->test_passed);
	put_int(q, e->test_skipped);
	put_text(q, e->test_text);
	put_int(q, e->created_at);
}

static int save_step(struct db *db, void *arg, struct err *err)
{
	struct endpoint *e = arg;
	struct query q;
	if (named_is_free(db, &kind, e->name, e->id, err) < 0)
		return -1;
	if (e->id == 0) {
		query_begin(&q, db,
			"INSERT INTO endpoint (name, host, port, tls, ca_file, any_certificate, auth, "
			"admin_user, login_template, "
			"provider, max_mailboxes, max_connections, bytes_per_s, bytes_per_day, quirks, "
			"silence_ms, retry_ms, test_user, tested_at, "
			"test_passed, test_skipped, test_text, created_at) "
			"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
		put_row(&q, e);
		return query_run(&q, err);
	}
	query_begin(&q, db,
		"UPDATE endpoint SET name = ?, host = ?, port = ?, tls = ?, ca_file = ?, any_certificate "
		"= ?, auth = ?, admin_user = ?, "
		"login_template = ?, provider = ?, max_mailboxes = ?, max_connections = ?, bytes_per_s = "
		"?, bytes_per_day = ?, "
		"quirks = ?, silence_ms = ?, retry_ms = ?, test_user = ?, tested_at = ?, test_passed = "
		"?, test_skipped = ?, test_text = ?, created_at = ? WHERE id = ?");
	put_row(&q, e);
	put_int(&q, e->id);
	if (query_run(&q, err) < 0)
		return -1;
	return named_changed(db, &kind, err);
}

struct save_args {
	struct endpoint *e;
	int64_t id;
};

static int save_and_tell(struct db *db, void *arg, struct err *err)
{
	struct save_args *a = arg;
	if (save_step(db, a->e, err) < 0)
		return -1;
	a->id = a->e->id ? a->e->id
			 : db_last_id(db); /* the caller's row gets it after the commit: a step may run twice */
	return 0;
}

int store_endpoint_save(struct store *s, struct endpoint *e, struct err *err)
{
	if (names_check(kind.a_noun, e->name, err) < 0)
		return -1;
	if (e->created_at == 0)
		e->created_at = clock_wall_s();
	struct save_args a = {.e = e};
	if (store_do(s, save_and_tell, &a, err) < 0)
		return -1;
	e->id = a.id;
	return 0;
}

int store_endpoint_get(struct store *s, const char *name, struct endpoint *out, struct err *err)
{
	return named_get(s, &kind, name, 0, out, err);
}

int store_endpoint_by_id(struct store *s, int64_t id, struct endpoint *out, struct err *err)
{
	return named_get(s, &kind, NULL, id, out, err);
}

int store_endpoint_list(struct store *s, struct endpoint **out, size_t *n, struct err *err)
{
	void *rows;
	int rc = rows_list(s, &kind.all, 0, &rows, n, err);
	*out = rows;
	return rc;
}

/* --- delete and replace --- */

static int delete_row(struct db *db, int64_t id, struct err *err)
{
	return secret_drop_rows(db, "endpoint", id, "", err) < 0 ? -1 : named_remove(db, &kind, id, err);
}

static int delete_step(struct db *db, void *arg, struct err *err)
{
	const int64_t *id = arg;
	if (names_in_use(db, "the endpoint", "SELECT name FROM batch WHERE endpoint_id = ? ORDER BY name LIMIT 20", *id,
		    err) < 0)
		return -1;
	return delete_row(db, *id, err);
}

int store_endpoint_delete(struct store *s, int64_t id, struct err *err)
{
	return store_do(s, delete_step, &id, err);
}

struct replace_args {
	int64_t old_id, new_id;
};

static int replace_step(struct db *db, void *arg, struct err *err)
{
	const struct replace_args *a = arg;
	char name[MODEL_NAME];
	struct query q;
	query_begin(&q, db, "SELECT name FROM endpoint WHERE id = ?");
	put_int(&q, a->old_id);
	int rc = query_row(&q, err);
	if (rc > 0)
		get_text(&q, name, sizeof(name));
	query_end(&q);
	if (rc <= 0)
		return rc < 0 ? -1 : err_set(err, ERR_NOT_FOUND, "the endpoint to be replaced is not there any more");
	query_begin(&q, db, "UPDATE batch SET endpoint_id = ? WHERE endpoint_id = ?");
	put_int(&q, a->new_id);
	put_int(&q, a->old_id);
	if (query_run(&q, err) < 0)
		return -1;
	query_begin(&q, db, "UPDATE OR REPLACE spent SET endpoint_id = ? WHERE endpoint_id = ?"); /* the day goes on */
	put_int(&q, a->new_id);
	put_int(&q, a->old_id);
	if (query_run(&q, err) < 0 || delete_row(db, a->old_id, err) < 0)
		return -1;
	query_begin(&q, db, "UPDATE endpoint SET name = ? WHERE id = ?");
	put_text(&q, name);
	put_int(&q, a->new_id);
	if (query_run(&q, err) < 0)
		return -1;
	return db_changes(db) ? 0 : err_set(err, ERR_NOT_FOUND, "the successor of endpoint \"%s\" is not there", name);
}

int store_endpoint_replace(struct store *s, int64_t old_id, int64_t new_id, struct err *err)
{
	if (old_id == new_id)
		return err_set(err, ERR_USAGE, "an endpoint cannot replace itself");
	struct replace_args a = {.old_id = old_id, .new_id = new_id};
	return store_do(s, replace_step, &a, err);
}

/* --- the breaker --- */

struct pause_args {
	int64_t id, user_id;
	const char *reason, *who;
	bool ok, paused, known;
};

static int set_pause(struct db *db, const struct pause_args *a, bool pause, struct err *err)
{
	struct query q;
	query_begin(&q, db, "UPDATE endpoint SET paused_at = ?, paused_text = ? WHERE id = ?");
	put_int(&q, pause ? clock_wall_s() : 0);
	put_text_cut(&q, pause ? a->reason : "", MODEL_ERROR - 1);
	put_int(&q, a->id);
	if (query_run(&q, err) < 0)
		return -1;
	if (named_changed(db, &kind, err) < 0)
		return -1;
	char object[MODEL_TEXT];
	query_begin(&q, db, "SELECT name FROM endpoint WHERE id = ?");
	put_int(&q, a->id);
	int rc = query_row(&q, err);
	if (rc > 0)
		get_text(&q, object, sizeof(object));
	query_end(&q);
	return rc <= 0 ? rc
		       : audit_add(db, a->who, pause ? "endpoint pause" : "endpoint resume", object, a->reason, err);
}

static int pause_step(struct db *db, void *arg, struct err *err)
{
	return set_pause(db, arg, true, err);
}

int store_endpoint_pause(struct store *s, int64_t id, const char *reason, struct err *err)
{
	struct pause_args a = {.id = id, .reason = reason, .who = s->who};
	return store_do(s, pause_step, &a, err);
}

static int forget_refusals(struct db *db, int64_t id, struct err *err)
{
	struct query q;
	query_begin(&q, db, "DELETE FROM sign_in WHERE endpoint_id = ?");
	put_int(&q, id);
	return query_run(&q, err);
}

static int resume_step(struct db *db, void *arg, struct err *err)
{
	struct pause_args *a = arg;
	return forget_refusals(db, a->id, err) < 0 ? -1 : set_pause(db, a, false, err);
}

int store_endpoint_resume(struct store *s, int64_t id, struct err *err)
{
	struct pause_args a = {.id = id, .reason = "", .who = s->who};
	return store_do(s, resume_step, &a, err);
}

static int look_sign_in(struct db *db, void *arg, struct err *err)
{
	struct pause_args *a = arg;
	struct query q;
	query_begin(&q, db,
		"SELECT paused_at, EXISTS (SELECT 1 FROM sign_in WHERE endpoint_id = e.id) FROM endpoint "
		"e WHERE id = ?");
	put_int(&q, a->id);
	int rc = query_row(&q, err);
	if (rc > 0) {
		a->paused = get_bool(&q);
		a->known = get_bool(&q);
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

static int sign_in_step(struct db *db, void *arg, struct err *err)
{
	struct pause_args *a = arg;
	struct query q;
	if (a->ok)
		return forget_refusals(db, a->id, err);
	query_begin(&q, db,
		"INSERT OR REPLACE INTO sign_in (endpoint_id, user_id, at) SELECT id, ?2, ?3 FROM "
		"endpoint WHERE id = ?1");
	put_int(&q, a->id);
	put_int(&q, a->user_id);
	put_int(&q, clock_wall_s());
	if (query_run(&q, err) < 0)
		return -1;
	query_begin(&q, db,
		"SELECT (SELECT count(*) FROM sign_in WHERE endpoint_id = e.id), paused_at FROM endpoint "
		"e WHERE id = ?");
	put_int(&q, a->id);
	int rc = query_row(&q, err);
	int64_t refused = rc > 0 ? get_int(&q) : 0;
	a->paused = rc > 0 && get_bool(&q);
	query_end(&q);
	if (rc < 0 || refused < BREAKER_USERS || a->paused)
		return rc < 0 ? -1 : 0;
	a->paused = true;
	return set_pause(db, a, true, err);
}

int store_endpoint_sign_in(
	struct store *s, int64_t endpoint_id, int64_t user_id, bool ok, bool *paused, struct err *err)
{
	struct pause_args a = {.id = endpoint_id,
		.user_id = user_id,
		.ok = ok,
		.who = s->who,
		.reason = "the sign-ins of three users in a row were refused"};
	int rc = ok ? store_look(s, look_sign_in, &a, err) : 0; /* the ordinary case writes nothing */
	if (rc == 0 && (!ok || a.known))
		rc = store_do(s, sign_in_step, &a, err);
	*paused = a.paused;
	return rc;
}
