/* What goes wrong with a Graph request (faults of HOOK_GRAPH). */
#ifndef NF_EXOSIM_GRAPH_FAULT_H
#define NF_EXOSIM_GRAPH_FAULT_H

#include "upload/exosim/graph.h"

/* folder: the backend's name of the path's, may be NULL. true: the request has had its end. */
bool graph_fault_before(struct graph_call *g, const char *folder);
/* What becomes of the answer. */
void graph_fault_after(struct graph_call *g);

#endif
