/* The grammar of what an IMAP client sends: words, strings, literals, flags, dates (RFC 3501 section 9). Pure; strict. */
#ifndef NF_EXOSIM_ARGS_H
#define NF_EXOSIM_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct args {
	const char *at, *end;
};

/* A stretch of the command's text. */
struct span {
	const char *at;
	size_t len;
};

/* Each takes what it names from the front and says whether it was there; at is unchanged when not. */
bool args_take_char(struct args *a, char c);
bool args_take_atom(struct args *a, struct span *out);
/* atom, quoted or literal {n+}. raw: as it was sent; *value: the octets, NUL-terminated, yours to free (NULL pointer: not wanted).
   A value with a NUL octet is refused. */
bool args_take_astring(struct args *a, struct span *raw, char **value);
/* "(\Seen word)": each flag valid for APPEND and STORE (no \Recent, no unknown system flag); raw holds the parentheses. */
bool args_take_flags(struct args *a, struct span *raw);
/* "dd-Mon-yyyy hh:mm:ss +zzzz" in its quotes, day may begin with a blank; every field checked. */
bool args_take_date_time(struct args *a, struct span *raw);
bool args_is_end(const struct args *a);

/* At the end of a line: {n}, {n+}. false: none, or a number that is none. start: offset of the brace. literal8 (~) is none. */
bool args_ends_in_literal(const char *line, size_t len, size_t *start, uint64_t *size, bool *sync);

/* Does the span equal the word without case? */
bool span_is(const struct span *s, const char *word);
/* Finds a flag or word within a list "(a b)", without case. */
bool span_has_word(const struct span *list, const char *word);
/* Appends s in quotes, backslash and quote escaped, to out (room for 2n+3); returns the length. s is free of CR, LF, NUL. */
size_t args_quote(char *out, const char *s);

#endif
