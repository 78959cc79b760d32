#include "imap/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(struct buf *out, const void *data, size_t n, struct err *err)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		unsigned long v = (unsigned long)p[i] << 16 | (left > 1 ? (unsigned long)p[i + 1] << 8 : 0) |
				  (left > 2 ? p[i + 2] : 0);
		char quad[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63], left > 1 ? alphabet[v >> 6 & 63] : '=',
			left > 2 ? alphabet[v & 63] : '='};
		if (buf_add(out, quad, 4, err))
			return -1;
	}
	return 0;
}

int base64_decode(struct buf *out, const char *text, size_t n, struct err *err)
{
	unsigned long bits = 0;
	unsigned have = 0;

	while (n > 0 && text[n - 1] == '=')
		n--;
	for (size_t i = 0; i < n; i++) {
		const char *at = text[i] ? strchr(alphabet, text[i]) : NULL;
		if (!at)
			return err_set(err, ERR_PROTOCOL, "the server's challenge is not base64");
		bits = (bits << 6 | (unsigned long)(at - alphabet)) & 0xffffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			if (buf_add_char(out, (char)(bits >> have & 255), err))
				return -1;
		}
	}
	return 0;
}
