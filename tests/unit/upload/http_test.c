#define _GNU_SOURCE
#include "upload/http.h"

#include "engine/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/upload/http_scene.h"

#define OK_TEXT "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct spool *filled(uint64_t n)
{
	struct spool *s = NULL;
	struct err e = ERR_INIT;
	assert_int_equal(spool_new(&s, "/tmp", n, &e), 0);
	for (uint64_t i = 0; i < n; i++) {
		char c = (char)(i * 31 + i / 251);
		assert_int_equal(spool_write(s, &c, 1, &e), 0);
	}
	return s;
}

/* --- what is sent --- */

static struct seen last; /* of the server's thread; read after the answer came */

static struct reply keep_it(struct tls_server *s, const struct seen *r)
{
	(void)s;
	free(last.body);
	last = *r;
	last.body = malloc(r->body_len + 1);
	memcpy(last.body, r->body, r->body_len + 1);
	return (struct reply){
		"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nrequest-id: abc-1\r\nRetry-After: 7\r\n\r\nok",
		THEN_KEEP};
}

static void test_request(void **state)
{
	(void)state;
	struct tls_server s;
	start(&s, keep_it);
	struct http *h = client(&s, NULL);
	struct secret *bearer = secret_new("t0ken", 5);
	static const char *const headers[] = {"Prefer: IdType=\"ImmutableId\"", NULL};
	char url[200];
	snprintf(url, sizeof(url), "%s/a/b?authtoken=hidden", s.url);
	struct {
		struct request r;
		const char *line, *holds, *lacks;
	} cases[] = {
		{{.method = "GET", .url = url}, "GET /a/b?authtoken=hidden HTTP/1.1\r\n",
			"client-request-id: ", "Authorization"},
		{{.method = "GET", .url = url, .bearer = bearer}, "GET ", "Authorization: Bearer t0ken\r\n",
			"Content-Length"},
		{{.method = "POST", .url = url, .content_type = "text/plain", .body = "hello", .body_len = 5}, "POST ",
			"Content-Type: text/plain\r\n", "Authorization"},
		{{.method = "POST", .url = url, .bearer = bearer}, "POST ", "Content-Length: 0\r\n", "Content-Type"},
		{{.method = "PATCH",
			 .url = url,
			 .headers = headers,
			 .content_type = "application/json",
			 .body = "{}",
			 .body_len = 2},
			"PATCH ", "Prefer: IdType=\"ImmutableId\"\r\n", "Expect"},
		{{.method = "PUT", .url = url, .content_type = "application/octet-stream", .body = "", .body_len = 0},
			"PUT ", "Content-Length: 0\r\n", "Transfer-Encoding"},
		{{.method = "DELETE", .url = url}, "DELETE ", "User-Agent: nightferry", "Content-Length"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct response out;
		struct err e = ERR_INIT;
		if (http_send(h, &cases[i].r, a_permit(), &out, &e))
			fail_msg("%zu: %s", i, e.text);
		assert_int_equal(out.status, 201);
		assert_string_equal(buf_str(&out.body), "ok");
		assert_string_equal(out.request_id, "abc-1");
		assert_int_equal(strlen(out.client_request_id), 36);
		assert_non_null(strstr(last.head, out.client_request_id));
		assert_int_equal(out.retry_after_ms, 7000);
		assert_true(out.body_sent);
		assert_int_equal(out.sent_bytes, cases[i].r.body_len);
		assert_int_equal(strncmp(last.head, cases[i].line, strlen(cases[i].line)), 0);
		if (!strstr(last.head, cases[i].holds) || strstr(last.head, cases[i].lacks))
			fail_msg("%zu: %s", i, last.head);
		assert_int_equal(last.body_len, cases[i].r.body_len);
		if (cases[i].r.body_len)
			assert_memory_equal(last.body, cases[i].r.body, last.body_len);
		response_done(&out);
	}
	assert_int_equal(atomic_load(&s.connections), 1); /* kept */
	secret_free(&bearer);
	http_free(&h);
	tls_server_stop(&s);
}

static void test_spool(void **state)
{
	(void)state;
	struct tls_server s;
	start(&s, keep_it);
	struct http *h = client(&s, NULL);
	static const uint64_t sizes[] = {0, 1, 2, 3, 12287, 12288, 12289, 700001};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct spool *body = filled(sizes[i]);
		for (int base64 = 0; base64 < 2; base64++) {
			struct request r = {.method = "POST",
				.url = s.url,
				.content_type = "text/plain",
				.spool = body,
				.base64 = base64};
			struct response out;
			struct err e = ERR_INIT;
			assert_int_equal(http_send(h, &r, a_permit(), &out, &e), 0);
			uint64_t length = base64 ? (sizes[i] + 2) / 3 * 4 : sizes[i];
			assert_int_equal(last.body_len, length);
			assert_int_equal(out.sent_bytes, length);
			unsigned char *want = calloc(1, (size_t)length + 4), *raw = calloc(1, (size_t)sizes[i] + 1);
			size_t got, have = 0;
			while (spool_read(body, have, raw + have, (size_t)sizes[i] - have, &got, &e) == 0 && got > 0)
				have += got;
			if (base64)
				EVP_EncodeBlock(want, raw, (int)sizes[i]);
			assert_memory_equal(last.body, base64 ? want : raw, (size_t)length);
			free(want);
			free(raw);
			response_done(&out);
		}
		spool_free(&body);
	}
	http_free(&h);
	tls_server_stop(&s);
}

