#include "upload/graph_json.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ID199 \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static char *own(const char *text)
{
	return strdup(text);
}

static const struct {
	const char *body;
	size_t n;                /* folders; SIZE_MAX: refused */
	const char *name, *next; /* of the first */
} folder_pages[] = {
	{"{\"value\":[]}", 0, NULL, NULL},
	{"{\"value\":[{\"id\":\"A\",\"displayName\":\"Posteingang\",\"totalItemCount\":3}]}", 1, "Posteingang", NULL},
	{"{\"value\":[{\"id\":\"A\"},{\"id\":\"B\",\"displayName\":null}],\"@odata.nextLink\":\"https://x/\"}", 2, "",
		"https://x/"},
	{"{\"value\":[{\"id\":\"A\",\"displayName\":\"a\\u0000b\"}],\"@odata.nextLink\":null}", 1, "a", NULL},
	{"{\"value\":[{\"id\":\"A\",\"displayName\":\"half \\ud83d\"}]}", 1, "half \xef\xbf\xbd", NULL},
	{"{\"value\":[{\"id\":\"A\",\"displayName\":\"\\ude00 \\ud83d\\ude00\"}]}", 1, "\xef\xbf\xbd \xf0\x9f\x98\x80",
		NULL},
	{"{\"value\":[{\"id\":\"A\",\"displayName\":\"raw \xff\"}]}", 1, "raw ?", NULL},
	{"{\"value\":[{\"id\":\"" ID199 "\"}]}", 1, "", NULL},
	{"{\"value\":[{\"id\":\"" ID199 "a\"}]}", SIZE_MAX, NULL, NULL},
	{"{\"value\":[{\"id\":\"\"}]}", SIZE_MAX, NULL, NULL},
	{"{\"value\":[{\"id\":\"a b\"}]}", SIZE_MAX, NULL, NULL},
	{"{\"value\":[{\"id\":\"a\\nb\"}]}", SIZE_MAX, NULL, NULL},
	{"{\"value\":[{\"id\":\"a\\u0000b\"}]}", SIZE_MAX, NULL, NULL},
	{"{\"value\":[{\"id\":\"\\u00e4\"}]}", SIZE_MAX, NULL, NULL},
	{"{\"value\":[{\"id\":7}]}", SIZE_MAX, NULL, NULL},
	{"{\"value\":[7]}", SIZE_MAX, NULL, NULL},
	{"{\"value\":{}}", SIZE_MAX, NULL, NULL},
	{"{\"value\":[],\"@odata.nextLink\":7}", SIZE_MAX, NULL, NULL},
	{"{\"value\":[],\"@odata.nextLink\":\"\"}", SIZE_MAX, NULL, NULL},
	{"[]", SIZE_MAX, NULL, NULL},
	{"", SIZE_MAX, NULL, NULL},
	{"{\"value\":[", SIZE_MAX, NULL, NULL},
	{"{\"value\":[]} x", SIZE_MAX, NULL, NULL},
	{"\\ud8", SIZE_MAX, NULL, NULL},
};

static void test_folders(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(folder_pages) / sizeof(folder_pages[0]); i++) {
		struct graph_page p;
		struct err e = ERR_INIT;
		char *body = own(folder_pages[i].body);
		int rc = graph_json_folders(body, strlen(body), &p, &e);
		free(body);
		if (rc != (folder_pages[i].n == SIZE_MAX ? -1 : 0))
			fail_msg("%s: %d %s", folder_pages[i].body, rc, e.text);
		if (rc) {
			assert_int_equal(e.kind, ERR_PROTOCOL);
			assert_int_equal(p.n, 0);
			assert_null(p.next);
			continue;
		}
		assert_int_equal(p.n, folder_pages[i].n);
		if (folder_pages[i].name)
			assert_string_equal(p.folders[0].name, folder_pages[i].name);
		assert_true(!p.next == !folder_pages[i].next);
		if (p.next)
			assert_string_equal(p.next, folder_pages[i].next);
		graph_page_done(&p);
	}
}

