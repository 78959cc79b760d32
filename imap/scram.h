/* SCRAM-SHA-256 (RFC 7677, RFC 5802), the client's side, without channel binding. Pure but for OpenSSL's arithmetic.
   Our own and not libsasl's: that loads plug-ins from disk at run time, so a package without libsasl2-modules could not sign in, and
   its iteration count is not capped. */
#ifndef NF_IMAP_SCRAM_H
#define NF_IMAP_SCRAM_H

#include "engine/base/buf.h"
#include "engine/base/secret.h"

/* A hostile server must not keep us computing: RFC 7677 asks for 4,096 at least, hosts use up to some 100,000. */
#define SCRAM_ITERATIONS_MAX 1000000

struct scram;

/* nonce: printable, without a comma. authzid may be NULL. All copied; user and password by SASLprep. */
int scram_new(struct scram **out, const char *user, const char *authzid, const struct secret *password,
	const char *nonce, struct err *err);
/* The client's first message. */
int scram_first(const struct scram *s, struct buf *out, struct err *err);
/* The server's first message in, the client's proof out. ERR_PROTOCOL when it breaks the rules. */
int scram_prove(struct scram *s, const char *server_first, size_t n, struct buf *out, struct err *err);
/* The server's final message: 0 only if it knows the password too. ERR_CREDENTIALS for "e=", ERR_PROTOCOL for a wrong signature. */
int scram_verify(const struct scram *s, const char *server_final, size_t n, struct err *err);
void scram_free(struct scram **s);

#endif
