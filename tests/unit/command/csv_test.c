/* The CSV of migration users: what spreadsheets write, and every fault told with its line. */
#include "engine/command/csv.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int parse(const char *text, size_t n, bool need_password, struct csv_users *u, struct err *err)
{
	*err = ERR_INIT;
	return csv_parse(text, n, need_password, u, err);
}

static void test_forms(void **state)
{
	(void)state;
	static const struct {
		const char *text, *encoding;
		char separator;
	} rows[] = {
		{"EmailAddress,UserName,Password\na@x.pk,a,p w\nb@x.pk,b,q\n", "UTF-8", ','},
		{"EmailAddress,UserName,Password\r\na@x.pk,a,p w\r\nb@x.pk,b,q", "UTF-8", ','},
		{"EMAILADDRESS;username;Password\ra@x.pk;a;p w\rb@x.pk;b;q\r", "UTF-8", ';'},
		{"\xef\xbb\xbf"
		 "UserName,Password,EmailAddress\n\na,\"p w\",a@x.pk\n \nb,q,b@x.pk\n\n",
			"UTF-8 with BOM", ','},
		{"sep=;\r\nEmailAddress;UserName;Password;UserRoot\r\n a@x.pk ; a ;p "
		 "w;\r\nb@x.pk;b;q;/users/b\r\n",
			"UTF-8", ';'},
		{"EmailAddress,UserName,Password,\na@x.pk,a,p w,\nb@x.pk,b,q,\n", "UTF-8", ','},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct csv_users u;
		struct err err;
		if (parse(rows[i].text, strlen(rows[i].text), true, &u, &err) < 0)
			fail_msg("row %zu: %s", i, err.text);
		assert_int_equal(u.n, 2);
		assert_string_equal(u.users[0].address, "a@x.pk");
		assert_string_equal(u.users[0].source_user, "a");
		assert_string_equal(secret_bytes(u.passwords[0]), "p w");
		assert_string_equal(u.users[1].address, "b@x.pk");
		assert_int_equal(u.users[1].row, 2);
		assert_int_equal(u.separator, rows[i].separator);
		assert_string_equal(u.encoding, rows[i].encoding);
		csv_done(&u);
	}
}

static void test_quotes_and_ansi(void **state)
{
	(void)state;
	const char *text = "EmailAddress,UserName,Password\na@x.pk,\"dom/ad,\"\"x\"\"\", p;\"1 \n";
	struct csv_users u;
	struct err err;
	assert_int_equal(parse(text, strlen(text), true, &u, &err), 0);
	assert_string_equal(u.users[0].source_user, "dom/ad,\"x\"");
	assert_string_equal(secret_bytes(u.passwords[0]), " p;\"1 "); /* passwords keep their blanks */
	csv_done(&u);
	const char *ansi = "EmailAddress;UserName;Password\nm@x.de;M\xfcller;\x80uro\n";
	assert_int_equal(parse(ansi, strlen(ansi), true, &u, &err), 0);
	assert_string_equal(u.encoding, "Windows-1252");
	assert_string_equal(u.users[0].source_user, "M\xc3\xbcller");
	assert_string_equal(secret_bytes(u.passwords[0]), "\xe2\x82\xacuro");
	csv_done(&u);
	const char *none = "EmailAddress,UserName\na@x.pk,a\n"; /* administrator login: no passwords */
	assert_int_equal(parse(none, strlen(none), false, &u, &err), 0);
	assert_null(u.passwords[0]);
	csv_done(&u);
}

static void test_faults(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *says[4];
	} rows[] = {
		{"", {"empty"}},
		{"EmailAddress,UserName,Password\n", {"no user"}},
		{"EmailAddress,UserName,Passwort\na@x,a,b\n",
			{"line 1", "\"Passwort\" is unknown", "EmailAddress, UserName, Password, UserRoot"}},
		{"UserName,Password\na,b\n", {"EmailAddress is missing"}},
		{"EmailAddress,UserName\na@x,a\n", {"Password is missing"}},
		{"EmailAddress,UserName,Password,username\na@x,a,b,c\n", {"UserName is there twice"}},
		{"EmailAddress,UserName,Password\nnobody,a,p\na@x@y,a,p\na b@x,a,p\n",
			{"line 2, EmailAddress", "line 3, EmailAddress", "line 4"}},
		{"EmailAddress,UserName,Password\na@x.pk,,p\nb@x.pk,b,\n",
			{"line 2, UserName: is empty", "line 3, Password: is empty"}},
		{"EmailAddress,UserName,Password\na@x.pk,\"a\nb\",p\nb@x.pk,b,\"p\r\n\"\nc,c,c\n",
			{"line 2, UserName", "line 4, Password", "line 6"}},
		{"EmailAddress,UserName,Password\na@x.pk,a,p,q\n", {"line 2", "4 fields", "3 columns"}},
		{"EmailAddress,UserName,Password\na@x.pk,\"a,p\nb@x.pk,b,p\n", {"line 2", "never closed"}},
		{"EmailAddress,UserName,Password\na@x.pk,a,p\nB@x.pk,b,p\nA@X.PK,c,p\n", {"line 4", "line 2 already"}},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct csv_users u;
		struct err err;
		char line[2000];
		assert_int_equal(parse(rows[i].text, strlen(rows[i].text), true, &u, &err), -1);
		assert_int_equal(err.kind, ERR_USAGE);
		assert_null(u.users);
		err_line(&err, line, sizeof(line));
		for (size_t k = 0; k < 4 && rows[i].says[k]; k++) {
			if (!strstr(line, rows[i].says[k]))
				fail_msg("row %zu: \"%s\" is not in: %s", i, rows[i].says[k], line);
		}
	}
	/* in the order of the lines, whatever kind they are of and whenever they were found */
	struct csv_users u;
	struct err err;
	const char *mixed =
		"EmailAddress,UserName,Password\na@x.pk,a,p\nA@x.pk,b,p\nc@x.pk,,p\nC@x.pk,d,p\nbad,e,p\nbad,f,p\n";
	const char *order[] = {"5 faults: line 3, EmailAddress: \"A@x.pk\" is the destination of line 2",
		"; line 4, UserName", "; line 5, EmailAddress", "; line 6, EmailAddress",
		"; line 7, EmailAddress: \"bad\" is not an address"};
	assert_int_equal(parse(mixed, strlen(mixed), true, &u, &err), -1);
	const char *at = err.text;
	for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++) {
		at = strstr(at, order[k]);
		if (!at)
			fail_msg("\"%s\" is not in its place: %s", order[k], err.text);
	}
	assert_int_equal(parse("EmailAddress\0,UserName\n", 23, false, &u, &err), -1);
	assert_non_null(strstr(err.text, "NUL"));
	assert_int_equal(parse("\xff\xfe"
			       "E\0m\0",
				 6, false, &u, &err),
		-1);
	assert_non_null(strstr(err.text, "UTF-16"));
}

