/* Putting by the route mime: what each answer means, and what state follows. */
#define _GNU_SOURCE
#include "tests/unit/upload/graph_mime_scene.h"

#define TEXT_BASE64 "TWVzc2FnZS1JRDogPGFAYj4NClN1YmplY3Q6IHgNCg0KeA0K"
#define MADE(more) "{\"id\":\"M1\",\"isDraft\":false,\"flag\":{\"flagStatus\":\"notFlagged\"}" more "}"

/* --- put: what each answer means --- */

static const struct {
	const char *what;
	struct step step;
	enum put_result result;
	enum err_kind kind;
} answers[] = {
	{"created", ANSWER(NULL, 201, MADE(",\"isRead\":false")), PUT_PLACED, ERR_NONE},
	{"created, and nobody knows as what", ANSWER(NULL, 201, "{}"), PUT_IN_DOUBT, ERR_PROTOCOL},
	{"created, no JSON", ANSWER(NULL, 201, "<html>"), PUT_IN_DOUBT, ERR_PROTOCOL},
	{"created, an id with a quote and a line end", ANSWER(NULL, 201, "{\"id\":\"a'\\nb\"}"), PUT_IN_DOUBT,
		ERR_PROTOCOL},
	{"200", ANSWER(NULL, 200, "{\"id\":\"M1\"}"), PUT_IN_DOUBT, ERR_PROTOCOL},
	{"202", ANSWER(NULL, 202, NULL), PUT_IN_DOUBT, ERR_PROTOCOL},
	{"a redirection", {NULL, 307, NULL, "Location: https://127.0.0.1:1/\r\n", THEN_KEEP, NULL, 0}, PUT_NOT_SENT,
		ERR_PROTOCOL},
	{"see other", {NULL, 303, NULL, "Location: https://127.0.0.1:1/\r\n", THEN_KEEP, NULL, 0}, PUT_IN_DOUBT,
		ERR_PROTOCOL},
	{"bad MIME", ANSWER(NULL, 400, ERROR("ErrorMimeContentInvalid")), PUT_REFUSED, ERR_MESSAGE},
	{"too big", ANSWER(NULL, 413, NULL), PUT_REFUSED, ERR_TOO_BIG},
	{"too big, in words",
		ANSWER(NULL, 400,
			"{\"error\":{\"code\":\"BadRequest\",\"message\":\"The maximum request length supported is "
			"4MB.\"}}"),
		PUT_REFUSED, ERR_TOO_BIG},
	{"no such route",
		ANSWER(NULL, 400,
			"{\"error\":{\"code\":\"BadRequest\",\"message\":\"Resource not found for the segment "
			"'importMime'.\"}}"),
		PUT_NOT_SENT, ERR_RIGHTS},
	{"no right", ANSWER(NULL, 403, ERROR("ErrorAccessDenied")), PUT_NOT_SENT, ERR_RIGHTS},
	{"folder gone", ANSWER(NULL, 404, ERROR("ErrorItemNotFound")), PUT_NOT_SENT, ERR_FOLDER},
	{"mailbox gone", ANSWER(NULL, 404, ERROR("MailboxNotEnabledForRESTAPI")), PUT_NOT_SENT, ERR_MAILBOX},
	{"quota", ANSWER(NULL, 507, ERROR("ErrorQuotaExceeded")), PUT_NOT_SENT, ERR_QUOTA},
	{"throttled", {NULL, 429, ERROR("ApplicationThrottled"), "Retry-After: 1\r\n", THEN_KEEP, NULL, 0},
		PUT_NOT_SENT, ERR_THROTTLED},
	{"busy, and says so", ANSWER(NULL, 503, ERROR("ErrorServerBusy")), PUT_NOT_SENT, ERR_BUSY},
	{"503 with nothing: a time-out in the middle", ANSWER(NULL, 503, NULL), PUT_IN_DOUBT, ERR_BUSY},
	{"500", ANSWER(NULL, 500, ERROR("ErrorInternalServerError")), PUT_IN_DOUBT, ERR_BUSY},
	{"502", ANSWER(NULL, 502, "<html>"), PUT_IN_DOUBT, ERR_BUSY},
	{"504", ANSWER(NULL, 504, ERROR("ErrorServerBusy")), PUT_IN_DOUBT, ERR_BUSY},
	{"dropped after the body", {NULL, 201, NULL, NULL, THEN_DROP, NULL, 0}, PUT_IN_DOUBT, ERR_LOST},
	{"the answer breaks off", {NULL, 201, MADE(""), NULL, THEN_CLOSE, NULL, 9}, PUT_IN_DOUBT, ERR_LOST},
};

