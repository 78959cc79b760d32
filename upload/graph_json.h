/* What Graph answers, as plain values. Everything comes from outside: wrong types, giant ids and texts, nesting and bulk are errors or are cut;
   memory is bounded by the answer's cap. Pure. */
#ifndef NF_UPLOAD_GRAPH_JSON_H
#define NF_UPLOAD_GRAPH_JSON_H

#include "engine/base/mail.h"

#define GRAPH_ID 200 /* room for an id; a longer one is an error (a receipt has no more) */
#define GRAPH_PAGE_CAP ((size_t)16 * 1024 * 1024)

struct graph_folder {
	char id[GRAPH_ID];
	char *name;     /* owned; "" if it has none */
	uint64_t total; /* messages in it */
};

enum graph_tri { TRI_UNKNOWN, TRI_NO, TRI_YES };

struct graph_message {
	char id[GRAPH_ID], parent[GRAPH_ID]; /* parent: "" if not told */
	enum graph_tri read, draft, flagged;
	struct mail_date received;
	/* From the header fields where they came along, else from properties (decoded; the date as RFC 5322 has it). */
	struct fingerprint print;
	/* The properties alone tell too little: the service may have made up what the message lacks. Its header must be read. */
	bool print_is_doubtful;
};

/* A page of a collection; done with graph_page_done. */
struct graph_page {
	struct graph_folder *folders;   /* owned; of graph_json_folders */
	struct graph_message *messages; /* owned; of graph_json_messages */
	size_t n;
	char *next; /* owned: @odata.nextLink, opaque; NULL: the last page */
};

/* 0, or -1 with PROTOCOL. body is altered: what no JSON parser takes (half a surrogate, octets that are no UTF-8) is mended first, so that one
   odd subject does not hide a whole folder. On -1 *out is empty. */
int graph_json_folders(char *body, size_t n, struct graph_page *out, struct err *err);
int graph_json_messages(char *body, size_t n, struct graph_page *out, struct err *err);
int graph_json_folder(char *body, size_t n, struct graph_folder *out, struct err *err);
int graph_json_message(char *body, size_t n, struct graph_message *out, struct err *err);
/* The categories of a message, with a blank between, cut to size. */
int graph_json_categories(char *body, size_t n, char *out, size_t size, struct err *err);
/* The user's id, and the address it goes by: mail, else userPrincipalName; "" if neither is told. */
int graph_json_user(char *body, size_t n, char id[GRAPH_ID], char *address, size_t address_size, struct err *err);
/* settings/exchange: primaryMailboxId. */
int graph_json_mailbox(char *body, size_t n, char id[GRAPH_ID], struct err *err);

void graph_folder_done(struct graph_folder *f);
void graph_message_done(struct graph_message *m);
void graph_page_done(struct graph_page *p);

/* {"displayName":"..."}: yours to free; NULL: no memory, or name is no UTF-8. */
char *graph_json_new_folder(const char *name);
/* The PATCH of a message: read and flagged where they are not TRI_UNKNOWN, categories (separated by one blank) where there are any. Yours to
   free. */
char *graph_json_state(enum graph_tri read, enum graph_tri flagged, const char *categories);

#endif
