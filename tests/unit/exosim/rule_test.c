#include "upload/exosim/rule.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_every_rule_has_its_grade(void **state)
{
	(void)state;
	for (int i = 0; i < SWITCHES_END; i++) {
		const struct switch_row *r = rule_row((enum rule_switch)i);

		assert_true(strlen(r->grade) == 1 && strchr("DSTI?", *r->grade) && strlen(r->text) > 5);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(r->name, rule_row((enum rule_switch)k)->name);
		/* What Microsoft documents does not depend on a profile. */
		if (*r->grade == 'D')
			assert_int_equal(r->kind, r->unkind);
	}
	for (int i = 0; i < TOKEN_ERRORS_END; i++) {
		const char *hole = strstr(rule_token_error((enum token_error)i)->text, "%s");

		assert_true(!hole || !strchr(hole + 2, '%'));
	}
}

static void test_setting(void **state)
{
	struct profile p;
	struct err err = ERR_INIT;

	(void)state;
	profile_init(&p, false);
	assert_int_equal(profile_set_text(&p, "size_cap=5", &err), 0);
	assert_int_equal(profile_get(&p, SW_SIZE_CAP), 5);
	assert_int_equal(profile_set_text(&p, "size_cap=-5", &err), -1);
	assert_int_equal(profile_set_text(&p, "size_cap=x", &err), -1);
	assert_int_equal(profile_set_text(&p, "size_cap", &err), -1);
	assert_int_equal(profile_set_text(&p, "nothing=1", &err), -1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_rule_has_its_grade), cmocka_unit_test(test_setting)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
