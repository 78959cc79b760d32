#include "imap/filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct out {
	char text[4096];
	size_t n;
};

/* Feeds text in pieces of step octets and collects what comes out, in reads of at most `read`. -1: the filter broke off. */
static int run(struct filter *f, const char *text, size_t size, size_t step, size_t read, struct out *out)
{
	for (size_t at = 0;;) {
		ssize_t r = filter_give(f, out->text + out->n, read);
		if (r < 0)
			return -1;
		out->n += (size_t)r;
		assert_true(out->n < sizeof out->text - read);
		out->text[out->n] = 0;
		if (r > 0)
			continue;
		if (at == size)
			return 0;
		size_t room, n = step < size - at ? step : size - at;
		char *input = filter_room(f, &room, false);
		assert_true(room >= n);
		memcpy(input, text + at, n);
		filter_filled(f, n);
		at += n;
	}
}

static void test_passes_and_mends(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"* OK hi\r\n", "* OK hi\r\n"},
		{"* OK hi\n", "* OK hi\r\n"},
		{"\r\n \r\n1 OK x\r\n", "1 OK x\r\n"}, /* Exchange's blank line */
		{"* 1 FETCH (BODY[] {3+}\r\nabc)\r\n", "* 1 FETCH (BODY[] {3}\r\nabc)\r\n"},
		{"* 1 FETCH (BODY[] ~{3}\r\nabc)\r\n", "* 1 FETCH (BODY[] {3}\r\nabc)\r\n"},
		{"* 1 FETCH (BODY[]{3}\r\nabc)\r\n", "* 1 FETCH (BODY[] {3}\r\nabc)\r\n"},
		{"* 1 FETCH (X {2}\r\n\r\n Y {1}\r\n))\r\n", "* 1 FETCH (X {2}\r\n\r\n Y {1}\r\n))\r\n"},
		{"1 OK x {99999}\r\n* OK [ALERT]\r\n",
			"1 OK x _99999}\r\n* OK [ALERT] -\r\n"}, /* text, not a literal */
		{"* 1 FETCH ()\r\n1 OK\r\n", "1 OK -\r\n"},
		{"* LIST () \"/\" foo{5}\r\nabcde\r\n",
			"* LIST () \"/\" \"foo{5}\"\r\nabcde\r\n"}, /* a name, not a literal */
		{"* X {3}\r\n", "* X {3}\r\n"},
	};
	struct out out;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (size_t step = 1; step <= strlen(cases[i].in); step++) {
			struct filter *f = filter_new();
			out.n = 0;
			assert_int_equal(run(f, cases[i].in, strlen(cases[i].in), step, step % 7 + 1, &out), 0);
			assert_string_equal(out.text, cases[i].out);
			filter_free(&f);
		}
	}
}

