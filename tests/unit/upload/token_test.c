#define _GNU_SOURCE
#include "upload/token.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "upload/http.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/upload/tls_server.h"

#define SECRET "s3cr&t=+/ \xc3\xbc"
#define SECRET_ENCODED "client_secret=s3cr%26t%3D%2B%2F%20%C3%BC"

struct script {
	_Atomic int life_s; /* of the tokens given out; 0: refuse with answer */
	const char *answer; /* instead of a token */
	struct stop *stop;  /* asked for NOW when a request comes */
	char body[20000];   /* of the last request */
	char text[400];
};

static struct reply tokens(struct tls_server *s, const struct seen *r)
{
	struct script *sc = s->arg;
	char json[200];
	snprintf(sc->body, sizeof(sc->body), "%s", r->body);
	if (sc->stop) {
		stop_request(sc->stop, STOP_NOW);
		return (struct reply){NULL, THEN_HANG};
	}
	if (sc->life_s == 0)
		return (struct reply){sc->answer, THEN_CLOSE};
	snprintf(json, sizeof(json), "{\"token_type\":\"Bearer\",\"expires_in\":%d,\"access_token\":\"token-%u\"}",
		sc->life_s, r->number);
	snprintf(sc->text, sizeof(sc->text), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(json), json);
	return (struct reply){sc->text, THEN_CLOSE};
}

static void begin(struct tls_server *s, struct script *sc, struct token **t)
{
	struct err e = ERR_INIT;
	memset(s, 0, sizeof(*s));
	s->handler = tokens;
	s->arg = sc;
	tls_server_start(s, "IP:127.0.0.1");
	struct secret *secret = secret_new(SECRET, strlen(SECRET));
	struct token_conf conf = {.login_url = s->url,
		.tenant = "contoso.example",
		.client_id = "app-1",
		.scope = "https://x/.default",
		.client_secret = secret,
		.ca_file = s->ca_path};
	assert_int_equal(token_new(t, &conf, &e), 0);
	secret_free(&secret);
}

static void expect_token(struct token *t, const struct secret *refused, const char *want)
{
	struct err e = ERR_INIT;
	struct secret *got = NULL;
	if (token_get(t, refused, NULL, &got, &e))
		fail_msg("%s", e.text);
	assert_string_equal(secret_bytes(got), want);
	secret_free(&got);
}

static void test_request_and_cache(void **state)
{
	(void)state;
	struct tls_server s;
	struct script sc = {.life_s = 3600};
	struct token *t = NULL;
	begin(&s, &sc, &t);
	assert_int_equal(token_expires_at(t), 0);
	for (int i = 0; i < 3; i++)
		expect_token(t, NULL, "token-1");
	assert_non_null(
		strstr(sc.body, "client_id=app-1&scope=https%3A%2F%2Fx%2F.default&grant_type=client_credentials"));
	assert_non_null(strstr(sc.body, SECRET_ENCODED));
	int64_t left = token_expires_at(t) - clock_wall_s();
	assert_true(left > 3590 && left <= 3600);
	token_free(&t);
	tls_server_stop(&s);
}

static void test_refused(void **state)
{
	(void)state;
	struct tls_server s;
	struct script sc = {.life_s = 3600};
	struct token *t = NULL;
	begin(&s, &sc, &t);
	expect_token(t, NULL, "token-1");
	struct secret *first = secret_new("token-1", 7), *other = secret_new("token-0", 7);
	expect_token(t, other, "token-1"); /* another thread has renewed already */
	expect_token(t, first, "token-2");
	expect_token(t, first, "token-2");
	assert_int_equal(atomic_load(&s.requests), 2);
	secret_free(&first);
	secret_free(&other);
	token_free(&t);
	tls_server_stop(&s);
}

/* A life under two minutes: the fresh one is given out all the same, and the next call makes another. */
static void test_short_life(void **state)
{
	(void)state;
	struct tls_server s;
	struct script sc = {.life_s = 60};
	struct token *t = NULL;
	begin(&s, &sc, &t);
	expect_token(t, NULL, "token-1");
	expect_token(t, NULL, "token-2");
	sc.life_s = 121; /* 80 % of it would leave less than two minutes */
	expect_token(t, NULL, "token-3");
	expect_token(t, NULL, "token-3");
	token_free(&t);
	tls_server_stop(&s);
}

static void *get_one(void *arg)
{
	expect_token(arg, NULL, "token-1");
	return NULL;
}

