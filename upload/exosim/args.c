#include "upload/exosim/args.h"

#include <assert.h>
#include <ctype.h>
#include <strings.h>

bool args_take_char(struct args *a, char c)
{
	if (a->at == a->end || *a->at != c)
		return false;
	a->at++;
	return true;
}

bool args_is_end(const struct args *a)
{
	return a->at == a->end;
}

/* ATOM-CHAR and "]", as an astring allows. */
static bool is_atom_char(char c)
{
	return (unsigned char)c > 32 && (unsigned char)c < 127 && !strchr("(){%*\"\\", c);
}

bool args_take_atom(struct args *a, struct span *out)
{
	const char *p = a->at;

	while (p < a->end && is_atom_char(*p))
		p++;
	if (p == a->at)
		return false;
	*out = (struct span){a->at, (size_t)(p - a->at)};
	a->at = p;
	return true;
}

static bool take_quoted(struct args *a, char *to, size_t *n)
{
	const char *p = a->at + 1;

	for (*n = 0; p < a->end && *p != '"'; p++) {
		if (*p == '\\' && (++p == a->end || (*p != '"' && *p != '\\')))
			return false;
		if (*p == '\r' || *p == '\n' || *p == '\0')
			return false;
		to[(*n)++] = *p;
	}
	if (p == a->end)
		return false;
	a->at = p + 1;
	return true;
}

static bool take_literal(struct args *a, char *to, size_t *n)
{
	const char *p = a->at + 1;
	size_t size = 0;

	if (p == a->end || !isdigit((unsigned char)*p))
		return false;
	for (; p < a->end && isdigit((unsigned char)*p) && size < 1 << 24; p++)
		size = size * 10 + (size_t)(*p - '0');
	if (p < a->end && *p == '+')
		p++;
	if (a->end - p < 3 || p[0] != '}' || p[1] != '\r' || p[2] != '\n' || (size_t)(a->end - p - 3) < size)
		return false;
	if (memchr(p + 3, '\0', size))
		return false;
	memcpy(to, p + 3, size);
	*n = size;
	a->at = p + 3 + size;
	return true;
}

bool args_take_astring(struct args *a, struct span *raw, char **value)
{
	const char *start = a->at;
	char *text = malloc((size_t)(a->end - a->at) + 1);
	size_t n = 0;
	bool ok = false;
	struct span atom;

	assert(text);
	if (a->at < a->end && *a->at == '"') {
		ok = take_quoted(a, text, &n);
	} else if (a->at < a->end && *a->at == '{') {
		ok = take_literal(a, text, &n);
	} else if (args_take_atom(a, &atom)) {
		memcpy(text, atom.at, n = atom.len);
		ok = true;
	}
	text[n] = '\0';
	if (!ok || !value)
		free(text);
	if (!ok) {
		a->at = start;
		return false;
	}
	if (value)
		*value = text;
	*raw = (struct span){start, (size_t)(a->at - start)};
	return true;
}

bool args_take_flags(struct args *a, struct span *raw)
{
	static const char *const system_flags[] = {"Seen", "Answered", "Flagged", "Deleted", "Draft"};
	const char *start = a->at;

	if (!args_take_char(a, '('))
		return false;
	while (a->at < a->end && *a->at != ')') {
		bool is_system = args_take_char(a, '\\'), known = false;
		struct span word;

		if (!args_take_atom(a, &word))
			goto no;
		for (size_t i = 0; i < sizeof(system_flags) / sizeof(*system_flags); i++)
			known = known || span_is(&word, system_flags[i]);
		if ((is_system && !known) || memchr(word.at, ']', word.len))
			goto no;
		if (a->at < a->end && *a->at != ')' && (!args_take_char(a, ' ') || *a->at == ')'))
			goto no;
	}
	if (!args_take_char(a, ')'))
		goto no;
	*raw = (struct span){start, (size_t)(a->at - start)};
	return true;
no:
	a->at = start;
	return false;
}

static int two_digits(const char *p)
{
	return isdigit((unsigned char)p[0]) && isdigit((unsigned char)p[1]) ? (p[0] - '0') * 10 + p[1] - '0' : -1;
}

bool args_take_date_time(struct args *a, struct span *raw)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	const char *p = a->at;
	int day, month = -1, zone_h, zone_m;

	if (a->end - p < 28 || p[0] != '"' || p[27] != '"')
		return false;
	p++;
	day = p[0] == ' ' && isdigit((unsigned char)p[1]) ? p[1] - '0' : two_digits(p);
	for (int i = 0; i < 12; i++)
		if (strncasecmp(p + 3, months + 3 * i, 3) == 0)
			month = i;
	zone_h = two_digits(p + 22);
	zone_m = two_digits(p + 24);
	if (month < 0 || day < 1 || day > days[month] || p[2] != '-' || p[6] != '-' || p[11] != ' ' || p[14] != ':' ||
		p[17] != ':' || p[20] != ' ' || (p[21] != '+' && p[21] != '-') || two_digits(p + 7) < 0 ||
		two_digits(p + 9) < 0 || two_digits(p + 12) < 0 || two_digits(p + 12) > 23 || two_digits(p + 15) < 0 ||
		two_digits(p + 15) > 59 || two_digits(p + 18) < 0 || two_digits(p + 18) > 60 || zone_h < 0 ||
		zone_h > 14 || zone_m < 0 || zone_m > 59)
		return false;
	*raw = (struct span){a->at, 28};
	a->at += 28;
	return true;
}

bool args_ends_in_literal(const char *line, size_t len, size_t *start, uint64_t *size, bool *sync)
{
	size_t i = len;
	uint64_t n = 0;

	if (len < 3 || line[len - 1] != '}')
		return false;
	i--;
	*sync = line[i - 1] != '+';
	if (!*sync)
		i--;
	*start = i;
	while (*start > 0 && isdigit((unsigned char)line[*start - 1]))
		--*start;
	if (*start == i || *start == 0 || line[*start - 1] != '{' || i - *start > 15)
		return false;
	for (size_t d = *start; d < i; d++)
		n = n * 10 + (uint64_t)(line[d] - '0');
	--*start;
	if (*start > 0 && line[*start - 1] == '~')
		return false;
	*size = n;
	return true;
}

bool span_is(const struct span *s, const char *word)
{
	return s->len == strlen(word) && strncasecmp(s->at, word, s->len) == 0;
}

bool span_has_word(const struct span *list, const char *word)
{
	const char *p = list->at, *end = list->at + list->len;

	while (p < end) {
		size_t n = 0;

		while (p < end && strchr("() ", *p))
			p++;
		while (p + n < end && !strchr("() ", p[n]))
			n++;
		if (n == strlen(word) && strncasecmp(p, word, n) == 0)
			return true;
		p += n;
	}
	return false;
}

size_t args_quote(char *out, const char *s)
{
	char *o = out;

	*o++ = '"';
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			*o++ = '\\';
		*o++ = *s;
	}
	*o++ = '"';
	*o = '\0';
	return (size_t)(o - out);
}
