/* A line is one write of a file opened for appending, so that lines of threads, and of a run after a kill, do not mix.
   {"method","path","query":[[name,value]…],"headers":{…},"request","request_octets","status","answer_headers":{…},"answer","answer_octets",
   "dropped","fault"}: request and answer are JSON values, or null where there was none, or it was none. */
#include "upload/exosim/graph_trace.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct graph_trace {
	int fd;
};

int graph_trace_open(struct graph_trace **out, const char *path, struct err *err)
{
	struct graph_trace *t;
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_set(err, ERR_USAGE, "--trace-graph %s: %s", path, strerror(errno));
	t = calloc(1, sizeof(*t));
	assert(t);
	t->fd = fd;
	*out = t;
	return 0;
}

void graph_trace_close(struct graph_trace **t)
{
	if (!*t)
		return;
	close((*t)->fd);
	free(*t);
	*t = NULL;
}

static json_t *text(const char *s)
{
	json_t *j = s ? json_string(s) : json_null();

	return j ? j : json_string("(not UTF-8)");
}

static bool add_option(void *ctx, const char *name, const char *value)
{
	json_array_append_new(ctx, json_pack("[o, o]", text(name), text(value)));
	return true;
}

static json_t *request_headers(const struct http_request *in)
{
	static const char *const names[] = {"Host", "Content-Type", "Content-Length", "Accept", "Prefer",
		"client-request-id", "User-Agent", "Expect"};
	const char *authorization = http_header(in, "Authorization");
	json_t *o = json_object();

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (http_header(in, names[i]))
			json_object_set_new(o, names[i], text(http_header(in, names[i])));
	if (authorization) /* the scheme only */
		json_object_set_new(o, "Authorization", json_stringn(authorization, strcspn(authorization, " ")));
	return o;
}

static json_t *answer_headers(const struct http_reply *out)
{
	json_t *o = json_object();

	for (size_t i = 0; i < HTTP_HEADERS && out->header[i].name[0]; i++)
		json_object_set_new(o, out->header[i].name, text(out->header[i].value));
	if (out->body)
		json_object_set_new(o, "Content-Type", text(out->type ? out->type : "application/json; charset=utf-8"));
	return o;
}

/* What a message says is nobody's business here: its shape is enough. */
static void blank_message(json_t *o)
{
	json_t *content = json_object_get(json_object_get(o, "body"), "content");

	if (json_is_string(content))
		json_string_set(content, "…");
	content = json_object_get(json_object_get(o, "uniqueBody"), "content");
	if (json_is_string(content))
		json_string_set(content, "…");
	content = json_object_get(o, "bodyPreview");
	if (json_is_string(content))
		json_string_set(content, "…");
}

static json_t *blanked(json_t *answer)
{
	json_t *one;
	size_t i;

	blank_message(answer);
	json_array_foreach(json_object_get(answer, "value"), i, one) blank_message(one);
	return answer;
}

static json_t *value(const char *data, size_t n)
{
	json_t *j = n && (*data == '{' || *data == '[') ? json_loadb(data, n, 0, NULL) : NULL;

	return j ? j : json_null();
}

void graph_trace_write(
	struct graph_trace *t, const struct http_request *in, const struct http_reply *out, const char *fault)
{
	json_t *line, *query;
	size_t n = out->body ? out->body_len ? out->body_len : strlen(out->body) : 0;
	char *dump, *whole;

	if (!t)
		return;
	query = json_array();
	http_each_query(in, add_option, query);
	line = json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:i, s:o, s:o, s:I, s:b, s:o}", "method", text(in->method),
		"path", text(in->path), "query", query, "headers", request_headers(in), "request",
		value(in->body, in->len), "request_octets", (json_int_t)in->received, "status", (int)out->status,
		"answer_headers", answer_headers(out), "answer", out->body ? blanked(value(out->body, n)) : json_null(),
		"answer_octets", (json_int_t)n, "dropped", out->drop, "fault", text(fault));
	dump = line ? json_dumps(line, JSON_COMPACT) : NULL;
	assert(dump);
	n = strlen(dump);
	whole = malloc(n + 2);
	assert(whole);
	memcpy(whole, dump, n);
	whole[n++] = '\n';
	if (write(t->fd, whole, n) != (ssize_t)n)
		abort(); /* a test that believes in a trace with holes is worse than none */
	free(whole);
	free(dump);
	json_decref(line);
}
