/* A walk through one folder, range by range: what the source lists is compared with what the store knows, and only the difference is fetched. */
#ifndef NF_ENGINE_WALK_H
#define NF_ENGINE_WALK_H

#include "engine/haul.h"

/* To the folder's end. state: as it was opened. ERR_FOLDER: the source lists less than it says that it holds. */
int walk_folder(struct job *j, struct route_folder *f, struct pull *pull, const struct folder_state *state,
	struct haul *haul, struct err *err);

#endif
