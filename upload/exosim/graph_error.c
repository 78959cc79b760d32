#include "upload/exosim/graph_error.h"

#include "engine/base/clock.h"
#include "upload/exosim/jwt.h"

#include <assert.h>

static const struct graph_error_row rows[GRAPH_ERRORS_END] = {
#define X(k, status_, code_, message_, grade_) \
	[GE_##k] = {.status = status_, .code = code_, .message = message_, .grade = grade_},
	GRAPH_ERRORS(X)
#undef X
};

const struct graph_error_row *graph_error_row(enum graph_error e)
{
	return &rows[e];
}

void graph_error_put_text(struct http_reply *out, unsigned status, const char *code, const char *message)
{
	char when[CLOCK_TEXT], id[40];
	json_t *j;

	free(out->body);
	out->body = NULL;
	out->body_len = 0;
	out->type = NULL;
	out->status = status;
	if (!code || !*code)
		return;
	clock_format(clock_wall_s(), when, sizeof(when));
	when[19] = '\0'; /* as Graph has it: no zone */
	jwt_guid(id, sizeof(id));
	j = json_pack("{s:{s:s, s:s, s:{s:s, s:s}}}", "error", "code", code, "message", message, "innerError", "date",
		when, "request-id", id);
	if (!j) /* a detail that is no UTF-8 */
		j = json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", "");
	out->body = json_dumps(j, JSON_COMPACT);
	assert(out->body);
	json_decref(j);
}

void graph_error_put(struct http_reply *out, enum graph_error e, const char *detail)
{
	const struct graph_error_row *row = &rows[e];
	const char *hole = strstr(row->message, "%s");
	char text[1024];

	if (hole)
		snprintf(text, sizeof(text), "%.*s%.400s%s", (int)(hole - row->message), row->message,
			detail ? detail : "", hole + 2);
	else
		snprintf(text, sizeof(text), "%s", row->message);
	graph_error_put_text(out, row->status, row->code, text);
}
