/* The scan looks at each octet as few times as it can: whole lines are found and checked with memchr, which
   the C library vectorises, and only the header is looked at more closely. It keeps no octets but the four
   values, so a header of any size costs nothing. A line may be fed in any pieces; a CR that ends a piece
   waits for what follows it. */
#include "imap/scan.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum field { MESSAGE_ID, DATE, FROM, SUBJECT, FIELDS, RECEIPT_REQUEST = FIELDS, NO_FIELD };

static const struct {
	const char *text;
	size_t len;
} field_names[] = {
#define NAME(s) {s, sizeof(s) - 1}
	[MESSAGE_ID] = NAME("message-id"),
	[DATE] = NAME("date"),
	[FROM] = NAME("from"),
	[SUBJECT] = NAME("subject"),
	[RECEIPT_REQUEST] = NAME("disposition-notification-to"),
#undef NAME
};

struct value {
	size_t len;
	bool is_taken; /* the first field of a name counts */
	char text[FINGERPRINT_FIELD + 1];
};

struct scan {
	EVP_MD *sha256;   /* owned */
	EVP_MD_CTX *hash; /* owned */
	uint64_t size;
	uint64_t line;   /* octets of the line so far */
	bool is_cr_held; /* a CR ended the last piece; not counted yet */
	bool in_header;
	struct mail_defects defects;

	/* the header line so far */
	bool in_name;     /* no colon yet */
	bool is_folding;  /* between a line end and the next octet that is not a blank */
	enum field field; /* whose value the octets belong to; survives the line end for a continuation */
	char name[32];    /* a longer name is none of ours: then name_len is sizeof(name) + 1 */
	size_t name_len;
	struct value values[FIELDS];
};

static bool reset(struct scan *s)
{
	s->size = s->line = 0;
	s->is_cr_held = s->is_folding = false;
	s->in_header = s->in_name = true;
	s->field = NO_FIELD;
	s->name_len = 0;
	s->defects = (struct mail_defects){0};
	for (int f = 0; f < FIELDS; f++) {
		s->values[f].len = 0;
		s->values[f].is_taken = false;
	}
	return EVP_DigestInit_ex2(s->hash, s->sha256, NULL) == 1;
}

struct scan *scan_new(void)
{
	struct scan *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL); /* once: a fetch costs more than a small message's hash */
	s->hash = EVP_MD_CTX_new();
	if (!s->sha256 || !s->hash || !reset(s))
		scan_free(&s);
	return s;
}

