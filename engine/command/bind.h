/* What holds a mailbox back, as people and machines read it. */
#ifndef NF_ENGINE_COMMAND_BIND_H
#define NF_ENGINE_COMMAND_BIND_H

#include "engine/store/store.h"

#include <jansson.h>

/* Of an active mailbox: its rate, its limits, what binds it, its fence. */
void bind_print(const struct live_row *row);
json_t *bind_json(const struct live_row *row);
/* "3 requests refused, 45 s fenced, deferred twice"; "" if nothing of the kind happened. */
const char *bind_history(const struct live_row *row, char *out, size_t size);

#endif
