/* What every upload route promises, tried on a real server. tests/contract/test_target.py starts the servers and tells by environment
   variables where they are. A route that comes later runs the same suite. */
#include "upload/prove.h"
#include "upload/settle.h"
#include "upload/target.h"
#include "upload/token.h"

#include "engine/base/clock.h"
#include "imap/scan.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

static struct target_conf conf;
static const struct target_ops *ops;
static bool recodes; /* the destination stores other octets of the same meaning */
static struct throttle *throttle;
static struct scope *scope;

static const char *env(const char *name)
{
	return getenv(name) ? getenv(name) : "";
}

static struct target *open_target(struct gate **gate, struct stop *stop)
{
	struct target *t = NULL;
	struct err e = ERR_INIT;
	char line[2000];
	*gate = gate_new(scope, stop);
	if (ops->open(&t, &conf, *gate, stop, &e))
		fail_msg("%s", err_line(&e, line, sizeof(line)));
	return t;
}

static void close_target(struct target **t, struct gate **gate)
{
	ops->close(t);
	assert_null(*t);
	gate_free(gate);
}

#define CHECK(call) \
	do { \
		struct err check_err = ERR_INIT; \
		struct err *err = &check_err; \
		if (call) { \
			char check_line[2000]; \
			fail_msg("%s: %s", #call, err_line(err, check_line, sizeof(check_line))); \
		} \
	} while (0)

static struct mail *mail_of(const char *text, size_t n, unsigned flags, const char *keywords, int64_t at)
{
	struct mail *m = mail_new(1);
	struct scan *scan = scan_new();
	m->flags = flags;
	free(m->keywords);
	m->keywords = strdup(keywords);
	m->received = (struct mail_date){.at = at, .zone_min = 120, .known = true};
	CHECK(spool_new(&m->body, conf.spool_dir, n, err));
	CHECK(spool_write(m->body, text, n, err));
	scan_feed(scan, text, n);
	CHECK(scan_finish(scan, &m->print, &m->defects, err));
	scan_free(&scan);
	return m;
}

/* Message i of a set: sizes from small to 700 KB, every fifth without a Message-ID, every seventh the same octets as its neighbour. */
static struct mail *sample(unsigned i)
{
	static const size_t sizes[] = {10, 500, 3000, 60000, 9, 12, 700000, 40};
	unsigned id = i % 7 == 6 ? i - 1 : i;
	size_t size = sizes[id % 8], room = size + 1000;
	char *text = malloc(room), with_id[80] = "";
	if (id % 5 != 4)
		snprintf(with_id, sizeof(with_id), "Message-ID: <%u.%s@contract.test>\r\n", id, env("NF_RUN"));
	int n = snprintf(text, room,
		"Date: Mon, 1 Jul 2002 10:%02u:00 +0200\r\nFrom: =?utf-8?q?S=C3=A9?= "
		"<s%u@contract.test>\r\n%s"
		"Subject: sample %u\r\n\r\n",
		id % 60, id, with_id, id);
	for (size_t at = (size_t)n, end = at + size; at < end; at++)
		text[at] = (at - (size_t)n) % 72 == 70 ? '\r' : (at - (size_t)n) % 72 == 71 ? '\n' : 'a';
	memcpy(text + (size_t)n + size, "\r\n", 3);
	static const unsigned flags[] = {
		0, MAIL_SEEN, MAIL_SEEN | MAIL_ANSWERED, MAIL_FLAGGED, MAIL_SEEN | MAIL_FLAGGED, MAIL_DRAFT};
	struct mail *m = mail_of(
		text, (size_t)n + size + 2, flags[i % 6], i % 4 == 3 ? "$Label1" : "", 1025510400 + (int64_t)i * 3600);
	free(text);
	return m;
}

#define MOST 150
static size_t count = MOST; /* a route that puts one at a time gets fewer: two pages of a list all the same */

struct set {
	struct mail *mails[MOST];
	struct put_item items[MOST];
};

static struct set *set_new(void)
{
	struct set *s = calloc(1, sizeof(*s));
	for (unsigned i = 0; i < count; i++) {
		s->mails[i] = sample(i);
		s->items[i].mail = s->mails[i];
	}
	return s;
}

static void set_free(struct set *s)
{
	for (unsigned i = 0; i < count; i++)
		mail_free(&s->mails[i]);
	free(s);
}

static struct remote_mail *list_all(struct target *t, const struct folder_ref *f, const char *cursor, size_t *n)
{
	struct remote_mail *v = calloc(MOST * 3, sizeof(*v));
	char at[200];
	size_t got = 1;
	snprintf(at, sizeof(at), "%s", cursor ? cursor : "");
	for (*n = 0; got > 0; *n += got) {
		assert_true(*n + 40 <= MOST * 3);
		CHECK(ops->list(t, f, at, v + *n, 40, &got, err));
		if (got)
			snprintf(at, sizeof(at), "%s", v[*n + got - 1].id);
	}
	return v;
}

static void list_free(struct remote_mail *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fingerprint_done(&v[i].print);
	free(v);
}

static void test_folders(void **state)
{
	(void)state;
	struct gate *gate;
	struct target *t = open_target(&gate, NULL);
	struct folder_ref a, b;
	struct map_rules rules = {0};
	CHECK(ops->rules(t, &rules, err));
	assert_true(rules.exchange == (conf.kind == TARGET_EXCHANGE));
	static const char *const paths[] = {"INBOX",
		"Projekte/\xc3\x9c"
		"bersicht & mehr/\xe6\xb8\xac\xe8\xa9\xa6",
		"Projekte", "a b"};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		CHECK(ops->folder(t, paths[i], &a, err));
		CHECK(ops->folder(t, paths[i], &b, err));
		assert_string_equal(a.path, paths[i]);
		assert_string_equal(a.id, b.id);
		assert_string_equal(a.generation, b.generation);
		assert_string_equal(a.mark, b.mark);
		folder_ref_done(&a);
		folder_ref_done(&b);
	}
	CHECK(ops->folder(t, "inbox", &a, err));
	CHECK(ops->folder(t, "INBOX", &b, err));
	assert_string_equal(a.generation, b.generation);
	folder_ref_done(&a);
	folder_ref_done(&b);
	if (rules.exchange) {
		CHECK(ops->folder(t, "PROJEKTE", &a, err));
		CHECK(ops->folder(t, "Projekte", &b, err));
		assert_string_equal(a.generation, b.generation);
		folder_ref_done(&a);
		folder_ref_done(&b);
	}
	close_target(&t, &gate);
	/* a session of its own finds what is there */
	t = open_target(&gate, NULL);
	CHECK(ops->folder(t, paths[1], &a, err));
	folder_ref_done(&a);
	struct err e = ERR_INIT;
	assert_int_equal(ops->folder(t, "", &a, &e), -1);
	assert_int_equal(e.kind, ERR_FOLDER);
	close_target(&t, &gate);
}

