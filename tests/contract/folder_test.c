/* LIST, NAMESPACE and the destination's folder calls on servers that answer oddly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "imap/folder.h"
#include "imap/mailbox.h"
#include "tests/contract/fake_imap.h"

#include <signal.h>

struct scene {
	struct fake fake;
	struct secret *secret;
	struct conn_conf conf;
	struct conn *conn;
	struct folder_list list;
	struct err err;
	unsigned odd;
};

/* What the fake server says; set before it starts. */
static const char *namespace_answer, *list_answer;
static bool refuses_extended;
static int list_flood;

static bool answer(struct fake *f, const char *tag, const char *command)
{
	if (strncmp(command, "NAMESPACE", 9) == 0) {
		fake_say(f, "%s%s OK done\r\n", namespace_answer ? namespace_answer : "", tag);
		return true;
	}
	if (strncmp(command, "LIST", 4) != 0)
		return false;
	if (refuses_extended && strstr(command, "RETURN")) {
		fake_say(f, "%s BAD what?\r\n", tag);
		return true;
	}
	for (int i = 0; i < list_flood; i++)
		fake_say(f, "* LIST () \"/\" folder%d\r\n", i);
	fake_say(f, "%s%s OK done\r\n", list_answer ? list_answer : "", tag);
	return true;
}

static struct scene *begin(const char *namespaces, const char *list)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct err err = ERR_INIT;
	namespace_answer = namespaces;
	list_answer = list;
	refuses_extended = false;
	list_flood = 0;
	s->secret = secret_new("pw", 2);
	s->fake.capabilities = "IMAP4rev1 NAMESPACE SPECIAL-USE LIST-EXTENDED";
	s->fake.on_command = answer;
	fake_start(&s->fake);
	s->conf = (struct conn_conf){.host = "127.0.0.1",
		.port = s->fake.port,
		.tls = TLS_NONE,
		.user = "u",
		.secret = s->secret,
		.silence_ms = 20000};
	if (conn_open(&s->conn, &s->conf, NULL, NULL, NULL, &err) < 0)
		fail_msg("sign-in: %s %s", err.text, err.server);
	fake_sync(&s->fake);
	s->err = ERR_INIT;
	return s;
}

static void end(struct scene *s)
{
	folder_list_done(&s->list);
	conn_close(&s->conn);
	fake_stop(&s->fake);
	secret_free(&s->secret);
	free(s);
}

static void test_odd_lists(void **state)
{
	(void)state;
	static const struct {
		const char *list, *first, *second;
	} cases[] = {
		{"* LIST (\\HasNoChildren) \"/\" INBOX\r\n* LIST () \"/\" \"a b\"\r\n", "INBOX", "a b"},
		{"* LIST (\\Marked \\HasNoChildren) \"/\" INBOX\r\n* LIST (\\Noselect \\Marked \\UnMarked) "
		 "\"/\" x\r\n",
			"INBOX", "x"},
		{"* LIST (HasNoChildren) \"\" INBOX\r\n* LIST () NIL x/y\r\n", "INBOX", "x/y"},
		{"* LIST () \"/\" {5}\r\nINBOX\r\n* LIST () \"/\" {3}\r\na\"b\r\n", "INBOX", "a\"b"},
		{"* LIST () \"/\" INBOX\r\n* LIST () \"/\" a b c\r\n", "INBOX", "a b c"},
		{"* LIST (\\NonExistent) \"/\" \"x\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n* LIST () \"/\" "
		 "INBOX\r\n",
			"INBOX", "x"},
		{"* LIST () \"\\\\\" INBOX\r\n* LIST () \"\\\\\" \"a\\\\b\"\r\n", "INBOX", "a\\b"},
		{"* LIST () \"/\" INBOX\r\n* LIST () \"/\" INBOX\r\n* LIST () \"/\" x\r\n* LIST () \"/\" "
		 "x\r\n",
			"INBOX", "x"},
		{"* LIST () \"/\" INBOX\r\n* LIST () \"/\" {4}\r\na\r\nb\r\n* LIST () \"/\" x\r\n", "INBOX", "x"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int extended = 0; extended < 2; extended++) {
			struct scene *s = begin("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n", cases[i].list);
			refuses_extended = extended;
			fake_sync(&s->fake);
			if (folder_list(s->conn, NULL, &s->list, &s->odd, &s->err) < 0)
				fail_msg("case %zu: %s %s", i, s->err.text, s->err.server);
			assert_int_equal(s->list.n, 2);
			assert_string_equal(s->list.v[0].raw, cases[i].first);
			assert_string_equal(s->list.v[1].raw, cases[i].second);
			if (strcmp(cases[i].second, "x") == 0 && strstr(cases[i].list, "\\No"))
				assert_false(s->list.v[1].can_select);
			end(s);
		}
	}
}

