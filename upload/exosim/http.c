#include "upload/exosim/http.h"

#include "engine/base/buf.h"

#include <assert.h>
#include <microhttpd.h>
#include <unistd.h>

struct http {
	struct MHD_Daemon *daemon; /* owned */
	http_handler *handle;
	void *ctx; /* borrowed */
	size_t body_cap;
};

/* One request that is being received. */
struct call {
	struct buf body;
	bool too_big;
};

const char *http_header(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

const char *http_query(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

static enum MHD_Result answer(struct MHD_Connection *c, struct http_reply *r)
{
	struct MHD_Response *m;
	enum MHD_Result ok;

	if (r->drop) {
		free(r->body);
		return MHD_NO;
	}
	m = MHD_create_response_from_buffer(r->body ? strlen(r->body) : 0, r->body ? r->body : (void *)(uintptr_t) "",
		r->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	assert(m);
	if (r->body)
		MHD_add_response_header(m, "Content-Type", r->type ? r->type : "application/json; charset=utf-8");
	MHD_add_response_header(m, "Cache-Control", "no-store, no-cache");
	for (size_t i = 0; i < sizeof(r->header) / sizeof(*r->header) && r->header[i].name[0]; i++)
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
		call = calloc(1, sizeof(*call));
		assert(call);
		buf_init(&call->body, h->body_cap);
		*state = call;
		return MHD_YES;
	}
	if (*n) {
		if (!call->too_big && buf_add(&call->body, data, *n, &err) < 0) {
			call->too_big = true;
			buf_clear(&call->body);
		}
		*n = 0;
		return MHD_YES;
	}
	in.body = buf_str(&call->body);
	in.len = call->body.len;
	in.too_big = call->too_big;
	h->handle(h->ctx, &in, &out);
	return answer(c, &out);
}

static void completed(void *cls, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
	struct call *call = *state;

	(void)cls;
	(void)c;
	(void)why;
	if (call) {
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
	http_handler *handle, void *ctx, struct err *err)
{
	struct http *h = calloc(1, sizeof(*h));
	unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
			 MHD_USE_ERROR_LOG | MHD_USE_ITC | (cert ? MHD_USE_TLS : 0u);

	assert(h);
	h->handle = handle;
	h->ctx = ctx;
	h->body_cap = body_cap;
	h->daemon = MHD_start_daemon(flags, 0, NULL, NULL, access_handler, h, MHD_OPTION_EXTERNAL_LOGGER, quiet, NULL,
		MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL,
		MHD_OPTION_CONNECTION_TIMEOUT, 120u, MHD_OPTION_CONNECTION_LIMIT, 500u,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)128 * 1024, MHD_OPTION_THREAD_STACK_SIZE,
		(size_t)512 * 1024, cert ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, cert, MHD_OPTION_HTTPS_MEM_KEY,
		key, MHD_OPTION_END);
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
