#include "upload/exosim/check.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MESSAGE(s) s, sizeof(s) - 1

static const struct {
	const char *in;
	size_t len;
	bool bad_header, nul, id;
	uint64_t longest;
} rows[] = {
	{MESSAGE("From: a\r\n\r\nbody\r\n"), false, false, false, 7},
	{MESSAGE("MESSAGE-id: <x>\r\n\r\n\r\n"), false, false, true, 15},
	{MESSAGE("X-Message-ID: x\r\n\r\nMessage-ID: <x>\r\n"), false, false, false, 15},
	{MESSAGE("Subject: \xc3\xa4\r\n\r\nx"), true, false, false, 11},
	{MESSAGE("Subject: a\r\n\r\n\xc3\xa4\r\n"), false, false, false, 10},
	{MESSAGE("Subject: a\0b\r\n\r\nx"), true, true, false, 12},
	{MESSAGE("Subject: a\r\n\r\nx\0y long enough"), false, true, false, 15},
	{MESSAGE("no header end \xff"), true, false, false, 15},
	{MESSAGE("A: b\n\nlf only, longer\nend"), false, false, false, 15},
	{MESSAGE(""), false, false, false, 0},
};

/* The result does not depend on where the pieces are cut. */
static void test_messages_in_any_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (size_t piece = 1; piece <= rows[i].len + 1; piece++) {
			struct check c;

			check_init(&c);
			for (size_t at = 0; at < rows[i].len; at += piece)
				check_feed(&c, rows[i].in + at, rows[i].len - at < piece ? rows[i].len - at : piece);
			check_end(&c);
			if (c.bad_header != rows[i].bad_header || c.nul != rows[i].nul ||
				c.has_message_id != rows[i].id || c.longest_line != rows[i].longest)
				fail_msg("row %zu in pieces of %zu: %d %d %d %llu", i, piece, c.bad_header, c.nul,
					c.has_message_id, (unsigned long long)c.longest_line);
		}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_messages_in_any_pieces)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
