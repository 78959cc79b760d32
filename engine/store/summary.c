/* A batch in numbers, without reading every user: for progress and status of fifty thousand mailboxes. */
#include "engine/store/parts.h"

#define ACTIVE ((size_t)1000)

struct summary_args {
	int64_t batch_id;
	struct batch_summary *out;
	struct user *rows;
	size_t n, room;
};

static int states_look(struct db *db, struct summary_args *a, struct err *err)
{
	struct query q;
	int rc;
	query_begin(&q, db, "SELECT state, count(*) FROM user WHERE batch_id = ? GROUP BY state");
	put_int(&q, a->batch_id);
	while ((rc = query_row(&q, err)) > 0) {
		unsigned state = get_enum(&q, USER_FAILED + 1), n = get_unsigned(&q);
		a->out->by_state[state] += n;
		a->out->users += n;
	}
	return rc;
}

static int counts_look(struct db *db, struct summary_args *a, struct err *err)
{
	struct query q;
	query_begin(&q, db,
		"SELECT coalesce(sum(max(w.found, w.copied + w.adopted + w.skipped + w.refused + w.gone "
		"+ w.in_doubt)), 0), "
		"coalesce(sum(w.copied), 0), coalesce(sum(w.adopted), 0), coalesce(sum(w.skipped), 0), "
		"coalesce(sum(w.refused), 0), "
		"coalesce(sum(w.gone), 0), coalesce(sum(w.in_doubt), 0), coalesce(sum(w.found_bytes), "
		"0), coalesce(sum(w.copied_bytes), 0) "
		"FROM user u JOIN work w ON w.user_id = u.id WHERE u.batch_id = ?");
	put_int(&q, a->batch_id);
	int rc = query_row(&q, err);
	if (rc > 0)
		counts_read(&q, &a->out->counts);
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

static int active_look(struct db *db, struct summary_args *a, struct err *err)
{
	struct query q;
	int rc;
	query_begin(&q, db, "SELECT " USER_COLUMNS " WHERE u.batch_id = ? AND w.held = 1 ORDER BY u.line");
	put_int(&q, a->batch_id);
	while ((rc = query_row(&q, err)) > 0) {
		if (rows_grow((void **)&a->rows, &a->room, a->n, sizeof(*a->rows), ACTIVE, err) < 0) {
			query_end(&q);
			return -1;
		}
		user_read(&q, &a->rows[a->n++]);
	}
	return rc;
}

static int summary_look(struct db *db, void *arg, struct err *err)
{
	struct summary_args *a = arg;
	memset(a->out, 0, sizeof(*a->out));
	return states_look(db, a, err) < 0 || counts_look(db, a, err) < 0 || active_look(db, a, err) < 0 ? -1 : 0;
}

int store_batch_summary(struct store *s, int64_t batch_id, struct batch_summary *out, struct user **active,
	size_t *n_active, struct err *err)
{
	struct summary_args a = {.batch_id = batch_id, .out = out};
	int rc = store_look(s, summary_look, &a, err);
	if (rc < 0) {
		free(a.rows);
		a = (struct summary_args){0};
	}
	*active = a.rows;
	*n_active = a.n;
	return rc;
}

struct raw_args {
	int64_t generation_id;
	char *raw;
};

static int raw_look(struct db *db, void *arg, struct err *err)
{
	struct raw_args *a = arg;
	struct query q;
	const void *view;
	query_begin(&q, db, "SELECT raw FROM generation WHERE id = ?");
	put_int(&q, a->generation_id);
	int rc = query_row(&q, err);
	if (rc > 0) {
		size_t n = get_blob_view(&q, &view);
		a->raw = calloc(n + 1, 1);
		if (a->raw && n)
			memcpy(a->raw, view, n);
	}
	query_end(&q);
	if (rc < 0)
		return -1;
	return a->raw ? 0 : err_set(err, ERR_NOT_FOUND, "a folder is not in the state any more");
}

int store_generation_raw(struct store *s, int64_t generation_id, char **raw, struct err *err)
{
	struct raw_args a = {.generation_id = generation_id};
	int rc = store_look(s, raw_look, &a, err);
	*raw = a.raw;
	return rc;
}
