/* Assessments and forecasts of batches. */
#include "engine/store/assess.h"

#include "engine/base/clock.h"
#include "engine/base/utf8.h"
#include "engine/store/parts.h"

#include <stdarg.h>

#define ROWS ((size_t)200000)
#define JSON_BYTES ((size_t)4 * 1024 * 1024)

const char *finding_weight_name(enum finding_weight w)
{
	static const char *const names[] = {"problem", "left-out", "note"};
	return (unsigned)w < sizeof(names) / sizeof(names[0]) ? names[w] : "?";
}

void assessment_done(struct assessment *a)
{
	free(a->findings);
	a->findings = NULL;
	a->n_findings = 0;
}

void assessment_add(
	struct assessment *a, enum finding_weight w, const char *kind, const char *remedy, const char *fmt, ...)
{
	va_list ap;
	a->problems += w == FINDING_PROBLEM;
	a->left_out += w == FINDING_LEFT_OUT;
	a->notes += w == FINDING_NOTE;
	if (a->n_findings == FINDINGS)
		return;
	struct finding *v =
		realloc(a->findings, (a->n_findings + 1) * sizeof(*v)); /* few, and of many mailboxes at once */
	if (!v)
		return;
	a->findings = v;
	struct finding *f = &a->findings[a->n_findings++];
	f->weight = w;
	snprintf(f->kind, sizeof(f->kind), "%s", kind);
	snprintf(f->remedy, sizeof(f->remedy), "%s", remedy);
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	utf8_trim(f->text);
	utf8_mend(f->text); /* words of servers and names of folders: JSON takes UTF-8 only */
	utf8_trim(f->remedy);
	utf8_mend(f->remedy);
}

/* --- of a mailbox --- */

static int put_findings(struct db *db, const struct assessment *a, struct err *err)
{
	struct query q;
	query_begin(&q, db, "DELETE FROM finding WHERE user_id = ?");
	put_int(&q, a->user_id);
	if (query_run(&q, err) < 0)
		return -1;
	for (size_t i = 0; i < a->n_findings; i++) {
		const struct finding *f = &a->findings[i];
		query_begin(&q, db,
			"INSERT INTO finding (user_id, n, weight, kind, text, remedy) VALUES (?, ?, ?, ?, ?, ?)");
		put_int(&q, a->user_id);
		put_uint(&q, i);
		put_uint(&q, f->weight);
		put_text(&q, f->kind);
		put_text(&q, f->text);
		put_text(&q, f->remedy);
		if (query_run(&q, err) < 0)
			return -1;
	}
	return 0;
}

static int put_step(struct db *db, void *arg, struct err *err)
{
	const struct assessment *a = arg;
	struct query q;
	query_begin(&q, db,
		"INSERT INTO assessment (user_id, at, error_kind, error, folders, folders_moved, messages, bytes, "
		"largest, deleted, drafts, too_big, too_big_bytes, problems, left_out, notes) "
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (user_id) DO UPDATE SET "
		"at = excluded.at, error_kind = excluded.error_kind, error = excluded.error, folders = "
		"excluded.folders, "
		"folders_moved = excluded.folders_moved, messages = excluded.messages, bytes = excluded.bytes, "
		"largest = excluded.largest, deleted = excluded.deleted, drafts = excluded.drafts, "
		"too_big = excluded.too_big, too_big_bytes = excluded.too_big_bytes, problems = excluded.problems, "
		"left_out = excluded.left_out, notes = excluded.notes");
	put_int(&q, a->user_id);
	put_int(&q, a->at);
	put_uint(&q, a->error_kind);
	put_text(&q, a->error);
	put_uint(&q, a->folders);
	put_uint(&q, a->folders_moved);
	put_uint(&q, a->messages);
	put_uint(&q, a->bytes);
	put_uint(&q, a->largest);
	put_uint(&q, a->deleted);
	put_uint(&q, a->drafts);
	put_uint(&q, a->too_big);
	put_uint(&q, a->too_big_bytes);
	put_uint(&q, a->problems);
	put_uint(&q, a->left_out);
	put_uint(&q, a->notes);
	return query_run(&q, err) < 0 ? -1 : put_findings(db, a, err);
}

