#include "engine/basis.h"

#include "engine/limit.h"
#include "tests/unit/store/fixture.h"

#include <math.h>
#include <sqlite3.h>
#include <string.h>

#define NOW 1796000000

struct rows {
	struct scratch f;
	struct batch b;
	struct endpoint e;
	struct target_row t;
};

static int set_up(void **state)
{
	static struct rows r;
	struct err err = ERR_INIT;
	memset(&r, 0, sizeof(r));
	scratch_make(&r.f);
	scratch_open(&r.f);
	int64_t id = scratch_batch(&r.f, "wave", 3, 2);
	OK(store_batch_by_id(r.f.s, id, &r.b, &err));
	OK(store_endpoint_by_id(r.f.s, r.b.endpoint_id, &r.e, &err));
	OK(store_target_by_id(r.f.s, r.b.target_id, &r.t, &err));
	snprintf(r.t.routes, sizeof(r.t.routes), "imap");
	*state = &r;
	return 0;
}

static int tear_down(void **state)
{
	scratch_remove(&((struct rows *)*state)->f);
	return 0;
}

static struct basis load(struct rows *r, unsigned at_once)
{
	struct err err = ERR_INIT;
	struct basis b;
	OK(basis_load(&b, r->f.s, &r->b, &r->e, &r->t, at_once, NOW, &err));
	return b;
}

static const struct forecast_limit *find(const struct basis *b, const char *words)
{
	for (size_t i = 0; i < b->conf.n_limits; i++)
		if (strstr(b->conf.limits[i].text, words))
			return &b->conf.limits[i];
	return NULL;
}

static void test_nothing_known_is_assumed_and_said(void **state)
{
	struct rows *r = *state;
	struct basis b = load(r, 0);
	assert_int_equal(b.conf.n_limits, 2);
	assert_int_equal(b.conf.limits[0].origin, FROM_ASSUMPTION);
	assert_false(b.conf.limits[0].by_share || b.conf.limits[0].shared);
	assert_int_equal(b.conf.at_once, 2);
	assert_null(b.schedule);
	assert_non_null(strstr(b.notes[0], "nothing is published"));
	basis_done(&b);
	r->t.kind = TARGET_IMAP;
	b = load(r, 0);
	assert_non_null(find(&b, "20 messages"));
	basis_done(&b);
}

static void test_rates_and_how_many_at_once(void **state)
{
	struct rows *r = *state;
	r->b.bytes_per_s = 1000;
	r->e.bytes_per_s = 2000;
	r->t.bytes_per_s = 3000;
	r->b.max_mailboxes = 50;
	r->e.max_connections = 4;
	struct basis b = load(r, 0);
	const struct forecast_limit *l = find(&b, "batch wave");
	assert_true(l && l->shared && l->by_share && l->origin == FROM_SETTING && fabs(l->per_s - 1000) < 0.1);
	assert_non_null(find(&b, "endpoint source"));
	assert_non_null(find(&b, "target cloud"));
	assert_int_equal(b.conf.at_once, 4);
	assert_string_equal(b.at_once_text, "connections of endpoint source");
	basis_done(&b);
	b = load(r, 3);
	assert_int_equal(b.conf.at_once, 3);
	basis_done(&b);
}

static void test_graph_is_published_or_learned(void **state)
{
	struct rows *r = *state;
	struct err err = ERR_INIT;
	snprintf(r->t.routes, sizeof(r->t.routes), "mime,imap");
	struct basis b = load(r, 0);
	const struct forecast_limit *l = find(&b, "150 MB per 5 minutes");
	assert_true(l && l->origin == FROM_PUBLISHED && l->by_share && !l->shared);
	assert_true(fabs(l->per_s - 150e6 / 300 * 0.75) < 1);
	l = find(&b, "10,000 requests");
	assert_true(l && fabs(l->per_s - 10000.0 / 600 / 2) < 0.01);
	basis_done(&b);
	/* two mailboxes taught less; one taught nothing, one of another target, one long ago */
	const struct {
		const char *scope;
		struct scope_learned what;
		int64_t at;
	} rows[] = {{"target cloud/mailbox a@x/graph", {.requests = 4000, .bytes = 60e6}, NOW - 100},
		{"target cloud/mailbox b@x/graph", {.requests = 6000, .bytes = 100e6}, NOW - 100},
		{"target cloud/mailbox c@x/graph", {.requests = 0}, NOW - 100},
		{"target other/mailbox a@x/graph", {.bytes = 1e6}, NOW},
		{"target cloud/mailbox d@x/imap", {.bytes = 1e6}, NOW}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		OK(store_learned_save(r->f.s, rows[i].scope, &rows[i].what, rows[i].at, &err));
	OK(store_flush(r->f.s, &err));
	b = load(r, 0);
	l = find(&b, "80 MB per 5 minutes");
	assert_true(l && l->origin == FROM_LEARNED);
	l = find(&b, "5000 requests");
	assert_true(l && l->origin == FROM_LEARNED);
	basis_done(&b);
}

static void shift(struct rows *r, const char *sql)
{
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(r->f.state, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void test_what_was_measured_takes_the_place_of_what_was_assumed(void **state)
{
	struct rows *r = *state;
	shift(r, "INSERT INTO effort (user_id, begun_at, ended_at, active_s, messages, bytes) SELECT id, 5, 9, 50, "
		 "1000, 5000000 FROM "
		 "user WHERE line = 1");
	struct basis b = load(r, 0);
	assert_int_equal(b.conf.n_limits, 2);
	assert_int_equal(b.conf.limits[0].origin, FROM_MEASURED);
	assert_true(fabs(b.conf.limits[0].per_s - 20) < 0.01);
	assert_true(fabs(b.conf.limits[1].per_s - 100000) < 1);
	basis_done(&b);
	/* too little says nothing */
	shift(r, "UPDATE effort SET messages = 10");
	b = load(r, 0);
	assert_int_equal(b.conf.limits[0].origin, FROM_ASSUMPTION);
	basis_done(&b);
}

static void test_windows_and_budgets(void **state)
{
	struct rows *r = *state;
	struct err err = ERR_INIT;
	struct night n = {.windows = "Mon-Fri 20:00-06:00\nSat,Sun", .zone = "Asia/Karachi"};
	OK(store_night_save(r->f.s, r->b.id, &n, &err));
	struct day_rule rule = {.of_host = true, .zone = "America/Los_Angeles"};
	OK(store_day_rule_save(r->f.s, r->e.id, &rule, &err));
	r->e.bytes_per_day = 5000;
	struct basis b = load(r, 0);
	assert_non_null(b.schedule);
	assert_string_equal(b.zone_name, "Asia/Karachi");
	assert_int_equal(b.conf.host_bytes_per_day, 5000);
	assert_int_equal(b.conf.mailbox_bytes_per_day, 0);
	assert_non_null(b.conf.budget_zone);
	basis_done(&b);
	rule.of_host = false;
	OK(store_day_rule_save(r->f.s, r->e.id, &rule, &err));
	b = load(r, 0);
	assert_int_equal(b.conf.mailbox_bytes_per_day, 5000);
	basis_done(&b);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_nothing_known_is_assumed_and_said),
		T(test_rates_and_how_many_at_once), T(test_graph_is_published_or_learned),
		T(test_what_was_measured_takes_the_place_of_what_was_assumed), T(test_windows_and_budgets)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
