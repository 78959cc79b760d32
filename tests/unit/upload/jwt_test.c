#include "upload/jwt.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOW ((int64_t)1700000000)

static struct secret *pem_of(EVP_PKEY *key, X509 *x, bool encrypted)
{
	BIO *b = BIO_new(BIO_s_mem());
	unsigned char pass[] = "x";
	char *data;
	if (x)
		PEM_write_bio_X509(b, x);
	else
		PEM_write_bio_PrivateKey(b, key, encrypted ? EVP_aes_128_cbc() : NULL, encrypted ? pass : NULL,
			encrypted ? 1 : 0, NULL, NULL);
	long n = BIO_get_mem_data(b, &data);
	struct secret *s = secret_new(data, (size_t)n);
	BIO_free(b);
	return s;
}

static X509 *certificate(EVP_PKEY *key, int64_t until)
{
	X509 *x = X509_new();
	time_t zero = 0;
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_time_adj(X509_getm_notBefore(x), (long)(until - 10 * 86400), &zero);
	X509_time_adj(X509_getm_notAfter(x), (long)until, &zero);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"t", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, key);
	X509_sign(x, key, EVP_sha256());
	return x;
}

/* base64url without padding; returns the length. */
static size_t decode(const char *in, size_t n, unsigned char *out)
{
	char text[4096] = {0};
	for (size_t i = 0; i < n; i++)
		text[i] = in[i] == '-' ? '+' : in[i] == '_' ? '/' : in[i];
	size_t padded = n;
	while (padded % 4)
		text[padded++] = '=';
	int len = EVP_DecodeBlock(out, (const unsigned char *)text, (int)padded);
	assert_true(len >= 0);
	return (size_t)len - (padded - n);
}

static json_t *segment(const char *at, size_t n)
{
	unsigned char text[4096];
	json_t *j = json_loadb((const char *)text, decode(at, n, text), 0, NULL);
	assert_non_null(j);
	return j;
}

static const char *text_of(json_t *j, const char *name)
{
	return json_string_value(json_object_get(j, name));
}
static int64_t number_of(json_t *j, const char *name)
{
	return json_integer_value(json_object_get(j, name));
}

static void test_assertion(void **state)
{
	(void)state;
	EVP_PKEY *key = EVP_RSA_gen(2048);
	X509 *x = certificate(key, NOW + 86400);
	struct secret *key_pem = pem_of(key, NULL, false), *x_pem = pem_of(NULL, x, false), *a = NULL, *b = NULL;
	struct jwt_key *k = NULL;
	struct err e = ERR_INIT;
	assert_int_equal(jwt_key_new(&k, x_pem, key_pem, NOW, &e), 0);
	assert_int_equal(jwt_assertion(k, "client\"1", "https://login/t/token", NOW, &a, &e), 0);
	assert_int_equal(jwt_assertion(k, "client\"1", "https://login/t/token", NOW, &b, &e), 0);
	const char *text = secret_bytes(a), *dot = strchr(text, '.'), *dot2 = strchr(dot + 1, '.');
	assert_null(strpbrk(text, "+/= \n"));
	json_t *head = segment(text, (size_t)(dot - text)), *claims = segment(dot + 1, (size_t)(dot2 - dot - 1));
	json_t *other = segment(strchr(secret_bytes(b), '.') + 1, (size_t)(dot2 - dot - 1));
	assert_string_equal(text_of(head, "alg"), "PS256");
	assert_string_equal(text_of(head, "typ"), "JWT");
	unsigned char sha[32], stated[64];
	unsigned n = 0;
	X509_digest(x, EVP_sha256(), sha, &n);
	assert_int_equal(decode(text_of(head, "x5t#S256"), strlen(text_of(head, "x5t#S256")), stated), 32);
	assert_memory_equal(sha, stated, 32);
	assert_string_equal(text_of(claims, "aud"), "https://login/t/token");
	assert_string_equal(text_of(claims, "iss"), "client\"1");
	assert_string_equal(text_of(claims, "sub"), "client\"1");
	assert_int_equal(strlen(text_of(claims, "jti")), 36);
	assert_string_not_equal(text_of(claims, "jti"), text_of(other, "jti"));
	assert_true(number_of(claims, "nbf") <= NOW);
	assert_int_equal(number_of(claims, "iat"), NOW);
	int64_t life = number_of(claims, "exp") - NOW;
	assert_true(life >= 300 && life <= 600 && number_of(claims, "exp") - number_of(claims, "nbf") <= 600);
	/* the signature, by the public key alone */
	unsigned char signature[1024];
	size_t len = decode(dot2 + 1, strlen(dot2 + 1), signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *options;
	EVP_DigestVerifyInit(ctx, &options, EVP_sha256(), NULL, key);
	EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
	EVP_PKEY_CTX_set_rsa_pss_saltlen(options, 32);
	assert_int_equal(EVP_DigestVerify(ctx, signature, len, (const unsigned char *)text, (size_t)(dot2 - text)), 1);
	EVP_MD_CTX_free(ctx);
	json_decref(head);
	json_decref(claims);
	json_decref(other);
	secret_free(&a);
	secret_free(&b);
	secret_free(&key_pem);
	secret_free(&x_pem);
	jwt_key_free(&k);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void refused(const struct secret *x_pem, const struct secret *key_pem, const char *text)
{
	struct jwt_key *k = NULL;
	struct err e = ERR_INIT;
	assert_int_equal(jwt_key_new(&k, x_pem, key_pem, NOW, &e), -1);
	assert_null(k);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_non_null(strstr(e.text, text));
}

static void test_refused(void **state)
{
	(void)state;
	EVP_PKEY *key = EVP_RSA_gen(2048), *other = EVP_RSA_gen(2048), *small = EVP_RSA_gen(1024),
		 *curve = EVP_EC_gen("P-256");
	X509 *x = certificate(key, NOW + 86400), *old = certificate(key, NOW - 1);
	struct secret *key_pem = pem_of(key, NULL, false), *x_pem = pem_of(NULL, x, false),
		      *old_pem = pem_of(NULL, old, false);
	struct secret *locked = pem_of(key, NULL, true), *other_pem = pem_of(other, NULL, false),
		      *small_pem = pem_of(small, NULL, false);
	struct secret *curve_pem = pem_of(curve, NULL, false), *junk = secret_new("junk", 4);
	refused(x_pem, locked, "cannot be read");
	refused(x_pem, junk, "cannot be read");
	refused(x_pem, small_pem, "2048");
	refused(x_pem, curve_pem, "RSA");
	refused(x_pem, other_pem, "belong together");
	refused(junk, key_pem, "not PEM");
	refused(key_pem, key_pem, "not PEM");
	refused(old_pem, key_pem, "expired");
	struct secret *all[] = {key_pem, x_pem, old_pem, locked, other_pem, small_pem, curve_pem, junk};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		secret_free(&all[i]);
	X509_free(x);
	X509_free(old);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	EVP_PKEY_free(small);
	EVP_PKEY_free(curve);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_assertion), cmocka_unit_test(test_refused)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
