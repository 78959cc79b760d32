/* Settles items in doubt: looks in the destination folder for what may have been committed, and assigns candidates as a multiset
   (several messages may be identical, or lack a Message-ID; other routes may have brought some of them). Also the digests by which mail
   that is already there is found. */
#ifndef NF_UPLOAD_SETTLE_H
#define NF_UPLOAD_SETTLE_H

#include "upload/target.h"

#define CANON_BYTES 32
/* Digest of a message's meaning, the same before and after a server re-encodes it: decoded header fields that people see, the tree of
   parts, decoded content with line ends and trailing blanks normalised. By GMime. */
int canon_digest(const struct spool *body, uint8_t out[CANON_BYTES], struct err *err);
/* Sixteen octets that stand for Message-ID, Date, From and Subject, decoded and normalised (white space, RFC 2047, letter case of
   the domain); for indexes. */
#define PRINT_KEY_BYTES 16
void print_key(const struct fingerprint *p, uint8_t out[PRINT_KEY_BYTES]);

/* The Date field as an instant (for hosts that lost INTERNALDATE). 0, or -1 when it cannot be read. */
int print_date(const struct fingerprint *p, struct mail_date *out);

/* A raw header value as people read it: RFC 2047 decoded, valid UTF-8, no control characters; returns out. raw may be NULL. */
const char *print_show(const char *raw, char *out, size_t size);

struct pending {                         /* in: a message that may be there; out: what was found */
	const struct fingerprint *print; /* borrowed; sha256 at least where a key is given */
	const uint8_t *key;              /* borrowed; NULL: computed from print */
	const uint8_t *canon;            /* borrowed; NULL: not computed yet */
	/* Not in doubt: placed by another route, and so is known to be there. It takes its copy before those in doubt do. */
	bool twin;
	/* Of a twin whose content cannot be had: any copy of its key is taken for it. */
	bool any_content;
	enum { SETTLE_ABSENT, SETTLE_FOUND, SETTLE_NEEDS_CANON } outcome;
	struct receipt receipt; /* SETTLE_FOUND */
};

struct settle_query {
	const struct folder_ref *folder; /* borrowed */
	const char *mark;                /* only messages after it are candidates; "" or NULL: all */
	/* Is that id accounted for: by a receipt, or as one that was there before? Asked of candidates only. NULL: none is. 0, or -1 and err. */
	int (*accounted)(void *arg, const char *id, bool *yes, struct err *err);
	void *arg;
};

/* Content is compared (SHA-256 first, then canonical digest) before anything is called found. SETTLE_NEEDS_CANON: a candidate's header values
   fit, its octets differ, and print alone cannot tell: call again with canon set (from the source's octets; a twin's from where it lies). */
int settle_look(struct target *t, const struct settle_query *q, struct pending *v, size_t n, struct err *err);

/* The same with the ids that are accounted for as a list, sorted by strcmp; borrowed. */
int settle_pending(struct target *t, const struct folder_ref *f, const char *mark, const char *const *claimed,
	size_t n_claimed, struct pending *v, size_t n, struct err *err);

#endif
