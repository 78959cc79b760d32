#include "imap/scram.h"

#include "imap/base64.h"
#include "imap/saslprep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* RFC 7677 section 3 */
#define NONCE "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SALT ",s=W22ZaJ0SNY7soEsUEjb6gQ=="

static struct secret *password;
static struct scram *s;
static struct buf out;
static struct err err;

static int setup(void **state)
{
	(void)state;
	err = ERR_INIT;
	password = secret_new("pencil", 6);
	buf_init(&out, 10000);
	return scram_new(&s, "user", NULL, password, NONCE, &err);
}

static int teardown(void **state)
{
	(void)state;
	scram_free(&s);
	buf_done(&out);
	secret_free(&password);
	return 0;
}

static void test_the_rfc_example(void **state)
{
	static const char first[] = "r=" SERVER_NONCE SALT ",i=4096",
			  final[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

	(void)state;
	assert_int_equal(scram_first(s, &out, &err), 0);
	assert_string_equal(buf_str(&out), "n,,n=user,r=" NONCE);
	buf_clear(&out);
	assert_int_equal(scram_prove(s, first, sizeof first - 1, &out, &err), 0);
	assert_string_equal(buf_str(&out), "c=biws,r=" SERVER_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
	assert_int_equal(scram_verify(s, final, sizeof final - 1, &err), 0);
	assert_int_equal(scram_verify(s, "v=AAriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", 46, &err), -1);
	assert_int_equal(err.kind, ERR_PROTOCOL);
	assert_int_equal(scram_verify(s, "e=invalid-proof", 15, &err), -1);
	assert_int_equal(err.kind, ERR_CREDENTIALS);
}

static void test_nothing_is_verified_before_the_proof(void **state)
{
	(void)state;
	assert_int_equal(scram_verify(s, "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 46, &err), -1);
}

static void test_refuses(void **state)
{
	static const char *const cases[] = {
		"",
		"r=",
		"r=" NONCE SALT ",i=4096" /* nothing added to our nonce */,
		"r=someone else's" SALT ",i=4096",
		"r=" SERVER_NONCE SALT ",i=0",
		"r=" SERVER_NONCE SALT ",i=1000001",
		"r=" SERVER_NONCE SALT ",i=99999999999999999999",
		"r=" SERVER_NONCE SALT ",i=-1",
		"r=" SERVER_NONCE SALT,
		"r=" SERVER_NONCE ",s=,i=4096",
		"r=" SERVER_NONCE ",s=*!*,i=4096",
		"m=ext,r=" SERVER_NONCE SALT ",i=4096",
		"r=" SERVER_NONCE ",i=4096,s=W22Z",
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(scram_prove(s, cases[i], strlen(cases[i]), &out, &err), -1);
		assert_int_equal(err.kind, ERR_PROTOCOL);
	}
}

static void test_names_are_escaped(void **state)
{
	struct scram *other;

	(void)state;
	assert_int_equal(scram_new(&other, "a,b=c", "box=1", password, "x", &err), 0);
	assert_int_equal(scram_first(other, &out, &err), 0);
	assert_string_equal(buf_str(&out), "n,a=box=3D1,n=a=2Cb=3Dc,r=x");
	scram_free(&other);
}

static void test_base64(void **state)
{
	static const struct {
		const char *plain, *coded;
	} cases[] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"\xff\xfe", "//4="},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		buf_clear(&out);
		assert_int_equal(base64_encode(&out, cases[i].plain, strlen(cases[i].plain), &err), 0);
		assert_string_equal(buf_str(&out), cases[i].coded);
		buf_clear(&out);
		assert_int_equal(base64_decode(&out, cases[i].coded, strlen(cases[i].coded), &err), 0);
		assert_string_equal(buf_str(&out), cases[i].plain);
	}
	assert_int_equal(base64_decode(&out, "a b", 3, &err), -1);
	assert_int_equal(base64_decode(&out, "a\0b", 3, &err), -1);
}

/* RFC 4013 section 3, and what must stay as it is. */
static void test_saslprep(void **state)
{
	static const struct {
		const char *text, *prepared;
	} cases[] = {{"user", "user"}, {"USER", "USER"}, {"I\xc2\xadX", "IX"}, {"\xc2\xaa", "a"},
		{"\xe2\x85\xa8", "IX"}, {"a\xcc\x88", "\xc3\xa4"}, {"\xc3\xa4", "\xc3\xa4"}, {"a\xc2\xa0z", "a z"},
		{"\xd8\xa7\x31", "\xd8\xa7\x31"}, {"\xe4 no UTF-8", "\xe4 no UTF-8"}, {"a\tb", "a\tb"}, {"", ""},
		{"\xc2\xad", "\xc2\xad"}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct secret *p = saslprep(cases[i].text, strlen(cases[i].text));
		assert_string_equal(secret_bytes(p), cases[i].prepared);
		secret_free(&p);
		assert_int_equal(saslprep_changes(cases[i].text, strlen(cases[i].text)),
			strcmp(cases[i].text, cases[i].prepared) != 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_saslprep),
		cmocka_unit_test_setup_teardown(test_the_rfc_example, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_is_verified_before_the_proof, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_are_escaped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_base64, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
