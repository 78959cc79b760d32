/* A scripted HTTPS server on 127.0.0.1, in threads of the test; certificate made on the spot. Included by the tests that need it. */
#ifndef NF_TESTS_TLS_SERVER_H
#define NF_TESTS_TLS_SERVER_H

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct seen {                        /* one request */
	unsigned number, connection; /* from 1, over all */
	char head[8192];
	char *body;
	size_t body_len;
};

enum then {
	THEN_KEEP,
	THEN_CLOSE,
	THEN_DROP /* close without an answer */,
	THEN_HANG /* until the client goes */
};
struct reply {
	const char *text;
	enum then then;
};

struct tls_server {
	int fd;
	unsigned port;
	bool plain;            /* answers garbage instead of TLS */
	uint64_t stop_reading; /* if not 0: drops a connection after so many octets of a body */
	char ca_path[64];
	char url[96]; /* "https://127.0.0.1:PORT" */
	SSL_CTX *ctx;
	struct reply (*handler)(struct tls_server *, const struct seen *);
	void *arg;
	atomic_uint requests, connections, open;
	pthread_t thread;
};

static inline X509 *tls_certificate(EVP_PKEY *key, const char *san)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"nightferry test", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, key);
	static const int kinds[] = {NID_subject_alt_name, NID_basic_constraints};
	const char *values[] = {san, "critical,CA:TRUE"};
	for (int i = 0; i < 2; i++) {
		X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, kinds[i], values[i]);
		X509_add_ext(x, e, -1);
		X509_EXTENSION_free(e);
	}
	X509_sign(x, key, EVP_sha256());
	return x;
}

/* Reads one request; false at the end of the connection. */
static inline bool tls_read_request(struct tls_server *s, SSL *ssl, struct seen *r)
{
	size_t have = 0;
	char *end = NULL;
	memset(r->head, 0, sizeof(r->head));
	while (!end) {
		int n = SSL_read(ssl, r->head + have, 1);
		if (n <= 0 || have + 2 > sizeof(r->head))
			return false;
		have++;
		end = strstr(r->head, "\r\n\r\n");
	}
	const char *cl = strcasestr(r->head, "\r\nContent-Length:");
	r->body_len = cl ? strtoull(cl + 17, NULL, 10) : 0;
	r->body = calloc(1, r->body_len + 1);
	for (size_t got = 0; got < r->body_len;) {
		int n = SSL_read(ssl, r->body + got, (int)(r->body_len - got < 16384 ? r->body_len - got : 16384));
		if (n <= 0)
			return false;
		got += (size_t)n;
		if (s->stop_reading && got > s->stop_reading)
			return false;
	}
	return true;
}

struct tls_connection {
	struct tls_server *server;
	int fd;
	unsigned number;
};

static inline void *tls_serve(void *arg)
{
	struct tls_connection c = *(struct tls_connection *)arg;
	struct tls_server *s = c.server;
	free(arg);
	SSL *ssl = SSL_new(s->ctx);
	SSL_set_fd(ssl, c.fd);
	struct seen *r = calloc(1, sizeof(*r));
	bool go = !s->plain && SSL_accept(ssl) == 1;
	if (s->plain && write(c.fd, "220 not TLS at all\r\n", 20) < 0)
		go = false;
	while (go && tls_read_request(s, ssl, r)) {
		r->number = atomic_fetch_add(&s->requests, 1) + 1;
		r->connection = c.number;
		struct reply reply = s->handler(s, r);
		if (reply.text && reply.then != THEN_DROP)
			SSL_write(ssl, reply.text, (int)strlen(reply.text));
		char octet;
		if (reply.then == THEN_HANG)
			SSL_read(ssl, &octet, 1);
		go = reply.then == THEN_KEEP;
		free(r->body);
		r->body = NULL;
	}
	free(r->body);
	free(r);
	SSL_free(ssl);
	close(c.fd);
	atomic_fetch_sub(&s->open, 1);
	return NULL;
}

static inline void *tls_accept(void *arg)
{
	struct tls_server *s = arg;
	for (;;) {
		int fd = accept(s->fd, NULL, NULL);
		if (fd < 0)
			return NULL;
		struct tls_connection *c = calloc(1, sizeof(*c));
		*c = (struct tls_connection){s, fd, atomic_fetch_add(&s->connections, 1) + 1};
		atomic_fetch_add(&s->open, 1);
		pthread_t t;
		pthread_create(&t, NULL, tls_serve, c);
		pthread_detach(t);
	}
}

static inline void tls_server_start(struct tls_server *s, const char *san)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = tls_certificate(key, san);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	s->ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(s->ctx, x);
	SSL_CTX_use_PrivateKey(s->ctx, key);
	snprintf(s->ca_path, sizeof(s->ca_path), "/tmp/nf-ca-XXXXXX");
	int fd = mkstemp(s->ca_path);
	FILE *f = fdopen(fd, "w");
	PEM_write_X509(f, x);
	fclose(f);
	X509_free(x);
	EVP_PKEY_free(key);
	s->fd = socket(AF_INET, SOCK_STREAM, 0);
	bind(s->fd, (struct sockaddr *)&a, sizeof(a));
	listen(s->fd, 64);
	getsockname(s->fd, (struct sockaddr *)&a, &n);
	s->port = ntohs(a.sin_port);
	snprintf(s->url, sizeof(s->url), "https://127.0.0.1:%u", s->port);
	pthread_create(&s->thread, NULL, tls_accept, s);
}

/* All clients must be gone. */
static inline void tls_server_stop(struct tls_server *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	while (atomic_load(&s->open) > 0)
		sched_yield();
	close(s->fd);
	unlink(s->ca_path);
	SSL_CTX_free(s->ctx);
}

#endif
