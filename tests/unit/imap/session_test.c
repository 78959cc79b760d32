#define _GNU_SOURCE
#include "imap/conn_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

/* The server is the far end of a socketpair that has said everything in advance; tags count from 1. */
#define GREETING "* OK [CAPABILITY IMAP4rev1 LITERAL+ UIDPLUS] ready\r\n"
#define SIGNED_IN GREETING "1 OK [CAPABILITY IMAP4rev1 LITERAL+ UIDPLUS X-GM-EXT-1] in\r\n"

struct far {
	int fd;
	struct conn *c;
	struct secret *secret;
	struct conn_facts facts;
	enum conn_step step;
	struct err err;
};

static int open_with(struct far *f, const char *says, struct conn_conf conf)
{
	int ends[2];

	*f = (struct far){.err = ERR_INIT};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	f->fd = ends[1];
	assert_int_equal(send(f->fd, says, strlen(says), 0), strlen(says));
	shutdown(f->fd, SHUT_WR);
	if (!conf.secret)
		conf.secret = f->secret = secret_new("pw\"x", 4);
	conf.host = "test";
	conf.port = 143;
	conf.user = conf.user ? conf.user : "joe";
	conf.connect_ms = conf.silence_ms = 5000;
	return conn_open_over(&f->c, ends[0], &conf, NULL, &f->step, &f->facts, &f->err);
}

static void close_all(struct far *f)
{
	conn_close(&f->c);
	secret_free(&f->secret);
	close(f->fd);
}

/* What we sent so far, line ends shown as "|". */
static const char *heard(struct far *f, char *out, size_t size)
{
	ssize_t n = recv(f->fd, out, size - 1, 0);
	size_t k = 0;

	for (ssize_t i = 0; i < n; i++)
		if (out[i] != '\r')
			out[k++] = out[i] == '\n' ? '|' : out[i];
	out[k] = 0;
	return out;
}

static const struct conn_conf login = {.tls = TLS_NONE, .auth = AUTH_LOGIN};

static void test_signs_in_and_pipelines(void **state)
{
	struct far f;
	char text[500];
	enum reply reply;
	int a, b, c;
	uint32_t validity, uid;

	(void)state;
	assert_int_equal(open_with(&f,
				 SIGNED_IN "2 OK one\r\n\r\n* XFOO {3}\r\nabc\r\n3 NO [OVERQUOTA] two\r\n4 "
					   "OK [APPENDUID 7 9] three\r\n",
				 login),
		0);
	assert_true(conn_has_capability(f.c, "x-gm-ext-1"));
	assert_int_equal(conn_facts(f.c)->quirks, QUIRK_GMAIL);
	assert_int_equal(session_send(f.c, &a, &f.err, "A %s", "x") | session_send(f.c, &b, &f.err, "B") |
				 session_send(f.c, &c, &f.err, "C"),
		0);
	assert_int_equal(session_receive(f.c, a, &reply, &f.err), 0);
	assert_int_equal(reply, REPLY_OK);
	assert_false(session_appenduid(f.c, &validity, &uid));
	assert_int_equal(session_receive(f.c, b, &reply, &f.err), 0);
	assert_int_equal(reply, REPLY_NO);
	assert_string_equal(session_words(f.c), "two");
	assert_string_equal(session_code(f.c), "OVERQUOTA");
	assert_int_equal(session_refusal(f.c, reply, &f.err, "putting"), -1);
	assert_int_equal(f.err.kind, ERR_QUOTA);
	assert_int_equal(session_receive(f.c, c, &reply, &f.err), 0);
	assert_true(session_appenduid(f.c, &validity, &uid));
	assert_int_equal(validity, 7);
	assert_int_equal(uid, 9);
	assert_string_equal(heard(&f, text, sizeof text), "1 LOGIN \"joe\" \"pw\\\"x\"|2 A x|3 B|4 C|");
	/* Nothing of the password is left in the stream. */
	assert_null(memmem(f.c->stream->write_buffer, f.c->stream->buffer_max_size, "pw\\\"x", 5));
	assert_int_equal(session_receive(f.c, 5, &reply, &f.err), -1);
	assert_int_equal(f.err.kind, ERR_LOST);
	assert_true(conn_is_dead(f.c));
	close_all(&f);
}

