#include "imap/repair.h"

#include <ctype.h>
#include <strings.h>

/* libetpan accepts lines with missing blanks, so nothing here may rely on blanks being where the RFC wants them: what looks for
   a dangerous word looks everywhere (an earlier filter that did not was beaten three times by the fuzzer). */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

static bool starts(const char *p, const char *end, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(end - p) >= n && !strncasecmp(p, word, n);
}

static bool is_word(const char *p, const char *end, const char *word)
{
	size_t n = strlen(word);

	return starts(p, end, word) && (p + n == end || is_blank(p[n]));
}

const char *repair_find(const char *p, const char *end, const char *word)
{
	size_t n = strlen(word);
	char low = (char)tolower((unsigned char)word[0]), up = (char)toupper((unsigned char)word[0]);

	for (; p < end && (size_t)(end - p) >= n; p++)
		if ((*p == low || *p == up) && !strncasecmp(p, word, n))
			return p;
	return NULL;
}

int repair_splice(struct buf *line, size_t at, size_t old, const char *text, size_t n)
{
	struct err ignored = ERR_INIT;
	size_t tail = line->len - at - old;

	if (n > old) {
		/* Only to make room: the octets are overwritten by the move. */
		for (size_t grow = n - old; grow;) {
			static const char blanks[64] = {0};
			size_t k = grow < sizeof blanks ? grow : sizeof blanks;
			if (buf_add(line, blanks, k, &ignored))
				return -1;
			grow -= k;
		}
	}
	memmove(line->data + at + n, line->data + at + old, tail);
	memcpy(line->data + at, text, n);
	line->len = at + n + tail;
	line->data[line->len] = 0;
	return 0;
}

static const char *const verbs[] = {"OK", "NO", "BAD", "BYE", "PREAUTH"};

/* The verb that starts here even when text follows without a blank: libetpan would read it so. */
static const char *status_verb(const char *p, const char *end)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (starts(p, end, verbs[i]))
			return verbs[i];
	return NULL;
}

enum repair_kind repair_classify(const char *line, size_t n)
{
	const char *p = line, *end = line + n;

	p = skip_blanks(p, end);
	if (p == end || *p != '*')
		return REPAIR_STATUS; /* tagged, or "+" */
	p = skip_blanks(p + 1, end);
	if (status_verb(p, end))
		return REPAIR_STATUS;
	const char *digits = p;
	while (p < end && isdigit((unsigned char)*p))
		p++;
	if (p > digits && p < end && is_blank(*p) && is_word(skip_blanks(p, end), end, "FETCH"))
		return REPAIR_FETCH;
	return REPAIR_OTHER;
}

static void put(char *out, size_t size, const char *from, const char *to, bool capitals)
{
	size_t n = 0;

	for (; from < to && n + 1 < size; from++) {
		unsigned char c = (unsigned char)*from;
		out[n++] = c < 32 || c == 127 ? '?' : capitals ? (char)toupper(c) : (char)c;
	}
	out[n] = 0;
}

bool repair_parse_status(const char *line, size_t n, struct repair_status *out)
{
	const char *p = line, *end = line + n;

	memset(out, 0, sizeof *out);
	p = skip_blanks(p, end);
	while (end > p && (is_blank(end[-1]) || end[-1] == '\r' || end[-1] == '\n'))
		end--;
	const char *tag = p;
	while (p < end && !is_blank(*p))
		p++;
	put(out->tag, sizeof out->tag, tag, p, false);
	p = skip_blanks(p, end);
	if (!strcmp(out->tag, "+")) {
		put(out->words, sizeof out->words, p, end, false);
		put(out->all, sizeof out->all, p, end, false);
		return true;
	}
	const char *verb = status_verb(p, end);
	if (!verb)
		return false;
	put(out->verb, sizeof out->verb, verb, verb + strlen(verb), true);
	p = skip_blanks(p + strlen(verb), end);
	put(out->all, sizeof out->all, p, end, false);
	if (p < end && *p == '[') {
		const char *atom = ++p;
		while (p < end && *p != ']' && !is_blank(*p))
			p++;
		put(out->code, sizeof out->code, atom, p, true);
		const char *arguments = skip_blanks(p, end);
		while (p < end && *p != ']')
			p++;
		put(out->arguments, sizeof out->arguments, arguments < p ? arguments : p, p, false);
		p = skip_blanks(p < end ? p + 1 : p, end);
	}
	put(out->words, sizeof out->words, p, end, false);
	return true;
}