/* --- an answer that does not come --- */

/* The first request of a connection is answered, the next one read in full (committed, perhaps) and dropped. */
static struct reply drop_second(struct tls_server *s, const struct seen *r)
{
	(void)s;
	return (struct reply){OK_TEXT, r->number == 1 ? THEN_KEEP : r->number == 2 ? THEN_DROP : THEN_KEEP};
}

/* curl would send it again on a new connection; for a message that would be a second copy. */
static void test_no_second_copy(void **state)
{
	(void)state;
	static const uint64_t sizes[] = {10, 700001};
	for (size_t i = 0; i < 2; i++) {
		struct tls_server s;
		start(&s, drop_second);
		struct http *h = client(&s, NULL);
		struct spool *body = filled(sizes[i]);
		struct request r = {
			.method = "POST", .url = s.url, .content_type = "text/plain", .spool = body, .base64 = true};
		struct response out;
		struct err e = ERR_INIT;
		assert_int_equal(http_send(h, &r, a_permit(), &out, &e), 0);
		response_done(&out);
		assert_int_equal(http_send(h, &r, a_permit(), &out, &e), -1);
		assert_int_equal(e.kind, ERR_LOST);
		assert_true(out.body_sent);
		response_done(&out);
		assert_int_equal(atomic_load(&s.requests), 2);
		/* and the next goes through */
		assert_int_equal(http_send(h, &r, a_permit(), &out, &e), 0);
		response_done(&out);
		assert_int_equal(atomic_load(&s.requests), 3);
		spool_free(&body);
		http_free(&h);
		tls_server_stop(&s);
	}
}

/* A GET has no effect and may go again by itself. */
static void test_get_again(void **state)
{
	(void)state;
	struct tls_server s;
	start(&s, drop_second);
	struct http *h = client(&s, NULL);
	struct request r = {.method = "GET", .url = s.url};
	struct response out;
	struct err e = ERR_INIT;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(http_send(h, &r, NULL, &out, &e), 0);
		response_done(&out);
	}
	assert_int_equal(atomic_load(&s.requests), 3);
	http_free(&h);
	tls_server_stop(&s);
}

static void test_lost_in_the_middle(void **state)
{
	(void)state;
	struct tls_server s;
	start(&s, keep_it);
	s.stop_reading = 1000000;
	struct http *h = client(&s, NULL);
	char *big = calloc(1, 30000000);
	struct request r = {
		.method = "POST", .url = s.url, .content_type = "text/plain", .body = big, .body_len = 30000000};
	struct response out;
	struct err e = ERR_INIT;
	assert_int_equal(http_send(h, &r, a_permit(), &out, &e), -1);
	assert_int_equal(e.kind, ERR_LOST);
	assert_false(out.body_sent);
	response_done(&out);
	free(big);
	http_free(&h);
	tls_server_stop(&s);
}

static struct reply hang(struct tls_server *s, const struct seen *r)
{
	(void)r;
	stop_request(s->arg, STOP_NOW);
	return (struct reply){NULL, THEN_HANG};
}

