/* Folder names: modified UTF-7 (RFC 3501 section 5.1.3), raw 8-bit, separators. Pure. */
#ifndef NF_IMAP_NAME_H
#define NF_IMAP_NAME_H

#include "engine/base/err.h"

#include <stdbool.h>

/* Decodes to UTF-8. Never fails on odd input: invalid modified UTF-7 is taken literally, raw UTF-8 is kept, raw 8-bit that is not
   UTF-8 is read as Windows-1252, and *exact is false. Yours to free; NULL when memory is out. */
char *name_decode(const char *raw, bool *exact);
/* UTF-8 to modified UTF-7, for a destination. ERR_FOLDER for invalid UTF-8 or control characters. */
int name_encode(const char *utf8, char **out, struct err *err);

#endif
