#include "upload/exosim/args.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct args of(const char *s)
{
	return (struct args){s, s + strlen(s)};
}

static void test_astring(void **state)
{
	static const struct {
		const char *in, *value, *rest; /* value NULL: refused */
	} rows[] = {
		{"INBOX rest", "INBOX", " rest"},
		{"\"a b\" x", "a b", " x"},
		{"\"a\\\"\\\\b\"", "a\"\\b", ""},
		{"\"\"", "", ""},
		{"{3+}\r\nabcd", "abc", "d"},
		{"{0}\r\n", "", ""},
		{"a]b", "a]b", ""},
		{"\"open", NULL, NULL},
		{"\"a\\x\"", NULL, NULL},
		{"\"a\rb\"", NULL, NULL},
		{"{9}\r\nabc", NULL, NULL},
		{"{}\r\n", NULL, NULL},
		{"{3}\nabc", NULL, NULL},
		{"(x)", NULL, NULL},
		{"a*", "a", "*"},
		{"", NULL, NULL},
		{"\x80", NULL, NULL},
		{"{99999999999999999999}\r\n", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct args a = of(rows[i].in);
		struct span raw;
		char *value = NULL;
		bool ok = args_take_astring(&a, &raw, &value);

		if ((rows[i].value != NULL) != ok)
			fail_msg("row %zu: %s", i, rows[i].in);
		if (ok) {
			assert_string_equal(value, rows[i].value);
			assert_string_equal(a.at, rows[i].rest);
		} else {
			assert_ptr_equal(a.at, rows[i].in);
		}
		free(value);
	}
}

static void test_literal_with_nul_is_refused(void **state)
{
	static const char text[] = "{3}\r\na\0b";
	struct args a = {text, text + sizeof(text) - 1};
	struct span raw;

	(void)state;
	assert_false(args_take_astring(&a, &raw, NULL));
}

static void test_flags(void **state)
{
	static const struct {
		const char *in;
		bool ok;
	} rows[] = {{"()", true}, {"(\\Seen)", true}, {"(\\seen \\FLAGGED $Work a-b)", true}, {"(\\Recent)", false},
		{"(\\Foo)", false}, {"(\\Seen", false}, {"( \\Seen)", false}, {"(\\Seen  x)", false},
		{"(\\Seen )", false}, {"\\Seen", false}, {"(a(b))", false}, {"(a\"b)", false}, {"(\\)", false}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct args a = of(rows[i].in);
		struct span raw;

		if (args_take_flags(&a, &raw) != rows[i].ok)
			fail_msg("%s", rows[i].in);
	}
}

static void test_date_time(void **state)
{
	static const struct {
		const char *in;
		bool ok;
	} rows[] = {{"\"17-Jul-1996 02:44:25 -0700\"", true}, {"\" 1-feb-2000 23:59:60 +1400\"", true},
		{"\"29-Feb-2024 00:00:00 +0000\"", true}, {"\"30-Feb-2024 00:00:00 +0000\"", false},
		{"\"00-Jan-2024 00:00:00 +0000\"", false}, {"\"1-Jan-2024 00:00:00 +0000\"", false},
		{"\"17-Jux-1996 02:44:25 -0700\"", false}, {"\"17-Jul-1996 24:44:25 -0700\"", false},
		{"\"17-Jul-1996 02:44:25 0700\"", false}, {"\"17-Jul-1996 02:44:25 -0760\"", false},
		{"\"17-Jul-96 02:44:25 -0700\"", false}, {"17-Jul-1996 02:44:25 -0700", false},
		{"\"17 Jul 1996 02:44:25 -0700\"", false}, {"\"", false}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct args a = of(rows[i].in);
		struct span raw;

		if (args_take_date_time(&a, &raw) != rows[i].ok)
			fail_msg("%s", rows[i].in);
	}
}

static void test_literal_at_the_end(void **state)
{
	static const struct {
		const char *in;
		bool ok, sync;
		uint64_t size;
	} rows[] = {{"a APPEND x {310}", true, true, 310}, {"{0+}", true, false, 0},
		{"x {157286400+}", true, false, 157286400}, {"x {}", false, false, 0}, {"x {+}", false, false, 0},
		{"x 12}", false, false, 0}, {"x ~{12}", false, false, 0}, {"x {12}y", false, false, 0},
		{"}", false, false, 0}, {"{1x}", false, false, 0}, {"{9999999999999999}", false, false, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		size_t start;
		uint64_t size;
		bool sync, ok = args_ends_in_literal(rows[i].in, strlen(rows[i].in), &start, &size, &sync);

		if (ok != rows[i].ok)
			fail_msg("%s", rows[i].in);
		if (ok) {
			assert_int_equal(size, rows[i].size);
			assert_int_equal(sync, rows[i].sync);
			assert_int_equal(rows[i].in[start], '{');
		}
	}
}

static void test_words_and_quotes(void **state)
{
	struct span list = {"(\\Seen \\HasChildren x)", 22};
	char out[32];

	(void)state;
	assert_true(span_has_word(&list, "\\seen"));
	assert_true(span_has_word(&list, "x"));
	assert_false(span_has_word(&list, "\\Has"));
	assert_false(span_has_word(&list, "Seen"));
	assert_int_equal(args_quote(out, "a\"b\\c"), 9);
	assert_string_equal(out, "\"a\\\"b\\\\c\"");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_astring),
		cmocka_unit_test(test_literal_with_nul_is_refused),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_date_time),
		cmocka_unit_test(test_literal_at_the_end),
		cmocka_unit_test(test_words_and_quotes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
