#include "imap/session_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct said {
	const char *line;
	bool signing_in;
	enum err_kind kind;
	int64_t wait_ms;
	const char *hint;
};

/* The texts of spec/exchange-online.md section 2, and those of hosts seen in public. */
static const struct said cases[] = {
	{"1 NO Maximum size of appendable message has been exceeded", false, ERR_TOO_BIG, -1, "MaxReceiveSize"},
	{"1 NO Request is throttled. Suggested Backoff Time: 299961 milliseconds", false, ERR_THROTTLED, 299961, ""},
	{"1 BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds", true, ERR_THROTTLED, 299961, ""},
	{"* BYE Request is throttled. Suggested Backoff Time: 1 milliseconds", false, ERR_THROTTLED, 1, ""},
	{"1 NO [UNAVAILABLE] Request is throttled. Suggested Backoff Time: 5 seconds", false, ERR_THROTTLED, 5000, ""},
	{"1 BAD User is authenticated but not connected.", false, ERR_BUSY, -1, "FullAccess"},
	{"1 BAD User is authenticated but not connected.", true, ERR_BUSY, -1, "FullAccess"},
	{"1 BAD Command Argument Error. 11", false, ERR_MESSAGE, -1, "10,000"},
	{"1 BAD Command Error. 12", false, ERR_MESSAGE, -1, "10,000"},
	{"1 NO Server Unavailable. 15", false, ERR_BUSY, -1, "quota"},
	{"1 NO Server Unavailable. 15", true, ERR_BUSY, -1, ""},
	{"1 NO Folder name is reserved", false, ERR_FOLDER, -1, ""},
	{"1 NO Mailbox already exists", false, ERR_FOLDER, -1, ""},
	{"1 NO Message contains invalid header", false, ERR_MESSAGE, -1, "8-bit"},
	{"1 NO AUTHENTICATE failed.", true, ERR_CREDENTIALS, -1, "IMAP.AccessAsApp"},
	{"1 NO [AUTHENTICATIONFAILED] Authentication failed.", true, ERR_CREDENTIALS, -1, "password"},
	{"1 NO [AUTHORIZATIONFAILED] no", true, ERR_RIGHTS, -1, "act as"},
	{"1 NO [EXPIRED] old", true, ERR_CREDENTIALS, -1, "expired"},
	{"1 NO [PRIVACYREQUIRED] x", true, ERR_TLS, -1, "--tls"},
	{"1 NO [CONTACTADMIN] x", true, ERR_RIGHTS, -1, "administrator"},
	{"1 NO [NOPERM] x", false, ERR_RIGHTS, -1, ""},
	{"1 NO [OVERQUOTA] x", false, ERR_QUOTA, -1, ""},
	{"1 NO [ALREADYEXISTS] x", false, ERR_FOLDER, -1, ""},
	{"1 NO [NONEXISTENT] x", false, ERR_FOLDER, -1, ""},
	{"1 NO [TRYCREATE] x", false, ERR_FOLDER, -1, ""},
	{"1 NO [CANNOT] x", false, ERR_PROTOCOL, -1, ""},
	{"1 NO [SERVERBUG] x", false, ERR_PROTOCOL, -1, ""},
	{"1 NO [SERVERBUG] x", true, ERR_BUSY, -1, ""},
	{"1 NO [INUSE] x", false, ERR_BUSY, -1, ""},
	{"1 NO [LIMIT] Maximum number of connections from user+IP exceeded", true, ERR_BUSY, -1, "connections"},
	{"1 NO [LIMIT] too many flags", false, ERR_PROTOCOL, -1, ""},
	{"* BYE [ALERT] Too many simultaneous connections. (Failure)", false, ERR_BUSY, -1, "Gmail"},
	{"1 NO [THROTTLED] try again in 30 seconds", false, ERR_THROTTLED, 30000, ""},
	{"* BYE Account exceeded command or bandwidth limits. x", false, ERR_THROTTLED, -1, "24 hours"},
	{"1 NO [AUTHENTICATIONFAILED] Too many failed login attempts", true, ERR_BANNED, -1, "shut out"},
	{"1 NO Your IP has been temporarily blocked", true, ERR_BANNED, -1, "shut out"},
	{"1 NO [ALERT] Application-specific password required: https://x", true, ERR_CREDENTIALS, -1, "app password"},
	{"1 NO [WEBALERT https://x] Web login required.", true, ERR_CREDENTIALS, -1, "browser"},
	{"1 NO [ALERT] Your account is not enabled for IMAP use.", true, ERR_RIGHTS, -1, "switch IMAP on"},
	{"1 NO LOGIN failed.", true, ERR_CREDENTIALS, -1, ""},
	{"1 NO Login failed.", false, ERR_PROTOCOL, -1, ""},
	{"1 NO Temporary authentication failure.", true, ERR_BUSY, -1, ""},
	{"1 NO Quota exceeded (mailbox for user is full)", false, ERR_QUOTA, -1, ""},
	{"1 NO Mailbox doesn't exist: x", false, ERR_FOLDER, -1, ""},
	{"1 NO whatever", false, ERR_PROTOCOL, -1, ""},
	{"1 BAD", false, ERR_PROTOCOL, -1, ""},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct repair_status said;
		struct err err = ERR_INIT;
		assert_true(repair_parse_status(cases[i].line, strlen(cases[i].line), &said));
		assert_int_equal(session_reply_explain(&said, cases[i].signing_in, false, "doing it", &err), -1);
		if (err.kind != cases[i].kind || err.retry_after_ms != cases[i].wait_ms ||
			!strstr(err.hint, cases[i].hint))
			fail_msg("%s: %s, %lld, %s", cases[i].line, err_kind_name(err.kind),
				(long long)err.retry_after_ms, err.hint);
		assert_string_equal(err.text, "doing it");
		assert_string_equal(err.server, said.all);
	}
}

