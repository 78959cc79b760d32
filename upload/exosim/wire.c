/* Sockets are non-blocking and every wait is a poll with a deadline and the stop token, so that no peer can hold a thread. */
#include "upload/exosim/wire.h"

#include "engine/base/clock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_ROOM ((size_t)32 * 1024)
#define WRITE_TIMEOUT_MS 120000

struct wire_tls {
	SSL_CTX *ctx; /* owned */
};

struct wire {
	int fd;
	SSL *ssl;          /* owned; NULL: plain */
	struct stop *stop; /* borrowed */
	char *in;          /* owned, WIRE_ROOM */
	size_t in_at, in_end;
	char *out; /* owned, OUT_ROOM */
	size_t out_len;
	bool broken, ended;
	uint64_t rate; /* octets per second, 0: free */
};

int wire_tls_new(struct wire_tls **out, const char *cert_file, const char *key_file, struct err *err)
{
	struct wire_tls *t = calloc(1, sizeof(*t));

	assert(t);
	t->ctx = SSL_CTX_new(TLS_server_method());
	assert(t->ctx);
	SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
	SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(t->ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_read_ahead(t->ctx, 1);
	SSL_CTX_set_default_read_buffer_len(t->ctx, 64 * 1024);
	if (SSL_CTX_use_certificate_chain_file(t->ctx, cert_file) != 1 ||
		SSL_CTX_use_PrivateKey_file(t->ctx, key_file, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_check_private_key(t->ctx) != 1) {
		ERR_clear_error();
		wire_tls_free(&t);
		return err_set(err, ERR_USAGE, "certificate %s and key %s cannot be used", cert_file, key_file);
	}
	*out = t;
	return 0;
}

void wire_tls_free(struct wire_tls **t)
{
	if (!*t)
		return;
	SSL_CTX_free((*t)->ctx);
	free(*t);
	*t = NULL;
}

struct wire *wire_new(int fd, struct stop *stop)
{
	struct wire *w = calloc(1, sizeof(*w));
	int one = 1;

	assert(w);
	w->fd = fd;
	w->stop = stop;
	w->in = malloc(WIRE_ROOM);
	w->out = malloc(OUT_ROOM);
	assert(w->in && w->out);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return w;
}

void wire_free(struct wire **w)
{
	if (!*w)
		return;
	SSL_free((*w)->ssl);
	if ((*w)->fd >= 0)
		close((*w)->fd);
	free((*w)->in);
	free((*w)->out);
	free(*w);
	*w = NULL;
}

/* 1: ready, 0: time is up, -1: stop. */
static int await(struct wire *w, short events, int64_t deadline)
{
	struct pollfd p[2] = {{.fd = w->fd, .events = events}, {.fd = stop_fd(w->stop, STOP_NOW), .events = POLLIN}};
	int64_t left = deadline - clock_mono_ms();
	int r;

	if (left < 0)
		return 0;
	do
		r = poll(p, p[1].fd >= 0 ? 2 : 1, left > 3600000 ? 3600000 : (int)left);
	while (r < 0 && errno == EINTR);
	if (r > 0 && p[1].fd >= 0 && p[1].revents)
		return -1;
	return r > 0;
}

int wire_accept(struct wire *w, const struct wire_tls *tls, int64_t timeout_ms, struct err *err)
{
	int64_t deadline = clock_mono_ms() + timeout_ms;
	int r;

	w->ssl = SSL_new(tls->ctx);
	if (!w->ssl || SSL_set_fd(w->ssl, w->fd) != 1)
		return err_set(err, ERR_TLS, "no TLS session");
	for (;;) {
		ERR_clear_error();
		r = SSL_accept(w->ssl);
		if (r == 1)
			return 0;
		r = SSL_get_error(w->ssl, r);
		if ((r != SSL_ERROR_WANT_READ && r != SSL_ERROR_WANT_WRITE) ||
			await(w, r == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline) <= 0)
			return err_set(err, ERR_TLS, "the TLS handshake failed");
	}
}

int wire_connect(struct wire **out, const char *host, unsigned port, struct stop *stop, struct err *err)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd;

	if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
		return err_set(err, ERR_USAGE, "'%s' is not a numeric address", host);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		int e = errno;

		if (fd >= 0)
			close(fd);
		return err_set(err, ERR_FIREWALL, "connect to %s:%u: %s", host, port, strerror(e));
	}
	*out = wire_new(fd, stop);
	return 0;
}

int wire_fd(const struct wire *w)
{
	return w->fd;
}
const char *wire_data(const struct wire *w)
{
	return w->in + w->in_at;
}
size_t wire_have(const struct wire *w)
{
	return w->in_end - w->in_at;
}
bool wire_is_broken(const struct wire *w)
{
	return w->broken;
}
void wire_set_rate(struct wire *w, uint64_t bytes_per_s)
{
	w->rate = bytes_per_s;
}

void wire_skip(struct wire *w, size_t n)
{
	assert(n <= wire_have(w));
	w->in_at += n;
	if (w->in_at == w->in_end)
		w->in_at = w->in_end = 0;
}

