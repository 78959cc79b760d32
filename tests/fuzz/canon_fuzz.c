/* The canonical digest and the keys of any octets: no crash, and the same answer twice, wherever the octets are kept. */
#include "upload/header.h"
#include "upload/settle.h"

#include <assert.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	upload_init();
	return 0;
}

/* announced decides whether the spool is memory or a file */
static void digest(const uint8_t *data, size_t size, uint64_t announced, uint8_t out[CANON_BYTES])
{
	struct err err = ERR_INIT;
	struct spool *s = NULL;
	int rc = spool_new(&s, "/tmp", announced, &err) || spool_write(s, data, size, &err) ||
		 canon_digest(s, out, &err);
	assert(rc == 0);
	spool_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t a[CANON_BYTES], b[CANON_BYTES], key[PRINT_KEY_BYTES];
	digest(data, size, size, a);
	digest(data, size, SPOOL_MEMORY_BYTES + 1, b);
	assert(!memcmp(a, b, sizeof(a)));
	char *text = malloc(size + 1);
	size_t n = 0;
	for (size_t i = 0; i < size && n < FINGERPRINT_FIELD; i++)
		if (data[i])
			text[n++] = (char)data[i];
	text[n] = '\0';
	struct fingerprint print = {.size = size, .message_id = text, .date = text, .from = text, .subject = text};
	print_key(&print, key);
	char show[100];
	print_show(text, show, sizeof(show));
	free(text);
	return 0;
}
