#include "upload/header.h"

#include "engine/base/clock.h"
#include "engine/base/number.h"
#include "engine/base/utf8.h"

#include <gmime/gmime.h>

/* What an octet above 127 means where no charset is named; the same on every machine whatever its locale. */
static GMimeParserOptions *options_make(void)
{
	static const char *charsets[] = {"utf-8", "windows-1252", NULL};
	GMimeParserOptions *o = g_mime_parser_options_new();
	g_mime_parser_options_set_fallback_charsets(o, charsets);
	return o;
}

/* One line: GMime wants no line ends. Yours to free. */
static char *unfold(const char *raw)
{
	char *s = strdup(raw ? raw : "");
	for (char *p = s; p && *p; p++) {
		if (*p == '\r' || *p == '\n')
			*p = ' ';
	}
	return s;
}

static int add_clean(struct buf *out, const char *s, size_t max_chars, struct err *err)
{
	size_t left = strlen(s), chars = 0;
	bool gap = false, begun = false;
	while (left > 0 && (max_chars == 0 || chars < max_chars)) {
		unsigned char c = (unsigned char)*s;
		size_t n = c < 0x80 ? 1 : utf8_length(s, left);
		if (n == 0) {
			s++, left--;
			continue;
		}
		bool blank = c <= ' ' || c == 127 || (n == 2 && c == 0xc2 && (unsigned char)s[1] <= 0xa0);
		if (!blank) {
			if (gap && begun && (chars++, buf_add_char(out, ' ', err)))
				return -1;
			if (n == 1 ? buf_add_char(out, *s, err) : buf_add(out, s, n, err))
				return -1;
			chars++;
			begun = true;
		}
		gap = blank;
		s += n, left -= n;
	}
	return 0;
}

int header_gmime_text(struct buf *out, const char *raw, size_t max_chars, struct err *err)
{
	char *line = unfold(raw);
	if (!line)
		return err_set(err, ERR_MEMORY, "no memory for a header");
	GMimeParserOptions *o = options_make();
	char *decoded = g_mime_utils_header_decode_text(o, line);
	int rc = add_clean(out, decoded ? decoded : "", max_chars, err);
	g_free(decoded);
	g_mime_parser_options_free(o);
	free(line);
	return rc;
}

/* Adds the addresses of a list, of its groups too. */
static int add_list(struct buf *out, InternetAddressList *list, size_t most, size_t *count, int depth, struct err *err)
{
	int n = list ? internet_address_list_length(list) : 0;
	for (int i = 0; i < n && (most == 0 || *count < most); i++) {
		InternetAddress *a = internet_address_list_get_address(list, i);
		if (INTERNET_ADDRESS_IS_GROUP(a)) {
			InternetAddressList *members = internet_address_group_get_members(INTERNET_ADDRESS_GROUP(a));
			if (depth < 8 && add_list(out, members, most, count, depth + 1, err))
				return -1;
			continue;
		}
		const char *addr = internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(a));
		if (!addr || !*addr)
			continue;
		if (*count > 0 && buf_add_char(out, ' ', err))
			return -1;
		char *lower = g_ascii_strdown(addr, -1);
		int rc = add_clean(out, lower, 0, err);
		g_free(lower);
		if (rc)
			return -1;
		++*count;
	}
	return 0;
}

int header_gmime_addresses(struct buf *out, const char *raw, size_t most, struct err *err)
{
	char *line = unfold(raw);
	if (!line)
		return err_set(err, ERR_MEMORY, "no memory for a header");
	GMimeParserOptions *o = options_make();
	InternetAddressList *list = internet_address_list_parse(o, line);
	size_t count = 0;
	int rc = add_list(out, list, most, &count, 0, err);
	if (list)
		g_object_unref(list);
	g_mime_parser_options_free(o);
	free(line);
	return rc == 0 && count == 0 ? header_gmime_text(out, raw, 0, err) : rc;
}

int header_gmime_date(struct buf *out, const char *raw, struct err *err)
{
	char *line = unfold(raw);
	if (!line)
		return err_set(err, ERR_MEMORY, "no memory for a header");
	GDateTime *d = *line ? g_mime_utils_header_decode_date(line) : NULL;
	int rc = d ? buf_printf(out, err, "@%lld", (long long)g_date_time_to_unix(d)) : add_clean(out, line, 0, err);
	if (d)
		g_date_time_unref(d);
	free(line);
	return rc;
}

/* --- without GMime: the forms that most mail has (tests/unit/upload/header_test.c compares) --- */

static bool is_plain_text(const char *raw)
{
	for (const char *p = raw; *p; p++) {
		unsigned char c = (unsigned char)*p;
		if (c > 126 || (c < ' ' && c != '\t' && c != '\r' && c != '\n') || (c == '=' && p[1] == '?'))
			return false;
	}
	return true;
}

