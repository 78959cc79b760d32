#include "upload/exosim/jwt.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_base64(void **state)
{
	static const struct {
		const char *in;
		const char *out; /* NULL: refused */
	} rows[] = {{"", ""}, {"YQ", "a"}, {"YWI", "ab"}, {"YWJj", "abc"}, {"-_-_", "\xfb\xff\xbf"}, {"YQ==", NULL},
		{"Y", NULL}, {"YW+j", NULL}, {"YW j", NULL}, {"YW\nj", NULL}};
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		unsigned char *out = jwt_decode(rows[i].in, strlen(rows[i].in), &n);

		if (!rows[i].out != !out)
			fail_msg("%s", rows[i].in);
		if (out) {
			char *again = jwt_encode(out, n);

			assert_int_equal(n, strlen(rows[i].out));
			assert_memory_equal(out, rows[i].out, n);
			assert_string_equal(again, rows[i].in);
			free(again);
		}
		free(out);
	}
	assert_null(jwt_decode_plain("YQ=a", 4, &n));
	assert_null(jwt_decode_plain("YQ", 2, &n));
}

static void test_sign_and_open(void **state)
{
	struct jwt_key key, other;
	json_t *claims = json_pack("{s:s}", "appid", "x"), *back;
	char *token;

	(void)state;
	jwt_key_make(&key);
	jwt_key_make(&other);
	token = jwt_sign(claims, &key);
	back = jwt_open(token, &key);
	assert_true(json_equal(claims, back));
	json_decref(back);
	assert_null(jwt_open(token, &other));
	for (size_t i = 0; token[i]; i++) { /* no octet may be another */
		char was = token[i];

		token[i] = was == 'A' ? 'B' : 'A';
		assert_null(jwt_open(token, &key));
		token[i] = was;
	}
	assert_null(jwt_open("", &key));
	assert_null(jwt_open("a.b", &key));
	assert_null(jwt_open("a.b.c.d", &key));
	free(token);
	json_decref(claims);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_base64), cmocka_unit_test(test_sign_and_open)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
