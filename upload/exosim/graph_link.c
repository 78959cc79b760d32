/* Addresses in answers: contexts and next links. */
#include "upload/exosim/graph.h"

#include <assert.h>

struct address {
	struct buf text;
	bool any;
};

static void add_escaped(struct buf *to, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~$";
	struct err err = ERR_INIT;

	for (; *text; text++)
		if (strchr(plain, *text))
			buf_add_char(to, *text, &err);
		else
			buf_printf(to, &err, "%%%02X", (unsigned char)*text);
}

static bool add_option(void *ctx, const char *name, const char *value)
{
	struct address *a = ctx;
	struct err err = ERR_INIT;

	if (strcmp(name, "$skiptoken") == 0 || strcmp(name, "$skip") == 0)
		return true;
	buf_add_char(&a->text, a->any ? '&' : '?', &err);
	a->any = true;
	add_escaped(&a->text, name);
	buf_add_char(&a->text, '=', &err);
	add_escaped(&a->text, value ? value : "");
	return true;
}

json_t *graph_next_link(const struct graph_call *g, uint64_t skip)
{
	const char *host = http_header(g->in, "Host");
	char *token = graph_query_token(skip);
	struct address a = {.any = false};
	struct err err = ERR_INIT;
	json_t *j;

	buf_init(&a.text, (size_t)64 * 1024);
	buf_printf(&a.text, &err, "https://%s", host ? host : "graph.microsoft.com");
	for (const char *at = g->in->path, *slash; *at; at = slash) { /* each segment on its own */
		char *segment;

		slash = at + 1 + strcspn(at + 1, "/");
		segment = strndup(at + 1, (size_t)(slash - at - 1));
		assert(segment);
		buf_add_char(&a.text, '/', &err);
		add_escaped(&a.text, segment);
		free(segment);
	}
	http_each_query(g->in, add_option, &a);
	buf_printf(&a.text, &err, "%c%%24skiptoken=%s", a.any ? '&' : '?', token);
	free(token);
	j = json_string(buf_str(&a.text));
	buf_done(&a.text);
	return j;
}

json_t *graph_context(const struct graph_call *g, const char *rest)
{
	return json_sprintf("https://graph.microsoft.com/%s/$metadata#users('%s')%s", g->path.is_beta ? "beta" : "v1.0",
		g->box->id, rest);
}