static void compare_one(struct target *t, const struct folder_ref *f, const struct remote_mail *r, const struct mail *m)
{
	struct spool *body = NULL;
	struct fingerprint print = {0};
	unsigned state = MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED | MAIL_DRAFT;
	CHECK(ops->read(t, f, r->id, &body, &print, err));
	if (recodes) {
		uint8_t a[CANON_BYTES], b[CANON_BYTES];
		CHECK(canon_digest(body, a, err));
		CHECK(canon_digest(m->body, b, err));
		assert_memory_equal(a, b, sizeof(a));
	} else {
		assert_memory_equal(print.sha256, m->print.sha256, 32);
	}
	state &= ops->flags_kept;
	assert_int_equal(r->flags & state, m->flags & state);
	assert_true(r->received.known);
	if (ops->gives_date)
		assert_int_equal(r->received.at, m->received.at);
	if (ops->get_keywords) {
		char words[200];
		CHECK(ops->get_keywords(t, f, r->id, words, sizeof(words), err));
		assert_int_equal(strstr(words, "$Label1") != NULL, strstr(m->keywords, "$Label1") != NULL);
	}
	if (!recodes || m->print.message_id[0])
		assert_string_equal(r->print.message_id, m->print.message_id);
	spool_free(&body);
	fingerprint_done(&print);
}

