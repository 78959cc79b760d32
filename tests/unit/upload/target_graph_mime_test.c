#define _GNU_SOURCE
#include "upload/target_graph_mime.h"

#include "imap/scan.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/upload/graph_world.h"

#define INBOX \
	{ \
		"/mailFolders/inbox?", 200, "{\"id\":\"IN\",\"displayName\":\"Posteingang\"}", NULL, THEN_KEEP, NULL, \
			0 \
	}
#define ANSWER(asked, status, body) \
	{ \
		asked, status, body, NULL, THEN_KEEP, NULL, 0 \
	}
#define ERROR(code) "{\"error\":{\"code\":\"" code "\",\"message\":\"words\"}}"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct graph_world *opened(struct stop *stop)
{
	static const struct step inbox[] = {INBOX};
	struct graph_world *w = world_new();
	struct err e = ERR_INIT;
	world_script(w, inbox, 1);
	if (target_graph_mime_ops.open(&w->target, &w->conf, world_gate(w, stop), stop, &e))
		fail_msg("%s", e.text);
	world_check(w);
	return w;
}

static struct mail *mail_of(const char *text, size_t n, unsigned flags, const char *keywords)
{
	struct mail *m = mail_new(7);
	struct scan *scan = scan_new();
	struct err e = ERR_INIT;
	m->flags = flags;
	free(m->keywords);
	m->keywords = strdup(keywords);
	assert_int_equal(spool_new(&m->body, "/tmp", n, &e), 0);
	assert_int_equal(spool_write(m->body, text, n, &e), 0);
	scan_feed(scan, text, n);
	assert_int_equal(scan_finish(scan, &m->print, &m->defects, &e), 0);
	scan_free(&scan);
	return m;
}

static const struct folder_ref folder = {
	.path = (char[]){"Box"}, .id = (char[]){"F1"}, .generation = (char[]){""}, .mark = (char[]){""}};

#define TEXT "Message-ID: <a@b>\r\nSubject: x\r\n\r\nx\r\n"
#define TEXT_BASE64 "TWVzc2FnZS1JRDogPGFAYj4NClN1YmplY3Q6IHgNCg0KeA0K"
#define MADE(more) "{\"id\":\"M1\",\"isDraft\":false,\"flag\":{\"flagStatus\":\"notFlagged\"}" more "}"

/* --- put: what each answer means --- */

static const struct {
	const char *what;
	struct step step;
	enum put_result result;
	enum err_kind kind;
} answers[] = {
	{"created", ANSWER(NULL, 201, MADE(",\"isRead\":false")), PUT_PLACED, ERR_NONE},
	{"created, and nobody knows as what", ANSWER(NULL, 201, "{}"), PUT_IN_DOUBT, ERR_PROTOCOL},
	{"created, no JSON", ANSWER(NULL, 201, "<html>"), PUT_IN_DOUBT, ERR_PROTOCOL},
	{"created, an id with a quote and a line end", ANSWER(NULL, 201, "{\"id\":\"a'\\nb\"}"), PUT_IN_DOUBT,
		ERR_PROTOCOL},
	{"200", ANSWER(NULL, 200, "{\"id\":\"M1\"}"), PUT_IN_DOUBT, ERR_PROTOCOL},
	{"202", ANSWER(NULL, 202, NULL), PUT_IN_DOUBT, ERR_PROTOCOL},
	{"a redirection", {NULL, 307, NULL, "Location: https://127.0.0.1:1/\r\n", THEN_KEEP, NULL, 0}, PUT_NOT_SENT,
		ERR_PROTOCOL},
	{"see other", {NULL, 303, NULL, "Location: https://127.0.0.1:1/\r\n", THEN_KEEP, NULL, 0}, PUT_IN_DOUBT,
		ERR_PROTOCOL},
	{"bad MIME", ANSWER(NULL, 400, ERROR("ErrorMimeContentInvalid")), PUT_REFUSED, ERR_MESSAGE},
	{"too big", ANSWER(NULL, 413, NULL), PUT_REFUSED, ERR_TOO_BIG},
	{"too big, in words",
		ANSWER(NULL, 400,
			"{\"error\":{\"code\":\"BadRequest\",\"message\":\"The maximum request length supported is "
			"4MB.\"}}"),
		PUT_REFUSED, ERR_TOO_BIG},
	{"no such route",
		ANSWER(NULL, 400,
			"{\"error\":{\"code\":\"BadRequest\",\"message\":\"Resource not found for the segment "
			"'importMime'.\"}}"),
		PUT_NOT_SENT, ERR_RIGHTS},
	{"no right", ANSWER(NULL, 403, ERROR("ErrorAccessDenied")), PUT_NOT_SENT, ERR_RIGHTS},
	{"folder gone", ANSWER(NULL, 404, ERROR("ErrorItemNotFound")), PUT_NOT_SENT, ERR_FOLDER},
	{"mailbox gone", ANSWER(NULL, 404, ERROR("MailboxNotEnabledForRESTAPI")), PUT_NOT_SENT, ERR_MAILBOX},
	{"quota", ANSWER(NULL, 507, ERROR("ErrorQuotaExceeded")), PUT_NOT_SENT, ERR_QUOTA},
	{"throttled", {NULL, 429, ERROR("ApplicationThrottled"), "Retry-After: 1\r\n", THEN_KEEP, NULL, 0},
		PUT_NOT_SENT, ERR_THROTTLED},
	{"busy, and says so", ANSWER(NULL, 503, ERROR("ErrorServerBusy")), PUT_NOT_SENT, ERR_BUSY},
	{"503 with nothing: a time-out in the middle", ANSWER(NULL, 503, NULL), PUT_IN_DOUBT, ERR_BUSY},
	{"500", ANSWER(NULL, 500, ERROR("ErrorInternalServerError")), PUT_IN_DOUBT, ERR_BUSY},
	{"502", ANSWER(NULL, 502, "<html>"), PUT_IN_DOUBT, ERR_BUSY},
	{"504", ANSWER(NULL, 504, ERROR("ErrorServerBusy")), PUT_IN_DOUBT, ERR_BUSY},
	{"dropped after the body", {NULL, 201, NULL, NULL, THEN_DROP, NULL, 0}, PUT_IN_DOUBT, ERR_LOST},
	{"the answer breaks off", {NULL, 201, MADE(""), NULL, THEN_CLOSE, NULL, 9}, PUT_IN_DOUBT, ERR_LOST},
};

