/* What goes on, for whoever asks from another process: a narrow row a mailbox, and what was learned about servers, a row a scope. Both are
   queued: they ride in commits that other writes need anyway, and losing the last second of them is harmless. */
#include "engine/store/parts.h"

#include "throttle/gate.h"

#include <stdlib.h>

#define DAY_S 86400
#define LEARNED_KEEP_S (8 * DAY_S) /* meter.c trusts it for a week */
#define IN_FLIGHT_MOST 1000        /* beyond it is no limit of a server */

struct live_args {
	int64_t user_id;
	struct live_row row;
};

static int live_step(struct db *db, void *arg, struct err *err)
{
	const struct live_args *a = arg;
	const struct live_row *r = &a->row;
	struct query q;
	query_begin(&q, db,
		"INSERT OR REPLACE INTO live (user_id, at, bytes_per_s, limit_per_s, requests, requests_limit, "
		"in_flight, "
		"in_flight_limit, binding, detail, fenced_until, fence_words, fenced_ms, refused, deferrals) "
		"SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15 FROM user WHERE id = ?1");
	put_int(&q, a->user_id);
	put_int(&q, r->at);
	put_uint(&q, r->bytes_per_s);
	put_uint(&q, r->limit_per_s);
	put_uint(&q, r->requests);
	put_uint(&q, r->requests_limit);
	put_uint(&q, r->in_flight);
	put_uint(&q, r->in_flight_limit);
	put_uint(&q, r->binding);
	put_text_cut(&q, r->detail, sizeof(r->detail) - 1);
	put_int(&q, r->fenced_until);
	put_text_cut(&q, r->fence_words, sizeof(r->fence_words) - 1);
	put_uint(&q, r->fenced_ms);
	put_uint(&q, r->refused);
	put_uint(&q, r->deferrals);
	return query_run(&q, err);
}

int store_live_save(struct store *s, int64_t user_id, const struct live_row *row, struct err *err)
{
	struct live_args *a = calloc(1, sizeof(*a));
	if (!a)
		return err_set(err, ERR_MEMORY, "out of memory");
	a->user_id = user_id;
	a->row = *row;
	return store_queue(s, live_step, a, 0, err);
}

static int live_look(struct db *db, void *arg, struct err *err)
{
	struct live_args *a = arg;
	struct live_row *r = &a->row;
	struct query q;
	query_begin(&q, db,
		"SELECT at, bytes_per_s, limit_per_s, requests, requests_limit, in_flight, in_flight_limit, binding, "
		"detail, fenced_until, fence_words, fenced_ms, refused, deferrals FROM live WHERE user_id = ?");
	put_int(&q, a->user_id);
	int rc = query_row(&q, err);
	if (rc > 0) {
		r->at = get_int(&q);
		r->bytes_per_s = get_uint(&q);
		r->limit_per_s = get_uint(&q);
		r->requests = get_unsigned(&q);
		r->requests_limit = get_unsigned(&q);
		r->in_flight = get_unsigned(&q);
		r->in_flight_limit = get_unsigned(&q);
		r->binding = get_enum(&q, BINDINGS_END);
		get_text(&q, r->detail, sizeof(r->detail));
		r->fenced_until = get_int(&q);
		get_text(&q, r->fence_words, sizeof(r->fence_words));
		r->fenced_ms = get_uint(&q);
		r->refused = get_unsigned(&q);
		r->deferrals = get_unsigned(&q);
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_live_get(struct store *s, int64_t user_id, struct live_row *out, struct err *err)
{
	struct live_args a = {.user_id = user_id};
	int rc = store_look(s, live_look, &a, err);
	*out = a.row;
	return rc;
}

/* --- what was learned --- */

struct learned_args {
	char scope[MODEL_TEXT * 3];
	struct scope_learned learned;
	int64_t at, age_s;
};

/* Amounts beyond this are no limits of a server; and a double that large does not fit an integer. */
static int64_t whole(double v)
{
	return v > 0 && v < 1e15 ? (int64_t)v : 0;
}

static int learned_step(struct db *db, void *arg, struct err *err)
{
	const struct learned_args *a = arg;
	struct query q;
	query_begin(&q, db, "DELETE FROM learned WHERE at < ? OR at > ?");
	put_int(&q, a->at - LEARNED_KEEP_S);
	put_int(&q, a->at + DAY_S);
	if (query_run(&q, err) < 0)
		return -1;
	query_begin(&q, db,
		"INSERT OR REPLACE INTO learned (scope, requests, bytes, in_flight, at) VALUES (?, ?, ?, ?, ?)");
	put_text(&q, a->scope);
	put_int(&q, whole(a->learned.requests));
	put_int(&q, whole(a->learned.bytes));
	put_uint(&q, a->learned.in_flight);
	put_int(&q, a->at);
	return query_run(&q, err);
}

int store_learned_save(struct store *s, const char *scope, const struct scope_learned *l, int64_t at, struct err *err)
{
	struct learned_args *a = calloc(1, sizeof(*a));
	if (!a)
		return err_set(err, ERR_MEMORY, "out of memory");
	snprintf(a->scope, sizeof(a->scope), "%s", scope);
	a->learned = *l;
	a->at = at;
	return store_queue(s, learned_step, a, 0, err);
}

static int learned_look(struct db *db, void *arg, struct err *err)
{
	struct learned_args *a = arg;
	struct query q;
	query_begin(&q, db, "SELECT requests, bytes, in_flight, at FROM learned WHERE scope = ?");
	put_text(&q, a->scope);
	int rc = query_row(&q, err);
	a->age_s = -1;
	if (rc > 0) {
		a->learned.requests = (double)whole((double)get_uint(&q));
		a->learned.bytes = (double)whole((double)get_uint(&q));
		a->learned.in_flight = get_unsigned(&q);
		if (a->learned.in_flight > IN_FLIGHT_MOST)
			a->learned.in_flight = 0;
		int64_t at = get_int(&q);
		a->age_s = a->at > at ? a->at - at : 0;
		if (at > a->at + DAY_S) { /* a clock that was far ahead: who knows how old it is */
			a->learned = (struct scope_learned){0};
			a->age_s = -1;
		}
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_learned_get(
	struct store *s, const char *scope, int64_t now, struct scope_learned *out, int64_t *age_s, struct err *err)
{
	struct learned_args a = {.at = now};
	snprintf(a.scope, sizeof(a.scope), "%s", scope);
	int rc = store_look(s, learned_look, &a, err);
	*out = a.learned;
	*age_s = rc ? -1 : a.age_s;
	return rc;
}
