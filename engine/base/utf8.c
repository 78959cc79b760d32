/* Decoding by the table of RFC 3629, section 4. */
#include "engine/base/utf8.h"

#include <string.h>

size_t utf8_decode(const char *p, size_t n, uint32_t *character)
{
	if (n == 0)
		return 0;
	unsigned char lead = (unsigned char)p[0];
	if (lead < 0x80) {
		*character = lead;
		return 1;
	}
	size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	if (lead < 0xc2 || lead > 0xf4 || want > n)
		return 0;
	static const unsigned char lead_bits[] = {0, 0, 0x1f, 0x0f, 0x07};
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t c = lead & lead_bits[want];
	for (size_t i = 1; i < want; i++) {
		unsigned char tail = (unsigned char)p[i];
		if ((tail & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (tail & 0x3f);
	}
	if (c < least[want] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*character = c;
	return want;
}

size_t utf8_length(const char *p, size_t n)
{
	uint32_t character;
	return utf8_decode(p, n, &character);
}

size_t utf8_encode(uint32_t c, char out[4])
{
	if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (c & 0x3f));
		c >>= 6;
	}
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	out[0] = (char)(lead[n] | c);
	return n;
}

void utf8_trim(char *text)
{
	size_t len = strlen(text), back = 0;
	while (back < 3 && back < len && ((unsigned char)text[len - 1 - back] & 0xc0) == 0x80)
		back++;
	if (back >= len)
		return;
	const char *lead = text + len - 1 - back;
	if ((unsigned char)*lead >= 0xc0 && utf8_length(lead, back + 1) == 0)
		text[len - 1 - back] = '\0';
}

void utf8_mend(char *text)
{
	size_t n = strlen(text);
	for (size_t i = 0; i < n;) {
		size_t octets = utf8_length(text + i, n - i);
		if (octets == 0)
			text[i] = '?';
		i += octets ? octets : 1;
	}
}

bool utf8_is_valid(const char *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t octets = utf8_length(p + i, n - i);
		if (octets == 0)
			return false;
		i += octets;
	}
	return true;
}
