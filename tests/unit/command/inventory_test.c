#include "engine/command/inventory_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD \
	"EmailAddress,UserPrincipalName,ObjectId,Type,ProxyAddresses,Licensed,QuotaBytes,UsedBytes,ImapEnabled," \
	"MaxReceiveSizeBytes,LitigationHold,RetentionHold,RecoverableItemsQuotaBytes,RecoverableItemsUsedBytes," \
	"ArchiveStatus\n"

static struct inventory *parse_n(const char *text, size_t n)
{
	struct inventory *i = NULL;
	struct err err = ERR_INIT;
	if (inventory_parse(&i, text, n, &err))
		fail_msg("%s", err.text);
	return i;
}

static struct inventory *parse(const char *text)
{
	return parse_n(text, strlen(text));
}

static void test_sizes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t size;
	} good[] = {{"50 GB (53,687,091,200 bytes)", 53687091200}, {"53687091200", 53687091200},
		{"53,687,091,200", 53687091200}, {"53.687.091.200", 53687091200},
		{"49,5 GB (53.150.220.288 Bytes)", 53150220288}, {"Unlimited", INVENTORY_UNLIMITED},
		{"", INVENTORY_UNKNOWN}, {"36 MB", 36 * 1048576}, {"1.5 KB", 1536}, {"1,5 KB", 1536},
		{"1,234 MB", 1234 * (uint64_t)1048576}, {"0 B (0 bytes)", 0}, {"0", 0}, {"12 bytes", 12},
		{"35 MB (36,700,160 bytes)", 36700160},
		{"1\xe2\x80\xaf"
		 "024",
			1024} /* a narrow blank between groups */};
	static const char *const bad[] = {"many", "-5", "5 XB", "5 GB (x bytes)", "1.2.3 MB", "99999999999999999999999",
		"5 GB (5", "GB", "9e9 GB", "999999999999 TB"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		uint64_t n = 7;
		if (!inventory_parse_size(good[i].text, &n) || n != good[i].size)
			fail_msg("\"%s\" is %llu", good[i].text, (unsigned long long)n);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint64_t n;
		if (inventory_parse_size(bad[i], &n))
			fail_msg("\"%s\" was taken as %llu", bad[i], (unsigned long long)n);
	}
}

static void test_as_powershell_writes_it(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"\"EmailAddress\",\"Type\",\"ProxyAddresses\",\"Licensed\",\"QuotaBytes\"\r\n"
		"\"ann@x.example\",\"UserMailbox\",\"SMTP:ann@x.example smtp:Old.Name@x.example x500:/o=Org "
		"SIP:s@x.example\",\"True\","
		"\"50 GB (53,687,091,200 bytes)\"\r\n",
		"\xef\xbb\xbf#TYPE Selected.Mailbox\r\nEmailAddress;Type;ProxyAddresses;Licensed;QuotaBytes;Other\r\n"
		"ann@x.example;UserMailbox;SMTP:ann@x.example|smtp:old.name@x.example;Wahr;53687091200;what\r\n\r\n",
		"sep=;\nemailaddress;TYPE;proxyaddresses;licensed;quotabytes\nANN@X.example;UserMailbox;{smtp:old.name@"
		"x.example};1;"
		"53687091200\n"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct inventory *v = parse(texts[i]);
		bool alias = true;
		const struct inventory_row *r = inventory_find(v, "Ann@x.EXAMPLE", &alias);
		assert_int_equal(inventory_count(v), 1);
		assert_non_null(r);
		assert_false(alias);
		assert_string_equal(r->type, "UserMailbox");
		assert_int_equal(r->licensed, TRUTH_YES);
		assert_true(r->quota == 53687091200);
		assert_true(r->used == INVENTORY_UNKNOWN);
		assert_int_equal(r->imap_enabled, TRUTH_UNKNOWN);
		assert_ptr_equal(inventory_find(v, "old.name@x.example", &alias), r);
		assert_true(alias);
		assert_null(inventory_find(v, "s@x.example", &alias)); /* of another kind */
		assert_null(inventory_find(v, "", &alias));
		inventory_free(&v);
	}
}

