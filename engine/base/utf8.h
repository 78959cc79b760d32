/* UTF-8, one character at a time: shortest form only, no surrogates, at most U+10FFFF (RFC 3629). Pure. */
#ifndef NF_BASE_UTF8_H
#define NF_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Octets (1..4) of the valid character at p, of which n octets may be read; 0 if there is none. */
size_t utf8_length(const char *p, size_t n);
/* The same, and the character itself. */
size_t utf8_decode(const char *p, size_t n, uint32_t *character);
/* Writes 1..4 octets, no NUL; 0 for what is no character. */
size_t utf8_encode(uint32_t character, char out[4]);
/* Drops a character that the end of the room cut in two. */
void utf8_trim(char *text);
/* What is no character becomes '?', octet by octet: for text that was cut somewhere in it. */
void utf8_mend(char *text);
bool utf8_is_valid(const char *p, size_t n);

#endif