static void test_put_answers(void **state)
{
	(void)state;
	struct graph_world *w = opened(NULL);
	struct mail *m = mail_of(TEXT, strlen(TEXT), 0, "");
	for (size_t i = 0; i < COUNT(answers); i++) {
		struct put_item item = {.mail = m};
		struct err e = ERR_INIT;
		world_script(w, &answers[i].step, 1);
		assert_int_equal(target_graph_mime_ops.put(w->target, &folder, &item, 1, &e), 0);
		if (item.result != answers[i].result || item.err.kind != answers[i].kind)
			fail_msg("%s: %d %s %s", answers[i].what, item.result, err_kind_name(item.err.kind),
				item.err.text);
		world_check(w);
		assert_non_null(strstr(
			w->last_head, "POST /beta/users/ann%40contoso.example/mailFolders/F1/importMime HTTP/1.1\r\n"));
		assert_non_null(strstr(w->last_head, "Content-Type: text/plain\r\n"));
		assert_string_equal(w->last_body, TEXT_BASE64);
		assert_string_equal(item.receipt.id, item.result == PUT_PLACED ? "M1" : "");
	}
	mail_free(&m);
	world_free(&w);
}

/* --- put: state --- */

static const struct {
	unsigned flags;
	const char *keywords, *path, *made, *patch; /* patch NULL: none is sent */
	const char *patched;
	enum err_kind kind;
} states[] = {
	{0, "", "importMime", MADE(",\"isRead\":false"), NULL, NULL, ERR_NONE},
	{MAIL_SEEN, "", "importMime", MADE(",\"isRead\":true"), NULL, NULL, ERR_NONE},
	{0, "", "importMime", MADE(",\"isRead\":true"), "{\"isRead\":false}", MADE(",\"isRead\":false"), ERR_NONE},
	{MAIL_SEEN | MAIL_ANSWERED, "", "importMime", MADE(",\"isRead\":false"), "{\"isRead\":true}",
		MADE(",\"isRead\":true"), ERR_NONE},
	{MAIL_FLAGGED, "$Label1 $MDNSent Work", "importMime", MADE(",\"isRead\":false"),
		"{\"flag\":{\"flagStatus\":\"flagged\"},\"categories\":[\"$Label1\",\"Work\"]}",
		"{\"id\":\"M1\",\"isRead\":false,\"flag\":{\"flagStatus\":\"flagged\"}}", ERR_NONE},
	{0, "$MDNSent", "importMime", MADE(",\"isRead\":false"), NULL, NULL, ERR_NONE},
	{MAIL_FLAGGED, "", "importMime", MADE(",\"isRead\":false"), "{\"flag\":{\"flagStatus\":\"flagged\"}}",
		MADE(",\"isRead\":false"), ERR_MESSAGE}, /* it did not stay */
	{MAIL_DRAFT | MAIL_SEEN, "", "messages", "{\"id\":\"M1\",\"isDraft\":true,\"isRead\":true}", NULL, NULL,
		ERR_NONE},
};

