/* Between the files of the verification only: verify.c goes through a user's folders and counts, verify_marks.c says what arrived, verify_source.c and
   verify_destination.c look at the two sides, verify_find.c finds by content. */
#ifndef NF_ENGINE_VERIFY_PARTS_H
#define NF_ENGINE_VERIFY_PARTS_H

#include "engine/login.h"
#include "engine/verify.h"

struct source_ref { /* a message at the source */
	uint32_t uid;
	uint64_t size;
};

struct mark {        /* one message that has a receipt in the folder */
	char id[48]; /* as the route that looks names it, cut: Graph's ids are longer, but their ends differ, so the end is kept; "" not known */
	struct source_ref source;
	uint8_t sha256[32];
	uint8_t key[PRINT_KEY_BYTES];
	bool other_route; /* its receipt is of another route: it is found by content */
	bool seen;        /* found at the destination */
	bool rewritten;   /* and compared equal in meaning only */
};

struct check {
	struct work *w;
	const struct batch *b;
	const struct user *u;
	bool quick;
	struct source_login source_login;
	struct target_login target_login;
	struct conn *source;
	struct scope *scope;
	struct gate *gate;
	struct target *target; /* of the route that looks: imap where it can be used, since it reads whole content */
	struct verify_result *out;
	/* the folder at hand */
	struct verify_folder *f;
	struct mark *marks; /* owned; sorted by id */
	size_t n_marks, room;
	struct source_ref *suspects;            /* owned: whose octets differ at the destination */
	uint8_t (*suspect_canons)[CANON_BYTES]; /* owned: the destination's */
	size_t n_suspects, suspects_room;
	struct lost { /* owned: arrived, and is not in its folder now */
		uint8_t key[PRINT_KEY_BYTES], sha256[32];
		struct verify_folder *folder; /* borrowed: the result's */
	} * lost;
	size_t n_lost, lost_room;
};

#define VERIFY_PAGE 500 /* messages looked at together */

/* The first thing that is wrong is told: of a source UID, or (uid 0) of a message at the destination. */
void verify_trouble(struct check *c, const char *what, uint32_t uid, const char *id);

/* Adds the folder's marks to c->marks, and counts what was refused or skipped. */
int verify_load_marks(struct check *c, int64_t generation, struct err *err);
const char *verify_id_tail(const char *id);
int verify_by_id(const void *a, const void *b);
struct mark *verify_find_id(const struct check *c, const char *id);
/* Finds in the folder, by content, what other routes brought there: gives those marks the id that this route knows them by. */
int verify_find_others(
	struct check *c, const struct folder_ref *ref, const struct folder_row *row, const char *raw, struct err *err);
/* Looks for what is not in its folder any more in all other folders of the mailbox: moved is told from gone. */
int verify_find_moved(struct check *c, const struct folder_row *rows, size_t n, struct err *err);
/* 0; 1: the folder is gone at the source (err says so); -1. */
int verify_walk_source(struct check *c, const struct folder_row *row, const char *raw, struct err *err);
/* Suspects are those whose octets differ at the destination: the source is asked again, and meanings are compared. */
int verify_compare_suspects(struct check *c, const char *raw, struct err *err);
/* A folder that somebody removed holds nothing: it is not made again. */
int verify_walk_destination(struct check *c, const struct folder_row *row, const char *raw, struct err *err);
/* Canonical digests of messages at the source: canons[i] of refs[i], has[i] where it could be read. Booked before they are fetched. */
int verify_source_canons(struct check *c, const char *raw, const struct source_ref *refs, size_t n,
	uint8_t (*canons)[CANON_BYTES], bool *has, struct err *err);

#endif
