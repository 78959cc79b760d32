/* When batches may run, and what the engine makes of it: a row a batch beside the batch's own. */
#include "engine/store/parts.h"

struct night_args {
	int64_t batch_id;
	const struct night *in;
	struct night *out;
};

static int save_step(struct db *db, void *arg, struct err *err)
{
	const struct night_args *a = arg;
	struct query q;
	query_begin(&q, db,
		"INSERT OR REPLACE INTO night (batch_id, windows, blackouts, zone, start_after, until, auto_ramp) "
		"SELECT id, ?2, ?3, ?4, ?5, ?6, ?7 FROM batch WHERE id = ?1");
	put_int(&q, a->batch_id);
	put_text(&q, a->in->windows);
	put_text(&q, a->in->blackouts);
	put_text(&q, a->in->zone);
	put_int(&q, a->in->start_after);
	put_int(&q, a->in->until);
	put_int(&q, a->in->auto_ramp);
	if (query_run(&q, err) < 0)
		return -1;
	return db_changes(db) ? 0 : err_set(err, ERR_NOT_FOUND, "the batch is not there any more");
}

int store_night_save(struct store *s, int64_t batch_id, const struct night *n, struct err *err)
{
	struct night_args a = {.batch_id = batch_id, .in = n};
	return store_do(s, save_step, &a, err);
}

static int get_step(struct db *db, void *arg, struct err *err)
{
	struct night_args *a = arg;
	struct query q;
	query_begin(
		&q, db, "SELECT windows, blackouts, zone, start_after, until, auto_ramp FROM night WHERE batch_id = ?");
	put_int(&q, a->batch_id);
	int rc = query_row(&q, err);
	if (rc > 0) {
		get_text(&q, a->out->windows, sizeof(a->out->windows));
		get_text(&q, a->out->blackouts, sizeof(a->out->blackouts));
		get_text(&q, a->out->zone, sizeof(a->out->zone));
		a->out->start_after = get_int(&q);
		a->out->until = get_int(&q);
		a->out->auto_ramp = get_bool(&q);
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_night_get(struct store *s, int64_t batch_id, struct night *out, struct err *err)
{
	struct night_args a = {.batch_id = batch_id, .out = out};
	memset(out, 0, sizeof(*out));
	return store_look(s, get_step, &a, err);
}

/* --- the engine's word --- */

struct pace_args {
	int64_t batch_id;
	struct pace pace;
};

static int pace_step(struct db *db, void *arg, struct err *err)
{
	const struct pace_args *a = arg;
	struct query q;
	query_begin(&q, db,
		"INSERT OR REPLACE INTO pace (batch_id, open_at, mailboxes, advice, text) SELECT id, ?2, ?3, ?4, ?5 "
		"FROM batch WHERE id = ?1");
	put_int(&q, a->batch_id);
	put_int(&q, a->pace.open_at);
	put_uint(&q, a->pace.mailboxes);
	put_uint(&q, a->pace.advice);
	put_text_cut(&q, a->pace.text, sizeof(a->pace.text) - 1);
	return query_run(&q, err);
}

int store_pace_save(struct store *s, int64_t batch_id, const struct pace *p, struct err *err)
{
	struct pace_args a = {.batch_id = batch_id, .pace = *p};
	return store_do(s, pace_step, &a, err);
}

static int pace_look(struct db *db, void *arg, struct err *err)
{
	struct pace_args *a = arg;
	struct query q;
	query_begin(&q, db, "SELECT open_at, mailboxes, advice, text FROM pace WHERE batch_id = ?");
	put_int(&q, a->batch_id);
	int rc = query_row(&q, err);
	if (rc > 0) {
		a->pace.open_at = get_int(&q);
		a->pace.mailboxes = get_unsigned(&q);
		a->pace.advice = get_unsigned(&q);
		get_text(&q, a->pace.text, sizeof(a->pace.text));
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_pace_get(struct store *s, int64_t batch_id, struct pace *out, struct err *err)
{
	struct pace_args a = {.batch_id = batch_id};
	int rc = store_look(s, pace_look, &a, err);
	*out = a.pace;
	return rc;
}
