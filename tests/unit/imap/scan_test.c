#include "imap/scan.h"

#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct expected {
	const char *what, *message;
	size_t n; /* 0: strlen */
	const char *id, *date, *from, *subject;
	struct mail_defects defects;
};

#define FULL "Message-ID: <1@x>\r\nDate: Mon\r\nFrom: a\r\nSubject: s\r\n\r\nbody\r\n"

static const struct expected cases[] = {
	{"all four", FULL, 0, "<1@x>", "Mon", "a", "s", {.longest_line = 17}},
	{"empty", "", 0, "", "", "", "", {0}},
	{"one line end", "\r\n", 0, "", "", "", "", {0}},
	{"no header", "\r\nSubject: in the body\r\n", 0, "", "", "", "", {.longest_line = 20}},
	{"no body", "Subject: s", 0, "", "", "", "s", {.longest_line = 10}},
	{"no body, line end", "Subject: s\r\n", 0, "", "", "", "s", {.longest_line = 10}},
	{"case, blanks", "SUBJECT :  a  b \t\r\nfrom:\tme\r\n", 0, "", "", "me", "a  b", {.longest_line = 17}},
	{"first counts", "Subject: one\r\nSubject: two\r\n two too\r\n", 0, "", "", "", "one", {.longest_line = 12}},
	{"first counts, empty", "Subject:\r\nSubject: two\r\n", 0, "", "", "", "", {.longest_line = 12}},
	{"folded", "Subject: a \r\n \t b\r\n\tc\r\nFrom: x\r\n", 0, "", "", "x", "a b c", {.longest_line = 11}},
	{"folded at once", "Message-ID:\r\n <long@x>\r\n", 0, "<long@x>", "", "", "", {.longest_line = 11}},
	{"blank fold", "Subject: a\r\n \r\n b\r\n\r\nFrom: no\r\n", 0, "", "", "", "a b", {.longest_line = 10}},
	{"LF only", "Subject: s\n\nFrom: no\n", 0, "", "", "", "s", {.longest_line = 10, .bare_line_end = true}},
	{"CRLF LF", "Subject: s\r\n\nFrom: no\r\n", 0, "", "", "", "s", {.longest_line = 10, .bare_line_end = true}},
	{"LF CRLF", "Subject: s\n\r\nFrom: no\r\n", 0, "", "", "", "s", {.longest_line = 10, .bare_line_end = true}},
	{"bare CR", "Subject: a\rb\r\n", 0, "", "", "", "a b", {.longest_line = 12, .bare_line_end = true}},
	{"CR CR LF", "Subject: a\r\r\n\r\n", 0, "", "", "", "a", {.longest_line = 11, .bare_line_end = true}},
	{"CR at the end", "Subject: a\r", 0, "", "", "", "a", {.longest_line = 11, .bare_line_end = true}},
	{"mbox line", "From a@b Mon Jan  1 10:00:00 2001\r\nFrom: c\r\n", 0, "", "", "c", "", {.longest_line = 33}},
	{"junk line", "junk without a colon\r\n more\r\nSubject: s\r\n", 0, "", "", "", "s", {.longest_line = 20}},
	{"starts with a fold", " x: y\r\nSubject: s\r\n", 0, "", "", "", "s", {.longest_line = 10}},
	{"other names", "X-Subject: n\r\nSubjects: n\r\nSubjec: n\r\n: n\r\n", 0, "", "", "", "", {.longest_line = 12}},
	{"8 bit body", "Subject: s\r\n\r\n\xc3\xa9\r\n", 0, "", "", "", "s", {.longest_line = 10}},
	{"8 bit header", "Subject: \xe9\r\n\r\n", 0, "", "", "", "\xe9",
		{.longest_line = 10, .eight_bit_header = true}},
	{"NUL in the header", "Subject: a\0b\r\n", 14, "", "", "", "a?b",
		{.longest_line = 12, .nul = true, .nul_header = true}},
	{"NUL in the body", "Subject: a\r\n\r\n\0", 15, "", "", "", "a", {.longest_line = 10, .nul = true}},
	{"receipt", "disposition-notification-TO: a\r\n\r\n", 0, "", "", "", "",
		{.longest_line = 30, .has_receipt_request = true}},
	{"receipt in the body", "\r\nDisposition-Notification-To: a\r\n", 0, "", "", "", "", {.longest_line = 30}},
};

static void scan_in_steps(struct scan *s, const struct expected *x, size_t step)
{
	struct err e = ERR_INIT;
	struct fingerprint f;
	struct mail_defects d;
	size_t n = x->n ? x->n : strlen(x->message);
	for (size_t at = 0; at < n; at += step)
		scan_feed(s, x->message + at, n - at < step ? n - at : step);
	assert_int_equal(scan_finish(s, &f, &d, &e), 0);
	unsigned char sha[32];
	SHA256((const unsigned char *)x->message, n, sha);
	assert_memory_equal(f.sha256, sha, 32);
	assert_int_equal(f.size, n);
	assert_string_equal(f.message_id, x->id);
	assert_string_equal(f.date, x->date);
	assert_string_equal(f.from, x->from);
	assert_string_equal(f.subject, x->subject);
	assert_int_equal(d.longest_line, x->defects.longest_line);
	assert_int_equal(d.nul, x->defects.nul);
	assert_int_equal(d.nul_header, x->defects.nul_header);
	assert_int_equal(d.eight_bit_header, x->defects.eight_bit_header);
	assert_int_equal(d.has_receipt_request, x->defects.has_receipt_request);
	assert_int_equal(d.bare_line_end, x->defects.bare_line_end);
	fingerprint_done(&f);
}

/* Whatever the pieces, and with one scan for all: it must forget the message before. */
static void test_cases(void **state)
{
	(void)state;
	struct scan *s = scan_new();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("%s\n", cases[i].what);
		for (size_t step = 1; step < 70; step++)
			scan_in_steps(s, &cases[i], step);
	}
	scan_free(&s);
	assert_null(s);
	scan_free(&s);
}

static void test_long_values(void **state)
{
	(void)state;
	struct scan *s = scan_new();
	struct err e = ERR_INIT;
	struct fingerprint f;
	struct mail_defects d;
	char line[100];
	memset(line, 'x', sizeof(line));
	scan_feed(s, "Subject: ", 9);
	for (int i = 0; i < 1000; i++)
		scan_feed(s, line, sizeof(line));
	scan_feed(s, "\r\nX-", 4);
	for (int i = 0; i < 1000; i++)
		scan_feed(s, line, sizeof(line));
	scan_feed(s, ": y\r\nDate: d\r\n", 14);
	assert_int_equal(scan_finish(s, &f, &d, &e), 0);
	assert_int_equal(strlen(f.subject), FINGERPRINT_FIELD);
	assert_string_equal(f.date, "d");
	assert_int_equal(d.longest_line, 100009);
	fingerprint_done(&f);
	scan_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_long_values)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
