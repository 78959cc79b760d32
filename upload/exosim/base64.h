/* Base64 of a request's body, decoded in place. Pure. */
#ifndef NF_EXOSIM_BASE64_H
#define NF_EXOSIM_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Strict: the standard alphabet, padded, nothing behind the padding. lines: CR, LF, blanks and tabs are passed over. false: not valid;
   data is then of no use. *n becomes the length of what is decoded. */
bool base64_decode_in_place(char *data, size_t *n, bool lines);

#endif
