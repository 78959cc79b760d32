/* A token endpoint's answer and Retry-After. The first octet chooses the status. */
#include "upload/http.h"
#include "upload/token_reply.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = {200, 400, 401, 429, 503, 302};
	struct err err = ERR_INIT;
	struct secret *token = NULL;
	int64_t life_ms;
	if (size == 0)
		return 0;
	int status = statuses[data[0] % (sizeof(statuses) / sizeof(statuses[0]))];
	int rc = token_reply_read(status, (const char *)data + 1, size - 1, -1, &token, &life_ms, &err);
	if (rc == 0) {
		assert(status == 200 && life_ms >= 1000 && life_ms <= 86400000);
		for (const char *p = secret_bytes(token); *p; p++)
			assert(*p > ' ' && *p <= '~');
		assert(strlen(secret_bytes(token)) == secret_len(token));
	} else {
		assert(!token && err.kind != ERR_NONE);
	}
	secret_free(&token);
	char text[100];
	snprintf(text, sizeof(text), "%.*s", (int)(size - 1 < 99 ? size - 1 : 99), (const char *)data + 1);
	int64_t wait = http_parse_retry_after(text, 1000000000);
	assert(wait >= -1 && wait <= (int64_t)7 * 24 * 3600 * 1000);
	return 0;
}
