#include "imap/repair.h"

#include <ctype.h>
#include <strings.h>

/* A FETCH line that libetpan cannot parse ends the whole command and the session, for one odd date or keyword. The four items we
   depend on are brought into strict form here; what cannot be saved is renamed, so that the tolerance extension passes it over and
   the message arrives without that item rather than not at all. */

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

struct parts {
	unsigned day, year, hour, minute, second;
	int month, zone;
};

static const char *number(const char *p, const char *end, unsigned digits_max, unsigned *out)
{
	unsigned n = 0, value = 0;

	while (p < end && isdigit((unsigned char)*p) && n < digits_max) {
		value = value * 10 + (unsigned)(*p++ - '0');
		n++;
	}
	*out = value;
	return n ? p : NULL;
}

static const char *month(const char *p, const char *end, int *out)
{
	if (end - p < 3)
		return NULL;
	for (int i = 0; i < 12; i++)
		if (!strncasecmp(p, months + i * 3, 3)) {
			*out = i;
			return p + 3;
		}
	return NULL;
}

static const char *pass(const char *p, const char *end, const char *any)
{
	const char *start = p;

	while (p < end && strchr(any, *p))
		p++;
	return p > start ? p : NULL;
}

/* "+0200", " GMT", nothing: the RFC's date without a zone is read as UTC, never as this machine's zone (libetpan would). */
static void parse_zone(const char *p, const char *end, int *zone)
{
	unsigned value;

	*zone = 0;
	while (p < end && *p == ' ')
		p++;
	if (p < end && (*p == '+' || *p == '-')) {
		const char *after = number(p + 1, end, 4, &value);
		if (after && after - p == 5 && value % 100 < 60)
			*zone = *p == '-' ? -(int)value : (int)value;
	}
}

/* "1-Jul-2003 10:52:37 +0200" and, as mail headers write it, "Tue, 1 Jul 2003 10:52:37 GMT". */
static bool parse_date(const char *p, const char *end, struct parts *d)
{
	while (p < end && *p == ' ')
		p++;
	if (end - p > 4 && isalpha((unsigned char)*p) && (p = memchr(p, ',', 5 < end - p ? 5 : (size_t)(end - p))))
		p = pass(p, end, ", ");
	if (!p || !(p = number(p, end, 2, &d->day)) || !(p = pass(p, end, "- ")) || !(p = month(p, end, &d->month)) ||
		!(p = pass(p, end, "- ")))
		return false;
	const char *year = p;
	if (!(p = number(p, end, 4, &d->year)) || (p - year != 4 && p - year != 2) || !(p = pass(p, end, " T")) ||
		!(p = number(p, end, 2, &d->hour)) || !(p = pass(p, end, ":")) || !(p = number(p, end, 2, &d->minute)))
		return false;
	if (d->year < 100)
		d->year += d->year < 70 ? 2000 : 1900;
	d->second = 0;
	if (p < end && *p == ':' && !(p = number(p + 1, end, 2, &d->second)))
		return false;
	parse_zone(p, end, &d->zone);
	return d->day >= 1 && d->day <= 31 && d->hour < 24 && d->minute < 60 && d->second <= 60;
}

/* "dd-Mon-yyyy hh:mm:ss +zzzz", the first digit of the day may be a blank: nothing to do. */
static bool is_strict_date(const char *p, const char *end)
{
	static const char form[] = "\"_9-aaa-9999 99:99:99 +9999\"";
	int ignored;

	if ((size_t)(end - p) < sizeof form - 1)
		return false;
	for (size_t i = 0; i < sizeof form - 1; i++) {
		bool digit = isdigit((unsigned char)p[i]);
		if (form[i] == '9'       ? !digit
			: form[i] == '_' ? !digit && p[i] != ' '
			: form[i] == '+' ? p[i] != '+' && p[i] != '-'
					 : form[i] != 'a' && p[i] != form[i])
			return false;
	}
	return month(p + 4, end, &ignored) != NULL;
}

