/* Forecast and fact: what `batch assess` said of each mailbox and of the batch, what the first pass took, and why they differ, as far as
   that is known. Reads only. */
#ifndef NF_ENGINE_COMMAND_OUTCOME_H
#define NF_ENGINE_COMMAND_OUTCOME_H

#include "engine/command/cli.h"
#include "engine/store/assess.h"

struct outcome {                     /* of a mailbox */
	int64_t forecast_s;          /* at work; -1: none was forecast */
	int64_t forecast_at;         /* done by; 0: none; INT64_MAX: not in time */
	int64_t active_s, elapsed_s; /* of the first pass, so far if it is not done; -1: not begun */
	bool done;
	uint64_t messages, bytes;           /* copied in it */
	double messages_per_s, bytes_per_s; /* at work; 0: not known */
	bool compared;                      /* both are there */
	double deviation;                   /* fact / forecast - 1 */
	int64_t fenced_s, deferred_s, failed_s;
	char why[400]; /* "" nothing to say */
};

struct outcomes {
	struct outcome *v; /* owned; of each user, in CSV order */
	size_t n;
	struct outlook outlook; /* of the batch; at 0: none */
	struct outcome total;   /* sums of those that are done; elapsed from the first begin to the last end */
	unsigned begun, done;
};

int outcome_load(struct outcomes *out, struct store *s, int64_t batch_id, struct err *err);
void outcome_done(struct outcomes *o);

/* Lines for people; nothing where nothing is known. */
void outcome_print_user(const struct outcome *o);
void outcome_print_batch(const struct outcomes *o);
/* Of a batch's status: a line for people, "forecast" in c->out. */
int outcome_tell_forecast(struct cli *c, const struct batch *b, struct err *err);
json_t *outcome_json(const struct outcome *o);        /* null: nothing is known */
json_t *outcome_batch_json(const struct outcomes *o); /* likewise */
/* The columns for a CSV: OUTCOME_HEAD. */
#define OUTCOME_COLUMNS 10
#define OUTCOME_HEAD \
	"ForecastSeconds,ActiveSeconds,ElapsedSeconds,FactToForecast,MessagesPerSecond,BytesPerSecond," \
	"FencedSeconds,DeferredSeconds," \
	"FailedSeconds,Why"
struct outcome_row {
	char text[OUTCOME_COLUMNS][32];
	const char *fields[OUTCOME_COLUMNS]; /* borrowed from text and the outcome */
};
void outcome_row(const struct outcome *o, struct outcome_row *out);

#endif
