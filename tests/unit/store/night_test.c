/* When batches may run and what binds them, daily bytes, what was learned: kept, and respected by the claims. */
#include "tests/unit/store/fixture.h"

#include "throttle/gate.h"
#include "throttle/zone.h"

#include "engine/base/clock.h"

#include <limits.h>
#include <sqlite3.h>

static struct scratch f;
static int64_t batch, other;
static struct zone *utc;

#define DAY 86400
#define NOON ((int64_t)20000 * DAY + 43200)

static int set_up(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	scratch_make(&f);
	scratch_open(&f);
	batch = scratch_batch(&f, "first", 4, 3);
	other = scratch_batch(&f, "second", 4, 3);
	OK(zone_load(&utc, "UTC", &err));
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	zone_free(&utc);
	scratch_remove(&f);
	return 0;
}

static void want_all(int64_t id)
{
	struct err err = ERR_INIT;
	unsigned changed;
	OK(store_batch_want(f.s, id, 0, WANT_SYNC, "start", &changed, &err));
	assert_int_equal(changed, 4);
}

/* The batch of the next user; 0: none may run. */
static int64_t claim(struct user *u)
{
	struct err err = ERR_INIT;
	bool found;
	int64_t next_at;
	OK(store_user_claim(f.s, 0, u, &found, &next_at, &err));
	return found ? u->batch_id : 0;
}

static void set_pace(int64_t id, int64_t open_at, unsigned mailboxes)
{
	struct err err = ERR_INIT;
	struct pace p = {.open_at = open_at, .mailboxes = mailboxes, .advice = 7, .text = "because"};
	OK(store_pace_save(f.s, id, &p, &err));
}

static void test_rows(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct night n, back;
	OK(store_night_get(f.s, batch, &back, &err));
	assert_string_equal(back.windows, "");
	assert_int_equal(back.until, 0);
	n = (struct night){.windows = "Mon-Fri 20:00-06:00\nSat,Sun",
		.zone = "Asia/Karachi",
		.start_after = 5,
		.until = 9,
		.auto_ramp = true};
	OK(store_night_save(f.s, batch, &n, &err));
	OK(store_night_get(f.s, batch, &back, &err));
	assert_memory_equal(&n, &back, sizeof(n));
	FAILS(store_night_save(f.s, 999, &n, &err), ERR_NOT_FOUND);
	struct pace p;
	OK(store_pace_get(f.s, batch, &p, &err));
	assert_int_equal(p.mailboxes, 0);
	set_pace(batch, 8, 3);
	OK(store_pace_get(f.s, batch, &p, &err));
	assert_int_equal(p.open_at, 8);
	assert_int_equal(p.advice, 7);
	assert_string_equal(p.text, "because");
	set_pace(999, 8, 3); /* a batch that was deleted meanwhile: nothing happens */
	OK(store_batch_delete(f.s, batch, &err));
	OK(store_pace_get(f.s, batch, &p, &err));
	assert_int_equal(p.mailboxes, 0);
}

