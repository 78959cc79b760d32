#include "tests/bench/floor_wire.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

_Noreturn void floor_die(const char *what)
{
	fprintf(stderr, "floor: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

SSL_CTX *floor_trust(const char *ca)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1)
		floor_die("the CA cannot be read");
	return ctx;
}

struct wire *floor_dial(SSL_CTX *ctx, const char *port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
	struct wire *w = calloc(1, sizeof(*w));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (!w || fd < 0)
		floor_die("no memory or socket");
	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		floor_die("cannot connect");
	w->ssl = SSL_new(ctx);
	SSL_set_fd(w->ssl, fd);
	SSL_set1_host(w->ssl, "localhost");
	SSL_set_tlsext_host_name(w->ssl, "localhost");
	if (SSL_connect(w->ssl) != 1)
		floor_die("TLS");
	return w;
}

void floor_flush(struct wire *w)
{
	if (w->pending && SSL_write(w->ssl, w->out, (int)w->pending) <= 0)
		floor_die("write");
	w->pending = 0;
}

void floor_put(struct wire *w, const char *data, size_t n)
{
	while (n > 0) {
		size_t room = sizeof(w->out) - w->pending, part = n < room ? n : room;
		memcpy(w->out + w->pending, data, part);
		w->pending += part;
		data += part;
		n -= part;
		if (w->pending == sizeof(w->out))
			floor_flush(w);
	}
}

void floor_fill(struct wire *w)
{
	int n = SSL_read(w->ssl, w->in, sizeof(w->in));
	if (n <= 0)
		floor_die("the server closed the connection");
	w->at = 0;
	w->end = (size_t)n;
}

void floor_line(struct wire *w, char *line)
{
	size_t len = 0;
	for (;;) {
		if (w->at == w->end)
			floor_fill(w);
		char c = w->in[w->at++];
		if (c == '\n')
			break;
		if (c != '\r' && len < FLOOR_LINE - 1)
			line[len++] = c;
	}
	line[len] = '\0';
}

void floor_wait_ok(struct wire *w, const char *tag)
{
	char line[FLOOR_LINE];
	size_t n = strlen(tag);
	floor_flush(w);
	do
		floor_line(w, line);
	while (strncmp(line, tag, n) != 0);
	if (strncmp(line + n, " OK", 3) != 0)
		floor_die(line);
}

void floor_login(struct wire *w, const char *user, const char *pass)
{
	char line[FLOOR_LINE];
	floor_line(w, line);
	floor_put(w, line, (size_t)snprintf(line, sizeof(line), "l LOGIN \"%s\" \"%s\"\r\n", user, pass));
	floor_wait_ok(w, "l");
}

char *floor_cut(char *line, const char *from, char close, const char *what)
{
	char *start = strstr(line, from), *end = start ? strchr(start + strlen(from), close) : NULL;
	if (!end)
		floor_die(what);
	*end = '\0';
	return start + strlen(from);
}

void floor_fetch(struct wire *w, const char *folder)
{
	char line[FLOOR_LINE];
	floor_put(w, line, (size_t)snprintf(line, sizeof(line), "e EXAMINE \"%s\"\r\n", folder));
	floor_wait_ok(w, "e");
	floor_put(
		w, line, (size_t)snprintf(line, sizeof(line), "f UID FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])\r\n"));
	floor_flush(w);
}

bool floor_next(struct wire *w, char *line)
{
	for (;;) {
		floor_line(w, line);
		if (strncmp(line, "f ", 2) == 0)
			return false;
		if (strstr(line, " FETCH ("))
			return true;
	}
}