void scan_free(struct scan **s)
{
	if (!*s)
		return;
	EVP_MD_CTX_free((*s)->hash);
	EVP_MD_free((*s)->sha256);
	free(*s);
	*s = NULL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The colon was reached: whose value follows? Blanks before it are obsolete syntax that is still seen (RFC
   5322 section 4.5). */
static void name_ended(struct scan *s)
{
	s->in_name = false;
	s->field = NO_FIELD;
	if (s->name_len > sizeof(s->name))
		return;
	while (s->name_len > 0 && is_blank(s->name[s->name_len - 1]))
		s->name_len--;
	for (int f = 0; f < NO_FIELD; f++) {
		if (field_names[f].len == s->name_len && strncasecmp(field_names[f].text, s->name, s->name_len) == 0)
			s->field = (enum field)f;
	}
	if (s->field == RECEIPT_REQUEST) {
		s->defects.has_receipt_request = true;
		s->field = NO_FIELD;
	} else if (s->field != NO_FIELD && s->values[s->field].is_taken) {
		s->field = NO_FIELD;
	} else if (s->field != NO_FIELD) {
		s->values[s->field].is_taken = true;
	}
}

static void add_to_value(struct value *v, bool *is_folding, const char *p, size_t n)
{
	for (size_t i = 0; i < n && v->len < FINGERPRINT_FIELD; i++) {
		bool blank = is_blank(p[i]) || p[i] == '\r';
		if (blank && (*is_folding || v->len == 0))
			continue;
		if (*is_folding) { /* a fold is one blank, whatever stood around it */
			while (v->len > 0 && is_blank(v->text[v->len - 1]))
				v->len--;
			if (v->len > 0)
				v->text[v->len++] = ' ';
			*is_folding = false;
			if (v->len == FINGERPRINT_FIELD)
				return;
		}
		v->text[v->len++] = p[i] == '\0' ? '?' : p[i] == '\r' ? ' ' : p[i];
	}
}

static bool has_eight_bit(const char *p, size_t n)
{
	uint64_t all = 0, eight;
	for (; n >= sizeof(eight); p += sizeof(eight), n -= sizeof(eight)) {
		memcpy(&eight, p, sizeof(eight));
		all |= eight;
	}
	for (; n > 0; p++, n--)
		all |= (unsigned char)*p;
	return (all & 0x8080808080808080u) != 0;
}

/* A piece of a header line, without its line end. */
static void header_piece(struct scan *s, const char *p, size_t n)
{
	if (n == 0)
		return;
	if (memchr(p, '\0', n))
		s->defects.nul_header = true;
	if (has_eight_bit(p, n))
		s->defects.eight_bit_header = true;
	if (s->line == 0) { /* the first octet of the line says whether it continues the one before */
		s->in_name = !is_blank(*p);
		s->name_len = 0;
		if (!is_blank(*p))
			s->field = NO_FIELD;
		s->is_folding = is_blank(*p);
	}
	if (s->in_name) {
		const char *colon = memchr(p, ':', n);
		size_t part = colon ? (size_t)(colon - p) : n;
		if (s->name_len + part <= sizeof(s->name)) {
			memcpy(s->name + s->name_len, p, part);
			s->name_len += part;
		} else {
			s->name_len = sizeof(s->name) + 1;
		}
		if (!colon)
			return;
		name_ended(s);
		p += part + 1;
		n -= part + 1;
		s->is_folding = false;
	}
	if (s->field != NO_FIELD)
		add_to_value(&s->values[s->field], &s->is_folding, p, n);
}

/* A piece of a line, without its line end. */
static void line_piece(struct scan *s, const char *p, size_t n)
{
	if (n == 0)
		return;
	if (memchr(p, '\r', n))
		s->defects.bare_line_end = true;
	if (s->in_header)
		header_piece(s, p, n);
	s->line += n;
}

static void line_end(struct scan *s)
{
	if (s->line > s->defects.longest_line)
		s->defects.longest_line = s->line;
	if (s->line == 0)
		s->in_header = false;
	s->line = 0;
}

void scan_feed(struct scan *s, const void *data, size_t n)
{
	const char *p = data, *end = p + n;
	if (n == 0)
		return;
	EVP_DigestUpdate(s->hash, data, n);
	s->size += n;
	if (!s->defects.nul && memchr(p, '\0', n))
		s->defects.nul = true;
	if (s->is_cr_held) {
		s->is_cr_held = false;
		if (*p == '\n') {
			line_end(s);
			p++;
		} else {
			line_piece(s, "\r", 1);
		}
	}
	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p)), *stop = lf ? lf : end;
		bool has_cr = stop > p && stop[-1] == '\r';
		line_piece(s, p, (size_t)(stop - p) - has_cr);
		if (!lf) {
			s->is_cr_held = has_cr;
			return;
		}
		if (!has_cr)
			s->defects.bare_line_end = true;
		line_end(s);
		p = lf + 1;
	}
}

static char *take_value(struct value *v)
{
	while (v->len > 0 && is_blank(v->text[v->len - 1]))
		v->len--;
	v->text[v->len] = '\0';
	return strdup(v->text);
}

int scan_finish(struct scan *s, struct fingerprint *print, struct mail_defects *defects, struct err *err)
{
	if (s->is_cr_held)
		line_piece(s, "\r", 1);
	if (s->line > s->defects.longest_line)
		s->defects.longest_line = s->line;
	*print = (struct fingerprint){.size = s->size,
		.message_id = take_value(&s->values[MESSAGE_ID]),
		.date = take_value(&s->values[DATE]),
		.from = take_value(&s->values[FROM]),
		.subject = take_value(&s->values[SUBJECT])};
	*defects = s->defects;
	bool hashed = EVP_DigestFinal_ex(s->hash, print->sha256, NULL) == 1;
	bool fine = reset(s) && hashed && print->message_id && print->date && print->from && print->subject;
	if (fine)
		return 0;
	fingerprint_done(print);
	return err_set(err, ERR_MEMORY, "out of memory for a fingerprint");
}
