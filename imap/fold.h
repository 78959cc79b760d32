/* Names compared as Exchange compares them, near enough: without case, without the width and the kind of
   kana, composed and decomposed letters equal, invisible characters ignored. Where we are unsure, two names
   count as equal: that costs a suffix, the other way costs a folder. Own tables, no locale: the same
   everywhere. Pure. */
#ifndef NF_IMAP_FOLD_H
#define NF_IMAP_FOLD_H

#include <stddef.h>
#include <stdint.h>

/* The next folded character of p (n octets there, at least 1): returns the octets used up; *character is 0
   for an ignored one and U+FFFD for an invalid octet. */
size_t fold_next(const char *p, size_t n, uint32_t *character);
/* The folded name as UTF-8. Yours to free; NULL when memory is out. */
char *fold_name(const char *utf8);

#endif
