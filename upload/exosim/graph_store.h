/* Messages at the backend as Graph needs them, over a link of the pool: found, read, appended, flagged, deleted. One thread a link.
   Errors: ERR_FOLDER the folder is not there, ERR_GONE the message, ERR_QUOTA, ERR_LOST the connection, ERR_PROTOCOL the rest. */
#ifndef NF_EXOSIM_GRAPH_STORE_H
#define NF_EXOSIM_GRAPH_STORE_H

#include "engine/base/buf.h"
#include "upload/exosim/pool.h"

struct store_row {
	uint32_t uid;
	bool is_seen, is_flagged, is_draft;
	json_t *keywords; /* owned: array of raw keywords; NULL: none */
	int64_t received_s, saved_s;
	uint64_t size;
	char *text; /* owned: header or whole message, as asked for; NULL: not fetched */
	size_t text_len;
};
void store_row_done(struct store_row *row);

/* One command, to its answer; each gets every untagged response whole, literals in their place. command: without tag and line end;
   literal (may be NULL) follows it as {n+}. code: its response code without brackets, may be NULL. */
int store_run(struct link *l, const char *command, const char *literal, size_t literal_len,
	void (*each)(void *ctx, const char *text, size_t len), void *ctx, char code[256], struct err *err);
/* The folder is open. (Dovecot takes an APPEND to an open folder in a third of the time.) */
int store_select(struct link *l, const char *folder, struct err *err);
/* The folder is open and its view is up to date. */
int store_open(struct link *l, const char *folder, struct err *err);
/* None is open: before a folder is deleted or renamed. */
int store_close(struct link *l, struct err *err);
/* UIDs in ascending order; criteria with an optional literal at its end. Yours. */
int store_search(
	struct link *l, const char *criteria, const char *literal, uint32_t **uids, size_t *n, struct err *err);

/* STORE_DATES: UID and received date, all that a page of an unfiltered list needs of the messages that are not in it. */
enum store_part { STORE_DATES, STORE_INDEX, STORE_MESSAGE_ID, STORE_HEADER, STORE_WHOLE };
/* set: a sequence set of UIDs. take owns what is in the row. */
int store_fetch(struct link *l, const char *set, enum store_part part, void (*take)(void *ctx, struct store_row *row),
	void *ctx, struct err *err);
/* ERR_GONE: there is none of that UID. */
int store_fetch_one(struct link *l, uint32_t uid, enum store_part part, struct store_row *row, struct err *err);

/* received_s < 0: now. */
int store_append(struct link *l, const char *folder, const char *flags, int64_t received_s, const char *data, size_t n,
	uint32_t *uidvalidity, uint32_t *uid, struct err *err);
/* "APPEND folder (flags) date" as store_append sends it. Yours. */
char *store_append_command(const char *folder, const char *flags, int64_t received_s);
/* change: "+FLAGS.SILENT (\\Seen)" */
int store_change(struct link *l, uint32_t uid, const char *change, struct err *err);
int store_expunge(struct link *l, uint32_t uid, struct err *err);
int store_move(struct link *l, uint32_t uid, const char *to, struct err *err);

#endif
