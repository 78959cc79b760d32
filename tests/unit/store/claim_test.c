/* Batches, the person's verbs, leases, the breaker, and how a batch ends. */
#include "tests/unit/store/fixture.h"

#include "engine/base/clock.h"

static struct scratch f;
static int64_t batch;

static int set_up(void **unused)
{
	(void)unused;
	scratch_make(&f);
	scratch_open(&f);
	batch = scratch_batch(&f, "pilot", 4, 2);
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	scratch_remove(&f);
	return 0;
}

static bool claim(struct user *u)
{
	struct err err = ERR_INIT;
	bool found;
	int64_t next_at;
	OK(store_user_claim(f.s, 0, u, &found, &next_at, &err));
	return found;
}

static unsigned want(int64_t user_id, enum user_want w, const char *verb)
{
	struct err err = ERR_INIT;
	unsigned changed;
	OK(store_batch_want(f.s, batch, user_id, w, verb, &changed, &err));
	return changed;
}

static enum batch_state batch_state(void)
{
	struct err err = ERR_INIT;
	struct batch b;
	OK(store_batch_by_id(f.s, batch, &b, &err));
	return b.state;
}

static struct user user_at(unsigned row)
{
	struct err err = ERR_INIT;
	struct user *list, u;
	size_t n;
	OK(store_user_list(f.s, batch, &list, &n, &err));
	u = list[row - 1];
	free(list);
	return u;
}

static void finish(const struct user *u, enum user_state state, enum err_kind kind, int64_t retry_at)
{
	struct err err = ERR_INIT, why = ERR_INIT;
	if (kind)
		err_set(&why, kind, "it went wrong");
	OK(store_user_state(f.s, u->id, u->lease_epoch, state, kind ? &why : NULL, retry_at, &err));
}

static void test_create(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct batch b, *list;
	struct user u = {.row = 7}, *users;
	size_t n;
	OK(store_batch_get(f.s, "pilot", &b, &err));
	assert_int_equal(b.state, BATCH_CREATED);
	assert_int_equal(b.max_mailboxes, 2);
	OK(store_user_list(f.s, batch, &users, &n, &err));
	assert_int_equal(n, 4);
	assert_int_equal(users[3].row, 4);
	assert_int_equal(users[3].state, USER_STOPPED);
	assert_int_equal(users[3].started_at, 0);
	struct secret *secret;
	OK(store_secret_get(f.s, "user", users[2].id, "password", &secret, &err));
	assert_string_equal(secret_bytes(secret), "secret-3");
	secret_free(&secret);
	free(users);

	/* the same destination again, in another batch and twice in one */
	struct batch twin = {.endpoint_id = b.endpoint_id, .target_id = b.target_id, .name = "twin"};
	snprintf(u.source_user, sizeof(u.source_user), "x");
	snprintf(u.address, sizeof(u.address), "U2@Pilot.example");
	assert_int_equal(store_batch_create(f.s, &twin, &u, NULL, 1, &err), -1);
	assert_int_equal(err.kind, ERR_CONFLICT);
	assert_non_null(strstr(err.text, "row 7"));
	assert_non_null(strstr(err.text, "row 2 of batch \"pilot\""));
	struct user two[2] = {{.row = 1, .address = "new@x"}, {.row = 2, .address = "NEW@x"}};
	assert_int_equal(store_batch_create(f.s, &twin, two, NULL, 2, &err), -1);
	assert_non_null(strstr(err.text, "rows 1 and 2"));
	struct batch same = {.endpoint_id = b.endpoint_id, .target_id = b.target_id, .name = "PILOT"};
	FAILS(store_batch_create(f.s, &same, two, NULL, 1, &err), ERR_CONFLICT);
	twin.endpoint_id = 999;
	FAILS(store_batch_create(f.s, &twin, two, NULL, 1, &err), ERR_CONFLICT);
	OK(store_batch_list(f.s, &list, &n, &err));
	assert_int_equal(n, 1);
	free(list);

	OK(store_user_get(f.s, batch, "u3", &u, &err));
	assert_int_equal(u.row, 3);
	OK(store_user_get(f.s, batch, "U3@PILOT.example", &u, &err));
	assert_int_equal(u.row, 3);
	FAILS(store_user_get(f.s, batch, "u9", &u, &err), ERR_NOT_FOUND);
	b.max_mailboxes = 7;
	snprintf(b.include, sizeof(b.include), "INBOX");
	b.state = BATCH_FAILED; /* not an option */
	OK(store_batch_save(f.s, &b, &err));
	OK(store_verdict(f.s, batch, "Good", &err));
	OK(store_batch_by_id(f.s, batch, &b, &err));
	assert_int_equal(b.max_mailboxes, 7);
	assert_int_equal(b.state, BATCH_CREATED);
	assert_string_equal(b.verdict, "Good");
}