static void test_put_and_settle(void **state)
{
	(void)state;
	struct gate *gate;
	struct target *t = open_target(&gate, NULL);
	struct set *s = set_new();
	struct folder_ref f;
	CHECK(ops->folder(t, "Contract", &f, err));
	size_t most = ops->max_batch < 60 ? ops->max_batch : 60;
	for (size_t at = 0; at < count; at += most)
		CHECK(ops->put(t, &f, s->items + at, count - at < most ? count - at : most, err));
	size_t n;
	struct remote_mail *v = list_all(t, &f, f.mark, &n);
	assert_int_equal(n, count);
	unsigned without_id = 0;
	for (size_t i = 0; i < count; i++) {
		size_t k = 0;
		char line[2000];
		if (s->items[i].result != PUT_PLACED || s->items[i].err.kind != ERR_NONE)
			fail_msg("%zu: %d %s", i, s->items[i].result, err_line(&s->items[i].err, line, sizeof(line)));
		assert_string_equal(s->items[i].receipt.route, ops->name);
		if (!s->items[i].receipt.id[0]) {
			without_id++;
			continue;
		}
		while (k < n && strcmp(v[k].id, s->items[i].receipt.id) != 0)
			k++;
		assert_true(k < n);
		compare_one(t, &f, &v[k], s->mails[i]);
		v[k].id[0] = '\0'; /* each once */
	}
	assert_int_equal(without_id, 0);
	list_free(v, n);
	/* all in doubt: each is found, once */
	struct pending *p = calloc(count, sizeof(*p));
	for (size_t i = 0; i < count; i++)
		p[i].print = &s->mails[i]->print;
	uint8_t(*canon)[CANON_BYTES] = calloc(count, sizeof(*canon));
	CHECK(settle_pending(t, &f, f.mark, NULL, 0, p, count, err));
	for (size_t i = 0; recodes && i < count; i++) {
		assert_int_not_equal(p[i].outcome, SETTLE_ABSENT);
		CHECK(canon_digest(s->mails[i]->body, canon[i], err));
		p[i].canon = canon[i];
	}
	if (recodes)
		CHECK(settle_pending(t, &f, f.mark, NULL, 0, p, count, err));
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(p[i].outcome, SETTLE_FOUND);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(p[i].receipt.id, p[k].receipt.id);
	}
	/* claimed: nothing is left */
	const char *claimed[MOST];
	for (size_t i = 0; i < count; i++)
		claimed[i] = p[i].receipt.id;
	for (size_t i = 1; i < count; i++) /* sorted by strcmp */
		for (size_t k = i; k > 0 && strcmp(claimed[k - 1], claimed[k]) > 0; k--) {
			const char *swap = claimed[k];
			claimed[k] = claimed[k - 1];
			claimed[k - 1] = swap;
		}
	struct pending *q = calloc(count, sizeof(*q));
	for (size_t i = 0; i < count; i++) {
		q[i].print = p[i].print;
		q[i].canon = p[i].canon;
	}
	CHECK(settle_pending(t, &f, f.mark, claimed, count, q, count, err));
	for (size_t i = 0; i < count; i++)
		assert_int_equal(q[i].outcome, SETTLE_ABSENT);
	free(p);
	free(q);
	free(canon);
	folder_ref_done(&f);
	set_free(s);
	close_target(&t, &gate);
}

