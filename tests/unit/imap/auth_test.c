#include "imap/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ALL .scram_sha_256 = true, .plain = true, .login = true, .may_send_clear = true

static const struct {
	enum auth_method wanted;
	struct auth_offer offer;
	struct auth_need need;
	int way; /* -1: refused with */
	enum err_kind kind;
} cases[] = {
	{AUTH_ANY, {ALL}, {true, false, true}, AUTH_WAY_SCRAM_SHA_256, ERR_NONE},
	{AUTH_ANY, {.plain = true, .login = true, .may_send_clear = true}, {true, false, true}, AUTH_WAY_PLAIN,
		ERR_NONE},
	{AUTH_ANY, {.login = true, .may_send_clear = true}, {true, false, true}, AUTH_WAY_LOGIN_COMMAND, ERR_NONE},
	{AUTH_ANY, {.login = true, .login_disabled = true, .may_send_clear = true}, {true, false, true},
		AUTH_WAY_SASL_LOGIN, ERR_NONE},
	{AUTH_ANY, {.may_send_clear = true}, {true, false, true}, AUTH_WAY_LOGIN_COMMAND, ERR_NONE},
	{AUTH_ANY, {.may_send_clear = true}, {false, false, true}, AUTH_WAY_LOGIN_COMMAND, ERR_NONE},
	{AUTH_ANY, {.may_send_clear = true}, {true, true, true}, -1, ERR_CREDENTIALS},
	{AUTH_ANY, {.xoauth2 = true, .login_disabled = true, .may_send_clear = true}, {true, false, true}, -1,
		ERR_CREDENTIALS},
	/* never in the clear by itself; a proof is not the password */
	{AUTH_ANY, {.plain = true}, {true, false, true}, -1, ERR_TLS},
	{AUTH_ANY, {.scram_sha_256 = true, .plain = true}, {true, false, true}, AUTH_WAY_SCRAM_SHA_256, ERR_NONE},
	{AUTH_PLAIN, {.plain = true}, {true, false, true}, -1, ERR_TLS},
	{AUTH_LOGIN, {.plain = true}, {true, false, true}, -1, ERR_TLS},
	{AUTH_XOAUTH2, {.xoauth2 = true}, {true, false, true}, -1, ERR_TLS},
	{AUTH_XOAUTH2, {.may_send_clear = true}, {true, true, true}, AUTH_WAY_XOAUTH2, ERR_NONE},
	{AUTH_SCRAM_SHA_256, {.plain = true, .may_send_clear = true}, {true, false, true}, -1, ERR_CREDENTIALS},
	{AUTH_LOGIN, {ALL}, {true, false, true}, AUTH_WAY_LOGIN_COMMAND, ERR_NONE},
	{AUTH_LOGIN, {ALL}, {false, false, true}, AUTH_WAY_PLAIN, ERR_NONE},
	{AUTH_LOGIN, {.login_disabled = true, .may_send_clear = true}, {true, false, true}, -1, ERR_CREDENTIALS},
	{AUTH_PLAIN, {ALL}, {true, true, true}, AUTH_WAY_PLAIN, ERR_NONE},
	/* SASLprep would change the password: no bet on a form where PLAIN need not bet, and no PLAIN in the clear */
	{AUTH_ANY, {ALL}, {false, false, false}, AUTH_WAY_SCRAM_SHA_256, ERR_NONE},
	{AUTH_ANY, {ALL, .is_encrypted = true}, {false, false, true}, AUTH_WAY_SCRAM_SHA_256, ERR_NONE},
	{AUTH_ANY, {ALL, .is_encrypted = true}, {false, false, false}, AUTH_WAY_PLAIN, ERR_NONE},
	{AUTH_ANY, {.scram_sha_256 = true, .may_send_clear = true, .is_encrypted = true}, {false, false, false},
		AUTH_WAY_SCRAM_SHA_256, ERR_NONE},
	{AUTH_SCRAM_SHA_256, {ALL, .is_encrypted = true}, {false, false, false}, AUTH_WAY_SCRAM_SHA_256, ERR_NONE},
};

static void test_choose(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		enum auth_way way = AUTH_WAY_PLAIN;
		int failed = auth_choose(cases[i].wanted, &cases[i].offer, &cases[i].need, &way, &err);
		if (failed != (cases[i].way < 0 ? -1 : 0) || err.kind != cases[i].kind ||
			(!failed && (int)way != cases[i].way))
			fail_msg("case %zu: %d, %s, %s", i, failed, err_kind_name(err.kind), auth_way_name(way));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_choose)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