static void test_put_state(void **state)
{
	(void)state;
	struct graph_world *w = opened(NULL);
	for (size_t i = 0; i < COUNT(states); i++) {
		struct mail *m = mail_of(TEXT, strlen(TEXT), states[i].flags, states[i].keywords);
		struct put_item item = {.mail = m};
		struct err e = ERR_INIT;
		char path[100];
		snprintf(path, sizeof(path), "/mailFolders/F1/%s HTTP", states[i].path);
		const struct step steps[] = {ANSWER(path, 201, states[i].made),
			{"PATCH /v1.0/users/ann%40contoso.example/messages/M1 HTTP", 200, states[i].patched, NULL,
				THEN_KEEP, states[i].patch, 0}};
		world_script(w, steps, states[i].patch ? 2 : 1);
		assert_int_equal(target_graph_mime_ops.put(w->target, &folder, &item, 1, &e), 0);
		world_check(w);
		assert_int_equal(item.result, PUT_PLACED);
		assert_string_equal(item.receipt.route, "mime");
		assert_string_equal(item.receipt.id, "M1");
		if (item.err.kind != states[i].kind)
			fail_msg("%zu: %s %s", i, err_kind_name(item.err.kind), item.err.text);
		if (states[i].patch)
			assert_string_equal(w->last_body, states[i].patch);
		mail_free(&m);
	}
	world_free(&w);
}

/* The message is there whatever becomes of its state; what passes by is tried again. */
static void test_put_state_fails(void **state)
{
	(void)state;
	static const struct step passing[] = {ANSWER("importMime", 201, MADE(",\"isRead\":false")),
		ANSWER("PATCH", 503, NULL), ANSWER("PATCH", 200, MADE(",\"isRead\":true"))};
	static const struct step final[] = {
		ANSWER("importMime", 201, MADE(",\"isRead\":false")), ANSWER("PATCH", 403, ERROR("ErrorAccessDenied"))};
	struct graph_world *w = opened(NULL);
	struct mail *m = mail_of(TEXT, strlen(TEXT), MAIL_SEEN, "");
	struct put_item item = {.mail = m};
	struct err e = ERR_INIT;
	world_script(w, passing, 3);
	target_graph_mime_ops.put(w->target, &folder, &item, 1, &e);
	world_check(w);
	assert_int_equal(item.result, PUT_PLACED);
	assert_int_equal(item.err.kind, ERR_NONE);
	world_script(w, final, 2);
	target_graph_mime_ops.put(w->target, &folder, &item, 1, &e);
	world_check(w);
	assert_int_equal(item.result, PUT_PLACED);
	assert_int_equal(item.err.kind, ERR_RIGHTS);
	mail_free(&m);
	world_free(&w);
}

/* 200 to a large message: too big if it does not show up, in doubt if it does or if it has no Message-ID to look for. */
static void test_put_silent(void **state)
{
	(void)state;
	static const struct step shown[] = {ANSWER("importMime", 200, NULL),
		ANSWER("/mailFolders/F1/messages?$filter=internetMessageId%20eq%20%27%3Ca%40b%3E%27&", 200,
			"{\"value\":[{\"id\":\"M9\"}]}")};
	static const struct step absent[] = {ANSWER("importMime", 200, NULL), ANSWER("$filter", 200, "{\"value\":[]}"),
		ANSWER("$filter", 200, "{\"value\":[]}"), ANSWER("$filter", 200, "{\"value\":[]}")};
	static const struct step nameless[] = {ANSWER("importMime", 200, NULL)};
	size_t n = 3200000;
	char *text = malloc(n);
	memset(text, 'a', n);
	memcpy(text, TEXT, strlen(TEXT));
	struct graph_world *w = opened(NULL);
	struct mail *m = mail_of(text, n, 0, "");
	struct put_item item = {.mail = m};
	struct err e = ERR_INIT;
	target_graph_mime_of(w->target)->look_pause_ms = 10;
	world_script(w, shown, 2);
	target_graph_mime_ops.put(w->target, &folder, &item, 1, &e);
	world_check(w);
	assert_int_equal(item.result, PUT_IN_DOUBT);
	world_script(w, absent, 4);
	target_graph_mime_ops.put(w->target, &folder, &item, 1, &e);
	world_check(w);
	assert_int_equal(item.result, PUT_REFUSED);
	assert_int_equal(item.err.kind, ERR_TOO_BIG);
	free(m->print.message_id);
	m->print.message_id = strdup("");
	world_script(w, nameless, 1);
	target_graph_mime_ops.put(w->target, &folder, &item, 1, &e);
	world_check(w);
	assert_int_equal(item.result, PUT_IN_DOUBT);
	mail_free(&m);
	free(text);
	world_free(&w);
}

