#include "engine/base/err.h"

#include "engine/base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_set_and_wrap(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	assert_int_equal(e.retry_after_ms, -1);
	e.retry_after_ms = 5;
	assert_int_equal(err_set(&e, ERR_LOST, "read %d", 7), -1);
	assert_int_equal(e.kind, ERR_LOST);
	assert_int_equal(e.retry_after_ms, -1);
	assert_int_equal(err_wrap(&e, "folder %s", "INBOX"), -1);
	err_wrap(&e, "batch b");
	assert_string_equal(e.text, "batch b: folder INBOX: read 7");
	err_set(&e, ERR_BUSY, "%s again", e.text); /* its own text as an argument */
	assert_string_equal(e.text, "batch b: folder INBOX: read 7 again");
	err_clear(&e);
	assert_int_equal(e.kind, ERR_NONE);
	assert_string_equal(e.text, "");
}

static void test_wrap_name(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	char name[601], wanted[200];
	err_set(&e, ERR_FOLDER, "gone");
	err_wrap_name(&e, "folder", "INBOX");
	err_wrap_name(&e, "folder", "INBOX"); /* said already */
	assert_string_equal(e.text, "folder INBOX: gone");
	err_wrap_name(&e, "folder", "INBO");
	err_wrap_name(&e, "destination folder", "INBOX");
	assert_string_equal(e.text, "destination folder INBOX: folder INBO: folder INBOX: gone");
	/* the reason is not lost behind a long name */
	for (size_t i = 0; i < 600; i += 2)
		memcpy(name + i, "\xc3\xa9", 2);
	name[600] = '\0';
	err_set(&e, ERR_FOLDER, "gone");
	err_wrap_name(&e, "folder", name);
	snprintf(wanted, sizeof(wanted), "folder %.80s\xe2\x80\xa6%s: gone", name, name + 600 - 32);
	assert_string_equal(e.text, wanted);
	name[0] = 'x'; /* every other place is in the middle of a character */
	memmove(name + 1, name + 2, 599);
	err_set(&e, ERR_FOLDER, "gone");
	err_wrap_name(&e, "folder", name);
	assert_true(utf8_is_valid(e.text, strlen(e.text)));
	assert_non_null(strstr(e.text, ": gone"));
}

static void test_cut_at_a_character(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	char e_acute[2000];
	for (size_t shift = 0; shift < 2; shift++) {
		memset(e_acute, 'x', sizeof(e_acute));
		for (size_t i = shift; i + 2 < sizeof(e_acute); i += 2)
			memcpy(e_acute + i, "\xc3\xa9", 2);
		e_acute[sizeof(e_acute) - 1] = '\0';
		err_set(&e, ERR_LOST, "%s", e_acute);
		size_t len = strlen(e.text);
		assert_true(len >= sizeof(e.text) - 2);
		assert_int_equal((unsigned char)e.text[len - 1], 0xa9);
		err_wrap(&e, "%s", e_acute);
		assert_int_equal((unsigned char)e.text[strlen(e.text) - 1], 0xa9);
		err_hint(&e, "%s", e_acute);
		assert_int_equal((unsigned char)e.hint[strlen(e.hint) - 1], 0xa9);
	}
}

static void test_server_words(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		size_t n;
		const char *out;
	} cases[] = {
		{"NO no\r\n", 7, "NO no"},
		{"\x1b[31mred\x07", 9, "[31mred"},
		{"a\0b", 3, "a b"},
		{"caf\xc3\xa9", 5, "caf\xc3\xa9"},
		{"caf\xe9", 4, "caf?"},
		{"\xc0\xaf", 2, "??"},      /* overlong */
		{"\xed\xa0\x80", 3, "???"}, /* a surrogate */
		{"x\xc2\x9by", 4, "x y"},   /* C1: CSI */
		{"\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80"},
		{"\xf0\x9f\x98", 3, "???"},
		{"", 0, ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = ERR_INIT;
		err_server(&e, cases[i].in, cases[i].n);
		assert_string_equal(e.server, cases[i].out);
	}
	char big[5000];
	static const char fills[] = {'z', '\xff', '\x01'};
	for (size_t i = 0; i < sizeof(fills); i++) {
		struct err e = ERR_INIT;
		memset(big, fills[i], sizeof(big));
		big[0] = 'a';
		e.hint[0] = 'h'; /* what follows in the struct */
		err_server(&e, big, sizeof(big));
		assert_int_equal(strlen(e.server), fills[i] == '\x01' ? 1 : sizeof(e.server) - 1);
		assert_int_equal(e.hint[0], 'h');
	}
}

static void test_line(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	char out[200], tiny[8];
	err_set(&e, ERR_QUOTA, "folder A\nB");
	err_server(&e, "NO full", 7);
	err_hint(&e, "buy room");
	assert_string_equal(err_line(&e, out, sizeof(out)), "folder A B: the server said \"NO full\"; buy room");
	assert_string_equal(err_line(&e, tiny, sizeof(tiny)), "folder");
	err_clear(&e);
	assert_string_equal(err_line(&e, out, sizeof(out)), "none");
}

static void test_kinds(void **state)
{
	(void)state;
	for (unsigned k = 0; k < ERR_KINDS_END; k++) {
		enum err_kind kind = (enum err_kind)k;
		assert_int_equal(err_kind_parse(err_kind_name(kind)), kind);
	}
	assert_int_equal(err_kind_parse("nonsense"), ERR_INTERNAL);
	assert_int_equal(err_action(ERR_THROTTLED), ACT_WAIT);
	assert_int_equal(err_action(ERR_CREDENTIALS), ACT_PAUSE_ENDPOINT);
	assert_int_equal(err_action(ERR_MESSAGE), ACT_SKIP_MESSAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_and_wrap),
		cmocka_unit_test(test_wrap_name),
		cmocka_unit_test(test_cut_at_a_character),
		cmocka_unit_test(test_server_words),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_kinds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