static void test_first_pass(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct user a, b, c;
	unsigned changed;
	assert_false(claim(&a));
	FAILS(store_batch_want(f.s, batch, 0, WANT_COMPLETE, "complete", &changed, &err), ERR_CONFLICT);
	assert_int_equal(want(0, WANT_SYNC, "start"), 4);
	assert_int_equal(batch_state(), BATCH_SYNCING);
	assert_true(claim(&a));
	assert_true(claim(&b));
	assert_false(claim(&c)); /* two at once */
	assert_int_equal(a.row, 1);
	assert_int_equal(b.row, 2);
	assert_int_equal(a.state, USER_VALIDATING);
	assert_false(a.incremental);
	assert_true(a.started_at > 0 && a.lease_epoch > 0);
	OK(store_user_state(f.s, a.id, a.lease_epoch, USER_SYNCING, NULL, 0, &err));
	assert_int_equal(user_at(1).state, USER_SYNCING);
	OK(store_user_now(f.s, a.id, a.lease_epoch, "INBOX", &err));
	OK(store_flush(f.s, &err));
	assert_string_equal(user_at(1).now_folder, "INBOX");
	FAILS(store_user_state(f.s, a.id, a.lease_epoch + 1, USER_SYNCED, NULL, 0, &err), ERR_CONFLICT);
	FAILS(store_batch_delete(f.s, batch, &err), ERR_CONFLICT);
	FAILS(store_user_delete(f.s, a.id, &err), ERR_CONFLICT);
	finish(&a, USER_SYNCED, 0, 0);
	FAILS(store_user_state(f.s, a.id, a.lease_epoch, USER_SYNCED, NULL, 0, &err),
		ERR_CONFLICT); /* the lease is over */
	assert_true(claim(&c));
	assert_int_equal(c.row, 3);
	finish(&b, USER_FAILED, ERR_CREDENTIALS, 0);
	assert_true(claim(&b));
	finish(&b, USER_SYNCED, 0, 0);
	assert_int_equal(batch_state(), BATCH_SYNCING);
	finish(&c, USER_SYNCED, 0, 0);
	assert_int_equal(batch_state(), BATCH_SYNCED_WITH_ERRORS); /* by itself, with the last one */
	assert_int_equal(user_at(2).state, USER_FAILED);
	assert_int_equal(user_at(2).error_kind, ERR_CREDENTIALS);
	assert_string_equal(user_at(2).error, "it went wrong");
	assert_string_equal(user_at(1).now_folder, "");
	assert_true(user_at(1).synced_at > 0);

	/* start again: only what failed */
	assert_int_equal(want(0, WANT_SYNC, "start"), 1);
	assert_int_equal(batch_state(), BATCH_SYNCING);
	assert_true(claim(&a));
	assert_int_equal(a.row, 2);
	assert_string_equal(a.error, "");
	finish(&a, USER_SYNCED, 0, 0);
	assert_int_equal(batch_state(), BATCH_SYNCED);
	assert_int_equal(want(0, WANT_SYNC, "start"), 0);
	assert_int_equal(batch_state(), BATCH_SYNCED);
}

