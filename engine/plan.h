/* Which folders a mailbox has, and where each of them goes. */
#ifndef NF_ENGINE_PLAN_H
#define NF_ENGINE_PLAN_H

#include "engine/job.h"

/* Lists the source's folders, asks the routes for their rules, and fills the job's list, mappings and folders; notes what is renamed or not moved. */
int plan_folders(struct job *j, struct err *err);

#endif