static void test_put_answers(void **state)
{
	(void)state;
	struct graph_world *w = opened(NULL);
	struct mail *m = mail_of(TEXT, strlen(TEXT), 0, "");
	for (size_t i = 0; i < COUNT(answers); i++) {
		struct put_item item = {.mail = m};
		struct err e = ERR_INIT;
		world_script(w, &answers[i].step, 1);
		assert_int_equal(target_graph_mime_ops.put(w->target, &folder, &item, 1, &e), 0);
		if (item.result != answers[i].result || item.err.kind != answers[i].kind)
			fail_msg("%s: %d %s %s", answers[i].what, item.result, err_kind_name(item.err.kind),
				item.err.text);
		world_check(w);
		assert_non_null(strstr(
			w->last_head, "POST /beta/users/ann%40contoso.example/mailFolders/F1/importMime HTTP/1.1\r\n"));
		assert_non_null(strstr(w->last_head, "Content-Type: text/plain\r\n"));
		assert_string_equal(w->last_body, TEXT_BASE64);
		assert_string_equal(item.receipt.id, item.result == PUT_PLACED ? "M1" : "");
	}
	mail_free(&m);
	world_free(&w);
}

/* --- put: state --- */

static const struct {
	unsigned flags;
	const char *keywords, *path, *made, *patch; /* patch NULL: none is sent */
	const char *patched;
	enum err_kind kind;
} states[] = {
	{0, "", "importMime", MADE(",\"isRead\":false"), NULL, NULL, ERR_NONE},
	{MAIL_SEEN, "", "importMime", MADE(",\"isRead\":true"), NULL, NULL, ERR_NONE},
	{0, "", "importMime", MADE(",\"isRead\":true"), "{\"isRead\":false}", MADE(",\"isRead\":false"), ERR_NONE},
	{MAIL_SEEN | MAIL_ANSWERED, "", "importMime", MADE(",\"isRead\":false"), "{\"isRead\":true}",
		MADE(",\"isRead\":true"), ERR_NONE},
	{MAIL_FLAGGED, "$Label1 $MDNSent Work", "importMime", MADE(",\"isRead\":false"),
		"{\"flag\":{\"flagStatus\":\"flagged\"},\"categories\":[\"$Label1\",\"Work\"]}",
		"{\"id\":\"M1\",\"isRead\":false,\"flag\":{\"flagStatus\":\"flagged\"}}", ERR_NONE},
	{0, "$MDNSent", "importMime", MADE(",\"isRead\":false"), NULL, NULL, ERR_NONE},
	{MAIL_FLAGGED, "", "importMime", MADE(",\"isRead\":false"), "{\"flag\":{\"flagStatus\":\"flagged\"}}",
		MADE(",\"isRead\":false"), ERR_MESSAGE}, /* it did not stay */
	{MAIL_DRAFT | MAIL_SEEN, "", "messages", "{\"id\":\"M1\",\"isDraft\":true,\"isRead\":true}", NULL, NULL,
		ERR_NONE},
};

static void test_put_state(void **state)
{
	(void)state;
	struct graph_world *w = opened(NULL);
	for (size_t i = 0; i < COUNT(states); i++) {
		struct mail *m = mail_of(TEXT, strlen(TEXT), states[i].flags, states[i].keywords);
		struct put_item item = {.mail = m};
		struct err e = ERR_INIT;
		char path[100];
		snprintf(path, sizeof(path), "/mailFolders/F1/%s HTTP", states[i].path);
		const struct step steps[] = {ANSWER(path, 201, states[i].made),
			{"PATCH /v1.0/users/ann%40contoso.example/messages/M1 HTTP", 200, states[i].patched, NULL,
				THEN_KEEP, states[i].patch, 0}};
		world_script(w, steps, states[i].patch ? 2 : 1);
		assert_int_equal(target_graph_mime_ops.put(w->target, &folder, &item, 1, &e), 0);
		world_check(w);
		assert_int_equal(item.result, PUT_PLACED);
		assert_string_equal(item.receipt.route, "mime");
		assert_string_equal(item.receipt.id, "M1");
		if (item.err.kind != states[i].kind)
			fail_msg("%zu: %s %s", i, err_kind_name(item.err.kind), item.err.text);
		if (states[i].patch)
			assert_string_equal(w->last_body, states[i].patch);
		mail_free(&m);
	}
	world_free(&w);
}

