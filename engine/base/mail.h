/* The value that travels from imap to upload: one message with all that must arrive. Owned by one thread at a time. */
#ifndef NF_BASE_MAIL_H
#define NF_BASE_MAIL_H

#include "engine/base/spool.h"

#include <stdbool.h>
#include <stdint.h>

enum mail_flag { /* a set, RFC 9051 section 2.3.2; \Recent does not travel */
	MAIL_SEEN = 1u << 0,
	MAIL_ANSWERED = 1u << 1,
	MAIL_FLAGGED = 1u << 2,
	MAIL_DRAFT = 1u << 3,
	MAIL_DELETED = 1u << 4
};

struct mail_date {
	int64_t at;   /* UTC seconds; may be before 1970 */
	int zone_min; /* minutes east of UTC as the server wrote it */
	bool known;
};

/* What a message is recognised by. The four header values are raw, unfolded, cut at FINGERPRINT_FIELD octets; "" if absent. */
#define FINGERPRINT_FIELD 1000
struct fingerprint {
	uint8_t sha256[32]; /* of the octets as the source served them */
	uint64_t size;
	char *message_id; /* owned */
	char *date;       /* owned */
	char *from;       /* owned */
	char *subject;    /* owned */
};

/* What a destination might refuse; found while the octets stream by. */
struct mail_defects {
	uint64_t longest_line; /* octets without the line end */
	bool nul;              /* a NUL octet anywhere */
	bool nul_header;
	bool eight_bit_header;    /* an octet above 127 in the header */
	bool has_receipt_request; /* Disposition-Notification-To is there */
	bool bare_line_end;       /* CR or LF alone; kept as it is */
};

#define MAIL_KEYWORDS 512 /* octets for all keywords of a message, with the final zero */

struct mail {
	uint32_t uid;              /* at the source */
	uint64_t announced;        /* RFC822.SIZE as the source listed it; may lie */
	unsigned flags;            /* enum mail_flag */
	char *keywords;            /* owned; separated by one blank, "" if none */
	bool keywords_cut;         /* there are more */
	struct mail_date received; /* INTERNALDATE */
	struct fingerprint print;
	struct mail_defects defects;
	struct spool *body; /* owned; NULL when only metadata is known */
};

/* NULL only when memory is out. */
struct mail *mail_new(uint32_t uid);
void mail_free(struct mail **m);
int fingerprint_copy(struct fingerprint *to, const struct fingerprint *from, struct err *err);
void fingerprint_done(struct fingerprint *f);
/* "\Seen \Flagged" for people and reports; returns out. */
const char *mail_flags_text(unsigned flags, char *out, size_t size);

#endif