static void test_literals(void **state)
{
	struct far f;
	char text[500];
	enum reply reply;
	int tag;

	(void)state;
	assert_int_equal(open_with(&f,
				 SIGNED_IN "* 5 EXISTS\r\n* X {4}\r\n+ n\r\n\r\n+ go ahead\r\n2 OK "
					   "done\r\n3 NO [TRYCREATE] no\r\n",
				 login),
		0);
	assert_int_equal(session_send(f.c, &tag, &f.err, "APPEND \"x\" {3}"), 0);
	assert_int_equal(session_continuation(f.c, tag, &reply, &f.err), 0);
	assert_string_equal(session_challenge(f.c), "go ahead");
	assert_int_equal(session_write(f.c, "abc\r\n", 5, &f.err), 0);
	assert_int_equal(session_receive(f.c, tag, &reply, &f.err), 0);
	assert_int_equal(reply, REPLY_OK);
	assert_int_equal(session_send(f.c, &tag, &f.err, "APPEND \"y\" {3}"), 0);
	assert_int_equal(session_continuation(f.c, tag, &reply, &f.err), 1);
	assert_int_equal(reply, REPLY_NO);
	assert_string_equal(session_code(f.c), "TRYCREATE");
	assert_string_equal(
		heard(&f, text, sizeof text), "1 LOGIN \"joe\" \"pw\\\"x\"|2 APPEND \"x\" {3}|abc|3 APPEND \"y\" {3}|");
	close_all(&f);
}

/* A brace in a greeting is taken from libetpan's copy of the line, not from the text that people read. */
static void test_greeting_as_written(void **state)
{
	struct far f;

	(void)state;
	assert_int_equal(
		open_with(&f,
			"\r\n* OK [CAPABILITY IMAP4rev1] mail {5} ready {6}\r\n1 OK [CAPABILITY IMAP4rev1] in\r\n",
			login),
		0);
	assert_string_equal(
		f.facts.greeting, "mail _5} ready _6}"); /* behind a blank line: only libetpan's copy is left */
	close_all(&f);
	assert_int_equal(
		open_with(&f, "* OK [CAPABILITY IMAP4rev1] mail {5} ready {6}\r\n1 OK [CAPABILITY IMAP4rev1] in\r\n",
			login),
		0);
	assert_string_equal(f.facts.greeting, "mail {5} ready {6}");
	close_all(&f);
}