/* --- folders --- */

#define TOP "GET /v1.0/users/ann%40contoso.example/mailFolders?includeHiddenFolders=true"
#define BELOW(id) "GET /v1.0/users/ann%40contoso.example/mailFolders/" id "/childFolders?includeHiddenFolders=true"
#define LOOK(id) "GET /v1.0/users/ann%40contoso.example/mailFolders/" id "?"
#define F(id, name) "{\"id\":\"" id "\",\"displayName\":\"" name "\",\"totalItemCount\":3}"

static const struct {
	const char *path, *id; /* id NULL: refused */
	enum err_kind kind;
	bool find;
	struct step steps[8];
} walks[] = {
	{"INBOX", "IN", ERR_NONE, false, {ANSWER(LOOK("IN"), 200, F("IN", "Posteingang"))}},
	/* two pages, the first of them empty; case; a hidden folder is one like others */
	{"sent", "S1", ERR_NONE, false,
		{ANSWER(TOP, 200, "{\"value\":[],\"@odata.nextLink\":\"%s/v1.0/next\"}"),
			ANSWER("GET /v1.0/next HTTP", 200, "{\"value\":[" F("A", "a/b") "," F("S1", "Sent") "]}"),
			ANSWER(LOOK("S1"), 200, F("S1", "Sent"))}},
	{"inbox/\xc3\xa4/c", "C1", ERR_NONE, false,
		{ANSWER(BELOW("IN"), 200, "{\"value\":[" F("U", "\\u00e4") "]}"),
			ANSWER(BELOW("U"), 200, "{\"value\":[]}"),
			{"POST /v1.0/users/ann%40contoso.example/mailFolders/U/childFolders HTTP", 201, F("C1", "c"),
				NULL, THEN_KEEP, "{\"displayName\":\"c\"}", 0},
			ANSWER(LOOK("C1"), 200, F("C1", "c"))}},
	/* somebody was faster, and Exchange compares more widely than we do */
	{"\xc3\x84"
	 "b",
		"R1", ERR_NONE, false,
		{ANSWER(TOP, 200, "{\"value\":[]}"), ANSWER("POST", 409, ERROR("ErrorFolderExists")),
			ANSWER(TOP, 200, "{\"value\":[" F("R1", "\\u00e4B") "]}"),
			ANSWER(LOOK("R1"), 200, F("R1", "x"))}},
	/* taken by what is no mail folder: asked twice, then it is the folder's failure */
	{"Calendar", NULL, ERR_FOLDER, false,
		{ANSWER(TOP, 200, "{\"value\":[]}"), ANSWER("POST", 409, ERROR("ErrorFolderExists")),
			ANSWER(TOP, 200, "{\"value\":[]}"), ANSWER(TOP, 200, "{\"value\":[]}"),
			ANSWER("POST", 409, ERROR("ErrorFolderExists")), ANSWER(TOP, 200, "{\"value\":[]}")}},
	/* removed behind our back */
	{"a", "A2", ERR_NONE, false,
		{ANSWER(TOP, 200, "{\"value\":[" F("A1", "a") "]}"),
			ANSWER(LOOK("A1"), 404, ERROR("ErrorItemNotFound")), ANSWER(TOP, 200, "{\"value\":[]}"),
			ANSWER("POST", 201, F("A2", "a")), ANSWER(LOOK("A2"), 200, F("A2", "a"))}},
	{"gone", "", ERR_NONE, true, {ANSWER(TOP, 200, "{\"value\":[]}")}},
	{"a", "A1", ERR_NONE, true,
		{ANSWER(TOP, 200, "{\"value\":[" F("A1", "A") "]}"), ANSWER(LOOK("A1"), 200, F("A1", "A"))}},
	{"a", NULL, ERR_RIGHTS, true, {ANSWER(TOP, 403, ERROR("ErrorAccessDenied"))}},
	{"", NULL, ERR_FOLDER, false, {{0}}},
	{"a", NULL, ERR_PROTOCOL, false,
		{ANSWER(TOP, 200, "{\"value\":[],\"@odata.nextLink\":\"https://evil.example/\"}")}},
	{"a", NULL, ERR_PROTOCOL, false, {ANSWER(TOP, 200, "{\"value\":[{\"id\":7,\"displayName\":\"a\"}]}")}},
	{"a", NULL, ERR_PROTOCOL, false, {{TOP, 302, NULL, "Location: https://127.0.0.1:1/\r\n", THEN_KEEP, NULL, 0}}},
	{"a", NULL, ERR_FOLDER, false,
		{ANSWER(TOP, 200, "{\"value\":[]}"), ANSWER("POST", 400, ERROR("ErrorInvalidArgument")),
			ANSWER(TOP, 200, "{\"value\":[]}"), ANSWER("POST", 400, ERROR("ErrorInvalidArgument"))}},
};

