/* How often in a row one thing failed. A server that asks to wait is there: its waits are no tries, and what failed before one counts no more.
   A plain value of whoever tries; {0}: it works, as far as is known. */
#ifndef NF_ENGINE_TRIES_H
#define NF_ENGINE_TRIES_H

#include "engine/base/err.h"

struct tries {
	unsigned failures; /* in a row, since it worked or asked to wait */
	unsigned pauses;   /* failures and waits since it worked: the longer it goes on, the longer is paused */
};

void tries_note(struct tries *t, const struct err *why);
/* Notes it. True: it may pass, and these are not `most` failures in a row. */
bool tries_go_on(struct tries *t, const struct err *why, unsigned most);

#endif
