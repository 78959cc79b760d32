/* A haul: messages of one folder that are fetched within the day's budget, and intended and queued in groups. What cannot be moved is set aside by
   itself. One for each attempt at a folder; the job's thread. */
#ifndef NF_ENGINE_HAUL_H
#define NF_ENGINE_HAUL_H

#include "engine/job.h"

struct haul;

struct haul *haul_new(struct job *j, struct route_folder *f, struct err *err);
/* Fetches v from the folder's pull. ERR_DEFERRED: the day's budget is spent. */
int haul_fetch(struct haul *h, struct pull *pull, const struct pull_meta *v, size_t n, struct err *err);
/* Records a message, fetched or not, as one that is not moved, and why. */
int haul_set_aside(struct haul *h, const struct mail *m, enum item_state state, const struct err *why, struct err *err);
/* Ends the attempt: what was fetched and is whole is handed on, even when the connection broke. True: something new was read. Before the pull is
   closed. */
bool haul_end(struct haul **h);

#endif
