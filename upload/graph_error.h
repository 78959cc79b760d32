/* What a refusal of Graph means: by its code first, then by its status (spec/exchange-online.md section 4). One table. Pure. */
#ifndef NF_UPLOAD_GRAPH_ERROR_H
#define NF_UPLOAD_GRAPH_ERROR_H

#include "throttle/gate.h"

#define GRAPH_ERROR_CAP ((size_t)64 * 1024) /* most of an error's body that is looked at */

struct graph_refusal {
	/* A request that makes something may have been acted on all the same: nobody knows until it is looked up. False: certainly not. */
	bool maybe_done;
	enum dimension dimension; /* THROTTLED: the limit that the text names; DIM_NONE: it does not say */
};

/* status is any but the success that was expected. Fills *err with kind, code, words and hint, and *out. Always returns -1. */
int graph_error_read(
	int status, const char *body, size_t n, int64_t retry_after_ms, struct graph_refusal *out, struct err *err);

#endif
