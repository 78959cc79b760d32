/* Base64 of SASL (RFC 4648, with padding, in one line). Pure. */
#ifndef NF_IMAP_BASE64_H
#define NF_IMAP_BASE64_H

#include "engine/base/buf.h"

/* Both append to out. */
int base64_encode(struct buf *out, const void *data, size_t n, struct err *err);
/* ERR_PROTOCOL for what is not base64. */
int base64_decode(struct buf *out, const char *text, size_t n, struct err *err);

#endif
