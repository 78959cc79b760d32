/* Bytes a day: how an endpoint counts them, and what was spent. Booked inside the write transaction, so that an engine and a command that
   download at once spend one budget. */
#include "engine/store/parts.h"

#include "throttle/daily_budget.h"

struct rule_args {
	int64_t endpoint_id;
	struct day_rule rule;
	bool known;
};

static int rule_step(struct db *db, void *arg, struct err *err)
{
	const struct rule_args *a = arg;
	struct query q;
	query_begin(&q, db,
		"INSERT OR REPLACE INTO day_rule (endpoint_id, of_host, zone) SELECT id, ?2, ?3 FROM endpoint WHERE id "
		"= ?1");
	put_int(&q, a->endpoint_id);
	put_int(&q, a->rule.of_host);
	put_text(&q, a->rule.zone);
	return query_run(&q, err);
}

int store_day_rule_save(struct store *s, int64_t endpoint_id, const struct day_rule *r, struct err *err)
{
	struct rule_args a = {.endpoint_id = endpoint_id, .rule = *r};
	return store_do(s, rule_step, &a, err);
}

static int rule_look(struct db *db, void *arg, struct err *err)
{
	struct rule_args *a = arg;
	struct query q;
	query_begin(&q, db, "SELECT of_host, zone FROM day_rule WHERE endpoint_id = ?");
	put_int(&q, a->endpoint_id);
	int rc = query_row(&q, err);
	if (rc > 0) {
		a->known = true;
		a->rule.of_host = get_bool(&q);
		get_text(&q, a->rule.zone, sizeof(a->rule.zone));
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_day_rule_get(struct store *s, int64_t endpoint_id, struct day_rule *out, bool *known, struct err *err)
{
	struct rule_args a = {.endpoint_id = endpoint_id};
	int rc = store_look(s, rule_look, &a, err);
	*out = a.rule;
	*known = a.known;
	return rc;
}

/* --- what was spent --- */

struct spent_args {
	int64_t endpoint_id, now, want, parked_until;
	const char *mailbox;
	const struct zone *zone;
	struct daily_budget budget;
};

static int read_spent(struct db *db, struct spent_args *a, struct err *err)
{
	struct query q;
	query_begin(&q, db, "SELECT day, bytes FROM spent WHERE endpoint_id = ? AND mailbox = ?");
	put_int(&q, a->endpoint_id);
	put_text(&q, a->mailbox);
	int rc = query_row(&q, err);
	a->budget.day = rc > 0 ? get_int(&q) : INT64_MIN / 4; /* long ago */
	a->budget.spent = rc > 0 ? get_uint(&q) : 0;
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

static int take_step(struct db *db, void *arg, struct err *err)
{
	struct spent_args *a = arg;
	struct daily_budget *b = &a->budget;
	if (read_spent(db, a, err) < 0)
		return -1;
	daily_budget_turn(b, a->zone, a->now);
	a->parked_until = 0;
	if (a->want > 0) {
		a->parked_until = daily_budget_parked_until(b, a->zone, a->now, (uint64_t)a->want);
		if (!a->parked_until)
			daily_budget_spend(b, a->zone, a->now, (uint64_t)a->want);
	} else {
		uint64_t back = (uint64_t)-a->want;
		b->spent = b->spent > back ? b->spent - back : 0;
	}
	struct query q;
	query_begin(&q, db,
		"INSERT OR REPLACE INTO spent (endpoint_id, mailbox, day, bytes) SELECT id, ?2, ?3, ?4 FROM endpoint "
		"WHERE id = ?1");
	put_int(&q, a->endpoint_id);
	put_text(&q, a->mailbox);
	put_int(&q, b->day);
	put_uint(&q, b->spent);
	return query_run(&q, err);
}

int store_spent_take(struct store *s, int64_t endpoint_id, const char *mailbox, const struct zone *zone, uint64_t limit,
	int64_t want, int64_t now, int64_t *parked_until, struct err *err)
{
	struct spent_args a = {.endpoint_id = endpoint_id,
		.now = now,
		.want = want,
		.mailbox = mailbox,
		.zone = zone,
		.budget = {.limit = limit}};
	int rc = store_do(s, take_step, &a, err);
	*parked_until = a.parked_until;
	return rc;
}

static int spent_look(struct db *db, void *arg, struct err *err)
{
	struct spent_args *a = arg;
	if (read_spent(db, a, err) < 0)
		return -1;
	daily_budget_turn(&a->budget, a->zone, a->now);
	return 0;
}

int store_spent_get(struct store *s, int64_t endpoint_id, const char *mailbox, const struct zone *zone, int64_t now,
	uint64_t *bytes, struct err *err)
{
	struct spent_args a = {.endpoint_id = endpoint_id, .now = now, .mailbox = mailbox, .zone = zone};
	int rc = store_look(s, spent_look, &a, err);
	*bytes = a.budget.spent;
	return rc;
}

static int release_step(struct db *db, void *arg, struct err *err)
{
	const int64_t *endpoint_id = arg;
	struct query q;
	query_begin(&q, db,
		"UPDATE user SET retry_at = 0 WHERE error_kind = ?1 AND want > 0 AND batch_id IN (SELECT id FROM batch "
		"WHERE endpoint_id = ?2)");
	put_uint(&q, ERR_DEFERRED);
	put_int(&q, *endpoint_id);
	return query_run(&q, err);
}

int store_deferred_release(struct store *s, int64_t endpoint_id, struct err *err)
{
	return store_do(s, release_step, &endpoint_id, err);
}

struct next_args {
	int64_t batch_id, at;
};

static int next_look(struct db *db, void *arg, struct err *err)
{
	struct next_args *a = arg;
	struct query q;
	query_begin(&q, db,
		"SELECT coalesce(max(1, min(u.retry_at)), 0) FROM user u JOIN work w ON w.user_id = u.id WHERE "
		"u.batch_id = ?1 "
		"AND u.want > 0 AND u.error_kind = ?2 AND w.held = 0");
	put_int(&q, a->batch_id);
	put_uint(&q, ERR_DEFERRED);
	int rc = query_row(&q, err);
	a->at = rc > 0 ? get_int(&q) : 0;
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_deferred_next(struct store *s, int64_t batch_id, int64_t *at, struct err *err)
{
	struct next_args a = {.batch_id = batch_id};
	int rc = store_look(s, next_look, &a, err);
	*at = a.at;
	return rc;
}