static void test_folders(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(walks); i++) {
		struct graph_world *w = opened(NULL);
		struct folder_ref f = {0};
		struct err e = ERR_INIT;
		bool found = true;
		size_t n = 0;
		while (n < COUNT(walks[i].steps) && walks[i].steps[n].status)
			n++;
		world_script(w, walks[i].steps, n);
		int rc = walks[i].find ? target_graph_mime_ops.find(w->target, walks[i].path, &f, &found, &e)
				       : target_graph_mime_ops.folder(w->target, walks[i].path, &f, &e);
		if (rc != (walks[i].id ? 0 : -1) || e.kind != walks[i].kind)
			fail_msg("%zu %s: %d %s %s", i, walks[i].path, rc, err_kind_name(e.kind), e.text);
		world_check(w);
		if (rc == 0 && walks[i].id[0]) {
			assert_string_equal(f.id, walks[i].id);
			assert_string_equal(f.path, walks[i].path);
			assert_string_equal(f.generation, "");
			assert_string_equal(f.mark, "");
			assert_int_equal(f.existing, 3);
		}
		assert_true(rc != 0 || found == (walks[i].id[0] != '\0'));
		folder_ref_done(&f);
		world_free(&w);
	}
}

/* Pages without end, and a tree that bites its tail. */
static void test_folders_endless(void **state)
{
	(void)state;
	static struct step endless[100];
	for (size_t i = 0; i < COUNT(endless); i++)
		endless[i] = (struct step)ANSWER("GET", 200, "{\"value\":[],\"@odata.nextLink\":\"%s/v1.0/again\"}");
	struct graph_world *w = opened(NULL);
	struct folder_ref f;
	struct err e = ERR_INIT;
	world_script(w, endless, COUNT(endless));
	assert_int_equal(target_graph_mime_ops.folder(w->target, "a", &f, &e), -1);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	assert_true(atomic_load(&w->at) <= 30);
	static const struct step tail[] = {ANSWER(TOP, 200, "{\"value\":[" F("L", "l") "]}"),
		ANSWER(BELOW("L"), 200, "{\"value\":[" F("L", "l") "]}"), ANSWER(LOOK("L"), 200, F("L", "l"))};
	world_script(w, tail, 3);
	assert_int_equal(target_graph_mime_ops.folder(w->target, "l/l/l/l", &f, &e), 0);
	world_check(w);
	folder_ref_done(&f);
	world_free(&w);
}

static void test_rules(void **state)
{
	(void)state;
	static const struct step steps[] = {
		ANSWER(LOOK("sentitems"), 200, F("S", "Gesendete Elemente")),
		ANSWER(LOOK("drafts"), 200, F("D", "Entw\\u00fcrfe")),
		ANSWER(LOOK("deleteditems"), 200, F("T", "a/b")),
		ANSWER(LOOK("junkemail"), 200, F("J", "Junk-E-Mail")),
		ANSWER(LOOK("archive"), 404, ERROR("ErrorItemNotFound")),
	};
	struct graph_world *w = opened(NULL);
	struct map_rules rules = {0};
	struct err e = ERR_INIT;
	world_script(w, steps, COUNT(steps));
	for (int i = 0; i < 2; i++) { /* asked once */
		assert_int_equal(target_graph_mime_ops.rules(w->target, &rules, &e), 0);
		world_check(w);
		assert_true(rules.exchange);
		assert_int_equal(rules.separator, '/');
		assert_string_equal(rules.well_known[ROLE_SENT], "Gesendete Elemente");
		assert_string_equal(rules.well_known[ROLE_DRAFTS], "Entw\xc3\xbcrfe");
		assert_null(rules.well_known[ROLE_TRASH]); /* a path could not say it */
		assert_null(rules.well_known[ROLE_ARCHIVE]);
		assert_null(rules.well_known[ROLE_INBOX]);
	}
	world_free(&w);
}

/* --- open, identity --- */

