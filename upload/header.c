#include "upload/header.h"

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
		size_t n = utf8_length(s, left);
		unsigned char c = (unsigned char)*s;
		if (n == 0) {
			s++, left--;
			continue;
		}
		bool blank = c <= ' ' || c == 127 || (n == 2 && c == 0xc2 && (unsigned char)s[1] <= 0xa0);
		if (!blank) {
			if (gap && begun && (chars++, buf_add_char(out, ' ', err)))
				return -1;
			if (buf_add(out, s, n, err))
				return -1;
			chars++;
			begun = true;
		}
		gap = blank;
		s += n, left -= n;
	}
	return 0;
}

int header_add_text(struct buf *out, const char *raw, size_t max_chars, struct err *err)
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

int header_add_addresses(struct buf *out, const char *raw, size_t most, struct err *err)
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
	return rc == 0 && count == 0 ? header_add_text(out, raw, 0, err) : rc;
}

int header_add_date(struct buf *out, const char *raw, struct err *err)
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