/* value: offset of what follows "INTERNALDATE ". Returns 0, -1 memory; renames the item when no date can be made of it. */
static int mend_date(struct buf *line, size_t item, size_t value)
{
	const char *p = line->data + value, *end = line->data + line->len;
	struct parts d = {0};
	char text[96];

	if (is_strict_date(p, end))
		return 0;
	if (p < end && *p == '"') {
		const char *close = repair_quote_end(p, end);
		if (close && parse_date(p + 1, close, &d)) {
			int n = snprintf(text, sizeof text, "\"%02u-%.3s-%04u %02u:%02u:%02u %c%04d\"", d.day,
				months + d.month * 3, d.year, d.hour, d.minute, d.second, d.zone < 0 ? '-' : '+',
				d.zone < 0 ? -d.zone : d.zone);
			return repair_splice(line, value, (size_t)(close + 1 - p), text, (size_t)n);
		}
	}
	line->data[item] = 'X';
	return 0;
}

/* RFC822.SIZE beyond 32 bits wraps in libetpan (5,000,000,000 reads 705,032,704): held at the most it can say. */
static int mend_size(struct buf *line, size_t item, size_t value)
{
	static const char most[] = "4294967295";
	const char *p = line->data + value, *end = line->data + line->len, *q = p;

	while (q < end && isdigit((unsigned char)*q))
		q++;
	if (q == p) {
		line->data[item] = 'X';
		return 0;
	}
	while (p + 1 < q && *p == '0')
		p++;
	size_t digits = (size_t)(q - p), n = sizeof most - 1;
	if (digits < n || (digits == n && memcmp(p, most, n) <= 0))
		return 0;
	return repair_splice(line, value, (size_t)(q - (line->data + value)), most, n);
}

/* One UID beyond 32 bits would read as another message's. */
static void mend_uid(struct buf *line, size_t item, size_t value)
{
	unsigned long long uid = 0;
	size_t i = value;

	for (; i < line->len && isdigit((unsigned char)line->data[i]) && uid <= UINT32_MAX; i++)
		uid = uid * 10 + (unsigned)(line->data[i] - '0');
	if (i == value || uid == 0 || uid > UINT32_MAX)
		line->data[item] = 'X';
}

/* Keywords hold what atoms must not ("[Gmail]", accents, braces): each such octet becomes '_', nesting is taken flat. libetpan takes
   strings and literals for keywords too, and frees them wrongly: they become atoms, and a literal's announcement becomes text. */
static void mend_flags(struct buf *line, size_t item, size_t value, bool *literal)
{
	size_t i = value, nested = 0;
	const char *quoted_to = NULL;

	if (i >= line->len || line->data[i] != '(') {
		line->data[item] = 'X';
		return;
	}
	for (i++; i < line->len && (line->data[i] != ')' || quoted_to); i++) {
		unsigned char c = (unsigned char)line->data[i];
		bool starts_flag = line->data[i - 1] == ' ' || line->data[i - 1] == '(';
		if (c == '"' && !quoted_to)
			quoted_to = repair_quote_end(line->data + i, line->data + line->len);
		if (quoted_to) {
			if (line->data + i == quoted_to)
				quoted_to = NULL;
			if (strchr("{\"%*]\t ()\\", c) || c >= 127)
				line->data[i] = '_';
		} else if (c == '(') {
			line->data[i] = ' ';
			nested++;
		} else if (c == '\\' ? !starts_flag : c >= 127 || strchr("{\"%*]\t", c)) {
			line->data[i] = c == '\t' ? ' ' : '_';
		}
	}
	if (i >= line->len)
		*literal = false;
	for (; nested && i + 1 < line->len && line->data[i] == ')' && line->data[i + 1] == ')'; nested--)
		line->data[i++] = ' ';
}

void repair_flags(struct buf *line, size_t word_at, bool *literal)
{
	size_t value = word_at + 5;

	while (value < line->len && (line->data[value] == ' ' || line->data[value] == '\t'))
		value++;
	mend_flags(line, word_at, value, literal);
}

static bool item_is(const struct buf *line, size_t at, const char *name, size_t n)
{
	return line->len - at > n && !strncasecmp(line->data + at, name, n) && line->data[at + n] == ' ';
}

