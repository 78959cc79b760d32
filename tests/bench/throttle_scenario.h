/* What a run of the simulation is about: mailboxes, their mail, and how the server limits. Plain values. */
#ifndef NF_BENCH_THROTTLE_SCENARIO_H
#define NF_BENCH_THROTTLE_SCENARIO_H

#include "tests/bench/throttle_mail.h"
#include "upload/exosim/limit.h"

#define SCENARIO_CHANGES 6
#define HOURS(h) ((int64_t)((h)*3600))

struct change { /* of the real limits, from then on */
	int64_t at_s;
	double factor;
};

enum other_shape { OTHER_NONE, OTHER_SINE, OTHER_SQUARE, OTHER_WALK };

struct other { /* another program that uses the same app and mailbox: a share of the real limit */
	enum other_shape shape;
	double low, high;
	int64_t period_s;
};

struct scenario { /* 0 or false: not so */
	const char *name;
	unsigned boxes;
	int64_t seconds;
	struct mail_mix mail;
	double ceiling; /* times the published limits */
	double real;    /* times the published limits */
	double window;  /* the real windows' length, times the published; 0: 1 */
	double scale;   /* all windows and volumes, published and real; 0: 1 */
	struct change change[SCENARIO_CHANGES];
	struct other other;
	unsigned in_flight; /* real; 0: 4 */
	enum limit_retry retry;
	int64_t retry_ms;  /* 0: 1 s */
	bool unnamed;      /* a refusal does not say which limit it was */
	bool zero;         /* Retry-After is 0 */
	bool bytes_free;   /* a refused request's bytes do not count */
	int64_t hour_at_s; /* from here on an hour is closed, as the server states at the first request */
	bool bursts;       /* 503 for 5 to 30 s, every ten minutes or so */
	unsigned knee;     /* so many requests at once are served without delay; above twice that 503; 0: any number */
	double lost;       /* share of requests that are never answered */
	double latency_ms; /* of a request without its octets; 0: 150 */
	bool told;         /* also run with a controller that is told the level: shows what information is missing */
	int64_t warm_s;    /* what comes before is not counted; 0: 600 */
};

extern const struct scenario scenarios[];
extern const unsigned scenarios_count;

/* A scenario drawn by chance; the same for a seed. */
void scenario_draw(struct scenario *s, uint64_t seed);
/* In a line of words. */
void scenario_describe(const struct scenario *s, char *out, size_t n);

/* Windows and volumes of the published limits, and of the real ones before any change. */
struct limit_rules scenario_published(const struct scenario *s);
struct limit_rules scenario_real(const struct scenario *s, double factor);

#endif
