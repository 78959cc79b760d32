/* The limits that Exchange Online sets per app and mailbox, as a model: spec/exchange-online.md section 4 (graded D: documented).
   Exact sliding windows, to ten milliseconds. A refused request counts all the same. Pure, time is an argument: exosim answers by
   it, and the simulation of the throttle runs against the same code. */
#ifndef NF_EXOSIM_LIMIT_H
#define NF_EXOSIM_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_NEVER INT64_MAX

/* What was exceeded; the name as in "Application is over its … limit." */
#define LIMIT_KINDS(X) \
	X(NONE, "") \
	X(CONCURRENCY, "MailboxConcurrency") \
	X(REQUESTS, "RequestRate") \
	X(BYTES, "IncomingByte" \
		 "s")
enum limit_kind {
#define X(k, n) LIMIT_##k,
	LIMIT_KINDS(X)
#undef X
};
const char *limit_name(enum limit_kind kind);

enum limit_retry { LIMIT_RETRY_FIT, LIMIT_RETRY_FIXED, LIMIT_RETRY_MISSING };

struct limit_rules { /* 0: no such limit */
	uint64_t requests;
	int64_t requests_window_ms;
	uint64_t bytes;
	int64_t bytes_window_ms;
	unsigned in_flight;
	enum limit_retry retry;  /* what Retry-After says: when it will fit, a fixed time, nothing */
	int64_t retry_ms;        /* the least for FIT, the time for FIXED */
	bool refused_bytes_free; /* a refused request counts as a request only */
};
/* 4 in flight, 10,000 requests in 10 minutes, 150 MB in 5 minutes. */
struct limit_rules limit_documented(void);

struct limit_log { /* amounts by time, oldest first */
	struct limit_entry {
		int64_t at_ms;
		uint64_t n;
	} * entry; /* owned; a ring */
	size_t room, first, count;
	uint64_t sum;
	uint64_t peak; /* the most that ever was within the window */
};

struct limit { /* one app and mailbox */
	struct limit_rules rules;
	struct limit_log requests, bytes;
	unsigned in_flight;
};

void limit_init(struct limit *l, const struct limit_rules *rules);
void limit_done(struct limit *l);
void limit_set_rules(struct limit *l, const struct limit_rules *rules);
/* A request of so many body bytes begins. LIMIT_NONE: taken, and limit_end must follow. Else refused; *retry_after_ms is what
   the answer states (-1: nothing; whole seconds). */
enum limit_kind limit_begin(struct limit *l, int64_t now_ms, uint64_t bytes, int64_t *retry_after_ms);
void limit_end(struct limit *l);
/* When such a request would be taken; LIMIT_NEVER: not before one in flight ends. A request above the whole limit: when nothing
   else is in the window. */
int64_t limit_fits_at(struct limit *l, int64_t now_ms, uint64_t bytes, enum limit_kind *why);
/* Somebody else uses the same app and mailbox. */
void limit_use(struct limit *l, int64_t now_ms, uint64_t requests, uint64_t bytes);

#endif
