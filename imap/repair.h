/* What a server's line lacks, mended before libetpan 1.9.4 reads it: each cure has its evidence in spec/imap.md, 3.5 and 5. Pure. */
#ifndef NF_IMAP_REPAIR_H
#define NF_IMAP_REPAIR_H

#include "engine/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum repair_kind {
	REPAIR_FETCH,  /* "* n FETCH": the response whose literals may be message bodies */
	REPAIR_STATUS, /* OK, NO, BAD, BYE, PREAUTH, tagged or not, and "+": free text, never a literal */
	REPAIR_OTHER
};

/* A status line in its parts; the strings are cut, printable and end with NUL. */
#define REPAIR_WORDS 512
struct repair_status {
	char tag[24];             /* "*", "+" or the command's */
	char verb[8];             /* "OK", "NO", "BAD", "BYE", "PREAUTH"; "" for "+" */
	char code[40];            /* the response code's atom in capitals, "" if none */
	char arguments[128];      /* what follows the atom inside the brackets */
	char words[REPAIR_WORDS]; /* the text behind the code */
	char all[REPAIR_WORDS];   /* code and text as they came */
};

/* A response may run over several lines, with literals between them: this is what one line knows of those before it. */
struct repair_context {
	bool continued;        /* the line goes on after a literal */
	enum repair_kind kind; /* set by the first line */
	int depth;             /* open parentheses outside quotes, where the line ends */
	int deepest;           /* the most that were open at once in the line: what libetpan's recursion costs */
};

enum repair_outcome { REPAIR_KEEP, REPAIR_DROP, REPAIR_NO_MEMORY };

/* Mends a line (without its line end) in place. REPAIR_DROP: it says nothing. *literal: the line ends with a literal's announcement
   "{n}"; becomes false when libetpan will read that as text. */
enum repair_outcome repair_line(struct buf *line, struct repair_context *c, bool *literal);
/* "{n}", "{n+}", "~{n}" at the end of the line, with or without blanks inside: brought to "{n}", and "{-n}" to "{0}". A size beyond most is
   told as UINT64_MAX. */
bool repair_find_literal(struct buf *line, uint64_t most, uint64_t *size);
/* Of the first line of a response. */
enum repair_kind repair_classify(const char *line, size_t n);
/* true and *out filled if this is a status line. */
bool repair_parse_status(const char *line, size_t n, struct repair_status *out);
/* The line ends with the announcement of a literal that libetpan hands to a body handler. */
bool repair_is_body_literal(const struct buf *line, const struct repair_context *c);

/* Between repair*.c. Replaces old octets at `at`. 0 or -1: memory is out. */
int repair_splice(struct buf *line, size_t at, size_t old, const char *text, size_t n);
/* The quote that ends the quoted string beginning at p; NULL: none before end. */
const char *repair_quote_end(const char *p, const char *end);
void repair_close_quotes(
	struct buf *line); /* a quote without an end becomes '_', so that what follows it is not quoted */
/* "{n}" becomes "_n}", save in quoted strings (in_quotes: there too) and the one that ends the line (literal). */
void repair_hide_announcements(struct buf *line, bool in_quotes, bool literal);
const char *repair_find(const char *p, const char *end, const char *word); /* without case; NULL: not there */
int repair_fetch(struct buf *line, const struct repair_context *c, bool *literal);
void repair_flags(struct buf *line, size_t word_at, bool *literal); /* "FLAGS (..." stands at word_at */
int repair_list(struct buf *line, const char *verb, size_t arguments_at, bool *literal);

#endif
