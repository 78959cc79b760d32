/* Every Graph request and its answer as a line of JSON in a file, for a validator outside: no token, no message. Any thread. */
#ifndef NF_EXOSIM_GRAPH_TRACE_H
#define NF_EXOSIM_GRAPH_TRACE_H

#include "engine/base/err.h"
#include "upload/exosim/http.h"

struct graph_trace;

/* Appends to the file; made with mode 0600. */
int graph_trace_open(struct graph_trace **out, const char *path, struct err *err);
void graph_trace_close(struct graph_trace **t);
/* fault: name of what went wrong on purpose; NULL: nothing. t NULL: does nothing. */
void graph_trace_write(
	struct graph_trace *t, const struct http_request *in, const struct http_reply *out, const char *fault);

#endif
