/* Folders by the route mime: found, made, never doubled, and the rules that come with them. */
#define _GNU_SOURCE
#include "tests/unit/upload/graph_mime_scene.h"

#define TOP "GET /v1.0/users/ann%40contoso.example/mailFolders?includeHiddenFolders=true"
#define BELOW(id) "GET /v1.0/users/ann%40contoso.example/mailFolders/" id "/childFolders?includeHiddenFolders=true"
#define LOOK(id) "GET /v1.0/users/ann%40contoso.example/mailFolders/" id "?"
#define F(id, name) "{\"id\":\"" id "\",\"displayName\":\"" name "\",\"totalItemCount\":3}"

static const struct {
	const char *path, *id; /* id NULL: refused */
	enum err_kind kind;
	bool find;
	struct step steps[8];
} walks[] = {
	{"INBOX", "IN", ERR_NONE, false, {ANSWER(LOOK("IN"), 200, F("IN", "Posteingang"))}},
	/* two pages, the first of them empty; case; a hidden folder is one like others */
	{"sent", "S1", ERR_NONE, false,
		{ANSWER(TOP, 200, "{\"value\":[],\"@odata.nextLink\":\"%s/v1.0/next\"}"),
			ANSWER("GET /v1.0/next HTTP", 200, "{\"value\":[" F("A", "a/b") "," F("S1", "Sent") "]}"),
			ANSWER(LOOK("S1"), 200, F("S1", "Sent"))}},
	{"inbox/\xc3\xa4/c", "C1", ERR_NONE, false,
		{ANSWER(BELOW("IN"), 200, "{\"value\":[" F("U", "\\u00e4") "]}"),
			ANSWER(BELOW("U"), 200, "{\"value\":[]}"),
			{"POST /v1.0/users/ann%40contoso.example/mailFolders/U/childFolders HTTP", 201, F("C1", "c"),
				NULL, THEN_KEEP, "{\"displayName\":\"c\"}", 0},
			ANSWER(LOOK("C1"), 200, F("C1", "c"))}},
	/* somebody was faster, and Exchange compares more widely than we do */
	{"\xc3\x84"
	 "b",
		"R1", ERR_NONE, false,
		{ANSWER(TOP, 200, "{\"value\":[]}"), ANSWER("POST", 409, ERROR("ErrorFolderExists")),
			ANSWER(TOP, 200, "{\"value\":[" F("R1", "\\u00e4B") "]}"),
			ANSWER(LOOK("R1"), 200, F("R1", "x"))}},
	/* taken by what is no mail folder: asked twice, then it is the folder's failure */
	{"Calendar", NULL, ERR_FOLDER, false,
		{ANSWER(TOP, 200, "{\"value\":[]}"), ANSWER("POST", 409, ERROR("ErrorFolderExists")),
			ANSWER(TOP, 200, "{\"value\":[]}"), ANSWER(TOP, 200, "{\"value\":[]}"),
			ANSWER("POST", 409, ERROR("ErrorFolderExists")), ANSWER(TOP, 200, "{\"value\":[]}")}},
	/* removed behind our back */
	{"a", "A2", ERR_NONE, false,
		{ANSWER(TOP, 200, "{\"value\":[" F("A1", "a") "]}"),
			ANSWER(LOOK("A1"), 404, ERROR("ErrorItemNotFound")), ANSWER(TOP, 200, "{\"value\":[]}"),
			ANSWER("POST", 201, F("A2", "a")), ANSWER(LOOK("A2"), 200, F("A2", "a"))}},
	{"gone", "", ERR_NONE, true, {ANSWER(TOP, 200, "{\"value\":[]}")}},
	{"a", "A1", ERR_NONE, true,
		{ANSWER(TOP, 200, "{\"value\":[" F("A1", "A") "]}"), ANSWER(LOOK("A1"), 200, F("A1", "A"))}},
	{"a", NULL, ERR_RIGHTS, true, {ANSWER(TOP, 403, ERROR("ErrorAccessDenied"))}},
	{"", NULL, ERR_FOLDER, false, {{0}}},
	{"a", NULL, ERR_PROTOCOL, false,
		{ANSWER(TOP, 200, "{\"value\":[],\"@odata.nextLink\":\"https://evil.example/\"}")}},
	{"a", NULL, ERR_PROTOCOL, false, {ANSWER(TOP, 200, "{\"value\":[{\"id\":7,\"displayName\":\"a\"}]}")}},
	{"a", NULL, ERR_PROTOCOL, false, {{TOP, 302, NULL, "Location: https://127.0.0.1:1/\r\n", THEN_KEEP, NULL, 0}}},
	{"a", NULL, ERR_FOLDER, false,
		{ANSWER(TOP, 200, "{\"value\":[]}"), ANSWER("POST", 400, ERROR("ErrorInvalidArgument")),
			ANSWER(TOP, 200, "{\"value\":[]}"), ANSWER("POST", 400, ERROR("ErrorInvalidArgument"))}},
};

