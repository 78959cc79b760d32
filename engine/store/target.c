/* Targets: rows. */
#include "engine/store/parts.h"

#include "engine/base/clock.h"
#include "engine/store/names.h"
#include "engine/store/rows.h"

#define TARGETS ((size_t)10000)

#define TARGET_COLUMNS \
	"id, name, kind, tenant, client_id, cloud, login_url, imap_host, imap_port, imap_tls, ca_file, " \
	"any_certificate, auth, " \
	"login_template, routes, max_message_bytes, settle_after_ms, bytes_per_s, max_mailboxes, " \
	"test_user, tested_at, " \
	"test_passed, test_skipped, test_text, created_at, graph_url, graph_ceiling FROM target "

static void read_row(struct query *q, void *row)
{
	struct target_row *t = row;
	t->id = get_int(q);
	get_text(q, t->name, sizeof(t->name));
	t->kind = get_enum(q, TARGET_IMAP + 1);
	get_text(q, t->tenant, sizeof(t->tenant));
	get_text(q, t->client_id, sizeof(t->client_id));
	get_text(q, t->cloud, sizeof(t->cloud));
	get_text(q, t->login_url, sizeof(t->login_url));
	get_text(q, t->imap_host, sizeof(t->imap_host));
	t->imap_port = get_enum(q, 65536);
	t->imap_tls = get_enum(q, TLS_NONE + 1);
	get_text(q, t->ca_file, sizeof(t->ca_file));
	t->accept_any_certificate = get_bool(q);
	t->auth = get_enum(q, AUTH_XOAUTH2 + 1);
	get_text(q, t->login_template, sizeof(t->login_template));
	get_text(q, t->routes, sizeof(t->routes));
	t->max_message_bytes = get_uint(q);
	t->settle_after_ms = get_int(q);
	t->bytes_per_s = get_uint(q);
	t->max_mailboxes = get_unsigned(q);
	get_text(q, t->test_user, sizeof(t->test_user));
	t->tested_at = get_int(q);
	t->test_passed = get_bool(q);
	t->test_skipped = get_bool(q);
	get_text(q, t->test_text, sizeof(t->test_text));
	t->created_at = get_int(q);
	get_text(q, t->graph_url, sizeof(t->graph_url));
	t->graph_ceiling = get_unsigned(q);
}

static const struct named kind = NAMED("target", "a", TARGET_COLUMNS, "name", read_row, struct target_row, TARGETS);

static void put_row(struct query *q, const struct target_row *t)
{
	put_text(q, t->name);
	put_uint(q, t->kind);
	put_text(q, t->tenant);
	put_text(q, t->client_id);
	put_text(q, t->cloud);
	put_text(q, t->login_url);
	put_text(q, t->imap_host);
	put_uint(q, t->imap_port);
	put_uint(q, t->imap_tls);
	put_text(q, t->ca_file);
	put_int(q, t->accept_any_certificate);
	put_uint(q, t->auth);
	put_text(q, t->login_template);
	put_text(q, t->routes);
	put_uint(q, t->max_message_bytes);
	put_int(q, t->settle_after_ms);
	put_uint(q, t->bytes_per_s);
	put_uint(q, t->max_mailboxes);
	put_text(q, t->test_user);
	put_int(q, t->tested_at);
	put_int(q, t->test_passed);
	put_int(q, t->test_skipped);
	put_text(q, t->test_text);
	put_int(q, t->created_at);
	put_text(q, t->graph_url);
	put_uint(q, t->graph_ceiling);
}

struct save_args {
	const struct target_row *t;
	int64_t id;
};

static int save_step(struct db *db, void *arg, struct err *err)
{
	struct save_args *a = arg;
	struct query q;
	if (named_is_free(db, &kind, a->t->name, a->t->id, err) < 0)
		return -1;
	if (a->t->id == 0) {
		query_begin(&q, db,
			"INSERT INTO target (name, kind, tenant, client_id, cloud, login_url, imap_host, "
			"imap_port, imap_tls, ca_file, "
			"any_certificate, auth, login_template, routes, max_message_bytes, settle_after_ms, "
			"bytes_per_s, max_mailboxes, "
			"test_user, tested_at, test_passed, test_skipped, test_text, created_at, graph_url, "
			"graph_ceiling) "
			"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
		put_row(&q, a->t);
		if (query_run(&q, err) < 0)
			return -1;
		a->id = db_last_id(db);
		return 0;
	}
	query_begin(&q, db,
		"UPDATE target SET name = ?, kind = ?, tenant = ?, client_id = ?, cloud = ?, login_url = "
		"?, imap_host = ?, imap_port = ?, "
		"imap_tls = ?, ca_file = ?, any_certificate = ?, auth = ?, login_template = ?, routes = "
		"?, max_message_bytes = ?, "
		"settle_after_ms = ?, bytes_per_s = ?, max_mailboxes = ?, test_user = ?, tested_at = ?, "
		"test_passed = ?, "
		"test_skipped = ?, test_text = ?, created_at = ?, graph_url = ?, graph_ceiling = ? WHERE id = ?");
	put_row(&q, a->t);
	put_int(&q, a->t->id);
	a->id = a->t->id;
	if (query_run(&q, err) < 0)
		return -1;
	return named_changed(db, &kind, err);
}

int store_target_save(struct store *s, struct target_row *t, struct err *err)
{
	if (names_check(kind.a_noun, t->name, err) < 0)
		return -1;
	if (t->created_at == 0)
		t->created_at = clock_wall_s();
	struct save_args a = {.t = t};
	if (store_do(s, save_step, &a, err) < 0)
		return -1;
	t->id = a.id;
	return 0;
}

int store_target_get(struct store *s, const char *name, struct target_row *out, struct err *err)
{
	return named_get(s, &kind, name, 0, out, err);
}

int store_target_by_id(struct store *s, int64_t id, struct target_row *out, struct err *err)
{
	return named_get(s, &kind, NULL, id, out, err);
}

int store_target_list(struct store *s, struct target_row **out, size_t *n, struct err *err)
{
	void *rows;
	int rc = rows_list(s, &kind.all, 0, &rows, n, err);
	*out = rows;
	return rc;
}

static int delete_step(struct db *db, void *arg, struct err *err)
{
	const int64_t *id = arg;
	if (names_in_use(db, "the target", "SELECT name FROM batch WHERE target_id = ? ORDER BY name LIMIT 20", *id,
		    err) < 0 ||
		secret_drop_rows(db, "target", *id, "", err) < 0)
		return -1;
	return named_remove(db, &kind, *id, err);
}

int store_target_delete(struct store *s, int64_t id, struct err *err)
{
	return store_do(s, delete_step, &id, err);
}