static void test_closed_batches_give_nobody(void **unused)
{
	(void)unused;
	struct user u;
	want_all(batch);
	want_all(other);
	set_pace(batch, INT64_MAX, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(claim(&u), other);
	assert_int_equal(claim(&u), 0); /* three at once */
	set_pace(batch, clock_wall_s() - 1, 0);
	assert_int_equal(claim(&u), batch);
}

static void test_pace_and_turns(void **unused)
{
	(void)unused;
	struct user u;
	want_all(batch);
	want_all(other);
	set_pace(batch, 0, 1); /* fewer than the batch allows */
	set_pace(other, 0, 4); /* more */
	int64_t first = claim(&u), second = claim(&u);
	assert_true(first && second && first != second); /* whoever has least is next */
	for (int i = 0; i < 3; i++)
		assert_int_equal(claim(&u), other);
	assert_int_equal(claim(&u), 0);
}

static void test_deferred_is_no_failure(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT, why = ERR_INIT;
	struct user u, back;
	struct batch b;
	want_all(batch);
	assert_int_equal(claim(&u), batch);
	err_set(&why, ERR_DEFERRED, "deferred until tomorrow");
	OK(store_user_state(f.s, u.id, u.lease_epoch, USER_QUEUED, &why, clock_wall_s() + 3600, &err));
	OK(store_user_by_id(f.s, u.id, &back, &err));
	assert_int_equal(back.state, USER_QUEUED);
	assert_int_equal(back.error_kind, ERR_DEFERRED);
	assert_int_equal(back.tries, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(claim(&back), batch);
		assert_int_not_equal(back.id, u.id);
	}
	OK(store_batch_by_id(f.s, batch, &b, &err));
	OK(store_deferred_release(f.s, b.endpoint_id, &err));
	OK(store_user_state(f.s, back.id, back.lease_epoch, USER_SYNCED, NULL, 0, &err));
	assert_int_equal(claim(&back), batch);
	assert_int_equal(back.id, u.id);
	assert_int_equal(back.error_kind, ERR_NONE); /* it runs: nothing is deferred any more */
	assert_string_equal(back.error, "");
}

static int64_t take(const char *mailbox, uint64_t limit, int64_t n, int64_t now)
{
	struct err err = ERR_INIT;
	struct batch b;
	int64_t until;
	OK(store_batch_by_id(f.s, batch, &b, &err));
	OK(store_spent_take(f.s, b.endpoint_id, mailbox, utc, limit, n, now, &until, &err));
	return until;
}

static uint64_t spent(const char *mailbox, int64_t now)
{
	struct err err = ERR_INIT;
	struct batch b;
	uint64_t bytes;
	OK(store_batch_by_id(f.s, batch, &b, &err));
	OK(store_spent_get(f.s, b.endpoint_id, mailbox, utc, now, &bytes, &err));
	return bytes;
}

static void test_days(void **unused)
{
	(void)unused;
	const int64_t midnight = NOON + 43200;
	assert_int_equal(spent("ann", NOON), 0);
	assert_int_equal(take("ann", 100, 60, NOON), 0);
	assert_int_equal(take("ann", 100, 50, NOON), midnight);
	assert_int_equal(spent("ann", NOON), 60); /* what did not fit is not booked */
	assert_int_equal(take("ann", 100, -20, NOON), 0);
	assert_int_equal(take("ann", 100, 60, NOON), 0);
	assert_int_equal(spent("ann", NOON), 100);
	assert_int_equal(take("bob", 100, 60, NOON), 0); /* each mailbox its own */
	assert_int_equal(take("", 100, 60, NOON), 0);
	assert_int_equal(spent("ann", midnight), 0);
	assert_int_equal(take("ann", 100, 500, midnight), 0); /* larger than a day: on a fresh one */
	assert_int_equal(take("ann", 100, 1, midnight), midnight + DAY);
	assert_int_equal(take("ann", 0, 1000000, midnight), 0); /* no limit */
	store_close(&f.s);
	scratch_open(&f);
	assert_int_equal(spent("ann", midnight), 1000500);
	assert_int_equal(spent("bob", NOON), 60);
}

static void test_spent_follows_a_replaced_endpoint(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct batch b;
	struct endpoint e;
	assert_int_equal(take("ann", 100, 60, NOON), 0);
	OK(store_batch_by_id(f.s, batch, &b, &err));
	OK(store_endpoint_by_id(f.s, b.endpoint_id, &e, &err));
	int64_t old = e.id;
	e.id = 0;
	snprintf(e.name, sizeof(e.name), "successor");
	OK(store_endpoint_save(f.s, &e, &err));
	OK(store_endpoint_replace(f.s, old, e.id, &err));
	assert_int_equal(spent("ann", NOON), 60);
}

static void test_learned(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct scope_learned l = {.requests = 123.7, .bytes = 5e8, .in_flight = 3}, back;
	int64_t age;
	OK(store_learned_get(f.s, "target contoso", 1000, &back, &age, &err));
	assert_int_equal(age, -1);
	OK(store_learned_save(f.s, "target contoso", &l, 1000, &err));
	OK(store_flush(f.s, &err));
	OK(store_learned_get(f.s, "target contoso", 1500, &back, &age, &err));
	assert_int_equal(age, 500);
	assert_int_equal((int)back.requests, 123);
	assert_int_equal((int)back.bytes, 500000000);
	assert_int_equal(back.in_flight, 3);
	OK(store_learned_get(f.s, "target contoso", 900, &back, &age, &err)); /* a clock that went back */
	assert_int_equal(age, 0);
	/* learned when the clock was years ahead: it would count as new until then */
	OK(store_learned_save(f.s, "ahead", &l, 1000 + 3000 * DAY, &err));
	OK(store_flush(f.s, &err));
	OK(store_learned_get(f.s, "ahead", 2000, &back, &age, &err));
	assert_int_equal(age, -1);
	assert_true(back.requests <= 0 && back.in_flight == 0);
	OK(store_learned_save(f.s, "target contoso", &l, 1000, &err));
	l.in_flight = UINT_MAX;
	OK(store_learned_save(f.s, "huge", &l, 1000, &err));
	l.in_flight = 3;
	OK(store_flush(f.s, &err));
	OK(store_learned_get(f.s, "ahead", 1000 + 3000 * DAY, &back, &age, &err)); /* and it is gone */
	assert_int_equal(age, -1);
	OK(store_learned_get(f.s, "huge", 1000, &back, &age, &err));
	assert_int_equal(back.in_flight, 0);
	assert_int_equal((int)back.requests, 123);
	OK(store_learned_save(f.s, "other", &l, 1000 + 9 * DAY, &err)); /* the old ones go */
	OK(store_flush(f.s, &err));
	OK(store_learned_get(f.s, "target contoso", 1500, &back, &age, &err));
	assert_int_equal(age, -1);
}

static void test_live(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct user *v;
	size_t n;
	struct live_row row = {.at = 77,
				.bytes_per_s = 1000,
				.limit_per_s = 2000,
				.requests = 5,
				.binding = BIND_TARGET_BYTES,
				.detail = "in words",
				.fenced_until = 99,
				.fence_words = "Suggested Backoff Time",
				.fenced_ms = 4,
				.refused = 2,
				.deferrals = 1},
			back;
	OK(store_user_list(f.s, batch, &v, &n, &err));
	OK(store_live_get(f.s, v[0].id, &back, &err));
	assert_int_equal(back.at, 0);
	OK(store_live_save(f.s, v[0].id, &row, &err));
	OK(store_live_save(f.s, 999, &row, &err)); /* nobody's */
	OK(store_flush(f.s, &err));
	OK(store_live_get(f.s, v[0].id, &back, &err));
	assert_memory_equal(&row, &back, sizeof(row));
	assert_string_equal(binding_name(back.binding), "target bytes");
	free(v);
}

/* A state file of schema 1 has none of the tables; its batches run whenever they are started, as before. */
static void test_older_state(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	char text[65536];
	sqlite3 *db;
	struct user u;
	store_close(&f.s);
	unlink(f.state);
	FILE *in = fopen("tests/unit/store/version_1.sql", "r");
	assert_non_null(in);
	text[fread(text, 1, sizeof(text) - 1, in)] = 0;
	fclose(in);
	assert_int_equal(sqlite3_open(f.state, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	scratch_open(&f);
	batch = scratch_batch(&f, "old", 4, 3);
	struct night n;
	OK(store_night_get(f.s, batch, &n, &err));
	assert_string_equal(n.windows, "");
	want_all(batch);
	assert_int_equal(claim(&u), batch);
	assert_int_equal(take("ann", 100, 60, NOON), 0);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {T(test_rows), T(test_closed_batches_give_nobody), T(test_pace_and_turns),
		T(test_deferred_is_no_failure), T(test_days), T(test_spent_follows_a_replaced_endpoint),
		T(test_learned), T(test_live), T(test_older_state)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
