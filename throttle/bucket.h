/* A token bucket that paces: tokens run in at a rate up to a burst; who finds no debt may take any number and leaves the debt
   to those who come after, so that one large demand neither waits for ever nor is cut up. Pure; its owner's thread or lock. */
#ifndef NF_THROTTLE_BUCKET_H
#define NF_THROTTLE_BUCKET_H

#include <stdint.h>

struct bucket {
	double per_s;  /* 0: no limit */
	double burst;  /* most tokens that gather */
	double tokens; /* negative: a debt */
	int64_t at_ms; /* when tokens was right */
};

/* Starts full. */
void bucket_init(struct bucket *b, int64_t now_ms, double per_s, double burst);
/* What gathered until now gathered at the old rate. */
void bucket_set(struct bucket *b, int64_t now_ms, double per_s, double burst);
/* 0: take now; else so many ms from now at this rate (at least 1). */
int64_t bucket_wait_ms(struct bucket *b, int64_t now_ms);
void bucket_take(struct bucket *b, int64_t now_ms, double n);
/* Corrects a booking: what was taken and not used comes back, what was used beyond it is taken (n < 0). */
void bucket_give(struct bucket *b, double n);

#endif
