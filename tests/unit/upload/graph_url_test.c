#include "upload/graph_url.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define BASE "https://graph.example"

static const struct {
	const char *template, *args[3], *expect; /* NULL: refused */
} formats[] = {
	{"/v1.0/me", {NULL}, BASE "/v1.0/me"},
	{"/u/{}/x", {"ann@a.example"}, BASE "/u/ann%40a.example/x"},
	{"/u/{}/{}", {"A-b_c.d~9", "AAMk/+="}, BASE "/u/A-b_c.d~9/AAMk%2F%2B%3D"},
	{"/u/{}", {"../../admin?x#y"}, BASE "/u/..%2F..%2Fadmin%3Fx%23y"},
	{"/u/{}", {"a\r\nHost: b"}, BASE "/u/a%0D%0AHost%3A%20b"},
	{"/u/{}", {"\xc3\xa4'{}"}, BASE "/u/%C3%A4%27%7B%7D"},
	{"/m?$filter=id%20eq%20{q}&$top=2", {"<a'b@c>"}, BASE "/m?$filter=id%20eq%20%27%3Ca%27%27b%40c%3E%27&$top=2"},
	{"/m?$filter=id eq {q}", {""}, BASE "/m?$filter=id eq %27%27"},
	{"/m?{q}", {"' or 1 eq 1 or '&$top=9"}, BASE "/m?%27%27%27%20or%201%20eq%201%20or%20%27%27%26%24top%3D9%27"},
	{"/u/{}", {""}, NULL},
	{"/u/{}", {"."}, NULL},
	{"/u/{}", {".."}, NULL},
	{"/u/{}", {"..."}, BASE "/u/..."},
	{"/u/{}/{}", {"only one"}, NULL},
};

static void test_format(void **state)
{
	(void)state;
	struct buf url;
	buf_init(&url, GRAPH_URL_CAP);
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct err e = ERR_INIT;
		int rc = graph_url_format(&url, BASE, formats[i].template, formats[i].args, &e);
		if (rc != (formats[i].expect ? 0 : -1) || (rc == 0 && strcmp(buf_str(&url), formats[i].expect) != 0))
			fail_msg("%s: %d %s %s", formats[i].template, rc, buf_str(&url), e.text);
		assert_true(rc == 0 || e.kind != ERR_NONE);
	}
	char *giant = calloc(1, GRAPH_URL_CAP + 1);
	memset(giant, 'x', GRAPH_URL_CAP);
	const char *args[] = {giant, NULL};
	struct err e = ERR_INIT;
	assert_int_equal(graph_url_format(&url, BASE, "/{}", args, &e), -1);
	assert_int_equal(e.kind, ERR_MEMORY);
	free(giant);
	buf_done(&url);
}

static const struct {
	const char *base, *link;
	bool ours;
} links[] = {
	{BASE, BASE "/v1.0/x?$skip=10", true},
	{BASE, "HTTPS://Graph.Example/v1.0/x", true},
	{BASE, "https://graph.example:443/v1.0/x", true},
	{BASE, "https://graph.example:444/v1.0/x", false},
	{"https://127.0.0.1:8443", "https://127.0.0.1:8443/v1.0", true},
	{"https://127.0.0.1:8443", "https://127.0.0.1:443/v1.0", false},
	{"https://127.0.0.1:8443", "https://127.0.0.1:84433/v1.0", false},
	{"https://127.0.0.1:8443", "https://127.0.0.1/v1.0", false},
	{BASE, "http://graph.example/v1.0", false},
	{BASE, "https://graph.example.evil.example/v1.0", false},
	{BASE, "https://graph.example@evil.example/", false},
	{BASE, "https://graph.example\\@evil.example/", false},
	{BASE, "https://evil.example/https://graph.example/", false},
	{BASE, "/v1.0/users", false},
	{BASE, "//evil.example/", false},
	{BASE, "https://graph.example", false},
	{BASE, "https://graph.example/a b", false},
	{BASE, "https://graph.example/a\r\nX: y", false},
	{BASE, "https://graph.example/a#b", false},
	{BASE, "https://graph.example/\xc3\xa4", false},
	{BASE, "", false},
};

static void test_links(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		if (graph_url_is_ours(links[i].base, links[i].link) != links[i].ours)
			fail_msg("%s from %s", links[i].link, links[i].base);
	}
	char *giant = calloc(1, 10001);
	memset(giant, 'x', 10000);
	memcpy(giant, BASE "/", strlen(BASE "/"));
	assert_false(graph_url_is_ours(BASE, giant));
	free(giant);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_format), cmocka_unit_test(test_links)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