int header_add_text(struct buf *out, const char *raw, size_t max_chars, struct err *err)
{
	return raw && is_plain_text(raw) ? add_clean(out, raw, max_chars, err)
					 : header_gmime_text(out, raw, max_chars, err);
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "word.word", of letters, digits and these; its end, or NULL. */
static const char *pass_words(const char *p, const char *also)
{
	for (;;) {
		const char *from = p;
		while (is_letter(*p) || is_digit(*p) || (*p && strchr(also, *p)))
			p++;
		if (p == from)
			return NULL;
		if (*p != '.')
			return p;
		p++;
	}
}

/* "Some One" or "\"One, Some\"", and the blank behind it; p itself if there is no name. */
static const char *pass_name(const char *p)
{
	const char *from = p;
	if (*p == '"') {
		for (p++; (*p >= '#' && *p <= '~' && *p != '\\') || *p == ' ' || *p == '!'; p++)
			;
		return p[0] == '"' && p[1] == ' ' ? p + 2 : from;
	}
	for (;;) {
		const char *word = p;
		while (is_letter(*p) || is_digit(*p))
			p++;
		if (p == word || *p != ' ')
			return word;
		p++;
	}
}

/* One address in the form "x@y", "<x@y>" or "Name <x@y>": its first octet and its end, or NULL. */
static const char *plain_address(const char *raw, const char **end)
{
	const char *name_end = pass_name(raw), *p = name_end;
	bool angle = *p == '<';
	if (p != raw && !angle)
		return NULL;
	if (angle)
		p++;
	const char *addr = p;
	if (!(p = pass_words(p, "+-_")) || *p != '@' || !(p = pass_words(p + 1, "-")))
		return NULL;
	*end = p;
	if (angle && *p++ != '>')
		return NULL;
	return *p ? NULL : addr;
}

int header_add_addresses(struct buf *out, const char *raw, size_t most, struct err *err)
{
	const char *end, *addr = raw ? plain_address(raw, &end) : NULL;
	if (!addr)
		return header_gmime_addresses(out, raw, most, err);
	for (; addr < end; addr++) {
		if (buf_add_char(out, *addr >= 'A' && *addr <= 'Z' ? (char)(*addr + 32) : *addr, err))
			return -1;
	}
	return 0;
}

/* n digits; -1: there are fewer. */
static int number(const char **p, int n)
{
	int v = 0;
	for (; n > 0; n--, ++*p) {
		if (!is_digit(**p))
			return -1;
		v = v * 10 + (**p - '0');
	}
	return v;
}

static int month_of(const char *p)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	for (int m = 0; m < 12; m++) {
		if (strncmp(p, names + m * 3, 3) == 0)
			return m + 1;
	}
	return 0;
}

/* "Mon, 1 Jul 2002 10:00:00 +0200", in the years that mail is from and on days that every such month has. */
static bool plain_date(const char *raw, int64_t *at)
{
	static const char days[] = "MonTueWedThuFriSatSun";
	struct clock_fields f;
	const char *p = raw;
	for (int d = 0; d < 7 && p == raw; d++) {
		if (strncmp(p, days + d * 3, 3) == 0 && p[3] == ',' && p[4] == ' ')
			p += 5;
	}
	f.day = number(&p, is_digit(p[0]) && is_digit(p[1]) ? 2 : 1);
	if (f.day < 1 || *p++ != ' ' || !(f.month = month_of(p)) || f.day > (f.month == 2 ? 28 : 30) || p[3] != ' ')
		return false;
	p += 4;
	f.year = number(&p, 4);
	if (f.year < 1971 || f.year > 2100 || *p++ != ' ')
		return false;
	f.hour = number(&p, 2);
	if (f.hour < 0 || f.hour > 23 || *p++ != ':')
		return false;
	f.minute = number(&p, 2);
	if (f.minute < 0 || f.minute > 59 || *p++ != ':')
		return false;
	f.second = number(&p, 2);
	if (f.second < 0 || f.second > 59 || p[0] != ' ' || (p[1] != '+' && p[1] != '-'))
		return false;
	int sign = p[1] == '-' ? -1 : 1;
	p += 2;
	int hours = number(&p, 2), minutes = hours < 0 ? -1 : number(&p, 2);
	if (hours < 0 || hours > 14 || minutes < 0 || minutes > 59 || *p)
		return false;
	*at = clock_join(&f) - (int64_t)sign * (hours * 60 + minutes) * 60;
	return true;
}

int header_add_date(struct buf *out, const char *raw, struct err *err)
{
	int64_t at;
	char text[NUMBER_TEXT + 1] = "@";
	if (!raw || !plain_date(raw, &at) || at < 0)
		return header_gmime_date(out, raw, err);
	return buf_add(out, text, 1 + number_format((uint64_t)at, 1, text + 1), err);
}

int header_add_id(struct buf *out, const char *raw, struct err *err)
{
	bool domain = false;
	for (const char *p = raw ? raw : ""; *p; p++) {
		unsigned char c = (unsigned char)*p;
		if (c <= ' ' || c == '<' || c == '>')
			continue;
		domain = domain || c == '@';
		if (buf_add_char(out, domain && c >= 'A' && c <= 'Z' ? (char)(c + 32) : (char)c, err))
			return -1;
	}
	return 0;
}
