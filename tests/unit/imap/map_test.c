#include "imap/map.h"

#include "engine/base/utf8.h"
#include "imap/fold.h"
#include "imap/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum kind { PLAIN, ATTRIBUTE, NO_SELECT, NOT_MAIL, SHARED };

/* A folder of a test: its parts are separated by '|'. */
struct in {
	const char *parts;
	enum kind kind;
	enum folder_role role;
	const char *path; /* expected; NULL: not looked at */
	unsigned changes;
};

static void add_folder(struct folder_list *l, const char *parts, enum kind kind, enum folder_role role)
{
	struct folder *f = &l->v[l->n++];
	*f = (struct folder){.raw = strdup(parts),
		.name = strdup(parts),
		.role = role,
		.role_by_attribute = kind == ATTRIBUTE,
		.can_select = kind != NO_SELECT,
		.is_mail = kind != NOT_MAIL,
		.is_shared = kind == SHARED};
	f->parts = calloc(strlen(parts) + 1, sizeof(*f->parts));
	for (const char *p = parts;; p++) {
		size_t n = strcspn(p, "|");
		f->parts[f->n_parts++] = strndup(p, n);
		p += n;
		if (!*p)
			break;
	}
}

static void drop_folders(struct folder_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		for (size_t k = 0; k < l->v[i].n_parts; k++)
			free(l->v[i].parts[k]);
		free(l->v[i].parts);
		free(l->v[i].raw);
		free(l->v[i].name);
	}
	free(l->v);
}

/* in ends with an entry without parts. */
static void check(const struct map_rules *rules, const struct in *in)
{
	struct folder_list l = {.v = calloc(100, sizeof(*l.v))};
	struct mapping *m;
	struct err e = ERR_INIT;
	for (size_t i = 0; in[i].parts; i++)
		add_folder(&l, in[i].parts, in[i].kind, in[i].role);
	assert_int_equal(map_folders(&l, rules, &m, &e), 0);
	for (size_t i = 0; i < l.n; i++) {
		if (!in[i].path)
			continue;
		assert_string_equal(m[i].path, in[i].path);
		if (m[i].changes != in[i].changes)
			fail_msg("%s: changes %x, expected %x", in[i].parts, m[i].changes, in[i].changes);
		bool is_skipped = in[i].kind >= NO_SELECT || in[i].role == ROLE_ALL || in[i].role == ROLE_FLAGGED;
		assert_int_equal(m[i].skip, is_skipped);
		assert_int_equal(m[i].by_name, in[i].kind == NOT_MAIL);
		assert_int_equal(m[i].reason[0] != '\0', is_skipped || in[i].changes != 0);
	}
	map_done(&m, l.n);
	assert_null(m);
	map_done(&m, 0);
	drop_folders(&l);
}

static const struct map_rules exchange = {.exchange = true};
static const struct map_rules merging = {.exchange = true, .merge = true};

