/* Header values as people see them: decoded (RFC 2047), white space collapsed, addresses without their dress, dates as instants.
   Two values that a server writes differently but mean the same give the same text. Pure. By GMime: upload_init first. */
#ifndef NF_UPLOAD_HEADER_H
#define NF_UPLOAD_HEADER_H

#include "engine/base/buf.h"

/* raw: as in the message, folded or not; NULL reads as "". Each adds its text to out, valid UTF-8 without control characters, at most
   max_chars characters (0: all). ERR_MEMORY when out's cap is reached. */
int header_add_text(struct buf *out, const char *raw, size_t max_chars, struct err *err);
/* "a@b c@d" in lower case; a value without any address is taken as text. most: so many addresses (0: all). */
int header_add_addresses(struct buf *out, const char *raw, size_t most, struct err *err);
/* "@1046601157"; a date that cannot be read is taken as text. */
int header_add_date(struct buf *out, const char *raw, struct err *err);
/* White space and angle brackets dropped, the domain in lower case. */
int header_add_id(struct buf *out, const char *raw, struct err *err);

/* The same by GMime alone, which the above do without for what is plain: for the tests that compare. */
int header_gmime_text(struct buf *out, const char *raw, size_t max_chars, struct err *err);
int header_gmime_addresses(struct buf *out, const char *raw, size_t most, struct err *err);
int header_gmime_date(struct buf *out, const char *raw, struct err *err);

#endif
