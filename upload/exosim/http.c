#include "upload/exosim/http.h"

#include "engine/base/buf.h"
#include "engine/base/clock.h"

#include <assert.h>
#include <microhttpd.h>
#include <unistd.h>

/* Only what is used of it costs memory. MIME nested a thousand times over is parsed by recursion. */
#define THREAD_STACK ((size_t)8 * 1024 * 1024)

struct http {
	struct MHD_Daemon *daemon;      /* owned */
	const struct http_hooks *hooks; /* borrowed */
	void *ctx;                      /* borrowed */
	size_t body_cap;
};

/* One request that is being received. */
struct call {
	struct buf body;
	uint64_t received;
	bool too_big;
	void *state; /* owned by the hooks */
};

/* A body that does not go out as it is: slowly, cut, or with blanks behind it. */
struct stream {
	char *body; /* owned */
	uint64_t len, more, rate, cut;
	bool is_cut;
};

const char *http_header(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

struct query {
	bool (*each)(void *ctx, const char *name, const char *value);
	void *ctx;
};

static enum MHD_Result one_argument(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	const struct query *q = cls;

	(void)kind;
	return q->each(q->ctx, name, value) ? MHD_YES : MHD_NO;
}

void http_each_query(
	const struct http_request *r, bool (*each)(void *ctx, const char *name, const char *value), void *ctx)
{
	MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, one_argument, &(struct query){each, ctx});
}

void http_reply_header(struct http_reply *out, const char *name, const char *value)
{
	for (size_t i = 0; i < HTTP_HEADERS; i++)
		if (!out->header[i].name[0]) {
			snprintf(out->header[i].name, sizeof(out->header[i].name), "%s", name);
			snprintf(out->header[i].value, sizeof(out->header[i].value), "%s", value);
			return;
		}
	assert(!"too many headers");
}

static ssize_t stream_read(void *cls, uint64_t pos, char *to, size_t max)
{
	const struct stream *s = cls;
	uint64_t all = s->len + s->more, n = max;

	if (s->is_cut && pos >= s->cut)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (pos >= all)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (s->rate) {
		clock_sleep_ms(100, -1);
		n = s->rate / 10 + 1 < n ? s->rate / 10 + 1 : n;
	}
	if (s->is_cut && n > s->cut - pos)
		n = s->cut - pos;
	if (pos < s->len) {
		n = n > s->len - pos ? s->len - pos : n;
		memcpy(to, s->body + pos, (size_t)n);
	} else {
		n = n > all - pos ? all - pos : n;
		memset(to, ' ', (size_t)n);
	}
	return (ssize_t)n;
}

static void stream_free(void *cls)
{
	struct stream *s = cls;

	free(s->body);
	free(s);
}

static struct MHD_Response *make_response(struct http_reply *r)
{
	size_t len = r->body ? r->body_len ? r->body_len : strlen(r->body) : 0;
	struct stream *s;

	if (!r->is_cut && !r->rate && !r->more)
		return MHD_create_response_from_buffer(len, r->body ? r->body : (void *)(uintptr_t) "",
			r->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	s = calloc(1, sizeof(*s));
	assert(s);
	*s = (struct stream){r->body, len, r->more, r->rate, r->cut, r->is_cut};
	return MHD_create_response_from_callback(len + r->more, (size_t)64 * 1024, stream_read, s, stream_free);
}

static enum MHD_Result answer(struct MHD_Connection *c, struct http_reply *r)
{
	struct MHD_Response *m;
	enum MHD_Result ok;

	if (r->drop) {
		free(r->body);
		return MHD_NO;
	}
	m = make_response(r);
	assert(m);
	if (r->body)
		MHD_add_response_header(m, "Content-Type", r->type ? r->type : "application/json; charset=utf-8");
	MHD_add_response_header(m, "Cache-Control", "no-store, no-cache");
	for (size_t i = 0; i < HTTP_HEADERS && r->header[i].name[0]; i++)
		MHD_add_response_header(m, r->header[i].name, r->header[i].value);
	ok = MHD_queue_response(c, r->status, m);
	MHD_destroy_response(m);
	return ok;
}

static enum MHD_Result access_handler(void *cls, struct MHD_Connection *c, const char *url, const char *method,
	const char *version, const char *data, size_t *n, void **state)
{
	struct http *h = cls;
	struct call *call = *state;
	struct http_request in = {.method = method, .path = url, .connection = c};
	struct http_reply out = {.status = 500};
	struct err err = ERR_INIT;

	(void)version;
	if (!call) {
		size_t cap = h->body_cap;

		call = calloc(1, sizeof(*call));
		assert(call);
		if (h->hooks->begin)
			call->state = h->hooks->begin(h->ctx, &in, &cap);
		buf_init(&call->body, cap);
		*state = call;
		return MHD_YES;
	}
	if (*n) {
		call->received += *n;
		if (!call->too_big && buf_add(&call->body, data, *n, &err) < 0) {
			call->too_big = true;
			buf_clear(&call->body);
		}
		*n = 0;
		return MHD_YES;
	}
	in.body = buf_str(&call->body);
	in.len = call->body.len;
	in.received = call->received;
	in.too_big = call->too_big;
	in.state = call->state;
	h->hooks->handle(h->ctx, &in, &out);
	return answer(c, &out);
}

static void completed(void *cls, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
	struct call *call = *state;
	struct http *h = cls;

	(void)c;
	(void)why;
	if (call) {
		if (h->hooks->end)
			h->hooks->end(h->ctx, call->state);
		buf_done(&call->body);
		free(call);
	}
	*state = NULL;
}

/* libmicrohttpd writes of broken connections to stderr; nobody wants to know. */
static void quiet(void *cls, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void quiet(void *cls, const char *fmt, va_list ap)
{
	(void)cls;
	(void)fmt;
	(void)ap;
}

int http_open(struct http **out, int listen_fd, const char *cert, const char *key, size_t body_cap,
	const struct http_hooks *hooks, void *ctx, struct err *err)
{
	struct http *h = calloc(1, sizeof(*h));
	unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
			 MHD_USE_ERROR_LOG | MHD_USE_ITC | (cert ? MHD_USE_TLS : 0u);

	assert(h);
	h->hooks = hooks;
	h->ctx = ctx;
	h->body_cap = body_cap;
	h->daemon = MHD_start_daemon(flags, 0, NULL, NULL, access_handler, h, MHD_OPTION_EXTERNAL_LOGGER, quiet, NULL,
		MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_NOTIFY_COMPLETED, completed, h,
		MHD_OPTION_CONNECTION_TIMEOUT, 120u, MHD_OPTION_CONNECTION_LIMIT, 500u,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)128 * 1024, MHD_OPTION_THREAD_STACK_SIZE, THREAD_STACK,
		cert ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, cert, MHD_OPTION_HTTPS_MEM_KEY, key, MHD_OPTION_END);
	if (!h->daemon) {
		free(h);
		close(listen_fd);
		return err_set(err, ERR_USAGE, "the HTTP server does not start%s", cert ? " (certificate, key?)" : "");
	}
	*out = h;
	return 0;
}

void http_close(struct http **h)
{
	if (!*h)
		return;
	MHD_stop_daemon((*h)->daemon);
	free(*h);
	*h = NULL;
}
