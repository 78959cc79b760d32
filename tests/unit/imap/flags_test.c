#include "imap/flags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_format(void **state)
{
	(void)state;
	static const struct {
		unsigned flags;
		const char *keywords;
		const char *generic, *exchange;
		unsigned dropped;
	} cases[] = {
		{0, "", "()", "()", 0},
		{0, NULL, "()", "()", 0},
		{MAIL_SEEN, "", "(\\Seen)", "(\\Seen)", 0},
		{31, "", "(\\Seen \\Answered \\Flagged \\Draft)", "(\\Seen \\Answered \\Flagged \\Draft)", 0},
		{MAIL_DELETED, "", "()", "()", 0},
		{0, "Red $label1", "(Red $label1)", "(Red $label1)", 0},
		{MAIL_SEEN, "$MDNSent Red nonjunk $FORWARDED", "(\\Seen $MDNSent Red nonjunk $FORWARDED)",
			"(\\Seen Red)", 0},
		{0, "  a   b  ", "(a b)", "(a b)", 0},
		{0, "a A b a", "(a b)", "(a b)", 0},
		{0, "caf\xc3\xa9 a\"b x) {5} \\Odd 50% * q]", "()", "()", 8},
		{0, "ok\r\nEVIL", "()", "()", 1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[200];
		unsigned dropped = 99;
		struct err e = ERR_INIT;
		assert_int_equal(
			flags_format(cases[i].flags, cases[i].keywords, FLAGS_GENERIC, out, sizeof(out), &dropped, &e),
			0);
		assert_string_equal(out, cases[i].generic);
		assert_int_equal(dropped, cases[i].dropped);
		assert_int_equal(
			flags_format(cases[i].flags, cases[i].keywords, FLAGS_EXCHANGE, out, sizeof(out), NULL, &e), 0);
		assert_string_equal(out, cases[i].exchange);
	}
}

static void test_format_room(void **state)
{
	(void)state;
	const char *all = "(\\Seen abc)";
	for (size_t size = 0; size < 20; size++) {
		char out[20];
		memset(out, '~', sizeof(out));
		struct err e = ERR_INIT;
		int rc = flags_format(MAIL_SEEN, "abc", FLAGS_GENERIC, out, size, NULL, &e);
		assert_int_equal(rc, size > strlen(all) ? 0 : -1);
		if (rc == 0)
			assert_string_equal(out, all);
		else
			assert_int_equal(e.kind, ERR_MEMORY);
		for (size_t i = size; i < sizeof(out); i++)
			assert_int_equal(out[i], '~');
	}
}

static void test_parse_one(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned flags;
		bool keep;
	} cases[] = {{"\\Seen", MAIL_SEEN, false}, {"\\FLAGGED", MAIL_FLAGGED, false},
		{"\\Deleted", MAIL_DELETED, false}, {"\\Recent", 0, false}, {"Recent", 0, false}, {"\\*", 0, false},
		{"\\Odd", 0, false}, {"", 0, false}, {"Seen", 0, true}, {"$Forwarded", 0, true}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned flags = 0;
		const char *kept = flags_parse_one(cases[i].text, &flags);
		assert_int_equal(flags, cases[i].flags);
		assert_int_equal(kept == cases[i].text, cases[i].keep);
	}
}

static void test_dates(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t at;
		int zone;
		const char *again; /* NULL: refused */
	} cases[] = {
		{"17-Jul-1996 02:44:25 -0700", 837596665, -420, "\"17-Jul-1996 02:44:25 -0700\""},
		{" 1-Jul-2003 10:52:37 +0200", 1057049557, 120, "\" 1-Jul-2003 10:52:37 +0200\""},
		{"1-jul-2003 10:52:37 +0200", 1057049557, 120, "\" 1-Jul-2003 10:52:37 +0200\""},
		{"\"01-JUL-2003 10:52:37 +02:00\"", 1057049557, 120, "\" 1-Jul-2003 10:52:37 +0200\""},
		{"01-Jul-2003 10:52:37", 1057056757, 0, "\" 1-Jul-2003 10:52:37 +0000\""},
		{"01-Jul-2003 10:52:37 GMT", 1057056757, 0, "\" 1-Jul-2003 10:52:37 +0000\""},
		{"01-Jul-03 10:52:37 +0000", 1057056757, 0, "\" 1-Jul-2003 10:52:37 +0000\""},
		{"31-Dec-1969 23:59:59 +0000", -1, 0, "\"31-Dec-1969 23:59:59 +0000\""},
		{" 1-Jan-1970 00:00:00 +0545", -20700, 345, "\" 1-Jan-1970 00:00:00 +0545\""},
		{" 1-Jan-0001 00:00:00 +0000", -62135596800, 0, "\" 1-Jan-0001 00:00:00 +0000\""},
		{"31-Dec-9999 23:59:59 +0000", 253402300799, 0, "\"31-Dec-9999 23:59:59 +0000\""},
		{"31-Dec-9999 23:59:60 +0000", 0, 0, NULL}, /* would be the year 10000 */
		{"29-Feb-2000 00:00:00 +0000", 951782400, 0, "\"29-Feb-2000 00:00:00 +0000\""},
		{"29-Feb-1900 00:00:00 +0000", 0, 0, NULL},
		{"30-Feb-2000 00:00:00 +0000", 0, 0, NULL},
		{"32-Jan-2000 00:00:00 +0000", 0, 0, NULL},
		{" 0-Jan-2000 00:00:00 +0000", 0, 0, NULL},
		{" 1-Jan-0000 00:00:00 +0000", 0, 0, NULL},
		{" 1-Jan-2000 24:00:00 +0000", 0, 0, NULL},
		{" 1-Jan-2000 00:60:00 +0000", 0, 0, NULL},
		{" 1-Jan-2000 00:00 +0000", 0, 0, NULL},
		{" 1-Jan-2000 00:00:00 +2460", 0, 0, NULL},
		{" 1-Jan-2000 00:00:00 +02", 0, 0, NULL},
		{" 1-Jan-2000 00:00:00 +0000 x", 0, 0, NULL},
		{" 1-Jan-2000 00:00:00 Europe", 0, 0, NULL},
		{" 1-Jan-20000 00:00:00 +0000", 0, 0, NULL},
		{" 1-Jan-200 00:00:00 +0000", 0, 0, NULL},
		{"Mon, 1 Jan 2000 00:00:00 +0000", 0, 0, NULL},
		{"NIL", 0, 0, NULL},
		{"", 0, 0, NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mail_date d;
		char out[32];
		int rc = flags_parse_date(cases[i].text, &d);
		assert_int_equal(rc, cases[i].again ? 0 : -1);
		assert_int_equal(d.known, cases[i].again != NULL);
		assert_int_equal(d.at, cases[i].at);
		assert_int_equal(d.zone_min, cases[i].zone);
		flags_format_date(&d, out, sizeof(out));
		assert_string_equal(out, cases[i].again ? cases[i].again : "");
	}
	struct mail_date far = {.known = true, .at = INT64_MAX};
	char out[32];
	flags_format_date(&far, out, sizeof(out));
	assert_string_equal(out, "");
	far = (struct mail_date){.known = true, .at = 253402300799, .zone_min = 60}; /* the year 10000 there */
	flags_format_date(&far, out, sizeof(out));
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_format_room),
		cmocka_unit_test(test_parse_one),
		cmocka_unit_test(test_dates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
