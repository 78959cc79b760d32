/* What append_mails makes of a destination that refuses, throttles, hangs up: never "not sent" what may be there, never "in doubt"
   what cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "imap/append.h"
#include "tests/contract/fake_imap.h"

#include <signal.h>

enum { MOST = 300 };

struct scene {
	struct fake fake;
	struct secret *secret;
	struct conn_conf conf;
	struct conn *conn;
	struct mail *mails[MOST];
	struct append_item items[MOST];
	size_t n;
	uint64_t window_bytes;
	size_t window_items;
	int rc;
	struct err err;
};

static struct scene *begin(size_t n, size_t size)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct err err = ERR_INIT;
	char *text = malloc(size + 1);
	memset(text, 'x', size + 1);
	s->secret = secret_new("pw", 2);
	s->n = n;
	for (size_t i = 0; i < n; i++) {
		s->mails[i] = mail_new((uint32_t)i + 1);
		assert_int_equal(spool_new(&s->mails[i]->body, "/tmp", size, &err), 0);
		assert_int_equal(spool_write(s->mails[i]->body, text, size, &err), 0);
		s->items[i] = (struct append_item){.mail = s->mails[i], .flags = "(\\Seen)"};
	}
	free(text);
	return s;
}

static void run(struct scene *s)
{
	struct err err = ERR_INIT;
	fake_start(&s->fake);
	s->conf = (struct conn_conf){.host = "127.0.0.1",
		.port = s->fake.port,
		.tls = TLS_NONE,
		.user = "u",
		.secret = s->secret,
		.quirks = s->conf.quirks,
		.silence_ms = 20000};
	if (conn_open(&s->conn, &s->conf, NULL, NULL, NULL, &err) < 0)
		fail_msg("sign-in: %s %s", err.text, err.server);
	s->err = ERR_INIT;
	s->rc = append_mails(s->conn, "A \"quoted\" name", s->items, s->n, s->window_bytes, s->window_items, &s->err);
	fake_sync(&s->fake);
}

static void end(struct scene *s)
{
	conn_close(&s->conn);
	fake_stop(&s->fake);
	for (size_t i = 0; i < s->n; i++)
		mail_free(&s->mails[i]);
	secret_free(&s->secret);
	free(s);
}

static size_t count(const struct scene *s, int result)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++)
		n += (int)s->items[i].result == result;
	return n;
}

static void test_all_placed(void **state)
{
	(void)state;
	static const char *const capabilities[] = {"IMAP4rev1 LITERAL+ UIDPLUS", "IMAP4rev1", "IMAP4rev1 LITERAL-"};
	static const size_t sizes[] = {0, 1, 4096, 4097, 300000};
	for (size_t c = 0; c < 3; c++) {
		for (size_t k = 0; k < 5; k++) {
			struct scene *s = begin(20, sizes[k]);
			s->fake.capabilities = capabilities[c];
			s->window_items = c == 0 ? k + 1 : 0;
			s->window_bytes = 400000;
			run(s);
			assert_int_equal(s->rc, 0);
			assert_int_equal(count(s, APPEND_PLACED), 20);
			assert_int_equal(s->fake.stored, 20);
			for (size_t i = 0; i < 20; i++) {
				assert_int_equal(s->items[i].uidvalidity, 7);
				assert_int_equal(s->items[i].uid, i + 1);
			}
			end(s);
		}
	}
}

/* A literal so large that consent is asked for in spite of LITERAL+. */
static void test_large_asks_first(void **state)
{
	(void)state;
	struct scene *s = begin(3, (8 << 20) + 1);
	run(s);
	assert_int_equal(s->rc, 0);
	assert_int_equal(count(s, APPEND_PLACED), 3);
	end(s);
}

/* Every special-th message is refused after it was read. */
static bool refuse_some(struct fake *f, const char *tag, const char *command, uint64_t size)
{
	static const char *const words[] = {"NO message contains invalid header", "BAD Command Argument Error. 11",
		"NO [OVERQUOTA] full", "NO [TRYCREATE] no such folder",
		"NO Request is throttled. Suggested Backoff Time: 5000 milliseconds"};
	if (f->appends % f->special != 0)
		return false;
	if (strchr(strrchr(command, '{'), '+') == NULL) {
		fake_say(f, "%s %s\r\n", tag, words[f->counter]);
		return true;
	}
	if (fake_take_literal(f, size))
		fake_say(f, "%s %s\r\n", tag, words[f->counter]);
	return true;
}

