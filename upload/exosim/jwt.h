/* JSON Web Tokens: our own access tokens (HS256, a key of this run) and the client's assertions (PS256). Pure but for random bytes. */
#ifndef NF_EXOSIM_JWT_H
#define NF_EXOSIM_JWT_H

#include "engine/base/err.h"

#include <jansson.h>
#include <stdbool.h>

/* base64url without padding; yours to free. */
char *jwt_encode(const void *data, size_t n);
/* Strict: the alphabet of base64url only, no padding. NULL: not valid. *n octets, NUL-terminated behind them; yours to free. */
unsigned char *jwt_decode(const char *text, size_t len, size_t *n);
/* Ordinary base64 with padding. */
char *jwt_encode_plain(const void *data, size_t n);
unsigned char *jwt_decode_plain(const char *text, size_t len, size_t *n);

struct jwt_key {
	unsigned char bytes[32];
};
void jwt_key_make(struct jwt_key *key);
void jwt_random(void *to, size_t n);
/* A random GUID in text; size >= 37. */
void jwt_guid(char *out, size_t size);

/* claims is borrowed. Yours to free. */
char *jwt_sign(const json_t *claims, const struct jwt_key *key);
/* The claims of a token signed with key, NULL for anything else. Yours to json_decref. */
json_t *jwt_open(const char *token, const struct jwt_key *key);

/* Splits without checking a signature. 0, or -1 when it is no JWT. header and claims are yours. */
int jwt_split(const char *token, json_t **header, json_t **claims);
/* The signature of a PS256 token against a certificate in PEM (salt as long as the digest, MGF1 with SHA-256). */
bool jwt_ps256_valid(const char *token, const char *certificate_pem);
/* base64url of the SHA-256 of the certificate's DER; yours to free; NULL: no certificate. */
char *jwt_thumbprint(const char *certificate_pem);

#endif