int store_assessment_put(struct store *s, const struct assessment *a, struct err *err)
{
	struct assessment copy = *a; /* borrowed findings */
	return store_do(s, put_step, &copy, err);
}

struct list_args {
	int64_t id;
	void *rows;
	size_t n, room;
};

/* The next row of a list that grows; NULL: err. */
static void *next_row(struct list_args *a, size_t size, struct err *err)
{
	if (rows_grow(&a->rows, &a->room, a->n, size, ROWS, err) < 0)
		return NULL;
	char *row = (char *)a->rows + size * a->n++;
	memset(row, 0, size);
	return row;
}

static int look_list(struct store *s, store_step *look, int64_t id, void **out, size_t *n, struct err *err)
{
	struct list_args a = {.id = id};
	int rc = store_look(s, look, &a, err);
	if (rc < 0) {
		free(a.rows);
		a = (struct list_args){0};
	}
	*out = a.rows;
	*n = a.n;
	return rc;
}

static int list_look(struct db *db, void *arg, struct err *err)
{
	struct list_args *args = arg;
	struct query q;
	int rc;
	query_begin(&q, db,
		"SELECT u.id, coalesce(a.at, 0), coalesce(a.error_kind, 0), coalesce(a.error, ''), coalesce(a.folders, "
		"0), "
		"coalesce(a.folders_moved, 0), coalesce(a.messages, 0), coalesce(a.bytes, 0), coalesce(a.largest, 0), "
		"coalesce(a.deleted, 0), coalesce(a.drafts, 0), coalesce(a.too_big, 0), coalesce(a.too_big_bytes, 0), "
		"coalesce(a.problems, 0), coalesce(a.left_out, 0), coalesce(a.notes, 0), coalesce(a.begins_at, 0), "
		"coalesce(a.ends_at, 0), coalesce(a.active_s, 0), coalesce(a.bind, '') "
		"FROM user u LEFT JOIN assessment a ON a.user_id = u.id WHERE u.batch_id = ? ORDER BY u.line");
	put_int(&q, args->id);
	while ((rc = query_row(&q, err)) > 0) {
		struct assessment *a = next_row(args, sizeof(*a), err);
		if (!a) {
			query_end(&q);
			return -1;
		}
		a->user_id = get_int(&q);
		a->at = get_int(&q);
		a->error_kind = get_enum(&q, ERR_KINDS_END);
		get_text(&q, a->error, sizeof(a->error));
		a->folders = get_unsigned(&q);
		a->folders_moved = get_unsigned(&q);
		a->messages = get_uint(&q);
		a->bytes = get_uint(&q);
		a->largest = get_uint(&q);
		a->deleted = get_uint(&q);
		a->drafts = get_uint(&q);
		a->too_big = get_uint(&q);
		a->too_big_bytes = get_uint(&q);
		a->problems = get_unsigned(&q);
		a->left_out = get_unsigned(&q);
		a->notes = get_unsigned(&q);
		a->begins_at = get_int(&q);
		a->ends_at = get_int(&q);
		a->active_s = get_int(&q);
		get_text(&q, a->bind, sizeof(a->bind));
	}
	return rc;
}

int store_assessment_list(struct store *s, int64_t batch_id, struct assessment **out, size_t *n, struct err *err)
{
	void *rows;
	int rc = look_list(s, list_look, batch_id, &rows, n, err);
	*out = rows;
	return rc;
}

static int findings_look(struct db *db, void *arg, struct err *err)
{
	struct list_args *args = arg;
	struct query q;
	int rc;
	query_begin(&q, db, "SELECT weight, kind, text, remedy FROM finding WHERE user_id = ? ORDER BY n");
	put_int(&q, args->id);
	while ((rc = query_row(&q, err)) > 0) {
		struct finding *f = next_row(args, sizeof(*f), err);
		if (!f) {
			query_end(&q);
			return -1;
		}
		f->weight = get_enum(&q, FINDING_NOTE + 1);
		get_text(&q, f->kind, sizeof(f->kind));
		get_text(&q, f->text, sizeof(f->text));
		get_text(&q, f->remedy, sizeof(f->remedy));
	}
	return rc;
}

