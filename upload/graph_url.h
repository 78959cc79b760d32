/* Addresses of Graph: what is put into one is escaped strictly, what a server gives us is followed only to where the token belongs. Pure. */
#ifndef NF_UPLOAD_GRAPH_URL_H
#define NF_UPLOAD_GRAPH_URL_H

#include "engine/base/buf.h"

#include <stdbool.h>

#define GRAPH_URL_CAP ((size_t)16 * 1024)

/* base and template into out, which is emptied first. In the template "{}" is the next of args (NULL-terminated) as one segment of a path,
   "{q}" as a string of OData with its quotes. Every octet but a letter, a digit, "-", "." "_" and "~" is escaped. ERR_PROTOCOL: an argument
   that cannot be a segment ("", ".", ".."); ERR_MEMORY: longer than out takes. */
int graph_url_format(struct buf *out, const char *base, const char *template, const char *const *args, struct err *err);
/* Does a link that the server gave (@odata.nextLink) stay at base: the same scheme, host and port? */
bool graph_url_is_ours(const char *base, const char *link);

#endif
