#include "imap/repair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct mended {
	const char *in;
	bool literal;
	const char *out;
	bool literal_after;
};

static void check(const struct mended *v, size_t n)
{
	struct err err = ERR_INIT;

	for (size_t i = 0; i < n; i++) {
		struct buf line;
		struct repair_context c = {0};
		bool literal = v[i].literal;
		buf_init(&line, 100000);
		assert_int_equal(buf_add_str(&line, v[i].in, &err), 0);
		enum repair_outcome outcome = repair_line(&line, &c, &literal);
		if (!v[i].out) {
			assert_int_equal(outcome, REPAIR_DROP);
		} else {
			assert_int_equal(outcome, REPAIR_KEEP);
			assert_string_equal(buf_str(&line), v[i].out);
			assert_int_equal(literal, v[i].literal_after);
		}
		buf_done(&line);
	}
}

/* spec/imap.md 3.5: each of these crashes libetpan 1.9.4 as it is. */
static void test_disarms(void **state)
{
	static const struct mended cases[] = {
		{"* OK [ALERT]", false, "* OK [ALERT] -", false},
		{"1 NO [PARSE] ", false, "1 NO [PARSE]  -", false},
		{"* OK [ALERT] text", false, "* OK [ALERT] text", false},
		{"* OK [BADCHARSET (x)] y", false, "* OK [XADCHARSET (x)] y", false},
		{"* OK[badcharset(x)]y", false, "* OK[Xadcharset(x)]y", false},
		{"+ [BADCHARSET (x)]", false, "+ [XADCHARSET (x)]", false},
		{"* OK [PERMANENTFLAGS ((] x", false, "* OK [XERMANENTFLAGS ((] x", false},
		{"* OK [PERMANENTFLAGS (\\Seen \\* $a)] x", false, "* OK [XERMANENTFLAGS (\\Seen \\* $a)] x", false},
		{"* OK [PERMANENTFLAGS (\"a\")] x", false, "* OK [XERMANENTFLAGS (\"a\")] x", false},
		{"* NAMESPACE ((\"\" \"\"", false, "* XAMESPACE ((\"\" \"\"", false},
		{"* NAMESPACE ((\"\" \"/\")) NIL NIL", false, "* NAMESPACE ((\"\" \"/\")) NIL NIL", false},
		{"* NAMESPACE ((\"INBOX.\" \".\")) NIL NIL", false, "* NAMESPACE ((\"INBOX.\" \".\")) NIL NIL", false},
		{"* CAPABILITY", false, "* CAPABILITY IMAP4rev1", false},
		{"* CAPABILITY (IMAP4rev1 IDLE)", false, "* CAPABILITY  IMAP4rev1 IDLE", false},
		{"* OK", false, "* OK -", false},
		{"1 BAD", false, "1 BAD -", false},
		{"* OK x {9}", true, "* OK x _9}", false},
		{"*OK x {9}", true, "*OK x _9}", false},
		{"2 OK x {9}", true, "2 OK x _9}", false},
		{"* FLAGS (\"a\" {5}", true, "* FLAGS (_a_ _5}", false},
		{" \t", false, NULL, false},
	};

	(void)state;
	check(cases, sizeof cases / sizeof *cases);
}

static void test_list(void **state)
{
	static const struct mended cases[] = {
		{"* LIST (\\HasNoChildren) \"/\" \"a b\"", false, "* LIST (\\HasNoChildren) \"/\" \"a b\"", false},
		{"* LIST (HasNoChildren Sent) \".\" INBOX", false, "* LIST (\\HasNoChildren \\Sent) \".\" \"INBOX\"",
			false},
		{"* LIST () \"\" a", false, "* LIST () NIL \"a\"", false},
		{"* LIST () NIL a b c", false, "* LIST () NIL \"a b c\"", false},
		{"* LIST () \"\\\\\" \"a\\\\b\"", false, "* LIST () \"\\\\\" \"a\\\\b\"", false},
		{"* LIST () \"/\" \"say \"hi\" now\"", false, "* LIST () \"/\" \"say \\\"hi\\\" now\"", false},
		{"* LIST () \"/\" \"a\" (\"CHILDINFO\" (\"SUBSCRIBED\"))", false, "* LIST () \"/\" \"a\"", false},
		{"* lsub (\\x) \"/\" a", false, "* LSUB (\\x) \"/\" \"a\"", false},
		{"* LIST () \"/\" {5}", true, "* LIST () \"/\" {5}", true},
		{"* LIST () \"/\" \"a{5}", true, "* LIST () \"/\" \"a{5}\"", false},
	};

	(void)state;
	check(cases, sizeof cases / sizeof *cases);
}

