/* Who changed what, when; and what a person should know about a mailbox. Both are only ever added to. */
#include "engine/store/parts.h"

#include "engine/base/clock.h"
#include "engine/base/utf8.h"
#include "engine/store/rows.h"

#define AUDIT_ROWS ((size_t)100000)
#define NOTES ((size_t)2000) /* a user; a hostile source must not fill the state with them */

struct audit_args {
	const char *who, *action, *object, *detail;
	struct audit_row *rows;
	size_t n, room;
};

int audit_add(
	struct db *db, const char *who, const char *action, const char *object, const char *detail, struct err *err)
{
	struct query q;
	query_begin(&q, db, "INSERT INTO audit (at, who, action, object, detail) VALUES (?, ?, ?, ?, ?)");
	put_int(&q, clock_wall_s());
	put_text_cut(&q, who, MODEL_NAME - 1);
	put_text_cut(&q, action, sizeof(((struct audit_row *)0)->action) - 1);
	put_text_cut(&q, object, MODEL_TEXT - 1);
	put_text_cut(&q, detail, MODEL_ERROR - 1);
	return query_run(&q, err);
}

static int audit_step(struct db *db, void *arg, struct err *err)
{
	struct audit_args *a = arg;
	return audit_add(db, a->who, a->action, a->object, a->detail, err);
}

int store_audit(struct store *s, const char *action, const char *object, const char *detail, struct err *err)
{
	struct audit_args a = {.who = s->who, .action = action, .object = object, .detail = detail};
	return store_do(s, audit_step, &a, err);
}

/* The newest, in the order they were written. */
static int audit_look(struct db *db, void *arg, struct err *err)
{
	struct audit_args *a = arg;
	struct query q;
	query_begin(&q, db,
		"SELECT at, who, action, object, detail FROM (SELECT * FROM audit WHERE ?1 = '' OR "
		"object = ?1 "
		"ORDER BY id DESC LIMIT ?2) ORDER BY id");
	put_text(&q, a->object);
	put_uint(&q, AUDIT_ROWS);
	int rc;
	while ((rc = query_row(&q, err)) > 0) {
		if (rows_grow((void **)&a->rows, &a->room, a->n, sizeof(*a->rows), AUDIT_ROWS, err) < 0) {
			query_end(&q);
			return -1;
		}
		struct audit_row *r = &a->rows[a->n++];
		r->at = get_int(&q);
		get_text(&q, r->who, sizeof(r->who));
		get_text(&q, r->action, sizeof(r->action));
		get_text(&q, r->object, sizeof(r->object));
		get_text(&q, r->detail, sizeof(r->detail));
	}
	return rc;
}

int store_audit_list(struct store *s, const char *object, struct audit_row **out, size_t *n, struct err *err)
{
	struct audit_args a = {.object = object};
	int rc = store_look(s, audit_look, &a, err);
	if (rc < 0) {
		free(a.rows);
		a = (struct audit_args){0};
	}
	*out = a.rows;
	*n = a.n;
	return rc;
}

/* --- notes --- */

struct note_args {
	int64_t user_id;
	char kind[32];
	char text[MODEL_ERROR];
};

int note_add(struct db *db, int64_t user_id, const char *kind, const char *text, struct err *err)
{
	struct query q;
	query_begin(&q, db,
		"INSERT OR IGNORE INTO note (user_id, at, kind, text) SELECT u.id, ?2, ?3, ?4 FROM user "
		"u WHERE u.id = ?1 "
		"AND (SELECT count(*) FROM (SELECT 1 FROM note WHERE user_id = ?1 LIMIT ?5)) < ?5");
	put_int(&q, user_id);
	put_int(&q, clock_wall_s());
	put_text_cut(&q, kind, sizeof(((struct note *)0)->kind) - 1);
	put_text_cut(&q, text, MODEL_ERROR - 1);
	put_uint(&q, NOTES);
	return query_run(&q, err);
}

static int note_step(struct db *db, void *arg, struct err *err)
{
	const struct note_args *a = arg;
	return note_add(db, a->user_id, a->kind, a->text, err);
}

int store_note(struct store *s, int64_t user_id, const char *kind, const char *text, struct err *err)
{
	struct note_args *a = calloc(1, sizeof(*a));
	if (!a)
		return err_set(err, ERR_MEMORY, "out of memory for a note");
	a->user_id = user_id;
	snprintf(a->kind, sizeof(a->kind), "%s", kind);
	snprintf(a->text, sizeof(a->text), "%s", text);
	utf8_mend(a->text); /* names in it were cut */
	return store_queue(s, note_step, a, user_id, err);
}

static void read_note(struct query *q, void *row)
{
	struct note *r = row;
	r->at = get_int(q);
	get_text(q, r->kind, sizeof(r->kind));
	get_text(q, r->text, sizeof(r->text));
}

_Static_assert(NOTES == 2000, "said in SQL");
static const struct rows notes_of = {.sql = "SELECT at, kind, text FROM note WHERE user_id = ? ORDER BY id LIMIT 2000",
	.read = read_note,
	.size = sizeof(struct note),
	.cap = NOTES,
	.settled = true};

int store_notes(struct store *s, int64_t user_id, struct note **out, size_t *n, struct err *err)
{
	void *rows;
	int rc = rows_list(s, &notes_of, user_id, &rows, n, err);
	*out = rows;
	return rc;
}

static int forget_step(struct db *db, void *arg, struct err *err)
{
	const struct note_args *a = arg;
	struct query q;
	query_begin(&q, db, "DELETE FROM note WHERE user_id = ? AND kind = ?");
	put_int(&q, a->user_id);
	put_text(&q, a->kind);
	return query_run(&q, err);
}

int store_notes_forget(struct store *s, int64_t user_id, const char *kind, struct err *err)
{
	struct note_args *a = calloc(1, sizeof(*a));
	if (!a)
		return err_set(err, ERR_MEMORY, "out of memory for a note");
	a->user_id = user_id;
	snprintf(a->kind, sizeof(a->kind), "%s", kind);
	return store_queue(s, forget_step, a, user_id, err);
}

struct left_args {
	int64_t batch_id, user_id;
	struct left_behind out;
};

static int left_look(struct db *db, void *arg, struct err *err)
{
	struct left_args *a = arg;
	struct query q;
	query_begin(&q, db,
		"SELECT count(*) FILTER (WHERE n.kind = '" NOTE_LEFT "'), count(*) FILTER (WHERE n.kind = "
		"'" NOTE_UNMATCHED "') FROM note n JOIN user u ON u.id = n.user_id WHERE u.batch_id = ?1 AND "
		"(?2 = 0 OR u.id = ?2)");
	put_int(&q, a->batch_id);
	put_int(&q, a->user_id);
	int rc = query_row(&q, err);
	a->out.folders = rc > 0 ? get_uint(&q) : 0;
	a->out.patterns = rc > 0 ? get_uint(&q) : 0;
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_left_behind(struct store *s, int64_t batch_id, int64_t user_id, struct left_behind *out, struct err *err)
{
	struct left_args a = {.batch_id = batch_id, .user_id = user_id};
	int rc = store_look_settled(s, left_look, &a, err);
	*out = a.out;
	return rc;
}
