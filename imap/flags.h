/* Flags and keywords: from a FETCH, to an APPEND, on purpose. Pure. */
#ifndef NF_IMAP_FLAGS_H
#define NF_IMAP_FLAGS_H

#include "engine/base/mail.h"

/* Which keywords a destination gets. Exchange shows a keyword as a category (spec, section 2), so what programs leave behind
   ($MDNSent, $Junk, $NotJunk, NonJunk, $Forwarded, ...) is dropped there; people's own keywords travel. */
enum flags_policy { FLAGS_GENERIC, FLAGS_EXCHANGE };

/* "(\\Seen kw)" for APPEND or STORE from flags and keywords; \Deleted is never written. Keywords that are not atoms are dropped and
   counted in *dropped (may be NULL). ERR_MEMORY when it does not fit. */
int flags_format(unsigned flags, const char *keywords, enum flags_policy policy, char *out, size_t size,
	unsigned *dropped, struct err *err);
/* One flag as the server wrote it ("\\Seen", "$Forwarded"): sets a bit in *flags or returns the keyword to keep, else NULL. */
const char *flags_parse_one(const char *text, unsigned *flags);
/* " 1-Jul-2003 10:52:37 +0200" both ways; RFC 9051 date-time. Years 1 to 9999. */
void flags_format_date(const struct mail_date *d, char *out, size_t size); /* size >= 32; with the quotes */
int flags_parse_date(const char *text, struct mail_date *out);             /* 0 or -1; tolerant of a missing zone */

#endif
