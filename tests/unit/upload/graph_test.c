#define _GNU_SOURCE
#include "upload/graph.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/upload/graph_world.h"

#define OK \
	{ \
		NULL, 200, "{\"id\":\"A\"}", NULL, THEN_KEEP, NULL, 0 \
	}
#define CODE(status, code) \
	{ \
		NULL, status, "{\"error\":{\"code\":\"" code "\",\"message\":\"words of " code "\"}}", NULL, \
			THEN_KEEP, NULL, 0 \
	}

static struct graph *client(struct graph_world *w, struct graph_conf *conf, struct stop *stop)
{
	struct graph *g = NULL;
	struct err e = ERR_INIT;
	*conf = (struct graph_conf){.url = w->s.url,
		.ca_file = w->s.ca_path,
		.token = w->token,
		.target = "contoso",
		.mailbox = "ann@contoso.example",
		.user = "u/1"};
	assert_int_equal(graph_new(&g, conf, world_gate(w, stop), stop, &e), 0);
	return g;
}

static const char *const args[] = {"u/1", "A'=", NULL};
static const struct graph_request get = {.method = "GET", .path = "/v1.0/users/{}/messages/{}", .args = args};
static const struct graph_request post = {
	.method = "POST", .path = "/v1.0/users/{}/mailFolders/{}", .args = args, .json = "{\"a\":1}"};

static void test_request(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{"GET /v1.0/users/u%2F1/messages/A%27%3D HTTP/1.1\r\n", 200, "{\"id\":\"A\"}", NULL, THEN_KEEP, NULL,
			0},
		{"POST /v1.0/users/u%2F1/mailFolders/A%27%3D HTTP/1.1\r\n", 201, "{}", NULL, THEN_KEEP, "{\"a\":1}", 0},
	};
	struct graph_world *w = world_new();
	struct graph_conf conf;
	struct graph *g = client(w, &conf, NULL);
	struct graph_reply reply;
	struct err e = ERR_INIT;
	world_script(w, steps, 2);
	assert_int_equal(graph_send(g, &get, &reply, &e), 0);
	assert_int_equal(reply.status, 200);
	assert_string_equal(buf_str(&reply.body), "{\"id\":\"A\"}");
	graph_reply_done(&reply);
	assert_non_null(strstr(w->last_head, "Prefer: IdType=\"ImmutableId\"\r\n"));
	assert_non_null(strstr(w->last_head, "Authorization: Bearer token-1\r\n"));
	assert_non_null(strstr(w->last_head, "client-request-id: "));
	assert_int_equal(graph_send(g, &post, &reply, &e), 0);
	assert_non_null(strstr(w->last_head, "Content-Type: application/json\r\n"));
	graph_reply_done(&reply);
	world_check(w);
	assert_int_equal(atomic_load(&w->tokens), 1);
	graph_free(&g);
	world_free(&w);
}

/* A token that is refused is renewed once, for whatever request: a refusal of the token is before all else. */
static void test_token_refused(void **state)
{
	(void)state;
	static const struct step once[] = {CODE(401, "InvalidAuthenticationToken"), OK};
	static const struct step for_ever[] = {
		CODE(401, "InvalidAuthenticationToken"), CODE(401, "InvalidAuthenticationToken")};
	struct graph_world *w = world_new();
	struct graph_conf conf;
	struct graph *g = client(w, &conf, NULL);
	struct graph_reply reply;
	struct err e = ERR_INIT;
	world_script(w, once, 2);
	assert_int_equal(graph_send(g, &post, &reply, &e), 0);
	graph_reply_done(&reply);
	world_check(w);
	assert_non_null(strstr(w->last_head, "Bearer token-2\r\n"));
	world_script(w, for_ever, 2);
	assert_int_equal(graph_send(g, &post, &reply, &e), -1);
	assert_int_equal(e.kind, ERR_CREDENTIALS);
	assert_false(reply.maybe_done);
	graph_reply_done(&reply);
	world_check(w);
	assert_int_equal(atomic_load(&w->tokens), 3);
	graph_free(&g);
	world_free(&w);
}

