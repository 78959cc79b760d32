#include "imap/tolerate.h"

#include <ctype.h>
#include <libetpan/libetpan.h>
#include <stdbool.h>
#include <strings.h>

/* libetpan asks extensions last. We must never pass over an answer that we depend on: a damaged "* n FETCH" that vanished would be
   a lost message. So LIST, LSUB, SEARCH, STATUS, FETCH and BYE lines are refused here, and the command fails aloud. */

#define SKIPPED_LITERAL_MAX (16u << 20)

static struct mailimap_extension_api extension;

/* If the text from..end ends with "{n}": reads the n octets away and the line after them into the buffer. 1: done. 0: none. -1. */
static int skip_literal(mailstream *stream, MMAPString *b, size_t from, size_t end)
{
	unsigned long long n = 0;
	char scratch[4096];

	if (end <= from || b->str[end - 1] != '}')
		return 0;
	size_t i = end - 1;
	while (i > from && (isdigit((unsigned char)b->str[i - 1]) || b->str[i - 1] == '+'))
		i--;
	if (i <= from || b->str[i - 1] != '{')
		return 0;
	for (; isdigit((unsigned char)b->str[i]) && n <= SKIPPED_LITERAL_MAX; i++)
		n = n * 10 + (unsigned)(b->str[i] - '0');
	if (n > SKIPPED_LITERAL_MAX)
		return -1;
	while (n) {
		ssize_t r = mailstream_read(stream, scratch, n < sizeof scratch ? (size_t)n : sizeof scratch);
		if (r <= 0)
			return -1;
		n -= (unsigned long long)r;
	}
	return mailstream_read_line_append(stream, b) ? 1 : -1;
}

/* To the end of the response with all its literals; *p is then on the final line end. */
static int skip_response(mailstream *stream, MMAPString *b, size_t *p)
{
	for (;;) {
		char *newline = memchr(b->str + *p, '\n', b->len - *p);
		if (!newline)
			return -1;
		size_t end = (size_t)(newline - b->str), text = end > *p && b->str[end - 1] == '\r' ? end - 1 : end;
		int skipped = skip_literal(stream, b, *p, text);
		if (skipped < 0)
			return -1;
		if (!skipped) {
			*p = text;
			return 0;
		}
		*p = end + 1;
	}
}

static int skip_quoted(const MMAPString *b, size_t *p)
{
	for (++*p; *p < b->len && b->str[*p] != '\n'; ++*p) {
		if (b->str[*p] == '\\') {
			++*p;
		} else if (b->str[*p] == '"') {
			++*p;
			return 0;
		}
	}
	return -1;
}

static bool ends_atom(char c)
{
	return c == ' ' || c == '(' || c == ')' || c == '\r' || c == '\n' || c == '"';
}

/* A quoted string is one inside brackets too: the filter knows no others (repair_literal.c). */
static int skip_atom(const MMAPString *b, size_t *p)
{
	int brackets = 0;

	while (*p < b->len) {
		char c = b->str[*p];
		if (c == '\n' && brackets)
			return -1;
		if (c == '"' && brackets) {
			if (skip_quoted(b, p))
				return -1;
			continue;
		}
		if (c == '[')
			brackets++;
		else if (c == ']' && brackets)
			brackets--;
		else if (!brackets && ends_atom(c))
			break;
		++*p;
	}
	return 0;
}

/* "{n}" at *p; the filter has left no other brace in front of a number. */
static int skip_braces(mailstream *stream, MMAPString *b, size_t *p)
{
	size_t q = *p + 1;

	while (isdigit((unsigned char)b->str[q]))
		q++;
	if (b->str[q] != '}' || (b->str[q + 1] != '\r' && b->str[q + 1] != '\n'))
		return skip_atom(b, p);
	size_t line_end = q + 1 + (b->str[q + 1] == '\r');
	if (skip_literal(stream, b, *p, q + 1) != 1)
		return -1;
	*p = line_end + 1;
	return 0;
}

/* One value: an atom, a quoted string, a list of values in parentheses, a literal. */
static int skip_value(mailstream *stream, MMAPString *b, size_t *p)
{
	int depth = 0;

	do {
		while (*p < b->len && b->str[*p] == ' ')
			++*p;
		if (*p >= b->len)
			return -1;
		char c = b->str[*p];
		size_t start = *p;
		int failed = 0;
		if (c == '\r' || c == '\n' || (c == ')' && !depth))
			return -1;
		if (c == '(' || c == ')') {
			depth += c == '(' ? 1 : -1;
			++*p;
		} else if (c == '"') {
			failed = skip_quoted(b, p);
		} else if (c == '{') {
			failed = skip_braces(stream, b, p);
		} else {
			failed = skip_atom(b, p);
		}
		if (failed || *p == start)
			return -1;
	} while (depth > 0);
	return 0;
}

static bool is_needed(const char *word)
{
	static const char *const needed[] = {"LIST ", "LSUB ", "SEARCH", "STATUS ", "BYE"};
	const char *w = word;

	while (isdigit((unsigned char)*w))
		w++;
	if (w > word && *w == ' ' && !strncasecmp(w + 1, "FETCH ", 6))
		return true;
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (!strncasecmp(word, needed[i], strlen(needed[i])))
			return true;
	return false;
}

static int pass_response(mailstream *stream, MMAPString *b, size_t *p)
{
	while (b->str[*p] == ' ')
		++*p;
	if (!isgraph((unsigned char)b->str[*p]) || is_needed(b->str + *p))
		return MAILIMAP_ERROR_PARSE;
	return skip_response(stream, b, p) ? MAILIMAP_ERROR_STREAM : MAILIMAP_NO_ERROR;
}

static int pass_item(mailstream *stream, MMAPString *b, size_t *p)
{
	while (b->str[*p] == ' ')
		++*p;
	if (!isalpha((unsigned char)b->str[*p]) || skip_value(stream, b, p) || b->str[*p] != ' ')
		return MAILIMAP_ERROR_PARSE;
	/* From here on a literal may be gone from the stream: no other parser may try again. */
	return skip_value(stream, b, p) ? MAILIMAP_ERROR_STREAM : MAILIMAP_NO_ERROR;
}

static int parse(int caller, mailstream *stream, MMAPString *b, struct mailimap_parser_context *context, size_t *at,
	struct mailimap_extension_data **result, size_t rate, progress_function *progress)
{
	size_t p = *at;
	int failed = MAILIMAP_ERROR_PARSE;

	(void)context;
	(void)rate;
	(void)progress;
	if (!stream)
		return MAILIMAP_ERROR_PARSE;
	if (caller == MAILIMAP_EXTENDED_PARSER_RESPONSE_DATA)
		failed = pass_response(stream, b, &p);
	else if (caller == MAILIMAP_EXTENDED_PARSER_FETCH_DATA || caller == MAILIMAP_EXTENDED_PARSER_STATUS_ATT)
		failed = pass_item(stream, b, &p);
	if (failed)
		return failed;
	*result = mailimap_extension_data_new(&extension, 0, NULL);
	if (!*result)
		return MAILIMAP_ERROR_MEMORY;
	*at = p;
	return MAILIMAP_NO_ERROR;
}

static void free_data(struct mailimap_extension_data *data)
{
	free(data);
}

static char extension_name[] = "nightferry-tolerance";
static struct mailimap_extension_api extension = {extension_name, -1, parse, free_data};

void tolerate_register(void)
{
	mailimap_extension_register(&extension);
}