/* --- words whose malformed arguments crash libetpan 1.9.4: renamed, so that its generic paths take over --- */

/* [BADCHARSET (...)] in a greeting or a "+" line: NULL parser context, SIGSEGV before sign-in; not fixed upstream. */
static void disarm_badcharset(struct buf *line)
{
	char *end = line->data + line->len;

	for (const char *c = line->data; (c = repair_find(c, end, "BADCHARSET")); c++)
		line->data[c - line->data] = 'X';
}

/* [PERMANENTFLAGS ((]: clist_foreach(NULL). We have no use for it, and telling the good lists from the bad ones has failed twice. */
static void disarm_permanentflags(struct buf *line)
{
	const char *end = line->data + line->len;

	for (const char *c = line->data; (c = repair_find(c, end, "PERMANENTFLAGS")); c++)
		line->data[c - line->data] = 'X';
}

/* NAMESPACE (("" "": an empty prefix whose separator is odd makes libetpan read prefix[-1]. */
static void disarm_namespace(struct buf *line)
{
	const char *end = line->data + line->len, *c = repair_find(line->data, end, "NAMESPACE");

	for (const char *q = c; q && q + 1 < end; q++) {
		if (q[0] != '"' || q[1] != '"')
			continue;
		const char *z = skip_blanks(q + 2, end);
		if (z < end && *z == '"' && (z + 2 >= end || z[1] == '"' || (z[1] != '\\' && z[2] != '"'))) {
			line->data[c - line->data] = 'X';
			return;
		}
	}
}

/* "* OK" and "* OK [ALERT]" without a text: strdup(NULL), or a parse error that ends the session. */
static int add_missing_text(struct buf *line)
{
	const char *p = line->data, *end = p + line->len;
	struct err ignored = ERR_INIT;

	while (end > p && is_blank(end[-1]))
		end--;
	bool bare = end > p && end[-1] == ']' && (repair_find(p, end, "ALERT") || repair_find(p, end, "PARSE"));
	const char *w = memchr(p, ' ', (size_t)(end - p));
	if (!bare && w) {
		w = skip_blanks(w, end);
		for (size_t i = 0; i < sizeof verbs / sizeof *verbs && !bare; i++)
			bare = starts(w, end, verbs[i]) && (size_t)(end - w) == strlen(verbs[i]);
	}
	return bare ? buf_add_str(line, " -", &ignored) : 0;
}

/* "* CAPABILITY" with nothing leaves a NULL list behind, and some servers put the list into parentheses. */
static int mend_capability(struct buf *line, size_t arguments_at)
{
	static const char least[] = " IMAP4rev1";
	const char *end = line->data + line->len;

	for (size_t i = arguments_at; i < line->len; i++)
		if (line->data[i] == '(' || line->data[i] == ')')
			line->data[i] = ' ';
	while (line->len > arguments_at && is_blank(line->data[line->len - 1]))
		line->data[--line->len] = 0;
	if (skip_blanks(line->data + arguments_at, end) < line->data + line->len)
		return 0;
	return repair_splice(line, arguments_at, line->len - arguments_at, least, sizeof least - 1);
}

static int mend_other(struct buf *line, bool *literal)
{
	const char *end = line->data + line->len, *p = memchr(line->data, '*', line->len);

	p = skip_blanks(p ? p + 1 : line->data, end);
	if (is_word(p, end, "LIST"))
		return repair_list(line, "LIST", (size_t)(p - line->data) + 4, literal);
	if (is_word(p, end, "LSUB"))
		return repair_list(line, "LSUB", (size_t)(p - line->data) + 4, literal);
	repair_close_quotes(line);
	if (starts(p, end, "FLAGS"))
		repair_flags(line, (size_t)(p - line->data), literal);
	if (is_word(p, end, "CAPABILITY"))
		return mend_capability(line, (size_t)(p - line->data) + 10);
	return 0;
}