/* libetpan takes "{n}" for a literal wherever a string may stand and allocates n octets: it sees those only that were counted here. */
static void test_no_announcement_passes_uncounted(void **state)
{
	static const struct {
		const char *in, *out; /* "#" in `in` stands for a NUL */
	} cases[] = {
		/* the fuzzer's: in mid line, 4 GB for the answer to CAPABILITY */
		{"* 2 FETCH (UID 1 BODY[] {4294967294}OK do\r\n", "* 2 FETCH (UID 1 BODY[] _4294967294}OK do\r\n"},
		{"* 1 FETCH (X-GM-LABELS (a {9} {9}\r\n123456789))\r\n",
			"* 1 FETCH (X-GM-LABELS (a _9} {9}\r\n123456789))\r\n"},
		{"* 1 FETCH (X {1}\r\na ENVELOPE ({99} {4294967299} {-1} NIL))\r\n",
			"* 1 FETCH (X {1}\r\na XNVELOPE (_99} _4294967299} _-1} NIL))\r\n"},
		{"* 1 FETCH (X {99}#Y { 9 } { -9 } {--9} {9+} ~{9} {9}\rZ {9a} {} {a})\r\n",
			"* 1 FETCH (X _99}?Y _ 9 } _ -9 } _--9} _9+} ~_9} _9}?Z {9a} {} {a})\r\n"},
		{"* 1 FETCH (X {18446744073709551617} Y)\r\n", "* 1 FETCH (X _18446744073709551617} Y)\r\n"},
		{"* STATUS {99}a (MESSAGES 1)\r\n", "* STATUS _99}a (MESSAGES 1)\r\n"},
		{"* QUOTA {99} (STORAGE 1 2)\r\n", "* QUOTA _99} (STORAGE 1 2)\r\n"},
		{"* X {3}\r\nabc {99} y\r\n", "* X {3}\r\nabc _99} y\r\n"},
		{"* LIST (\\a{99} {99} b \\c\"d) \"/\" x\r\n", "* LIST (\\b) \"/\" \"x\"\r\n"},
		{"* LIST () \"/\" {\"{1}\r\nx y\r\n", "* LIST () \"/\" \"{\\\"{1}\"\r\nx y\r\n"},
		/* libetpan reads literals in BADCHARSET only; a PREAUTH in mid session, and "NOTES", go to our extension */
		{"* OK [BADCHARSET ({99} x)] {99} y\r\n", "* OK [XADCHARSET (_99} x)] _99} y\r\n"},
		{"* OK [X \"{99}\"] \"{99}\"\r\n", "* OK [X \"_99}\"] \"_99}\"\r\n"},
		{"* PREAUTH x {99}\r\n* NOTES {99}\r\n+ {99}\r\n", "* PREAUTH x _99}\r\n* NOTES _99}\r\n+ _99}\r\n"},
		/* libetpan's quoted strings do not end with the line */
		{"* 1 FETCH (X \"abc\r\n* \" RFC822 {99} \"\r\n", "* 1 FETCH (X _abc\r\n* \" RFC822 {99} \"\r\n"},
		{"* 1 FETCH (X \"a\\\" {3}\r\n\" {99})\r\n", "* 1 FETCH (X _a\\_ {3}\r\n\" {99})\r\n"},
		{"* 1 FETCH (X \"a {99} UID 4294967298)\r\n", "* 1 FETCH (X _a _99} XID 4294967298)\r\n"},
		{"* 1 FETCH (FLAGS (\"a) {99}\" b) UID 4294967298)\r\n",
			"* 1 FETCH (FLAGS (_a___99}_ b) XID 4294967298)\r\n"},
		{"* 1 FETCH (INTERNALDATE \"01-Jul-2003 10:52 \\\" {99} \" {99})\r\n",
			"* 1 FETCH (INTERNALDATE \"01-Jul-2003 10:52:00 +0000\" _99})\r\n"},
		{"* FLAGS (\"a) {99} \"b)\r\n", "* FLAGS (_a___99}__b)\r\n"},
		/* what is really quoted stays as it is */
		{"* LIST () \"/\" \"foo {123}\"\r\n", "* LIST () \"/\" \"foo {123}\"\r\n"},
		{"* LIST () \"/\" \"say \"{5}\" {6}\"\r\n", "* LIST () \"/\" \"say \\\"{5}\\\" {6}\"\r\n"},
		{"* LIST () \"/\" \"{5}\"\r\n", "* LIST () \"/\" \"{5}\"\r\n"},
		{"* STATUS \"foo {123}\" (MESSAGES 1)\r\n", "* STATUS \"foo {123}\" (MESSAGES 1)\r\n"},
		{"* ID (\"name\" \"x {123} \\\" {4}\")\r\n", "* ID (\"name\" \"x {123} \\\" {4}\")\r\n"},
		{"* NAMESPACE ((\"a {1}/\" \"/\")) NIL NIL\r\n", "* NAMESPACE ((\"a {1}/\" \"/\")) NIL NIL\r\n"},
		{"* 1 FETCH (BODY[] \"a {123} BODY[9\" UID 1)\r\n", "* 1 FETCH (BODY[] \"a {123} BODY[9\" UID 1)\r\n"},
		{"* 1 FETCH (ENVELOPE (NIL \"a {1}\" ((\"{2}\" NIL {1}\r\nx \"{3}\")) NIL))\r\n",
			"* 1 FETCH (XNVELOPE (NIL \"a {1}\" ((\"{2}\" NIL {1}\r\nx \"{3}\")) NIL))\r\n"},
		/* announcements that are odd, but are some */
		{"* 1 FETCH (BODY[] { 3 } \r\nabc)\r\n", "* 1 FETCH (BODY[] {3}\r\nabc)\r\n"},
		{"* 1 FETCH (BODY[] {-1}\r\n)\r\n", "* 1 FETCH (BODY[] {0}\r\n)\r\n"},
		{"* 1 FETCH (BODY[] ~{ -22 }\r\n)\r\n", "* 1 FETCH (BODY[] {0}\r\n)\r\n"},
		{"* 1 FETCH (BODY[] {3}\r\r\nabc)\r\n", "* 1 FETCH (BODY[] {3}\r\nabc)\r\n"},
	};
	struct out out;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct filter *f = filter_new();
		char in[200];
		size_t n = strlen(cases[i].in);
		for (size_t k = 0; k < n; k++)
			in[k] = cases[i].in[k] == '#' ? '\0' : cases[i].in[k];
		out.n = 0;
		assert_int_equal(run(f, in, n, n, 64, &out), 0);
		assert_string_equal(out.text, cases[i].out);
		filter_free(&f);
	}
}

