#include "upload/jwt.h"

#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "upload/http.h"

#include <jansson.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define ASSERTION_LIFE_S 600
#define CLOCK_SLACK_S 60 /* nbf lies a little back, for a server whose clock is behind ours */
#define DOCUMENT_CAP ((size_t)64 * 1024)

struct jwt_key {
	EVP_PKEY *key;
	char thumbprint[48]; /* base64url of the SHA-256 of the DER certificate */
};

/* base64url without padding (RFC 7515 section 2). */
static int base64url_add(struct buf *b, const unsigned char *in, size_t n, struct err *err)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	for (size_t i = 0; i < n; i += 3) {
		unsigned long v = (unsigned long)in[i] << 16 | (i + 1 < n ? (unsigned long)in[i + 1] << 8 : 0) |
				  (i + 2 < n ? in[i + 2] : 0);
		char four[4] = {digits[v >> 18 & 63], digits[v >> 12 & 63], digits[v >> 6 & 63], digits[v & 63]};
		size_t left = n - i;
		if (buf_add(b, four, left >= 3 ? 4 : left + 1, err))
			return -1;
	}
	return 0;
}

/* An encrypted key must not make OpenSSL ask on the terminal. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
	(void)out, (void)size, (void)writing, (void)arg;
	return 0;
}

static int key_read(struct jwt_key *k, const struct secret *pem, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(secret_bytes(pem), (int)secret_len(pem));
	k->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	ERR_clear_error();
	if (!k->key) {
		err_set(err, ERR_USAGE, "the private key cannot be read");
		err_hint(err, "it must be PEM and not encrypted: openssl pkey -in key.pem -out plain.pem");
		return -1;
	}
	if (!EVP_PKEY_is_a(k->key, "RSA") || EVP_PKEY_get_bits(k->key) < 2048) {
		err_set(err, ERR_USAGE, "the private key is not an RSA key of 2048 bits or more");
		err_hint(err, "Entra ID takes RSA certificates: openssl req -x509 -newkey rsa:2048 -nodes "
			      "-keyout key.pem -out cert.pem");
		return -1;
	}
	return 0;
}

static int certificate_read(struct jwt_key *k, const struct secret *pem, int64_t now_s, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(secret_bytes(pem), (int)secret_len(pem));
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	time_t now = (time_t)now_s;
	struct buf text;
	int rc = -1;
	buf_init(&text, sizeof(k->thumbprint) - 1);
	if (!x) {
		err_set(err, ERR_USAGE, "the certificate is not PEM");
	} else if (X509_check_private_key(x, k->key) != 1) {
		err_set(err, ERR_USAGE, "the certificate and the private key do not belong together");
	} else if (X509_cmp_time(X509_get0_notAfter(x), &now) < 0) {
		err_set(err, ERR_USAGE, "the certificate has expired");
		err_hint(err, "make a new one, add it to the app registration, and set it on the target");
	} else if (X509_digest(x, EVP_sha256(), digest, &n) != 1) {
		err_set(err, ERR_INTERNAL, "the certificate's digest cannot be computed");
	} else if (base64url_add(&text, digest, n, err) == 0) {
		snprintf(k->thumbprint, sizeof(k->thumbprint), "%s", buf_str(&text));
		rc = 0;
	}
	buf_done(&text);
	X509_free(x);
	BIO_free(bio);
	ERR_clear_error();
	return rc;
}

int jwt_key_new(struct jwt_key **out, const struct secret *certificate_pem, const struct secret *private_key_pem,
	int64_t now_s, struct err *err)
{
	*out = NULL;
	struct jwt_key *k = calloc(1, sizeof(*k));
	if (!k)
		return err_set(err, ERR_MEMORY, "no memory for a key");
	if (key_read(k, private_key_pem, err) || certificate_read(k, certificate_pem, now_s, err)) {
		jwt_key_free(&k);
		return -1;
	}
	*out = k;
	return 0;
}

void jwt_key_free(struct jwt_key **k)
{
	if (!*k)
		return;
	EVP_PKEY_free((*k)->key);
	free(*k);
	*k = NULL;
}

/* Adds base64url(JSON), consuming the object. */
static int segment_add(struct buf *b, json_t *object, struct err *err)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	if (!text)
		return err_set(err, ERR_USAGE, "the client id is not valid UTF-8");
	int rc = base64url_add(b, (const unsigned char *)text, strlen(text), err);
	free(text);
	return rc;
}

/* RSASSA-PSS, SHA-256, MGF1 with SHA-256, salt as long as the digest (RFC 7518 section 3.5). */
static int sign(const struct jwt_key *k, const struct buf *text, unsigned char *out, size_t *n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *options = NULL;
	bool fine = ctx && EVP_DigestSignInit(ctx, &options, EVP_sha256(), NULL, k->key) == 1 &&
		    EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_rsa_mgf1_md(options, EVP_sha256()) == 1 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1 &&
		    EVP_DigestSign(ctx, out, n, (const unsigned char *)text->data, text->len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return fine ? 0 : -1;
}

int jwt_assertion(const struct jwt_key *k, const char *client_id, const char *audience, int64_t now_s,
	struct secret **out, struct err *err)
{
	*out = NULL;
	char jti[HTTP_GUID];
	unsigned char signature[2048];
	size_t n = sizeof(signature);
	struct buf b;
	int rc = -1;
	http_guid(jti);
	buf_init(&b, DOCUMENT_CAP);
	json_t *header = json_pack("{s:s,s:s,s:s}", "alg", "PS256", "typ", "JWT", "x5t#S256", k->thumbprint);
	json_t *claims = json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I}", "aud", audience, "iss", client_id, "sub", client_id,
		"jti", jti, "nbf", (json_int_t)(now_s - CLOCK_SLACK_S), "iat", (json_int_t)now_s, "exp",
		(json_int_t)(now_s + ASSERTION_LIFE_S - CLOCK_SLACK_S));
	bool packed = segment_add(&b, header, err) == 0 && buf_add_char(&b, '.', err) == 0;
	if (!packed) {
		json_decref(claims);
		goto out;
	}
	if (segment_add(&b, claims, err))
		goto out;
	if ((size_t)EVP_PKEY_get_size(k->key) > sizeof(signature) || sign(k, &b, signature, &n)) {
		err_set(err, ERR_USAGE, "the private key cannot sign");
		goto out;
	}
	if (buf_add_char(&b, '.', err) || base64url_add(&b, signature, n, err))
		goto out;
	*out = secret_new(b.data, b.len);
	rc = *out ? 0 : err_set(err, ERR_MEMORY, "no memory for an assertion");
out:
	if (b.data)
		secret_wipe(b.data, b.room);
	buf_done(&b);
	return rc;
}
