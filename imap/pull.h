/* Reads one folder: EXAMINE, metadata range by range, bodies in pipelined sets. Changes nothing at the source, not even \Seen.
   Belongs to the conn's thread. */
#ifndef NF_IMAP_PULL_H
#define NF_IMAP_PULL_H

#include "engine/base/budget.h"
#include "engine/base/mail.h"
#include "imap/conn.h"
#include "imap/folder.h"

struct gate;
struct pull;

struct pull_conf {
	const char *spool_dir; /* borrowed */
	struct budget
		*memory; /* borrowed: each message fetched reserves its size here before the FETCH is sent; released by
	                               pull_release when the message is done with */
	struct gate *gate;     /* borrowed; may be NULL: permits for fetches */
	struct stop *stop;     /* borrowed */
	uint64_t window_bytes; /* announced octets in flight; 0: 4 MiB */
	unsigned set_messages; /* most messages in one FETCH; 0: 100 */
};

struct folder_state {
	uint32_t uidvalidity, uidnext /* 0: not told */, exists;
};

/* ERR_FOLDER: the server refuses this folder (gone, no right). A dead connection shows as LOST. */
int pull_open(struct pull **out, struct conn *c, const char *raw_name, const struct pull_conf *conf,
	struct folder_state *state, struct err *err);

struct pull_meta {
	uint32_t uid;
	uint64_t size; /* RFC822.SIZE; 0 is possible */
	unsigned flags;
	char keywords[MAIL_KEYWORDS]; /* separated by blanks; cut at whole words: */
	bool keywords_cut;
	struct mail_date received;
};

/* The next range, ascending by UID; *n is 0 at the end. Robust against expunges between ranges (nothing is passed over; a message may
   come twice: the caller compares with the store). A message whose line could not be understood comes back with size 0 and unknown
   date rather than vanish. */
int pull_list(struct pull *p, struct pull_meta *out, size_t cap, size_t *n, struct err *err);

/* Flags and keywords anew of messages whose UIDs are known; sorts them by UID. What the server does not tell stays as it was given.
   Before anything is wanted. */
int pull_list_again(struct pull *p, struct pull_meta *v, size_t n, struct err *err);

/* Queues messages (from pull_list) to be fetched; the array is copied. */
int pull_want(struct pull *p, const struct pull_meta *v, size_t n, struct err *err);
/* The next message that was wanted, in no promised order; *out NULL at the end of what was wanted.
   0 and *out: a whole message, fingerprint and defects filled. *item->kind != NONE: this one could not be read (GONE, MESSAGE,
   TOO_BIG...) and *out has its uid and metadata but no body. -1: the folder or the connection is lost (err typed); what was wanted
   and not returned must be wanted again on a new pull. */
int pull_next(struct pull *p, struct mail **out, struct err *item, struct err *err);
/* True when the next pull_next may block on the memory budget (nothing is in flight or ready): hand on what you hold first, or all
   jobs could wait for one another. Only then may anything else be sent on the conn (conn_noop, another folder's list). */
bool pull_may_block(const struct pull *p);
/* Gives the message's reservation back and frees it. Any thread. */
void pull_release(struct budget *memory, struct mail **m);
/* How many messages the server says the folder holds by now. More than were listed at the end of pull_list: some have no usable line. */
uint32_t pull_exists(const struct pull *p);
void pull_close(struct pull **p);

#endif
