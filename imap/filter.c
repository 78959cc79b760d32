#include "imap/filter.h"

#include <ctype.h>

#define INPUT_ROOM ((size_t)64 << 10)
/* Shorter literals go through the input buffer: one more copy is cheaper than one more read. */
#define DIRECT_MIN 16384
/* Words of a line that do not count: "* 5 EXPUNGE", "* LIST (", "* 5 FETCH (UID 9 FLAGS (\Seen))". */
#define WORDS_FREE 4
#define WORDS_FREE_FETCH 9

/* Invariant: octets of the wire are in `in` from at to end; before them comes what is left of `line` (when ready), then
   `literal` octets that pass as they are, then lines again. */
struct filter {
	char *in; /* owned */
	size_t at, end, room;
	struct buf line;  /* the line being collected, or the mended one being handed out */
	size_t given;     /* of the line */
	bool ready;       /* the line is complete and mended */
	uint64_t literal; /* octets still to pass */
	uint64_t kept;    /* octets that libetpan keeps in memory for this command */
	uint64_t words;   /* and words, beyond those free of a line */
	bool streams_bodies;
	bool mutes_counts;
	struct repair_context context;
	struct repair_status answer, bye, alert;
	const char *error;
};

struct filter *filter_new(void)
{
	struct filter *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	buf_init(&f->line, FILTER_LINE_MAX + 64); /* what repair adds */
	f->room = INPUT_ROOM;
	f->in = malloc(f->room);
	if (!f->in)
		filter_free(&f);
	return f;
}

void filter_free(struct filter **f)
{
	if (!*f)
		return;
	free((*f)->in);
	buf_done(&(*f)->line);
	free(*f);
	*f = NULL;
}

static int poison(struct filter *f, const char *why)
{
	if (!f->error)
		f->error = why;
	return -1;
}

/* Empty again: start at the front, and give back what a long write made us stash. */
static void rewind_input(struct filter *f)
{
	f->at = f->end = 0;
	if (f->room > INPUT_ROOM) {
		char *smaller = realloc(f->in, INPUT_ROOM);
		if (smaller) {
			f->in = smaller;
			f->room = INPUT_ROOM;
		}
	}
}

char *filter_room(struct filter *f, size_t *room, bool stash)
{
	if (f->at == f->end)
		rewind_input(f);
	if (f->end == f->room && f->at > 0) {
		memmove(f->in, f->in + f->at, f->end - f->at);
		f->end -= f->at;
		f->at = 0;
	}
	if (f->end == f->room && stash && f->room < FILTER_STASH_MAX) {
		char *larger = realloc(f->in, f->room * 2);
		if (larger) {
			f->in = larger;
			f->room *= 2;
		}
	}
	*room = f->room - f->end;
	return f->in + f->end;
}

void filter_filled(struct filter *f, size_t n)
{
	f->end += n;
}

/* As the server wrote it: before libetpan's copy is mended. */
static void remember_words(struct filter *f)
{
	struct repair_status status;

	if (!f->line.len || f->context.continued || repair_classify(f->line.data, f->line.len) != REPAIR_STATUS ||
		!repair_parse_status(f->line.data, f->line.len, &status))
		return;
	if (strcmp(status.tag, "*")) {
		f->answer = status;
		return;
	}
	if (!strcmp(status.verb, "BYE"))
		f->bye = status;
	else if (strcmp(status.verb, "OK") || !strcmp(status.code, "ALERT"))
		f->alert = status;
}

static int keep(struct filter *f, uint64_t n)
{
	f->kept += n;
	return f->kept > FILTER_KEPT_MAX ? poison(f, "the answer to one command is too long") : 0;
}

static bool separates(char c)
{
	return c == ' ' || c == '(' || c == ')' || c == ',' || c == '\t';
}

/* What libetpan makes cells of: words, numbers of a set, quoted strings as one each, lists. */
static uint64_t count_words(const char *p, const char *end)
{
	uint64_t n = 0;
	bool inside = false, quotes = true; /* behind one without an end, in a text, none has an end */
	for (; p < end; p++) {
		const char *close = quotes && *p == '"' ? repair_quote_end(p, end) : NULL;
		quotes &= *p != '"' || close;
		n += *p == '(' || close || (!inside && !separates(*p));
		inside = !close && !separates(*p);
		if (close)
			p = close;
	}
	return n;
}

