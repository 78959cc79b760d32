#include "engine/base/option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct option_spec specs[] = {
	{"host", 'h', "HOST", "The server's name.", "Server"},
	{"port", 'p', "PORT", "The port.", NULL},
	{"password-file", 0, "FILE", "Where the password is; - reads standard input, which is long enough to wrap.",
		NULL},
	{"pass", 0, NULL, "Its name is the beginning of another.", "Output"},
	{"json", 'j', NULL, "For machines.", NULL},
	{"verbose", 'v', NULL, "More words.", NULL},
	{0},
};

/* The result as text: given options in order, then operands in brackets; or "error: ...". argv is split at
   blanks. */
static const char *parse(const char *line, char *out, size_t size)
{
	static char words[200];
	char *argv[20] = {NULL}, *save = NULL;
	int argc = 0;
	snprintf(words, sizeof(words), "cmd %s", line);
	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	struct options o;
	struct err e = ERR_INIT;
	size_t n = 0;
	out[0] = '\0';
	if (option_parse(&o, specs, argc, argv, &e) < 0) {
		assert_int_equal(e.kind, ERR_USAGE);
		snprintf(out, size, "error: %s", e.text);
	} else {
		for (size_t i = 0; i < o.n_given; i++)
			n += (size_t)snprintf(
				out + n, size - n, "%s=%s ", specs[o.given[i].spec].name, o.given[i].value);
		for (size_t i = 0; i < o.n_operands; i++)
			n += (size_t)snprintf(out + n, size - n, "[%s]", o.operands[i]);
		assert_null(o.operands[o.n_operands]);
	}
	option_done(&o);
	return out;
}

static void test_command_lines(void **state)
{
	(void)state;
	static const struct {
		const char *line, *result;
	} cases[] = {
		{"", ""},
		{"a b", "[a][b]"},
		{"--host=x a --port 3 b", "host=x port=3 [a][b]"},
		{"--host= a", "host= [a]"},
		{"-h x -pfoo -jv", "host=x port=foo json= verbose= "},
		{"-jvhx", "json= verbose= host=x "},
		{"-jh x", "json= host=x "},
		{"--ho x --j", "host=x json= "},
		{"--pass", "pass= "},
		{"--password x", "password-file=x "},
		{"--port --json", "port=--json "},
		{"-- --json -x", "[--json][-x]"},
		{"a - b", "[a][-][b]"},
		{"--host a --host b", "host=a host=b "},
		{"--p 1", "error: --p may be --port or --password-file"},
		{"--nope", "error: --nope: there is no such option"},
		{"--nope=secret", "error: --nope: there is no such option"},
		{"--=x", "error: --: there is no such option"},
		{"--json=secret", "error: --json: takes no value"},
		{"--host", "error: --host: needs a value"},
		{"-jh", "error: -h: needs a value"},
		{"-jq", "error: -q: there is no such option"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[300];
		assert_string_equal(parse(cases[i].line, out, sizeof(out)), cases[i].result);
	}
}

static void test_access(void **state)
{
	(void)state;
	char a0[] = "cmd", a1[] = "--host=a", a2[] = "-j", a3[] = "--host=b";
	char *argv[] = {a0, a1, a2, a3, NULL};
	struct options o;
	struct err e = ERR_INIT;
	assert_int_equal(option_parse(&o, specs, 4, argv, &e), 0);
	assert_string_equal(option_get(&o, "host"), "b");
	assert_int_equal(option_count(&o, "host"), 2);
	assert_string_equal(option_at(&o, "host", 0), "a");
	assert_null(option_at(&o, "host", 2));
	assert_null(option_get(&o, "port"));
	assert_true(option_is_given(&o, "json"));
	assert_false(option_is_given(&o, "verbose"));
	option_done(&o);
	assert_int_equal(option_parse(&o, specs, 0, NULL, &e), 0);
	option_done(&o);
}

static void test_help(void **state)
{
	(void)state;
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	option_help(f, "cmd [OPTION] X\ncmd Y", "Does\nthings.", specs);
	fclose(f);
	assert_string_equal(text, "Usage: cmd [OPTION] X\n"
				  "  or:  cmd Y\n"
				  "Does\nthings.\n"
				  "\nServer:\n"
				  "  -h, --host=HOST             The server's name.\n"
				  "  -p, --port=PORT             The port.\n"
				  "      --password-file=FILE    Where the password is; - reads standard input,\n"
				  "                              which is long enough to wrap.\n"
				  "\nOutput:\n"
				  "      --pass                  Its name is the beginning of another.\n"
				  "  -j, --json                  For machines.\n"
				  "  -v, --verbose               More words.\n");
	free(text);
}

static void test_values(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t size, ms, number; /* -1: refused */
	} cases[] = {
		{"0", 0, 0, -1},
		{"12", 12, 12000, 12},
		{"101", 101, 101000, -1},
		{"500k", 500000, -1, -1},
		{"2MB", 2000000, -1, -1},
		{"1GiB", 1 << 30, -1, -1},
		{"1.5GiB", 3 << 29, -1, -1},
		{"1.5 kb", 1500, -1, -1},
		{"2m", 2000000, 120000, -1},
		{"300ms", -1, 300, -1},
		{"5s", -1, 5000, -1},
		{"1.5h", -1, 5400000, -1},
		{"7d", -1, 604800000, -1},
		{"", -1, -1, -1},
		{"-1", -1, -1, -1},
		{"1e3", -1, -1, -1},
		{".5", -1, -1, -1},
		{"k", -1, -1, -1},
		{"9223372036854775807", INT64_MAX, -1, -1},
		{"9223372036854775808", -1, -1, -1},
		{"99999999999999999999999", -1, -1, -1},
		{"99999999t", -1, -1, -1},
		{"12.0", 12, 12000, -1},
		{"12kilobytes", -1, -1, -1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = ERR_INIT;
		uint64_t size = 0, number = 0;
		int64_t ms = 0;
		int rc = option_parse_size("--x", cases[i].text, &size, &e);
		assert_int_equal(rc < 0 ? -1 : (int64_t)size, cases[i].size);
		assert_true(rc == 0 || e.kind == ERR_USAGE);
		rc = option_parse_duration_ms("--x", cases[i].text, &ms, &e);
		assert_int_equal(rc < 0 ? -1 : ms, cases[i].ms);
		rc = option_parse_uint("--x", cases[i].text, 1, 100, &number, &e);
		assert_int_equal(rc < 0 ? -1 : (int64_t)number, cases[i].number);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_lines),
		cmocka_unit_test(test_access),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