static void sync_all(void)
{
	struct user u;
	while (claim(&u))
		finish(&u, u.completing ? USER_COMPLETED : USER_SYNCED, 0, 0);
}

static void test_sync_and_complete(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct user u;
	struct secret *secret;
	unsigned changed;
	want(0, WANT_SYNC, "start");
	sync_all();
	assert_int_equal(want(0, WANT_INCREMENTAL, "sync"), 4);
	assert_true(claim(&u));
	assert_true(u.incremental && !u.completing);
	/* complete while it is synced: the last pass follows by itself */
	assert_int_equal(want(0, WANT_COMPLETE, "complete"), 4);
	assert_int_equal(batch_state(), BATCH_COMPLETING);
	finish(&u, USER_SYNCED, 0, 0);
	assert_int_equal(user_at(1).state, USER_QUEUED);
	assert_true(claim(&u));
	assert_int_equal(u.row, 1);
	assert_true(u.completing && u.incremental);
	finish(&u, USER_COMPLETED_WITH_WARNINGS, 0, 0);
	OK(store_secret_get(f.s, "user", u.id, "password", &secret, &err));
	assert_null(secret); /* dropped */
	OK(store_secret_get(f.s, "user", u.id + 1, "password", &secret, &err));
	assert_non_null(secret);
	secret_free(&secret);
	sync_all();
	assert_int_equal(batch_state(), BATCH_COMPLETED);
	FAILS(store_batch_want(f.s, batch, 0, WANT_INCREMENTAL, "sync", &changed, &err), ERR_CONFLICT);
	assert_int_equal(want(0, WANT_COMPLETE, "complete"), 0);
	assert_int_equal(want(0, WANT_NOTHING, "stop"), 0);
	assert_int_equal(batch_state(), BATCH_COMPLETED);
	OK(store_batch_delete(f.s, batch, &err));
	FAILS(store_batch_by_id(f.s, batch, &(struct batch){0}, &err), ERR_NOT_FOUND);
	FAILS(store_user_by_id(f.s, u.id, &u, &err), ERR_NOT_FOUND);
}

static void test_stop_and_go_on(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct user a, b;
	enum user_want w;
	want(0, WANT_SYNC, "start");
	assert_true(claim(&a));
	OK(store_user_wanted(f.s, a.id, &w, &err));
	assert_int_equal(w, WANT_SYNC);
	assert_int_equal(want(0, WANT_NOTHING, "stop"), 4);
	assert_int_equal(batch_state(), BATCH_STOPPING);
	OK(store_user_wanted(f.s, a.id, &w, &err));
	assert_int_equal(w, WANT_NOTHING);
	assert_false(claim(&b));
	finish(&a, USER_STOPPED, ERR_STOPPED, 0);
	assert_int_equal(batch_state(), BATCH_STOPPED);
	assert_int_equal(user_at(1).state, USER_STOPPED);
	assert_int_equal(user_at(1).error_kind, ERR_NONE);
	assert_int_equal(want(0, WANT_SYNC, "start"), 4);
	assert_true(claim(&a));
	assert_int_equal(a.row, 1);
	/* the engine is stopped, not the user: it stays in the queue */
	finish(&a, USER_STOPPED, ERR_STOPPED, 0);
	assert_int_equal(user_at(1).state, USER_QUEUED);
	assert_int_equal(batch_state(), BATCH_SYNCING);
	/* one user only */
	assert_int_equal(want(a.id, WANT_NOTHING, "stop"), 1);
	assert_true(claim(&b));
	assert_int_equal(b.row, 2);
	finish(&b, USER_SYNCED, 0, 0);
	sync_all();
	assert_int_equal(batch_state(), BATCH_STOPPED);
	assert_int_equal(want(a.id, WANT_SYNC, "start"), 1);
	assert_int_equal(batch_state(), BATCH_SYNCING);
	sync_all();
	assert_int_equal(batch_state(), BATCH_SYNCED);
	OK(store_user_delete(f.s, a.id, &err));
	FAILS(store_user_by_id(f.s, a.id, &b, &err), ERR_NOT_FOUND);
	OK(store_user_wanted(f.s, a.id, &w, &err)); /* a deleted one is to do nothing */
	assert_int_equal(w, WANT_NOTHING);
}

