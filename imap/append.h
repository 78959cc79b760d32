/* Streams messages into an IMAP folder: APPEND with flags and date from the spool, several in flight. The conn's thread. */
#ifndef NF_IMAP_APPEND_H
#define NF_IMAP_APPEND_H

#include "engine/base/mail.h"
#include "imap/conn.h"
#include "imap/flags.h"

struct append_item {
	const struct mail *mail; /* borrowed */
	const char *flags;       /* from flags_format; borrowed */
	enum { APPEND_PLACED, APPEND_REFUSED, APPEND_NOT_SENT, APPEND_IN_DOUBT } result;
	uint32_t uidvalidity, uid; /* from APPENDUID; 0: the server did not say */
	struct err err;            /* REFUSED and what ended the rest */
};

/* Sends all, up to window_bytes and window_items in flight (LITERAL+ where offered, else one at a time), and collects every answer.
   mailbox: encoded name. 0: every item has a result and the connection is healthy. -1: the connection ended (err typed, THROTTLED
   with retry_after_ms where the server said so); items have results all the same: octets of an IN_DOUBT item were sent in full or an
   answer is missing; of a NOT_SENT item not all octets of its command left, so it cannot have been stored.
   A throttle text on one item makes it NOT_SENT with err THROTTLED, and nothing further is sent; so does, as REFUSED, what would meet
   every message (QUOTA, FOLDER, MAILBOX, RIGHTS, BUSY): the rest is then NOT_SENT with that err. A literal of more than 8 MiB waits for
   consent even with LITERAL+. 0 bytes or items: 4 MiB and 64. Select the folder first where the server allows it: Dovecot takes
   messages several times faster into the folder that is open. */
int append_mails(struct conn *c, const char *mailbox, struct append_item *v, size_t n, uint64_t window_bytes,
	size_t window_items, struct err *err);

#endif
