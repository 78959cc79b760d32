/* Counts of messages and octets: kept beside their owners, changed with each item and never counted. A step sums up what it changes
   and writes it once a folder and once a user; the user's row is also where a stale lease is found. */
#include "engine/store/parts.h"

void tally_begin(struct tally *t, int64_t user_id, int64_t epoch)
{
	memset(t, 0, sizeof(*t));
	t->user_id = user_id;
	t->epoch = epoch;
}

void tally_add(struct tally *t, enum item_state state, enum item_how how, uint64_t size, int sign)
{
	switch (state) {
	case ITEM_INTENDED:
		t->folder[COUNT_IN_DOUBT] += sign;
		break;
	case ITEM_PLACED:
	case ITEM_DONE:
		if (how == HOW_ADOPTED) {
			t->folder[COUNT_ADOPTED] += sign;
			break;
		}
		t->folder[COUNT_COPIED] += sign;
		t->folder[COUNT_COPIED_BYTES] += sign * (int64_t)(size & INT64_MAX);
		break;
	case ITEM_SKIPPED:
		t->folder[COUNT_SKIPPED] += sign;
		break;
	case ITEM_REFUSED:
		t->folder[COUNT_REFUSED] += sign;
		break;
	case ITEM_GONE:
		t->folder[COUNT_GONE] += sign;
		break;
	}
}

static int write_routes(struct tally *t, struct db *db, struct err *err)
{
	for (unsigned i = 0; i < TALLY_ROUTES && t->routes[i].route[0]; i++) {
		struct query q;
		query_begin(&q, db,
			"INSERT INTO route_count (user_id, route, copied, copied_bytes) VALUES (?1, ?2, ?3, ?4) "
			"ON CONFLICT (user_id, route) DO UPDATE SET copied = copied + ?3, copied_bytes = copied_bytes "
			"+ ?4");
		put_int(&q, t->user_id);
		put_text(&q, t->routes[i].route);
		put_int(&q, t->routes[i].copied);
		put_int(&q, t->routes[i].copied_bytes);
		if (query_run(&q, err) < 0)
			return -1;
	}
	memset(t->routes, 0, sizeof(t->routes));
	return 0;
}

int tally_route(struct tally *t, struct db *db, const char *route, uint64_t size, int sign, struct err *err)
{
	unsigned i = 0;
	if (!route[0])
		return 0;
	while (i < TALLY_ROUTES && t->routes[i].route[0] && strcmp(t->routes[i].route, route) != 0)
		i++;
	if (i == TALLY_ROUTES) {
		if (write_routes(t, db, err) < 0)
			return -1;
		i = 0;
	}
	snprintf(t->routes[i].route, sizeof(t->routes[i].route), "%s", route);
	t->routes[i].copied += sign;
	t->routes[i].copied_bytes += sign * (int64_t)(size & INT64_MAX);
	return 0;
}

#define ADD_COUNTS \
	"SET found = found + ?, copied = copied + ?, adopted = adopted + ?, skipped = skipped + ?, refused " \
	"= refused + ?, " \
	"gone = gone + ?, in_doubt = in_doubt + ?, found_bytes = found_bytes + ?, copied_bytes = " \
	"copied_bytes + ? "

static int write_folder(struct tally *t, struct db *db, struct err *err)
{
	struct query q;
	bool any = false;
	for (unsigned i = 0; i < COUNTS; i++) {
		any |= t->folder[i] != 0;
		t->user[i] += t->folder[i];
	}
	if (!any)
		return 0;
	query_begin(&q, db, "UPDATE generation " ADD_COUNTS "WHERE id = ?");
	for (unsigned i = 0; i < COUNTS; i++)
		put_int(&q, t->folder[i]);
	put_int(&q, t->generation_id);
	memset(t->folder, 0, sizeof(t->folder));
	return query_run(&q, err);
}

int tally_generation(struct tally *t, struct db *db, int64_t generation_id, struct err *err)
{
	struct query q;
	if (t->generation_id == generation_id)
		return 0;
	if (write_folder(t, db, err) < 0)
		return -1;
	query_begin(&q, db, "SELECT current FROM generation WHERE id = ? AND user_id = ?");
	put_int(&q, generation_id);
	put_int(&q, t->user_id);
	int rc = query_row(&q, err);
	t->left = rc > 0 && !get_bool(&q);
	query_end(&q);
	t->generation_id = generation_id;
	return rc > 0 ? 0 : rc < 0 ? -1 : err_set(err, ERR_CONFLICT, "the folder is not one of this mailbox");
}

int tally_end(struct tally *t, struct db *db, struct err *err)
{
	struct query q;
	if (write_folder(t, db, err) < 0 || write_routes(t, db, err) < 0)
		return -1;
	query_begin(&q, db, "UPDATE work " ADD_COUNTS "WHERE user_id = ? AND epoch = ? AND held = 1");
	for (unsigned i = 0; i < COUNTS; i++)
		put_int(&q, t->user[i]);
	put_int(&q, t->user_id);
	put_int(&q, t->epoch);
	if (query_run(&q, err) < 0)
		return -1;
	return db_changes(db) ? 0 : err_set(err, ERR_CONFLICT, "this mailbox is not leased to this job any more");
}

void counts_read(struct query *q, struct user_counts *out)
{
	out->found = get_uint(q);
	out->copied = get_uint(q);
	out->adopted = get_uint(q);
	out->skipped = get_uint(q);
	out->refused = get_uint(q);
	out->gone = get_uint(q);
	out->in_doubt = get_uint(q);
	out->found_bytes = get_uint(q);
	out->copied_bytes = get_uint(q);
	/* What the job last listed, or what is known otherwise when it told nothing. */
	uint64_t known = out->copied + out->adopted + out->skipped + out->refused + out->gone + out->in_doubt;
	if (out->found < known)
		out->found = known;
	if (out->found_bytes < out->copied_bytes)
		out->found_bytes = out->copied_bytes;
}

struct routes_args {
	int64_t batch_id, user_id;
	struct route_count *out;
	size_t n;
};

static int routes_look(struct db *db, void *arg, struct err *err)
{
	struct routes_args *a = arg;
	struct query q;
	int rc = 0;
	a->n = 0;
	query_begin(&q, db,
		a->user_id
			? "SELECT r.route, r.copied, r.copied_bytes FROM route_count r WHERE r.user_id = ? AND "
			  "r.copied > 0 ORDER BY r.route"
			: "SELECT r.route, sum(r.copied) AS n, sum(r.copied_bytes) FROM route_count r JOIN user u ON "
			  "u.id = r.user_id WHERE u.batch_id = ? GROUP BY r.route HAVING n > 0 ORDER BY r.route");
	put_int(&q, a->user_id ? a->user_id : a->batch_id);
	while (a->n < ROUTE_COUNTS && (rc = query_row(&q, err)) > 0) {
		struct route_count *c = &a->out[a->n++];
		get_text(&q, c->route, sizeof(c->route));
		c->copied = get_uint(&q);
		c->copied_bytes = get_uint(&q);
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_route_counts(struct store *s, int64_t batch_id, int64_t user_id, struct route_count out[ROUTE_COUNTS],
	size_t *n, struct err *err)
{
	struct routes_args a = {.batch_id = batch_id, .user_id = user_id, .out = out};
	int rc = store_look_settled(s, routes_look, &a, err);
	*n = rc < 0 ? 0 : a.n;
	return rc;
}