static void test_roles(void **state)
{
	(void)state;
	check(&exchange, (const struct in[]){{"INBOX", PLAIN, ROLE_INBOX, "INBOX", 0},
				 {"INBOX|Projects", PLAIN, ROLE_NONE, "INBOX/Projects", 0},
				 {"Sent", PLAIN, ROLE_SENT, "Sent", 0}, /* the attribute is surer */
				 {"Gesendete Objekte", ATTRIBUTE, ROLE_SENT, "Sent Items", MAP_ROLE},
				 {"Gesendete Objekte|2019", PLAIN, ROLE_NONE, "Sent Items/2019", MAP_ROLE},
				 {"Sent Items", PLAIN, ROLE_SENT, "Sent Items (2)", MAP_CASE},
				 {"Drafts", PLAIN, ROLE_DRAFTS, "Drafts", 0},
				 {"TRASH", PLAIN, ROLE_NONE, "Deleted Items", MAP_ROLE}, /* by name alone */
				 {"Work|Trash", PLAIN, ROLE_NONE, "Work/Trash", 0},
				 {"INBOX|Spam", PLAIN, ROLE_NONE, "Junk Email", MAP_ROLE},
				 {"INBOX|Work|Spam", PLAIN, ROLE_NONE, "INBOX/Work/Spam", 0},
				 {"Deep|er|Keep", ATTRIBUTE, ROLE_ARCHIVE, "Archive", MAP_ROLE},
				 {NULL, PLAIN, ROLE_NONE, NULL, 0}});
	check(&exchange,
		(const struct in[]){{"inbox", PLAIN, ROLE_INBOX, "INBOX", MAP_ROLE},
			{"INBOX", PLAIN, ROLE_INBOX, "INBOX (2)", MAP_CASE},
			{"archive", PLAIN, ROLE_NONE, "Archive", MAP_ROLE},
			{"INBOX|Sent", PLAIN, ROLE_NONE, "INBOX/Sent", 0}, /* the top-level one is surer */
			{"Sent Mail", PLAIN, ROLE_NONE, "Sent Items", MAP_ROLE}, {NULL, PLAIN, ROLE_NONE, NULL, 0}});
	check(&exchange, /* the very name is surer than another */
		(const struct in[]){{"Gesendet", PLAIN, ROLE_SENT, "Gesendet", 0},
			{"sent items", PLAIN, ROLE_SENT, "Sent Items", MAP_ROLE},
			{"Trash", PLAIN, ROLE_TRASH, "Deleted Items", MAP_ROLE}, {NULL, PLAIN, ROLE_NONE, NULL, 0}});
	check(&merging, (const struct in[]){{"Sent", ATTRIBUTE, ROLE_SENT, "Sent Items", MAP_ROLE},
				{"Sent|2019", PLAIN, ROLE_NONE, "Sent Items/2019", MAP_ROLE},
				{"Sent Items", PLAIN, ROLE_NONE, "Sent Items", 0},
				{"Sent Items|2019", PLAIN, ROLE_NONE, "Sent Items/2019 (2)", MAP_CASE},
				{"Gesendet", PLAIN, ROLE_NONE, "Sent Items", MAP_ROLE},
				{"inbox", PLAIN, ROLE_INBOX, "INBOX", MAP_ROLE},
				{"Inbox", PLAIN, ROLE_INBOX, "Inbox (2)", MAP_CASE}, /* never merged */
				{NULL, PLAIN, ROLE_NONE, NULL, 0}});
	/* parents that are not listed, or hold no messages, lend their role to what is below */
	check(&exchange,
		(const struct in[]){{"Archives|2019", PLAIN, ROLE_NONE, "Archive/2019", MAP_ROLE},
			{"[Gmail]", NO_SELECT, ROLE_NONE, "[Gmail]", 0},
			{"[Gmail]|Sent Mail", ATTRIBUTE, ROLE_SENT, "Sent Items", MAP_ROLE},
			{"[Gmail]|Spam", PLAIN, ROLE_NONE, "Junk Email", MAP_ROLE},
			{"[Gmail]|All Mail", ATTRIBUTE, ROLE_ALL, "[Gmail]/All Mail", 0},
			{"[Gmail]|Starred", ATTRIBUTE, ROLE_FLAGGED, "[Gmail]/Starred", 0},
			{"Trash", SHARED, ROLE_TRASH, "Trash", 0}, {"Drafts", NO_SELECT, ROLE_NONE, "Drafts", 0},
			{"Calendar", NOT_MAIL, ROLE_NONE, "Calendar_", MAP_RESERVED},
			{NULL, PLAIN, ROLE_NONE, NULL, 0}});
}

