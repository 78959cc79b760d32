/* So many bytes a day, the day being that of a given zone (Gmail's download limit). Pure; its owner's thread or lock.
   Not a ledger: the provider counts calendar days, and so does this. The values are plain, for the store. */
#ifndef NF_THROTTLE_DAILY_BUDGET_H
#define NF_THROTTLE_DAILY_BUDGET_H

#include "throttle/zone.h"

#include <stdbool.h>
#include <stdint.h>

#define DAILY_BUDGET_FRESH 50 /* a day of which less than one part in so many is spent, as on lists, is a fresh one */

struct daily_budget {
	uint64_t limit; /* bytes; 0: none */
	uint64_t spent;
	int64_t day; /* local day since 1970 that spent is about */
};

/* Brings it to the day of `at`. A clock that jumps back a day does not give the day's budget again. */
void daily_budget_turn(struct daily_budget *b, const struct zone *z, int64_t at);
void daily_budget_spend(struct daily_budget *b, const struct zone *z, int64_t at, uint64_t bytes);
/* What is left today; UINT64_MAX without a limit. */
uint64_t daily_budget_left(struct daily_budget *b, const struct zone *z, int64_t at);
/* 0: it may go on with so many bytes. Else parked until that moment. What is larger than a whole day goes on a fresh day. */
int64_t daily_budget_parked_until(struct daily_budget *b, const struct zone *z, int64_t at, uint64_t bytes);

#endif
