/* Inside upload/target_graph_mime*.c only: the route "mime", one mailbox by Graph. The target's thread. */
#ifndef NF_UPLOAD_TARGET_GRAPH_MIME_H
#define NF_UPLOAD_TARGET_GRAPH_MIME_H

#include "upload/graph.h"
#include "upload/target.h"

struct level {                  /* the folders below one parent, as they were listed */
	char parent[GRAPH_ID];  /* "": the top */
	struct graph_folder *v; /* owned */
	size_t n, room;
};

struct listing {                               /* one walk over the messages of a folder, in the service's order */
	char folder[GRAPH_ID], last[GRAPH_ID]; /* last: the id that was given out at the end; "": no walk */
	struct graph_page page;
	size_t at;           /* of page: the next to give out */
	unsigned pages;      /* so far */
	bool is_second;      /* the second walk, over the ids alone */
	unsigned idle;       /* pages in a row that brought nothing new */
	uint64_t *seen;      /* owned: hashes of the ids that were given out; open addressing, 0 is free */
	size_t n_seen, room; /* room: a power of two */
};

#define ROLE_NAMES (ROLE_ARCHIVE + 1)

struct target_graph_mime {
	struct target base;             /* first */
	const struct target_conf *conf; /* borrowed */
	struct graph_conf graph_conf;
	struct graph *graph; /* owned */
	struct stop *stop;   /* borrowed */
	char inbox[GRAPH_ID];
	struct level *levels; /* owned */
	size_t n_levels;
	const char *well_known[ROLE_NAMES]; /* what rules hands out; the strings are in names */
	char *names[ROLE_NAMES];            /* owned */
	bool names_known;
	struct listing listing;
	int64_t look_pause_ms; /* between two looks for a message that was perhaps not made */
};

static inline struct target_graph_mime *target_graph_mime_of(struct target *t)
{
	return (struct target_graph_mime *)t;
}

/* GET of a path into *out; ERR_GONE for 404. */
int target_graph_mime_get(struct target_graph_mime *t, const char *path, const char *const *args,
	struct graph_reply *out, struct err *err);
/* The message as it is now, wherever it is. */
int target_graph_mime_look(struct target_graph_mime *t, const char *id, struct graph_message *out, struct err *err);
/* Writes read and flagged where they are not TRI_UNKNOWN, and categories; ERR_MESSAGE: they did not stay. */
int target_graph_mime_patch(struct target_graph_mime *t, const char *id, enum graph_tri read, enum graph_tri flagged,
	const char *categories, struct err *err);
/* Keywords as categories. */
int target_graph_mime_set_keywords(
	struct target *t, const struct folder_ref *f, const char *id, const char *keywords, struct err *err);
/* The message's octets as the service gives them. */
int target_graph_mime_read(struct target *t, const struct folder_ref *f, const char *id, struct spool **out,
	struct fingerprint *print, struct err *err);

int target_graph_mime_rules(struct target *t, struct map_rules *rules, struct err *err);
int target_graph_mime_folder(struct target *t, const char *path, struct folder_ref *out, struct err *err);
int target_graph_mime_find(struct target *t, const char *path, struct folder_ref *out, bool *found, struct err *err);
void target_graph_mime_forget(struct target_graph_mime *t); /* what is known of folders */
int target_graph_mime_list(struct target *t, const struct folder_ref *f, const char *cursor, struct remote_mail *out,
	size_t cap, size_t *n, struct err *err);
void target_graph_mime_list_end(struct target_graph_mime *t);
int target_graph_mime_put(struct target *t, const struct folder_ref *f, struct put_item *v, size_t n, struct err *err);

#endif
