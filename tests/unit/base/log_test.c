#include "engine/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/log_test.XXXXXX";
static char text[20000];

/* What the log holds now, without the time of the first line; the file is emptied. */
static const char *content(void)
{
	FILE *f = fopen(path, "r");
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	assert_int_equal(truncate(path, 0), 0);
	return n > 21 ? text + 21 : text;
}

static void test_lines(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	assert_int_equal(log_init(path, LOG_INFO, false, &e), 0);
	log_line(LOG_DEBUG, "not wanted");
	assert_false(log_wants(LOG_DEBUG));
	assert_string_equal(content(), "");
	log_line(LOG_WARN, "a\n%s\x1b[0m", "caf\xc3\xa9");
	assert_string_equal(content(), "warning a caf\xc3\xa9 [0m\n");
	err_set(&e, ERR_LOST, "gone");
	err_server(&e, "BYE", 3);
	log_err(LOG_ERROR, &e, "mailbox %d", 1);
	assert_string_equal(content(), "error   mailbox 1: gone: the server said \"BYE\"\n");
	char big[9000];
	memset(big, 'b', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_line(LOG_INFO, "%s", big);
	const char *line = content();
	assert_true(strlen(line) > 4000 && strlen(line) < 5000);
	assert_int_equal(line[strlen(line) - 1], '\n');
	log_done();
}

static void test_json(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	assert_int_equal(log_init(path, LOG_DEBUG, true, &e), 0);
	err_set(&e, ERR_QUOTA, "full");
	err_hint(&e, "buy");
	log_err(LOG_DEBUG, &e, "say \"%s\" \\ \xff", "caf\xc3\xa9");
	const char *line = content();
	assert_non_null(strstr(line, ",\"level\":\"debug\",\"text\":\"say \\\"caf\xc3\xa9\\\" \\\\ ?\","
				     "\"kind\":\"quota\",\"error\":\"full\",\"hint\":\"buy\"}\n"));
	char big[9000];
	memset(big, '"', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_line(LOG_INFO, "%s", big);
	line = content();
	size_t n = strlen(line);
	assert_memory_equal(line + n - 3, "\"}\n", 3);
	log_done();
	assert_int_equal(log_init("/nonexistent/log", LOG_INFO, false, &e), -1);
	assert_int_equal(e.kind, ERR_DISK);
}

static int make_file(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int drop_file(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_json)};
	return cmocka_run_group_tests(tests, make_file, drop_file);
}