static void test_names(void **state)
{
	(void)state;
	check(&exchange,
		(const struct in[]){{"a/b", PLAIN, ROLE_NONE, "a_b (3)", MAP_SLASH | MAP_CASE},
			{"a_b", PLAIN, ROLE_NONE, "a_b", 0}, /* who needs no change keeps the name */
			{"A_B", PLAIN, ROLE_NONE, "A_B (2)", MAP_CASE}, {" lead", PLAIN, ROLE_NONE, "lead", MAP_TRIM},
			{"trail \t", PLAIN, ROLE_NONE, "trail", MAP_TRIM},
			{"\xc2\xa0", PLAIN, ROLE_NONE, "_", MAP_TRIM}, {"x||y", PLAIN, ROLE_NONE, "x/_/y", MAP_TRIM},
			{"x|\xe2\x80\x8b", PLAIN, ROLE_NONE, "x/_ (2)", MAP_CONTROL | MAP_CASE}, /* zero width only */
			{"bell\x07", PLAIN, ROLE_NONE, "bell_", MAP_CONTROL},
			{"bad\xff"
			 "utf",
				PLAIN, ROLE_NONE, "bad_utf", MAP_CONTROL},
			{"csi\xc2\x9b", PLAIN, ROLE_NONE, "csi_", MAP_CONTROL},
			{"Files", PLAIN, ROLE_NONE, "Files_", MAP_RESERVED},
			{"x|FILES", PLAIN, ROLE_NONE, "x/FILES_", MAP_RESERVED},
			{"Outbox", PLAIN, ROLE_NONE, "Outbox_", MAP_RESERVED},
			{"x|Outbox", PLAIN, ROLE_NONE, "x/Outbox", 0}, {"..", PLAIN, ROLE_NONE, ".._", MAP_RESERVED},
			{"\xc3\x84"
			 "pfel",
				PLAIN, ROLE_NONE,
				"\xc3\x84"
				"pfel",
				0},
			{"A\xcc\x88"
			 "PFEL",
				PLAIN, ROLE_NONE,
				"A\xcc\x88"
				"PFEL (2)",
				MAP_CASE}, /* decomposed */
			{"\xd0\x96", PLAIN, ROLE_NONE, "\xd0\x96", 0},
			{"\xd0\xb6", PLAIN, ROLE_NONE, "\xd0\xb6 (2)", MAP_CASE}, {NULL, PLAIN, ROLE_NONE, NULL, 0}});
	/* below a folder that was changed, and the skipped gives way */
	check(&exchange, (const struct in[]){{"p/q", PLAIN, ROLE_NONE, "p_q", MAP_SLASH},
				 {"s\xef\x80\xaft", PLAIN, ROLE_NONE, "s_t", MAP_SLASH},
				 {"p/q|r", PLAIN, ROLE_NONE, "p_q/r", MAP_SLASH},
				 {"name", NO_SELECT, ROLE_NONE, "name (2)", MAP_CASE},
				 {"NAME", PLAIN, ROLE_NONE, "NAME", 0}, {NULL, PLAIN, ROLE_NONE, NULL, 0}});
}

static void test_long_names(void **state)
{
	(void)state;
	char longest[256], longer[257], wide[4 * 200 + 1], umlauts[2 * 150 + 1];
	memset(longest, 'n', sizeof(longest) - 1);
	longest[255] = '\0';
	memset(longer, 'n', sizeof(longer) - 1);
	longer[256] = '\0';
	for (int i = 0; i < 200; i++)
		memcpy(wide + (size_t)i * 4, "\xf0\x9f\x98\x80", 4); /* two UTF-16 units each */
	wide[800] = '\0';
	for (int i = 0; i < 150; i++)
		memcpy(umlauts + (size_t)i * 2, "\xc3\xa4", 2);
	umlauts[2 * 127] = '\0'; /* 254 octets in UTF-8, 341 in modified UTF-7 */
	struct folder_list l = {.v = calloc(10, sizeof(*l.v))};
	struct mapping *m;
	struct err e = ERR_INIT;
	add_folder(&l, longest, PLAIN, ROLE_NONE);
	add_folder(&l, longer, PLAIN, ROLE_NONE);
	add_folder(&l, wide, PLAIN, ROLE_NONE);
	longest[0] = 'N';
	add_folder(&l, longest, PLAIN, ROLE_NONE);
	add_folder(&l, umlauts, PLAIN, ROLE_NONE);
	assert_int_equal(map_folders(&l, &exchange, &m, &e), 0);
	assert_int_equal(m[0].changes, 0);
	assert_int_equal(strlen(m[1].path), 255);
	assert_string_equal(m[1].path + 246, "~342aaaf5");
	assert_int_equal(m[1].changes, MAP_LENGTH);
	assert_int_equal(strlen(m[2].path), 61 * 4 + 9);
	assert_true(utf8_is_valid(m[2].path, strlen(m[2].path)));
	assert_int_equal(strlen(m[3].path), 255);
	assert_string_equal(m[3].path + 251, " (2)");
	assert_int_equal(m[4].changes, 0);
	map_done(&m, l.n);
	/* elsewhere a name is a file's name, in modified UTF-7 */
	const struct map_rules generic = {.separator = '.'};
	assert_int_equal(map_folders(&l, &generic, &m, &e), 0);
	for (size_t i = 0; i < l.n; i++) {
		char *encoded;
		assert_int_equal(m[i].changes & MAP_LENGTH, i == 0 || i == 3 ? 0 : MAP_LENGTH);
		assert_int_equal(name_encode(m[i].path, &encoded, &e), 0);
		assert_in_range(strlen(encoded), 245, 255);
		free(encoded);
	}
	map_done(&m, l.n);
	drop_folders(&l);
}

