/* Inside upload/prove*.c only: a proof, and the steps of its two files. */
#ifndef NF_UPLOAD_PROVE_PARTS_H
#define NF_UPLOAD_PROVE_PARTS_H

#include "upload/probe_mail.h"
#include "upload/prove.h"

#define PROBES 2 /* one of each kind */

struct prove {
	const struct prove_conf *conf; /* borrowed */
	struct target *target;         /* owned; NULL: not open */
	struct folder_ref folder;      /* path NULL: none yet */
	bool cleaned;
	size_t step;
	bool dead; /* what comes next cannot be done, but for cleaning up */
	struct prove_facts facts;
	const struct permission *lacks; /* the token does not name it; NULL: nothing is known to lack */
	int64_t now;

	struct put_item items[PROBES]; /* mails owned here */
	struct mail *mails[PROBES];
	struct remote_mail found[PROBES]; /* prints owned */
	struct spool *bodies[PROBES];     /* owned */
	struct fingerprint prints[PROBES];
	uint64_t good; /* the largest message that arrived so far */
	unsigned size_probes;
	bool sizes_done;
};

/* Nothing to say: no line. */
#define PROVE_SILENT ((enum prove_outcome) - 1)

/* prove_check.c: what was read back, each a step. */
enum prove_outcome prove_draft(struct prove *p, struct prove_line *line);
enum prove_outcome prove_date(struct prove *p, struct prove_line *line);
enum prove_outcome prove_flags(struct prove *p, struct prove_line *line);
enum prove_outcome prove_sender(struct prove *p, struct prove_line *line);
enum prove_outcome prove_content(struct prove *p, struct prove_line *line);
enum prove_outcome prove_headers(struct prove *p, struct prove_line *line);
enum prove_outcome prove_attachment(struct prove *p, struct prove_line *line);
enum prove_outcome prove_signature(struct prove *p, struct prove_line *line);
enum prove_outcome prove_categories(struct prove *p, struct prove_line *line);

/* prove_size.c: one size a call, until sizes_done. */
enum prove_outcome prove_size(struct prove *p, struct prove_line *line);
/* prove.c: the message into found (its print freed by the caller) and its content. ERR_GONE: it does not appear. */
int prove_read_back(struct prove *p, const char *id, struct remote_mail *found, struct spool **body,
	struct fingerprint *print, struct err *err);

#endif
