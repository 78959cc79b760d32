/* How long a batch will take, night by night: a simulation by events (a mailbox ends, a window opens or closes, a day's budget is spent
   or is new), never by seconds. Pure: time is an argument, and what is not known is an assumption that its caller states. */
#ifndef NF_ENGINE_FORECAST_H
#define NF_ENGINE_FORECAST_H

#include "throttle/schedule.h"

#include <stdbool.h>

#define FORECAST_NEVER INT64_MAX /* not within the windows, or not within the time looked at */
#define FORECAST_LIMITS 16
#define FORECAST_NIGHTS 1500 /* most rows; beyond it the rest is not done */

/* Where a figure comes from; said to the person with each. */
enum forecast_origin { FROM_ASSUMPTION, FROM_PUBLISHED, FROM_LEARNED, FROM_MEASURED, FROM_SETTING };
const char *forecast_origin_name(enum forecast_origin o); /* "assumed", "published", ... */

enum forecast_unit { UNIT_BYTES, UNIT_MESSAGES };
struct forecast_limit {
	bool shared;   /* of all mailboxes together; else of each */
	bool by_share; /* a window's share is of it */
	enum forecast_unit unit;
	double per_s; /* above 0; in octets or messages as the source counts them */
	enum forecast_origin origin;
	char text[128]; /* as a person reads it: "the destination's 150 MB per 5 minutes a mailbox" */
};

struct forecast_conf {
	struct forecast_limit limits[FORECAST_LIMITS];
	size_t n_limits;
	unsigned at_once;                   /* mailboxes; 0 is taken as 1 */
	double per_mailbox_s, per_folder_s; /* signing in, opening: beside the messages */
	uint64_t mailbox_bytes_per_day;     /* 0: no budget */
	uint64_t host_bytes_per_day;        /* of all mailboxes together; 0: no budget */
	const struct zone *budget_zone;     /* borrowed; whose midnight makes budgets new; NULL: UTC */
	uint64_t host_spent_today;
	const struct schedule *schedule; /* borrowed; NULL: always open */
};

/* What a mailbox's time goes to: an index of conf.limits, or one of these. */
enum forecast_bind {
	BIND_OVERHEAD = -1, /* signing in and opening folders */
	BIND_MAILBOX_BUDGET = -2,
	BIND_HOST_BUDGET = -3
};

struct forecast_user {
	uint64_t bytes, messages; /* still to be moved */
	unsigned folders;
	uint64_t spent_today; /* of the mailbox's daily budget */
	/* out */
	int64_t begins_at, ends_at; /* FORECAST_NEVER */
	double active_s;            /* at work; windows that are closed and budgets that are spent not counted */
	unsigned night;             /* in which row it ends, when it does */
	int bind;                   /* enum forecast_bind, or a limit's index */
};

/* A window from its opening to its closing; of one that stays open for more than a day, a local day. */
struct forecast_night {
	int64_t begins_at, ends_at;
	double share;
	uint64_t bytes, messages;
	unsigned finished; /* mailboxes */
	unsigned at_work;  /* most at once */
};

struct forecast {
	struct forecast_night *nights; /* owned; without those in which nothing is moved */
	size_t n_nights;
	int64_t begins_at, ends_at; /* of the whole; FORECAST_NEVER: some are not done */
	uint64_t bytes, messages;   /* of all */
	unsigned unfinished;
	size_t largest, last; /* index of the user with most octets, and of the one that ends last; n: none */
	int bind;             /* where most of the mailboxes' time goes */
	double bind_part;     /* and which part of it, 0..1 */
	double waiting_part;  /* part of the open time in which others waited for their turn, 0..1 */
	double open_s;        /* open time from begin to end */
};

/* In the order in which they are taken up. ERR_MEMORY only. forecast_done in any case. */
int forecast_make(struct forecast *out, const struct forecast_conf *conf, struct forecast_user *users, size_t n,
	int64_t now, struct err *err);
void forecast_done(struct forecast *f);
/* The words of a bind. */
const char *forecast_bind_text(const struct forecast_conf *conf, int bind);

#endif