static void test_retries(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct user u;
	bool found;
	int64_t next_at, later = clock_wall_s() + 1000;
	want(user_at(1).id, WANT_SYNC, "start");
	assert_true(claim(&u));
	assert_int_equal(u.tries, 0);
	finish(&u, USER_FAILED, ERR_LOST, later);
	assert_int_equal(user_at(1).tries, 1);
	assert_int_equal(user_at(1).retry_at, later);
	OK(store_user_claim(f.s, 0, &u, &found, &next_at, &err));
	assert_false(found);
	assert_int_equal(next_at, later);
	assert_int_equal(batch_state(), BATCH_SYNCING); /* not over: it is tried again by itself */
	OK(store_user_claim(f.s, batch + 1, &u, &found, &next_at, &err));
	assert_int_equal(next_at, 0);
	assert_int_equal(want(0, WANT_SYNC, "start"), 4); /* now, not later; and the others */
	assert_true(claim(&u));
	assert_int_equal(u.row, 1);
	finish(&u, USER_FAILED, ERR_LOST, clock_wall_s());
	assert_true(claim(&u));
	assert_int_equal(u.row, 1);
	assert_int_equal(u.tries, 1);
	finish(&u, USER_QUEUED, ERR_LOST, clock_wall_s());
	assert_int_equal(user_at(1).tries, 2);
}

static void test_limits(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct endpoint e;
	struct target_row t;
	struct user u, v;
	bool found;
	int64_t next_at, second = scratch_batch(&f, "second", 3, 9);
	unsigned changed;
	want(0, WANT_SYNC, "start");
	OK(store_batch_want(f.s, second, 0, WANT_SYNC, "start", &changed, &err));
	OK(store_endpoint_get(f.s, "source", &e, &err));
	e.max_mailboxes = 3;
	OK(store_endpoint_save(f.s, &e, &err));
	OK(store_user_claim(f.s, second, &u, &found, &next_at, &err));
	assert_true(found && u.batch_id == second);
	assert_true(claim(&v));
	assert_true(claim(&v));
	assert_false(claim(&v)); /* the endpoint's three, over both batches */
	OK(store_user_claim(f.s, 0, &v, &found, &next_at, &err));
	assert_true(next_at > clock_wall_s());
	e.max_mailboxes = 0;
	OK(store_endpoint_save(f.s, &e, &err));
	OK(store_target_get(f.s, "cloud", &t, &err));
	t.max_mailboxes = 4;
	OK(store_target_save(f.s, &t, &err));
	assert_true(claim(&v));
	assert_int_equal(v.batch_id, second);
	assert_false(claim(&v));
	OK(store_endpoint_pause(f.s, e.id, "because", &err));
	finish(&u, USER_SYNCED, 0, 0);
	assert_false(claim(&v));
	OK(store_endpoint_resume(f.s, e.id, &err));
	assert_true(claim(&v));
}

