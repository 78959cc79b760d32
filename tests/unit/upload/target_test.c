#include "upload/target.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MB ((uint64_t)1024 * 1024)

static const struct {
	const char *what;
	enum target_kind kind;
	uint64_t limit, size;
	struct mail_defects defects;
	enum err_kind expect;
	const char *hint;
} cases[] = {
	{"fine", TARGET_EXCHANGE, 0, 1000, {.longest_line = 998}, ERR_NONE, ""},
	{"at the limit", TARGET_EXCHANGE, 35 * MB, 35 * MB, {0}, ERR_NONE, ""},
	{"over the limit", TARGET_EXCHANGE, 35 * MB, 35 * MB + 1, {0}, ERR_TOO_BIG, "MaxReceiveSize 150MB"},
	{"150 MB", TARGET_EXCHANGE, 0, 150 * MB, {0}, ERR_NONE, ""},
	{"over 150 MB", TARGET_EXCHANGE, 0, 150 * MB + 1, {0}, ERR_TOO_BIG, "other means"},
	{"over 150 MB elsewhere", TARGET_IMAP, 0, 150 * MB + 1, {0}, ERR_NONE, ""},
	{"over the limit elsewhere", TARGET_IMAP, 10, 11, {0}, ERR_TOO_BIG, "raise"},
	{"empty", TARGET_EXCHANGE, 0, 0, {0}, ERR_MESSAGE, "octet"},
	{"empty elsewhere", TARGET_IMAP, 0, 0, {0}, ERR_MESSAGE, "octet"},
	{"line of 10,000", TARGET_EXCHANGE, 0, 20000, {.longest_line = 10000}, ERR_NONE, ""},
	{"longer line", TARGET_EXCHANGE, 0, 20000, {.longest_line = 10001}, ERR_MESSAGE, "not altered"},
	{"longer line elsewhere", TARGET_IMAP, 0, 20000, {.longest_line = 10001}, ERR_NONE, ""},
	{"NUL", TARGET_EXCHANGE, 0, 1, {.nul = true}, ERR_MESSAGE, "damaged"},
	{"NUL elsewhere", TARGET_IMAP, 0, 1, {.nul = true}, ERR_MESSAGE, "damaged"},
	{"raw header", TARGET_EXCHANGE, 0, 1, {.eight_bit_header = true}, ERR_MESSAGE, "not altered"},
	{"raw header elsewhere", TARGET_IMAP, 0, 1, {.eight_bit_header = true}, ERR_NONE, ""},
	{"bare line ends", TARGET_EXCHANGE, 0, 1, {.bare_line_end = true}, ERR_NONE, ""},
	{"receipt request", TARGET_EXCHANGE, 0, 1, {.has_receipt_request = true}, ERR_NONE, ""},
};

static void test_check(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = ERR_INIT;
		struct target_conf conf = {.kind = cases[i].kind, .max_message_bytes = cases[i].limit};
		struct mail mail = {.announced = cases[i].size, .defects = cases[i].defects};
		int rc = target_check(&target_imap_ops, &conf, &mail, &e);
		if (rc != (cases[i].expect == ERR_NONE ? 0 : -1) || e.kind != cases[i].expect ||
			!strstr(e.hint, cases[i].hint))
			fail_msg("%s: %d %s, %s, %s", cases[i].what, rc, err_kind_name(e.kind), e.text, e.hint);
	}
}

static const struct {
	const char *what;
	uint64_t proved, limit, size; /* what the target's test saw arrive; what the mailbox takes; the message */
	struct mail_defects defects;
	enum err_kind expect;
} mime_cases[] = {
	{"fine", 0, 0, 1000, {0}, ERR_NONE},
	{"empty", 0, 0, 0, {0}, ERR_MESSAGE},
	{"base64 stays below four million", 0, 0, 2990000, {0}, ERR_NONE},
	{"one more", 0, 0, 2990001, {0}, ERR_TOO_BIG},
	{"proved larger", 5 * MB, 0, 5 * MB, {0}, ERR_NONE},
	{"larger than proved", 5 * MB, 0, 5 * MB + 1, {0}, ERR_TOO_BIG},
	{"proved smaller", 1000, 0, 1001, {0}, ERR_TOO_BIG},
	{"the mailbox's limit", 5 * MB, 4 * MB, 4 * MB + 1, {0}, ERR_TOO_BIG},
	{"a long line", 0, 0, 50000, {.longest_line = 40000}, ERR_NONE},
	{"NUL", 0, 0, 10, {.nul = true, .nul_header = true}, ERR_NONE},
	{"raw header", 0, 0, 10, {.eight_bit_header = true}, ERR_NONE},
};

static void test_check_mime(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mime_cases) / sizeof(mime_cases[0]); i++) {
		struct err e = ERR_INIT;
		struct target_conf conf = {.kind = TARGET_EXCHANGE,
			.max_message_bytes = mime_cases[i].limit,
			.max_mime_bytes = mime_cases[i].proved};
		struct mail mail = {.announced = mime_cases[i].size, .defects = mime_cases[i].defects};
		int rc = target_check(&target_graph_mime_ops, &conf, &mail, &e);
		if (rc != (mime_cases[i].expect == ERR_NONE ? 0 : -1) || e.kind != mime_cases[i].expect ||
			(rc && !e.hint[0]))
			fail_msg("%s: %d %s, %s, %s", mime_cases[i].what, rc, err_kind_name(e.kind), e.text, e.hint);
	}
}

/* What was fetched counts, not what was announced. */
static void test_real_size(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct target_conf conf = {.kind = TARGET_EXCHANGE, .max_message_bytes = 3};
	struct mail mail = {.announced = 1};
	assert_int_equal(spool_new(&mail.body, "/tmp", 4, &e), 0);
	assert_int_equal(spool_write(mail.body, "abcd", 4, &e), 0);
	assert_int_equal(target_check(&target_imap_ops, &conf, &mail, &e), -1);
	assert_int_equal(e.kind, ERR_TOO_BIG);
	spool_free(&mail.body);
}

static void test_routes(void **state)
{
	(void)state;
	assert_ptr_equal(target_routes()[0], &target_imap_ops);
	assert_ptr_equal(target_routes()[1], &target_graph_mime_ops);
	assert_null(target_routes()[2]);
	assert_ptr_equal(target_route("imap"), &target_imap_ops);
	assert_ptr_equal(target_route("mime"), &target_graph_mime_ops);
	assert_null(target_route("pigeon"));
	assert_true(strlen(target_imap_ops.name) < sizeof(((struct receipt *)NULL)->route));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_check_mime),
		cmocka_unit_test(test_real_size),
		cmocka_unit_test(test_routes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
