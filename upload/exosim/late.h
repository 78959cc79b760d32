/* Messages that are stored some time after their connection was dropped (fault commit_late). A thread of its own. */
#ifndef NF_EXOSIM_LATE_H
#define NF_EXOSIM_LATE_H

#include "engine/base/spool.h"
#include "upload/exosim/exosim.h"

struct late *late_new(struct exosim *x);
/* command: "APPEND name (flags) date"; takes the body. Any thread. */
void late_add(struct late *l, struct mailbox *m, int64_t due_ms, const char *command, struct spool **body);
/* Ends the thread; what is not due is never stored. */
void late_free(struct late **l);

#endif
