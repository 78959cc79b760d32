/* The messages that a proof puts into a pilot mailbox, and what is compared when they are read back. They hold what mail of twenty years
   holds: repeated and odd header fields, encoded words, an attachment of every octet, a signed part. Pure but for spools and the clock. */
#ifndef NF_UPLOAD_PROBE_MAIL_H
#define NF_UPLOAD_PROBE_MAIL_H

#include "engine/base/mail.h"

/* A category at the destination, a keyword over IMAP. */
#define PROBE_KEYWORD "nightferry-probe"

enum probe_kind {
	PROBE_MIXED, /* read and flagged, one keyword, odd headers, an attachment */
	PROBE_SIGNED /* unread, multipart/signed */
};

/* now: wall clock; the message is ten years older. Yours. */
int probe_mail_make(enum probe_kind kind, const char *spool_dir, int64_t now, struct mail **out, struct err *err);
/* One of exactly so many octets, at least PROBE_LEAST_BYTES. */
#define PROBE_LEAST_BYTES 2048
int probe_mail_make_size(uint64_t bytes, const char *spool_dir, int64_t now, struct mail **out, struct err *err);
/* Made by this file, in whichever run. */
bool probe_mail_is_ours(const struct fingerprint *print);

/* What a destination made of the received date. */
enum probe_date { PROBE_DATE_KEPT, PROBE_DATE_RECEIVED, PROBE_DATE_HEADER, PROBE_DATE_NOW, PROBE_DATE_OTHER };
enum probe_date probe_mail_date(const struct mail *sent, const struct mail_date *found, int64_t now);
const char *probe_date_text(enum probe_date d); /* "the date of the first Received field" */

/* print: of what was read back. Octet for octet; else the same in all that a person sees. */
bool probe_mail_is_same(const struct mail *sent, const struct fingerprint *print);
bool probe_mail_means_same(const struct mail *sent, const struct spool *back);
bool probe_mail_sender_kept(const struct mail *sent, const struct fingerprint *print);
/* Of the *n header fields that were sent, how many are missing or read differently; their names, cut to size. */
int probe_mail_headers(const struct mail *sent, const struct spool *back, unsigned *n, unsigned *lost, char *names,
	size_t size, struct err *err);
/* The attachment's content, octet for octet. */
int probe_mail_attachment(const struct spool *back, bool *kept, struct err *err);
/* The signed part and its signature, as they were signed. */
int probe_mail_signature(const struct mail *sent, const struct spool *back, bool *kept, struct err *err);

#endif
