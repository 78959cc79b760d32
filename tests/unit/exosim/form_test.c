#include "upload/exosim/form.h"

#include <setjmp.h>
#include <stdarg.h>

#include <stdbool.h>

#include <cmocka.h>

static void test_forms(void **state)
{
	static const struct {
		const char *in;
		const char *a; /* value of "a"; NULL with ok: not there */
		bool ok;
	} rows[] = {{"a=1&b=2", "1", true}, {"b=2", NULL, true}, {"a=", "", true}, {"a=x+y%2Bz", "x y+z", true},
		{"a=%C3%A4", "\xc3\xa4", true}, {"", NULL, true}, {"a=b=c", "b=c", true}, {"a=%4", NULL, false},
		{"a=%", NULL, false}, {"a=%zz", NULL, false}, {"a=%00", NULL, false}, {"a=1&a=2", NULL, false},
		{"a", NULL, false}, {"=1", NULL, false}, {"a=1&&b=2", NULL, false}, {"a=x y", NULL, false}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct form f;
		bool ok = form_parse(&f, rows[i].in, strlen(rows[i].in)) == 0;

		if (ok != rows[i].ok)
			fail_msg("%s", rows[i].in);
		if (ok && rows[i].a)
			assert_string_equal(form_get(&f, "a"), rows[i].a);
		else if (ok)
			assert_null(form_get(&f, "a"));
		form_done(&f);
	}
}

static void test_too_many(void **state)
{
	char text[400] = "";
	struct form f;

	(void)state;
	for (int i = 0; i <= FORM_FIELDS; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "n%d=x&", i);
	assert_int_equal(form_parse(&f, text, strlen(text)), -1);
	form_done(&f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_too_many)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