static void test_a_literal_passes_untouched(void **state)
{
	static const char in[] = "* 1 FETCH (BODY[] {6}\r\n\0\x01\r\n\xff{ UID 3)\r\n";
	struct filter *f = filter_new();
	struct out out = {.n = 0};

	(void)state;
	assert_int_equal(run(f, in, sizeof in - 1, 3, 5, &out), 0);
	assert_int_equal(out.n, sizeof in - 1);
	assert_memory_equal(out.text, in, sizeof in - 1);
	assert_true(filter_is_empty(f));
	filter_free(&f);
	assert_null(f);
}

static void test_caps(void **state)
{
	static const struct {
		const char *in;
		bool streams;
		const char *error;
	} cases[] = {
		{"* 1 FETCH (BODY[] {4294967295}\r\n", true, "4 GiB"},
		{"* 1 FETCH (BODY[] {99999999999999999999999}\r\n", true, "4 GiB"},
		{"* 1 FETCH (BODY[] {4294967294}\r\n", true, NULL},
		{"* 1 FETCH (BODY[] {4294967294}\r\n", false, "too long"}, /* nobody takes it: it would be kept */
		{"* 1 FETCH (X-GM-LABELS (BODY[] {4000000000}\r\n", true, "too long"}, /* inside a list: no body */
		{"* 1 FETCH (BODY[HEADER.FIELDS (DATE FROM)] {4000000000}\r\n", true, NULL},
		{"* 1 FETCH (RFC822.TEXT {4000000000}\r\n", true, NULL},
		{"* 1 FETCH (RFC822.HEADER {4000000000}\r\n", true, "too long"}, /* libetpan keeps this one */
		{"* 1 FETCH (XRFC822 {4000000000}\r\n", true, "too long"},
		{"* LIST () \"/\" {4000000000}\r\n", true, "too long"},
		{"* LIST () \"/\" {1000}\r\n", true, NULL},
	};
	struct out out;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct filter *f = filter_new();
		out.n = 0;
		filter_begin(f, cases[i].streams);
		int failed = run(f, cases[i].in, strlen(cases[i].in), 64, 64, &out);
		assert_int_equal(failed, cases[i].error ? -1 : 0);
		if (cases[i].error)
			assert_non_null(strstr(filter_error(f), cases[i].error));
		filter_free(&f);
	}
}

static int feed_many(struct filter *f, const char *piece, size_t times)
{
	char scratch[65536];
	size_t n = strlen(piece), room;

	for (size_t i = 0; i < times; i++) {
		ssize_t r;
		char *input = filter_room(f, &room, false);
		memcpy(input, piece, n);
		filter_filled(f, n);
		while ((r = filter_give(f, scratch, sizeof scratch)) > 0)
			;
		if (r < 0)
			return -1;
	}
	return 0;
}

static void test_endless_answers_end(void **state)
{
	struct filter *f = filter_new();

	(void)state;
	assert_int_equal(feed_many(f, "no line end ", 3000000), -1); /* one line */
	assert_non_null(strstr(filter_error(f), "line"));
	filter_free(&f);
	f = filter_new();
	assert_int_equal(feed_many(f, "* 1 EXISTS_and_so_on_and_so_on\r\n", 3000000), -1); /* one command's text */
	assert_non_null(strstr(filter_error(f), "too long"));
	filter_free(&f);
	f = filter_new();
	for (int i = 0; i < 30; i++) { /* the same in many commands is fine */
		filter_begin(f, false);
		assert_int_equal(feed_many(f, "* 1 EXISTS_and_so_on_and_so_on\r\n", 100000), 0);
	}
	filter_free(&f);
}