/* A source's quota is of what is read. */
static void test_of_a_reader(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		bool signing_in;
		enum err_kind kind;
	} rows[] = {{"1 NO [OVERQUOTA] x", false, ERR_THROTTLED}, {"1 NO [OVERQUOTA] x", true, ERR_THROTTLED},
		{"1 NO Quota exceeded", false, ERR_THROTTLED}, {"1 NO [LIMIT] x", false, ERR_BUSY},
		{"1 NO [LIMIT] rate limit", false, ERR_THROTTLED}, {"1 NO [SERVERBUG] x", false, ERR_PROTOCOL},
		{"1 NO [NOPERM] x", false, ERR_RIGHTS}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct repair_status said;
		struct err err = ERR_INIT;
		assert_true(repair_parse_status(rows[i].line, strlen(rows[i].line), &said));
		assert_int_equal(session_reply_explain(&said, rows[i].signing_in, true, "doing it", &err), -1);
		if (err.kind != rows[i].kind || (err.kind == ERR_THROTTLED && strstr(err.hint, "full")))
			fail_msg("%s: %s, %s", rows[i].line, err_kind_name(err.kind), err.hint);
	}
}

static void test_wait(void **state)
{
	(void)state;
	assert_int_equal(session_reply_wait_ms("Suggested Backoff Time: 299961 milliseconds"), 299961);
	assert_int_equal(session_reply_wait_ms("try again in 2 minutes"), 120000);
	assert_int_equal(session_reply_wait_ms("Retry after 5"), 5000);
	assert_int_equal(session_reply_wait_ms("Backoff Time: soon"), -1);
	assert_int_equal(
		session_reply_wait_ms("Backoff Time: 99999999999999999999 milliseconds"), 86400000); /* a day at most */
	assert_int_equal(session_reply_wait_ms("try again later"), -1);
	assert_int_equal(session_reply_wait_ms(""), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table), cmocka_unit_test(test_of_a_reader), cmocka_unit_test(test_wait)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
