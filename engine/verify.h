/* Compares a migration user's two sides: what the source lists now, what the store says arrived, what the destination holds. Changes nothing. */
#ifndef NF_ENGINE_VERIFY_H
#define NF_ENGINE_VERIFY_H

#include "engine/work.h"

#define VERIFY_ROUTES 4

struct verify_folder {
	char name[MODEL_TEXT], path[MODEL_TEXT];
	uint64_t source;      /* listed there now, without those left out on purpose */
	uint64_t destination; /* in the destination folder now */
	uint64_t same;        /* arrived, and content compared equal */
	uint64_t
		rewritten; /* of same: the octets differ, the canonical digest is equal: the destination re-encoded it */
	uint64_t unread;   /* of same: not read back (quick) */
	uint64_t missing;  /* never arrived: a loss until the next pass brings it */
	uint64_t waiting;  /* of missing: new at the source since the last pass */
	uint64_t refused;  /* set aside with a reason; not missing */
	uint64_t skipped;  /* left out on purpose */
	uint64_t gone;     /* arrived, and a person deleted it since: it is in no folder of the mailbox */
	uint64_t moved;    /* arrived, and a person moved it to another folder since */
	uint64_t duplicate; /* a second copy that no receipt explains */
	uint64_t altered;   /* content differs */
	struct verify_route {
		char name[8]; /* "": no more */
		uint64_t n;
	} routes[VERIFY_ROUTES]; /* which brought how many, as far as there are receipts */
};

struct verify_result {
	struct verify_folder *folders; /* owned */
	size_t n;
	struct verify_folder total;
	struct left_behind left;
	char first_trouble[MODEL_ERROR]; /* folder, UID and what is wrong; "" if nothing is */
};

/* Where all requests to the destination wait if it refuses one; closed by the caller. NULL: no memory. */
struct scope *verify_scope(struct work *w);
/* quick: header values and presence only; nothing is read back. */
int verify_user(struct work *w, const struct batch *b, const struct user *u, bool quick, struct verify_result *out,
	struct err *err);
void verify_done(struct verify_result *r);
/* "Perfect", "Good", "Investigate" or "Poor", as Microsoft's data consistency score is read. */
const char *verify_verdict(const struct verify_folder *total, const struct left_behind *left, bool skips_acknowledged);

#endif
