/* Client assertions: a JWT signed PS256 with the key of a certificate (spec/exchange-online.md section 5). Immutable once made. */
#ifndef NF_UPLOAD_JWT_H
#define NF_UPLOAD_JWT_H

#include "engine/base/secret.h"

struct jwt_key;

/* PEM of a certificate and of its RSA key, both borrowed. ERR_USAGE with a hint: not PEM, encrypted key, not RSA, under 2048 bits,
   key and certificate do not belong together, certificate expired at now_s. */
int jwt_key_new(struct jwt_key **out, const struct secret *certificate_pem, const struct secret *private_key_pem,
	int64_t now_s, struct err *err);
/* An assertion of client_id for the audience (the token URL), good for ten minutes from now_s; yours to free. Any thread. */
int jwt_assertion(const struct jwt_key *k, const char *client_id, const char *audience, int64_t now_s,
	struct secret **out, struct err *err);
void jwt_key_free(struct jwt_key **k);

#endif