static void test_open(void **state)
{
	(void)state;
	static const struct {
		struct step step;
		enum err_kind kind;
		const char *user_id, *path;
	} cases[] = {
		{INBOX, ERR_NONE, NULL, "/users/ann%40contoso.example/"},
		{INBOX, ERR_NONE, "", "/users/ann%40contoso.example/"},
		{INBOX, ERR_NONE, "6a-7f", "/users/6a-7f/"},
		{INBOX, ERR_NONE, "MBX:a@b", "/users/ann%40contoso.example/"},
		{ANSWER(NULL, 404, ERROR("ErrorInvalidUser")), ERR_MAILBOX, NULL, ""},
		{ANSWER(NULL, 404, NULL), ERR_MAILBOX, NULL, ""},
		{ANSWER(NULL, 403, ERROR("ErrorAccessDenied")), ERR_RIGHTS, NULL, ""},
		{ANSWER(NULL, 200, "[]"), ERR_PROTOCOL, NULL, ""},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct graph_world *w = world_new();
		struct err e = ERR_INIT;
		w->conf.user_id = cases[i].user_id;
		world_script(w, &cases[i].step, 1);
		int rc = target_graph_mime_ops.open(&w->target, &w->conf, world_gate(w, NULL), NULL, &e);
		if (rc != (cases[i].kind == ERR_NONE ? 0 : -1) || e.kind != cases[i].kind || (rc && w->target))
			fail_msg("%zu: %d %s %s", i, rc, err_kind_name(e.kind), e.text);
		world_check(w);
		assert_non_null(strstr(w->last_head, cases[i].path));
		world_free(&w);
	}
	struct graph_world *w = world_new();
	struct err e = ERR_INIT;
	w->conf.graph_token = NULL;
	assert_int_equal(target_graph_mime_ops.open(&w->target, &w->conf, world_gate(w, NULL), NULL, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	world_free(&w);
}

static void test_identify(void **state)
{
	(void)state;
#define USER "GET /v1.0/users/ann%40contoso.example?$select="
#define SETTINGS "GET /v1.0/users/ann%40contoso.example/settings/exchange HTTP"
#define DENIED ANSWER(USER, 403, ERROR("Authorization_RequestDenied"))
	static const struct {
		struct step steps[3];
		size_t n;
		enum err_kind kind;
		const char *id, *address;
	} cases[] = {
		{{ANSWER(USER, 200, "{\"id\":\"u-1\",\"mail\":\"Ann@contoso.example\"}")}, 1, ERR_NONE, "u-1",
			"Ann@contoso.example"},
		{{ANSWER(USER, 404, ERROR("Request_ResourceNotFound"))}, 1, ERR_MAILBOX, "", ""},
		{{DENIED, ANSWER(SETTINGS, 200, "{\"primaryMailboxId\":\"MBX:a@b\"}")}, 2, ERR_NONE, "MBX:a@b",
			"ann@contoso.example"},
		{{DENIED, ANSWER(SETTINGS, 403, ERROR("ErrorAccessDenied"))}, 2, ERR_NONE, "", ""},
		{{DENIED, ANSWER(SETTINGS, 404, ERROR("MailboxNotEnabledForRESTAPI"))}, 2, ERR_MAILBOX, "", ""},
	};
	struct graph_world *w = opened(NULL);
	for (size_t i = 0; i < COUNT(cases); i++) {
		char id[200], address[200];
		struct err e = ERR_INIT;
		world_script(w, cases[i].steps, cases[i].n);
		int rc = target_graph_mime_ops.identify(w->target, id, sizeof(id), address, sizeof(address), &e);
		if (rc != (cases[i].kind == ERR_NONE ? 0 : -1) || e.kind != cases[i].kind ||
			strcmp(id, cases[i].id) != 0 || strcmp(address, cases[i].address) != 0)
			fail_msg("%zu: %d %s %s: %s, %s", i, rc, err_kind_name(e.kind), e.text, id, address);
		world_check(w);
	}
	world_free(&w);
}

/* --- lists --- */

#define HEADERS(subject) \
	",\"internetMessageHeaders\":[{\"name\":\"Subject\",\"value\":\"" subject \
	"\"},{\"name\":\"Message-ID\",\"value\":\"<a@b>\"}]"
#define M(id) "{\"id\":\"" id "\",\"isRead\":true,\"receivedDateTime\":\"2002-07-01T08:00:00Z\"" HEADERS("s of " id) "}"
#define MESSAGES "GET /v1.0/users/ann%40contoso.example/mailFolders/F1/messages?$top="

static void test_list(void **state)
{
	(void)state;
	/* A message that was put meanwhile shifts the others: B comes twice. C tells too little and is read; D is gone by then. Of the second walk E
	   is new, F is in another folder by now, G is gone. */
	static const struct step steps[] = {
		ANSWER(MESSAGES, 200,
			"{\"value\":[" M("A") "," M("B") "],\"@odata.nextLink\":\"%s/v1.0/next?$skip=2\"}"),
		ANSWER("GET /v1.0/next?$skip=2 HTTP", 200,
			"{\"value\":[" M("B") ",{\"id\":\"C\",\"internetMessageId\":\"<made@up>\",\"isDraft\":true},{"
					      "\"id\":\"D\"}]}"),
		ANSWER("/messages/C/$value HTTP", 200, "Subject: real\r\nFrom: a@b.c\r\n\r\nx\r\n"),
		ANSWER("/messages/D/$value HTTP", 404, ERROR("ErrorItemNotFound")),
		ANSWER(MESSAGES "1000&$select=id HTTP", 200,
			"{\"value\":[{\"id\":\"E\"},{\"id\":\"F\"},{\"id\":\"A\"}],\"@odata.nextLink\":\"%s/v1.0/"
			"ids\"}"),
		ANSWER("/messages/E?$select=id,", 200, "{\"id\":\"E\",\"parentFolderId\":\"F1\"" HEADERS("s of E") "}"),
		ANSWER("/messages/F?$select=id,", 200, "{\"id\":\"F\",\"parentFolderId\":\"F2\"" HEADERS("s of F") "}"),
		ANSWER("GET /v1.0/ids HTTP", 200, "{\"value\":[{\"id\":\"G\"},{\"id\":\"B\"},{\"id\":\"C\"}]}"),
		ANSWER("/messages/G?$select=id,", 404, ERROR("ErrorItemNotFound")),
	};
	struct graph_world *w = opened(NULL);
	struct remote_mail v[3];
	struct err e = ERR_INIT;
	size_t n;
	world_script(w, steps, COUNT(steps));
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, NULL, v, 1, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_string_equal(v[0].id, "A");
	assert_int_equal(v[0].flags, MAIL_SEEN);
	assert_true(v[0].received.known);
	assert_string_equal(v[0].print.subject, "s of A");
	fingerprint_done(&v[0].print);
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "A", v, 3, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_string_equal(v[0].id, "B");
	fingerprint_done(&v[0].print);
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "B", v, 3, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_string_equal(v[0].id, "C");
	assert_int_equal(v[0].flags, MAIL_DRAFT);
	assert_string_equal(v[0].print.subject, "real");
	assert_string_equal(v[0].print.message_id, "");
	fingerprint_done(&v[0].print);
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "C", v, 3, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_string_equal(v[0].id, "E");
	assert_string_equal(v[0].print.subject, "s of E");
	fingerprint_done(&v[0].print);
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "E", v, 3, &n, &e), 0);
	assert_int_equal(n, 0);
	world_check(w);
	/* the walk is over: its cursor is nobody's */
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "E", v, 3, &n, &e), -1);
	assert_int_equal(e.kind, ERR_INTERNAL);
	world_free(&w);
}

