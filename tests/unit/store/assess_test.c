#include "engine/store/assess.h"

#include "tests/unit/store/fixture.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

static int64_t user_id(struct scratch *f, int64_t batch, const char *who)
{
	struct err err = ERR_INIT;
	struct user u;
	OK(store_user_get(f->s, batch, who, &u, &err));
	return u.id;
}

static void test_an_assessment_is_kept_and_replaced(void **state)
{
	(void)state;
	struct scratch f;
	struct err err = ERR_INIT;
	scratch_make(&f);
	scratch_open(&f);
	int64_t batch = scratch_batch(&f, "wave", 3, 2);
	struct assessment a = {.user_id = user_id(&f, batch, "u2"), .at = 1000, .folders = 7, .folders_moved = 5};
	a.messages = 123456789012, a.bytes = UINT64_MAX, a.largest = 5, a.deleted = 6, a.drafts = 7;
	assessment_add(&a, FINDING_LEFT_OUT, "too-big", "Set-Mailbox", "%d messages", 3);
	assessment_add(&a, FINDING_PROBLEM, "quota", "", "no room");
	OK(store_assessment_put(f.s, &a, &err));
	struct assessment *v = NULL;
	size_t n = 0;
	OK(store_assessment_list(f.s, batch, &v, &n, &err));
	assert_int_equal(n, 3);
	assert_int_equal(v[0].at, 0);
	assert_int_equal(v[1].at, 1000);
	assert_int_equal(v[1].messages, 123456789012);
	assert_int_equal(v[1].bytes, INT64_MAX);
	assert_int_equal(v[1].folders_moved, 5);
	assert_int_equal(v[1].problems, 1);
	assert_int_equal(v[1].left_out, 1);
	assert_int_equal(v[2].at, 0);
	free(v);
	struct finding *found = NULL;
	OK(store_findings(f.s, a.user_id, &found, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(found[0].text, "3 messages");
	assert_string_equal(found[0].remedy, "Set-Mailbox");
	assert_int_equal(found[1].weight, FINDING_PROBLEM);
	free(found);
	assessment_done(&a);

	struct assessment again = {.user_id = a.user_id, .at = 2000, .error_kind = ERR_CREDENTIALS, .error = "no"};
	OK(store_assessment_put(f.s, &again, &err));
	OK(store_findings(f.s, a.user_id, &found, &n, &err));
	assert_int_equal(n, 0);
	free(found);
	OK(store_assessment_list(f.s, batch, &v, &n, &err));
	assert_int_equal(v[1].error_kind, ERR_CREDENTIALS);
	assert_int_equal(v[1].messages, 0);
	free(v);
	OK(store_batch_delete(f.s, batch, &err)); /* takes all of it along */
	scratch_remove(&f);
}

static void test_findings_are_cut_and_counted(void **state)
{
	(void)state;
	struct assessment a = {.user_id = 1};
	for (int i = 0; i < 3 * FINDINGS; i++)
		assessment_add(&a, FINDING_NOTE, "a-kind-that-is-longer-than-any-kind-can-be", "", "%01200d", i);
	assert_int_equal(a.n_findings, FINDINGS);
	assert_int_equal(a.notes, 3 * FINDINGS);
	assert_int_equal(strlen(a.findings[0].text), MODEL_ERROR - 1);
	assessment_done(&a);
	assert_string_equal(finding_weight_name(FINDING_LEFT_OUT), "left-out");
}

static void test_an_outlook_is_kept(void **state)
{
	(void)state;
	struct scratch f;
	struct err err = ERR_INIT;
	scratch_make(&f);
	scratch_open(&f);
	int64_t batch = scratch_batch(&f, "wave", 2, 2);
	struct outlook none, o = {.at = 5, .begins_at = 6, .ends_at = INT64_MAX, .mailboxes = 2}, back;
	OK(store_outlook_get(f.s, batch, &none, &err));
	assert_int_equal(none.at, 0);
	struct assessment v[2] = {
		{.user_id = user_id(&f, batch, "u1"), .at = 9}, {.user_id = user_id(&f, batch, "u2")}};
	OK(store_assessment_put(f.s, &v[0], &err));
	v[0].begins_at = 10, v[0].ends_at = 20, v[0].active_s = 7;
	snprintf(v[0].bind, sizeof(v[0].bind), "the pace");
	char basis[] = "[\"a\"]", nights[] = "[]";
	o.basis = basis;
	o.nights = nights;
	OK(store_outlook_put(f.s, batch, &o, v, 2, &err));
	OK(store_outlook_get(f.s, batch, &back, &err));
	assert_int_equal(back.ends_at, INT64_MAX);
	assert_string_equal(back.basis, "[\"a\"]");
	outlook_done(&back);
	struct assessment *list = NULL;
	size_t n = 0;
	OK(store_assessment_list(f.s, batch, &list, &n, &err));
	assert_int_equal(list[0].ends_at, 20);
	assert_string_equal(list[0].bind, "the pace");
	free(list);
	v[0].folders = 3; /* a new assessment keeps the forecast until there is another */
	OK(store_assessment_put(f.s, &v[0], &err));
	OK(store_assessment_list(f.s, batch, &list, &n, &err));
	assert_int_equal(list[0].folders, 3);
	assert_int_equal(list[0].active_s, 7);
	free(list);
	scratch_remove(&f);
}

/* --- what the first pass takes --- */

static void shift(struct scratch *f, const char *sql)
{
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(f->state, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static struct user claim(struct scratch *f, int64_t batch)
{
	struct err err = ERR_INIT;
	struct user u = {0};
	bool found = false;
	int64_t next_at;
	OK(store_user_claim(f->s, batch, &u, &found, &next_at, &err));
	assert_true(found);
	return u;
}

static void end(struct scratch *f, const struct user *u, enum user_state state, enum err_kind kind)
{
	struct err err = ERR_INIT, why = ERR_INIT;
	if (kind != ERR_NONE)
		err_set(&why, kind, "because");
	OK(store_user_state(
		f->s, u->id, u->lease_epoch, state, kind != ERR_NONE ? &why : NULL, kind != ERR_NONE, &err));
}

static void test_the_first_pass_is_measured(void **state)
{
	(void)state;
	struct scratch f;
	struct err err = ERR_INIT;
	unsigned changed;
	scratch_make(&f);
	scratch_open(&f);
	int64_t batch = scratch_batch(&f, "wave", 1, 1);
	OK(store_batch_want(f.s, batch, 0, WANT_SYNC, "start", &changed, &err));
	/* 100 s of work, 50 s behind a fence, 10 s of work, 30 s deferred, 5 s lost with an engine, 20 s of work */
	struct user u = claim(&f, batch);
	shift(&f, "UPDATE effort SET begun_at = begun_at - 215, held_at = held_at - 100");
	end(&f, &u, USER_FAILED, ERR_THROTTLED);
	shift(&f, "UPDATE effort SET left_at = left_at - 50");
	u = claim(&f, batch);
	shift(&f, "UPDATE effort SET held_at = held_at - 10");
	end(&f, &u, USER_FAILED, ERR_DEFERRED);
	shift(&f, "UPDATE effort SET left_at = left_at - 30");
	claim(&f, batch);
	shift(&f, "UPDATE effort SET held_at = held_at - 5");
	OK(store_engine_begin(f.s, false, &err));
	u = claim(&f, batch);
	shift(&f, "UPDATE effort SET held_at = held_at - 20");
	shift(&f, "UPDATE work SET copied = 400, copied_bytes = 5000");
	end(&f, &u, USER_SYNCED, ERR_NONE);
	struct effort *v = NULL;
	size_t n = 0;
	OK(store_effort_list(f.s, batch, &v, &n, &err));
	assert_int_equal(n, 1);
	/* a second may turn between two steps; this machine may be slow */
	assert_in_range(v[0].active_s, 130, 190);
	assert_in_range(v[0].fenced_s, 50, 110);
	assert_in_range(v[0].deferred_s, 30, 90);
	assert_in_range(v[0].failed_s, 5, 65);
	assert_int_equal(v[0].messages, 400);
	assert_int_equal(v[0].bytes, 5000);
	assert_int_equal(v[0].jobs, 4);
	assert_true(v[0].ended_at >= v[0].begun_at + 215);
	struct effort first = v[0];
	free(v);

	/* what comes after it is not counted */
	OK(store_batch_want(f.s, batch, 0, WANT_INCREMENTAL, "sync", &changed, &err));
	u = claim(&f, batch);
	shift(&f, "UPDATE work SET copied = 900");
	end(&f, &u, USER_SYNCED, ERR_NONE);
	OK(store_effort_list(f.s, batch, &v, &n, &err));
	assert_int_equal(v[0].messages, first.messages);
	assert_int_equal(v[0].active_s, first.active_s);
	assert_int_equal(v[0].jobs, first.jobs);
	free(v);
	struct batch b;
	OK(store_batch_by_id(f.s, batch, &b, &err));
	struct effort sum;
	OK(store_effort_sum(f.s, b.endpoint_id, b.target_id, &sum, &err));
	assert_int_equal(sum.jobs, 1);
	assert_int_equal(sum.messages, 400);
	assert_int_equal(sum.active_s, first.active_s);
	OK(store_effort_sum(f.s, b.endpoint_id, b.target_id + 1, &sum, &err));
	assert_int_equal(sum.jobs, 0);
	scratch_remove(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_assessment_is_kept_and_replaced),
		cmocka_unit_test(test_findings_are_cut_and_counted),
		cmocka_unit_test(test_an_outlook_is_kept),
		cmocka_unit_test(test_the_first_pass_is_measured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
