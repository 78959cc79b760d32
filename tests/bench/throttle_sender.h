/* How a sender decides when to send: one of the policies that are compared. Each mailbox has one; ours is throttle/admit itself. */
#ifndef NF_BENCH_THROTTLE_SENDER_H
#define NF_BENCH_THROTTLE_SENDER_H

#include "tests/bench/throttle_world.h"
#include "throttle/admit.h"

#define SENDER_NEVER INT64_MAX

struct sender; /* one mailbox's */
struct senders;

/* The server's part that the oracle is shown: when would it take so many bytes of that mailbox? */
typedef int64_t (*peek_fn)(void *world, unsigned box, int64_t now_ms, uint64_t bytes);

struct senders *senders_new(const struct scenario *s, enum policy p, peek_fn peek, void *world);
void senders_free(struct senders **v);
/* The worker (box * WORLD_SENDERS + k) has a message. It is let in now or later; see senders_next. */
void senders_want(struct senders *v, int64_t now_ms, unsigned worker, uint64_t bytes);
/* A worker that may send now, or -1. Call until -1 after every other call. */
int senders_take(struct senders *v);
/* When to call senders_tick next; SENDER_NEVER. */
int64_t senders_next_ms(struct senders *v);
void senders_tick(struct senders *v, int64_t now_ms);
void senders_done(struct senders *v, int64_t now_ms, unsigned worker, enum verdict verdict,
	const struct throttle_hint *hint, uint64_t bytes, unsigned latency_ms);

/* For POLICY_TOLD and POLICY_TOLD_RARELY: what the server would take in a window of bytes. */
void senders_tell(struct senders *v, int64_t now_ms, unsigned box, uint64_t bytes);
/* A line about the first mailbox of ours. */
void senders_trace(struct senders *v, int64_t now_ms, uint64_t level, FILE *trace);

#endif
