#include "upload/settle.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct values {
	const char *id, *date, *from, *subject;
};

static void key_of(const struct values *v, uint8_t out[PRINT_KEY_BYTES])
{
	struct fingerprint p = {.message_id = strdup(v->id),
		.date = strdup(v->date),
		.from = strdup(v->from),
		.subject = strdup(v->subject)};
	print_key(&p, out);
	fingerprint_done(&p);
}

static const struct {
	bool same;
	const char *what;
	struct values a, b;
} cases[] = {
	{true, "empty", {"", "", "", ""}, {"", "", "", ""}},
	{true, "id in other dress", {"<A@B.Example>", "", "", ""}, {" <A@b.example> ", "", "", ""}},
	{true, "date in another zone", {"", "Mon, 1 Jul 2002 10:00:00 +0200", "", ""},
		{"", "1 Jul 2002 08:00:00 GMT", "", ""}},
	{true, "date with a comment", {"", "Mon, 1 Jul 2002 10:00:00 +0200 (CEST)", "", ""},
		{"", "Mon,  1 Jul 2002 10:00:00 +0200", "", ""}},
	{true, "from with a name", {"", "", "\"A B\" <a@b.example>", ""},
		{"", "", "=?utf-8?Q?A_B?= <a@B.EXAMPLE>", ""}},
	{true, "subject folded", {"", "", "", "one  two"}, {"", "", "", "one two "}},
	{true, "subject encoded", {"", "", "", "=?utf-8?b?w7w=?= x"}, {"", "", "", "=?iso-8859-1?q?=FC?= x"}},
	{true, "subject raw", {"", "", "", "\xc3\xbc x"}, {"", "", "", "=?iso-8859-1?q?=FC?= x"}},
	{true, "subject cut far behind",
		{"", "", "", "0123456789012345678901234567890123456789012345678901234567890123456789 this was cut"},
		{"", "", "", "0123456789012345678901234567890123456789012345678901234567890123456789 th"}},
	{false, "id", {"<a@b>", "", "", ""}, {"<a@c>", "", "", ""}},
	{false, "case of the id's local part", {"<a@b>", "", "", ""}, {"<A@b>", "", "", ""}},
	{false, "no id", {"<a@b>", "", "", ""}, {"", "", "", ""}},
	{false, "date", {"", "1 Jul 2002 08:00:00 GMT", "", ""}, {"", "1 Jul 2002 08:00:01 GMT", "", ""}},
	{false, "from", {"", "", "a@b", ""}, {"", "", "a@c", ""}},
	{false, "from that is no address", {"", "", "Some One", ""}, {"", "", "Some Other", ""}},
	{false, "subject", {"", "", "", "a"}, {"", "", "", "b"}},
	{false, "fields do not run together", {"a", "b", "", ""}, {"ab", "", "", ""}},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t a[PRINT_KEY_BYTES], b[PRINT_KEY_BYTES];
		key_of(&cases[i].a, a);
		key_of(&cases[i].b, b);
		if (!memcmp(a, b, sizeof(a)) != cases[i].same)
			fail_msg("%s: %s", cases[i].what, cases[i].same ? "differ" : "are taken for the same");
	}
}

int main(void)
{
	upload_init();
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
