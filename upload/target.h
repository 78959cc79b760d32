/* The contract of an upload route. An open target belongs to one thread. */
#ifndef NF_UPLOAD_TARGET_H
#define NF_UPLOAD_TARGET_H

#include "engine/base/mail.h"
#include "engine/base/stop.h"
#include "imap/conn.h"
#include "imap/map.h"
#include "throttle/gate.h"

/* Once at start, before any thread: curl, GMime. */
void upload_init(void);

struct target;
struct token;

enum target_kind { TARGET_EXCHANGE, TARGET_IMAP };

struct target_conf { /* borrowed; outlives the target */
	enum target_kind kind;
	const char *name; /* the target's, for messages */
	const char *imap_host;
	unsigned imap_port;
	enum tls_mode imap_tls;
	const char *ca_file;
	bool accept_any_certificate;
	const char *mailbox;   /* destination address: the mailbox that is written to */
	enum auth_method auth; /* TARGET_EXCHANGE: AUTH_XOAUTH2 */
	const char *user;      /* TARGET_IMAP: sign-in name where it is not the mailbox; NULL: the mailbox */
	const char *authzid; /* TARGET_IMAP: SASL authorization identity, when user is an administrator's; NULL: none */
	const struct secret *password; /* TARGET_IMAP by password */
	struct token *token;   /* TARGET_EXCHANGE (and IMAP by token): where tokens come from; shared between threads */
	const char *graph_url; /* route mime: "https://graph.microsoft.com", no slash at the end; NULL: no such route */
	struct token *graph_token; /* route mime: tokens for Graph; shared between threads */
	const char *user_id;       /* the destination's own id of the mailbox; NULL or "": the address serves */
	uint64_t
		max_mime_bytes; /* route mime: largest message that its test saw arrive; 0: the route's own cautious cap */
	const char *spool_dir;
	uint64_t max_message_bytes; /* 0: not known */
	unsigned window_items;
	uint64_t window_bytes; /* APPENDs in flight; 0: the route's default */
};

/* A folder at the destination. Plain value but for its strings. */
struct folder_ref {
	char *path;       /* owned: '/'-separated UTF-8, as imap/map gives it */
	char *id;         /* owned: the route's own handle (IMAP: encoded name; Graph: folder id) */
	char *generation; /* owned: IMAP: UIDVALIDITY as text; Graph: "" */
	char *mark;       /* owned: what tells old from new at the time of the call: IMAP: UIDNEXT as text; Graph: "" */
	uint64_t existing; /* messages there at the time of the call */
};
void folder_ref_done(struct folder_ref *f);

struct receipt {
	char route[8]; /* "imap", "mime" */
	char id[200]; /* the destination's id: IMAP "UIDVALIDITY:UID", Graph the immutable id; "" : placed, id unknown */
};

enum put_result { PUT_PLACED, PUT_REFUSED, PUT_NOT_SENT, PUT_IN_DOUBT };

struct put_item {                /* in: what; out: what became of it */
	const struct mail *mail; /* borrowed */
	enum put_result result;
	struct receipt receipt;
	struct err err;
};

struct remote_mail { /* one message that the destination holds */
	char id[200];
	uint64_t size; /* 0: the route cannot tell */
	unsigned flags;
	struct mail_date received;
	struct fingerprint print; /* header values only; owned by the caller of list */
};