/* Bulk: what a parser would make a hundred times larger is refused before. */
static void test_bombs(void **state)
{
	(void)state;
	static const char *const starts[] = {"{\"value\":[0", "{\"value\":[[", "{\"a\":{\"a\":"};
	static const char *const fillers[] = {",0", "[[", "{}"};
	for (size_t k = 0; k < 3; k++) {
		size_t n = GRAPH_PAGE_CAP - 10, at = strlen(starts[k]);
		char *body = malloc(n + 1);
		memcpy(body, starts[k], at);
		for (; at < n; at++)
			body[at] = fillers[k][at % 2];
		body[n] = '\0';
		struct graph_page p;
		struct err e = ERR_INIT;
		assert_int_equal(graph_json_messages(body, n, &p, &e), -1);
		assert_int_equal(e.kind, ERR_PROTOCOL);
		free(body);
	}
	/* what stands in a text is none: the answer to a create holds the message's own */
	static const char open[] = "{\"id\":\"A\",\"body\":{\"content\":\"\\\",[", close[] = "\"}}";
	size_t n = GRAPH_PAGE_CAP - 10;
	char *body = malloc(n + 1);
	memset(body, ',', n);
	memcpy(body, open, sizeof(open) - 1);
	memcpy(body + n - (sizeof(close) - 1), close, sizeof(close));
	struct err e = ERR_INIT;
	struct graph_message one;
	assert_int_equal(graph_json_message(body, n, &one, &e), 0);
	graph_message_done(&one);
	free(body);
	struct graph_page p;
	char *many = calloc(1, 100000);
	memcpy(many, "{\"value\":[{\"id\":\"A\"}", strlen("{\"value\":[{\"id\":\"A\"}"));
	for (int i = 0; i < 6000; i++)
		memcpy(many + strlen("{\"value\":[{\"id\":\"A\"}") + (size_t)i * 11, ",{\"id\":\"A\"}", 11);
	memcpy(many + strlen(many), "]}", 3);
	assert_int_equal(graph_json_messages(many, strlen(many), &p, &e), -1);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	free(many);
}

static struct graph_message message(const char *text)
{
	struct graph_message m;
	struct err e = ERR_INIT;
	char *body = own(text);
	if (graph_json_message(body, strlen(body), &m, &e))
		fail_msg("%s: %s", text, e.text);
	free(body);
	return m;
}

static void test_message(void **state)
{
	(void)state;
	struct graph_message m = message(
		"{\"id\":\"A=\",\"parentFolderId\":\"P\",\"isRead\":true,\"isDraft\":false,"
		"\"flag\":{\"flagStatus\":\"flagged\"},\"receivedDateTime\":\"2002-07-01T08:00:00Z\","
		"\"internetMessageId\":\"<made@up>\",\"internetMessageHeaders\":["
		"{\"name\":\"received\",\"value\":\"x\"},{\"name\":\"subject\",\"value\":\" =?utf-8?q?=C3=A4?=\"},"
		"{\"name\":\"SUBJECT\",\"value\":\"second\"},{\"name\":7},7,"
		"{\"name\":\"From\",\"value\":\"a@b.c\"}]}");
	assert_string_equal(m.id, "A=");
	assert_string_equal(m.parent, "P");
	assert_int_equal(m.read, TRI_YES);
	assert_int_equal(m.draft, TRI_NO);
	assert_int_equal(m.flagged, TRI_YES);
	assert_true(m.received.known);
	assert_int_equal(m.received.at, 1025510400);
	/* header fields came along: what they lack, the message lacks */
	assert_false(m.print_is_doubtful);
	assert_string_equal(m.print.message_id, "");
	assert_string_equal(m.print.date, "");
	assert_string_equal(m.print.subject, "=?utf-8?q?=C3=A4?=");
	assert_string_equal(m.print.from, "a@b.c");
	graph_message_done(&m);
	m = message("{\"id\":\"A\",\"isRead\":\"yes\",\"flag\":7,\"receivedDateTime\":\"yesterday\"}");
	assert_int_equal(m.read, TRI_UNKNOWN);
	assert_int_equal(m.flagged, TRI_UNKNOWN);
	assert_false(m.received.known);
	assert_true(m.print_is_doubtful);
	assert_string_equal(m.print.date, "");
	graph_message_done(&m);
}

#define WHOLE(sent) \
	"{\"id\":\"A\",\"internetMessageId\":\"<i@d>\",\"subject\":\"\xc3\xa4\",\"from\":{\"emailAddress\":{" \
	"\"address\":\"a@b.c\"}}," \
	"\"receivedDateTime\":\"2002-07-01T08:00:00Z\",\"createdDateTime\":\"2026-01-01T00:00:00Z\",\"sentDateTime\":" \
	"\"" sent "\"}"

