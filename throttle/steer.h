/* What latency says about how many requests may be in flight. It rises before a server refuses: when a request takes much longer than one
   of its size takes at best, fewer are let in. The best is learned and slowly forgotten, so that a server that is always slow is not held
   against itself: the gradient counts, not the level. And whether we are the cause is not believed but tried: where fewer in flight are
   not faster, they are let in again and it is tried less and less often; where it stays slow, one more is tried from time to time. So
   nothing that is not our doing holds us down. Pure; its owner's thread or lock. */
#ifndef NF_THROTTLE_STEER_H
#define NF_THROTTLE_STEER_H

#include <stdbool.h>
#include <stdint.h>

#define STEER_CLASSES 12 /* of sizes */

struct steer {
	double limit; /* 0: any number */
	double ratio; /* latency to the best of its size, smoothed; 0: unknown */
	double best_ms[STEER_CLASSES];
	int64_t best_at_ms[STEER_CLASSES];
	int64_t decided_ms;
	enum { STEER_REST, STEER_DOWN, STEER_UP } trying;
	double from, before;              /* the limit and the ratio before the trial */
	double change;                    /* of what is in flight */
	unsigned skip, seen;              /* requests that began before it; and since */
	double sum, squares;              /* of the ratios of those */
	double rest_sum;                  /* and of those since the last trial, */
	unsigned rest_seen;               /* so many */
	int64_t tried_ms;                 /* when the last one ended */
	int64_t down_wait_ms, up_wait_ms; /* until the next; longer the more were in vain */
};

void steer_init(struct steer *s);
/* At least 1; UINT32_MAX: any number. */
unsigned steer_limit(const struct steer *s);
/* A request was taken; most may be in flight (0: any number), in_flight are, itself included. */
void steer_taken(
	struct steer *s, int64_t now_ms, unsigned most, unsigned in_flight, uint64_t bytes, unsigned latency_ms);

#endif
