/* The table of verbs and states. */
#include "engine/store/verb.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NO VERB_REFUSED
#define SAME VERB_NO_CHANGE
#define YES VERB_CHANGED

static void test_users(void **unused)
{
	(void)unused;
	static const struct {
		enum verb verb;
		struct verb_user u;
		enum verb_answer answer;
		enum user_want want;
		enum user_state state;
	} rows[] = {
		/* never started */
		{VERB_START, {.state = USER_STOPPED}, YES, WANT_SYNC, USER_QUEUED},
		{VERB_SYNC, {.state = USER_STOPPED}, NO, 0, 0},
		{VERB_COMPLETE, {.state = USER_STOPPED}, NO, 0, 0},
		{VERB_STOP, {.state = USER_STOPPED}, SAME, 0, 0},
		{VERB_DELETE, {.state = USER_STOPPED}, YES, 0, USER_STOPPED},
		/* in the queue */
		{VERB_START, {.state = USER_QUEUED, .want = WANT_SYNC}, YES, WANT_SYNC, USER_QUEUED},
		{VERB_STOP, {.state = USER_QUEUED, .want = WANT_SYNC}, YES, WANT_NOTHING, USER_STOPPED},
		{VERB_COMPLETE, {.state = USER_QUEUED, .want = WANT_INCREMENTAL, .synced = true}, YES, WANT_COMPLETE,
			USER_QUEUED},
		{VERB_COMPLETE, {.state = USER_QUEUED, .want = WANT_SYNC}, NO, 0, 0},
		{VERB_DELETE, {.state = USER_QUEUED, .want = WANT_SYNC}, NO, 0, 0},
		/* at work: the state is the job's */
		{VERB_STOP, {.state = USER_SYNCING, .held = true, .want = WANT_SYNC, .pass = WANT_SYNC}, YES,
			WANT_NOTHING, USER_SYNCING},
		{VERB_START, {.state = USER_SYNCING, .held = true, .want = WANT_SYNC, .pass = WANT_SYNC}, SAME, 0, 0},
		{VERB_START, {.state = USER_SYNCING, .held = true, .pass = WANT_SYNC}, YES, WANT_SYNC, USER_SYNCING},
		{VERB_START, {.state = USER_COMPLETING, .held = true, .pass = WANT_COMPLETE, .synced = true}, YES,
			WANT_COMPLETE, USER_COMPLETING},
		{VERB_COMPLETE,
			{.state = USER_INCREMENTAL_SYNCING, .held = true, .want = WANT_INCREMENTAL, .synced = true},
			YES, WANT_COMPLETE, USER_INCREMENTAL_SYNCING},
		{VERB_DELETE, {.state = USER_SYNCING, .held = true}, NO, 0, 0},
		/* synced */
		{VERB_START, {.state = USER_SYNCED, .synced = true}, SAME, 0, 0},
		{VERB_SYNC, {.state = USER_SYNCED, .synced = true}, YES, WANT_INCREMENTAL, USER_QUEUED},
		{VERB_COMPLETE, {.state = USER_SYNCED, .synced = true}, YES, WANT_COMPLETE, USER_QUEUED},
		{VERB_DELETE, {.state = USER_SYNCED, .synced = true}, YES, 0, USER_SYNCED},
		/* stopped in between, failed */
		{VERB_START, {.state = USER_STOPPED, .synced = true, .pass = WANT_COMPLETE}, YES, WANT_COMPLETE,
			USER_QUEUED},
		{VERB_START, {.state = USER_STOPPED, .synced = true, .pass = WANT_INCREMENTAL}, YES, WANT_INCREMENTAL,
			USER_QUEUED},
		{VERB_START, {.state = USER_FAILED, .pass = WANT_SYNC}, YES, WANT_SYNC, USER_QUEUED},
		{VERB_STOP, {.state = USER_FAILED, .want = WANT_SYNC, .pass = WANT_SYNC}, YES, WANT_NOTHING,
			USER_FAILED}, /* waits for a retry */
		{VERB_STOP, {.state = USER_FAILED}, SAME, 0, 0},
		{VERB_DELETE, {.state = USER_FAILED, .want = WANT_SYNC}, NO, 0, 0},
		{VERB_SYNC, {.state = USER_FAILED, .synced = true}, YES, WANT_INCREMENTAL, USER_QUEUED},
		/* over */
		{VERB_START, {.state = USER_COMPLETED, .synced = true}, SAME, 0, 0},
		{VERB_SYNC, {.state = USER_COMPLETED, .synced = true}, NO, 0, 0},
		{VERB_COMPLETE, {.state = USER_COMPLETED_WITH_WARNINGS, .synced = true}, SAME, 0, 0},
		{VERB_DELETE, {.state = USER_COMPLETED, .synced = true}, YES, 0, USER_COMPLETED},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verb_effect e = verb_on_user(rows[i].verb, &rows[i].u);
		if (e.answer != rows[i].answer)
			fail_msg("row %zu: answer %d", i, e.answer);
		if (e.answer == VERB_CHANGED && rows[i].verb != VERB_DELETE &&
			(e.want != rows[i].want || e.state != rows[i].state))
			fail_msg("row %zu: want %d, state %s", i, e.want, user_state_name(e.state));
		assert_true((e.answer == VERB_REFUSED) == (e.reason != NULL));
	}
}

static void test_every_pair_is_defined(void **unused)
{
	(void)unused;
	for (int v = 0; v < VERBS_END; v++) {
		assert_int_equal(verb_parse(verb_name((enum verb)v)), v);
		for (int s = 0; s <= USER_FAILED; s++) {
			for (int bits = 0; bits < 4; bits++) {
				struct verb_user u = {
					.state = (enum user_state)s, .held = bits & 1, .synced = bits & 2};
				struct verb_effect e = verb_on_user((enum verb)v, &u);
				if (e.answer == VERB_CHANGED && u.held)
					assert_int_equal(e.state, s); /* never changed under a job */
			}
		}
	}
	assert_int_equal(verb_parse("pause"), -1);
}

static void test_batches(void **unused)
{
	(void)unused;
	assert_null(verb_refused_by_batch(VERB_START, BATCH_CREATED));
	assert_non_null(verb_refused_by_batch(VERB_COMPLETE, BATCH_CREATED));
	assert_non_null(verb_refused_by_batch(VERB_DELETE, BATCH_SYNCING));
	assert_null(verb_refused_by_batch(VERB_DELETE, BATCH_SYNCED));
	static const struct {
		struct verb_tally t;
		enum batch_state state;
	} rows[] = {
		{{.users = 2, .synced = 2}, BATCH_SYNCED}, {{.users = 2, .synced = 1, .completed = 1}, BATCH_SYNCED},
		{{.users = 2, .completed = 2}, BATCH_COMPLETED},
		{{.users = 2, .synced = 1, .failed = 1}, BATCH_SYNCED_WITH_ERRORS},
		{{.users = 2, .failed = 2}, BATCH_FAILED}, {{.users = 2, .synced = 1, .stopped = 1}, BATCH_STOPPED},
		{{.users = 3, .failed = 1, .stopped = 2, .stopping = true}, BATCH_STOPPED},
		{{.users = 2, .synced = 2, .stopping = true},
			BATCH_SYNCED}, /* the stop came too late to stop anything */
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (verb_batch_end(&rows[i].t) != rows[i].state)
			fail_msg("row %zu: %s", i, batch_state_name(verb_batch_end(&rows[i].t)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_users), cmocka_unit_test(test_every_pair_is_defined),
		cmocka_unit_test(test_batches)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
