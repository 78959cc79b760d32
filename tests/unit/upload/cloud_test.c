#include "upload/cloud.h"

#include "engine/base/err.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_find(void **state)
{
	(void)state;
	assert_string_equal(cloud_find(NULL)->imap_host, "outlook.office365.com");
	assert_string_equal(cloud_find("global")->graph_url, "https://graph.microsoft.com");
	assert_null(cloud_find("moon"));
	size_t n;
	const struct cloud *v = cloud_table(&n);
	for (size_t i = 0; i < n; i++) {
		assert_ptr_equal(cloud_find(v[i].name), &v[i]);
		assert_int_equal(strncmp(v[i].login_url, "https://", 8), 0);
		assert_int_not_equal(v[i].login_url[strlen(v[i].login_url) - 1], '/');
		assert_non_null(strstr(v[i].imap_scope, v[i].imap_host));
		assert_non_null(strstr(v[i].graph_scope, v[i].graph_url));
		assert_int_equal(v[i].has_mime, i == 0);
		struct err e = ERR_INIT;
		assert_int_equal(cloud_check_route(&v[i], "imap", &e), 0);
		assert_int_equal(cloud_check_route(&v[i], "mime", &e), i == 0 ? 0 : -1);
		if (i > 0) {
			assert_int_equal(e.kind, ERR_USAGE);
			assert_non_null(strstr(e.text, v[i].name));
			assert_non_null(strstr(e.hint, "--routes imap"));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_find)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
