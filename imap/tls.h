/* TLS of one connection: chain and host name verified, SNI, 1.2 or newer. What is refused is told with its cause. */
#ifndef NF_IMAP_TLS_H
#define NF_IMAP_TLS_H

#include "engine/base/err.h"
#include "engine/base/stop.h"

#include <stdbool.h>
#include <stdint.h>

struct tls;

struct tls_conf {            /* borrowed for the call */
	const char *host;    /* for SNI and the certificate; a name or an address */
	unsigned port;       /* for texts only */
	const char *ca_file; /* PEM; NULL: the system's */
	bool accept_any_certificate;
	bool starttls; /* for hints only */
};

struct tls_facts {
	char version[16], cipher[64];
	char subject[256], issuer[256];
	int64_t expires_at; /* UTC seconds; 0: unknown */
	bool verified;
};

/* The product that looks into connections whose name is in the issuer's; NULL: none known. Pure. */
const char *tls_inspector(const char *issuer);

/* Handshake over fd until the deadline (clock_mono_ms). facts are filled as far as it got, also on failure. */
int tls_open(struct tls **out, int fd, const struct tls_conf *conf, struct stop *stop, int64_t deadline,
	struct tls_facts *facts, struct err *err);
void tls_free(struct tls **t);

/* >0: octets. 0: not now, *want tells for which event of the socket (POLLIN, POLLOUT) to wait. -1: *err. */
long tls_read(struct tls *t, void *data, size_t n, short *want, struct err *err);
long tls_write(struct tls *t, const void *data, size_t n, short *want, struct err *err);
bool tls_has_pending(const struct tls *t); /* octets wait inside, poll would not tell */
void tls_goodbye(struct tls *t);           /* close_notify, without waiting */
void tls_counts(const struct tls *t, uint64_t *received, uint64_t *sent);

#endif
