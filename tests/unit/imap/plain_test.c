#define _GNU_SOURCE
#include "imap/conn_state.h"
#include "imap/fetch.h"
#include "imap/plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

/* The same answers, generated, are read twice: in the plain way, and by libetpan behind filter and repair. Both must tell the same. */

#define ROUNDS 4000
#define SAID_MOST 60000

static uint64_t seed = 20261128;

static unsigned rnd(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static const char *one_of(const char *const *v, size_t n)
{
	return v[rnd((unsigned)n)];
}

#define ONE_OF(v) one_of(v, sizeof(v) / sizeof(*(v)))

static struct err ignored = ERR_INIT;
#define SAY(b, ...) assert_int_equal(buf_printf(b, &ignored, __VA_ARGS__), 0)

/* Mostly what servers say, sometimes what they should not. odd: how often, of 1000. */
static void say_item(struct buf *b, unsigned uid, unsigned odd)
{
	static const char *const flags[] = {"\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted", "\\Recent",
		"$Forwarded", "NonJunk", "label-1", "a.b_c", "&AOk-x", "Recent"};
	static const char *const odd_flags[] = {"\\seen", "\\Odd", "\\*", "\\", "\\SeenX", "[Gmail]", "\"q\"", "x{3}",
		"(x)", "", "\xc3\xa9", "a]b", "%", "'", "~x", "a=b"};
	static const char *const sizes[] = {"0", "1", "2048", "4294967295", "000012"};
	static const char *const odd_sizes[] = {"4294967296", "99999999999999999999", "-1", "", "x", "12x", "NIL"};
	static const char *const dates[] = {"01-Jan-2003 00:00:00 +0000", " 1-Jul-1999 10:52:37 +0200",
		"31-Dec-9999 23:59:59 -0500", "29-Feb-2000 12:00:00 -0330", "30-Feb-2000 23:59:60 +1400",
		"31-Dec-0001 00:00:00 +0099"};
	static const char *const odd_dates[] = {"1-Jul-1999 10:52:37 +0200", "01-jan-2003 00:00:00 +0000",
		"01-Jan-0000 00:00:00 +0000", "32-Jan-2003 00:00:00 +0000", "01-Jan-2003 24:00:00 +0000",
		"01-Jan-2003 00:00:00 GMT", "01-Jan-2003 00:00:00", "Mon, 1 Jan 2003 00:00:00 +0000", "",
		"01-Jan-2003 00:00:00 +00000", "00-Jan-2003 00:00:61 +0000", "31-Dec-9999 23:59:60 +0000"};
	bool strange = rnd(1000) < odd;
	switch (rnd(4)) {
	case 0:
		if (strange)
			SAY(b, "%s",
				(const char *[]){"UID 0", "UID x", "uid 7", "UID 4294967296", "UID", "UID  7"}[rnd(6)]);
		else
			SAY(b, "UID %u", uid);
		break;
	case 1:
		SAY(b, "FLAGS (");
		for (unsigned n = rnd(5), i = 0; i < n; i++)
			SAY(b, "%s%s", i ? " " : "", strange && rnd(3) == 0 ? ONE_OF(odd_flags) : ONE_OF(flags));
		SAY(b, strange && rnd(6) == 0 ? " )" : ")");
		break;
	case 2:
		if (strange && rnd(8) == 0)
			SAY(b, "INTERNALDATE NIL");
		else
			SAY(b, "INTERNALDATE \"%s\"", strange ? ONE_OF(odd_dates) : ONE_OF(dates));
		break;
	case 3:
		SAY(b, "RFC822.SIZE %s", strange ? ONE_OF(odd_sizes) : ONE_OF(sizes));
		break;
	}
}

static void say_body(struct buf *b, unsigned odd)
{
	static const char *const odd_bodies[] = {"BODY[] NIL", "BODY[] \"quoted\"", "BODY[]{3}\r\nabc",
		"BODY[HEADER] {3}\r\nabc", "BODY[] {0}\r\n", "RFC822 {3}\r\nabc", "BODY[]", "BODY[] {4294967295}\r\n",
		"BODY[] {3+}\r\nabc", "body[] {2}\r\nab", "BODY[HEADER.FIELDS (DATE)] {2}\r\nab", "BODY[] ~{2}\r\nab",
		"BODY[] {2}x\r\nab", "BODY[] {2} \r\nab", "X-NEW {2}\r\nab"};
	if (rnd(1000) < odd) {
		SAY(b, "%s", ONE_OF(odd_bodies));
		return;
	}
	unsigned n = 1 + rnd(rnd(20) ? 60 : 9000);
	SAY(b, rnd(4) ? "BODY[] {%u}\r\n" : "BODY[]<0> {%u}\r\n", n);
	for (unsigned i = 0; i < n; i++)
		buf_add_char(b, "abc \r\n)({*\"\\1"[rnd(13)], &ignored);
}

static void say_line(struct buf *b, unsigned odd)
{
	static const char *const others[] = {"* 5 EXISTS", "* OK still here", "* OK [ALERT] full", "* NO careful", "",
		"* 3 EXPUNGE", "* -1 EXISTS", "* XNEW {2}\r\nab", "* FLAGS (\\Seen)", "* 7 FETCH ()", "*",
		"* CAPABILITY", "* 1 FETCH", "* 4 FETCH (UID 3) ", "* 4 FETCH  (UID 3)", "* 0 FETCH (UID 3)",
		"* 4294967296 FETCH (UID 3)", "* 4 fetch (UID 3)", "* BYE leaving", ")", " FLAGS ())"};
	if (rnd(1000) < odd) {
		SAY(b, "%s\r\n", ONE_OF(others));
		return;
	}
	unsigned uid = 1 + rnd(99), items = rnd(4);
	bool body = rnd(2), begun = false;
	SAY(b, "* %u FETCH (", 1 + rnd(99));
	if (body && rnd(8)) {
		SAY(b, "UID %u", uid);
		begun = true;
	}
	for (unsigned i = 0; i < items && (!body || rnd(3) == 0); i++) {
		SAY(b, "%s", begun ? " " : "");
		say_item(b, uid, odd);
		begun = true;
	}
	if (body) {
		SAY(b, "%s", begun ? " " : "");
		say_body(b, odd);
		while (rnd(12) == 0) { /* what comes behind it */
			SAY(b, " ");
			if (rnd(5))
				say_item(b, uid, odd);
			else
				say_body(b, odd);
		}
	}
	static const char *const ends[] = {"", "))", ") ", " )", "\n"};
	SAY(b, "%s\r\n", rnd(1000) < odd ? ONE_OF(ends) : ")");
}

static void say_answer(struct buf *b, int tag, unsigned odd)
{
	static const char *const oks[] = {"OK done", "OK Fetch completed (0.001 + 0.000 secs).",
		"OK [APPENDUID 3 4] Append completed.", "OK [APPENDUID 4294967295 1] x"};
	static const char *const others[] = {"OK", "OK ", "OK [APPENDUID 0 4] x", "OK [APPENDUID 3 4]",
		"OK [APPENDUID 3 4:5] x", "OK [APPENDUID 3] x", "OK [READ-ONLY] x", "OK [ALERT]", "OK [ALERT] full",
		"NO no", "NO [TRYCREATE] no", "BAD what", "ok done", "OK  two", "OKdone", "OK caf\xc3\xa9", "OK a\tb",
		"OK [CAPABILITY IMAP4rev1] x", "OK [unfinished", "OK x {3}", "NO [INUSE] x"};
	if (rnd(1000) < odd / 4 + 1)
		tag++;
	SAY(b, rnd(1000) < odd ? "0%d %s\r\n" : "%d %s\r\n", tag, rnd(1000) < odd ? ONE_OF(others) : ONE_OF(oks));
}

/* --- what a reading told --- */

static void on_line(void *ctx, const struct fetch_line *l)
{
	SAY(ctx, "\nline %u %u size %d %llu flags %d %x [%s] date %d %lld %d body %d %d", l->seq, l->uid, l->has_size,
		(unsigned long long)l->size, l->has_flags, l->flags, l->keywords, l->date.known, (long long)l->date.at,
		l->date.zone_min, l->has_body, l->body_is_nil);
}

static bool on_octets(void *ctx, const struct fetch_place *begins, const char *data, size_t n)
{
	if (begins)
		SAY(ctx, "\nstring %u %u %d %d %llu: ", begins->seq, begins->uid, begins->whole, begins->is_sized,
			(unsigned long long)begins->octets);
	return buf_add(ctx, data, n, &ignored) == 0;
}

/* what: 0 with a sink for octets, 1 without, 2 an APPEND's answer. */
static void read_it(const struct buf *said, bool only_libetpan, unsigned what, struct buf *told)
{
	static const char greeting[] =
		"* OK [CAPABILITY IMAP4rev1] ready\r\n1 OK [CAPABILITY IMAP4rev1 UIDPLUS] in\r\n";
	int ends[2], room = 1 << 20, tag;
	struct conn *c = NULL;
	struct err err = ERR_INIT;
	enum reply reply = REPLY_BAD;
	struct secret *secret = secret_new("pw", 2);
	struct conn_conf conf = {.host = "test",
		.port = 143,
		.tls = TLS_NONE,
		.auth = AUTH_LOGIN,
		.user = "u",
		.secret = secret,
		.connect_ms = 60000,
		.silence_ms = 60000};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	assert_int_equal(send(ends[1], greeting, sizeof(greeting) - 1, 0), sizeof(greeting) - 1);
	assert_int_equal(send(ends[1], said->data, said->len, 0), said->len);
	shutdown(ends[1], SHUT_WR);
	assert_int_equal(conn_open_over(&c, ends[0], &conf, NULL, NULL, NULL, &err), 0);
	c->only_libetpan = only_libetpan;
	int rc = 0;
	const struct fetch_sink sink = {.line = on_line, .octets = what == 0 ? on_octets : NULL, .ctx = told};
	for (unsigned i = 0; i < 2 && rc == 0; i++) { /* two commands in a row: the stream stays in step */
		if (what < 2) {
			rc = fetch_ask(c, &sink, &reply, &err, "UID FETCH 1:* (UID)");
		} else {
			session_mute_counts(c, true);
			rc = session_send(c, &tag, &err, "APPEND x {1+}");
			rc = rc ? rc : session_receive_plain(c, tag, NULL, &reply, &err);
			session_mute_counts(c, false);
		}
		uint32_t validity = 0, uid = 0;
		bool placed = rc == 0 && session_appenduid(c, &validity, &uid);
		SAY(told, "\n%d %u %d %u %u (%s) (%s)", rc, rc ? 9 : reply, placed, validity, uid,
			rc ? "" : session_words(c), rc ? "" : session_code(c));
	}
	SAY(told, "\nerror %d dead %d", rc ? (int)err.kind : 0, conn_is_dead(c));
	conn_close(&c);
	secret_free(&secret);
	close(ends[1]);
}

static void compare(const struct buf *said, unsigned what, const char *which)
{
	struct buf plain, etpan;
	buf_init(&plain, 1 << 20);
	buf_init(&etpan, 1 << 20);
	read_it(said, false, what, &plain);
	read_it(said, true, what, &etpan);
	if (plain.len != etpan.len || memcmp(plain.data, etpan.data, plain.len) != 0) {
		fprintf(stderr, "%s, sink %u: the server says\n%s\nplain: %s\n\nlibetpan: %s\n", which, what,
			said->data, plain.data, etpan.data);
		fail();
	}
	buf_done(&plain);
	buf_done(&etpan);
}

static void test_both_readings_tell_the_same(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct buf said;
		char which[40];
		unsigned odd = i % 3 == 0 ? 0 : i % 3 == 1 ? 15 : 150, what = rnd(8) ? rnd(2) : 2;
		buf_init(&said, SAID_MOST);
		snprintf(which, sizeof(which), "round %u", i);
		for (int tag = 2; tag < 4; tag++) {
			for (unsigned n = what == 2 ? rnd(2) : rnd(6); n > 0; n--)
				say_line(&said, odd);
			say_answer(&said, tag, odd);
		}
		compare(&said, what, which);
		buf_done(&said);
	}
}