static void test_folders(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(walks); i++) {
		struct graph_world *w = opened(NULL);
		struct folder_ref f = {0};
		struct err e = ERR_INIT;
		bool found = true;
		size_t n = 0;
		while (n < COUNT(walks[i].steps) && walks[i].steps[n].status)
			n++;
		world_script(w, walks[i].steps, n);
		int rc = walks[i].find ? target_graph_mime_ops.find(w->target, walks[i].path, &f, &found, &e)
				       : target_graph_mime_ops.folder(w->target, walks[i].path, &f, &e);
		if (rc != (walks[i].id ? 0 : -1) || e.kind != walks[i].kind)
			fail_msg("%zu %s: %d %s %s", i, walks[i].path, rc, err_kind_name(e.kind), e.text);
		world_check(w);
		if (rc == 0 && walks[i].id[0]) {
			assert_string_equal(f.id, walks[i].id);
			assert_string_equal(f.path, walks[i].path);
			assert_string_equal(f.generation, "");
			assert_string_equal(f.mark, "");
			assert_int_equal(f.existing, 3);
		}
		assert_true(rc != 0 || found == (walks[i].id[0] != '\0'));
		folder_ref_done(&f);
		world_free(&w);
	}
}

/* Pages without end, and a tree that bites its tail. */
static void test_folders_endless(void **state)
{
	(void)state;
	static struct step endless[100];
	for (size_t i = 0; i < COUNT(endless); i++)
		endless[i] = (struct step)ANSWER("GET", 200, "{\"value\":[],\"@odata.nextLink\":\"%s/v1.0/again\"}");
	struct graph_world *w = opened(NULL);
	struct folder_ref f;
	struct err e = ERR_INIT;
	world_script(w, endless, COUNT(endless));
	assert_int_equal(target_graph_mime_ops.folder(w->target, "a", &f, &e), -1);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	assert_true(atomic_load(&w->at) <= 30);
	static const struct step tail[] = {ANSWER(TOP, 200, "{\"value\":[" F("L", "l") "]}"),
		ANSWER(BELOW("L"), 200, "{\"value\":[" F("L", "l") "]}"), ANSWER(LOOK("L"), 200, F("L", "l"))};
	world_script(w, tail, 3);
	assert_int_equal(target_graph_mime_ops.folder(w->target, "l/l/l/l", &f, &e), 0);
	world_check(w);
	folder_ref_done(&f);
	world_free(&w);
}

static void test_rules(void **state)
{
	(void)state;
	static const struct step steps[] = {
		ANSWER(LOOK("sentitems"), 200, F("S", "Gesendete Elemente")),
		ANSWER(LOOK("drafts"), 200, F("D", "Entw\\u00fcrfe")),
		ANSWER(LOOK("deleteditems"), 200, F("T", "a/b")),
		ANSWER(LOOK("junkemail"), 200, F("J", "Junk-E-Mail")),
		ANSWER(LOOK("archive"), 404, ERROR("ErrorItemNotFound")),
	};
	struct graph_world *w = opened(NULL);
	struct map_rules rules = {0};
	struct err e = ERR_INIT;
	world_script(w, steps, COUNT(steps));
	for (int i = 0; i < 2; i++) { /* asked once */
		assert_int_equal(target_graph_mime_ops.rules(w->target, &rules, &e), 0);
		world_check(w);
		assert_true(rules.exchange);
		assert_int_equal(rules.separator, '/');
		assert_string_equal(rules.well_known[ROLE_SENT], "Gesendete Elemente");
		assert_string_equal(rules.well_known[ROLE_DRAFTS], "Entw\xc3\xbcrfe");
		assert_null(rules.well_known[ROLE_TRASH]); /* a path could not say it */
		assert_null(rules.well_known[ROLE_ARCHIVE]);
		assert_null(rules.well_known[ROLE_INBOX]);
	}
	world_free(&w);
}

int main(void)
{
	scene_begin();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_folders), cmocka_unit_test(test_folders_endless), cmocka_unit_test(test_rules)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