static void pace(struct wire *w, size_t n)
{
	if (w->rate)
		clock_sleep_ms((int64_t)(n * 1000 / w->rate), stop_fd(w->stop, STOP_NOW));
}

static int read_some(struct wire *w, char *to, size_t room)
{
	ssize_t n;

	if (w->ssl) {
		int r;

		ERR_clear_error();
		r = SSL_read(w->ssl, to, (int)room);
		if (r > 0)
			return r;
		r = SSL_get_error(w->ssl, r);
		return r == SSL_ERROR_WANT_READ || r == SSL_ERROR_WANT_WRITE ? 0 : -1;
	}
	do
		n = recv(w->fd, to, room, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return (int)n;
	return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : -1;
}

int wire_fill(struct wire *w)
{
	size_t room, want;
	int n;

	if (w->ended || w->broken)
		return -1;
	if (w->in_at && WIRE_ROOM - w->in_end < WIRE_ROOM / 4) {
		memmove(w->in, w->in + w->in_at, w->in_end - w->in_at);
		w->in_end -= w->in_at;
		w->in_at = 0;
	}
	room = WIRE_ROOM - w->in_end;
	if (room == 0)
		return 0;
	want = w->rate && room > 1024 ? 1024 : room;
	n = read_some(w, w->in + w->in_end, want);
	if (n < 0) {
		w->ended = true;
		return -1;
	}
	if (n > 0)
		pace(w, (size_t)n);
	w->in_end += (size_t)n;
	return n > 0;
}

int wire_wait(struct wire *w, int64_t timeout_ms)
{
	int64_t deadline = clock_mono_ms() + timeout_ms;

	for (;;) {
		int r = wire_fill(w);

		if (r)
			return r;
		r = await(w, POLLIN, deadline);
		if (r <= 0)
			return r;
	}
}

static void write_all(struct wire *w, const char *data, size_t n)
{
	int64_t deadline = clock_mono_ms() + WRITE_TIMEOUT_MS;

	while (n && !w->broken) {
		ssize_t r;
		size_t part = w->rate && n > 1024 ? 1024 : n;
		short events = POLLOUT;

		if (w->ssl) {
			ERR_clear_error();
			r = SSL_write(w->ssl, data, part > 1 << 20 ? 1 << 20 : (int)part);
			if (r <= 0) {
				int e = SSL_get_error(w->ssl, (int)r);

				if (e != SSL_ERROR_WANT_WRITE && e != SSL_ERROR_WANT_READ)
					w->broken = true;
				events = e == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
			}
		} else {
			r = send(w->fd, data, part, MSG_NOSIGNAL);
			if (r < 0 && errno != EAGAIN && errno != EINTR)
				w->broken = true;
		}
		if (r > 0) {
			pace(w, (size_t)r);
			data += r;
			n -= (size_t)r;
		} else if (!w->broken && await(w, events, deadline) <= 0) {
			w->broken = true;
		}
	}
}

int wire_flush(struct wire *w)
{
	if (w->out_len && !w->broken)
		write_all(w, w->out, w->out_len);
	w->out_len = 0;
	return w->broken ? -1 : 0;
}

void wire_put(struct wire *w, const void *data, size_t n)
{
	const char *from = data;

	/* What does not fit fills the buffer first: one full record instead of a small and a large one. */
	while (n && !w->broken) {
		size_t part = OUT_ROOM - w->out_len;

		if (!w->out_len && n >= OUT_ROOM) {
			write_all(w, from, n);
			return;
		}
		if (part > n)
			part = n;
		memcpy(w->out + w->out_len, from, part);
		w->out_len += part;
		from += part;
		n -= part;
		if (w->out_len == OUT_ROOM)
			wire_flush(w);
	}
}

void wire_put_str(struct wire *w, const char *s)
{
	wire_put(w, s, strlen(s));
}

void wire_printf(struct wire *w, const char *fmt, ...)
{
	char text[1024], *long_text;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	assert(n >= 0);
	if ((size_t)n < sizeof(text)) {
		wire_put(w, text, (size_t)n);
		return;
	}
	long_text = malloc((size_t)n + 1);
	assert(long_text);
	va_start(ap, fmt);
	vsnprintf(long_text, (size_t)n + 1, fmt, ap);
	va_end(ap);
	wire_put(w, long_text, (size_t)n);
	free(long_text);
}

void wire_drop(struct wire *w)
{
	char waste[4096];
	int64_t deadline = clock_mono_ms() + 200;

	w->out_len = 0;
	w->broken = w->ended = true;
	shutdown(w->fd, SHUT_WR);
	/* Closing with unread input resets the connection, which would take back answers that were sent before. */
	for (;;) {
		ssize_t n = recv(w->fd, waste, sizeof(waste), 0);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return;
		if (n < 0 && await(w, POLLIN, deadline) <= 0)
			return;
		if (clock_mono_ms() >= deadline)
			return;
	}
}
