#include "upload/exosim/graph_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_paths(void **state)
{
	static const struct {
		const char *path;
		enum graph_path_fault fault;
		enum graph_node node;
		const char *folder, *message, *unknown;
	} rows[] = {{"/v1.0/users/a@b", PATH_GOOD, NODE_USER, NULL, NULL, NULL},
		{"/v1.0/users/a/settings/exchange", PATH_GOOD, NODE_SETTINGS, NULL, NULL, NULL},
		{"/v1.0/users/a/mailFolders", PATH_GOOD, NODE_FOLDERS, NULL, NULL, NULL},
		{"/v1.0/Users/a/mailfolders/inbox", PATH_GOOD, NODE_FOLDER, "inbox", NULL, NULL},
		{"/v1.0/users/a/mailFolders/X=/childFolders", PATH_GOOD, NODE_CHILDREN, "X=", NULL, NULL},
		{"/v1.0/users/a/mailFolders/X/messages", PATH_GOOD, NODE_MESSAGES, "X", NULL, NULL},
		{"/v1.0/users/a/messages", PATH_GOOD, NODE_MESSAGES, NULL, NULL, NULL},
		{"/beta/users/a/mailFolders/X/importMime", PATH_GOOD, NODE_IMPORT, "X", NULL, NULL},
		{"/v1.0/users/a/mailFolders/X/importMime", PATH_SEGMENT, NODE_FOLDER, "X", NULL, "importMime"},
		{"/v1.0/users/a/messages/M", PATH_GOOD, NODE_MESSAGE, NULL, "M", NULL},
		{"/v1.0/users/a/messages/M/$value", PATH_GOOD, NODE_VALUE, NULL, "M", NULL},
		{"/v1.0/users/a/messages/M/value", PATH_SEGMENT, NODE_VALUE, NULL, "M", "value"},
		{"/v1.0/users", PATH_SEGMENT, NODE_USER, NULL, NULL, "users"},
		{"/v1.0/me/messages", PATH_SEGMENT, NODE_USER, NULL, NULL, "me"},
		{"/v1.0/users/a/mailFolder", PATH_SEGMENT, NODE_USER, NULL, NULL, "mailFolder"},
		{"/v1.0/users/a/settings", PATH_SEGMENT, NODE_SETTINGS, NULL, NULL, "settings"},
		{"/v1.0/users/a/mailFolders/X/messages/M", PATH_SEGMENT, NODE_MESSAGES, "X", NULL, "M"},
		{"/v1.0/users//mailFolders", PATH_SEGMENT, NODE_USER, NULL, NULL, ""},
		{"/v1.0/users/a/", PATH_SEGMENT, NODE_USER, NULL, NULL, ""},
		{"/v1.0/a/b/c/d/e/f/g/h/i/j", PATH_SEGMENT, NODE_USER, NULL, NULL, ""},
		{"/v2.0/users/a", PATH_NOT_GRAPH, NODE_USER, NULL, NULL, NULL},
		{"", PATH_NOT_GRAPH, NODE_USER, NULL, NULL, NULL}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct graph_path p;

		if (graph_path_parse(&p, rows[i].path) != rows[i].fault ||
			(rows[i].fault == PATH_GOOD && p.node != rows[i].node) || !p.folder != !rows[i].folder ||
			(p.folder && strcmp(p.folder, rows[i].folder) != 0) || !p.message != !rows[i].message ||
			(p.message && strcmp(p.message, rows[i].message) != 0) || !p.unknown != !rows[i].unknown ||
			(p.unknown && strcmp(p.unknown, rows[i].unknown) != 0))
			fail_msg("%s", rows[i].path);
		graph_path_done(&p);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