static void test_list_hostile(void **state)
{
	(void)state;
	static struct step endless[200], same[200];
	static const struct step gone[] = {ANSWER(MESSAGES, 404, ERROR("ErrorItemNotFound"))};
	static const struct step foreign[] = {
		ANSWER(MESSAGES, 200, "{\"value\":[],\"@odata.nextLink\":\"http://127.0.0.1/\"}")};
	static const struct step broken[] = {{MESSAGES, 200, "{\"value\":[]}", NULL, THEN_CLOSE, NULL, 5},
		{MESSAGES, 200, "{\"value\":[" M("A") "]}", NULL, THEN_KEEP, NULL, 0}};
	for (size_t i = 0; i < COUNT(endless); i++) {
		endless[i] = (struct step)ANSWER("GET", 200, "{\"value\":[],\"@odata.nextLink\":\"%s/v1.0/again\"}");
		same[i] = (struct step)ANSWER(
			"GET", 200, "{\"value\":[" M("A") "],\"@odata.nextLink\":\"%s/v1.0/again\"}");
	}
	struct graph_world *w = opened(NULL);
	struct remote_mail v[3];
	struct err e = ERR_INIT;
	size_t n;
	world_script(w, endless, COUNT(endless));
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "", v, 3, &n, &e), -1);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	world_script(w, same, COUNT(same));
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "", v, 3, &n, &e), 0);
	assert_int_equal(n, 1);
	fingerprint_done(&v[0].print);
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "A", v, 3, &n, &e), -1);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	assert_true(atomic_load(&w->at) < COUNT(same));
	world_script(w, gone, 1);
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "", v, 3, &n, &e), -1);
	assert_int_equal(e.kind, ERR_FOLDER);
	world_script(w, foreign, 1);
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "", v, 3, &n, &e), -1);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	/* an answer that breaks off is asked for again */
	err_clear(&e);
	world_script(w, broken, 2);
	assert_int_equal(target_graph_mime_ops.list(w->target, &folder, "", v, 3, &n, &e), 0);
	assert_int_equal(n, 1);
	fingerprint_done(&v[0].print);
	world_check(w);
	world_free(&w);
}

