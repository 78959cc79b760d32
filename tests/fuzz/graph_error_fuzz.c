/* What Graph answers when it refuses. The first two octets are the status. */
#include "upload/graph_error.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct graph_refusal why;
	if (size < 2)
		return 0;
	int status = (data[0] * 256 + data[1]) % 700;
	assert(graph_error_read(status, (const char *)data + 2, size - 2, -1, &why, &err) == -1);
	assert(err.kind != ERR_NONE && err.kind < ERR_KINDS_END);
	assert(why.dimension == DIM_NONE || err.kind == ERR_THROTTLED);
	/* a success or a gateway's time-out is never proof that nothing was done */
	assert(why.maybe_done || (status >= 300 && status != 504));
	return 0;
}
