#include "imap/scram.h"

#include "imap/base64.h"
#include "imap/saslprep.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define HASH 32
#define MESSAGE_MAX ((size_t)16 << 10)
#define SALT_MAX 1024

struct scram {
	char *gs2;                     /* owned: "n,a=authzid," */
	char *bare;                    /* owned: "n=user,r=nonce" */
	char *nonce;                   /* owned */
	struct secret *password;       /* owned; prepared */
	unsigned char signature[HASH]; /* the server's, expected */
	bool proved;
};

static int hmac(const void *key, size_t key_n, const void *data, size_t n, unsigned char out[HASH])
{
	unsigned size = HASH;

	return HMAC(EVP_sha256(), key, (int)key_n, data, n, out, &size) && size == HASH ? 0 : -1;
}

/* RFC 5802 section 5.1: "," and "=" are written "=2C" and "=3D". */
static int add_name(struct buf *out, const char *name, struct err *err)
{
	for (; *name; name++)
		if (*name == ','       ? buf_add_str(out, "=2C", err)
			: *name == '=' ? buf_add_str(out, "=3D", err)
				       : buf_add_char(out, *name, err))
			return -1;
	return 0;
}

int scram_new(struct scram **out, const char *user, const char *authzid, const struct secret *password,
	const char *nonce, struct err *err)
{
	struct scram *s = calloc(1, sizeof *s);
	struct secret *name = saslprep(user, strlen(user));
	struct buf gs2, bare;

	*out = NULL;
	buf_init(&gs2, MESSAGE_MAX);
	buf_init(&bare, MESSAGE_MAX);
	if (!s || !name) {
		err_set(err, ERR_MEMORY, "out of memory");
		goto failed;
	}
	if (buf_add_str(&gs2, "n,", err) ||
		(authzid && (buf_add_str(&gs2, "a=", err) || add_name(&gs2, authzid, err))) ||
		buf_add_char(&gs2, ',', err) || buf_add_str(&bare, "n=", err) ||
		add_name(&bare, secret_bytes(name), err) || buf_printf(&bare, err, ",r=%s", nonce))
		goto failed;
	s->gs2 = buf_take(&gs2);
	s->bare = buf_take(&bare);
	s->nonce = strdup(nonce);
	s->password = saslprep(secret_bytes(password), secret_len(password));
	if (!s->nonce || !s->password) {
		err_set(err, ERR_MEMORY, "out of memory");
		goto failed;
	}
	secret_free(&name);
	*out = s;
	return 0;
failed:
	secret_free(&name);
	buf_done(&gs2);
	buf_done(&bare);
	scram_free(&s);
	return -1;
}

int scram_first(const struct scram *s, struct buf *out, struct err *err)
{
	return buf_printf(out, err, "%s%s", s->gs2, s->bare);
}

struct challenge {
	const char *nonce;
	size_t nonce_n;
	const char *salt;
	size_t salt_n;
	long iterations;
};

/* "r=...,s=...,i=...[,extensions]", in this order; "m=" means what we do not know and must refuse. */
static int parse_challenge(const char *p, size_t n, struct challenge *out, struct err *err)
{
	static const char wanted[] = "rsi";
	const char *end = p + n;

	memset(out, 0, sizeof *out);
	for (size_t i = 0; i < 3; i++) {
		const char *comma = memchr(p, ',', (size_t)(end - p)), *stop = comma ? comma : end;
		if (stop - p < 3 || p[0] != wanted[i] || p[1] != '=')
			return err_set(err, ERR_PROTOCOL, "the server's SCRAM challenge is malformed");
		if (i == 0) {
			out->nonce = p + 2;
			out->nonce_n = (size_t)(stop - p) - 2;
		} else if (i == 1) {
			out->salt = p + 2;
			out->salt_n = (size_t)(stop - p) - 2;
		} else {
			for (const char *d = p + 2; d < stop; d++) {
				if (!isdigit((unsigned char)*d) || out->iterations > SCRAM_ITERATIONS_MAX)
					return err_set(err, ERR_PROTOCOL,
						"the server's SCRAM iteration count is not acceptable");
				out->iterations = out->iterations * 10 + (*d - '0');
			}
		}
		p = comma ? comma + 1 : end;
	}
	if (out->iterations < 1 || out->iterations > SCRAM_ITERATIONS_MAX)
		return err_set(err, ERR_PROTOCOL, "the server's SCRAM iteration count is not acceptable");
	return 0;
}