static int keep_words(struct filter *f)
{
	uint64_t n = count_words(f->line.data, f->line.data + f->line.len);
	uint64_t free_words = f->context.kind == REPAIR_FETCH ? WORDS_FREE_FETCH : WORDS_FREE;
	f->words += n > free_words ? n - free_words : 0;
	return f->words > FILTER_WORDS_MAX ? poison(f, "the answer to one command has too many words") : 0;
}

/* The line in f->line is whole, without its line end. 1: hand it out. 0: it was dropped. -1: poisoned. */
static int finish_line(struct filter *f)
{
	uint64_t size = 0;
	struct err ignored = ERR_INIT;

	while (f->line.len > 0 && f->line.data[f->line.len - 1] == '\r')
		f->line.data[--f->line.len] = 0;
	remember_words(f);
	bool literal = repair_find_literal(&f->line, FILTER_LITERAL_MAX, &size);
	switch (repair_line(&f->line, &f->context, &literal)) {
	case REPAIR_KEEP:
		break;
	case REPAIR_DROP:
		return 0;
	case REPAIR_NO_MEMORY:
		return poison(f, "a line is too long to be mended");
	}
	if (f->context.deepest > FILTER_DEPTH_MAX)
		return poison(f, "parentheses are nested too deep");
	if (literal && size > FILTER_LITERAL_MAX)
		return poison(f, "a literal of more than 4 GiB was announced");
	if (literal && !(f->streams_bodies && repair_is_body_literal(&f->line, &f->context)) && keep(f, size))
		return -1;
	if (keep_words(f))
		return -1;
	if (keep(f, f->line.len + 2) || buf_add(&f->line, "\r\n", 2, &ignored))
		return poison(f, "a line is too long");
	f->literal = literal ? size : 0;
	f->context.continued = literal;
	return 1;
}

/* "* 17 EXISTS" and "* 1 RECENT": what stands before the word, of n octets; NULL: another line. */
static const char *count_of(const char *p, size_t len, size_t *n)
{
	if (len > 0 && p[len - 1] == '\r')
		len--;
	if (len < 10 || p[0] != '*' || p[1] != ' ' ||
		(memcmp(p + len - 7, " EXISTS", 7) && memcmp(p + len - 7, " RECENT", 7)))
		return NULL;
	*n = len - 9;
	return p + 2;
}

/* Dropped: counts nobody reads now, and those that are none. libetpan reads "-1" as 0, and a full folder would look empty. */
static bool is_dropped(const struct filter *f, const char *line, size_t len)
{
	size_t n, digits = 0;
	const char *p = count_of(line, len, &n);
	while (p && digits < n && isdigit((unsigned char)p[digits]))
		digits++;
	return p && ((f->mutes_counts && digits == n) || (digits == 0 && (*p == '-' || *p == '+')));
}

/* Collects input up to the line's end. 1: a line is ready. 0: more input is needed. */
static int next_line(struct filter *f)
{
	struct err ignored = ERR_INIT;

	while (f->at < f->end) {
		const char *start = f->in + f->at, *newline = memchr(start, '\n', f->end - f->at);
		size_t n = newline ? (size_t)(newline - start) : f->end - f->at;
		if (f->line.len + n > FILTER_LINE_MAX || buf_add(&f->line, start, n, &ignored))
			return poison(f, "a line of more than 16 MiB came");
		f->at += n + (newline != NULL);
		if (!newline)
			break;
		bool dropped = !f->context.continued && is_dropped(f, f->line.data, f->line.len);
		int whole = dropped ? 0 : finish_line(f);
		if (whole < 0)
			return -1;
		if (whole) {
			f->ready = true;
			f->given = 0;
			return 1;
		}
		buf_clear(&f->line);
		f->context.continued = false;
	}
	return 0;
}

/* What one very long line took is given back before it costs every session that much for ever. */
static void line_given(struct filter *f)
{
	f->ready = false;
	if (f->line.room > INPUT_ROOM)
		buf_done(&f->line);
	else
		buf_clear(&f->line);
}