static int mend_item(struct buf *line, size_t at, bool *literal)
{
	if (item_is(line, at, "INTERNALDATE", 12))
		return mend_date(line, at, at + 13);
	if (item_is(line, at, "RFC822.SIZE", 11))
		return mend_size(line, at, at + 12);
	if (item_is(line, at, "UID", 3))
		mend_uid(line, at, at + 4);
	else if (line->len - at > 5 && !strncasecmp(line->data + at, "FLAGS", 5))
		repair_flags(line, at, literal);
	return 0;
}

/* "BODY[]{3}": libetpan wants the blank. */
static int add_blank_before_brace(struct buf *line)
{
	for (size_t i = line->len; i > 1; i--)
		if (line->data[i - 1] == '{')
			return line->data[i - 2] == ']' || line->data[i - 2] == '>'
				       ? repair_splice(line, i - 1, 0, " ", 1)
				       : 0;
	return 0;
}

/* Behind "BODY[": the end of a section that is empty, HEADER, TEXT, or HEADER.FIELDS (names), which is all we ask for. NULL: another. */
static const char *pass_section(const char *p, const char *end)
{
	static const char *const plain[] = {"]", "HEADER]", "TEXT]"};
	static const char fields[] = "HEADER.FIELDS (";
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
		size_t n = strlen(plain[i]);
		if ((size_t)(end - p) >= n && !strncasecmp(p, plain[i], n))
			return p + n;
	}
	if ((size_t)(end - p) < sizeof fields || strncasecmp(p, fields, sizeof fields - 1))
		return NULL;
	for (p += sizeof fields - 1;; p++) {
		const char *name = p;
		bool quoted = p < end && *p == '"';
		if (quoted)
			p++;
		while (p < end && (isalnum((unsigned char)*p) || *p == '-' || *p == '_'))
			p++;
		if (p == name + quoted || (quoted && (p == end || *p++ != '"')))
			return NULL;
		if (end - p >= 2 && p[0] == ')' && p[1] == ']')
			return p + 2;
		if (p == end || *p != ' ')
			return NULL;
	}
}

static bool begins_list(const char *p, const char *end, const char *name)
{
	size_t n = strlen(name);
	if ((size_t)(end - p) <= n || strncasecmp(p, name, n) || (p[n] != ' ' && p[n] != '\t'))
		return false;
	for (p += n; p < end && (*p == ' ' || *p == '\t'); p++)
		;
	return p < end && *p == '(';
}

/* What gets a name that libetpan skips: a section that does not end as it should, of which libetpan loses what it has read; an envelope,
   alone or inside a structure, whose parser frees the date twice when it gives up (mailimap_envelope_parse_full). */
static bool is_harmful(const char *p, const char *end)
{
	static const char section[] = "BODY[";
	if (begins_list(p, end, "ENVELOPE") || begins_list(p, end, "BODY") || begins_list(p, end, "BODYSTRUCTURE"))
		return true;
	return (size_t)(end - p) >= sizeof section - 1 && !strncasecmp(p, section, sizeof section - 1) &&
	       !pass_section(p + sizeof section - 1, end);
}

static void disarm_items(struct buf *line)
{
	char *end = line->data + line->len;
	for (char *c = line->data; c < end; c++) {
		if (*c == '"') { /* a text may say so */
			const char *close = repair_quote_end(c, end);
			c += close ? close - c : 0;
		} else if (strchr("BbEe", *c) && is_harmful(c, end)) {
			*c = 'X';
		}
	}
}

int repair_fetch(struct buf *line, const struct repair_context *c, bool *literal)
{
	int depth = c->continued ? c->depth : 0;
	bool quoted = false, word_start = true;

	disarm_items(line);
	for (size_t i = 0; i < line->len; i++) {
		char ch = line->data[i];
		if (quoted) {
			if (ch == '\\')
				i++;
			else if (ch == '"')
				quoted = false;
			continue;
		}
		if (word_start && depth == 1 && isalpha((unsigned char)ch)) {
			if (mend_item(line, i, literal))
				return -1;
			word_start = false;
			continue;
		}
		word_start = ch == ' ' || ch == '(';
		if (ch == '"')
			quoted = true;
		else if (ch == '(')
			depth++;
		else if (ch == ')' && depth > 0)
			depth--;
	}
	return *literal ? add_blank_before_brace(line) : 0;
}