/* message: the AuthMessage of RFC 5802 section 3. */
static int compute(struct scram *s, const struct challenge *c, const struct buf *salt, const char *message,
	unsigned char proof[HASH], struct err *err)
{
	unsigned char salted[HASH], client_key[HASH], stored[HASH], signature[HASH], server_key[HASH];
	unsigned size = HASH;
	size_t n = strlen(message);
	bool fine = PKCS5_PBKDF2_HMAC(secret_bytes(s->password), (int)secret_len(s->password),
			    (const unsigned char *)salt->data, (int)salt->len, (int)c->iterations, EVP_sha256(), HASH,
			    salted) == 1 &&
		    !hmac(salted, HASH, "Client Key", 10, client_key) &&
		    EVP_Digest(client_key, HASH, stored, &size, EVP_sha256(), NULL) == 1 &&
		    !hmac(stored, HASH, message, n, signature) && !hmac(salted, HASH, "Server Key", 10, server_key) &&
		    !hmac(server_key, HASH, message, n, s->signature);

	for (size_t i = 0; fine && i < HASH; i++)
		proof[i] = client_key[i] ^ signature[i];
	secret_wipe(salted, sizeof salted);
	secret_wipe(client_key, sizeof client_key);
	secret_wipe(stored, sizeof stored);
	secret_wipe(server_key, sizeof server_key);
	return fine ? 0 : err_set(err, ERR_INTERNAL, "SCRAM could not be computed");
}

int scram_prove(struct scram *s, const char *server_first, size_t n, struct buf *out, struct err *err)
{
	struct challenge c;
	struct buf salt, without_proof, message;
	unsigned char proof[HASH];
	int result = -1;

	buf_init(&salt, SALT_MAX);
	buf_init(&without_proof, MESSAGE_MAX);
	buf_init(&message, 4 * MESSAGE_MAX);
	if (n > MESSAGE_MAX) {
		err_set(err, ERR_PROTOCOL, "the server's SCRAM challenge is too long");
		goto out;
	}
	if (parse_challenge(server_first, n, &c, err) || base64_decode(&salt, c.salt, c.salt_n, err))
		goto out;
	/* It must go on from our nonce, or somebody replays an old exchange. */
	if (c.nonce_n <= strlen(s->nonce) || memcmp(c.nonce, s->nonce, strlen(s->nonce)) ||
		memchr(server_first, 0, n) || !salt.len) {
		err_set(err, ERR_PROTOCOL, "the server's SCRAM challenge does not belong to this sign-in");
		goto out;
	}
	if (buf_add_str(&without_proof, "c=", err) || base64_encode(&without_proof, s->gs2, strlen(s->gs2), err) ||
		buf_printf(&without_proof, err, ",r=%.*s", (int)c.nonce_n, c.nonce) ||
		buf_printf(&message, err, "%s,%.*s,%s", s->bare, (int)n, server_first, buf_str(&without_proof)) ||
		compute(s, &c, &salt, buf_str(&message), proof, err) ||
		buf_printf(out, err, "%s,p=", buf_str(&without_proof)) || base64_encode(out, proof, HASH, err))
		goto out;
	s->proved = true;
	result = 0;
out:
	buf_done(&salt);
	buf_done(&without_proof);
	buf_done(&message);
	return result;
}

int scram_verify(const struct scram *s, const char *server_final, size_t n, struct err *err)
{
	struct buf signature;
	int result = -1;

	if (n >= 2 && !memcmp(server_final, "e=", 2)) {
		err_set(err, ERR_CREDENTIALS, "the server refused the sign-in");
		err_server(err, server_final + 2, n - 2);
		return -1;
	}
	if (!s->proved || n < 3 || memcmp(server_final, "v=", 2))
		return err_set(err, ERR_PROTOCOL, "the server's last SCRAM message is malformed");
	const char *comma = memchr(server_final, ',', n);
	buf_init(&signature, HASH);
	if (base64_decode(&signature, server_final + 2, (comma ? (size_t)(comma - server_final) : n) - 2, err))
		err_set(err, ERR_PROTOCOL, "the server's last SCRAM message is malformed");
	else if (signature.len != HASH || CRYPTO_memcmp(signature.data, s->signature, HASH))
		err_set(err, ERR_PROTOCOL,
			"the server could not prove that it knows the password: it may not be the real one");
	else
		result = 0;
	buf_done(&signature);
	return result;
}

void scram_free(struct scram **s)
{
	if (!*s)
		return;
	free((*s)->gs2);
	free((*s)->bare);
	free((*s)->nonce);
	secret_free(&(*s)->password);
	secret_wipe(*s, sizeof **s);
	free(*s);
	*s = NULL;
}