/* An address that is also the principal name or a proxy of another mailbox is the mailbox whose own it is. */
static void test_own_address_first(void **state)
{
	(void)state;
	struct inventory *v = parse("EmailAddress,UserPrincipalName,ProxyAddresses\na@x,c@x,c@x\nb@x,c@x,\nc@x,b@x,\n");
	bool alias = true;
	assert_string_equal(inventory_find(v, "c@x", &alias)->address, "c@x");
	assert_false(alias);
	assert_string_equal(inventory_find(v, "b@x", &alias)->address, "b@x");
	inventory_free(&v);
}

static void test_utf16(void **state)
{
	(void)state;
	static const char ascii[] = "EmailAddress,Type\r\nann@x.example,UserMailbox\r\n";
	char text[2 * sizeof ascii + 2];
	for (int big = 0; big < 2; big++) {
		size_t n = 0;
		text[n++] = big ? '\xfe' : '\xff';
		text[n++] = big ? '\xff' : '\xfe';
		for (const char *p = ascii; *p; p++) {
			text[n++] = big ? '\0' : *p;
			text[n++] = big ? *p : '\0';
		}
		struct inventory *v = parse_n(text, n);
		bool alias;
		assert_non_null(inventory_find(v, "ann@x.example", &alias));
		inventory_free(&v);
	}
}

static void test_what_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} rows[] = {{"", "empty"}, {"Type\nUserMailbox\n", "EmailAddress"}, {"EmailAddress\n", "no mailbox"},
		{"EmailAddress,EmailAddress\na@b,c@d\n", "twice"},
		{"EmailAddress,Licensed\na@b,perhaps\n", "line 2, Licensed"},
		{"EmailAddress,QuotaBytes\na@b,1\nc@d,lots\n", "line 3, QuotaBytes"},
		{"EmailAddress\na@b,c\n", "more fields"}, {"EmailAddress\n\"a@b\n", "quotation"},
		{"EmailAddress\n\"a\tb@c\"\n", "control"}, {"#TYPE", "empty"}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct inventory *v = NULL;
		struct err err = ERR_INIT;
		assert_int_equal(inventory_parse(&v, rows[i].text, strlen(rows[i].text), &err), -1);
		assert_null(v);
		if (err.kind != ERR_USAGE || !strstr(err.text, rows[i].says))
			fail_msg("row %zu: %s", i, err.text);
	}
	struct inventory *v = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(inventory_parse(&v, "EmailAddress\na\0b@c\n", 19, &err), -1);
	assert_non_null(strstr(err.text, "NUL"));
}

/* --- the checks --- */

static bool has(const struct assessment *a, const char *kind, enum finding_weight w, const char *remedy)
{
	for (size_t i = 0; i < a->n_findings; i++)
		if (!strcmp(a->findings[i].kind, kind) && a->findings[i].weight == w &&
			strstr(a->findings[i].remedy, remedy))
			return true;
	return false;
}