static void test_depth(void **state)
{
	(void)state;
	char deep[2 * 400 + 1];
	for (size_t i = 0; i < 400; i++)
		memcpy(deep + 2 * i, "d|", 2);
	deep[799] = '\0';
	struct folder_list l = {.v = calloc(10, sizeof(*l.v))};
	struct mapping *m;
	struct err e = ERR_INIT;
	add_folder(&l, deep, PLAIN, ROLE_NONE);
	deep[797] = '_'; /* the last two parts in one: the same once it is flat */
	add_folder(&l, deep, PLAIN, ROLE_NONE);
	assert_int_equal(map_folders(&l, &exchange, &m, &e), 0);
	size_t slashes = 0;
	for (const char *p = m[0].path; *p; p++)
		slashes += *p == '/';
	assert_int_equal(slashes, 299);
	assert_int_equal(m[0].changes, MAP_DEPTH);
	assert_string_not_equal(m[0].path, m[1].path);
	map_done(&m, l.n);
	drop_folders(&l);
}

static void test_generic(void **state)
{
	(void)state;
	const char *names[ROLE_FLAGGED + 1] = {[ROLE_SENT] = "[Gmail]/Sent Mail", [ROLE_TRASH] = "Papierkorb"};
	const struct map_rules dots = {.separator = '.', .well_known = names}, plain = {.separator = '/'};
	check(&dots, (const struct in[]){{"INBOX", PLAIN, ROLE_INBOX, "INBOX", 0},
			     {"Sent", ATTRIBUTE, ROLE_SENT, "[Gmail]/Sent Mail", MAP_ROLE},
			     {"[Gmail]", PLAIN, ROLE_NONE, "[Gmail]", 0},
			     {"[Gmail]|Sent Mail", PLAIN, ROLE_NONE, "[Gmail]/Sent Mail (2)", MAP_CASE},
			     {"Trash", PLAIN, ROLE_TRASH, "Papierkorb", MAP_ROLE},
			     {"Junk", PLAIN, ROLE_JUNK, "Junk", 0}, {"v1.2", PLAIN, ROLE_NONE, "v1_2", MAP_SLASH},
			     {"a/b", PLAIN, ROLE_NONE, "a_b", MAP_SLASH}, {"Foo", PLAIN, ROLE_NONE, "Foo", 0},
			     {"foo", PLAIN, ROLE_NONE, "foo", 0}, /* case matters on such a host */
			     {"Files", PLAIN, ROLE_NONE, "Files", 0},
			     {"Inbox ", PLAIN, ROLE_NONE, "Inbox (2)", MAP_TRIM | MAP_CASE},
			     {NULL, PLAIN, ROLE_NONE, NULL, 0}});
	check(&plain, (const struct in[]){{"Sent", ATTRIBUTE, ROLE_SENT, "Sent", 0},
			      {"v1.2", PLAIN, ROLE_NONE, "v1.2", 0}, {NULL, PLAIN, ROLE_NONE, NULL, 0}});
}

static void test_names_of_hosts(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum folder_role role;
	} cases[] = {{"inbox", ROLE_INBOX}, {"sent", ROLE_SENT}, {"sent-mail", ROLE_SENT}, {"Sent_Items", ROLE_SENT},
		{" SENT  ITEMS ", ROLE_SENT}, {"Gesendete Objekte", ROLE_SENT}, {"GELÖSCHTE ELEMENTE", ROLE_TRASH},
		{"Entwürfe", ROLE_DRAFTS}, {"Entwu\xcc\x88rfe", ROLE_DRAFTS}, {"ÉLÉMENTS SUPPRIMÉS", ROLE_TRASH},
		{"Courrier indésirable", ROLE_JUNK}, {"Correo no deseado", ROLE_JUNK}, {"Bozze", ROLE_DRAFTS},
		{"Lixeira", ROLE_TRASH}, {"Concepten", ROLE_DRAFTS}, {"Wysłane", ROLE_SENT}, {"WYSŁANE", ROLE_SENT},
		{"ОТПРАВЛЕННЫЕ", ROLE_SENT}, {"Корзина", ROLE_TRASH}, {"GÖNDERİLMİŞ ÖĞELER", ROLE_SENT},
		{"Arşiv", ROLE_ARCHIVE}, {"المسودات", ROLE_DRAFTS}, {"بھیجے گئے", ROLE_SENT}, {"已发送", ROLE_SENT},
		{"寄件備份", ROLE_SENT}, {"垃圾郵件", ROLE_JUNK}, {"ゴミ箱", ROLE_TRASH}, {"迷惑メール", ROLE_JUNK},
		{"コ\xe3\x82\x99ミ箱", ROLE_TRASH}, {"Junk E-mail", ROLE_JUNK}, {"Archives", ROLE_ARCHIVE},
		{"Bin", ROLE_NONE}, {"Sent to Bob", ROLE_NONE}, {"", ROLE_NONE}, {"\xff\xfe", ROLE_NONE}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (map_role_by_name(cases[i].name) != cases[i].role)
			fail_msg("%s is taken for %s", cases[i].name, map_role_name(map_role_by_name(cases[i].name)));
		assert_false(map_is_not_mail(cases[i].name));
	}
	static const char *const not_mail[] = {"Calendar", "KALENDER", "Contacts", "Tâches", "Notas", "Contatti",
		"Taken", "Zadania", "Задачи", "Görevler", "التقويم", "کیلنڈر", "日历", "連絡人", "予定表"};
	for (size_t i = 0; i < sizeof(not_mail) / sizeof(not_mail[0]); i++) {
		assert_true(map_is_not_mail(not_mail[i]));
		assert_int_equal(map_role_by_name(not_mail[i]), ROLE_NONE);
	}
	assert_false(map_is_not_mail("Calendar of events"));
}

