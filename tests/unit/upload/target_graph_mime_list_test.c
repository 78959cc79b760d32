/* Lists by the route mime: pages, ids and header values, from servers good and bad. */
#define _GNU_SOURCE
#include "tests/unit/upload/graph_mime_scene.h"

#define HEADERS(subject) \
	",\"internetMessageHeaders\":[{\"name\":\"Subject\",\"value\":\"" subject \
	"\"},{\"name\":\"Message-ID\",\"value\":\"<a@b>\"}]"
#define M(id) "{\"id\":\"" id "\",\"isRead\":true,\"receivedDateTime\":\"2002-07-01T08:00:00Z\"" HEADERS("s of " id) "}"
#define MESSAGES "GET /v1.0/users/ann%40contoso.example/mailFolders/F1/messages?$top="

static void test_list(void **state)
{
	(void)state;
	/* A message that was put meanwhile shifts the others: B comes twice. C tells too little and is read; D is gone by then. Of the second walk E
	   is new, F is in another folder by now, G is gone. */
	static const struct step steps[] = {
		ANSWER(MESSAGES, 200,
			"{\"value\":[" M("A") "," M("B") "],\"@odata.nextLink\":\"%s/v1.0/next?$skip=2\"}"),
		ANSWER("GET /v1.0/next?$skip=2 HTTP", 200,
			"{\"value\":[" M("B") ",{\"id\":\"C\",\"internetMessageId\":\"<made@up>\",\"isDraft\":true},{"
					      "\"id\":\"D\"}]}"),
		ANSWER("/messages/C/$value HTTP", 200, "Subject: real\r\nFrom: a@b.c\r\n\r\nx\r\n"),
		ANSWER("/messages/D/$value HTTP", 404, ERROR("ErrorItemNotFound")),
		ANSWER(MESSAGES "1000&$select=id HTTP", 200,
			"{\"value\":[{\"id\":\"E\"},{\"id\":\"F\"},{\"id\":\"A\"}],\"@odata.nextLink\":\"%s/v1.0/"
			"ids\"}"),
		ANSWER("/messages/E?$select=id,", 200, "{\"id\":\"E\",\"parentFolderId\":\"F1\"" HEADERS("s of E") "}"),
		ANSWER("/messages/F?$select=id,", 200, "{\"id\":\"F\",\"parentFolderId\":\"F2\"" HEADERS("s of F") "}"),
		ANSWER("GET /v1.0/ids HTTP", 200, "{\"value\":[{\"id\":\"G\"},{\"id\":\"B\"},{\"id\":\"C\"}]}"),
		ANSWER("/messages/G?$select=id,", 404, ERROR("ErrorItemNotFound")),
	};
	struct graph_world *w = opened(NULL);
	struct remote_mail v[3];
	struct err e = ERR_INIT;
	size_t n;
	world_script(w, steps, COUNT(steps));
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, NULL, v, 1, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_string_equal(v[0].id, "A");
	assert_int_equal(v[0].flags, MAIL_SEEN);
	assert_true(v[0].received.known);
	assert_string_equal(v[0].print.subject, "s of A");
	fingerprint_done(&v[0].print);
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "A", v, 3, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_string_equal(v[0].id, "B");
	fingerprint_done(&v[0].print);
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "B", v, 3, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_string_equal(v[0].id, "C");
	assert_int_equal(v[0].flags, MAIL_DRAFT);
	assert_string_equal(v[0].print.subject, "real");
	assert_string_equal(v[0].print.message_id, "");
	fingerprint_done(&v[0].print);
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "C", v, 3, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_string_equal(v[0].id, "E");
	assert_string_equal(v[0].print.subject, "s of E");
	fingerprint_done(&v[0].print);
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "E", v, 3, &n, &e), 0);
	assert_int_equal(n, 0);
	world_check(w);
	/* the walk is over: its cursor is nobody's */
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "E", v, 3, &n, &e), -1);
	assert_int_equal(e.kind, ERR_INTERNAL);
	world_free(&w);
}

static void test_list_hostile(void **state)
{
	(void)state;
	static struct step endless[200], same[200];
	static const struct step gone[] = {ANSWER(MESSAGES, 404, ERROR("ErrorItemNotFound"))};
	static const struct step foreign[] = {
		ANSWER(MESSAGES, 200, "{\"value\":[],\"@odata.nextLink\":\"http://127.0.0.1/\"}")};
	static const struct step broken[] = {{MESSAGES, 200, "{\"value\":[]}", NULL, THEN_CLOSE, NULL, 5},
		{MESSAGES, 200, "{\"value\":[" M("A") "]}", NULL, THEN_KEEP, NULL, 0}};
	for (size_t i = 0; i < COUNT(endless); i++) {
		endless[i] = (struct step)ANSWER("GET", 200, "{\"value\":[],\"@odata.nextLink\":\"%s/v1.0/again\"}");
		same[i] = (struct step)ANSWER(
			"GET", 200, "{\"value\":[" M("A") "],\"@odata.nextLink\":\"%s/v1.0/again\"}");
	}
	struct graph_world *w = opened(NULL);
	struct remote_mail v[3];
	struct err e = ERR_INIT;
	size_t n;
	world_script(w, endless, COUNT(endless));
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "", v, 3, &n, &e), -1);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	world_script(w, same, COUNT(same));
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "", v, 3, &n, &e), 0);
	assert_int_equal(n, 1);
	fingerprint_done(&v[0].print);
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "A", v, 3, &n, &e), -1);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	assert_true(atomic_load(&w->at) < COUNT(same));
	world_script(w, gone, 1);
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "", v, 3, &n, &e), -1);
	assert_int_equal(e.kind, ERR_FOLDER);
	world_script(w, foreign, 1);
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "", v, 3, &n, &e), -1);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	/* an answer that breaks off is asked for again */
	err_clear(&e);
	world_script(w, broken, 2);
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "", v, 3, &n, &e), 0);
	assert_int_equal(n, 1);
	fingerprint_done(&v[0].print);
	world_check(w);
	world_free(&w);
}

int main(void)
{
	scene_begin();
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_list), cmocka_unit_test(test_list_hostile)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