/* Nothing of the plain form would be compared if the plain reader took nothing. */
static void test_takes_what_servers_say(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool plain;
		uint64_t literal;
	} cases[] = {
		{"* 1 FETCH (UID 99 BODY[] {5}", true, 5},
		{"* 1 FETCH (UID 99 BODY[]<0> {5}", true, 5},
		{"* 1 FETCH (UID 9 FLAGS (\\Seen $Forwarded) INTERNALDATE \"01-Jan-2003 00:00:00 +0000\" RFC822.SIZE "
		 "5)",
			true, 0},
		{"* 1 FETCH (FLAGS () UID 9)", true, 0},
		{"* 1 FETCH (BODY[] {5}", false, 0},
		{"* 1 FETCH (UID 9 BODY[] {0}", false, 0},
		{"* 1 FETCH (UID 9 UID 9)", false, 0},
		{"* 1 FETCH (UID 9", false, 0},
		{"* 1 FETCH ()", false, 0},
		{"* 1 FETCH (UID 9) ", false, 0},
		{"* 1 FETCH (FLAGS (\\Odd))", false, 0},
		{"", false, 0},
	};
	struct fetch_line line;
	struct repair_status s;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t literal;
		assert_int_equal(plain_fetch(cases[i].text, strlen(cases[i].text), &line, &literal), cases[i].plain);
		if (cases[i].plain)
			assert_int_equal(literal, cases[i].literal);
	}
	assert_true(plain_ok("12 OK [APPENDUID 1 2] Append completed.", 39, 12, &s));
	assert_string_equal(s.arguments, "1 2");
	assert_false(plain_ok("12 OK done", 10, 1, &s));
	assert_false(plain_ok("12 NO done", 10, 12, &s));
	assert_false(plain_ok("", 0, 0, &s));
}

int main(void)
{
	conn_init();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes_what_servers_say), cmocka_unit_test(test_both_readings_tell_the_same)};
	return cmocka_run_group_tests_name("plain", tests, NULL, NULL);
}