static void mend_controls(struct buf *line)
{
	for (size_t i = 0; i < line->len; i++)
		if ((unsigned char)line->data[i] < 32 && line->data[i] != '\t')
			line->data[i] = '?'; /* NUL, a stray CR, others */
}

/* A balanced line ends where it began, however deep it went in between. */
static void count_depth(const struct buf *line, struct repair_context *c)
{
	bool quoted = false;
	const char *p = line->data, *end = p + line->len;

	c->deepest = c->depth;
	for (; p < end; p++) {
		if (quoted) {
			if (*p == '\\' && p + 1 < end)
				p++;
			else if (*p == '"')
				quoted = false;
		} else if (*p == '"') {
			quoted = true;
		} else if (*p == '(') {
			c->depth++;
			if (c->depth > c->deepest)
				c->deepest = c->depth;
		} else if (*p == ')' && c->depth > 0) {
			c->depth--;
		}
	}
}

/* "* 1 FETCH ()" says nothing and makes libetpan fail (qip.ru). */
static bool is_empty_fetch(const struct buf *line)
{
	const char *end = line->data + line->len, *open = memchr(line->data, '(', line->len);

	if (!open)
		return false;
	const char *close = skip_blanks(open + 1, end);
	return close < end && *close == ')' && skip_blanks(close + 1, end) == end;
}

static int mend_by_kind(struct buf *line, struct repair_context *c, bool *literal)
{
	switch (c->kind) {
	case REPAIR_FETCH:
		repair_close_quotes(line);
		return repair_fetch(line, c, literal);
	case REPAIR_STATUS:
		*literal = false; /* "* OK x {99999}" must not switch the filter off */
		break;
	case REPAIR_OTHER:
		if (!c->continued)
			break;
		repair_close_quotes(line);
		return 0;
	}
	disarm_badcharset(line);
	disarm_permanentflags(line);
	disarm_namespace(line);
	if (c->kind == REPAIR_STATUS)
		return add_missing_text(line);
	return mend_other(line, literal);
}

enum repair_outcome repair_line(struct buf *line, struct repair_context *c, bool *literal)
{
	if (!line->data)
		return REPAIR_DROP;
	mend_controls(line);
	if (!c->continued) {
		c->depth = 0;
		c->kind = repair_classify(line->data, line->len);
		/* Exchange sends a blank line before the tagged one; libetpan does not skip it there. */
		if (skip_blanks(line->data, line->data + line->len) == line->data + line->len)
			return REPAIR_DROP;
		if (c->kind == REPAIR_FETCH && is_empty_fetch(line))
			return REPAIR_DROP;
	}
	if (mend_by_kind(line, c, literal))
		return REPAIR_NO_MEMORY;
	repair_hide_announcements(line, c->kind == REPAIR_STATUS, *literal);
	count_depth(line, c);
	return REPAIR_KEEP;
}

static const char *last(const char *start, const char *end, char c)
{
	while (end > start)
		if (*--end == c)
			return end;
	return NULL;
}

/* libetpan streams BODY[...], RFC822 and RFC822.TEXT, but not RFC822.HEADER; depth 1, so that nothing inside another item's list can claim
   to be a body and have a literal kept in memory without being counted. */
bool repair_is_body_literal(const struct buf *line, const struct repair_context *c)
{
	static const char *const names[] = {"RFC822", "RFC822.TEXT"};
	const char *start = line->data, *end = start + line->len;

	if (c->kind != REPAIR_FETCH || c->depth != 1)
		return false;
	const char *brace = last(start, end, '{');
	while (brace && brace > start && is_blank(brace[-1]))
		brace--;
	if (!brace || brace == start || brace >= end)
		return false;
	if (brace[-1] == ']' || brace[-1] == '>') {
		/* The section may hold blanks: BODY[HEADER.FIELDS (DATE)]. */
		const char *open = last(start, brace, '[');
		return open && open - start >= 5 && !strncasecmp(open - 4, "BODY", 4) &&
		       (open[-5] == ' ' || open[-5] == '(');
	}
	const char *word = brace;
	while (word > start && !is_blank(word[-1]) && word[-1] != '(')
		word--;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if ((size_t)(brace - word) == strlen(names[i]) && !strncasecmp(word, names[i], strlen(names[i])))
			return true;
	return false;
}