static void test_stop(void **state)
{
	(void)state;
	struct tls_server s;
	struct stop *stop = stop_new(NULL);
	start(&s, hang);
	s.arg = stop;
	struct http *h = client(&s, stop);
	struct request r = {.method = "POST", .url = s.url, .content_type = "text/plain", .body = "x", .body_len = 1};
	struct response out;
	struct err e = ERR_INIT;
	int64_t begun = clock_mono_ms();
	assert_int_equal(http_send(h, &r, a_permit(), &out, &e), -1);
	assert_int_equal(e.kind, ERR_STOPPED);
	assert_true(out.body_sent);
	assert_true(clock_mono_ms() - begun < 60000); /* the silence alone would last two minutes */
	response_done(&out);
	http_free(&h);
	tls_server_stop(&s);
	stop_free(&stop); /* the server's thread was the one that asked */
}

static struct reply hang_only(struct tls_server *s, const struct seen *r)
{
	(void)s, (void)r;
	return (struct reply){NULL, THEN_HANG};
}

static void test_silence(void **state)
{
	(void)state;
	struct tls_server s;
	start(&s, hang_only);
	struct http *h = NULL;
	struct err e = ERR_INIT;
	struct http_conf conf = {.ca_file = s.ca_path, .silence_ms = 1000};
	assert_int_equal(http_new(&h, &conf, NULL, &e), 0);
	struct request r = {.method = "POST", .url = s.url, .content_type = "text/plain", .body = "x", .body_len = 1};
	struct response out;
	assert_int_equal(http_send(h, &r, a_permit(), &out, &e), -1);
	assert_int_equal(e.kind, ERR_LOST);
	assert_non_null(strstr(e.text, "silent"));
	assert_true(out.body_sent);
	response_done(&out);
	http_free(&h);
	tls_server_stop(&s);
}

/* --- no connection --- */

static void expect_kind(const struct tls_server *s, const char *ca, const char *url, enum err_kind kind)
{
	struct http *h = NULL;
	struct http_conf conf = {.ca_file = ca ? ca : s->ca_path, .connect_ms = 5000};
	struct request r = {.method = "POST", .url = url, .content_type = "text/plain", .body = "x", .body_len = 1};
	struct response out;
	struct err e = ERR_INIT;
	assert_int_equal(http_new(&h, &conf, NULL, &e), 0);
	assert_int_equal(http_send(h, &r, a_permit(), &out, &e), -1);
	print_message("%s: %s (%s)\n", err_kind_name(e.kind), e.text, e.hint);
	assert_int_equal(e.kind, kind);
	assert_false(out.body_sent);
	assert_null(strstr(e.text, "hidden"));
	response_done(&out);
	http_free(&h);
}

static void test_no_connection(void **state)
{
	(void)state;
	struct tls_server s, other, plain;
	char url[200];
	start(&s, keep_it);
	start(&other, keep_it);
	start(&plain, keep_it);
	plain.plain = true;
	expect_kind(&s, other.ca_path, s.url, ERR_CERTIFICATE);
	expect_kind(&s, "/nonexistent/ca.pem", s.url, ERR_USAGE);
	snprintf(url, sizeof(url), "https://localhost:%u/?authtoken=hidden", s.port);
	expect_kind(&s, NULL, url, ERR_CERTIFICATE); /* the certificate names 127.0.0.1 only */
	expect_kind(&plain, NULL, plain.url, ERR_TLS);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/?authtoken=hidden", s.port);
	expect_kind(&s, NULL, url, ERR_USAGE);
	expect_kind(&s, NULL, "https://[bad?hidden", ERR_USAGE);
	expect_kind(&s, NULL, "file:///etc/passwd", ERR_USAGE);
	tls_server_stop(&other);
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/?authtoken=hidden", other.port);
	expect_kind(&s, NULL, url, ERR_FIREWALL);
	assert_int_equal(atomic_load(&s.requests), 0);
	tls_server_stop(&s);
	tls_server_stop(&plain);
}

int main(void)
{
	http_begin();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_spool),
		cmocka_unit_test(test_no_second_copy),
		cmocka_unit_test(test_get_again),
		cmocka_unit_test(test_lost_in_the_middle),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_no_connection),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	free(last.body);
	return rc;
}