static void test_refused_messages(void **state)
{
	(void)state;
	static const char *const capabilities[] = {"IMAP4rev1 LITERAL+ UIDPLUS", "IMAP4rev1"};
	for (size_t c = 0; c < 2; c++) {
		for (int words = 0; words < 2; words++) {
			struct scene *s = begin(100, 100);
			s->fake.capabilities = capabilities[c];
			s->fake.on_append = refuse_some;
			s->fake.counter = words;
			s->fake.special = 10;
			run(s);
			assert_int_equal(s->rc, 0);
			assert_int_equal(count(s, APPEND_PLACED), 90);
			assert_int_equal(count(s, APPEND_REFUSED), 10);
			for (size_t i = 9; i < 100; i += 10) {
				assert_int_equal(s->items[i].result, APPEND_REFUSED);
				assert_true(s->items[i].err.kind == ERR_MESSAGE || s->items[i].err.kind == ERR_TOO_BIG);
				assert_true(s->items[i].err.server[0] != '\0');
			}
			end(s);
		}
	}
}

/* What would meet every message stops the sending. */
static void test_refusals_for_all(void **state)
{
	(void)state;
	static const struct {
		int words;
		enum err_kind kind;
		int result;
	} cases[] = {
		{2, ERR_QUOTA, APPEND_REFUSED}, {3, ERR_FOLDER, APPEND_REFUSED}, {4, ERR_THROTTLED, APPEND_NOT_SENT}};
	for (size_t k = 0; k < 3; k++) {
		struct scene *s = begin(MOST, 100);
		s->fake.on_append = refuse_some;
		s->fake.counter = cases[k].words;
		s->fake.special = 50;
		run(s);
		assert_int_equal(s->rc, 0);
		assert_false(conn_is_dead(s->conn));
		assert_int_equal(s->items[49].result, cases[k].result);
		assert_int_equal(s->items[49].err.kind, cases[k].kind);
		assert_true(s->fake.appends < 200);
		assert_int_equal(count(s, APPEND_PLACED), s->fake.stored);
		assert_int_equal(count(s, APPEND_IN_DOUBT), 0);
		assert_int_equal(s->items[MOST - 1].result, APPEND_NOT_SENT);
		assert_int_equal(s->items[MOST - 1].err.kind, cases[k].kind);
		if (cases[k].kind == ERR_THROTTLED)
			assert_int_equal(s->items[MOST - 1].err.retry_after_ms, 5000);
		end(s);
	}
}

/* Stores the message and hangs up without an answer, at the special-th. */
static bool store_and_hang_up(struct fake *f, const char *tag, const char *command, uint64_t size)
{
	(void)tag;
	(void)command;
	if (f->appends != f->special)
		return false;
	if (fake_take_literal(f, size))
		f->stored++;
	fake_hang_up(f);
	return true;
}

static bool hang_up_in_literal(struct fake *f, const char *tag, const char *command, uint64_t size)
{
	(void)tag;
	(void)command;
	if (f->appends != f->special)
		return false;
	for (uint64_t i = 0; i < size / 2; i++)
		fgetc(f->in);
	fake_hang_up(f);
	return true;
}

static void test_hangs_up(void **state)
{
	(void)state;
	bool (*const hooks[])(struct fake *, const char *, const char *, uint64_t) = {
		store_and_hang_up, hang_up_in_literal};
	static const size_t sizes[] = {100, 2000000};
	for (size_t h = 0; h < 2; h++) {
		for (size_t k = 0; k < 2; k++) {
			struct scene *s = begin(k == 0 ? MOST : 60, sizes[k]);
			s->fake.on_append = hooks[h];
			s->fake.special = 20;
			run(s);
			assert_int_equal(s->rc, -1);
			assert_int_equal(s->err.kind, ERR_LOST);
			assert_true(conn_is_dead(s->conn));
			/* whatever the server stored is placed or in doubt */
			for (size_t i = 0; i < s->fake.stored; i++)
				assert_true(
					s->items[i].result == APPEND_PLACED || s->items[i].result == APPEND_IN_DOUBT);
			assert_int_equal(count(s, APPEND_REFUSED), 0);
			assert_int_equal(s->items[s->n - 1].result, APPEND_NOT_SENT);
			assert_true(count(s, APPEND_PLACED) <= s->fake.stored);
			for (size_t i = 0; i < s->n; i++)
				assert_true(s->items[i].result == APPEND_PLACED || s->items[i].err.kind == ERR_LOST);
			end(s);
		}
	}
}

