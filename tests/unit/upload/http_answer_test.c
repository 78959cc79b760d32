#define _GNU_SOURCE
#include "upload/http.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/upload/http_scene.h"

/* --- answers that are wrong --- */

static char *big_answer;

static struct reply answer_big(struct tls_server *s, const struct seen *r)
{
	(void)s;
	if (strstr(r->head, "/headers"))
		return (struct reply){big_answer + 100, THEN_CLOSE};
	if (strstr(r->head, "/redirect"))
		return (struct reply){"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/\r\nConnection: close\r\n"
				      "Content-Length: 0\r\n\r\n",
			THEN_CLOSE};
	if (strstr(r->head, "/early"))
		return (struct reply){
			"HTTP/1.1 429 Too Many\r\nRetry-After: 0\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
			THEN_CLOSE};
	if (strstr(r->head, "/words"))
		return (struct reply){
			"HTTP/1.1 404 Not\r\nConnection: close\r\nContent-Length: 4\r\n\r\ngone", THEN_CLOSE};
	if (strstr(r->head, "/garbage"))
		return (struct reply){"* OK IMAP4 ready\r\n", THEN_CLOSE};
	return (struct reply){big_answer, THEN_CLOSE};
}

static void test_answers(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		enum err_kind kind;
		int status;
		int64_t retry;
	} cases[] = {
		{"/body", ERR_PROTOCOL, 0, -1},
		{"/headers", ERR_PROTOCOL, 0, -1},
		{"/redirect", ERR_NONE, 302, -1},
		{"/early", ERR_NONE, 429, 0},
		{"/garbage", ERR_PROTOCOL, 0, -1},
	};
	struct tls_server s;
	big_answer = calloc(1, 400000);
	memset(big_answer, 'x', 399999);
	memcpy(big_answer, "HTTP/1.1 200 OK\r\n\r\n", 19);
	memcpy(big_answer + 100, "HTTP/1.1 200 OK\r\n", 17);
	for (size_t i = 117; i < 399000; i += 100)
		memcpy(big_answer + i, "\r\nX: ", 5);
	start(&s, answer_big);
	struct http *h = client(&s, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char url[200];
		snprintf(url, sizeof(url), "%s%s", s.url, cases[i].path);
		struct request r = {.method = "POST",
			.url = url,
			.content_type = "text/plain",
			.body = "x",
			.body_len = 1,
			.answer_cap = 10000};
		struct response out;
		struct err e = ERR_INIT;
		int rc = http_send(h, &r, a_permit(), &out, &e);
		if (rc != (cases[i].kind == ERR_NONE ? 0 : -1) || e.kind != cases[i].kind ||
			out.status != cases[i].status || out.retry_after_ms != cases[i].retry)
			fail_msg("%s: %d %s %d %lld %s", cases[i].path, rc, err_kind_name(e.kind), out.status,
				(long long)out.retry_after_ms, e.text);
		assert_true(out.body.len <= 10000);
		response_done(&out);
	}
	http_free(&h);
	tls_server_stop(&s);
	free(big_answer);
}

/* A body of 200 goes into a spool, up to its cap; that of another answer does not. */
static void test_into_spool(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		uint64_t cap;
		enum err_kind kind;
		uint64_t spooled;
		size_t in_response;
	} cases[] = {
		{"/body", 400000, ERR_NONE, 400000 - 1 - 19, 0},
		{"/body", 399980, ERR_NONE, 399980, 0},
		{"/body", 399979, ERR_PROTOCOL, 0, 0},
		{"/early", 400000, ERR_NONE, 0, 0},
		{"/words", 400000, ERR_NONE, 0, 4},
	};
	struct tls_server s;
	big_answer = calloc(1, 400000);
	memset(big_answer, 'x', 399999);
	memcpy(big_answer, "HTTP/1.1 200 OK\r\n\r\n", 19);
	start(&s, answer_big);
	struct http *h = client(&s, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char url[200];
		struct err e = ERR_INIT;
		struct response out;
		struct request r = {.method = "GET", .url = url, .into_cap = cases[i].cap};
		snprintf(url, sizeof(url), "%s%s", s.url, cases[i].path);
		assert_int_equal(spool_new(&r.into, "/tmp", 0, &e), 0);
		int rc = http_send(h, &r, NULL, &out, &e);
		if (rc != (cases[i].kind == ERR_NONE ? 0 : -1) || e.kind != cases[i].kind)
			fail_msg("%zu: %d %s", i, rc, e.text);
		if (rc == 0)
			assert_int_equal(spool_size(r.into), cases[i].spooled);
		assert_int_equal(out.body.len, cases[i].in_response);
		response_done(&out);
		spool_free(&r.into);
	}
	http_free(&h);
	tls_server_stop(&s);
	free(big_answer);
}

static void test_retry_after(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		int64_t ms;
	} cases[] = {
		{"0", 0},
		{"30", 30000},
		{" 30 ", 30000},
		{"99999999999999999999", 604800000},
		{"604801", 604800000},
		{"-1", -1},
		{"", -1},
		{"soon", -1},
		{"30x", -1},
		{"1.5", -1},
		{"Thu, 01 Jan 1970 00:02:00 GMT", 20000}, /* now is 100 s */
		{"Thu, 01 Jan 1970 00:01:00 GMT", 0},
		{"Fri, 01 Jan 2100 00:01:00 GMT", 604800000},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t ms = http_parse_retry_after(cases[i].value, 100);
		if (ms != cases[i].ms)
			fail_msg("\"%s\": %lld", cases[i].value, (long long)ms);
	}
}

int main(void)
{
	http_begin();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_into_spool),
		cmocka_unit_test(test_retry_after),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
