/* Modified UTF-7: "&" starts UTF-16 in base64 with "," for "/", "-" ends it, "&-" is "&" itself. Nothing
   that a server sends makes the decoding fail: what is no modified UTF-7 stands for itself, so that two
   different raw names rarely look the same to people, and never to us, since the raw name stays the key. */
#include "imap/name.h"

#include "engine/base/buf.h"
#include "engine/base/utf8.h"

#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* 0x80..0x9f of Windows-1252; the five holes as the WHATWG reads them: the C1 control of that number. */
static const uint16_t windows_1252[] = {0x20ac, 0x81, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030,
	0x0160, 0x2039, 0x0152, 0x8d, 0x017d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
	0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d, 0x017e, 0x0178};

/* One UTF-16 unit more; the high half of a pair waits in *high. False for what is no text. */
static bool add_unit(uint32_t unit, uint32_t *high, char *out, size_t *len)
{
	bool is_low = unit >= 0xdc00 && unit <= 0xdfff;
	if (unit == 0 || (*high != 0) != is_low)
		return false;
	if (unit >= 0xd800 && unit <= 0xdbff) {
		*high = unit;
		return true;
	}
	if (is_low)
		unit = 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00);
	*high = 0;
	*len += utf8_encode(unit, out + *len);
	return true;
}

/* The sequence that starts behind "&": octets used up including "-", or 0 if it is none. */
static size_t decode_shifted(const char *p, char *out, size_t *len)
{
	size_t at = *len, i = 0;
	uint32_t bits = 0, high = 0;
	unsigned n_bits = 0;
	for (; p[i] && p[i] != '-'; i++) {
		const char *digit = strchr(alphabet, p[i]);
		if (!digit)
			return 0;
		bits = (bits << 6 | (uint32_t)(digit - alphabet)) & 0xffffff;
		n_bits += 6;
		if (n_bits >= 16) {
			n_bits -= 16;
			if (!add_unit(bits >> n_bits & 0xffff, &high, out, &at))
				return 0;
		}
	}
	bool rest_is_zero = n_bits < 6 && (bits & ((1u << n_bits) - 1)) == 0;
	if (p[i] != '-' || i == 0 || high || !rest_is_zero)
		return 0;
	*len = at;
	return i + 1;
}

static void decode_into(const char *raw, char *out)
{
	size_t len = 0, used;
	bool is_utf8 = utf8_is_valid(raw, strlen(raw));
	for (const char *p = raw; *p; p += used) {
		unsigned char c = (unsigned char)*p;
		used = 1;
		if (c == '&' && p[1] == '-') {
			used = 2;
			out[len++] = '&';
		} else if (c == '&' && (used = decode_shifted(p + 1, out, &len)) > 0) {
			used++;
		} else if (c >= 0x80 && !is_utf8) {
			used = 1;
			len += utf8_encode(c < 0xa0 ? windows_1252[c - 0x80] : c, out + len);
		} else {
			used = 1;
			out[len++] = *p;
		}
	}
	out[len] = '\0';
}

char *name_decode(const char *raw, bool *exact)
{
	/* an octet gives three at most (Windows-1252's euro); 8 of base64 give 9 */
	char *out = malloc(3 * strlen(raw) + 1);
	if (!out)
		return NULL;
	decode_into(raw, out);
	struct err err = ERR_INIT;
	char *again = NULL;
	*exact = name_encode(out, &again, &err) == 0 && strcmp(again, raw) == 0;
	free(again);
	return out;
}

struct encoder {
	struct buf out;
	uint32_t bits;
	unsigned n_bits;
	bool is_shifted;
};

static int add_bits(struct encoder *e, uint32_t unit, struct err *err)
{
	e->bits = e->bits << 16 | unit;
	e->n_bits += 16;
	while (e->n_bits >= 6) {
		e->n_bits -= 6;
		if (buf_add_char(&e->out, alphabet[e->bits >> e->n_bits & 63], err) < 0)
			return -1;
	}
	return 0;
}

static int shift_out(struct encoder *e, struct err *err)
{
	if (!e->is_shifted)
		return 0;
	e->is_shifted = false;
	if (e->n_bits > 0 && buf_add_char(&e->out, alphabet[e->bits << (6 - e->n_bits) & 63], err) < 0)
		return -1;
	e->n_bits = 0;
	return buf_add_char(&e->out, '-', err);
}

static int encode_character(struct encoder *e, uint32_t c, struct err *err)
{
	if (c < 0x80) {
		if (shift_out(e, err) < 0 || buf_add_char(&e->out, (char)c, err) < 0)
			return -1;
		return c == '&' ? buf_add_char(&e->out, '-', err) : 0;
	}
	if (!e->is_shifted && buf_add_char(&e->out, '&', err) < 0)
		return -1;
	e->is_shifted = true;
	if (c < 0x10000)
		return add_bits(e, c, err);
	c -= 0x10000;
	if (add_bits(e, 0xd800 + (c >> 10), err) < 0)
		return -1;
	return add_bits(e, 0xdc00 + (c & 0x3ff), err);
}

int name_encode(const char *utf8, char **out, struct err *err)
{
	struct encoder e = {.is_shifted = false};
	size_t n = strlen(utf8), octets;
	int rc = 0;
	buf_init(&e.out, 4 * n + 16);
	*out = NULL;
	for (size_t i = 0; i < n && rc == 0; i += octets) {
		uint32_t c = 0;
		octets = utf8_decode(utf8 + i, n - i, &c);
		if (octets == 0)
			rc = err_set(err, ERR_FOLDER, "a folder's name is not valid UTF-8");
		else if (c < 0x20 || (c >= 0x7f && c < 0xa0))
			rc = err_set(
				err, ERR_FOLDER, "a folder's name holds the control character U+%04X", (unsigned)c);
		else
			rc = encode_character(&e, c, err);
	}
	if (rc == 0)
		rc = shift_out(&e, err);
	if (rc == 0) {
		*out = buf_take(&e.out);
		if (!*out)
			rc = err_set(err, ERR_MEMORY, "out of memory for a folder's name");
	}
	buf_done(&e.out);
	return rc;
}