static void test_properties(void **state)
{
	(void)state;
	struct graph_message m = message(WHOLE("2002-07-01T09:59:58.1234567+02:00"));
	assert_false(m.print_is_doubtful);
	assert_string_equal(m.print.message_id, "<i@d>");
	assert_string_equal(m.print.date, "1 Jul 2002 07:59:58 +0000");
	assert_string_equal(m.print.from, "a@b.c");
	assert_string_equal(m.print.subject, "\xc3\xa4");
	graph_message_done(&m);
	static const char *const doubtful[] = {WHOLE("2002-07-01T08:00:00Z"), WHOLE("2026-01-01T00:00:00Z"), WHOLE("x"),
		"{\"id\":\"A\",\"internetMessageId\":\"\",\"subject\":\"s\",\"from\":{\"emailAddress\":{\"address\":"
		"\"a@b.c\"}},"
		"\"sentDateTime\":\"2002-07-01T08:00:00Z\"}",
		"{\"id\":\"A\",\"internetMessageId\":\"<i@d>\",\"subject\":\"s\",\"from\":{\"emailAddress\":{"
		"\"address\":\"/O=X\"}},"
		"\"sentDateTime\":\"2002-07-01T08:00:00Z\"}",
		"{\"id\":\"A\",\"internetMessageId\":\"<i@d>\",\"subject\":null,\"from\":{\"emailAddress\":{"
		"\"address\":\"a@b.c\"}},"
		"\"sentDateTime\":\"2002-07-01T08:00:00Z\"}"};
	for (size_t i = 0; i < sizeof(doubtful) / sizeof(doubtful[0]); i++) {
		m = message(doubtful[i]);
		if (!m.print_is_doubtful)
			fail_msg("%s", doubtful[i]);
		graph_message_done(&m);
	}
}

static void test_users(void **state)
{
	(void)state;
	static const struct {
		const char *body, *id, *address; /* id NULL: refused */
	} cases[] = {
		{"{\"id\":\"u-1\",\"mail\":\"a@b.c\",\"userPrincipalName\":\"a@b.onmicrosoft.example\"}", "u-1",
			"a@b.c"},
		{"{\"id\":\"u-1\",\"mail\":null,\"userPrincipalName\":\"a@b\"}", "u-1", "a@b"},
		{"{\"id\":\"u-1\"}", "u-1", ""},
		{"{\"id\":\"u-1\",\"mail\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}", "u-1",
			""},
		{"{\"mail\":\"a@b\"}", NULL, ""},
		{"{", NULL, ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char id[GRAPH_ID], address[40], *body = own(cases[i].body);
		struct err e = ERR_INIT;
		int rc = graph_json_user(body, strlen(body), id, address, sizeof(address), &e);
		assert_int_equal(rc, cases[i].id ? 0 : -1);
		assert_string_equal(id, cases[i].id ? cases[i].id : "");
		assert_string_equal(address, cases[i].address);
		free(body);
	}
	char id[GRAPH_ID], *body = own("{\"primaryMailboxId\":\"MBX:a@b\"}");
	struct err e = ERR_INIT;
	assert_int_equal(graph_json_mailbox(body, strlen(body), id, &e), 0);
	assert_string_equal(id, "MBX:a@b");
	free(body);
}

static void test_categories(void **state)
{
	(void)state;
	static const struct {
		const char *body, *expect; /* NULL: refused */
	} cases[] = {
		{"{\"categories\":[\"Red\",7,\"$Label1\"]}", "Red $Label1"},
		{"{\"categories\":[\"a\",\"0123456789\xc3\xa4\xc3\xa4\xc3\xa4\"]}", "a 0123456789\xc3\xa4"},
		{"{\"categories\":null}", ""},
		{"{}", ""},
		{"[]", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[16], *body = own(cases[i].body);
		struct err e = ERR_INIT;
		assert_int_equal(
			graph_json_categories(body, strlen(body), out, sizeof(out), &e), cases[i].expect ? 0 : -1);
		assert_string_equal(out, cases[i].expect ? cases[i].expect : "");
		free(body);
	}
}

static void test_out(void **state)
{
	(void)state;
	static const struct {
		enum graph_tri read, flagged;
		const char *categories, *expect;
	} cases[] = {
		{TRI_YES, TRI_UNKNOWN, NULL, "{\"isRead\":true}"},
		{TRI_NO, TRI_YES, "", "{\"isRead\":false,\"flag\":{\"flagStatus\":\"flagged\"}}"},
		{TRI_UNKNOWN, TRI_NO, " a  $b\"c ",
			"{\"flag\":{\"flagStatus\":\"notFlagged\"},\"categories\":[\"a\",\"$b\\\"c\"]}"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = graph_json_state(cases[i].read, cases[i].flagged, cases[i].categories);
		assert_string_equal(text, cases[i].expect);
		free(text);
	}
	char *text = graph_json_new_folder("a\"b\n\xc3\xa4");
	assert_string_equal(text, "{\"displayName\":\"a\\\"b\\n\xc3\xa4\"}");
	free(text);
	assert_null(graph_json_new_folder("\xff"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_folders),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_properties),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_categories),
		cmocka_unit_test(test_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
