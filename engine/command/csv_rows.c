#include "engine/command/csv_rows.h"

#include "engine/base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- encoding --- */

/* Windows-1252's 0x80..0x9f; the rest is Latin-1. */
static const uint16_t windows_1252[32] = {0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030,
	0x160, 0x2039, 0x152, 0x8d, 0x17d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc,
	0x2122, 0x161, 0x203a, 0x153, 0x9d, 0x17e, 0x178};

#define REPLACEMENT 0xfffd

static uint32_t unit_at(const unsigned char *p, bool big)
{
	return big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

/* n octets behind the BOM. Lone surrogates become U+FFFD; an odd octet at the end is dropped. */
static size_t from_utf16(const unsigned char *text, size_t n, bool big, char *out)
{
	size_t len = 0;
	for (size_t i = 0; i + 1 < n; i += 2) {
		uint32_t c = unit_at(text + i, big);
		uint32_t low = i + 3 < n ? unit_at(text + i + 2, big) : 0;
		if (c >= 0xd800 && c < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			i += 2;
		} else if (c >= 0xd800 && c < 0xe000) {
			c = REPLACEMENT;
		}
		len += utf8_encode(c, out + len);
	}
	return len;
}

char *csv_to_utf8(const char *text, size_t n, size_t *out_n, const char **encoding)
{
	const unsigned char *octets = (const unsigned char *)text;
	bool big = n >= 2 && octets[0] == 0xfe && octets[1] == 0xff,
	     wide = big || (n >= 2 && octets[0] == 0xff && octets[1] == 0xfe);
	bool bom = n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;
	bool valid = !wide && utf8_is_valid(text, n);
	*encoding = wide ? "UTF-16" : valid ? (bom ? "UTF-8 with BOM" : "UTF-8") : "Windows-1252";
	char *out = malloc(valid ? n + 1 : 3 * n + 1);
	if (!out)
		return NULL;
	size_t len = 0, skip = valid && bom ? 3 : 0;
	if (wide)
		len = from_utf16(octets + 2, n - 2, big, out);
	if (valid && n > skip) {
		memcpy(out, text + skip, n - skip);
		len = n - skip;
	}
	for (size_t i = 0; !valid && !wide && i < n; i++) {
		unsigned char c = octets[i];
		len += utf8_encode(c >= 0x80 && c < 0xa0 ? windows_1252[c - 0x80] : c, out + len);
	}
	out[len] = '\0';
	*out_n = len;
	return out;
}

/* --- rows --- */

void csv_rows_begin(struct csv_rows *r, char *text, size_t n)
{
	size_t line = strcspn(text, "\r\n"), commas = 0, semicolons = 0;
	*r = (struct csv_rows){.at = text, .end = text + n, .separator = ',', .line = 1, .row_line = 1};
	if (line == 5 && strncasecmp(text, "sep=", 4) == 0 && (text[4] == ',' || text[4] == ';')) {
		r->separator = text[4];
		r->at += 5;
		r->at += *r->at == '\r' && r->at[1] == '\n' ? 2 : r->at < r->end;
		r->line++;
		return;
	}
	for (size_t i = 0; i < line; i++) {
		commas += text[i] == ',';
		semicolons += text[i] == ';';
	}
	r->separator = semicolons > commas ? ';' : ',';
}

/* Ends the field at r->at in place and gives it; *more: a separator followed. NULL: the file ends inside quotes. */
static char *take_field(struct csv_rows *r, bool *more)
{
	char *start = r->at, *to = r->at;
	bool quoted = *r->at == '"';
	if (quoted)
		r->at++;
	for (; r->at < r->end; r->at++) {
		char c = *r->at;
		if (quoted && c == '"') {
			if (r->at[1] != '"') {
				quoted = false;
				continue; /* what follows up to the separator belongs to the field, as spreadsheets read it */
			}
			r->at++;
		} else if (!quoted && (c == r->separator || c == '\n' || c == '\r')) {
			break;
		}
		if (c == '\n')
			r->line++;
		*to++ = c;
	}
	*more = r->at < r->end && *r->at == r->separator;
	char *next = r->at;
	if (*more) {
		next++;
	} else if (next < r->end) {
		if (*next == '\r' && next[1] == '\n')
			next++;
		next++;
		r->line++;
	}
	r->at = next;
	*to = '\0'; /* at most at the separator or line end, which has been read */
	return quoted ? NULL : start;
}

bool csv_rows_take(struct csv_rows *r, char *fields[CSV_FIELDS], size_t *n)
{
	bool more;
	do {
		if (r->at >= r->end)
			return false;
		r->row_line = r->line;
		*n = 0;
		do {
			char *field = take_field(r, &more);
			if (!field) {
				r->open_quote = true;
				r->at = r->end;
				return false;
			}
			if (*n < CSV_FIELDS)
				fields[*n] = field;
			++*n;
		} while (more);
	} while (*n == 1 && fields[0][strspn(fields[0], " \t")] == '\0'); /* empty lines */
	return true;
}

char *csv_trim(char *s)
{
	s += strspn(s, " \t");
	size_t n = strlen(s);
	while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		s[--n] = '\0';
	return s;
}
