/* How many requests may be in flight at once: whole numbers, by what was refused and by latency. Pure; its owner's thread or lock. */
#ifndef NF_THROTTLE_FLIGHT_H
#define NF_THROTTLE_FLIGHT_H

#include "throttle/steer.h"

#include <stdbool.h>
#include <stdint.h>

struct flight {
	unsigned ceiling; /* 0: none */
	unsigned level;   /* known good; 0: not refused */
	int64_t lowered_ms;
	int64_t hold_ms; /* no other try before, where a refusal is dear */
	double credit;
	unsigned wins;      /* taken at one above the level */
	unsigned vain;      /* refusals at one above it since it rose last */
	struct steer steer; /* by latency */
};

void flight_init(struct flight *f, unsigned ceiling);
void flight_set_ceiling(struct flight *f, unsigned ceiling);
/* At once, now; at least 1. UINT32_MAX: any number. */
unsigned flight_limit(const struct flight *f, int64_t now_ms);
/* A request that was the n-th in flight was taken; in_flight now, itself included. latency_ms 0: unknown. */
void flight_taken(
	struct flight *f, int64_t now_ms, unsigned n, unsigned in_flight, uint64_t bytes, unsigned latency_ms);
/* mild: the server did not say that this was the reason. */
void flight_refused(struct flight *f, int64_t now_ms, int64_t started_ms, unsigned n, int64_t fence_end_ms, bool mild);
void flight_recall(struct flight *f, int64_t now_ms, unsigned level);

#endif
