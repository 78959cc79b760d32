/* SCRAM's two parsers of what a server says. "\n" parts the first message from the final one. */
#include "imap/scram.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char nonce[] = "fyko+d2lbbFgONRv9qkxdawL";
	struct err err = ERR_INIT;
	struct scram *s = NULL;
	struct buf out;
	const uint8_t *newline = memchr(data, '\n', size), *i = data;
	size_t first = newline ? (size_t)(newline - data) : size;

	/* A million iterations are allowed and would make each run take half a second. */
	for (; i + 7 < data + first; i++)
		if (!memcmp(i, ",i=", 3) && i[3] >= '0' && i[3] <= '9' && i[6] >= '0' && i[6] <= '9')
			return 0;
	struct secret *password = secret_new("pencil", 6);
	buf_init(&out, 1 << 20);
	if (!scram_new(&s, "user", NULL, password, nonce, &err)) {
		int failed = scram_prove(s, (const char *)data, first, &out, &err);
		if (newline && scram_verify(s, (const char *)newline + 1, size - first - 1, &err) == 0 && failed)
			abort(); /* nothing was proved */
		scram_free(&s);
	}
	buf_done(&out);
	secret_free(&password);
	return 0;
}