/* What the server says to our first command after the sign-in (its tag is 2), and what becomes of it. */
static void test_answers(void **state)
{
	static const struct {
		const char *says;
		int rc;
		enum reply reply;
		enum err_kind kind;
		int64_t wait_ms;
	} cases[] = {
		{"2 OK\r\n", 0, REPLY_OK, ERR_NONE, -1},
		{"2 BAD\r\n", 0, REPLY_BAD, ERR_NONE, -1},
		{"2 BAD Request is throttled. Suggested Backoff Time: 7 milliseconds\r\n", 0, REPLY_BAD, ERR_NONE, -1},
		{"2 OK [ALERT]\r\n", 0, REPLY_OK, ERR_NONE, -1},
		{"* OK [BADCHARSET (x)] y\r\n* OK [PERMANENTFLAGS ((] z\r\n2 OK fine\r\n", 0, REPLY_OK, ERR_NONE, -1},
		{"* 1 FETCH (FLAGS (\\Seen) EMAILID (abc) X {2}\r\nhi UID 3)\r\n2 OK fine\r\n", 0, REPLY_OK, ERR_NONE,
			-1},
		{"", -1, 0, ERR_LOST, -1},
		{"2 O", -1, 0, ERR_LOST, -1},
		{"3 OK another\r\n", -1, 0, ERR_PROTOCOL, -1},
		{"3 BAD another\r\n", -1, 0, ERR_PROTOCOL, -1},
		{"* 1 FETCH UID 1\r\n2 OK fine\r\n", -1, 0, ERR_PROTOCOL, -1}, /* a message must not vanish */
		{"* STATUS x\r\n2 OK fine\r\n", -1, 0, ERR_PROTOCOL, -1},
		{"* 1 FETCH (BODY[] {4294967299}\r\nabc", -1, 0, ERR_PROTOCOL, -1},
		{"* BYE Autologout\r\n", -1, 0, ERR_LOST, -1},
		{"* BYE Mailbox is full\r\n", -1, 0, ERR_LOST, -1}, /* no reason to leave */
		{"* BYE [UNAVAILABLE] x\r\n", -1, 0, ERR_BUSY, -1},
		{"* BYE Request is throttled. Suggested Backoff Time: 7 milliseconds\r\n", -1, 0, ERR_THROTTLED, 7},
		{"* NO Too many connections\r\n", -1, 0, ERR_BUSY, -1},
		{"* NO [ALERT] your password expired soon\r\n", -1, 0, ERR_LOST, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct far f;
		char says[1000];
		enum reply reply = REPLY_OK;
		int tag;
		snprintf(says, sizeof says, "%s%s", SIGNED_IN, cases[i].says);
		assert_int_equal(open_with(&f, says, login), 0);
		assert_int_equal(session_send(f.c, &tag, &f.err, "NOOP"), 0);
		int rc = session_receive(f.c, tag, &reply, &f.err);
		if (rc != cases[i].rc || f.err.kind != cases[i].kind || (!rc && reply != cases[i].reply) ||
			f.err.retry_after_ms != cases[i].wait_ms || conn_is_dead(f.c) != (rc < 0))
			fail_msg("%s: %d, %d, %s, %lld", cases[i].says, rc, reply, err_kind_name(f.err.kind),
				(long long)f.err.retry_after_ms);
		close_all(&f);
	}
}

struct asking {
	struct far *f;
	int rc;
};

static void *ask(void *arg)
{
	struct asking *a = arg;
	enum reply reply;
	int tag;

	a->rc = session_send(a->f->c, &tag, &a->f->err, "NOOP");
	if (!a->rc)
		a->rc = session_receive(a->f->c, tag, &reply, &a->f->err);
	return NULL;
}

/* libetpan recurses, and the putters' threads have 1 MiB of stack. The lists are closed again: the line ends as deep as it began. */
static void test_nested_answers(void **state)
{
	static const char *const shapes[][5] = {
		/* before, each level's begin, the innermost, each level's end, after */
		{"* 1 FETCH (UID 1 BODYSTRUCTURE ", "(", "(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 1 1)", " \"MIXED\")",
			")"},
		{"* 1 FETCH (UID 1 BODYSTRUCTURE (\"APPLICATION\" \"X\" NIL NIL NIL \"7BIT\" 1 NIL NIL NIL NIL ", "(",
			"1", ")", "))"},
		{"* 1 FETCH (UID 1 BODYSTRUCTURE ",
			"(\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 1 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ",
			"(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 1 1)", " 1)", ")"},
		{"* 1 FETCH (UID 1 X ", "(", "1", ")", ")"},
		{"* THREAD ", "(", "1", ")", ""},
	};
	static const int depths[] = {1, FILTER_DEPTH_MAX - 4, 1000};

	(void)state;
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes * 3; i++) {
		const char *const *shape = shapes[i / 3];
		int depth = depths[i % 3] * (depths[i % 3] == 1000 && strlen(shape[1]) == 1 ? 10 : 1);
		struct far f;
		struct asking asking = {.f = &f};
		struct err err = ERR_INIT;
		struct buf says;
		pthread_attr_t attr;
		pthread_t thread;

		buf_init(&says, 1 << 20);
		int failed = buf_printf(&says, &err, "%s%s", SIGNED_IN, shape[0]);
		for (int k = 0; k < depth; k++)
			failed |= buf_add_str(&says, shape[1], &err);
		failed |= buf_add_str(&says, shape[2], &err);
		for (int k = 0; k < depth; k++)
			failed |= buf_add_str(&says, shape[3], &err);
		failed |= buf_printf(&says, &err, "%s\r\n2 OK done\r\n", shape[4]);
		assert_int_equal(failed, 0);
		assert_int_equal(open_with(&f, buf_str(&says), login), 0);
		pthread_attr_init(&attr);
		assert_int_equal(pthread_attr_setstacksize(&attr, 1 << 20), 0);
		assert_int_equal(pthread_create(&thread, &attr, ask, &asking), 0);
		pthread_join(thread, NULL);
		pthread_attr_destroy(&attr);
		if (asking.rc != (i % 3 == 2 ? -1 : 0) || (asking.rc && !strstr(f.err.text, "nested")))
			fail_msg("%s, %d deep: %d, %s", shape[0], depth, asking.rc, f.err.text);
		close_all(&f);
		buf_done(&says);
	}
}

