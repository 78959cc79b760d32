/* Inside upload/target_imap*.c only: one signed-in session into a destination mailbox. The target's thread. */
#ifndef NF_UPLOAD_TARGET_IMAP_H
#define NF_UPLOAD_TARGET_IMAP_H

#include "imap/append.h"
#include "imap/flags.h"
#include "imap/mailbox.h"
#include "upload/target.h"

#define GROUP_ITEMS 64                          /* most APPENDs under one permit */
#define GROUP_BYTES ((uint64_t)4 * 1024 * 1024) /* and most octets, but for a message that is larger by itself */
#define FLAGS_TEXT 768
#define MOST_REFUSALS 8 /* Exchange says BYE at the tenth command that it refuses in a session */

struct known_folder {
	char *key; /* owned: the path as it compares: '/'-separated UTF-8 */
	char *raw; /* owned: the server's name for it */
};

struct target_imap {
	struct target base;             /* first */
	const struct target_conf *conf; /* borrowed */
	struct gate *gate;              /* borrowed; NULL: no throttle */
	struct stop *stop;              /* borrowed */
	struct conn_conf conn_conf;
	struct conn *conn;    /* owned; NULL: reopening failed */
	struct secret *token; /* owned: the one that conn signed in with */
	bool no_appenduid;    /* announced or not, answers lack it */
	unsigned refusals;    /* commands that were refused in this session */

	char *selected;                        /* owned: raw name; NULL: none */
	bool stale;                            /* messages were put into it since */
	uint32_t uidvalidity, uidnext, exists; /* of selected, when it was selected */

	struct known_folder *known; /* owned, sorted by key */
	size_t n_known, room_known;
	bool listed; /* known was filled from the server */
	char separator;
	char prefix[32]; /* "INBOX." where the host wants all folders below it; "" else */
	bool prefix_known;
	char *names[ROLE_ARCHIVE +
		    1]; /* owned: paths of the mailbox's own folders: of Exchange in its language, else by special-use; NULL: not known */
	const char *well_known[ROLE_ARCHIVE + 1]; /* the same, as rules hands them out */
	bool names_known;

	char (*flags_text)[FLAGS_TEXT]; /* owned: GROUP_ITEMS of them */
	struct append_item *items;      /* owned: as many */
};

static inline struct target_imap *target_imap_of(struct target *t)
{
	return (struct target_imap *)t;
}

/* A request or a few that belong together. */
struct imap_work {
	struct permit *permit;
	int64_t begun_ms;
	uint64_t sent_before;
	int64_t paced_before;
};

/* Sees to a session that can be used (a fresh one before the server loses patience) and takes a permit. */
int target_imap_begin(struct target_imap *t, uint64_t bytes, unsigned requests, struct imap_work *w, struct err *err);
/* Gives the permit back with the verdict that rc and err make. Returns rc, err with who and where in front. */
int target_imap_end(struct target_imap *t, struct imap_work *w, int rc, unsigned requests, struct err *err);
/* Selects f and compares its generation (ERR_CHANGED). again: also if it is selected already, to see what is new. */
int target_imap_select(struct target_imap *t, const struct folder_ref *f, bool again, struct err *err);
void target_imap_unselect(struct target_imap *t);
/* "V:U" of this folder's generation. ERR_CHANGED for another one. */
int target_imap_parse_id(const struct folder_ref *f, const char *id, uint32_t *uid, struct err *err);
void target_imap_format_id(char *out, size_t size, uint32_t uidvalidity, uint32_t uid);

int target_imap_rules(struct target *t, struct map_rules *rules, struct err *err);
int target_imap_folder(struct target *t, const char *path, struct folder_ref *out, struct err *err);
int target_imap_folders(struct target *t, char ***paths, size_t *n, struct err *err);
int target_imap_find(struct target *t, const char *path, struct folder_ref *out, bool *found, struct err *err);
void target_imap_forget(struct target_imap *t, const char *path); /* a folder that was removed */
void target_imap_forget_all(struct target_imap *t);
int target_imap_put(struct target *t, const struct folder_ref *f, struct put_item *v, size_t n, struct err *err);

#endif