static void test_error_text(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{NULL, 403, "{\"error\":{\"code\":\"ErrorAccessDenied\",\"message\":\"no\"}}", "request-id: r-1\r\n",
			THEN_KEEP, NULL, 0}};
	struct graph_world *w = world_new();
	struct graph_conf conf;
	struct graph *g = client(w, &conf, NULL);
	struct graph_reply reply;
	struct err e = ERR_INIT;
	world_script(w, steps, 1);
	assert_int_equal(graph_send(g, &get, &reply, &e), -1);
	graph_reply_done(&reply);
	assert_int_equal(e.kind, ERR_RIGHTS);
	const char *start =
		"target contoso, mailbox ann@contoso.example: Graph answers 403 ErrorAccessDenied (request-id r-1, "
		"client-request-id ";
	assert_int_equal(strncmp(e.text, start, strlen(start)), 0);
	const char *id = strstr(w->last_head, "client-request-id: ") + strlen("client-request-id: ");
	assert_int_equal(strncmp(e.text + strlen(start), id, 36), 0);
	assert_string_equal(e.server, "no");
	assert_null(strstr(e.text, "token-1"));
	graph_free(&g);
	world_free(&w);
}

/* What only reads is asked again when that may help; what makes something is not. */
static void test_again(void **state)
{
	(void)state;
	static const struct step passing[] = {
		{NULL, 429, "{\"error\":{\"code\":\"ApplicationThrottled\",\"message\":\"x\"}}", "Retry-After: 0\r\n",
			THEN_KEEP, NULL, 0},
		{NULL, 503, NULL, NULL, THEN_KEEP, NULL, 0}, {NULL, 200, NULL, NULL, THEN_DROP, NULL, 0},
		{NULL, 200, NULL, NULL, THEN_DROP, NULL,
			0}, /* curl itself asks a second time where a kept connection died */
		OK};
	static const struct step once[] = {CODE(503, "ErrorServerBusy")};
	static const struct step final[] = {CODE(404, "ErrorItemNotFound")};
	struct graph_world *w = world_new();
	struct graph_conf conf;
	struct graph *g = client(w, &conf, NULL);
	struct graph_reply reply;
	struct err e = ERR_INIT;
	world_script(w, passing, 5);
	assert_int_equal(graph_send(g, &get, &reply, &e), 0);
	graph_reply_done(&reply);
	assert_string_equal(w->complaint, "");
	world_script(w, once, 1);
	assert_int_equal(graph_send(g, &post, &reply, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	graph_reply_done(&reply);
	world_check(w);
	world_script(w, final, 1);
	assert_int_equal(graph_send(g, &get, &reply, &e), -1);
	assert_int_equal(e.kind, ERR_GONE);
	graph_reply_done(&reply);
	world_check(w);
	graph_free(&g);
	world_free(&w);
}

static void test_links(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{"GET /v1.0/x?$skip=10&a=%27 HTTP/1.1\r\n", 200, "{}", NULL, THEN_KEEP, NULL, 0}};
	static const char *const foreign[] = {"https://evil.example/x", "http://127.0.0.1/x", "/v1.0/x", ""};
	struct graph_world *w = world_new();
	struct graph_conf conf;
	struct graph *g = client(w, &conf, NULL);
	struct graph_reply reply;
	struct err e = ERR_INIT;
	char link[200];
	snprintf(link, sizeof(link), "%s/v1.0/x?$skip=10&a=%%27", w->s.url);
	struct graph_request r = {.method = "GET", .link = link};
	world_script(w, steps, 1);
	assert_int_equal(graph_send(g, &r, &reply, &e), 0);
	graph_reply_done(&reply);
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		r.link = foreign[i];
		assert_int_equal(graph_send(g, &r, &reply, &e), -1);
		assert_int_equal(e.kind, ERR_PROTOCOL);
		graph_reply_done(&reply);
	}
	world_check(w);
	graph_free(&g);
	world_free(&w);
}