static void test_opening(void **state)
{
	static const struct {
		const char *says;
		enum tls_mode tls;
		enum auth_method auth;
		enum conn_step step;
		enum err_kind kind;
		const char *server;
	} cases[] = {
		{"", TLS_NONE, AUTH_ANY, CONN_GREETING, ERR_LOST, ""},
		{"* BYE Too many connections from your IP\r\n", TLS_NONE, AUTH_ANY, CONN_GREETING, ERR_BUSY,
			"Too many"},
		{"* BYE\r\n", TLS_NONE, AUTH_ANY, CONN_GREETING, ERR_LOST, ""},
		{"SSH-2.0-OpenSSH\r\n", TLS_NONE, AUTH_ANY, CONN_GREETING, ERR_PROTOCOL, "SSH-2.0"},
		{"* OK [BADCHARSET (x)]\r\n", TLS_NONE, AUTH_ANY, CONN_CAPABILITY, ERR_LOST, ""},
		{"* PREAUTH hello\r\n", TLS_NONE, AUTH_ANY, CONN_GREETING, ERR_RIGHTS, ""},
		{"* PREAUTH hello\r\n", TLS_STARTTLS, AUTH_ANY, CONN_GREETING, ERR_TLS, ""},
		{GREETING, TLS_STARTTLS, AUTH_ANY, CONN_TLS, ERR_TLS, ""}, /* not offered: never goes on in the clear */
		{"* OK [CAPABILITY IMAP4rev1 STARTTLS] x\r\n1 NO not now\r\n", TLS_STARTTLS, AUTH_ANY, CONN_TLS,
			ERR_TLS, "not now"},
		{"* OK [CAPABILITY IMAP4rev1 STARTTLS] x\r\n1 OK go\r\n* CAPABILITY IMAP4rev1 AUTH=EVIL\r\n",
			TLS_STARTTLS, AUTH_ANY, CONN_TLS, ERR_TLS, ""},
		{GREETING "1 NO [AUTHENTICATIONFAILED] wrong\r\n", TLS_NONE, AUTH_ANY, CONN_SIGN_IN, ERR_CREDENTIALS,
			"wrong"},
		{GREETING "1 NO nope\r\n", TLS_NONE, AUTH_ANY, CONN_SIGN_IN, ERR_CREDENTIALS, "nope"},
		{GREETING "* BYE Too many failed logins\r\n", TLS_NONE, AUTH_ANY, CONN_SIGN_IN, ERR_BANNED, "failed"},
		{GREETING, TLS_NONE, AUTH_ANY, CONN_SIGN_IN, ERR_LOST, ""},
		{GREETING "1 BAD User is authenticated but not connected.\r\n", TLS_NONE, AUTH_ANY, CONN_SIGN_IN,
			ERR_BUSY, "not connected"},
		{GREETING "+ eyJzdGF0dXMiOiI0MDEifQ==\r\n1 NO AUTHENTICATE failed.\r\n", TLS_NONE, AUTH_XOAUTH2,
			CONN_SIGN_IN, ERR_CREDENTIALS,
			"AUTHENTICATE failed."}, /* without SASL-IR the first "+" is the prompt */
		{"* OK [CAPABILITY IMAP4rev1 SASL-IR] x\r\n+ eyJzdGF0dXMiOiI0MDEifQ==\r\n1 NO AUTHENTICATE "
		 "failed.\r\n",
			TLS_NONE, AUTH_XOAUTH2, CONN_SIGN_IN, ERR_CREDENTIALS,
			"{\"status\":\"401\"} AUTHENTICATE failed."},
		{"* OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256] x\r\n+\r\n+ bm9uc2Vuc2U=\r\n", TLS_NONE, AUTH_ANY,
			CONN_SIGN_IN, ERR_PROTOCOL, ""},
		{"* OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256] x\r\n1 OK come in, no proof needed\r\n", TLS_NONE,
			AUTH_ANY, CONN_SIGN_IN, ERR_PROTOCOL, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct far f;
		int rc = open_with(&f, cases[i].says, (struct conn_conf){.tls = cases[i].tls, .auth = cases[i].auth});
		if (!rc || f.err.kind != cases[i].kind || f.step != cases[i].step ||
			!strstr(f.err.server, cases[i].server))
			fail_msg("case %zu: %d at %s, %s: %s (%s)", i, rc, conn_step_name(f.step),
				err_kind_name(f.err.kind), f.err.text, f.err.server);
		assert_null(f.c);
		close_all(&f);
	}
}

static void test_what_is_sent_to_sign_in(void **state)
{
	static const struct {
		const char *says, *user, *secret, *authzid;
		enum auth_method auth;
		const char *sent;
	} cases[] = {
		{"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\r\n1 OK\r\n", "u", "p", "z", AUTH_PLAIN,
			"1 AUTHENTICATE PLAIN egB1AHA=|2 CAPABILITY|"},
		{"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n+ \r\n1 OK\r\n", "u", "p", NULL, AUTH_PLAIN,
			"1 AUTHENTICATE PLAIN|AHUAcA==|2 CAPABILITY|"},
		{"* OK [CAPABILITY IMAP4rev1 AUTH=LOGIN LOGINDISABLED] x\r\n+ VXNlcg==\r\n+ UGFzcw==\r\n1 "
		 "OK\r\n",
			"u", "p", NULL, AUTH_ANY, "1 AUTHENTICATE LOGIN|dQ==|cA==|2 CAPABILITY|"},
		{"* OK [CAPABILITY IMAP4rev1 SASL-IR] x\r\n1 OK\r\n", "u", "T", NULL, AUTH_XOAUTH2,
			"1 AUTHENTICATE XOAUTH2 dXNlcj11AWF1dGg9QmVhcmVyIFQBAQ==|2 CAPABILITY|"},
		/* a line end in a password is no command of its own */
		{"* OK [CAPABILITY IMAP4rev1] x\r\n+ \r\n1 OK\r\n", "u", "p\r\n9 DELETE x", NULL, AUTH_LOGIN,
			"1 LOGIN \"u\" {13}|p|9 DELETE x|2 CAPABILITY|"},
		{"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\r\n1 OK\r\n", "\xc3\xbc", "p", NULL, AUTH_LOGIN,
			"1 AUTHENTICATE PLAIN AMO8AHA=|2 CAPABILITY|"},
		/* ID only when it is offered after the sign-in */
		{"* OK [CAPABILITY IMAP4rev1 ID] x\r\n1 OK [CAPABILITY IMAP4rev1 ID] in\r\n", "u", "p", NULL, AUTH_ANY,
			"1 LOGIN \"u\" \"p\"|2 ID (\"name\" \"nightferry\")|"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct far f;
		char text[500];
		struct secret *secret = secret_new(cases[i].secret, strlen(cases[i].secret));
		open_with(&f, cases[i].says,
			(struct conn_conf){.tls = TLS_NONE,
				.auth = cases[i].auth,
				.user = cases[i].user,
				.authzid = cases[i].authzid,
				.secret = secret});
		assert_string_equal(heard(&f, text, sizeof text), cases[i].sent);
		close_all(&f);
		secret_free(&secret);
	}
}

static void test_a_password_with_nul_is_refused(void **state)
{
	struct far f;
	struct secret *secret = secret_new("a\0b", 3);
	char text[100];

	(void)state;
	assert_int_equal(
		open_with(&f, GREETING, (struct conn_conf){.tls = TLS_NONE, .auth = AUTH_LOGIN, .secret = secret}), -1);
	assert_int_equal(f.err.kind, ERR_CREDENTIALS);
	assert_string_equal(heard(&f, text, sizeof text), "");
	close_all(&f);
	secret_free(&secret);
}

static void test_quote(void **state)
{
	struct err err = ERR_INIT;
	char out[20];

	(void)state;
	assert_int_equal(session_quote("a \"b\\\xc3\xbc", out, sizeof out, &err), 0);
	assert_string_equal(out, "\"a \\\"b\\\\\xc3\xbc\"");
	assert_int_equal(session_quote("a\r\nb", out, sizeof out, &err), -1);
	assert_int_equal(err.kind, ERR_FOLDER);
	assert_int_equal(session_quote("much too long a name", out, sizeof out, &err), -1);
}

static void test_a_line_end_in_a_command_is_refused(void **state)
{
	struct far f;
	char text[200];
	int tag;

	(void)state;
	assert_int_equal(open_with(&f, SIGNED_IN, login), 0);
	assert_int_equal(session_send(f.c, &tag, &f.err, "CREATE %s", "a\r\n9 DELETE b"), -1);
	assert_int_equal(f.err.kind, ERR_INTERNAL);
	assert_string_equal(heard(&f, text, sizeof text), "1 LOGIN \"joe\" \"pw\\\"x\"|");
	close_all(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signs_in_and_pipelines),
		cmocka_unit_test(test_greeting_as_written),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_nested_answers),
		cmocka_unit_test(test_opening),
		cmocka_unit_test(test_what_is_sent_to_sign_in),
		cmocka_unit_test(test_a_password_with_nul_is_refused),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_a_line_end_in_a_command_is_refused),
	};

	conn_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
