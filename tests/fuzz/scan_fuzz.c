/* The scan: the pieces in which a message comes make no difference. The first octet says how large they
   are. */
#include "imap/scan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void scan_in_steps(
	struct scan *s, const uint8_t *data, size_t n, size_t step, struct fingerprint *f, struct mail_defects *d)
{
	struct err err = ERR_INIT;
	for (size_t at = 0; at < n; at += step) {
		size_t part = n - at < step ? n - at : step;
		uint8_t *copy = malloc(part); /* so that a look beyond the piece is seen */
		memcpy(copy, data + at, part);
		scan_feed(s, copy, part);
		free(copy);
	}
	int rc = scan_finish(s, f, d, &err);
	assert(rc == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct scan *s = scan_new();
	struct fingerprint a, b;
	struct mail_defects x, y;
	scan_in_steps(s, data + 1, size - 1, size, &a, &x);
	scan_in_steps(s, data + 1, size - 1, (size_t)data[0] % 67 + 1, &b, &y);
	assert(a.size == size - 1 && b.size == a.size && memcmp(a.sha256, b.sha256, sizeof(a.sha256)) == 0);
	assert(strcmp(a.message_id, b.message_id) == 0 && strcmp(a.date, b.date) == 0);
	assert(strcmp(a.from, b.from) == 0 && strcmp(a.subject, b.subject) == 0);
	assert(x.longest_line == y.longest_line && x.nul == y.nul && x.nul_header == y.nul_header);
	assert(x.eight_bit_header == y.eight_bit_header && x.bare_line_end == y.bare_line_end);
	assert(x.has_receipt_request == y.has_receipt_request);
	assert(strlen(a.subject) <= FINGERPRINT_FIELD && !strchr(a.subject, '\n'));
	fingerprint_done(&a);
	fingerprint_done(&b);
	scan_free(&s);
	return 0;
}
