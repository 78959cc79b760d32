/* Claims: who may be moved now. The one that is due gets a lease (lease.c). */
#include "engine/store/parts.h"

#include "engine/base/clock.h"
#include "engine/store/effort.h"

#define CRASHES_ALONE 2 /* from then on it runs alone */
#define LOOK_AGAIN_S 30 /* users wait for room: a lease that ends wakes the engine sooner */

struct claim_args {
	int64_t batch_id, now, next_at;
	struct user *out;
	bool found;
};

/* Is anything leased, and is it one that must be alone? */
static int look_leases(struct db *db, bool *any, bool *alone, struct err *err)
{
	struct query q;
	query_begin(&q, db,
		"SELECT count(*), coalesce(max(u.crashes), 0) FROM work w JOIN user u ON u.id = "
		"w.user_id WHERE w.held = 1");
	int rc = query_row(&q, err);
	*any = rc > 0 && get_int(&q) > 0;
	*alone = *any && get_int(&q) >= CRASHES_ALONE;
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

/* clang-format off */
#define HELD_WHERE(of) \
	"(SELECT count(*) FROM work w JOIN user u ON u.id = w.user_id JOIN batch o ON o.id = u.batch_id WHERE w.held = 1 AND " of ")"
/* Batches that run, are open and have room; that which has least of them first, so that batches share a source, then the one that was
   started first; then, in each, its first user that is due. A limit of 0 is none. A job has one connection to its source. */
#define DUE(crashes) \
	"SELECT (SELECT u.id FROM user u JOIN work w ON w.user_id = u.id WHERE u.batch_id = b.id AND u.want > 0 AND w.held = 0 " \
	"AND u.retry_at <= ?2 AND u.crashes " crashes " ORDER BY u.line LIMIT 1) AS due, " \
	HELD_WHERE("o.id = b.id") " AS has, coalesce(p.mailboxes, 0) AS paced " \
	"FROM batch b JOIN endpoint e ON e.id = b.endpoint_id JOIN target t ON t.id = b.target_id LEFT JOIN pace p ON p.batch_id = b.id " \
	"WHERE b.state IN (?3, ?4) AND (?1 = 0 OR b.id = ?1) AND e.paused_at = 0 AND due IS NOT NULL AND coalesce(p.open_at, 0) <= ?2 " \
	"AND (paced > 0 OR b.max_mailboxes = 0 OR b.max_mailboxes > has) AND (paced = 0 OR paced > has) " \
	"AND (e.max_connections = 0 OR e.max_connections > " HELD_WHERE("o.endpoint_id = e.id") ") " \
	"AND (e.max_mailboxes = 0 OR e.max_mailboxes > " HELD_WHERE("o.endpoint_id = e.id") ") " \
	"AND (t.max_mailboxes = 0 OR t.max_mailboxes > " HELD_WHERE("o.target_id = t.id") ") " \
	"ORDER BY has, b.started_at, b.id LIMIT 1"
/* clang-format on */

static int find_due(struct db *db, const struct claim_args *a, bool crashed, int64_t *user_id, struct err *err)
{
	struct query q;
	query_begin(&q, db, crashed ? DUE(">= 2") : DUE("< 2"));
	put_int(&q, a->batch_id);
	put_int(&q, a->now);
	put_uint(&q, BATCH_SYNCING);
	put_uint(&q, BATCH_COMPLETING);
	int rc = query_row(&q, err);
	*user_id = rc > 0 ? get_int(&q) : 0;
	query_end(&q);
	return rc < 0 ? -1 : 0;
}
_Static_assert(CRASHES_ALONE == 2, "DUE says it in SQL");

static int find_next_at(struct db *db, struct claim_args *a, struct err *err)
{
	struct query q;
	query_begin(&q, db,
		"SELECT coalesce(min(u.retry_at), -1) FROM batch b JOIN user u ON u.batch_id = b.id JOIN "
		"work w ON w.user_id = u.id "
		"WHERE b.state IN (?1, ?2) AND (?3 = 0 OR b.id = ?3) AND u.want > 0 AND w.held = 0");
	put_uint(&q, BATCH_SYNCING);
	put_uint(&q, BATCH_COMPLETING);
	put_int(&q, a->batch_id);
	int rc = query_row(&q, err);
	if (rc > 0) {
		int64_t at = get_int(&q); /* -1: nobody waits */
		a->next_at = at < 0 ? 0 : at > a->now ? at : a->now + LOOK_AGAIN_S;
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

static int take_lease(struct db *db, struct claim_args *a, int64_t user_id, struct err *err)
{
	struct query q;
	query_begin(&q, db,
		"UPDATE work SET held = 1, epoch = epoch + 1, moved_at_claim = copied + adopted, folder "
		"= '' WHERE user_id = ?");
	put_int(&q, user_id);
	if (query_run(&q, err) < 0)
		return -1;
	query_begin(&q, db,
		"UPDATE user SET pass = want, retry_at = 0, state = ?1, started_at = CASE started_at WHEN "
		"0 THEN ?2 ELSE started_at END, error = CASE error_kind WHEN ?4 THEN '' ELSE error END, "
		"error_kind = CASE error_kind WHEN ?4 THEN 0 ELSE error_kind END WHERE id = ?3");
	put_uint(&q, USER_VALIDATING);
	put_int(&q, a->now);
	put_int(&q, user_id);
	put_uint(&q, ERR_DEFERRED);
	if (query_run(&q, err) < 0 || effort_begin(db, user_id, a->now, err) < 0)
		return -1;
	query_begin(&q, db, "SELECT " USER_COLUMNS " WHERE u.id = ?");
	put_int(&q, user_id);
	int rc = query_row(&q, err);
	if (rc > 0) {
		user_read(&q, a->out);
		a->found = true;
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

static int claim_step(struct db *db, void *arg, struct err *err)
{
	struct claim_args *a = arg;
	bool any, alone;
	int64_t user_id = 0;
	a->found = false;
	a->next_at = 0;
	if (look_leases(db, &any, &alone, err) < 0)
		return -1;
	if (!alone && find_due(db, a, false, &user_id, err) < 0)
		return -1;
	if (!any && user_id == 0 && find_due(db, a, true, &user_id, err) < 0)
		return -1;
	if (user_id && take_lease(db, a, user_id, err) < 0)
		return -1;
	return find_next_at(db, a, err);
}

static int claim_look(struct db *db, void *arg, struct err *err)
{
	struct claim_args *a = arg;
	struct query q;
	query_begin(&q, db, "SELECT EXISTS (SELECT 1 FROM user WHERE want > 0)");
	int rc = query_row(&q, err);
	a->found = rc > 0 && get_bool(&q);
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_user_claim(
	struct store *s, int64_t batch_id, struct user *out, bool *found, int64_t *next_at, struct err *err)
{
	struct claim_args a = {.batch_id = batch_id, .now = clock_wall_s(), .out = out};
	int rc = store_look(s, claim_look, &a, err); /* an idle engine asks often, and need not write */
	if (rc == 0 && a.found)
		rc = store_do(s, claim_step, &a, err);
	*found = rc == 0 && a.found;
	*next_at = rc == 0 ? a.next_at : 0;
	return rc;
}