int store_findings(struct store *s, int64_t user_id, struct finding **out, size_t *n, struct err *err)
{
	void *rows;
	int rc = look_list(s, findings_look, user_id, &rows, n, err);
	*out = rows;
	return rc;
}

/* --- the outlook of a batch --- */

void outlook_done(struct outlook *o)
{
	free(o->basis);
	free(o->nights);
	*o = (struct outlook){0};
}

struct outlook_args {
	int64_t batch_id;
	const struct outlook *in;
	const struct assessment *v;
	size_t n;
	struct outlook *out;
};

static int put_forecasts(struct db *db, const struct outlook_args *a, struct err *err)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct assessment *x = &a->v[i];
		struct query q;
		if (!x->at || !x->ends_at)
			continue;
		query_begin(&q, db,
			"UPDATE assessment SET begins_at = ?, ends_at = ?, active_s = ?, bind = ? WHERE user_id = ?");
		put_int(&q, x->begins_at);
		put_int(&q, x->ends_at);
		put_int(&q, x->active_s);
		put_text(&q, x->bind);
		put_int(&q, x->user_id);
		if (query_run(&q, err) < 0)
			return -1;
	}
	return 0;
}

static int outlook_step(struct db *db, void *arg, struct err *err)
{
	const struct outlook_args *a = arg;
	struct query q;
	query_begin(&q, db,
		"INSERT OR REPLACE INTO outlook (batch_id, at, begins_at, ends_at, open_s, bytes, messages, mailboxes, "
		"at_once, "
		"bind, basis, nights) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	put_int(&q, a->batch_id);
	put_int(&q, a->in->at);
	put_int(&q, a->in->begins_at);
	put_int(&q, a->in->ends_at);
	put_int(&q, a->in->open_s);
	put_uint(&q, a->in->bytes);
	put_uint(&q, a->in->messages);
	put_uint(&q, a->in->mailboxes);
	put_uint(&q, a->in->at_once);
	put_text(&q, a->in->bind);
	put_text(&q, a->in->basis);
	put_text(&q, a->in->nights);
	return query_run(&q, err) < 0 ? -1 : put_forecasts(db, a, err);
}

int store_outlook_put(struct store *s, int64_t batch_id, const struct outlook *o, const struct assessment *v, size_t n,
	struct err *err)
{
	struct outlook_args a = {.batch_id = batch_id, .in = o, .v = v, .n = n};
	return store_do(s, outlook_step, &a, err);
}

static int outlook_look(struct db *db, void *arg, struct err *err)
{
	struct outlook_args *a = arg;
	struct outlook *o = a->out;
	struct query q;
	bool failed = false;
	query_begin(&q, db,
		"SELECT at, begins_at, ends_at, open_s, bytes, messages, mailboxes, at_once, bind, basis, nights FROM "
		"outlook "
		"WHERE batch_id = ?");
	put_int(&q, a->batch_id);
	int rc = query_row(&q, err);
	if (rc > 0) {
		o->at = get_int(&q);
		o->begins_at = get_int(&q);
		o->ends_at = get_int(&q);
		o->open_s = get_int(&q);
		o->bytes = get_uint(&q);
		o->messages = get_uint(&q);
		o->mailboxes = get_unsigned(&q);
		o->at_once = get_unsigned(&q);
		get_text(&q, o->bind, sizeof(o->bind));
		o->basis = get_dup(&q, JSON_BYTES, &failed);
		o->nights = get_dup(&q, JSON_BYTES, &failed);
	}
	query_end(&q);
	if (failed)
		return err_set(err, ERR_MEMORY, "no memory for a forecast");
	return rc < 0 ? -1 : 0;
}

int store_outlook_get(struct store *s, int64_t batch_id, struct outlook *out, struct err *err)
{
	*out = (struct outlook){0};
	struct outlook_args a = {.batch_id = batch_id, .out = out};
	int rc = store_look(s, outlook_look, &a, err);
	if (rc < 0)
		outlook_done(out);
	return rc;
}
