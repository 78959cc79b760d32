#include "imap/tls_sock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READ_BUFFER ((size_t)64 << 10) /* several records a read */

struct tls_sock {
	int fd;             /* borrowed */
	BIO_METHOD *method; /* owned */
	char *data;         /* owned; READ_BUFFER octets */
	size_t at, end;     /* of what was read and not given */
	bool at_end;        /* the other side closed */
	uint64_t received, sent;
};

static bool is_passing(int code)
{
	return code == EAGAIN || code == EWOULDBLOCK || code == EINTR;
}

static int sock_read(BIO *bio, char *out, int size)
{
	struct tls_sock *s = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (size <= 0)
		return 0;
	if (s->at == s->end) {
		ssize_t n = recv(s->fd, s->data, READ_BUFFER, 0);
		if (n < 0 && is_passing(errno))
			BIO_set_retry_read(bio);
		s->at_end = s->at_end || n == 0;
		if (n <= 0)
			return (int)n;
		s->at = 0;
		s->end = (size_t)n;
		s->received += (uint64_t)n;
	}
	size_t n = s->end - s->at;
	if (n > (size_t)size)
		n = (size_t)size;
	memcpy(out, s->data + s->at, n);
	s->at += n;
	return (int)n;
}

static int sock_write(BIO *bio, const char *data, int size)
{
	struct tls_sock *s = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	ssize_t n = send(s->fd, data, size > 0 ? (size_t)size : 0, MSG_NOSIGNAL);
	if (n < 0 && is_passing(errno))
		BIO_set_retry_write(bio);
	if (n > 0)
		s->sent += (uint64_t)n;
	return (int)n;
}

static long sock_control(BIO *bio, int what, long number, void *pointer)
{
	const struct tls_sock *s = BIO_get_data(bio);
	(void)number;
	(void)pointer;
	switch (what) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return s->at_end && s->at == s->end;
	case BIO_CTRL_PENDING:
		return (long)(s->end - s->at);
	default:
		return 0;
	}
}

struct tls_sock *tls_sock_new(int fd)
{
	struct tls_sock *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->fd = fd;
	s->data = malloc(READ_BUFFER);
	s->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "buffered socket");
	if (!s->data || !s->method || !BIO_meth_set_read(s->method, sock_read) ||
		!BIO_meth_set_write(s->method, sock_write) || !BIO_meth_set_ctrl(s->method, sock_control))
		tls_sock_free(&s);
	return s;
}

void tls_sock_free(struct tls_sock **s)
{
	if (!*s)
		return;
	BIO_meth_free((*s)->method);
	free((*s)->data);
	free(*s);
	*s = NULL;
}

BIO *tls_sock_bio(struct tls_sock *s)
{
	BIO *bio = BIO_new(s->method);
	if (!bio)
		return NULL;
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	return bio;
}

bool tls_sock_has_pending(const struct tls_sock *s)
{
	return s->at < s->end;
}

void tls_sock_counts(const struct tls_sock *s, uint64_t *received, uint64_t *sent)
{
	*received = s->received;
	*sent = s->sent;
}