static void test_odd_namespaces(void **state)
{
	(void)state;
	static const struct {
		const char *answer, *parts;
	} cases[] = {
		{"* NAMESPACE ((\"INBOX.\" \".\")) NIL NIL\r\n", "x"},
		{"* NAMESPACE ((\"INBOX.\" \".\")((\"#mh/\" \"/\")) NIL\r\n", NULL},
		{"* NAMESPACE ((\"INBOX.\" \".\" \"X-PARAM\" (\"a\" \"b\"))) NIL NIL\r\n", NULL},
		{"* NAMESPACE ((\"\" \"\")) NIL NIL\r\n", NULL},
		{"* NAMESPACE ((\"\"\"\n", NULL},
		{"* NAMESPACE\r\n", NULL},
		{"* NAMESPACE NIL NIL NIL\r\n", NULL},
		{"* NAMESPACE () () ()\r\n", NULL},
		{"* NAMESPACE ((NIL NIL)) ((\"\" NIL)) ((\"a\" \"b\"\r\n", NULL},
		{"", "x"},
		{"* NAMESPACE NIL ((\"INBOX.\" \".\")) NIL\r\n", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene *s = begin(cases[i].answer, "* LIST () \".\" INBOX\r\n* LIST () \".\" INBOX.x\r\n");
		if (folder_list(s->conn, NULL, &s->list, &s->odd, &s->err) < 0) {
			assert_null(cases[i].parts);
			assert_true(s->err.kind == ERR_PROTOCOL || s->err.kind == ERR_LOST);
		} else {
			assert_int_equal(s->list.n, 2);
			if (cases[i].parts)
				assert_string_equal(s->list.v[1].parts[0], cases[i].parts);
		}
		end(s);
	}
}

static void test_too_many_folders(void **state)
{
	(void)state;
	static const int floods[] = {50001, 2000000};
	for (size_t i = 0; i < 2; i++) {
		struct scene *s = begin(NULL, NULL);
		list_flood = floods[i];
		fake_sync(&s->fake);
		assert_int_equal(folder_list(s->conn, NULL, &s->list, &s->odd, &s->err), -1);
		assert_true(s->err.kind == ERR_MEMORY || s->err.kind == ERR_PROTOCOL);
		end(s);
	}
}

static void test_no_folders(void **state)
{
	(void)state;
	struct scene *s = begin(NULL, "");
	assert_int_equal(folder_list(s->conn, NULL, &s->list, &s->odd, &s->err), 0);
	assert_int_equal(s->list.n, 0);
	end(s);
}

static bool create_exists(struct fake *f, const char *tag, const char *command)
{
	if (strncmp(command, "CREATE", 6) == 0) {
		fake_say(f, "%s NO it may be there\r\n", tag);
		return true;
	}
	if (strncmp(command, "SUBSCRIBE", 9) == 0) {
		fake_say(f, "%s NO never\r\n", tag);
		return true;
	}
	return answer(f, tag, command);
}

static void test_create(void **state)
{
	(void)state;
	static const struct {
		const char *list;
		bool exists;
	} cases[] = {
		{"* LIST () \"/\" there\r\n", true},
		{"* LIST () \"/\" There\r\n", false},
		{"* LIST (\\Noselect) \"/\" there\r\n", false},
		{"", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene *s = begin(NULL, cases[i].list);
		s->fake.on_command = create_exists;
		fake_sync(&s->fake);
		int rc = mailbox_create(s->conn, "there", &s->err);
		assert_int_equal(rc, cases[i].exists ? 0 : -1);
		if (rc < 0) {
			assert_int_equal(s->err.kind, ERR_FOLDER);
			assert_string_equal(s->err.server, "it may be there");
		}
		end(s);
	}
}

static bool create_is_an_error(struct fake *f, const char *tag, const char *command)
{
	if (strncmp(command, "CREATE", 6) && strncmp(command, "SELECT", 6))
		return answer(f, tag, command);
	fake_say(f, "%s BAD Command Argument Error. 11\r\n", tag);
	return true;
}

/* Exchange says the same of messages: here no hint is about them. */
static void test_create_is_an_error(void **state)
{
	(void)state;
	struct scene *s = begin(NULL, "");
	uint32_t validity, next, exists;
	s->fake.on_command = create_is_an_error;
	fake_sync(&s->fake);
	assert_int_equal(mailbox_create(s->conn, "there", &s->err), -1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(s->err.kind, ERR_FOLDER);
		assert_string_equal(s->err.server, "Command Argument Error. 11");
		assert_non_null(strstr(s->err.hint, "folder's name"));
		assert_null(strstr(s->err.hint, "octets"));
		assert_int_equal(mailbox_select(s->conn, "there", &validity, &next, &exists, &s->err), -1);
	}
	end(s);
}

/* --- listing of a destination --- */

static bool lies(struct fake *f, size_t i, const char *items)
{
	const uint32_t uid = f->v[i].uid;
	switch (f->counter) {
	case 0: /* the header as literal, quoted, NIL; each line twice */
		for (int k = 0; k < 2; k++)
			fake_say(f,
				"* %zu FETCH (UID %u FLAGS (\\Seen) RFC822.SIZE 7 BODY[HEADER.FIELDS "
				"(MESSAGE-ID)] %s)\r\n",
				i + 1, uid,
				i % 3 == 0   ? "NIL"
				: i % 3 == 1 ? "\"\""
					     : "{20}\r\nMessage-ID: <a@b>\r\n\r");
		return true;
	case 1: /* news of flags and messages nobody asked for between */
		fake_say(f, "* 9 FETCH (FLAGS (\\Seen))\r\n* 9 FETCH (UID 4294967295 FLAGS () RFC822.SIZE "
			    "1)\r\n");
		return false;
	default: /* no UID */
		if (!strstr(items, "HEADER"))
			return false;
		fake_say(f, "* %zu FETCH (FLAGS () RFC822.SIZE 1)\r\n", i + 1);
		return true;
	}
}

static void test_mailbox_list(void **state)
{
	(void)state;
	struct fake_message v[30];
	for (uint32_t i = 0; i < 30; i++)
		v[i] = (struct fake_message){.uid = 1 + i * 100000000u, .announced = 7, .size = 7, .fill = 'x'};
	for (int k = 0; k < 3; k++) {
		struct scene *s = begin(NULL, NULL);
		struct mailbox_entry e[40];
		uint32_t validity, next, exists, from = 1;
		size_t n, total = 0;
		s->fake.v = v;
		s->fake.n = 30;
		s->fake.counter = k;
		s->fake.on_message = lies;
		fake_sync(&s->fake);
		assert_int_equal(mailbox_select(s->conn, "x", &validity, &next, &exists, &s->err), 0);
		for (int rounds = 0; rounds < 100; rounds++) {
			if (mailbox_list(s->conn, from, e, 40, &n, &s->err) < 0)
				fail_msg("list: %s", s->err.text);
			if (n == 0)
				break;
			for (size_t i = 0; i < n; i++) {
				assert_true(i == 0 || e[i].uid > e[i - 1].uid);
				fingerprint_done(&e[i].print);
			}
			total += n;
			from = e[n - 1].uid + 1;
		}
		fake_sync(&s->fake);
		assert_int_equal(total, k == 2 ? 0 : 30);
		assert_true(s->fake.fetches < 500);
		end(s);
	}
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	conn_init();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_odd_lists),
		cmocka_unit_test(test_odd_namespaces),
		cmocka_unit_test(test_too_many_folders),
		cmocka_unit_test(test_no_folders),
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_create_is_an_error),
		cmocka_unit_test(test_mailbox_list),
	};
	return cmocka_run_group_tests_name("folder", tests, NULL, NULL);
}