/* What libetpan would make cells of, 200 octets for one or two: bounded, in whatever form it comes. What a large host really says passes. */
static void test_words_are_bounded(void **state)
{
	static const struct {
		const char *begin, *piece;
		size_t n;
		const char *end;
		int result;
	} cases[] = {
		{"* FLAGS (", "a ", 330000, ")\r\n", -1},
		{"* CAPABILITY IMAP4rev1", " A", 330000, "\r\n", -1},
		{"* ID (", "\"a \\\" b\"\"\"", 165000, ")\r\n", -1},
		{"* NAMESPACE (", "()", 330000, ") NIL NIL\r\n", -1},
		{"1 OK [COPYUID 1 ", "1,", 330000, "1 1] x\r\n", -1},
		{"* NO \"\\\" ", "a ", 330000, "\r\n", -1},
		{"* 1 FETCH (X {1}\r\nx", " a", 330000, ")\r\n", -1},
		{"", "* LIST (\\a \\b \\c \\d \\e \\f) \"/\" x\r\n", 50000, "", -1},
		/* large, and fine */
		{"* FLAGS (", "a ", 300000, ")\r\n", 0},
		{"* ID (", "\"a b c d e f g h i j\" ", 150000, ")\r\n", 0},
		{"* SEARCH", " 4294967295", 250000, "\r\n", 0},
		{"* 1 FETCH (ENVELOPE (NIL NIL (", "(\"Meier, Hans\" NIL \"hans\" \"example.org\")", 20000,
			") NIL NIL NIL NIL NIL NIL NIL))\r\n", 0},
		{"", "* 12345 EXPUNGE\r\n", 200000, "", 0},
		{"", "* 12345 FETCH (UID 123456 FLAGS (\\Seen))\r\n", 90000, "", 0},
		{"", "* LIST (\\HasNoChildren \\UnMarked \\Subscribed) \"/\" \"Sent Items of the year 2014\"\r\n",
			50000, "", 0},
		{"* OK ", "a,", 300000, "\r\n", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct filter *f = filter_new();
		filter_begin(f, false);
		int rc = feed_many(f, cases[i].begin, 1) || feed_many(f, cases[i].piece, cases[i].n) ||
					 feed_many(f, cases[i].end, 1)
				 ? -1
				 : 0;
		if (rc != cases[i].result)
			fail_msg("case %zu: %d", i, rc);
		assert_true(rc == 0 || strstr(filter_error(f), "words"));
		filter_begin(f, false);
		assert_int_equal(feed_many(f, "* FLAGS (a b c d e f)\r\n", 1), rc);
		filter_free(&f);
	}
}

/* A line's cost grows with its length, not with the square of it: that would take minutes here. */
static void test_long_lines(void **state)
{
	static const char *const pieces[] = {"\\\"", "\"{", "{ ", "{1", "BODY[", "BODY ", "FLAGS (", "\" "};

	(void)state;
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		struct filter *f = filter_new();
		filter_begin(f, false);
		assert_int_equal(feed_many(f, "* 1 FETCH (X \"", 1), 0);
		assert_int_equal(feed_many(f, pieces[i], ((size_t)1 << 19) / strlen(pieces[i])), 0);
		assert_int_equal(feed_many(f, "\r\n", 1), strchr(pieces[i], '(') ? -1 : 0);
		filter_free(&f);
	}
}

