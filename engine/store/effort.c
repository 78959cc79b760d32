/* What the first pass of a mailbox takes: the time with a job at work, and the gaps between jobs by what made them. */
#include "engine/store/effort.h"

#include "engine/store/assess.h"
#include "engine/store/rows.h"
#include "throttle/gate.h"

#define ROWS ((size_t)200000)

/* Why the last lease ended decides what the gap to the next one is. */
#define GAP_OF(kinds) "CASE WHEN left_at > 0 AND left_kind IN (" kinds ") THEN max(?1 - left_at, 0) ELSE 0 END"

int effort_begin(struct db *db, int64_t user_id, int64_t now, struct err *err)
{
	struct query q;
	query_begin(&q, db,
		"INSERT INTO effort (user_id, begun_at, held_at, jobs) VALUES (?2, ?1, ?1, 1) ON CONFLICT (user_id) DO "
		"UPDATE SET "
		"fenced_s = fenced_s + " GAP_OF("?3") ", deferred_s = deferred_s + " GAP_OF(
			"?4") ", "
			      "failed_s = failed_s + CASE WHEN left_at > 0 AND left_kind NOT IN (?3, ?4) THEN max(?1 - "
			      "left_at, 0) ELSE 0 END, "
			      "held_at = ?1, left_at = 0, jobs = jobs + 1 WHERE ended_at = 0");
	put_int(&q, now);
	put_int(&q, user_id);
	put_uint(&q, ERR_THROTTLED);
	put_uint(&q, ERR_DEFERRED);
	return query_run(&q, err);
}

int effort_end(struct db *db, int64_t user_id, int64_t now, enum err_kind why, bool synced, struct err *err)
{
	struct query q;
	query_begin(&q, db,
		"UPDATE effort SET active_s = active_s + max(?1 - held_at, 0), held_at = 0, left_at = ?1, left_kind = "
		"?3, "
		"ended_at = CASE WHEN ?4 THEN max(?1, 1) ELSE 0 END, "
		"messages = (SELECT copied FROM work WHERE user_id = ?2), bytes = (SELECT copied_bytes FROM work WHERE "
		"user_id = ?2) "
		"WHERE user_id = ?2 AND ended_at = 0 AND held_at > 0");
	put_int(&q, now);
	put_int(&q, user_id);
	put_uint(&q, why);
	put_int(&q, synced);
	return query_run(&q, err);
}

int effort_lost(struct db *db, int64_t user_id, struct err *err)
{
	struct query q;
	query_begin(&q, db,
		"UPDATE effort SET left_at = held_at, left_kind = ?, held_at = 0 WHERE user_id = ? AND ended_at = 0 "
		"AND held_at > 0");
	put_uint(&q, ERR_INTERNAL);
	put_int(&q, user_id);
	return query_run(&q, err);
}

static void effort_read(struct query *q, struct effort *e)
{
	e->begun_at = get_int(q);
	e->ended_at = get_int(q);
	e->active_s = get_int(q);
	e->fenced_s = get_int(q);
	e->deferred_s = get_int(q);
	e->failed_s = get_int(q);
	e->messages = get_uint(q);
	e->bytes = get_uint(q);
	e->jobs = get_unsigned(q);
}

static void read_row(struct query *q, void *row)
{
	struct effort *e = row;
	e->user_id = get_int(q);
	effort_read(q, e);
}

static const struct rows of_batch = {
	.sql = "SELECT u.id, coalesce(begun_at, 0), coalesce(ended_at, 0), coalesce(active_s, 0), coalesce(fenced_s, "
	       "0), coalesce(deferred_s, 0), coalesce(failed_s, 0), coalesce(messages, 0), coalesce(bytes, 0), "
	       "coalesce(jobs, 0) FROM user u LEFT JOIN effort e ON e.user_id = u.id WHERE u.batch_id = ? ORDER BY "
	       "u.line",
	.read = read_row,
	.size = sizeof(struct effort),
	.cap = ROWS};

int store_effort_list(struct store *s, int64_t batch_id, struct effort **out, size_t *n, struct err *err)
{
	void *rows;
	int rc = rows_list(s, &of_batch, batch_id, &rows, n, err);
	*out = rows;
	return rc;
}

struct sum_args {
	int64_t endpoint_id, target_id;
	struct effort *out;
};

static int sum_look(struct db *db, void *arg, struct err *err)
{
	struct sum_args *a = arg;
	struct query q;
	query_begin(&q, db,
		"SELECT coalesce(min(begun_at), 0), coalesce(max(e.ended_at), 0), coalesce(sum(active_s), 0), "
		"coalesce(sum(fenced_s), 0), "
		"coalesce(sum(deferred_s), 0), coalesce(sum(failed_s), 0), coalesce(sum(messages), 0), "
		"coalesce(sum(bytes), 0), count(*) "
		"FROM effort e JOIN user u ON u.id = e.user_id JOIN batch b ON b.id = u.batch_id "
		"WHERE b.endpoint_id = ? AND b.target_id = ? AND e.ended_at > 0");
	put_int(&q, a->endpoint_id);
	put_int(&q, a->target_id);
	int rc = query_row(&q, err);
	if (rc > 0)
		effort_read(&q, a->out);
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_effort_sum(struct store *s, int64_t endpoint_id, int64_t target_id, struct effort *out, struct err *err)
{
	*out = (struct effort){0};
	struct sum_args a = {.endpoint_id = endpoint_id, .target_id = target_id, .out = out};
	return store_look(s, sum_look, &a, err);
}

/* --- what the limits of mailboxes turned out to be --- */

struct usual_args {
	const char *above, *leaf;
	int64_t now;
	struct scope_learned *out;
};

static int usual_look(struct db *db, void *arg, struct err *err)
{
	struct usual_args *a = arg;
	struct query q;
	query_begin(&q, db,
		"SELECT coalesce(CAST(avg(nullif(requests, 0)) AS INTEGER), 0), coalesce(CAST(avg(nullif(bytes, 0)) AS "
		"INTEGER), 0), "
		"coalesce(CAST(avg(nullif(in_flight, 0)) AS INTEGER), 0) FROM learned WHERE at > ?1 - 604800 AND "
		"substr(scope, 1, length(?2) + 1) = ?2 || '/' AND substr(scope, -length(?3)) = ?3");
	put_int(&q, a->now);
	put_text(&q, a->above);
	put_text(&q, a->leaf);
	int rc = query_row(&q, err);
	if (rc > 0) {
		a->out->requests = (double)get_uint(&q);
		a->out->bytes = (double)get_uint(&q);
		a->out->in_flight = get_unsigned(&q);
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_learned_usual(
	struct store *s, const char *above, const char *leaf, int64_t now, struct scope_learned *out, struct err *err)
{
	struct usual_args a = {.above = above, .leaf = leaf, .now = now, .out = out};
	*out = (struct scope_learned){0};
	return store_look(s, usual_look, &a, err);
}
