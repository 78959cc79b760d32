/* While a command waits in the foreground because a server asked for it, the person is told: a thread that looks at a scope and writes a line to
   stderr for each fence that is worth it. */
#ifndef NF_COMMAND_FENCE_WATCH_H
#define NF_COMMAND_FENCE_WATCH_H

#include "throttle/gate.h"

struct fence_watch;

/* scope, name: borrowed until free; name is what waits ("the test"). NULL: no thread is to be had, and nothing is told. */
struct fence_watch *fence_watch_new(struct scope *scope, const char *name);
void fence_watch_free(struct fence_watch **w);

#endif
