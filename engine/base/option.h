/* The command line's options from a table, as GNU programs take them, and the --help text from the same
   table. Pure, thread-safe. */
#ifndef NF_BASE_OPTION_H
#define NF_BASE_OPTION_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* One option; a table of them ends with an entry without a name. */
struct option_spec {
	const char *name;  /* long name without the dashes */
	char letter;       /* 0: none */
	const char *arg;   /* NULL: a flag; else what its value is called in the help ("FILE") */
	const char *help;  /* one or more sentences; wrapped by option_help; NULL: not shown */
	const char *group; /* heading in the help; NULL: as the entry before */
};

/* What was given. All strings are borrowed from argv. */
struct options {
	const struct option_spec *specs; /* borrowed */
	const char **values; /* owned: by index in specs, the last value given; "" for a flag; NULL: not given */
	struct option_given {
		size_t spec;
		const char *value;
	} * given; /* owned: all, in order */
	size_t n_given;
	const char **operands; /* owned: NULL-terminated */
	size_t n_operands;
};

/* argv[0] is the command and is skipped; operands and options may mix; "--" ends the options, "-" is an
   operand. Takes --name=value, --name value, unique abbreviations, -x, -xyz, -oVALUE, -o VALUE. ERR_USAGE
   for anything else, never with a value in its text (it may be a secret). Call option_done in any case. */
int option_parse(struct options *out, const struct option_spec *specs, int argc, char *const *argv, struct err *err);
void option_done(struct options *o);

/* By long name, which must be in the table (else a bug: it asserts). */
bool option_is_given(const struct options *o, const char *name);
const char *option_get(const struct options *o, const char *name); /* the last value, NULL if not given */
size_t option_count(const struct options *o, const char *name);
const char *option_at(const struct options *o, const char *name, size_t i); /* the i-th value given, NULL beyond */

/* "Usage: <usage>", the description (wrapped at 79 columns, '\n' kept), the options aligned under their
   headings. Either table entry may be empty; usage may hold several lines. */
void option_help(FILE *out, const char *usage, const char *description, const struct option_spec *specs);

/* Values. name is for the error's text ("--max-size"). Return 0, or -1 with ERR_USAGE. */
/* Octets: "500k" "2MB" "1.5G" (powers of 1000), "1GiB" "64Ki" (of 1024), a bare number; case does not
   matter. */
int option_parse_size(const char *name, const char *text, uint64_t *out, struct err *err);
/* "300ms" "5s" "2m" "1.5h" "7d"; a bare number is seconds. */
int option_parse_duration_ms(const char *name, const char *text, int64_t *out, struct err *err);
int option_parse_uint(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *out, struct err *err);

#endif