static void test_fetch(void **state)
{
#define DATE(in, out) \
	{ \
		"* 1 FETCH (UID 3 INTERNALDATE " in " FLAGS ())", false, "* 1 FETCH (UID 3 " out " FLAGS ())", false \
	}
	static const struct mended cases[] = {
		DATE("\" 1-Jul-2003 10:52:37 +0200\"", "INTERNALDATE \" 1-Jul-2003 10:52:37 +0200\""),
		DATE("\"01-jul-2003 10:52:37 -0930\"", "INTERNALDATE \"01-jul-2003 10:52:37 -0930\""),
		DATE("\"1-Jul-2003 10:52:37 +0200\"", "INTERNALDATE \"01-Jul-2003 10:52:37 +0200\""),
		DATE("\"01-Jul-2003 10:52:37\"",
			"INTERNALDATE \"01-Jul-2003 10:52:37 +0000\""), /* not this machine's zone */
		DATE("\"01-Jul-2003 10:52:37 GMT\"", "INTERNALDATE \"01-Jul-2003 10:52:37 +0000\""),
		DATE("\"Tue, 1 Jul 2003 10:52 -0700\"", "INTERNALDATE \"01-Jul-2003 10:52:00 -0700\""),
		DATE("\"01-Jul-03 10:52:37 +0000\"", "INTERNALDATE \"01-Jul-2003 10:52:37 +0000\""),
		DATE("NIL", "XNTERNALDATE NIL"),
		DATE("\"\"", "XNTERNALDATE \"\""),
		DATE("\"yesterday\"", "XNTERNALDATE \"yesterday\""),
		DATE("\"99-Jul-2003 10:52:37 GMT\"", "XNTERNALDATE \"99-Jul-2003 10:52:37 GMT\""),
		{"* 1 FETCH (RFC822.SIZE 5000000000 UID 2)", false, "* 1 FETCH (RFC822.SIZE 4294967295 UID 2)", false},
		{"* 1 FETCH (RFC822.SIZE 4294967295)", false, "* 1 FETCH (RFC822.SIZE 4294967295)", false},
		{"* 1 FETCH (RFC822.SIZE NIL)", false, "* 1 FETCH (XFC822.SIZE NIL)", false},
		{"* 1 FETCH (UID 4294967297)", false, "* 1 FETCH (XID 4294967297)", false},
		{"* 1 FETCH (FLAGS (\\Seen [Gmail] a\xc3\xa4 x{y))", false,
			"* 1 FETCH (FLAGS (\\Seen [Gmail_ a__ x_y))", false},
		{"* 1 FETCH (FLAGS ((\\Seen \\Draft) x) UID 3)", false, "* 1 FETCH (FLAGS ( \\Seen \\Draft) x) UID 3)",
			false},
		{"* 1 FETCH (FLAGS ((\\Seen)) UID 3)", false, "* 1 FETCH (FLAGS ( \\Seen ) UID 3)", false},
		{"* 1 FETCH (FLAGS (\\Seen))", false, "* 1 FETCH (FLAGS (\\Seen))", false},
		{"* 1 FETCH (FLAGS NIL UID 1)", false, "* 1 FETCH (XLAGS NIL UID 1)", false},
		{"* 1 FETCH (FLAGS (a {5}", true, "* 1 FETCH (FLAGS (a _5}", false},
		{"* 1 FETCH (BODY[HEADER.FIELDS (A \"b-c\")] {5}", true,
			"* 1 FETCH (BODY[HEADER.FIELDS (A \"b-c\")] {5}", true},
		{"* 1 FETCH (ENVELOPE (\"x\") BODY\t (\"x\") bodystructure  ((NIL)))", false,
			"* 1 FETCH (XNVELOPE (\"x\") XODY\t (\"x\") Xodystructure  ((NIL)))", false},
		{"* 1 FETCH (FLAGS (BODY Envelope ENVELOPE) X \"BODY (BODY[9\")", false,
			"* 1 FETCH (FLAGS (BODY Envelope ENVELOPE) X \"BODY (BODY[9\")", false},
		{"* 1 FETCH (BODY[HEADER.FIELDS (A", false, "* 1 FETCH (XODY[HEADER.FIELDS (A", false},
		{"* 1 FETCH (UID 5BODY[TEXT", false, "* 1 FETCH (UID 5XODY[TEXT", false},
		{"* 1 FETCH (BODY[1.2] {5}", true, "* 1 FETCH (XODY[1.2] {5}", true},
		{"* 1 FETCH (BODY[]{5}", true, "* 1 FETCH (BODY[] {5}", true},
		{"* 1 FETCH (X \"INTERNALDATE NIL\" Y (UID 0))", false, "* 1 FETCH (X \"INTERNALDATE NIL\" Y (UID 0))",
			false},
		{"* 1 FETCH ( )", false, NULL, false},
	};

	(void)state;
	check(cases, sizeof cases / sizeof *cases);
}

static void test_fetch_goes_on_after_a_literal(void **state)
{
	struct repair_context c = {.continued = true, .kind = REPAIR_FETCH, .depth = 1};
	struct err err = ERR_INIT;
	struct buf line;
	bool literal = false;

	(void)state;
	buf_init(&line, 1000);
	buf_add_str(&line, " INTERNALDATE NIL UID 3)", &err);
	assert_int_equal(repair_line(&line, &c, &literal), REPAIR_KEEP);
	assert_string_equal(buf_str(&line), " XNTERNALDATE NIL UID 3)");
	assert_int_equal(c.depth, 0);
	buf_done(&line);
}

static void test_classify(void **state)
{
	static const struct {
		const char *line;
		enum repair_kind kind;
	} cases[] = {
		{"* 12 FETCH (UID 1)", REPAIR_FETCH},
		{"* 12 fetch", REPAIR_FETCH},
		{"* 12 EXISTS", REPAIR_OTHER},
		{"* OK x", REPAIR_STATUS},
		{"*OKx", REPAIR_STATUS},
		{"* PREAUTH", REPAIR_STATUS},
		{"1 OK", REPAIR_STATUS},
		{"+ go", REPAIR_STATUS},
		{"* LIST () NIL a", REPAIR_OTHER},
		{"* FETCHED", REPAIR_OTHER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(repair_classify(cases[i].line, strlen(cases[i].line)), cases[i].kind);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disarms),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_fetch_goes_on_after_a_literal),
		cmocka_unit_test(test_classify),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
