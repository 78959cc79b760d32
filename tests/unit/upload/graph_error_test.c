#include "upload/graph_error.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ERROR(code, message) "{\"error\":{\"code\":\"" code "\",\"message\":\"" message "\"}}"
#define INSIDE(code, inner) \
	"{\"error\":{\"code\":\"" code "\",\"message\":\"x\",\"innerError\":{\"code\":\"" inner "\"}}}"

static const struct {
	int status;
	const char *body;
	enum err_kind kind;
	bool maybe;
	enum dimension dimension;
} cases[] = {
	/* by code */
	{401, ERROR("InvalidAuthenticationToken", "expired"), ERR_CREDENTIALS, false, DIM_NONE},
	{403, ERROR("ErrorAccessDenied", "no"), ERR_RIGHTS, false, DIM_NONE},
	{403, ERROR("Authorization_RequestDenied", "no"), ERR_RIGHTS, false, DIM_NONE},
	{404, ERROR("ErrorItemNotFound", "no"), ERR_GONE, false, DIM_NONE},
	{400, ERROR("ErrorInvalidIdMalformed", "no"), ERR_GONE, false, DIM_NONE},
	{404, ERROR("MailboxNotEnabledForRESTAPI", "no"), ERR_MAILBOX, false, DIM_NONE},
	{404, ERROR("ErrorInvalidUser", "no"), ERR_MAILBOX, false, DIM_NONE},
	{404, ERROR("Request_ResourceNotFound", "no"), ERR_MAILBOX, false, DIM_NONE},
	{409, ERROR("ErrorFolderExists", "there"), ERR_CONFLICT, false, DIM_NONE},
	{413, ERROR("ErrorMessageSizeExceeded", "big"), ERR_TOO_BIG, false, DIM_NONE},
	{400, ERROR("ErrorMimeContentInvalidBase64String", "b"), ERR_PROTOCOL, false, DIM_NONE},
	{400, ERROR("ErrorMimeContentInvalid", "b"), ERR_MESSAGE, false, DIM_NONE},
	{500, ERROR("ErrorCorruptData", "b"), ERR_MESSAGE, false, DIM_NONE},
	{507, ERROR("ErrorQuotaExceeded", "full"), ERR_QUOTA, false, DIM_NONE},
	{413, ERROR("ErrorQuotaExceeded", "full"), ERR_QUOTA, false, DIM_NONE},
	{500, INSIDE("ErrorInternalServerErrorX", "ErrorQuotaExceeded"), ERR_QUOTA, false, DIM_NONE},
	{503, ERROR("ErrorServerBusy", "later"), ERR_BUSY, false, DIM_NONE},
	{503, ERROR("ErrorMailboxMoveInProgress", "later"), ERR_BUSY, false, DIM_NONE},
	{503, ERROR("ErrorMailboxStoreUnavailable", "later"), ERR_BUSY, false, DIM_NONE},
	{500, ERROR("ErrorInternalServerError", "x"), ERR_BUSY, true, DIM_NONE},
	{500, ERROR("ErrorTimeoutExpired", "x"), ERR_BUSY, true, DIM_NONE},
	/* limits and what they are about */
	{429, ERROR("ApplicationThrottled", "Application is over its MailboxConcurrency limit."), ERR_THROTTLED, false,
		DIM_IN_FLIGHT},
	{429, ERROR("ApplicationThrottled", "Application is over its IncomingBytes limit."), ERR_THROTTLED, false,
		DIM_BYTES},
	{429, ERROR("ApplicationThrottled", "Application is over its RequestRate limit."), ERR_THROTTLED, false,
		DIM_REQUESTS},
	{429, ERROR("TooManyRequests", "slow down"), ERR_THROTTLED, false, DIM_NONE},
	{429, "", ERR_THROTTLED, false, DIM_NONE},
	{503, ERROR("Strange", "Application is over its MailboxConcurrency limit."), ERR_THROTTLED, true,
		DIM_IN_FLIGHT},
	/* by words */
	{400, ERROR("BadRequest", "The maximum request length supported is 4MB."), ERR_TOO_BIG, false, DIM_NONE},
	{413, ERROR("BadRequest", "The maximum request length supported is 4MB."), ERR_TOO_BIG, false, DIM_NONE},
	{400, ERROR("BadRequest", "Resource not found for the segment 'importMime'."), ERR_RIGHTS, false, DIM_NONE},
	/* by status */
	{200, "{}", ERR_PROTOCOL, true, DIM_NONE},
	{200, ERROR("ErrorItemNotFound", "in a success"), ERR_GONE, true, DIM_NONE},
	{302, "", ERR_PROTOCOL, false, DIM_NONE},
	{303, "", ERR_PROTOCOL, true, DIM_NONE},
	{400, ERROR("NeverHeardOf", "x"), ERR_MESSAGE, false, DIM_NONE},
	{401, "", ERR_CREDENTIALS, false, DIM_NONE},
	{403, "<html>blocked</html>", ERR_RIGHTS, false, DIM_NONE},
	{404, "", ERR_GONE, false, DIM_NONE},
	{405, "", ERR_RIGHTS, false, DIM_NONE},
	{408, "", ERR_LOST, true, DIM_NONE},
	{409, "", ERR_CONFLICT, false, DIM_NONE},
	{413, "", ERR_TOO_BIG, false, DIM_NONE},
	{415, "", ERR_PROTOCOL, false, DIM_NONE},
	{423, "", ERR_BUSY, false, DIM_NONE},
	{500, "", ERR_BUSY, true, DIM_NONE},
	{501, "", ERR_RIGHTS, false, DIM_NONE},
	{502, "<html>", ERR_BUSY, true, DIM_NONE},
	{503, "", ERR_BUSY, true, DIM_NONE},
	{504, "", ERR_BUSY, true, DIM_NONE},
	{504, ERROR("ErrorServerBusy", "a gateway's"), ERR_BUSY, true, DIM_NONE},
	{507, "", ERR_QUOTA, false, DIM_NONE},
	{999, "", ERR_PROTOCOL, true, DIM_NONE},
	/* nonsense inside */
	{500, "{\"error\":\"text\"}", ERR_BUSY, true, DIM_NONE},
	{500, "{\"error\":{\"code\":7,\"message\":[]}}", ERR_BUSY, true, DIM_NONE},
	{400, "[[[[", ERR_MESSAGE, false, DIM_NONE},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = ERR_INIT;
		struct graph_refusal why;
		assert_int_equal(
			graph_error_read(cases[i].status, cases[i].body, strlen(cases[i].body), 7000, &why, &e), -1);
		if (e.kind != cases[i].kind || why.maybe_done != cases[i].maybe || why.dimension != cases[i].dimension)
			fail_msg("%d %s: %s, %s, dimension %d", cases[i].status, cases[i].body, err_kind_name(e.kind),
				why.maybe_done ? "maybe done" : "not done", why.dimension);
		assert_int_equal(e.retry_after_ms, 7000);
	}
}

static void test_words(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct graph_refusal why;
	const char *body = ERROR("ErrorAccessDenied", "Access is denied.");
	graph_error_read(403, body, strlen(body), -1, &why, &e);
	assert_string_equal(e.text, "Graph answers 403 ErrorAccessDenied");
	assert_string_equal(e.server, "Access is denied.");
	assert_non_null(strstr(e.hint, "Mail-Advanced.ReadWrite.All"));
	graph_error_read(502, "<html>Bad Gateway</html>", 24, -1, &why, &e);
	assert_string_equal(e.text, "Graph answers 502");
	assert_string_equal(e.server, "<html>Bad Gateway</html>");
	/* giant: not parsed, and cut */
	char *giant = malloc(GRAPH_ERROR_CAP + 2);
	memset(giant, '[', GRAPH_ERROR_CAP + 2);
	graph_error_read(500, giant, GRAPH_ERROR_CAP + 2, -1, &why, &e);
	assert_int_equal(e.kind, ERR_BUSY);
	assert_true(strlen(e.server) < sizeof(e.server));
	free(giant);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_words)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