static char *many(size_t rows, size_t *n)
{
	struct buf b;
	struct err err = ERR_INIT;
	buf_init(&b, rows * 40 + 64);
	assert_int_equal(buf_add_str(&b, "EmailAddress,UserName,Password\n", &err), 0);
	for (size_t i = 0; i < rows; i++)
		assert_int_equal(buf_printf(&b, &err, "u%zu@x.pk,u%zu,p\n", i, i), 0);
	*n = b.len;
	return buf_take(&b);
}

static void test_limits(void **state)
{
	(void)state;
	struct csv_users u;
	struct err err;
	size_t n;
	char *text = many(50000, &n);
	assert_int_equal(parse(text, n, true, &u, &err), 0);
	assert_int_equal(u.n, 50000);
	csv_done(&u);
	free(text);
	text = many(50001, &n);
	assert_int_equal(parse(text, n, true, &u, &err), -1);
	assert_non_null(strstr(err.text, "50000"));
	free(text);
	/* forty faults: those of the first lines are told, and how many more there are */
	struct buf b;
	buf_init(&b, 10000);
	buf_add_str(&b, "EmailAddress,UserName,Password\n", &err);
	for (int i = 0; i < 40; i++)
		buf_add_str(&b, "x,y,z\n", &err);
	assert_int_equal(parse(b.data, b.len, true, &u, &err), -1);
	assert_non_null(strstr(err.text, "the CSV has 40 faults: line 2, "));
	unsigned told = 0;
	for (const char *at = strstr(err.text, "line "); at; at = strstr(at + 1, "line "))
		told++;
	for (const char *at = strstr(err.hint, "line "); at; at = strstr(at + 1, "line "))
		told++;
	char more[32];
	snprintf(more, sizeof(more), "and %u more", 40 - told);
	assert_true(told >= 10 && told <= 20);
	assert_non_null(strstr(err.hint, more));
	buf_done(&b);
}

static void test_passwords_stay_out_of_errors(void **state)
{
	(void)state;
	const char *text = "EmailAddress,UserName,Password\na@x.pk,a,s3cret\x01\nb,b,s3cret\n";
	struct csv_users u;
	struct err err;
	assert_int_equal(parse(text, strlen(text), true, &u, &err), -1);
	assert_null(strstr(err.text, "s3cret"));
	assert_null(strstr(err.hint, "s3cret"));
}

static void test_add_field(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} rows[] = {{"plain", "plain"}, {"", ""}, {"a,b", "\"a,b\""}, {"say \"x\"", "\"say \"\"x\"\"\""},
		{"=1+1", "'=1+1"}, {"+44", "'+44"}, {"-1", "'-1"}, {"@a", "'@a"}, {"\tx", "\"'\tx\""},
		{"\rx", "\"'\rx\""}, {"a\nb", "\"a\nb\""}, {"=a,b", "\"'=a,b\""}, {" lead", "\" lead\""},
		{"a;b", "\"a;b\""}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b;
		struct err err = ERR_INIT;
		char want[64];
		buf_init(&b, 64);
		assert_int_equal(csv_add_field(&b, "a", true, &err), 0);
		assert_int_equal(csv_add_field(&b, rows[i].in, false, &err), 0);
		snprintf(want, sizeof(want), "a,%s", rows[i].out);
		assert_string_equal(buf_str(&b), want);
		buf_done(&b);
	}
	struct buf b;
	struct err err = ERR_INIT;
	buf_init(&b, 4);
	assert_int_equal(csv_add_field(&b, "ab", true, &err), 0);
	assert_int_equal(csv_add_field(&b, "long", false, &err), -1);
	assert_string_equal(buf_str(&b), "ab");
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_quotes_and_ansi),
		cmocka_unit_test(test_faults), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_passwords_stay_out_of_errors), cmocka_unit_test(test_add_field)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