static void test_checks(void **state)
{
	(void)state;
	static const char text[] =
		HEAD "ok@x.example,ok@x.example,1,UserMailbox,smtp:also@x.example,True,107374182400,0,True,157286400,"
		     "False,True,,,None\n"
		     "full@x.example,,2,UserMailbox,,True,53687091200,50000000000,True,,False,True,,,\n"
		     "tight@x.example,,3,UserMailbox,,True,11000000000,0,True,,False,True,,,\n"
		     "noimap@x.example,,4,UserMailbox,,True,,,False,,False,True,,,\n"
		     "bare@x.example,,5,UserMailbox,,False,,,True,,False,True,,,\n"
		     "shared@x.example,,6,SharedMailbox,,False,,,True,,False,True,,,\n"
		     "guest@x.example,,7,GuestMailUser,,,,,,,,,,,\n"
		     "room@x.example,,8,RoomMailbox,,,,,,,,,,,\n"
		     "small@x.example,,9,UserMailbox,,True,,,True,36700160,False,True,,,\n"
		     "held@x.example,,10,UserMailbox,,True,,,True,,True,True,107374182400,100000000000,\n"
		     "o'held@x.example,,11,UserMailbox,,True,,,True,,True,False,107374182400,1000,\n";
	static const struct {
		const char *address, *kind; /* NULL: nothing is found */
		enum finding_weight weight;
		const char *remedy;
	} rows[] = {{"ok@x.example", NULL, 0, ""}, {"also@x.example", "inventory-alias", FINDING_NOTE, ""},
		{"nobody@x.example", "inventory-missing", FINDING_PROBLEM, "New-Mailbox"},
		{"full@x.example", "inventory-room", FINDING_PROBLEM,
			"Set-Mailbox 'full@x.example' -ProhibitSendReceiveQuota"},
		{"tight@x.example", "inventory-room", FINDING_NOTE, ""},
		{"noimap@x.example", "inventory-imap", FINDING_PROBLEM,
			"Set-CASMailbox 'noimap@x.example' -ImapEnabled $true"},
		{"bare@x.example", "inventory-licence", FINDING_PROBLEM, "Set-MgUserLicense -UserId 'bare@x.example'"},
		{"shared@x.example", NULL, 0, ""}, {"guest@x.example", "inventory-type", FINDING_PROBLEM, ""},
		{"room@x.example", "inventory-type", FINDING_NOTE, "-Type Shared"},
		{"small@x.example", "inventory-message-size", FINDING_LEFT_OUT, "-MaxReceiveSize 150MB"},
		{"held@x.example", "inventory-recoverable-items", FINDING_PROBLEM,
			"Enable-Mailbox 'held@x.example' -Archive"},
		{"o'held@x.example", "inventory-hold", FINDING_NOTE, ""},
		{"o'held@x.example", "inventory-retention", FINDING_NOTE,
			"Set-Mailbox 'o''held@x.example' -RetentionHoldEnabled"}};
	struct inventory *v = parse(text);
	struct target_row t = {.kind = TARGET_EXCHANGE, .routes = "imap", .max_message_bytes = 157286400};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct user u = {0};
		struct assessment a = {.at = 1, .bytes = 9 * (uint64_t)1000000000, .largest = 40000000};
		snprintf(u.address, sizeof u.address, "%s", rows[i].address);
		inventory_check(v, &u, &t, &a);
		if (rows[i].kind ? !has(&a, rows[i].kind, rows[i].weight, rows[i].remedy) : a.n_findings > 0)
			fail_msg("%s: %zu findings, the first %s", rows[i].address, a.n_findings,
				a.n_findings ? a.findings[0].kind : "");
		assessment_done(&a);
	}
	/* an address stays data in what a person pastes, whatever quotation mark it holds */
	struct inventory *hostile = parse("EmailAddress,Licensed\na\xe2\x80\x99;calc@x,False\n");
	struct user h = {.address = "a\xe2\x80\x99;calc@x"};
	struct assessment found = {.at = 1};
	inventory_check(hostile, &h, &t, &found);
	assert_int_equal(found.n_findings, 1);
	assert_null(strstr(found.findings[0].remedy, "\xe2\x80\x99"));
	assessment_done(&found);
	inventory_free(&hostile);
	/* by Graph alone IMAP does not matter */
	struct target_row graph = {.kind = TARGET_EXCHANGE, .routes = "mime"};
	struct user u = {.address = "noimap@x.example"};
	struct assessment a = {.at = 1};
	inventory_check(v, &u, &graph, &a);
	assert_int_equal(a.n_findings, 0);
	inventory_free(&v);
}

static void test_one_mailbox_twice(void **state)
{
	(void)state;
	struct inventory *v = parse("EmailAddress,ProxyAddresses\na@x,smtp:b@x smtp:c@x\nd@x,\n");
	struct user users[5] = {
		{.address = "b@x"}, {.address = "d@x"}, {.address = "A@X"}, {.address = "no@x"}, {.address = "c@x"}};
	size_t other[5];
	struct err err = ERR_INIT;
	assert_int_equal(inventory_same(v, users, 5, other, &err), 0);
	assert_true(other[0] == 2 && other[2] == 0 && other[4] == 2);
	assert_true(other[1] == 5 && other[3] == 5);
	inventory_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_as_powershell_writes_it),
		cmocka_unit_test(test_own_address_first),
		cmocka_unit_test(test_utf16),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_one_mailbox_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