static void test_one_renewal_for_all(void **state)
{
	(void)state;
	struct tls_server s;
	struct script sc = {.life_s = 3600};
	struct token *t = NULL;
	pthread_t threads[8];
	begin(&s, &sc, &t);
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, get_one, t);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&s.requests), 1);
	token_free(&t);
	tls_server_stop(&s);
}

static void test_errors(void **state)
{
	(void)state;
	struct tls_server s;
	struct script sc = {.answer = "HTTP/1.1 401 Unauthorized\r\nContent-Type: "
				      "application/json\r\n\r\n{\"error\":\"invalid_client\","
				      "\"error_description\":\"AADSTS7000215: Invalid client secret provided.\"}"};
	struct token *t = NULL;
	struct err e = ERR_INIT;
	struct secret *got = NULL;
	begin(&s, &sc, &t);
	assert_int_equal(token_get(t, NULL, NULL, &got, &e), -1);
	assert_int_equal(e.kind, ERR_CREDENTIALS);
	assert_non_null(strstr(e.text, "app-1"));
	assert_non_null(strstr(e.text, "AADSTS7000215"));
	assert_non_null(strstr(e.hint, "Secret ID"));
	sc.answer = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 17\r\n\r\n";
	assert_int_equal(token_get(t, NULL, NULL, &got, &e), -1);
	assert_int_equal(e.kind, ERR_THROTTLED);
	assert_int_equal(e.retry_after_ms, 17000);
	sc.answer = "HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/\r\n\r\n";
	assert_int_equal(token_get(t, NULL, NULL, &got, &e), -1);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	sc.life_s = 3600; /* and it recovers */
	expect_token(t, NULL, "token-4");
	assert_null(got);
	token_free(&t);
	tls_server_stop(&s);
}

static void test_stop(void **state)
{
	(void)state;
	struct tls_server s;
	struct stop *stop = stop_new(NULL);
	struct script sc = {.stop = stop};
	struct token *t = NULL;
	struct err e = ERR_INIT;
	struct secret *got = NULL;
	begin(&s, &sc, &t);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(token_get(t, NULL, stop, &got, &e), -1);
		assert_int_equal(e.kind, ERR_STOPPED);
	}
	assert_int_equal(atomic_load(&s.requests), 1);
	token_free(&t);
	tls_server_stop(&s);
	stop_free(&stop); /* the server's thread was the one that asked */
}

static void test_conf(void **state)
{
	(void)state;
	struct secret *secret = secret_new("x", 1);
	static const struct {
		const char *login, *tenant, *client, *scope;
		bool has_secret;
	} bad[] = {
		{NULL, "a/../b", "c", "s", true},
		{NULL, "a?b", "c", "s", true},
		{NULL, "", "c", "s", true},
		{NULL, NULL, "c", "s", true},
		{NULL, "t", "c&d", "s", true},
		{NULL, "t", "c", NULL, true},
		{"http://x", "t", "c", "s", true},
		{NULL, "t", "c", "s", false},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct token *t = NULL;
		struct err e = ERR_INIT;
		struct token_conf conf = {.login_url = bad[i].login,
			.tenant = bad[i].tenant,
			.client_id = bad[i].client,
			.scope = bad[i].scope,
			.client_secret = bad[i].has_secret ? secret : NULL};
		assert_int_equal(token_new(&t, &conf, &e), -1);
		assert_int_equal(e.kind, ERR_USAGE);
		assert_null(t);
	}
	secret_free(&secret);
}

static char log_path[] = "/tmp/nf-log-XXXXXX";

/* After all others: nothing that was logged on the way, at the most talkative level, holds a secret or a token. */
static void test_log(void **state)
{
	(void)state;
	log_done();
	FILE *f = fopen(log_path, "r");
	static char text[200000];
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	assert_true(n > 1000);
	assert_non_null(strstr(text, "/contoso.example/oauth2/v2.0/token"));
	assert_null(strstr(text, "s3cr"));
	assert_null(strstr(text, "token-"));
}

int main(void)
{
	struct err e = ERR_INIT;
	signal(SIGPIPE, SIG_IGN);
	unsetenv("https_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("ALL_PROXY");
	unsetenv("all_proxy");
	http_init();
	close(mkstemp(log_path));
	if (log_init(log_path, LOG_DEBUG, false, &e))
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_and_cache),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_short_life),
		cmocka_unit_test(test_one_renewal_for_all),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_conf),
		cmocka_unit_test(test_log),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(log_path);
	return rc;
}
