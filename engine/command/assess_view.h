/* What an assessment and its forecast look like: to people, as JSON, as CSV. Reads only. */
#ifndef NF_ENGINE_COMMAND_ASSESS_VIEW_H
#define NF_ENGINE_COMMAND_ASSESS_VIEW_H

#include "engine/basis.h"
#include "engine/command/cli.h"
#include "engine/store/assess.h"

struct assess_view { /* all borrowed */
	struct cli *c;
	const struct batch *batch;
	const struct user *users;
	const struct assessment *v; /* of each user; findings are read from the state */
	size_t n;
	const struct basis *basis;
	const struct forecast *forecast;
	const size_t *forecast_users; /* which of users the forecast's are; forecast_n of them */
	size_t forecast_n;
	const struct forecast_user *forecast_v; /* likewise */
	const struct forecast *wider;           /* with twice as many at once; NULL: none was made */
	unsigned wider_at_once;
	unsigned looked_at;  /* in this run */
	unsigned left_alone; /* completed: their passwords are forgotten */
	bool all;            /* every mailbox, not only the largest */
	const struct err *ended;
};

int assess_view_print(const struct assess_view *x, struct err *err);
json_t *assess_view_json(const struct assess_view *x, struct err *err);
int assess_view_csv(const struct assess_view *x, const char *path, struct err *err);
/* What was found about one mailbox: lines for people, "assessed" in c->out. */
int assess_view_findings(struct cli *c, const struct user *u, struct err *err);

/* Sums over all mailboxes. */
struct assess_totals {
	unsigned folders, known, failed, unknown;
	uint64_t messages, bytes, largest;
	unsigned problems, left_out, notes;
};
struct assess_totals assess_view_add_up(const struct assess_view *x);
/* Those that were looked at first, the largest first; an array of yours to free(). NULL: memory is out. */
const struct assessment **assess_view_by_size(const struct assess_view *x);
/* "2026-11-30 20:00" in the batch's zone, else UTC. */
const char *assess_view_moment(const struct assess_view *x, int64_t at, char *out, size_t size);

/* JSON of what is stored with the outlook. */
json_t *assess_basis_json(const struct basis *b);
json_t *assess_nights_json(const struct forecast *f);
/* "6 h 50 min" */
const char *assess_duration(int64_t seconds, char *out, size_t size);

#endif