/* The message is there whatever becomes of its state; what passes by is tried again. */
static void test_put_state_fails(void **state)
{
	(void)state;
	static const struct step passing[] = {ANSWER("importMime", 201, MADE(",\"isRead\":false")),
		ANSWER("PATCH", 503, NULL), ANSWER("PATCH", 200, MADE(",\"isRead\":true"))};
	static const struct step final[] = {
		ANSWER("importMime", 201, MADE(",\"isRead\":false")), ANSWER("PATCH", 403, ERROR("ErrorAccessDenied"))};
	struct graph_world *w = opened(NULL);
	struct mail *m = mail_of(TEXT, strlen(TEXT), MAIL_SEEN, "");
	struct put_item item = {.mail = m};
	struct err e = ERR_INIT;
	world_script(w, passing, 3);
	target_graph_mime_ops.put(w->target, &folder, &item, 1, &e);
	world_check(w);
	assert_int_equal(item.result, PUT_PLACED);
	assert_int_equal(item.err.kind, ERR_NONE);
	world_script(w, final, 2);
	target_graph_mime_ops.put(w->target, &folder, &item, 1, &e);
	world_check(w);
	assert_int_equal(item.result, PUT_PLACED);
	assert_int_equal(item.err.kind, ERR_RIGHTS);
	mail_free(&m);
	world_free(&w);
}

/* 200 to a large message: too big if it does not show up, in doubt if it does or if it has no Message-ID to look for. */
static void test_put_silent(void **state)
{
	(void)state;
	static const struct step shown[] = {ANSWER("importMime", 200, NULL),
		ANSWER("/mailFolders/F1/messages?$filter=internetMessageId%20eq%20%27%3Ca%40b%3E%27&", 200,
			"{\"value\":[{\"id\":\"M9\"}]}")};
	static const struct step absent[] = {ANSWER("importMime", 200, NULL), ANSWER("$filter", 200, "{\"value\":[]}"),
		ANSWER("$filter", 200, "{\"value\":[]}"), ANSWER("$filter", 200, "{\"value\":[]}")};
	static const struct step nameless[] = {ANSWER("importMime", 200, NULL)};
	size_t n = 3200000;
	char *text = malloc(n);
	memset(text, 'a', n);
	memcpy(text, TEXT, strlen(TEXT));
	struct graph_world *w = opened(NULL);
	struct mail *m = mail_of(text, n, 0, "");
	struct put_item item = {.mail = m};
	struct err e = ERR_INIT;
	target_graph_mime_of(w->target)->look_pause_ms = 10;
	world_script(w, shown, 2);
	target_graph_mime_ops.put(w->target, &folder, &item, 1, &e);
	world_check(w);
	assert_int_equal(item.result, PUT_IN_DOUBT);
	world_script(w, absent, 4);
	target_graph_mime_ops.put(w->target, &folder, &item, 1, &e);
	world_check(w);
	assert_int_equal(item.result, PUT_REFUSED);
	assert_int_equal(item.err.kind, ERR_TOO_BIG);
	free(m->print.message_id);
	m->print.message_id = strdup("");
	world_script(w, nameless, 1);
	target_graph_mime_ops.put(w->target, &folder, &item, 1, &e);
	world_check(w);
	assert_int_equal(item.result, PUT_IN_DOUBT);
	mail_free(&m);
	free(text);
	world_free(&w);
}

int main(void)
{
	scene_begin();
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_put_answers), cmocka_unit_test(test_put_state),
		cmocka_unit_test(test_put_state_fails), cmocka_unit_test(test_put_silent)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