static void test_flags(void **state)
{
	(void)state;
	struct gate *gate;
	struct target *t = open_target(&gate, NULL);
	struct folder_ref f;
	struct mail *m = mail_of("Subject: x\r\n\r\nx\r\n", 17, MAIL_SEEN, "", 1000000000);
	struct put_item item = {.mail = m};
	unsigned flags;
	CHECK(ops->folder(t, "Flags", &f, err));
	CHECK(ops->put(t, &f, &item, 1, err));
	assert_int_equal(item.result, PUT_PLACED);
	static const unsigned wanted[] = {
		MAIL_SEEN | MAIL_FLAGGED, 0, MAIL_ANSWERED, MAIL_ANSWERED, MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		CHECK(ops->set_flags(t, &f, item.receipt.id, wanted[i], err));
		CHECK(ops->get_flags(t, &f, item.receipt.id, &flags, err));
		assert_int_equal(flags & (MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED), wanted[i] & ops->flags_kept);
	}
	struct err e = ERR_INIT;
	char id[200];
	snprintf(id, sizeof(id), "%s:4000000", f.generation);
	assert_int_equal(ops->get_flags(t, &f, id, &flags, &e), -1);
	assert_int_equal(e.kind, ERR_GONE);
	struct spool *body = NULL;
	assert_int_equal(ops->read(t, &f, id, &body, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_GONE);
	assert_int_equal(ops->get_flags(t, &f, "1:1", &flags, &e), -1);
	assert_int_equal(e.kind, f.generation[0] ? ERR_CHANGED : ERR_GONE);
	folder_ref_done(&f);
	mail_free(&m);
	close_target(&t, &gate);
}

static void test_prove(void **state)
{
	(void)state;
	struct gate *gate;
	struct target *t = open_target(&gate, NULL);
	struct folder_ref f = {0};
	static const char left[] =
		"Subject: nightferry probe left\r\nMessage-ID: <left@probe.nightferry.invalid>\r\n\r\nx\r\n";
	struct mail *m = mail_of(left, sizeof(left) - 1, 0, "", 1000000000);
	struct put_item item = {.mail = m};
	CHECK(ops->folder(t, "nightferry probe", &f, err)); /* as a test that was killed leaves it */
	CHECK(ops->put(t, &f, &item, 1, err));
	folder_ref_done(&f);
	mail_free(&m);
	for (int i = 0; i < 2; i++) {
		struct prove_conf pc = {.ops = ops, .conf = &conf, .gate = gate, .most_bytes = 70000};
		struct prove *p;
		struct prove_line line;
		CHECK(prove_new(&p, &pc, err));
		while (prove_next(p, &line)) {
			printf("%d %s: %s%s\n", (int)line.outcome, line.step, line.text, line.err.text);
			assert_int_not_equal(line.outcome, PROVE_FAILED);
			if (!strcmp(line.step, "folder"))
				assert_int_equal(strstr(line.text, "interrupted") != NULL, i == 0);
			if (!strcmp(line.step, "clean-up"))
				assert_int_equal(line.outcome, PROVE_OK);
		}
		assert_true(prove_facts(p)->passed && prove_facts(p)->date_kept == ops->gives_date);
		assert_int_equal(prove_facts(p)->largest, 70000);
		prove_free(&p);
	}
	close_target(&t, &gate);
}

/* A folder that is not there: nothing is the message's fault. */
static void test_folder_gone(void **state)
{
	(void)state;
	struct gate *gate;
	struct target *t = open_target(&gate, NULL);
	struct folder_ref f = {
		.path = strdup("Gone"), .id = strdup("Gone"), .generation = strdup("1"), .mark = strdup("1")};
	struct mail *m = mail_of("Subject: x\r\n\r\nx\r\n", 17, 0, "", 1000000000);
	struct put_item items[3] = {{.mail = m}, {.mail = m}, {.mail = m}};
	CHECK(ops->put(t, &f, items, 3, err));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(items[i].result, PUT_NOT_SENT);
		assert_int_equal(items[i].err.kind, ERR_FOLDER);
	}
	folder_ref_done(&f);
	mail_free(&m);
	close_target(&t, &gate);
}

static void test_stopped(void **state)
{
	(void)state;
	struct gate *gate;
	struct stop *stop = stop_new(NULL);
	struct target *t = open_target(&gate, stop);
	struct folder_ref f;
	struct mail *m = mail_of("Subject: x\r\n\r\nx\r\n", 17, 0, "", 1000000000);
	struct put_item item = {.mail = m};
	CHECK(ops->folder(t, "Stopped", &f, err));
	stop_request(stop, STOP_DRAIN);
	CHECK(ops->put(t, &f, &item, 1, err));
	assert_int_equal(item.result, PUT_NOT_SENT);
	assert_int_equal(item.err.kind, ERR_STOPPED);
	folder_ref_done(&f);
	mail_free(&m);
	close_target(&t, &gate);
	stop_free(&stop);
}

