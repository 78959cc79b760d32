/* A budget in bytes shared by threads (memory, disk): reserve before a fetch is sent, release when the message is done with.
   First come, first served. A reservation larger than the whole budget is granted when nothing else is held. */
#ifndef NF_BASE_BUDGET_H
#define NF_BASE_BUDGET_H

#include "engine/base/err.h"
#include "engine/base/stop.h"

#include <stdint.h>

struct budget;

struct budget *budget_new(uint64_t bytes);
/* bytes of its own, and beyond them what `common` (borrowed; outlives it) has left at the moment. Who waits here waits for what is held here, never
   for what another holds of the common one. */
struct budget *budget_new_within(uint64_t bytes, struct budget *common);
/* Blocks until granted; ERR_STOPPED when stop is asked (level DRAIN) meanwhile. stop may be NULL. */
int budget_reserve(struct budget *b, uint64_t bytes, struct stop *stop, struct err *err);
bool budget_try(struct budget *b, uint64_t bytes);
/* Changes a held reservation to what it turned out to be; never blocks (may overdraw for the difference). */
void budget_correct(struct budget *b, uint64_t held, uint64_t real);
void budget_release(struct budget *b, uint64_t bytes);
uint64_t budget_used(struct budget *b);
void budget_free(struct budget **b);

#endif