struct target_ops {
	const char *name;
	size_t max_batch;        /* most items in one put */
	int64_t settle_after_ms; /* how long after it was sent the far side may still be committing; the table's default */
	/* The route's list has no order that a mark could cut: old are the ids that were there at first touch, and whoever settles keeps them. */
	bool marks_by_ids;
	bool gives_date; /* put states the received date; where it cannot, what arrives is for upload/prove to find out */
	unsigned
		flags_kept; /* enum mail_flag: those the route carries; the others are lost there, and get_flags and list never show them */
	int (*open)(struct target **, const struct target_conf *, struct gate *, struct stop *, struct err *);
	/* How names must be made for this destination (imap/map): exchange and separator are set; well_known where the route knows what this
	   mailbox calls its own folders (it then points into the target), else it is left alone; so it is by a route that
	   only guesses where another one has set it. */
	int (*rules)(struct target *, struct map_rules *, struct err *);
	/* Finds or creates, parents too. ERR_FOLDER: cannot be. */
	int (*folder)(struct target *, const char *path, struct folder_ref *, struct err *);
	/* Finds only: nothing is made, *found says whether it is there. For verification. */
	int (*find)(struct target *, const char *path, struct folder_ref *, bool *found, struct err *);
	/* Paths of all folders that hold mail, for a search through the mailbox; yours to free, one by one. NULL: the route does not tell. */
	int (*folders)(struct target *, char ***paths, size_t *n, struct err *err);
	/* The destination's own id of the mailbox and the address that it goes by there; "" where the route cannot tell. ERR_MAILBOX: there
	   is no such mailbox. NULL: the route never can. */
	int (*identify)(struct target *, char *id, size_t id_size, char *address, size_t address_size, struct err *);
	/* 0: every item has a result. -1: the same, but the target is dead (close it and open another); err says why.
	   PUT_REFUSED: permanent for this item. THROTTLED never makes an item REFUSED: it is NOT_SENT with err.kind THROTTLED; so is
	   what concerns the folder or the mailbox (FOLDER, QUOTA, RIGHTS...). PUT_PLACED with err.kind other than NONE: the message
	   is there, but \Flagged could not be stored and verified (err says why): set_flags makes up for it. */
	int (*put)(struct target *, const struct folder_ref *, struct put_item *, size_t n, struct err *);
	/* Messages after the cursor (a mark or the last id returned; NULL or "": from the start), in the route's order; *n 0 at the end.
	   A cursor other than a mark is given back at once and on the same target only. */
	int (*list)(struct target *, const struct folder_ref *, const char *cursor, struct remote_mail *, size_t cap,
		size_t *n, struct err *);
	/* Content of one; print may be NULL. ERR_GONE. */
	int (*read)(struct target *, const struct folder_ref *, const char *id, struct spool **,
		struct fingerprint *print, struct err *);
	/* What the destination holds now. ERR_GONE; ERR_CHANGED: the folder has another generation than the id. */
	int (*get_flags)(struct target *, const struct folder_ref *, const char *id, unsigned *flags, struct err *);
	/* Writes flags (Seen, Answered, Flagged) so that they equal `flags`, and verifies. ERR_MESSAGE: they did not stay. */
	int (*set_flags)(struct target *, const struct folder_ref *, const char *id, unsigned flags, struct err *);
	/* Makes up for the keywords (separated by blanks, as at the source) of a message that was placed without them. NULL: they travel
	   with the message, so that none is ever without. ERR_MESSAGE: they cannot be kept. */
	int (*set_keywords)(
		struct target *, const struct folder_ref *, const char *id, const char *keywords, struct err *);
	/* Keywords or categories, separated by blanks, cut to size. NULL: the route cannot read them. ERR_GONE. */
	int (*get_keywords)(
		struct target *, const struct folder_ref *, const char *id, char *out, size_t size, struct err *);
	/* For upload/prove, in its own folder only: removes the message `id`, or, with "", the folder. What is not there is removed. */
	int (*remove_probe)(struct target *, const struct folder_ref *, const char *id, struct err *);
	void (*close)(struct target **);
};

/* First field of every implementation's struct target. */
struct target {
	const struct target_ops *ops;
};

extern const struct target_ops target_imap_ops, target_graph_mime_ops;
/* The table of routes, in order of preference; NULL-terminated. */
const struct target_ops *const *target_routes(void);
const struct target_ops *target_route(const char *name); /* NULL: unknown */

/* What the destination will refuse, found before sending. 0: fine. -1: err (TOO_BIG or MESSAGE) with the hint that names the remedy.
   ops decides the rules together with kind. Warnings that do not refuse are not reported here. */
int target_check(
	const struct target_ops *ops, const struct target_conf *conf, const struct mail *mail, struct err *err);

#endif
