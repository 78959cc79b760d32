/* What stays at the source without anybody's choice, in words. */
#ifndef NF_COMMAND_LEFT_BEHIND_H
#define NF_COMMAND_LEFT_BEHIND_H

#include "engine/store/store.h"

bool left_behind_any(const struct left_behind *l);
/* "2 folders with messages not moved, for what their names say; ..."; "" for nothing. Returns out. */
const char *left_behind_text(const struct left_behind *l, char *out, size_t size);

#endif
