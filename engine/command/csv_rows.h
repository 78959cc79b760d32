/* A CSV taken apart in place: rows of fields, quoted as spreadsheets do, line ends of any kind inside quotes, commas or semicolons. For
   whoever knows what the columns mean. Pure. */
#ifndef NF_ENGINE_COMMAND_CSV_ROWS_H
#define NF_ENGINE_COMMAND_CSV_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#define CSV_FIELDS 64 /* of a row; more are counted, not kept */

struct csv_rows {
	char *at, *end; /* in the caller's text, which is changed; *end is NUL */
	char separator;
	unsigned line;     /* where at is, from 1 */
	bool open_quote;   /* a quotation mark was opened and never closed: it ended there */
	unsigned row_line; /* where the row that was given last begins */
};

/* text[n] is NUL. "sep=;" in a first line is a spreadsheet's own, and is skipped; else the separator is what the first line has more of. */
void csv_rows_begin(struct csv_rows *r, char *text, size_t n);
/* The fields of the next row that is not empty; false: the end. *n counts also those that are not kept. */
bool csv_rows_take(struct csv_rows *r, char *fields[CSV_FIELDS], size_t *n);
/* Blanks and tabs at both ends; in place. */
char *csv_trim(char *s);
/* A copy in UTF-8, NUL-terminated, yours: UTF-8 with or without BOM, UTF-16 with BOM, else Windows-1252. NULL: memory is out. *encoding: how
   it is called. */
char *csv_to_utf8(const char *text, size_t n, size_t *out_n, const char **encoding);

#endif