ssize_t filter_give(struct filter *f, void *out, size_t n)
{
	if (f->error)
		return -1;
	if (!f->ready && !f->literal) {
		int whole = next_line(f);
		if (whole <= 0)
			return whole;
	}
	if (f->ready) {
		size_t k = f->line.len - f->given;
		if (k > n)
			k = n;
		memcpy(out, f->line.data + f->given, k);
		f->given += k;
		if (f->given == f->line.len)
			line_given(f);
		return (ssize_t)k;
	}
	size_t k = f->end - f->at;
	if (k > n)
		k = n;
	if (k > f->literal)
		k = (size_t)f->literal;
	memcpy(out, f->in + f->at, k);
	f->at += k;
	f->literal -= k;
	return (ssize_t)k;
}

/* --- past libetpan --- */

enum filter_peek filter_peek_line(struct filter *f, const char **line, size_t *n)
{
	if (f->error || f->ready || f->literal || f->line.len || f->context.continued)
		return FILTER_NOT_PLAIN;
	while (f->at < f->end) {
		const char *start = f->in + f->at, *newline = memchr(start, '\n', f->end - f->at);
		if (!newline)
			return f->end - f->at >= INPUT_ROOM ? FILTER_NOT_PLAIN : FILTER_NEEDS_MORE;
		size_t len = (size_t)(newline - start);
		if (len == 0 || newline[-1] != '\r')
			return FILTER_NOT_PLAIN;
		*line = start;
		*n = --len;
		if (!f->mutes_counts || !is_dropped(f, start, len))
			return FILTER_LINE;
		filter_pass_line(f, len);
	}
	return FILTER_NEEDS_MORE;
}

void filter_pass_line(struct filter *f, size_t n)
{
	f->at += n + 2;
	keep(f, n + 2); /* nothing is kept, but an answer that does not end must not go on for ever */
}

void filter_pass_literal(struct filter *f, uint64_t size)
{
	f->literal = size;
}

size_t filter_view(const struct filter *f, const char **data)
{
	size_t n = f->end - f->at;
	*data = f->in + f->at;
	return n < f->literal ? n : (size_t)f->literal;
}

void filter_pass(struct filter *f, size_t n)
{
	f->at += n;
	f->literal -= n;
}

int filter_put_before(struct filter *f, const char *text, size_t n)
{
	struct err ignored = ERR_INIT;
	return buf_add(&f->line, text, n, &ignored);
}

uint64_t filter_direct(const struct filter *f)
{
	return !f->ready && f->at == f->end && f->literal >= DIRECT_MIN ? f->literal : 0;
}

void filter_skipped(struct filter *f, size_t n)
{
	f->literal -= n;
}

void filter_begin(struct filter *f, bool streams_bodies)
{
	f->kept = f->words = 0;
	f->streams_bodies = streams_bodies;
}

void filter_mute_counts(struct filter *f, bool on)
{
	f->mutes_counts = on;
}

bool filter_is_empty(const struct filter *f)
{
	return f->at == f->end && f->line.len == 0 && f->literal == 0;
}

const char *filter_error(const struct filter *f)
{
	return f->error;
}

const struct repair_status *filter_answer(const struct filter *f)
{
	return &f->answer;
}

const struct repair_status *filter_bye(const struct filter *f)
{
	return &f->bye;
}

const struct repair_status *filter_alert(const struct filter *f)
{
	return &f->alert;
}

void filter_forget_alert(struct filter *f)
{
	memset(&f->alert, 0, sizeof f->alert);
}

bool filter_peek_words(const struct filter *f, struct repair_status *out)
{
	const char *p = f->in + f->at, *end = f->in + f->end;
	bool found = false;

	if (f->literal > (uint64_t)(end - p))
		return false;
	p += f->literal;
	while (p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((newline ? newline : end) - p);
		struct repair_status status;
		if (n && p[n - 1] == '\r')
			n--;
		if (n && repair_parse_status(p, n, &status) && status.verb[0] && strcmp(status.verb, "OK") &&
			strcmp(status.verb, "PREAUTH")) {
			*out = status;
			found = true;
			if (!strcmp(status.verb, "BYE"))
				break;
		}
		p = newline ? newline + 1 : end;
	}
	return found;
}
