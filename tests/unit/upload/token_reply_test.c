#include "upload/token_reply.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ERROR_JSON(code) \
	"{\"error\":\"invalid_client\",\"error_description\":\"AADSTS" #code \
	": words.\\r\\nTrace ID: t\",\"error_codes\":[" #code "]}"

static const struct {
	int status;
	const char *body;
	int64_t retry_after_ms;
	enum err_kind kind; /* NONE: a token */
	int64_t life_ms;
	const char *text, *hint; /* that the error holds */
} cases[] = {
	{200, "{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"tok\"}", -1, ERR_NONE, 3599000, NULL,
		NULL},
	{200, "{\"token_type\":\"bearer\",\"expires_in\":\"60\",\"access_token\":\"tok\"}", -1, ERR_NONE, 60000, NULL,
		NULL},
	{200, "{\"expires_in\":999999999999,\"access_token\":\"tok\"}", -1, ERR_NONE, 86400000, NULL, NULL},
	{200, "{\"expires_in\":0,\"access_token\":\"tok\"}", -1, ERR_PROTOCOL, 0, "no life", NULL},
	{200, "{\"expires_in\":-5,\"access_token\":\"tok\"}", -1, ERR_PROTOCOL, 0, "no life", NULL},
	{200, "{\"access_token\":\"tok\"}", -1, ERR_PROTOCOL, 0, "no life", NULL},
	{200, "{\"expires_in\":3599}", -1, ERR_PROTOCOL, 0, "no usable token", NULL},
	{200, "{\"expires_in\":3599,\"access_token\":\"\"}", -1, ERR_PROTOCOL, 0, "no usable token", NULL},
	{200, "{\"expires_in\":3599,\"access_token\":\"a\\r\\nX: y\"}", -1, ERR_PROTOCOL, 0, "no usable token", NULL},
	{200, "{\"expires_in\":3599,\"access_token\":\"a\\u0001\"}", -1, ERR_PROTOCOL, 0, "no usable token", NULL},
	{200, "{\"token_type\":\"mac\",\"expires_in\":3599,\"access_token\":\"tok\"}", -1, ERR_PROTOCOL, 0,
		"not a bearer", NULL},
	{200, "<html>", -1, ERR_PROTOCOL, 0, "not one of a token endpoint", NULL},
	{200, "[]", -1, ERR_PROTOCOL, 0, "not one of a token endpoint", NULL},
	{200, "", -1, ERR_PROTOCOL, 0, "not one of a token endpoint", NULL},
	{302, "", -1, ERR_PROTOCOL, 0, "redirects", NULL},
	{404, "nothing", -1, ERR_PROTOCOL, 0, "status 404", NULL},
	{401, ERROR_JSON(7000215), -1, ERR_CREDENTIALS, 0, "AADSTS7000215", "Secret ID"},
	{401, ERROR_JSON(7000222), -1, ERR_CREDENTIALS, 0, "AADSTS7000222", "expired"},
	{400, ERROR_JSON(700016), -1, ERR_CREDENTIALS, 0, "AADSTS700016", "client id"},
	{400, ERROR_JSON(90002), -1, ERR_CREDENTIALS, 0, "AADSTS90002", "tenant"},
	{401, ERROR_JSON(700027), -1, ERR_CREDENTIALS, 0, "AADSTS700027", "certificate"},
	{400, ERROR_JSON(65001), -1, ERR_CREDENTIALS, 0, "AADSTS65001", "consent"},
	{401, ERROR_JSON(7000112), -1, ERR_CREDENTIALS, 0, "AADSTS7000112", "disabled"},
	{400, ERROR_JSON(123456), -1, ERR_CREDENTIALS, 0, "AADSTS123456", ""},
	{400, ERROR_JSON(90033), -1, ERR_BUSY, 0, "AADSTS90033", NULL},
	{400, "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: x\"}", -1, ERR_CREDENTIALS, 0,
		"AADSTS7000215", "Secret"},
	{400, "{\"error\":\"temporarily_unavailable\"}", 5000, ERR_BUSY, 0, "temporarily", NULL},
	{400, "{\"error\":5}", -1, ERR_PROTOCOL, 0, "status 400", NULL},
	{429, "", 30000, ERR_THROTTLED, 0, "throttles", NULL},
	{429, ERROR_JSON(50196), 1000, ERR_THROTTLED, 0, "throttles", NULL},
	{503, "", -1, ERR_BUSY, 0, "503", NULL},
	{500, ERROR_JSON(7000215), 7000, ERR_BUSY, 0, "500", NULL},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = ERR_INIT;
		struct secret *token = NULL;
		int64_t life;
		int rc = token_reply_read(cases[i].status, cases[i].body, strlen(cases[i].body),
			cases[i].retry_after_ms, &token, &life, &e);
		print_message("%zu: %s | %s | %s\n", i, e.text, e.server, e.hint);
		assert_int_equal(rc, cases[i].kind == ERR_NONE ? 0 : -1);
		assert_int_equal(e.kind, cases[i].kind);
		assert_int_equal(life, cases[i].life_ms);
		if (rc == 0) {
			assert_string_equal(secret_bytes(token), "tok");
			secret_free(&token);
			continue;
		}
		assert_null(token);
		assert_int_equal(e.retry_after_ms, cases[i].retry_after_ms);
		assert_non_null(strstr(e.text, cases[i].text));
		assert_non_null(strstr(e.hint, cases[i].hint ? cases[i].hint : ""));
		assert_null(strstr(e.server, "Trace ID"));
	}
}

static void test_caps(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct secret *token = NULL;
	int64_t life;
	char *big = malloc(TOKEN_REPLY_CAP + 100);
	size_t n = (size_t)snprintf(big, 100, "{\"expires_in\":60,\"access_token\":\"");
	memset(big + n, 'a', TOKEN_REPLY_CAP);
	memcpy(big + 40000, "\"}", 3);
	assert_int_equal(token_reply_read(200, big, 40002, -1, &token, &life, &e), -1);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	memcpy(big + 30000, "\"}", 3);
	assert_int_equal(token_reply_read(200, big, 30002, -1, &token, &life, &e), 0);
	secret_free(&token);
	assert_int_equal(token_reply_read(200, big, TOKEN_REPLY_CAP + 1, -1, &token, &life, &e), -1);
	assert_int_equal(token_reply_read(200, NULL, 0, -1, &token, &life, &e), -1);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_caps)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