static unsigned next_random(unsigned *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 16 & 0x7fff;
}

/* Names that collide in every way there is. */
static void random_list(struct folder_list *l, unsigned *seed)
{
	static const char *const words[] = {"a", "A", "a ", " a", "a (2)", "A (3)", "b/c", "b_c", "B_C", "", " ", "_",
		"INBOX", "Inbox", "Sent", "Sent Items", "sent items", "Drafts", "Files", "FILES_", "Archive", "Trash",
		"\xc3\xa9", "e\xcc\x81", "\xc3\x89", "\xff", "\x01", "[Gmail]", "Spam", "Junk Email", "a~",
		"\xe3\x82\xa2", "\xe3\x81\x82"};
	const unsigned n_words = sizeof(words) / sizeof(words[0]);
	*l = (struct folder_list){.v = calloc(80, sizeof(*l->v))};
	for (unsigned n = next_random(seed) % 80; l->n < n;) {
		char name[200] = "";
		size_t len = 0;
		for (unsigned d = next_random(seed) % 3 + 1; d > 0; d--)
			len += (size_t)snprintf(name + len, sizeof(name) - len, "%s%s",
				words[next_random(seed) % n_words], d > 1 ? "|" : "");
		unsigned kind = next_random(seed) % 12;
		add_folder(l, name, kind < NO_SELECT + 3 && kind > PLAIN ? (enum kind)(kind % 5) : PLAIN,
			kind == ATTRIBUTE ? (enum folder_role)(next_random(seed) % (ROLE_FLAGGED + 1)) : ROLE_NONE);
	}
}

static bool is_role_path(const char *path)
{
	for (int r = ROLE_INBOX; r <= ROLE_ARCHIVE; r++) {
		if (strcmp(path, map_role_name((enum folder_role)r)) == 0)
			return true;
	}
	return false;
}

static void check_properties(const struct folder_list *l, const struct map_rules *rules)
{
	struct mapping *m, *again;
	struct err e = ERR_INIT;
	assert_int_equal(map_folders(l, rules, &m, &e), 0);
	assert_int_equal(map_folders(l, rules, &again, &e), 0);
	char **keys = calloc(l->n + 1, sizeof(*keys));
	for (size_t i = 0; i < l->n; i++) {
		assert_string_equal(m[i].path, again[i].path);
		assert_int_equal(m[i].changes, again[i].changes);
		assert_true(m[i].path[0] != '\0' && m[i].path[0] != '/' && !strstr(m[i].path, "//"));
		assert_true(m[i].path[strlen(m[i].path) - 1] != '/');
		assert_true(utf8_is_valid(m[i].path, strlen(m[i].path)));
		if (m[i].changes == 0) {
			char joined[300] = "";
			size_t len = 0;
			for (size_t k = 0; k < l->v[i].n_parts; k++)
				len += (size_t)snprintf(
					joined + len, sizeof(joined) - len, "%s%s", k ? "/" : "", l->v[i].parts[k]);
			assert_string_equal(m[i].path, joined);
		}
		keys[i] = rules->exchange ? fold_name(m[i].path) : strdup(m[i].path);
		for (size_t k = 0; k < i; k++) {
			bool may_share = rules->merge && is_role_path(m[i].path) && strcmp(m[i].path, m[k].path) == 0;
			if (strcmp(keys[i], keys[k]) == 0 && !may_share)
				fail_msg("\"%s\" and \"%s\" share %s", l->v[i].name, l->v[k].name, m[i].path);
		}
	}
	for (size_t i = 0; i < l->n; i++)
		free(keys[i]);
	free(keys);
	map_done(&m, l->n);
	map_done(&again, l->n);
}