/* --- one message --- */

static void test_flags(void **state)
{
	(void)state;
#define LOOK_M "GET /v1.0/users/ann%40contoso.example/messages/M1?$select="
#define STATE(parent, read, flag) \
	"{\"id\":\"M1\",\"parentFolderId\":\"" parent "\",\"isRead\":" read \
	",\"isDraft\":false,\"flag\":{\"flagStatus\":\"" flag "\"}}"
	static const struct {
		unsigned wanted;
		struct step steps[3];
		size_t n;
		enum err_kind kind;
	} cases[] = {
		{MAIL_SEEN | MAIL_ANSWERED, {ANSWER(LOOK_M, 200, STATE("F1", "true", "complete"))}, 1, ERR_NONE},
		{MAIL_SEEN,
			{ANSWER(LOOK_M, 200, STATE("F1", "false", "flagged")),
				{"PATCH", 200, STATE("F1", "true", "notFlagged"), NULL, THEN_KEEP,
					"{\"isRead\":true,\"flag\":{\"flagStatus\":\"notFlagged\"}}", 0}},
			2, ERR_NONE},
		{MAIL_SEEN,
			{ANSWER(LOOK_M, 200, STATE("F1", "false", "notFlagged")),
				{"PATCH", 200, "{\"id\":\"M1\"}", NULL, THEN_KEEP, "{\"isRead\":true}", 0},
				ANSWER(LOOK_M, 200, STATE("F1", "false", "notFlagged"))},
			3, ERR_MESSAGE},
		{MAIL_SEEN, {ANSWER(LOOK_M, 200, STATE("F2", "false", "notFlagged"))}, 1, ERR_GONE},
		{MAIL_SEEN, {ANSWER(LOOK_M, 404, ERROR("ErrorItemNotFound"))}, 1, ERR_GONE},
	};
	struct graph_world *w = opened(NULL);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e = ERR_INIT;
		world_script(w, cases[i].steps, cases[i].n);
		int rc = target_graph_mime_ops.set_flags(w->target, &folder, "M1", cases[i].wanted, &e);
		if (rc != (cases[i].kind == ERR_NONE ? 0 : -1) || e.kind != cases[i].kind)
			fail_msg("%zu: %d %s %s", i, rc, err_kind_name(e.kind), e.text);
		world_check(w);
	}
	static const struct step look[] = {ANSWER(LOOK_M, 200, STATE("F1", "true", "flagged"))};
	unsigned flags;
	struct err e = ERR_INIT;
	world_script(w, look, 1);
	assert_int_equal(target_graph_mime_ops.get_flags(w->target, &folder, "M1", &flags, &e), 0);
	assert_int_equal(flags, MAIL_SEEN | MAIL_FLAGGED);
	world_free(&w);
}

static void test_read(void **state)
{
	(void)state;
	static const struct step steps[] = {ANSWER("/messages/M%27%0A1/$value HTTP", 200, TEXT),
		ANSWER("$value", 404, ERROR("ErrorItemNotFound")), {"$value", 200, TEXT, NULL, THEN_CLOSE, NULL, 5},
		ANSWER("$value", 204, NULL)};
	static const enum err_kind kinds[] = {ERR_NONE, ERR_GONE, ERR_LOST, ERR_PROTOCOL};
	struct graph_world *w = opened(NULL);
	for (size_t i = 0; i < COUNT(steps); i++) {
		struct spool *body = NULL;
		struct fingerprint print;
		struct err e = ERR_INIT;
		world_script(w, &steps[i], 1);
		int rc = target_graph_mime_ops.read(w->target, &folder, "M'\n1", &body, &print, &e);
		if (rc != (kinds[i] == ERR_NONE ? 0 : -1) || e.kind != kinds[i])
			fail_msg("%zu: %d %s %s", i, rc, err_kind_name(e.kind), e.text);
		assert_true(!body == (rc != 0));
		if (rc == 0) {
			assert_int_equal(spool_size(body), strlen(TEXT));
			assert_string_equal(print.message_id, "<a@b>");
			fingerprint_done(&print);
		}
		spool_free(&body);
		world_check(w);
	}
	world_free(&w);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	unsetenv("https_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("ALL_PROXY");
	unsetenv("all_proxy");
	upload_init();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_answers),
		cmocka_unit_test(test_put_state),
		cmocka_unit_test(test_put_state_fails),
		cmocka_unit_test(test_put_silent),
		cmocka_unit_test(test_folders),
		cmocka_unit_test(test_folders_endless),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_identify),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_list_hostile),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
