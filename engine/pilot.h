/* Which mailbox would be a good pilot: small, and still with what can go wrong. Pure. */
#ifndef NF_ENGINE_PILOT_H
#define NF_ENGINE_PILOT_H

#include "engine/store/assess.h"

/* Index of the best, or n: there is none. why: its merits in words. */
size_t pilot_choose(const struct assessment *v, size_t n, char *why, size_t size);

#endif