static void test_properties(void **state)
{
	(void)state;
	const struct map_rules generic = {.separator = '.'};
	unsigned seed = 1;
	for (int i = 0; i < 1500; i++) {
		struct folder_list l;
		random_list(&l, &seed);
		check_properties(&l, &exchange);
		check_properties(&l, &merging);
		check_properties(&l, &generic);
		drop_folders(&l);
	}
}

/* What has a place keeps it when others come that sort before it, or that would have had its name or its role. */
static void test_before(void **state)
{
	(void)state;
	static const struct {
		const char *parts, *before, *path;
		unsigned changes;
	} in[] = {{"INBOX", "INBOX", "INBOX", 0}, {"CASE", NULL, "CASE (3)", MAP_CASE},
		{"Case", NULL, "Case (4)", MAP_CASE}, {"Case|x", NULL, "Case (4)/x", MAP_CASE},
		{"case", "case", "case", 0}, {"case|new", NULL, "case/new", 0},
		{"caSe", "caSe (2)", "caSe (2)", MAP_CASE}, {"caSe|sub", NULL, "caSe (2)/sub", MAP_CASE},
		{"Sent", NULL, "Sent", 0}, /* not the one that is Exchange's already */
		{"Sent Messages", "Sent Items", "Sent Items", MAP_ROLE},
		{"Sent Messages|2019", NULL, "Sent Items/2019", MAP_ROLE},
		{"Trash", "Trash", "Trash", 0}, /* as it was, whoever is better by now */
		{"Deleted", NULL, "Deleted Items", MAP_ROLE}, {"Only a parent", NULL, "Only a parent (2)", MAP_CASE},
		{"Only a parent|child", "Only a parent (2)/child", "Only a parent (2)/child", MAP_CASE},
		{"Only a parent|kid", NULL, "Only a parent (2)/kid", MAP_CASE},
		{"only A Parent", "only A Parent", "only A Parent", 0},
		/* where a parent's name was mended, that is the reason, and nobody took it */
		{".|x", "._/x", "._/x", MAP_RESERVED}, {" lead|y", "lead/y", "lead/y", MAP_TRIM},
		{" taken|y", "taken (2)/y", "taken (2)/y", MAP_TRIM | MAP_CASE}};
	enum { N = sizeof(in) / sizeof(in[0]) };
	const char *before[N];
	struct folder_list l = {.v = calloc(N, sizeof(*l.v))};
	struct map_rules rules = {.exchange = true, .before = before};
	struct mapping *m;
	struct err e = ERR_INIT;
	for (size_t i = 0; i < N; i++) {
		add_folder(&l, in[i].parts, strcmp(in[i].parts, "Only a parent") ? PLAIN : NO_SELECT, ROLE_NONE);
		before[i] = in[i].before;
	}
	assert_int_equal(map_folders(&l, &rules, &m, &e), 0);
	for (size_t i = 0; i < N; i++) {
		assert_string_equal(m[i].path, in[i].path);
		if (m[i].changes != in[i].changes && strcmp(in[i].parts, "Only a parent"))
			fail_msg("%s: changes %x, expected %x", in[i].parts, m[i].changes, in[i].changes);
	}
	map_done(&m, l.n);
	drop_folders(&l);
}

/* As many folders as a hostile server may list, all with one name. */
static void test_many(void **state)
{
	(void)state;
	struct folder_list l = {.v = calloc(10000, sizeof(*l.v))};
	struct mapping *m;
	struct err e = ERR_INIT;
	for (int i = 0; i < 10000; i++)
		add_folder(&l, i % 2 ? "same" : "SAME ", PLAIN, ROLE_NONE);
	assert_int_equal(map_folders(&l, &exchange, &m, &e), 0);
	assert_string_equal(m[1].path, "same");
	assert_string_equal(m[9998].path, "SAME (10000)");
	map_done(&m, l.n);
	drop_folders(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_generic),
		cmocka_unit_test(test_names_of_hosts),
		cmocka_unit_test(test_properties),
		cmocka_unit_test(test_before),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
