#include "throttle/bucket.h"

#include <math.h>

/* Tokens are doubles: a debt smaller than this is a rounding error, not a reason to wait. */
#define BUCKET_DUST 1e-6

static void bucket_fill(struct bucket *b, int64_t now_ms)
{
	if (now_ms <= b->at_ms)
		return;
	b->tokens += b->per_s * (double)(now_ms - b->at_ms) / 1000.0;
	if (b->tokens > b->burst)
		b->tokens = b->burst;
	b->at_ms = now_ms;
}

void bucket_init(struct bucket *b, int64_t now_ms, double per_s, double burst)
{
	*b = (struct bucket){.per_s = per_s, .burst = burst, .tokens = burst, .at_ms = now_ms};
}

void bucket_set(struct bucket *b, int64_t now_ms, double per_s, double burst)
{
	bucket_fill(b, now_ms);
	if (b->per_s <= 0 && per_s > 0) /* there was no limit: what happened before is no debt */
		b->tokens = burst;
	b->per_s = per_s;
	b->burst = burst;
	if (b->tokens > burst)
		b->tokens = burst;
}

int64_t bucket_wait_ms(struct bucket *b, int64_t now_ms)
{
	if (b->per_s <= 0)
		return 0;
	bucket_fill(b, now_ms);
	if (b->tokens >= -BUCKET_DUST)
		return 0;
	double ms = ceil(-b->tokens / b->per_s * 1000.0 - BUCKET_DUST);
	return ms < 1 ? 1 : ms > 1e15 ? (int64_t)1e15 : (int64_t)ms;
}

void bucket_take(struct bucket *b, int64_t now_ms, double n)
{
	if (b->per_s <= 0)
		return;
	bucket_fill(b, now_ms);
	b->tokens -= n;
}

void bucket_give(struct bucket *b, double n)
{
	if (b->per_s <= 0)
		return;
	b->tokens += n;
	if (b->tokens > b->burst)
		b->tokens = b->burst;
}
