/* Proves a route on a pilot mailbox: what it does with messages that are put into a folder of our own and read back. Step by step, so
   that whoever asks can show each finding as it comes. Nothing else of the mailbox is touched; what was put is removed whatever happens,
   and what a killed proof left behind is removed by the next. Belongs to one thread. */
#ifndef NF_UPLOAD_PROVE_H
#define NF_UPLOAD_PROVE_H

#include "upload/target.h"

struct prove;

struct prove_conf { /* borrowed; outlives the proof */
	const struct target_ops *ops;
	const struct target_conf *conf;
	struct gate *gate;
	struct stop *stop;
	uint64_t most_bytes; /* the largest message that is tried; 0: sizes are not tried */
};

enum prove_outcome {
	PROVE_OK,
	PROVE_NOTE,    /* not as it should be; the route can carry mail all the same */
	PROVE_FAILED,  /* it cannot */
	PROVE_SKIPPED, /* not reached */
};

struct prove_line {
	const char *step; /* "token", "folder", "draft", ... */
	enum prove_outcome outcome;
	char text[512];    /* what was found; of a failure: who is to blame */
	struct err err;    /* PROVE_FAILED */
	const char *blame; /* PROVE_FAILED: "token", "consent", "rights", "IMAP disabled", ... for people */
};

struct prove_facts {
	bool passed;
	bool date_kept, flags_kept, categories_kept;
	bool content_kept; /* octet for octet */
	uint64_t largest;  /* arrived whole; 0: none was tried */
	uint64_t refused;  /* the smallest that did not; 0: all that were tried did */
	char text[512];    /* all of it in one line; of a failure: the line that failed */
};

int prove_new(struct prove **out, const struct prove_conf *conf, struct err *err);
/* Takes the next step. false: there is none. */
bool prove_next(struct prove *p, struct prove_line *out);
/* After the last step. */
const struct prove_facts *prove_facts(const struct prove *p);
/* Cleans up where the steps were not taken to their end. */
void prove_free(struct prove **p);

/* The next size to try between one that arrived and one that did not (bad 0: none yet; then the bound itself). 0: near enough. Pure. */
uint64_t prove_next_size(uint64_t good, uint64_t bad, uint64_t most);

#endif