/* What libetpan's recursion costs is the deepest place of a line, not its end. */
static void test_nesting(void **state)
{
	static const struct {
		int literal_at, open,
			close; /* a literal splits the line behind so many; parentheses besides the first */
		bool passes;
	} cases[] = {
		{0, FILTER_DEPTH_MAX - 1, 0, true},
		{0, FILTER_DEPTH_MAX, 0, false},
		{0, FILTER_DEPTH_MAX - 1, FILTER_DEPTH_MAX, true},
		{0, FILTER_DEPTH_MAX, FILTER_DEPTH_MAX + 1, false},
		{FILTER_DEPTH_MAX / 2, FILTER_DEPTH_MAX - 1, FILTER_DEPTH_MAX, true},
		{FILTER_DEPTH_MAX / 2, FILTER_DEPTH_MAX, FILTER_DEPTH_MAX + 1, false},
		{FILTER_DEPTH_MAX, FILTER_DEPTH_MAX, FILTER_DEPTH_MAX + 1, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char line[500];
		size_t n = (size_t)snprintf(line, sizeof line, "* 1 FETCH (BODYSTRUCTURE ");
		for (int k = 1; k <= cases[i].open; k++) {
			line[n++] = '(';
			if (k == cases[i].literal_at)
				n += (size_t)snprintf(line + n, sizeof line - n, "{3}\r\n(((");
		}
		memset(line + n, ')', (size_t)cases[i].close);
		memcpy(line + n + cases[i].close, "\r\n", 3);
		struct filter *f = filter_new();
		assert_int_equal(feed_many(f, line, 1), cases[i].passes ? 0 : -1);
		assert_true(cases[i].passes || strstr(filter_error(f), "nested"));
		filter_free(&f);
	}
	struct filter *f = filter_new(); /* in quotes it is text */
	assert_int_equal(
		feed_many(f, "* 1 FETCH (X \"((((((((((((((((((((((((((((((((((((((((((((((((((\" UID 1)\r\n", 1), 0);
	filter_free(&f);
}

static void test_remembers_words(void **state)
{
	static const char in[] = "* NO [ALERT] nearly {5} full\r\n* BYE [UNAVAILABLE] going down\r\n12 BAD [FOO "
				 "x y] words here\r\n";
	struct filter *f = filter_new();
	struct out out = {.n = 0};

	(void)state;
	assert_int_equal(run(f, in, sizeof in - 1, 7, 9, &out), 0);
	assert_string_equal(filter_bye(f)->code, "UNAVAILABLE");
	assert_string_equal(filter_bye(f)->words, "going down");
	assert_string_equal(filter_alert(f)->words, "nearly {5} full");
	assert_string_equal(filter_answer(f)->tag, "12");
	assert_string_equal(filter_answer(f)->verb, "BAD");
	assert_string_equal(filter_answer(f)->code, "FOO");
	assert_string_equal(filter_answer(f)->arguments, "x y");
	assert_string_equal(filter_answer(f)->words, "words here");
	assert_string_equal(filter_answer(f)->all, "[FOO x y] words here");
	filter_free(&f);
}

static void test_direct_reads(void **state)
{
	struct filter *f = filter_new();
	char scratch[64];
	size_t room;

	(void)state;
	filter_begin(f, true);
	static const char in[] = "* 1 FETCH (BODY[] {20000}\r\n";
	memcpy(filter_room(f, &room, false), in, sizeof in - 1);
	filter_filled(f, sizeof in - 1);
	assert_int_equal(filter_direct(f), 0);
	assert_int_equal(filter_give(f, scratch, sizeof scratch), sizeof in - 1);
	assert_int_equal(filter_direct(f), 20000);
	filter_skipped(f, 19000);
	assert_int_equal(filter_direct(f), 0); /* the short rest goes through the buffer */
	memset(filter_room(f, &room, false), 'x', 1000);
	filter_filled(f, 1000);
	size_t got = 0;
	for (ssize_t r; (r = filter_give(f, scratch, sizeof scratch)) > 0;)
		got += (size_t)r;
	assert_int_equal(got, 1000);
	filter_free(&f);
}

static void test_stash_is_bounded(void **state)
{
	struct filter *f = filter_new();
	size_t room, total = 0;

	(void)state;
	for (;;) {
		char *input = filter_room(f, &room, true);
		if (!room)
			break;
		memset(input, 'x', room);
		filter_filled(f, room);
		total += room;
		assert_true(total <= FILTER_STASH_MAX);
	}
	assert_int_equal(total, FILTER_STASH_MAX);
	filter_free(&f);
}

static void test_peeks_parting_words(void **state)
{
	static const char in[] =
		"* 1 EXISTS\r\n3 OK fine\r\n4 BAD Request is throttled\r\n* BYE closing\r\n5 NO later\r\n";
	struct filter *f = filter_new();
	struct repair_status words;
	size_t room;

	(void)state;
	assert_false(filter_peek_words(f, &words));
	memcpy(filter_room(f, &room, false), in, sizeof in - 1);
	filter_filled(f, sizeof in - 1);
	assert_true(filter_peek_words(f, &words));
	assert_string_equal(words.verb, "BYE");
	assert_string_equal(words.words, "closing");
	filter_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passes_and_mends),
		cmocka_unit_test(test_no_announcement_passes_uncounted),
		cmocka_unit_test(test_a_literal_passes_untouched),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_endless_answers_end),
		cmocka_unit_test(test_words_are_bounded),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_remembers_words),
		cmocka_unit_test(test_direct_reads),
		cmocka_unit_test(test_stash_is_bounded),
		cmocka_unit_test(test_peeks_parting_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
