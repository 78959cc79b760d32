#include "upload/exosim/base64.h"

/* 0..63 a digit, 64 padding, 65 white space, 66 nothing of these. */
static unsigned digit_of(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26u;
	if (c >= '0' && c <= '9')
		return c - '0' + 52u;
	if (c == '+')
		return 62;
	if (c == '/')
		return 63;
	if (c == '=')
		return 64;
	return c == '\r' || c == '\n' || c == ' ' || c == '\t' ? 65 : 66;
}

bool base64_decode_in_place(char *data, size_t *n, bool lines)
{
	unsigned char table[256], *out = (unsigned char *)data;
	unsigned bits = 0, have = 0, padding = 0;

	for (unsigned i = 0; i < 256; i++)
		table[i] = (unsigned char)digit_of((unsigned char)i);
	for (size_t i = 0; i < *n; i++) {
		unsigned d = table[(unsigned char)data[i]];

		if (d == 65 && lines)
			continue;
		if (d == 64) {
			padding++;
			continue;
		}
		if (d > 64 || padding)
			return false;
		bits = bits << 6 | d;
		if (++have == 4) {
			*out++ = (unsigned char)(bits >> 16);
			*out++ = (unsigned char)(bits >> 8);
			*out++ = (unsigned char)bits;
			have = bits = 0;
		}
	}
	if (have == 1 || (have == 0 && padding) || (have && have + padding != 4))
		return false;
	/* The bits that padding leaves over are zero in what an encoder makes. */
	if (have == 2) {
		if (bits & 15)
			return false;
		*out++ = (unsigned char)(bits >> 4);
	} else if (have == 3) {
		if (bits & 3)
			return false;
		*out++ = (unsigned char)(bits >> 10);
		*out++ = (unsigned char)(bits >> 2);
	}
	*n = (size_t)(out - (unsigned char *)data);
	return true;
}