static void test_speed(void **state)
{
	(void)state;
	enum { MANY = 10000, BATCH = 256 };
	if (!*env("NF_SPEED"))
		skip();
	struct gate *gate;
	struct target *t = open_target(&gate, NULL);
	struct folder_ref f;
	struct put_item *items = calloc(BATCH, sizeof(*items));
	char text[2100];
	memset(text, 'a', sizeof(text));
	int n = snprintf(text, 100, "Subject: speed\r\n\r\n");
	text[n] = 'a';
	memcpy(text + 2000, "\r\n", 2);
	struct mail *m = mail_of(text, 2002, MAIL_SEEN, "", 1000000000);
	for (int i = 0; i < BATCH; i++)
		items[i].mail = m;
	CHECK(ops->folder(t, "Speed", &f, err));
	int64_t begun = clock_mono_ms();
	for (int i = 0; i < MANY; i += BATCH)
		CHECK(ops->put(t, &f, items, MANY - i < BATCH ? MANY - i : BATCH, err));
	print_message("%d messages of 2 KB in %lld ms\n", MANY, (long long)(clock_mono_ms() - begun));
	folder_ref_done(&f);
	mail_free(&m);
	free(items);
	close_target(&t, &gate);
}

int main(void)
{
	struct err e = ERR_INIT;
	struct secret *password = NULL, *client_secret = NULL;
	struct token *graph_token = NULL;
	signal(SIGPIPE, SIG_IGN);
	conn_init();
	upload_init();
	throttle = throttle_new();
	struct scope_limits limits = {.in_flight = 4};
	scope = scope_open(throttle, NULL, "contract", &limits);
	recodes = *env("NF_RECODES");
	ops = target_route(env("NF_ROUTE"));
	count = ops->max_batch == 1 ? 60 : MOST;
	conf = (struct target_conf){.name = "contract",
		.imap_host = env("NF_IMAP_HOST"),
		.imap_port = (unsigned)strtoul(env("NF_IMAP_PORT"), NULL, 10),
		.ca_file = env("NF_CA"),
		.mailbox = env("NF_MAILBOX"),
		.spool_dir = env("NF_SPOOL_DIR")};
	if (*env("NF_LOGIN_URL")) {
		client_secret = secret_new(env("NF_CLIENT_SECRET"), strlen(env("NF_CLIENT_SECRET")));
		struct token_conf tc = {.login_url = env("NF_LOGIN_URL"),
			.tenant = env("NF_TENANT"),
			.client_id = env("NF_CLIENT_ID"),
			.scope = "https://outlook.office365.com/.default",
			.client_secret = client_secret,
			.ca_file = conf.ca_file};
		if (token_new(&conf.token, &tc, &e))
			return 1;
		if (*env("NF_GRAPH_URL")) {
			tc.scope = "https://graph.microsoft.com/.default";
			if (token_new(&graph_token, &tc, &e))
				return 1;
			conf.graph_url = env("NF_GRAPH_URL");
			conf.graph_token = graph_token;
		}
		conf.kind = TARGET_EXCHANGE;
		conf.auth = AUTH_XOAUTH2;
	} else {
		password = secret_new(env("NF_PASSWORD"), strlen(env("NF_PASSWORD")));
		conf.kind = TARGET_IMAP;
		conf.password = password;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_folders),
		cmocka_unit_test(test_put_and_settle),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_prove),
		cmocka_unit_test(test_folder_gone),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_speed),
	};
	if (*env("NF_ONLY"))
		cmocka_set_test_filter(env("NF_ONLY"));
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	scope_close(&scope);
	throttle_free(&throttle);
	token_free(&conf.token);
	token_free(&graph_token);
	secret_free(&password);
	secret_free(&client_secret);
	return rc;
}
