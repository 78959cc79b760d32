#include "imap/name.h"

#include "engine/base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_decode(void **state)
{
	(void)state;
	static const struct {
		const char *raw, *utf8;
		bool exact;
	} cases[] = {
		{"", "", true},
		{"INBOX", "INBOX", true},
		{"Entw&APw-rfe", "Entw\xc3\xbcrfe", true},
		{"~peter/mail/&U,BTFw-/&ZeVnLIqe-",
			"~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", true},
		{"R&-D", "R&D", true},
		{"&2D3eAA-", "\xf0\x9f\x98\x80", true}, /* a surrogate pair */
		{"&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-",
			"\xd0\x9e\xd1\x82\xd0\xbf\xd1\x80\xd0\xb0\xd0\xb2\xd0\xbb\xd0\xb5\xd0\xbd\xd0\xbd\xd1\x8b"
			"\xd0\xb5",
			true},
		{"a & b", "a & b", false}, /* literally */
		{"&", "&", false},
		{"&APw", "&APw", false}, /* not closed */
		{"&A-", "&A-", false},
		{"&APx-", "&APx-", false}, /* rest is not zero */
		{"&2D0-", "&2D0-", false}, /* half a pair */
		{"&3gA-", "&3gA-", false},
		{"&2D0A6Q-", "&2D0A6Q-", false},
		{"&AAA-", "&AAA-", false},                     /* U+0000 */
		{"&U/BTFw-", "&U/BTFw-", false},               /* plain base64's slash */
		{"&AGE-", "a", false},                         /* needlessly shifted */
		{"&APw-&APw-", "\xc3\xbc\xc3\xbc", false},     /* should be one sequence */
		{"Entw\xc3\xbcrfe", "Entw\xc3\xbcrfe", false}, /* raw UTF-8 */
		{"Entw\xfcrfe", "Entw\xc3\xbcrfe", false},     /* Windows-1252 */
		{"\x80\x9c\x81", "\xe2\x82\xac\xc5\x93\xc2\x81", false},
		{"\xfc &APw-", "\xc3\xbc \xc3\xbc", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool exact;
		char *utf8 = name_decode(cases[i].raw, &exact);
		assert_string_equal(utf8, cases[i].utf8);
		assert_int_equal(exact, cases[i].exact);
		free(utf8);
	}
}

static void test_encode_refuses(void **state)
{
	(void)state;
	static const char *const bad[] = {"a\nb", "\x7f", "\xc2\x80", "\xff", "caf\xe9", "\xed\xa0\x80"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = ERR_INIT;
		char *out;
		assert_int_equal(name_encode(bad[i], &out, &e), -1);
		assert_int_equal(e.kind, ERR_FOLDER);
		assert_null(out);
	}
}

/* Every character, in every place of the 16 to 6 bits cycle. */
static void test_round_trip(void **state)
{
	(void)state;
	for (uint32_t c = 0x20; c < 0x110000; c += c < 0x3000 ? 1 : 61) {
		char one[4], name[64] = "x";
		size_t n = utf8_encode(c, one), len = 1;
		if (n == 0 || (c >= 0x7f && c < 0xa0))
			continue;
		for (unsigned i = 0; i < 1 + c % 7; i++) {
			memcpy(name + len, one, n);
			len += n;
		}
		name[len++] = "x-&"[c % 3];
		name[len] = '\0';
		struct err e = ERR_INIT;
		char *raw;
		bool exact;
		assert_int_equal(name_encode(name, &raw, &e), 0);
		char *back = name_decode(raw, &exact);
		assert_string_equal(back, name);
		assert_true(exact);
		for (const char *p = raw; *p; p++)
			assert_true(*p >= ' ' && *p < 0x7f);
		free(raw);
		free(back);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_encode_refuses),
		cmocka_unit_test(test_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
