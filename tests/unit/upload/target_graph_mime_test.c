/* The route mime: opened, whose mailbox it is, one message read and its flags. */
#define _GNU_SOURCE
#include "tests/unit/upload/graph_mime_scene.h"

/* --- open, identity --- */

static void test_open(void **state)
{
	(void)state;
	static const struct {
		struct step step;
		enum err_kind kind;
		const char *user_id, *path;
	} cases[] = {
		{INBOX, ERR_NONE, NULL, "/users/ann%40contoso.example/"},
		{INBOX, ERR_NONE, "", "/users/ann%40contoso.example/"},
		{INBOX, ERR_NONE, "6a-7f", "/users/6a-7f/"},
		{INBOX, ERR_NONE, "MBX:a@b", "/users/ann%40contoso.example/"},
		{ANSWER(NULL, 404, ERROR("ErrorInvalidUser")), ERR_MAILBOX, NULL, ""},
		{ANSWER(NULL, 404, NULL), ERR_MAILBOX, NULL, ""},
		{ANSWER(NULL, 403, ERROR("ErrorAccessDenied")), ERR_RIGHTS, NULL, ""},
		{ANSWER(NULL, 200, "[]"), ERR_PROTOCOL, NULL, ""},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct graph_world *w = world_new();
		struct err e = ERR_INIT;
		w->conf.user_id = cases[i].user_id;
		world_script(w, &cases[i].step, 1);
		int rc = target_graph_mime_ops.open(&w->target, &w->conf, world_gate(w, NULL), NULL, &e);
		if (rc != (cases[i].kind == ERR_NONE ? 0 : -1) || e.kind != cases[i].kind || (rc && w->target))
			fail_msg("%zu: %d %s %s", i, rc, err_kind_name(e.kind), e.text);
		world_check(w);
		assert_non_null(strstr(w->last_head, cases[i].path));
		world_free(&w);
	}
	struct graph_world *w = world_new();
	struct err e = ERR_INIT;
	w->conf.graph_token = NULL;
	assert_int_equal(target_graph_mime_ops.open(&w->target, &w->conf, world_gate(w, NULL), NULL, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	world_free(&w);
}

static void test_identify(void **state)
{
	(void)state;
#define USER "GET /v1.0/users/ann%40contoso.example?$select="
#define SETTINGS "GET /v1.0/users/ann%40contoso.example/settings/exchange HTTP"
#define DENIED ANSWER(USER, 403, ERROR("Authorization_RequestDenied"))
	static const struct {
		struct step steps[3];
		size_t n;
		enum err_kind kind;
		const char *id, *address;
	} cases[] = {
		{{ANSWER(USER, 200, "{\"id\":\"u-1\",\"mail\":\"Ann@contoso.example\"}")}, 1, ERR_NONE, "u-1",
			"Ann@contoso.example"},
		{{ANSWER(USER, 404, ERROR("Request_ResourceNotFound"))}, 1, ERR_MAILBOX, "", ""},
		{{DENIED, ANSWER(SETTINGS, 200, "{\"primaryMailboxId\":\"MBX:a@b\"}")}, 2, ERR_NONE, "MBX:a@b",
			"ann@contoso.example"},
		{{DENIED, ANSWER(SETTINGS, 403, ERROR("ErrorAccessDenied"))}, 2, ERR_NONE, "", ""},
		{{DENIED, ANSWER(SETTINGS, 404, ERROR("MailboxNotEnabledForRESTAPI"))}, 2, ERR_MAILBOX, "", ""},
	};
	struct graph_world *w = opened(NULL);
	for (size_t i = 0; i < COUNT(cases); i++) {
		char id[200], address[200];
		struct err e = ERR_INIT;
		world_script(w, cases[i].steps, cases[i].n);
		int rc = target_graph_mime_ops.identify(w->target, id, sizeof(id), address, sizeof(address), &e);
		if (rc != (cases[i].kind == ERR_NONE ? 0 : -1) || e.kind != cases[i].kind ||
			strcmp(id, cases[i].id) != 0 || strcmp(address, cases[i].address) != 0)
			fail_msg("%zu: %d %s %s: %s, %s", i, rc, err_kind_name(e.kind), e.text, id, address);
		world_check(w);
	}
	world_free(&w);
}

/* --- one message --- */

static void test_flags(void **state)
{
	(void)state;
#define LOOK_M "GET /v1.0/users/ann%40contoso.example/messages/M1?$select="
#define STATE(parent, read, flag) \
	"{\"id\":\"M1\",\"parentFolderId\":\"" parent "\",\"isRead\":" read \
	",\"isDraft\":false,\"flag\":{\"flagStatus\":\"" flag "\"}}"
	static const struct {
		unsigned wanted;
		struct step steps[3];
		size_t n;
		enum err_kind kind;
	} cases[] = {
		{MAIL_SEEN | MAIL_ANSWERED, {ANSWER(LOOK_M, 200, STATE("F1", "true", "complete"))}, 1, ERR_NONE},
		{MAIL_SEEN,
			{ANSWER(LOOK_M, 200, STATE("F1", "false", "flagged")),
				{"PATCH", 200, STATE("F1", "true", "notFlagged"), NULL, THEN_KEEP,
					"{\"isRead\":true,\"flag\":{\"flagStatus\":\"notFlagged\"}}", 0}},
			2, ERR_NONE},
		{MAIL_SEEN,
			{ANSWER(LOOK_M, 200, STATE("F1", "false", "notFlagged")),
				{"PATCH", 200, "{\"id\":\"M1\"}", NULL, THEN_KEEP, "{\"isRead\":true}", 0},
				ANSWER(LOOK_M, 200, STATE("F1", "false", "notFlagged"))},
			3, ERR_MESSAGE},
		{MAIL_SEEN, {ANSWER(LOOK_M, 200, STATE("F2", "false", "notFlagged"))}, 1, ERR_GONE},
		{MAIL_SEEN, {ANSWER(LOOK_M, 404, ERROR("ErrorItemNotFound"))}, 1, ERR_GONE},
	};
	struct graph_world *w = opened(NULL);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e = ERR_INIT;
		world_script(w, cases[i].steps, cases[i].n);
		int rc = target_graph_mime_ops.set_flags(w->target, &folder, "M1", cases[i].wanted, &e);
		if (rc != (cases[i].kind == ERR_NONE ? 0 : -1) || e.kind != cases[i].kind)
			fail_msg("%zu: %d %s %s", i, rc, err_kind_name(e.kind), e.text);
		world_check(w);
	}
	static const struct step look[] = {ANSWER(LOOK_M, 200, STATE("F1", "true", "flagged"))};
	unsigned flags;
	struct err e = ERR_INIT;
	world_script(w, look, 1);
	assert_int_equal(target_graph_mime_ops.get_flags(w->target, &folder, "M1", &flags, &e), 0);
	assert_int_equal(flags, MAIL_SEEN | MAIL_FLAGGED);
	world_free(&w);
}

static void test_read(void **state)
{
	(void)state;
	static const struct step steps[] = {ANSWER("/messages/M%27%0A1/$value HTTP", 200, TEXT),
		ANSWER("$value", 404, ERROR("ErrorItemNotFound")), {"$value", 200, TEXT, NULL, THEN_CLOSE, NULL, 5},
		ANSWER("$value", 204, NULL)};
	static const enum err_kind kinds[] = {ERR_NONE, ERR_GONE, ERR_LOST, ERR_PROTOCOL};
	struct graph_world *w = opened(NULL);
	for (size_t i = 0; i < COUNT(steps); i++) {
		struct spool *body = NULL;
		struct fingerprint print;
		struct err e = ERR_INIT;
		world_script(w, &steps[i], 1);
		int rc = target_graph_mime_ops.read(w->target, &folder, "M'\n1", &body, &print, &e);
		if (rc != (kinds[i] == ERR_NONE ? 0 : -1) || e.kind != kinds[i])
			fail_msg("%zu: %d %s %s", i, rc, err_kind_name(e.kind), e.text);
		assert_true(!body == (rc != 0));
		if (rc == 0) {
			assert_int_equal(spool_size(body), strlen(TEXT));
			assert_string_equal(print.message_id, "<a@b>");
			fingerprint_done(&print);
		}
		spool_free(&body);
		world_check(w);
	}
	world_free(&w);
}

int main(void)
{
	scene_begin();
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_open), cmocka_unit_test(test_identify),
		cmocka_unit_test(test_flags), cmocka_unit_test(test_read)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
