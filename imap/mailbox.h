/* An IMAP mailbox as a destination: folders made, listed, read back, flags written. The counterpart of pull. The conn's thread. */
#ifndef NF_IMAP_MAILBOX_H
#define NF_IMAP_MAILBOX_H

#include "engine/base/budget.h"
#include "engine/base/mail.h"
#include "imap/conn.h"
#include "imap/folder.h"

/* Selected for reading and flag changes (SELECT). uidnext 0: the server did not tell; then it is found with a FETCH. */
int mailbox_select(struct conn *c, const char *encoded, uint32_t *uidvalidity, uint32_t *uidnext, uint32_t *exists,
	struct err *err);
/* CREATE; an existing folder is success. Subscribes too, ignoring a refusal of that. */
int mailbox_create(struct conn *c, const char *encoded, struct err *err);

struct mailbox_entry { /* one message of the selected folder: size, flags, date, the four header values */
	uint32_t uid;
	uint64_t size;
	unsigned flags;
	struct mail_date received;
	struct fingerprint print; /* sha256 all zero: only the header values are known; owned by the array's owner */
};
/* Entries with uid >= from, ascending, at most cap; *n 0 at the end. The caller calls fingerprint_done on each print. */
int mailbox_list(struct conn *c, uint32_t from, struct mailbox_entry *out, size_t cap, size_t *n, struct err *err);
/* Content of one message into a new spool, with its fingerprint (may be NULL). ERR_GONE when it is not there. */
int mailbox_read(struct conn *c, uint32_t uid, const char *spool_dir, struct spool **out, struct fingerprint *print,
	struct err *err);
/* UIDs of [from, to] that exist, ascending into out (cap); for verification. */
int mailbox_uids(struct conn *c, uint32_t from, uint32_t to, uint32_t *out, size_t cap, size_t *n, struct err *err);
int mailbox_flags(struct conn *c, uint32_t uid, unsigned *flags, struct err *err); /* ERR_GONE */
/* Separated by blanks, cut at whole words. ERR_GONE. */
int mailbox_keywords(struct conn *c, uint32_t uid, char *out, size_t size, struct err *err);
/* UID STORE +FLAGS.SILENT / -FLAGS.SILENT on a set ("1,4:7"), then nothing is assumed: read back with mailbox_flags. */
int mailbox_store(struct conn *c, const char *uid_set, bool add, const char *flags, struct err *err);
/* Only for what this program itself put there as a probe: flags it \Deleted and UID EXPUNGEs it; or, uid 0, DELETEs the folder if nothing
   is left in it. What is not there is removed. */
int mailbox_remove_probe(struct conn *c, const char *encoded, uint32_t uid, struct err *err);

#endif
