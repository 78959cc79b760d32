/* Folders that a person renamed at the source between two passes: they arrive again under the new name, and that is told. */
#ifndef NF_ENGINE_RENAMED_H
#define NF_ENGINE_RENAMED_H

#include "engine/job.h"

/* After all folders were walked: a note for each. */
int renamed_note(struct job *j, struct err *err);

#endif
