#include "upload/exosim/fault.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int add(struct faults *f, const char *json)
{
	json_t *j = json_loads(json, 0, NULL);
	struct err err = ERR_INIT;
	int r = faults_add(f, j, NULL, &err);

	json_decref(j);
	return r;
}

static void test_nth_and_count(void **state)
{
	struct faults *f = faults_new();
	struct fault_hit hit;
	char pattern[9] = "";

	(void)state;
	assert_int_equal(add(f, "{\"kind\":\"refuse\",\"nth\":3,\"count\":2,\"text\":\"NO x\"}"), 0);
	for (int i = 0; i < 8; i++)
		pattern[i] = faults_check(f, HOOK_COMMAND, "a@b", "INBOX", "APPEND", &hit) ? 'x' : '.';
	assert_string_equal(pattern, "..xx....");
	assert_int_equal(hit.kind, FAULT_REFUSE);
	assert_string_equal(hit.text, "NO x");
	faults_free(&f);
}

static void test_what_it_matches(void **state)
{
	static const struct {
		const char *fault;
		enum fault_hook hook;
		const char *mailbox, *folder, *command;
		bool fires;
	} rows[] = {
		{"{\"kind\":\"drop\"}", HOOK_COMMAND, "a@b", "INBOX", "APPEND", true},
		{"{\"kind\":\"drop\"}", HOOK_COMMAND, "a@b", "INBOX", "SELECT", false},
		{"{\"kind\":\"drop\"}", HOOK_COMMIT, "a@b", "INBOX", "APPEND", false},
		{"{\"kind\":\"drop\",\"command\":\"*\"}", HOOK_COMMAND, "a@b", NULL, "NOOP", true},
		{"{\"kind\":\"drop\",\"command\":\"select\"}", HOOK_COMMAND, "a@b", "x", "SELECT", true},
		{"{\"kind\":\"drop\",\"mailbox\":\"A@B\"}", HOOK_COMMAND, "a@b", "x", "APPEND", true},
		{"{\"kind\":\"drop\",\"mailbox\":\"c@d\"}", HOOK_COMMAND, "a@b", "x", "APPEND", false},
		{"{\"kind\":\"drop\",\"folder\":\"inbox\"}", HOOK_COMMAND, "a@b", "INBOX", "APPEND", true},
		{"{\"kind\":\"drop\",\"folder\":\"inbox\",\"command\":\"*\"}", HOOK_COMMAND, "a@b", NULL, "NOOP",
			false},
		{"{\"kind\":\"hidden\"}", HOOK_COMMIT, "a@b", "x", "APPEND", true},
		{"{\"kind\":\"drop\",\"probability\":0.0}", HOOK_COMMAND, "a@b", "x", "APPEND", false},
	};
	struct fault_hit hit;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct faults *f = faults_new();

		assert_int_equal(add(f, rows[i].fault), 0);
		if (faults_check(f, rows[i].hook, rows[i].mailbox, rows[i].folder, rows[i].command, &hit) !=
			rows[i].fires)
			fail_msg("row %zu: %s", i, rows[i].fault);
		faults_free(&f);
	}
}

static void test_bad_specs(void **state)
{
	static const char *const bad[] = {"{}", "[]", "{\"kind\":\"x\"}", "{\"kind\":\"drop\",\"nth\":-1}",
		"{\"kind\":\"drop\",\"nth\":\"1\"}", "{\"kind\":\"drop\",\"extra\":1}",
		"{\"kind\":\"refuse\",\"text\":\"a\\nb\"}", "{\"kind\":\"drop\",\"folder\":1}"};
	struct faults *f = faults_new();

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (add(f, bad[i]) != -1)
			fail_msg("%s", bad[i]);
	faults_free(&f);
}

static void test_remove(void **state)
{
	struct faults *f = faults_new();
	struct fault_hit hit;

	(void)state;
	add(f, "{\"kind\":\"drop\",\"count\":0}");
	add(f, "{\"kind\":\"bye\",\"count\":0}");
	assert_true(faults_remove(f, 1));
	assert_false(faults_remove(f, 1));
	assert_true(faults_check(f, HOOK_COMMAND, "a", "b", "APPEND", &hit));
	assert_int_equal(hit.kind, FAULT_BYE);
	assert_true(faults_remove(f, 0));
	assert_false(faults_check(f, HOOK_COMMAND, "a", "b", "APPEND", &hit));
	faults_free(&f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_nth_and_count),
		cmocka_unit_test(test_what_it_matches), cmocka_unit_test(test_bad_specs),
		cmocka_unit_test(test_remove)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
