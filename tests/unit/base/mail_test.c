#include "engine/base/mail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_fingerprint(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	char id[] = "<a@b>", date[] = "today", from[] = "me", subject[] = "";
	struct fingerprint a = {.size = 7, .message_id = id, .date = date, .from = from, .subject = subject}, b;
	a.sha256[31] = 9;
	assert_int_equal(fingerprint_copy(&b, &a, &e), 0);
	assert_true(b.message_id != a.message_id);
	assert_string_equal(b.message_id, "<a@b>");
	assert_int_equal(b.sha256[31], 9);
	fingerprint_done(&b);
	assert_null(b.message_id);
	a.from = NULL;
	assert_int_equal(fingerprint_copy(&b, &a, &e), 0);
	assert_string_equal(b.from, "");
	fingerprint_done(&b);
}

static void test_mail_free(void **state)
{
	(void)state;
	struct mail *m = mail_new(12);
	assert_int_equal(m->uid, 12);
	m->keywords = strdup("a b");
	m->print.subject = strdup("s");
	mail_free(&m);
	assert_null(m);
	mail_free(&m);
}

static void test_flags_text(void **state)
{
	(void)state;
	static const struct {
		unsigned flags;
		size_t room;
		const char *text;
	} cases[] = {
		{0, 60, ""},
		{MAIL_SEEN, 60, "\\Seen"},
		{MAIL_SEEN | MAIL_DELETED, 60, "\\Seen \\Deleted"},
		{31, 60, "\\Seen \\Answered \\Flagged \\Draft \\Deleted"},
		{31, 10, "\\Seen \\An"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[60];
		assert_string_equal(mail_flags_text(cases[i].flags, out, cases[i].room), cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fingerprint),
		cmocka_unit_test(test_mail_free),
		cmocka_unit_test(test_flags_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
