#include "imap/map_exchange.h"

#include "imap/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 24 };

/* Names at the top, "*" in front: shown with the special-use of its role; expected: sent, drafts, deleted, junk, archive; NULL: not known. */
struct row {
	const char *what;
	const char *names[MOST];
	const char *expected[5];
};

#define GERMAN \
	"Archiv", "Aufgaben", "Entwürfe", "Gelöschte Elemente", "Gesendete Elemente", "INBOX", "Junk-E-Mail", \
		"Kalender", "Kontakte"
#define IN_GERMAN \
	{ \
		"Gesendete Elemente", "Entwürfe", "Gelöschte Elemente", "Junk-E-Mail", "Archiv" \
	}
#define ENGLISH \
	"Archive", "Calendar", "Contacts", "Deleted Items", "Drafts", "INBOX", "Junk Email", "Sent Items", "Tasks"
#define IN_ENGLISH \
	{ \
		"Sent Items", "Drafts", "Deleted Items", "Junk Email", "Archive" \
	}

static const struct row rows[] = {
	{"German", {GERMAN}, IN_GERMAN},
	{"English twins in a German one",
		{"Sent Items", "Drafts", "Deleted Items", "Junk Email", "Archive", "Sent", GERMAN}, IN_GERMAN},
	{"English", {ENGLISH}, IN_ENGLISH},
	{"German twins in an English one",
		{"Gesendete Elemente", "Entwürfe", "Gelöschte Elemente", "Junk-E-Mail", "Archiv", ENGLISH}, IN_ENGLISH},
	{"a person's own Sent, Trash, Spam and Archives",
		{"Archives", "Sent", "Spam", "Trash", "INBOX", "Calendar", "Contacts", "Deleted Items", "Drafts",
			"Junk Email", "Sent Items"},
		{"Sent Items", "Drafts", "Deleted Items", "Junk Email", NULL}},
	{"a name that the table lacks", {"INBOX", "Kalender", "Gesendete Elemente", "Spamverdacht"},
		{"Gesendete Elemente", NULL, NULL, "Spamverdacht", NULL}},
	{"two of them", {"INBOX", "Kalender", "Gesendete Elemente", "Spamverdacht", "Spam"},
		{"Gesendete Elemente", NULL, NULL, NULL, NULL}},
	{"no language of ours", {"INBOX", "Odeslaná pošta", "Sent", "Kalendář"}, {NULL, NULL, NULL, NULL, NULL}},
	{"special-use is shown", {"INBOX", "Calendar", "Contacts", "*Sent", "Sent Items"},
		{"Sent", NULL, NULL, NULL, NULL}},
	{"nothing", {NULL}, {NULL, NULL, NULL, NULL, NULL}},
	{"Japanese", {"INBOX", "下書き", "予定表", "削除済みアイテム", "迷惑メール", "送信済みアイテム", "Sent Items"},
		{"送信済みアイテム", "下書き", "削除済みアイテム", "迷惑メール", NULL}},
	{"of Portugal", {"INBOX", "Itens Eliminados", "Itens Enviados", "Rascunhos", "Contactos", "E-mail de Lixo"},
		{"Itens Enviados", "Rascunhos", "Itens Eliminados", "E-mail de Lixo", NULL}},
	{"below another folder", {"INBOX", "Kalender", "Old|Gesendete Elemente", "Old|Entwürfe"},
		{NULL, NULL, NULL, NULL, NULL}},
};

static void check(const struct row *r)
{
	static const enum folder_role roles[] = {ROLE_SENT, ROLE_DRAFTS, ROLE_TRASH, ROLE_JUNK, ROLE_ARCHIVE};
	struct folder v[MOST] = {{0}};
	char *parts[MOST][2] = {{0}};
	struct folder_list list = {.v = v};
	long found[ROLE_ARCHIVE + 1];
	for (; r->names[list.n]; list.n++) {
		const char *name = r->names[list.n], *bar = strchr(name, '|');
		bool is_shown = *name == '*';
		name += is_shown;
		parts[list.n][0] = bar ? strndup(name, (size_t)(bar - name)) : strdup(name);
		parts[list.n][1] = bar ? strdup(bar + 1) : NULL;
		v[list.n] = (struct folder){.parts = parts[list.n],
			.n_parts = bar ? 2 : 1,
			.separator = '/',
			.can_select = true,
			.role = bar ? ROLE_NONE : map_role_by_name(name),
			.role_by_attribute = is_shown};
	}
	map_exchange_find(&list, found);
	assert_int_equal(found[ROLE_NONE], -1);
	assert_int_equal(found[ROLE_INBOX], -1);
	for (size_t i = 0; i < 5; i++) {
		long at = found[roles[i]];
		const char *name = at < 0 ? "(none)" : v[at].parts[0],
			   *expected = r->expected[i] ? r->expected[i] : "(none)";
		if (strcmp(name, expected) != 0)
			fail_msg("%s: %s is found for %s, not %s", r->what, name, map_role_name(roles[i]), expected);
	}
	for (size_t i = 0; i < list.n; i++) {
		free(parts[i][0]);
		free(parts[i][1]);
	}
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