static void test_breaker(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct endpoint e;
	bool paused;
	OK(store_endpoint_get(f.s, "source", &e, &err));
	static const struct {
		int64_t user;
		bool ok, paused;
	} rows[] = {{1, false, false}, {1, false, false}, {1, false, false}, {2, false, false}, {9, true, false},
		{1, false, false}, {2, false, false}, {3, false, true}, {4, false, true}, {5, true, true}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		OK(store_endpoint_sign_in(f.s, e.id, rows[i].user, rows[i].ok, &paused, &err));
		if (paused != rows[i].paused)
			fail_msg("row %zu: paused %d", i, paused);
	}
	OK(store_endpoint_by_id(f.s, e.id, &e, &err));
	assert_true(e.paused_at > 0);
	assert_non_null(strstr(e.paused_text, "three users"));
	OK(store_endpoint_save(f.s, &e, &err)); /* does not resume */
	OK(store_endpoint_by_id(f.s, e.id, &e, &err));
	assert_true(e.paused_at > 0);
	OK(store_endpoint_resume(f.s, e.id, &err));
	OK(store_endpoint_by_id(f.s, e.id, &e, &err));
	assert_true(e.paused_at == 0);
	OK(store_endpoint_sign_in(f.s, e.id, 1, false, &paused, &err));
	assert_false(paused);
	struct audit_row *rows_of;
	size_t n;
	OK(store_audit_list(f.s, "source", &rows_of, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(rows_of[0].action, "endpoint pause");
	assert_string_equal(rows_of[1].action, "endpoint resume");
	free(rows_of);
}

static void test_crashes(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct user a, b, c;
	want(0, WANT_SYNC, "start");
	assert_true(claim(&a));
	OK(store_engine_begin(f.s, true, &err));
	assert_int_equal(user_at(1).crashes, 1);
	assert_int_equal(user_at(1).state, USER_QUEUED);
	FAILS(store_user_state(f.s, a.id, a.lease_epoch, USER_SYNCED, NULL, 0, &err),
		ERR_CONFLICT); /* of the dead engine */
	assert_true(claim(&a));
	assert_int_equal(a.row, 1);
	OK(store_engine_begin(f.s, true, &err));
	assert_true(claim(&b)); /* two crashes: the others first */
	assert_int_equal(b.row, 2);
	assert_true(claim(&c));
	assert_int_equal(c.row, 3);
	finish(&b, USER_SYNCED, 0, 0);
	finish(&c, USER_SYNCED, 0, 0);
	assert_true(claim(&b));
	assert_int_equal(b.row, 4);
	assert_false(claim(&a));
	finish(&b, USER_SYNCED, 0, 0);
	assert_true(claim(&a));
	assert_int_equal(a.row, 1);
	assert_int_equal(want(user_at(2).id, WANT_INCREMENTAL, "sync"), 1);
	assert_false(claim(&b)); /* alone */
	OK(store_engine_begin(f.s, true, &err));
	assert_int_equal(user_at(1).state, USER_FAILED);
	assert_non_null(strstr(user_at(1).error, "crashed three times"));
	assert_int_equal(batch_state(), BATCH_SYNCING);
	sync_all();
	assert_int_equal(batch_state(), BATCH_SYNCED_WITH_ERRORS);
	/* without a crash nobody is to blame; a stop that was asked for is kept */
	assert_int_equal(want(0, WANT_SYNC, "start"), 1);
	assert_true(claim(&a));
	assert_int_equal(a.crashes, 0);
	want(0, WANT_NOTHING, "stop");
	OK(store_engine_begin(f.s, false, &err));
	assert_int_equal(user_at(1).crashes, 0);
	assert_int_equal(user_at(1).state, USER_STOPPED);
	assert_int_equal(batch_state(), BATCH_STOPPED);
}

static void test_dest_id(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct user a, b;
	want(0, WANT_SYNC, "start");
	assert_true(claim(&a));
	assert_true(claim(&b));
	OK(store_user_dest_id(f.s, a.id, a.lease_epoch, "guid-1", "", &err));
	assert_string_equal(user_at(1).dest_id, "guid-1");
	assert_int_equal(store_user_dest_id(f.s, b.id, b.lease_epoch, "guid-1", "", &err), -1);
	assert_int_equal(err.kind, ERR_CONFLICT);
	assert_non_null(strstr(err.text, "u1@pilot.example"));
	FAILS(store_user_dest_id(f.s, b.id, b.lease_epoch - 1, "guid-2", "", &err), ERR_CONFLICT);
	OK(store_user_dest_id(f.s, a.id, a.lease_epoch, "guid-1", "", &err));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {T(test_create), T(test_first_pass), T(test_sync_and_complete),
		T(test_stop_and_go_on), T(test_retries), T(test_limits), T(test_breaker), T(test_crashes),
		T(test_dest_id)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
