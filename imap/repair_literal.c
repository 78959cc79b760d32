#include "imap/repair.h"

#include <ctype.h>

/* libetpan's literal parser takes "{n}" wherever a string may stand, whether the line ends behind it or not (a cure for Lotus Domino),
   with blanks and a minus inside the braces, counts modulo 2^32 and allocates what was announced at once (mailimap_parser.c,
   mailimap_literal_parse_progress: the only place where a number from the wire sizes anything). And its quoted strings run over line ends.
   So what it gets holds one announcement at most, the last of the line, which the filter counted, and no quote is left open: then it and we
   agree on what is quoted, for outside of status texts it steps over a quote in no other way than by reading a string. */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool repair_find_literal(struct buf *line, uint64_t most, uint64_t *size)
{
	char *s = line->data;
	size_t end = line->len;
	uint64_t n = 0;

	while (end > 0 && is_blank(s[end - 1]))
		end--;
	if (end == 0 || s[end - 1] != '}')
		return false;
	size_t digits_end = end - 1;
	while (digits_end > 0 && (is_blank(s[digits_end - 1]) || s[digits_end - 1] == '+'))
		digits_end--;
	size_t digit = digits_end;
	while (digit > 0 && isdigit((unsigned char)s[digit - 1]))
		digit--;
	size_t brace = digit;
	while (brace > 0 && is_blank(s[brace - 1]))
		brace--;
	bool is_negative = brace > 0 && s[brace - 1] == '-';
	while (brace > 0 && (is_blank(s[brace - 1]) || s[brace - 1] == '-'))
		brace--;
	if (digit == digits_end || brace == 0 || s[--brace] != '{')
		return false;
	for (size_t i = digit; i < digits_end; i++)
		n = n > most ? UINT64_MAX : n * 10 + (uint64_t)(s[i] - '0');
	if (is_negative) /* Free sends {-1} for a body that it does not find */
		s[digits_end - 1] = '0';
	size_t keep = is_negative ? 1 : digits_end - digit, from = brace > 0 && s[brace - 1] == '~' ? brace - 1 : brace;
	s[from] = '{';
	memmove(s + from + 1, s + digits_end - keep, keep);
	line->len = from + 1 + keep;
	s[line->len++] = '}';
	s[line->len] = 0;
	*size = is_negative ? 0 : n > most ? UINT64_MAX : n;
	return true;
}

const char *repair_quote_end(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		if (*p == '\\')
			p++;
		else if (*p == '"')
			return p;
	}
	return NULL;
}

void repair_close_quotes(struct buf *line)
{
	char *p = line->data, *end = p + line->len;

	while ((p = memchr(p, '"', (size_t)(end - p)))) {
		const char *close = repair_quote_end(p, end);
		if (!close)
			break;
		p = line->data + (close + 1 - line->data);
	}
	for (; p && p < end; p++) /* those behind it stand behind a backslash each: none has an end either */
		if (*p == '"')
			*p = '_';
}

/* Whatever libetpan, or an extension of ours, could read as an announcement. */
static bool is_announcement(const char *p, const char *end)
{
	for (p++; p < end && (is_blank(*p) || *p == '-'); p++)
		;
	const char *digits = p;
	while (p < end && isdigit((unsigned char)*p))
		p++;
	if (p == digits)
		return false;
	while (p < end && (is_blank(*p) || *p == '+'))
		p++;
	return p < end && *p == '}';
}

void repair_hide_announcements(struct buf *line, bool in_quotes, bool literal)
{
	char *p = line->data, *end = p + line->len;

	if (!memchr(p, '{', line->len))
		return;
	if (literal) /* the last one is counted */
		while (end > p && *--end != '{')
			;
	for (; p < end; p++) {
		const char *close = *p == '"' && !in_quotes ? repair_quote_end(p, end) : NULL;
		if (close)
			p = line->data + (close - line->data);
		else if (*p == '{' && is_announcement(p, line->data + line->len))
			*p = '_';
	}
}
