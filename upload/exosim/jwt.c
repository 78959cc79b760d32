#include "upload/exosim/jwt.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define TOKEN_MAX ((size_t)64 * 1024)

char *jwt_encode_plain(const void *data, size_t n)
{
	char *out = malloc(4 * ((n + 2) / 3) + 1);

	assert(out && n < 1 << 28);
	EVP_EncodeBlock((unsigned char *)out, data, (int)n);
	return out;
}

char *jwt_encode(const void *data, size_t n)
{
	char *out = jwt_encode_plain(data, n);
	size_t len = strlen(out);

	while (len && out[len - 1] == '=')
		out[--len] = '\0';
	for (size_t i = 0; i < len; i++)
		out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
	return out;
}

unsigned char *jwt_decode_plain(const char *text, size_t len, size_t *n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t pad = 0;
	unsigned char *out;
	int got;

	if (len % 4 || len > 1 << 28)
		return NULL;
	while (pad < 2 && pad < len && text[len - pad - 1] == '=')
		pad++;
	for (size_t i = 0; i < len - pad; i++)
		if (!text[i] || !strchr(digits, text[i]))
			return NULL;
	out = malloc(len / 4 * 3 + 1);
	assert(out);
	got = len ? EVP_DecodeBlock(out, (const unsigned char *)text, (int)len) : 0;
	if (got < 0) {
		free(out);
		return NULL;
	}
	*n = (size_t)got - pad;
	out[*n] = '\0';
	return out;
}

unsigned char *jwt_decode(const char *text, size_t len, size_t *n)
{
	char *plain;
	unsigned char *out;
	size_t full = (len + 3) / 4 * 4;

	if (len > TOKEN_MAX || len % 4 == 1)
		return NULL;
	plain = malloc(full + 1);
	assert(plain);
	for (size_t i = 0; i < full; i++) {
		char c = i < len ? text[i] : '=';

		plain[i] = c == '-' ? '+' : c == '_' ? '/' : (c == '+' || c == '/' || (c == '=' && i < len)) ? '!' : c;
	}
	out = jwt_decode_plain(plain, full, n);
	free(plain);
	return out;
}

void jwt_random(void *to, size_t n)
{
	int ok = RAND_bytes(to, (int)n);

	assert(ok == 1);
}

void jwt_key_make(struct jwt_key *key)
{
	jwt_random(key->bytes, sizeof(key->bytes));
}

void jwt_guid(char *out, size_t size)
{
	unsigned char b[16];

	jwt_random(b, sizeof(b));
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	snprintf(out, size, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
		b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static char *mac_text(const char *text, size_t n, const struct jwt_key *key)
{
	unsigned char mac[32];
	unsigned len = sizeof(mac);

	HMAC(EVP_sha256(), key->bytes, sizeof(key->bytes), (const unsigned char *)text, n, mac, &len);
	return jwt_encode(mac, len);
}

char *jwt_sign(const json_t *claims, const struct jwt_key *key)
{
	static const char header[] = "{\"typ\":\"JWT\",\"alg\":\"HS256\"}";
	char *json = json_dumps(claims, JSON_COMPACT), *head = jwt_encode(header, sizeof(header) - 1), *body, *mac,
	     *out;
	size_t n;

	assert(json);
	body = jwt_encode(json, strlen(json));
	n = strlen(head) + strlen(body) + 64;
	out = malloc(n);
	assert(out);
	snprintf(out, n, "%s.%s", head, body);
	mac = mac_text(out, strlen(out), key);
	snprintf(out + strlen(out), n - strlen(out), ".%s", mac);
	free(json);
	free(head);
	free(body);
	free(mac);
	return out;
}

static json_t *json_part(const char *text, size_t len)
{
	size_t n;
	unsigned char *raw = jwt_decode(text, len, &n);
	json_t *j = raw ? json_loadb((char *)raw, n, JSON_REJECT_DUPLICATES, NULL) : NULL;

	free(raw);
	if (j && !json_is_object(j)) {
		json_decref(j);
		j = NULL;
	}
	return j;
}

/* The two dots; false unless there are exactly two. */
static bool find_dots(const char *token, const char **first, const char **second)
{
	if (strlen(token) > TOKEN_MAX)
		return false;
	*first = strchr(token, '.');
	*second = *first ? strchr(*first + 1, '.') : NULL;
	return *second && !strchr(*second + 1, '.');
}

json_t *jwt_open(const char *token, const struct jwt_key *key)
{
	const char *a, *b;
	char *mac;
	bool same;

	if (!find_dots(token, &a, &b))
		return NULL;
	mac = mac_text(token, (size_t)(b - token), key);
	same = strlen(mac) == strlen(b + 1) && CRYPTO_memcmp(mac, b + 1, strlen(mac)) == 0;
	free(mac);
	return same ? json_part(a + 1, (size_t)(b - a - 1)) : NULL;
}

int jwt_split(const char *token, json_t **header, json_t **claims)
{
	const char *a, *b;

	*header = *claims = NULL;
	if (!find_dots(token, &a, &b))
		return -1;
	*header = json_part(token, (size_t)(a - token));
	*claims = json_part(a + 1, (size_t)(b - a - 1));
	if (*header && *claims)
		return 0;
	json_decref(*header);
	json_decref(*claims);
	*header = *claims = NULL;
	return -1;
}

static X509 *load_certificate(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return x;
}

bool jwt_ps256_valid(const char *token, const char *certificate_pem)
{
	const char *a, *b;
	X509 *x = load_certificate(certificate_pem);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL; /* belongs to md */
	unsigned char *sig = NULL;
	size_t n = 0;
	bool ok = false;

	if (x && md && find_dots(token, &a, &b) && (sig = jwt_decode(b + 1, strlen(b + 1), &n)) != NULL)
		ok = EVP_DigestVerifyInit(md, &pctx, EVP_sha256(), NULL, X509_get0_pubkey(x)) == 1 &&
		     EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1 &&
		     EVP_PKEY_CTX_set_rsa_mgf1_md(pctx, EVP_sha256()) == 1 &&
		     EVP_DigestVerify(md, sig, n, (const unsigned char *)token, (size_t)(b - token)) == 1;
	free(sig);
	EVP_MD_CTX_free(md);
	X509_free(x);
	ERR_clear_error();
	return ok;
}

char *jwt_thumbprint(const char *certificate_pem)
{
	X509 *x = load_certificate(certificate_pem);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	char *out = NULL;

	if (x && X509_digest(x, EVP_sha256(), digest, &n) == 1)
		out = jwt_encode(digest, n);
	X509_free(x);
	return out;
}
