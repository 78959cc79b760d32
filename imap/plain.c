/* A message costs libetpan some ten thousand instructions for its FETCH line, its lists and copies, and as many for an APPEND's answer; here both
   are one pass over the line. */
#include "imap/plain.h"

#include "imap/filter.h"
#include "imap/flags.h"

#include <ctype.h>

struct reader {
	const char *p, *end;
};

static bool take(struct reader *r, const char *word, size_t n)
{
	if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
		return false;
	r->p += n;
	return true;
}

#define TAKE(r, word) take(r, word, sizeof(word) - 1)

static bool number(struct reader *r, uint64_t most, uint64_t *out)
{
	const char *from = r->p;
	uint64_t v = 0;
	for (; r->p < r->end && isdigit((unsigned char)*r->p); r->p++) {
		v = v * 10 + (uint64_t)(*r->p - '0');
		if (v > most)
			return false;
	}
	*out = v;
	return r->p > from;
}

/* Exactly n digits. */
static bool digits(struct reader *r, int n, int *out)
{
	*out = 0;
	for (; n > 0; n--, r->p++) {
		if (r->p == r->end || !isdigit((unsigned char)*r->p))
			return false;
		*out = *out * 10 + (*r->p - '0');
	}
	return true;
}

static bool month(struct reader *r, int *out)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	for (*out = 1; *out <= 12; ++*out) {
		if (take(r, names + (*out - 1) * 3, 3))
			return true;
	}
	return false;
}

/* "dd-Mon-yyyy hh:mm:ss +zzzz", the first digit of the day may be a blank. */
static bool date(struct reader *r, struct fetch_line *out)
{
	struct fetch_date d = {0};
	bool one = TAKE(r, " ");
	if (!digits(r, one ? 1 : 2, &d.day) || !TAKE(r, "-") || !month(r, &d.month) || !TAKE(r, "-") ||
		!digits(r, 4, &d.year) || !TAKE(r, " ") || !digits(r, 2, &d.hour) || !TAKE(r, ":") ||
		!digits(r, 2, &d.minute) || !TAKE(r, ":") || !digits(r, 2, &d.second) || !TAKE(r, " "))
		return false;
	bool minus = TAKE(r, "-");
	if ((!minus && !TAKE(r, "+")) || !digits(r, 4, &d.zone) || !TAKE(r, "\""))
		return false;
	if (minus)
		d.zone = -d.zone;
	fetch_join_date(&d, &out->date);
	return true;
}

/* One flag of n octets. */
static bool flag(const char *word, size_t n, struct fetch_line *out)
{
	static const char *const others[] = {"\\Recent", "\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted"};
	char text[64];
	if (n == 0 || n >= sizeof(text))
		return false;
	memcpy(text, word, n);
	text[n] = '\0';
	bool known = *text != '\\';
	for (size_t i = 0; i < sizeof(others) / sizeof(*others) && !known; i++)
		known = strcmp(text, others[i]) == 0;
	if (!known)
		return false;
	const char *keep = flags_parse_one(text, &out->flags);
	if (keep)
		fetch_add_keyword(out, keep);
	return true;
}

static bool flags(struct reader *r, struct fetch_line *out)
{
	out->has_flags = true;
	if (TAKE(r, ")"))
		return true;
	for (;;) {
		const char *from = r->p;
		if (r->p < r->end && *r->p == '\\')
			r->p++;
		while (r->p < r->end && (isalnum((unsigned char)*r->p) || strchr("$_-.+:/&", *r->p)) && *r->p)
			r->p++;
		if (!flag(from, (size_t)(r->p - from), out))
			return false;
		if (TAKE(r, ")"))
			return true;
		if (!TAKE(r, " "))
			return false;
	}
}

/* "BODY[] {123}" or "BODY[]<0> {123}", behind its first five octets; it ends the line. */
static bool body(struct reader *r, uint64_t *literal)
{
	uint64_t offset;
	if (TAKE(r, "<") && (!number(r, UINT32_MAX, &offset) || !TAKE(r, ">")))
		return false;
	return TAKE(r, " {") && number(r, FILTER_LITERAL_MAX, literal) && *literal > 0 && TAKE(r, "}") &&
	       r->p == r->end;
}

enum { HAS_UID = 1, HAS_FLAGS = 2, HAS_DATE = 4, HAS_SIZE = 8 };

/* 0: not plain; else which item it was. */
static unsigned item(struct reader *r, struct fetch_line *out)
{
	uint64_t v;
	if (TAKE(r, "UID ")) {
		if (!number(r, UINT32_MAX, &v) || v == 0)
			return 0;
		out->uid = (uint32_t)v;
		return HAS_UID;
	}
	if (TAKE(r, "FLAGS ("))
		return flags(r, out) ? HAS_FLAGS : 0;
	if (TAKE(r, "INTERNALDATE \""))
		return date(r, out) ? HAS_DATE : 0;
	if (TAKE(r, "RFC822.SIZE ") && number(r, UINT32_MAX, &out->size)) {
		out->has_size = true;
		return HAS_SIZE;
	}
	return 0;
}

bool plain_fetch(const char *line, size_t n, struct fetch_line *out, uint64_t *literal)
{
	struct reader r = {line, line + n};
	unsigned seen = 0;
	uint64_t v;
	*literal = 0;
	out->uid = 0;
	out->has_size = out->has_flags = out->has_body = out->body_is_nil = false;
	out->size = 0;
	out->flags = 0;
	out->keywords[0] = '\0';
	out->keywords_cut = false;
	out->date = (struct mail_date){0};
	if (!TAKE(&r, "* ") || !number(&r, UINT32_MAX, &v) || v == 0 || !TAKE(&r, " FETCH ("))
		return false;
	out->seq = (uint32_t)v;
	for (;;) {
		if ((seen & HAS_UID) && TAKE(&r, "BODY[]"))
			return body(&r, literal);
		unsigned which = item(&r, out);
		if (which == 0 || (seen & which))
			return false;
		seen |= which;
		if (TAKE(&r, ")"))
			return r.p == r.end;
		if (!TAKE(&r, " "))
			return false;
	}
}

static bool is_printable(const char *p, const char *end)
{
	for (; p < end; p++) {
		if ((unsigned char)*p < 32 || (unsigned char)*p > 126)
			return false;
	}
	return true;
}

bool plain_ok(const char *line, size_t n, int tag, struct repair_status *out)
{
	struct reader r = {line, line + n};
	uint64_t v;
	if (n == 0 || *line == '0' || !number(&r, INT32_MAX, &v) || tag < 0 || v != (uint64_t)tag || !TAKE(&r, " OK "))
		return false;
	const char *text = r.p;
	if (TAKE(&r, "[") && (!TAKE(&r, "APPENDUID ") || !number(&r, UINT32_MAX, &v) || v == 0 || !TAKE(&r, " ") ||
				     !number(&r, UINT32_MAX, &v) || v == 0 || !TAKE(&r, "] ")))
		return false;
	return r.p < r.end && isalnum((unsigned char)*r.p) && is_printable(text, r.end) &&
	       repair_parse_status(line, n, out);
}
