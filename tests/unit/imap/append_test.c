#define _GNU_SOURCE
#include "imap/append.h"

#include "imap/conn_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIGNED_IN \
	"* OK [CAPABILITY IMAP4rev1 LITERAL+ UIDPLUS] ready\r\n1 OK [CAPABILITY IMAP4rev1 LITERAL+ UIDPLUS] in\r\n"

enum { MAILS = 3 };

/* A server that answers and hangs up, so that our write fails before we have read why: what the answer says is why, not the failed write. */
static void test_why_is_read_after_the_write_failed(void **state)
{
	static const struct {
		const char *answer;
		enum err_kind kind; /* of the end, and of all items that got no answer */
		const char *server;
		int first, rest; /* results */
	} cases[] = {
		{"2 NO Request is throttled. Suggested Backoff Time: 60000 milliseconds\r\n", ERR_THROTTLED,
			"throttled", APPEND_NOT_SENT, APPEND_NOT_SENT},
		{"2 NO [OVERQUOTA] it is full\r\n", ERR_QUOTA, "it is full", APPEND_REFUSED, APPEND_NOT_SENT},
		/* about that message alone: no reason to leave */
		{"2 NO Message contains invalid header\r\n", ERR_LOST, "", APPEND_REFUSED, APPEND_NOT_SENT},
		{"", ERR_LOST, "", APPEND_NOT_SENT, APPEND_NOT_SENT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct append_item items[MAILS];
		struct mail *mails[MAILS];
		struct conn_facts facts;
		struct conn *c = NULL;
		struct err err = ERR_INIT;
		int ends[2];
		static char octets[300000]; /* more than a write takes in one go */
		struct secret *secret = secret_new("pw", 2);
		struct conn_conf conf = {.host = "test",
			.port = 143,
			.tls = TLS_NONE,
			.auth = AUTH_LOGIN,
			.user = "joe",
			.secret = secret,
			.connect_ms = 5000,
			.silence_ms = 5000};

		memset(octets, 'x', sizeof octets);
		for (size_t k = 0; k < MAILS; k++) {
			mails[k] = mail_new((uint32_t)k + 1);
			assert_int_equal(spool_new(&mails[k]->body, "/tmp", sizeof octets, &err), 0);
			assert_int_equal(spool_write(mails[k]->body, octets, sizeof octets, &err), 0);
			items[k] = (struct append_item){.mail = mails[k], .flags = "()"};
		}
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
		assert_int_equal(send(ends[1], SIGNED_IN, strlen(SIGNED_IN), 0), strlen(SIGNED_IN));
		assert_int_equal(conn_open_over(&c, ends[0], &conf, NULL, NULL, &facts, &err), 0);
		assert_int_equal(send(ends[1], cases[i].answer, strlen(cases[i].answer), 0), strlen(cases[i].answer));
		shutdown(ends[1], SHUT_RDWR); /* what we write fails from here on; what was sent can still be read */

		assert_int_equal(append_mails(c, "INBOX", items, MAILS, 0, 0, &err), -1);
		assert_int_equal(err.kind, cases[i].kind);
		assert_non_null(strstr(err.server, cases[i].server));
		assert_int_equal(items[0].result, cases[i].first);
		for (size_t k = 1; k < MAILS; k++) {
			assert_int_equal(items[k].result, cases[i].rest);
			assert_int_equal(items[k].err.kind, cases[i].kind);
		}
		for (size_t k = 0; k < MAILS; k++)
			mail_free(&mails[k]);
		conn_close(&c);
		close(ends[1]);
		secret_free(&secret);
	}
}

int main(void)
{
	conn_init();
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_why_is_read_after_the_write_failed)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
