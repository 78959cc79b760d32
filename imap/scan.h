/* Reads a message's octets once as they stream by: SHA-256, the four header values, what a destination may refuse. */
#ifndef NF_IMAP_SCAN_H
#define NF_IMAP_SCAN_H

#include "engine/base/mail.h"

struct scan;

struct scan *scan_new(void); /* NULL: memory is out */
void scan_feed(struct scan *s, const void *data, size_t n);
/* Fills print and defects (print's strings are then owned by the caller) and resets s for the next message. */
int scan_finish(struct scan *s, struct fingerprint *print, struct mail_defects *defects, struct err *err);
void scan_free(struct scan **s);

#endif