static void test_stop(void **state)
{
	(void)state;
	struct stop *stop = stop_new(NULL);
	struct graph_world *w = world_new();
	struct graph_conf conf;
	struct graph *g = client(w, &conf, stop);
	struct graph_reply reply;
	struct err e = ERR_INIT;
	static const struct step steps[] = {OK, OK};
	world_script(w, steps, 2);
	/* what is held goes on through a drain, what is not does not begin */
	assert_int_equal(graph_hold(g, 2, 10, &e), 0);
	assert_int_equal(graph_send(g, &post, &reply, &e), 0);
	graph_reply_done(&reply);
	stop_request(stop, STOP_DRAIN);
	assert_int_equal(graph_send(g, &post, &reply, &e), 0);
	graph_reply_done(&reply);
	graph_release(g);
	assert_int_equal(graph_send(g, &post, &reply, &e), -1);
	assert_int_equal(e.kind, ERR_STOPPED);
	assert_false(reply.maybe_done);
	graph_reply_done(&reply);
	world_check(w);
	graph_free(&g);
	stop_free(&stop);
	world_free(&w);
}

/* Without a gate it has one of its own: a request needs a permit. */
static void test_own_gate(void **state)
{
	(void)state;
	static const struct step steps[] = {OK};
	struct graph_world *w = world_new();
	struct graph_conf conf;
	struct graph *unused = client(w, &conf, NULL), *g = NULL;
	struct graph_reply reply;
	struct err e = ERR_INIT;
	world_script(w, steps, 1);
	assert_int_equal(graph_new(&g, &conf, NULL, NULL, &e), 0);
	assert_int_equal(graph_send(g, &post, &reply, &e), 0);
	graph_reply_done(&reply);
	world_check(w);
	graph_free(&g);
	graph_free(&unused);
	world_free(&w);
}

/* Permits: what went out, and what the service said about its limits, reaches the scope. */
static void test_gate(void **state)
{
	(void)state;
	struct throttle *throttle = throttle_new();
	struct scope_limits limits = {.in_flight = 4, .requests = 1000, .requests_window_ms = 600000};
	struct scope *scope = scope_open(throttle, NULL, "mailbox", &limits);
	struct gate *gate = gate_new(scope, NULL);
	struct graph_world *w = world_new();
	struct graph_conf conf;
	struct graph *g = client(w, &conf, NULL), *gated = NULL;
	struct graph_reply reply;
	struct err e = ERR_INIT;
	struct scope_view view;
	static const struct step steps[] = {OK, {NULL, 429,
							"{\"error\":{\"code\":\"ApplicationThrottled\",\"message\":"
							"\"Application is over its MailboxConcurrency "
							"limit.\"}}",
							"Retry-After: 600\r\n", THEN_KEEP, NULL, 0}};
	world_script(w, steps, 2);
	gate_set_patience(gate, 1000);
	assert_int_equal(graph_new(&gated, &conf, gate, NULL, &e), 0);
	assert_int_equal(graph_send(gated, &post, &reply, &e), 0);
	graph_reply_done(&reply);
	scope_look(scope, &view);
	assert_false(view.fenced);
	assert_int_equal(view.in_flight, 0);
	assert_int_equal(graph_send(gated, &post, &reply, &e), -1);
	assert_int_equal(e.kind, ERR_THROTTLED);
	assert_int_equal(e.retry_after_ms, 600000);
	graph_reply_done(&reply);
	scope_look(scope, &view);
	assert_true(view.fenced);
	assert_true(view.fenced_ms >
		    250000); /* of what is named, more than its window is believed at the second time only (gate.h) */
	assert_int_equal(view.in_flight, 0);
	assert_non_null(strstr(view.reason, "MailboxConcurrency"));
	assert_int_equal(graph_send(gated, &post, &reply, &e), -1);
	assert_int_equal(e.kind, ERR_DEFERRED);
	graph_reply_done(&reply);
	world_check(w);
	graph_free(&gated);
	graph_free(&g);
	gate_free(&gate);
	scope_close(&scope);
	throttle_free(&throttle);
	world_free(&w);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	unsetenv("https_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("ALL_PROXY");
	unsetenv("all_proxy");
	http_init();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_token_refused),
		cmocka_unit_test(test_error_text),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_own_gate),
		cmocka_unit_test(test_gate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