static bool bye(struct fake *f, const char *tag, const char *command, uint64_t size)
{
	(void)tag;
	(void)command;
	if (f->appends != f->special)
		return false;
	fake_take_literal(f, size);
	fake_say(f, "* BYE Request is throttled. Suggested Backoff Time: 7000 milliseconds\r\n");
	fake_hang_up(f);
	return true;
}

static void test_throttled_by_bye(void **state)
{
	(void)state;
	struct scene *s = begin(60, 100);
	s->fake.on_append = bye;
	s->fake.special = 20;
	run(s);
	assert_int_equal(s->rc, -1);
	assert_int_equal(s->err.kind, ERR_THROTTLED);
	assert_int_equal(s->err.retry_after_ms, 7000);
	assert_int_equal(count(s, APPEND_PLACED), 19);
	assert_true(s->items[19].result == APPEND_IN_DOUBT);
	end(s);
}

/* One NO with the reason; what else is in flight gets no answer but the end of the session (Exchange). */
static bool no_and_bye(struct fake *f, const char *tag, const char *command, uint64_t size)
{
	(void)command;
	char line[70000];
	if (f->appends != f->special)
		return false;
	fake_take_literal(f, size);
	for (unsigned i = f->appends; i < (unsigned)f->counter && fgets(line, sizeof(line), f->in); i++)
		fake_take_literal(f, strtoull(strrchr(line, '{') + 1, NULL, 10));
	fake_say(f, "%s NO Request is throttled. Suggested Backoff Time: 70000 milliseconds\r\n", tag);
	fake_say(f, "* BYE Connection closed. 14\r\n");
	fake_hang_up(f);
	return true;
}

static void test_throttled_in_a_window(void **state)
{
	(void)state;
	struct scene *s = begin(60, 100);
	s->fake.on_append = no_and_bye;
	s->fake.special = 20;
	s->fake.counter = 60;
	run(s);
	assert_int_equal(s->rc, -1);
	assert_int_equal(s->err.kind, ERR_THROTTLED);
	assert_in_range(s->err.retry_after_ms, 1, 70000);
	assert_non_null(strstr(s->err.server, "Request is throttled"));
	assert_int_equal(count(s, APPEND_PLACED), 19);
	assert_int_equal(s->items[19].result, APPEND_NOT_SENT);
	assert_int_equal(count(s, APPEND_IN_DOUBT), 40);
	end(s);
}

/* The size is refused while the octets still come, and the connection is closed. */
static bool refuse_early(struct fake *f, const char *tag, const char *command, uint64_t size)
{
	(void)command;
	(void)size;
	if (f->appends != f->special)
		return false;
	fake_say(f, "%s NO Maximum size of appendable message has been exceeded\r\n", tag);
	fflush(f->out);
	for (int i = 0; i < 100000; i++)
		fgetc(f->in);
	fake_hang_up(f);
	return true;
}

static void test_refused_early(void **state)
{
	(void)state;
	struct scene *s = begin(4, 7 << 20);
	s->fake.on_append = refuse_early;
	s->fake.special = 3;
	run(s);
	assert_int_equal(s->items[0].result, APPEND_PLACED);
	assert_int_equal(s->items[1].result, APPEND_PLACED);
	assert_int_not_equal(s->items[2].result, APPEND_PLACED);
	assert_int_not_equal(s->items[2].result, APPEND_IN_DOUBT);
	if (s->items[2].result == APPEND_REFUSED) /* its words may be lost in the kernel when the connection is reset */
		assert_int_equal(s->items[2].err.kind, ERR_TOO_BIG);
	end(s);
}

static void test_name_with_line_end(void **state)
{
	(void)state;
	struct scene *s = begin(1, 10);
	run(s);
	s->err = ERR_INIT;
	s->rc = append_mails(s->conn, "a\r\nb DELETE INBOX", s->items, 1, 0, 0, &s->err);
	assert_int_equal(s->rc, -1);
	assert_int_equal(s->err.kind, ERR_FOLDER);
	assert_int_equal(s->items[0].result, APPEND_NOT_SENT);
	assert_false(conn_is_dead(s->conn));
	end(s);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	conn_init();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_placed),
		cmocka_unit_test(test_large_asks_first),
		cmocka_unit_test(test_refused_messages),
		cmocka_unit_test(test_refusals_for_all),
		cmocka_unit_test(test_hangs_up),
		cmocka_unit_test(test_throttled_by_bye),
		cmocka_unit_test(test_throttled_in_a_window),
		cmocka_unit_test(test_refused_early),
		cmocka_unit_test(test_name_with_line_end),
	};
	return cmocka_run_group_tests_name("append", tests, NULL, NULL);
}
