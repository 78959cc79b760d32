/* The contract of imap/: what is appended is listed and read back as it was, on every server we claim to speak with. Needs a mailbox
   that may be written to: NF_IMAP_HOST, NF_IMAP_PORT, NF_IMAP_USER, NF_IMAP_PASS, NF_IMAP_CA (unset or empty: without TLS). Without
   NF_IMAP_HOST all tests are skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/base/clock.h"
#include "imap/append.h"
#include "imap/folder.h"
#include "imap/mailbox.h"
#include "imap/name.h"
#include "imap/pull.h"
#include "imap/scan.h"

#include <stdio.h>
#include <unistd.h>

struct server {
	struct conn_conf conf;
	struct secret *secret;
	struct conn *conn;
	struct budget *budget;
	char prefix[64], separator;
	char run[32]; /* makes this run's folders its own */
};

static char spool_dir[] = "/tmp";

static void must(int rc, const struct err *err, const char *what)
{
	char line[1600];
	if (rc < 0)
		fail_msg("%s: %s: %s", what, err_kind_name(err->kind), err_line(err, line, sizeof(line)));
}

static int setup(void **state)
{
	const char *host = getenv("NF_IMAP_HOST"), *ca = getenv("NF_IMAP_CA"), *port = getenv("NF_IMAP_PORT");
	struct err err = ERR_INIT;
	if (!host)
		return 0;
	struct server *s = calloc(1, sizeof(*s));
	const char *pass = getenv("NF_IMAP_PASS");
	s->secret = secret_new(pass, strlen(pass));
	s->conf = (struct conn_conf){.host = host,
		.port = port ? (unsigned)strtoul(port, NULL, 10) : 993,
		.tls = ca && *ca ? TLS_IMPLICIT : TLS_NONE,
		.ca_file = ca && *ca ? ca : NULL,
		.user = getenv("NF_IMAP_USER"),
		.secret = s->secret};
	s->budget = budget_new((uint64_t)64 << 20);
	snprintf(s->run, sizeof(s->run), "nf%lld", (long long)clock_wall_s() * 1000 + getpid() % 1000);
	conn_init();
	must(conn_open(&s->conn, &s->conf, NULL, NULL, NULL, &err), &err, "sign-in");
	must(folder_personal(s->conn, s->prefix, sizeof(s->prefix), &s->separator, &err), &err, "prefix");
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct server *s = *state;
	if (!s)
		return 0;
	assert_int_equal(budget_used(s->budget), 0);
	conn_close(&s->conn);
	secret_free(&s->secret);
	budget_free(&s->budget);
	free(s);
	return 0;
}

static struct server *server(void **state)
{
	if (!*state)
		skip();
	return *state;
}

/* An encoded name below this run's own: "INBOX.nf17…-what". */
static void make_name(const struct server *s, const char *what, char *out, size_t size)
{
	char *encoded, text[256];
	struct err err = ERR_INIT;
	snprintf(text, sizeof(text), "%s-%s", s->run, what);
	must(name_encode(text, &encoded, &err), &err, "name");
	snprintf(out, size, "%s%s", s->prefix, encoded);
	free(encoded);
}

static void make_folder(const struct server *s, const char *what, char *out, size_t size)
{
	struct err err = ERR_INIT;
	make_name(s, what, out, size);
	must(mailbox_create(s->conn, out, &err), &err, "create");
}

/* A mail whose print and defects are those of its octets. */
static struct mail *make_mail(const char *octets, size_t n)
{
	struct mail *m = mail_new(0);
	struct err err = ERR_INIT;
	struct scan *scan = scan_new();
	must(spool_new(&m->body, spool_dir, n, &err), &err, "spool");
	must(spool_write(m->body, octets, n, &err), &err, "spool");
	scan_feed(scan, octets, n);
	must(scan_finish(scan, &m->print, &m->defects, &err), &err, "scan");
	scan_free(&scan);
	m->received =
		(struct mail_date){.at = 1057049557, .zone_min = 120, .known = true}; /* 1 Jul 2003 10:52:37 +0200 */
	return m;
}

static struct mail *make_numbered(unsigned i, size_t padding)
{
	size_t room = padding + 300;
	char *text = malloc(room);
	int n = snprintf(text, room,
		"Message-ID: <%u@contract.test>\r\nDate: Tue, 1 Jul 2003 10:52:%02u +0200\r\n"
		"From: sender%u@example.org\r\nSubject: number\r\n %u\r\n\r\nbody %u\r\n",
		i, i % 60, i, i, i);
	while ((size_t)n + 80 < room && padding > 0) {
		size_t line = padding < 76 ? padding : 76;
		memset(text + n, 'a' + (int)(i % 26), line);
		n += (int)line;
		padding -= line;
		memcpy(text + n, "\r\n", 2);
		n += 2;
		padding = padding > 2 ? padding - 2 : 0;
	}
	struct mail *m = make_mail(text, (size_t)n);
	free(text);
	return m;
}

static void append_all(
	struct server *s, const char *folder, struct mail **v, const char *flags, struct append_item *items, size_t n)
{
	struct err err = ERR_INIT;
	for (size_t i = 0; i < n; i++)
		items[i] = (struct append_item){.mail = v[i], .flags = flags};
	must(append_mails(s->conn, folder, items, n, 0, 0, &err), &err, "append");
}

static void must_be_placed(const struct append_item *items, size_t n)
{
	char line[1600];
	for (size_t i = 0; i < n; i++)
		if (items[i].result != APPEND_PLACED)
			fail_msg("item %zu: result %d: %s", i, items[i].result,
				err_line(&items[i].err, line, sizeof(line)));
}

/* Everything in a folder through a pull; the caller frees with pull_release. */
static size_t pull_all(struct server *s, const char *folder, struct mail **out, size_t cap)
{
	struct err err = ERR_INIT, item = ERR_INIT;
	struct pull *p;
	struct folder_state fs;
	struct pull_meta *meta = calloc(cap + 1, sizeof(*meta));
	size_t n, total = 0, count = 0;
	const struct pull_conf conf = {.spool_dir = spool_dir, .memory = s->budget};
	must(pull_open(&p, s->conn, folder, &conf, &fs, &err), &err, "examine");
	assert_true(fs.uidvalidity > 0);
	for (;;) {
		must(pull_list(p, meta, cap + 1, &n, &err), &err, "list");
		if (n == 0)
			break;
		for (size_t i = 1; i < n; i++)
			assert_true(meta[i].uid > meta[i - 1].uid);
		total += n;
		must(pull_want(p, meta, n, &err), &err, "want");
	}
	assert_int_equal(total, fs.exists);
	for (;;) {
		struct mail *m;
		must(pull_next(p, &m, &item, &err), &err, "next");
		if (!m)
			break;
		assert_int_equal(item.kind, ERR_NONE);
		assert_true(count < cap);
		out[count++] = m;
	}
	assert_int_equal(count, total);
	pull_close(&p);
	free(meta);
	return count;
}

static int compare_uid(const void *a, const void *b)
{
	const struct mail *const *x = a, *const *y = b;
	return (*x)->uid < (*y)->uid ? -1 : (*x)->uid > (*y)->uid;
}

static void same_octets(const struct mail *a, const struct mail *b)
{
	assert_int_equal(a->print.size, b->print.size);
	assert_memory_equal(a->print.sha256, b->print.sha256, 32);
	assert_string_equal(a->print.message_id, b->print.message_id);
	assert_string_equal(a->print.subject, b->print.subject);
}

static void test_many_small(void **state)
{
	struct server *s = server(state);
	enum { N = 300 };
	char folder[300];
	struct mail *sent[N], *got[N];
	struct append_item items[N];
	make_folder(s, "small", folder, sizeof(folder));
	for (unsigned i = 0; i < N; i++)
		sent[i] = make_numbered(i, i * 37 % 5000);
	append_all(s, folder, sent, "(\\Seen)", items, N);
	must_be_placed(items, N);
	assert_int_equal(pull_all(s, folder, got, N), N);
	qsort(got, N, sizeof(got[0]), compare_uid);
	for (size_t i = 0; i < N; i++) {
		same_octets(sent[i], got[i]);
		assert_int_equal(got[i]->announced, got[i]->print.size);
		assert_true(got[i]->flags & MAIL_SEEN);
		assert_true(got[i]->received.known);
		assert_int_equal(got[i]->received.at, 1057049557);
		if (items[i].uid)
			assert_int_equal(items[i].uid, got[i]->uid);
		pull_release(s->budget, &got[i]);
		mail_free(&sent[i]);
	}
}

static void test_flags_and_keywords(void **state)
{
	struct server *s = server(state);
	static const struct {
		const char *text;
		unsigned flags;
		const char *keywords;
	} cases[] = {
		{"()", 0, ""},
		{"(\\Flagged \\Answered)", MAIL_FLAGGED | MAIL_ANSWERED, ""},
		{"(\\Draft \\Seen)", MAIL_DRAFT | MAIL_SEEN, ""},
		{"(\\Seen Kunde)", MAIL_SEEN, "Kunde"},
	};
	enum { N = sizeof(cases) / sizeof(cases[0]) };
	char folder[300];
	struct mail *got[N];
	make_folder(s, "flags", folder, sizeof(folder));
	for (unsigned i = 0; i < N; i++) {
		struct mail *m = make_numbered(i, 10);
		struct append_item item;
		append_all(s, folder, &m, cases[i].text, &item, 1);
		must_be_placed(&item, 1);
		mail_free(&m);
	}
	assert_int_equal(pull_all(s, folder, got, N), N);
	qsort(got, N, sizeof(got[0]), compare_uid);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(got[i]->flags, cases[i].flags);
		assert_string_equal(got[i]->keywords, cases[i].keywords);
		pull_release(s->budget, &got[i]);
	}
}

/* Opening and reading must not set \Seen. */
static void test_nothing_changes(void **state)
{
	struct server *s = server(state);
	char folder[300];
	struct mail *m = make_numbered(1, 100), *got;
	struct append_item item;
	make_folder(s, "unseen", folder, sizeof(folder));
	append_all(s, folder, &m, "()", &item, 1);
	must_be_placed(&item, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pull_all(s, folder, &got, 1), 1);
		assert_false(got->flags & MAIL_SEEN);
		pull_release(s->budget, &got);
	}
	mail_free(&m);
}

static void test_dates(void **state)
{
	struct server *s = server(state);
	static const struct mail_date dates[] = {
		{.at = 86400, .zone_min = 0, .known = true},       /* Cyrus takes 0 for "none" */
		{.at = 951782400, .zone_min = 330, .known = true}, /* 29 Feb 2000, +0530 */
		{.at = 1700000000, .zone_min = -480, .known = true},
		{.known = false},
	};
	enum { N = sizeof(dates) / sizeof(dates[0]) };
	char folder[300];
	struct mail *sent[N], *got[N];
	struct append_item items[N];
	int64_t now = clock_wall_s();
	make_folder(s, "dates", folder, sizeof(folder));
	for (unsigned i = 0; i < N; i++) {
		sent[i] = make_numbered(i, 10);
		sent[i]->received = dates[i];
	}
	append_all(s, folder, sent, "()", items, N);
	must_be_placed(items, N);
	assert_int_equal(pull_all(s, folder, got, N), N);
	qsort(got, N, sizeof(got[0]), compare_uid);
	for (size_t i = 0; i < N; i++) {
		if (dates[i].known)
			assert_int_equal(got[i]->received.at, dates[i].at);
		else
			assert_true(got[i]->received.at > now - 60 && got[i]->received.at < now + 600);
		pull_release(s->budget, &got[i]);
		mail_free(&sent[i]);
	}
}

/* Octets that servers like to touch or to refuse (Dovecot makes bare line ends CR LF, Courier adds a missing last one). The session and
   the neighbours must not care, and a refusal is this message's error. */
static void test_odd_octets(void **state)
{
	struct server *s = server(state);
	static const char bare[] = "Subject: bare\nX: y\n\nline\nline\rline\r\n";
	static const char nul[] = "Subject: nul\r\n\r\na\0b\r\n";
	static const char eight[] = "Subject: \xe4\xf6\xfc\r\n\r\n\xff\xfe\x80\r\n";
	static const char no_end[] = "Subject: no end\r\n\r\nno line end here";
	static const char header_only[] = "Subject: header only\r\n";
	static const struct {
		const char *what, *octets;
		size_t n;
		bool must_keep;
	} cases[] = {
		{"empty", "", 0, false},
		{"one", "a", 1, false},
		{"bare", bare, sizeof(bare) - 1, false},
		{"nul", nul, sizeof(nul) - 1, false},
		{"eight", eight, sizeof(eight) - 1, true},
		{"no end", no_end, sizeof(no_end) - 1, false},
		{"header", header_only, sizeof(header_only) - 1, true},
	};
	enum { N = sizeof(cases) / sizeof(cases[0]) };
	char folder[300];
	make_folder(s, "odd", folder, sizeof(folder));
	for (size_t i = 0; i < N; i++) {
		struct mail *v[3] = {
			make_numbered(1, 50), make_mail(cases[i].octets, cases[i].n), make_numbered(2, 50)};
		struct append_item items[3];
		char name[300];
		struct mail *got[3];
		snprintf(name, sizeof(name), "%zu", i);
		make_folder(s, name, folder, sizeof(folder));
		append_all(s, folder, v, "()", items, 3);
		must_be_placed(&items[0], 1);
		must_be_placed(&items[2], 1);
		size_t n = pull_all(s, folder, got, 3);
		qsort(got, n, sizeof(got[0]), compare_uid);
		same_octets(v[0], got[0]);
		same_octets(v[2], got[n - 1]);
		if (items[1].result == APPEND_PLACED) {
			assert_int_equal(n, 3);
			if (cases[i].must_keep)
				same_octets(v[1], got[1]);
		} else {
			print_message("%s: refused: %s\n", cases[i].what, items[1].err.server);
			assert_int_equal(n, 2);
			assert_int_equal(items[1].result, APPEND_REFUSED);
			assert_int_equal(items[1].err.kind, ERR_MESSAGE);
		}
		for (size_t k = 0; k < n; k++)
			pull_release(s->budget, &got[k]);
		for (size_t k = 0; k < 3; k++)
			mail_free(&v[k]);
	}
}

static void test_large(void **state)
{
	struct server *s = server(state);
	static const size_t sizes[] = {(size_t)8 << 20, ((size_t)8 << 20) + 12345, 300 * 1024, 256 * 1024, 100};
	enum { N = sizeof(sizes) / sizeof(sizes[0]) };
	char folder[300];
	struct mail *sent[N], *got[N];
	struct append_item items[N];
	make_folder(s, "large", folder, sizeof(folder));
	for (unsigned i = 0; i < N; i++)
		sent[i] = make_numbered(i, sizes[i]);
	append_all(s, folder, sent, "()", items, N);
	must_be_placed(items, N);
	assert_int_equal(pull_all(s, folder, got, N), N);
	qsort(got, N, sizeof(got[0]), compare_uid);
	for (size_t i = 0; i < N; i++) {
		struct spool *body;
		struct fingerprint print = {0};
		struct err err = ERR_INIT;
		uint32_t validity, next, exists;
		same_octets(sent[i], got[i]);
		must(mailbox_select(s->conn, folder, &validity, &next, &exists, &err), &err, "select");
		must(mailbox_read(s->conn, got[i]->uid, spool_dir, &body, &print, &err), &err, "read");
		assert_memory_equal(print.sha256, sent[i]->print.sha256, 32);
		fingerprint_done(&print);
		spool_free(&body);
		pull_release(s->budget, &got[i]);
		mail_free(&sent[i]);
	}
}

/* With and without LITERAL+, pipelined and not: the same result. */
static void test_ways_to_append(void **state)
{
	struct server *s = server(state);
	static const unsigned quirks[] = {
		QUIRK_NO_LITERAL_PLUS, QUIRK_NO_PIPELINE, QUIRK_NO_LITERAL_PLUS | QUIRK_NO_PIPELINE};
	for (size_t q = 0; q < sizeof(quirks) / sizeof(quirks[0]); q++) {
		struct server other = *s;
		struct err err = ERR_INIT;
		char folder[300], name[20];
		struct mail *sent[20], *got[20];
		struct append_item items[20];
		other.conf.quirks = quirks[q];
		must(conn_open(&other.conn, &other.conf, NULL, NULL, NULL, &err), &err, "sign-in");
		snprintf(name, sizeof(name), "way%zu", q);
		make_folder(&other, name, folder, sizeof(folder));
		for (unsigned i = 0; i < 20; i++)
			sent[i] = make_numbered(i, i * 1000);
		append_all(&other, folder, sent, "()", items, 20);
		must_be_placed(items, 20);
		assert_int_equal(pull_all(&other, folder, got, 20), 20);
		qsort(got, 20, sizeof(got[0]), compare_uid);
		for (size_t i = 0; i < 20; i++) {
			same_octets(sent[i], got[i]);
			pull_release(s->budget, &got[i]);
			mail_free(&sent[i]);
		}
		conn_close(&other.conn);
	}
}

static const struct folder *find_raw(const struct folder_list *l, const char *raw)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i].raw, raw) == 0)
			return &l->v[i];
	return NULL;
}

static void test_folders(void **state)
{
	struct server *s = server(state);
	static const char *const names[] = {"plain", "M\xc3\xbcller & S\xc3\xb6hne",
		"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "with blank", "pl+us,comma"};
	struct folder_list l;
	struct err err = ERR_INIT;
	unsigned odd = 0;
	char raw[300], child[400], expected[300];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		make_folder(s, names[i], raw, sizeof(raw));
		must(mailbox_create(s->conn, raw, &err), &err, "create again");
	}
	must(folder_list(s->conn, NULL, &l, &odd, &err), &err, "list");
	assert_int_equal(odd, 0);
	assert_int_equal(l.v[0].role, ROLE_INBOX);
	assert_string_equal(l.v[0].raw, "INBOX");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		make_name(s, names[i], raw, sizeof(raw));
		const struct folder *f = find_raw(&l, raw);
		assert_non_null(f);
		assert_int_equal(f->n_parts, 1);
		snprintf(expected, sizeof(expected), "%s-%s", s->run, names[i]);
		assert_string_equal(f->parts[0], expected);
		assert_true(f->can_select && f->is_mail && !f->is_shared);
	}
	folder_list_done(&l);
	if (!s->separator)
		return;
	make_name(s, "plain", raw, sizeof(raw));
	snprintf(child, sizeof(child), "%s%cchild%cgrandchild", raw, s->separator, s->separator);
	must(mailbox_create(s->conn, child, &err), &err, "create nested");
	must(folder_list(s->conn, NULL, &l, &odd, &err), &err, "list");
	const struct folder *f = find_raw(&l, child);
	assert_non_null(f);
	assert_int_equal(f->n_parts, 3);
	assert_string_equal(f->parts[2], "grandchild");
	folder_list_done(&l);
	/* UserRoot: what is below it, without it */
	must(folder_list(s->conn, raw, &l, &odd, &err), &err, "list below a root");
	f = find_raw(&l, child);
	assert_non_null(f);
	assert_int_equal(f->n_parts, 2);
	assert_string_equal(f->parts[0], "child");
	folder_list_done(&l);
}

static void test_refusals(void **state)
{
	struct server *s = server(state);
	struct pull *p;
	struct folder_state fs;
	struct err err = ERR_INIT;
	char raw[300];
	const struct pull_conf conf = {.spool_dir = spool_dir, .memory = s->budget};
	make_name(s, "never made", raw, sizeof(raw));
	assert_int_equal(pull_open(&p, s->conn, raw, &conf, &fs, &err), -1);
	assert_int_equal(err.kind, ERR_FOLDER);
	assert_null(p);
	struct mail *v[3] = {make_numbered(1, 10), make_numbered(2, 10), make_numbered(3, 10)};
	struct append_item items[3];
	append_all(s, raw, v, "()", items, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_true(items[i].result == APPEND_REFUSED || items[i].result == APPEND_NOT_SENT);
		assert_int_equal(items[i].err.kind, ERR_FOLDER);
		mail_free(&v[i]);
	}
	assert_false(conn_is_dead(s->conn));
	must(conn_noop(s->conn, &err), &err, "noop");
}

static void test_mailbox(void **state)
{
	struct server *s = server(state);
	enum { N = 50 };
	char folder[300], set[20];
	struct mail *sent[N];
	struct append_item items[N];
	struct mailbox_entry entries[N];
	struct err err = ERR_INIT;
	uint32_t validity, next, exists, uids[N], from = 0;
	size_t n, total = 0;
	unsigned flags;
	make_folder(s, "mailbox", folder, sizeof(folder));
	must(mailbox_select(s->conn, folder, &validity, &next, &exists, &err), &err, "select");
	assert_int_equal(exists, 0);
	must(mailbox_list(s->conn, 0, entries, N, &n, &err), &err, "list of nothing");
	assert_int_equal(n, 0);
	for (unsigned i = 0; i < N; i++)
		sent[i] = make_numbered(i, 20);
	append_all(s, folder, sent, "()", items, N);
	must_be_placed(items, N);
	must(mailbox_select(s->conn, folder, &validity, &next, &exists, &err), &err, "select");
	assert_int_equal(exists, N);
	for (;;) {
		must(mailbox_list(s->conn, from, entries, 7, &n, &err), &err, "list");
		if (n == 0)
			break;
		for (size_t i = 0; i < n; i++) {
			assert_true(entries[i].uid >= from);
			assert_string_equal(entries[i].print.message_id, sent[total]->print.message_id);
			assert_string_equal(entries[i].print.subject, sent[total]->print.subject);
			assert_string_equal(entries[i].print.from, sent[total]->print.from);
			assert_string_equal(entries[i].print.date, sent[total]->print.date);
			assert_int_equal(entries[i].size, sent[total]->print.size);
			uids[total++] = entries[i].uid;
			from = entries[i].uid + 1;
			fingerprint_done(&entries[i].print);
		}
	}
	assert_int_equal(total, N);
	uint32_t found[N];
	must(mailbox_uids(s->conn, uids[3], uids[40], found, N, &n, &err), &err, "uids");
	assert_int_equal(n, 38);
	assert_memory_equal(found, uids + 3, 38 * sizeof(uids[0]));
	snprintf(set, sizeof(set), "%lu:%lu", (unsigned long)uids[0], (unsigned long)uids[9]);
	must(mailbox_store(s->conn, set, true, "(\\Flagged)", &err), &err, "store");
	must(mailbox_flags(s->conn, uids[5], &flags, &err), &err, "flags");
	assert_int_equal(flags & MAIL_FLAGGED, MAIL_FLAGGED);
	must(mailbox_store(s->conn, set, false, "(\\Flagged)", &err), &err, "store");
	must(mailbox_flags(s->conn, uids[5], &flags, &err), &err, "flags");
	assert_int_equal(flags & MAIL_FLAGGED, 0);
	assert_int_equal(mailbox_flags(s->conn, uids[N - 1] + 1000, &flags, &err), -1);
	assert_int_equal(err.kind, ERR_GONE);
	struct spool *body;
	assert_int_equal(mailbox_read(s->conn, uids[N - 1] + 1000, spool_dir, &body, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_GONE);
	assert_null(body);
	for (unsigned i = 0; i < N; i++)
		mail_free(&sent[i]);
}

/* Messages that vanish between listing and fetching are GONE, one by one; those that vanish while we list cost nobody else. */
static void test_expunged_meanwhile(void **state)
{
	struct server *s = server(state);
	enum { N = 60 };
	char folder[300], set[40];
	struct mail *sent[N], *m;
	struct append_item items[N];
	struct pull_meta meta[N];
	struct err err = ERR_INIT, item = ERR_INIT;
	struct server other = *s;
	struct pull *p;
	struct folder_state fs;
	uint32_t validity, next, exists;
	size_t n, listed = 0, gone = 0, whole = 0;
	const struct pull_conf conf = {.spool_dir = spool_dir, .memory = s->budget, .set_messages = 10};
	if (!conn_has_capability(s->conn, "UIDPLUS"))
		skip();
	make_folder(s, "expunged", folder, sizeof(folder));
	for (unsigned i = 0; i < N; i++)
		sent[i] = make_numbered(i, 20);
	append_all(s, folder, sent, "()", items, N);
	must_be_placed(items, N);
	must(conn_open(&other.conn, &other.conf, NULL, NULL, NULL, &err), &err, "sign-in");
	must(pull_open(&p, s->conn, folder, &conf, &fs, &err), &err, "examine");
	for (bool expunged = false;; expunged = true) {
		must(pull_list(p, meta + listed, 20, &n, &err), &err, "list");
		if (n == 0)
			break;
		listed += n;
		if (expunged)
			continue;
		/* the first ten go while we are at the first range */
		must(mailbox_select(other.conn, folder, &validity, &next, &exists, &err), &err, "select");
		snprintf(set, sizeof(set), "%lu:%lu", (unsigned long)meta[0].uid, (unsigned long)meta[9].uid);
		must(mailbox_store(other.conn, set, true, "(\\Deleted)", &err), &err, "store");
		for (size_t i = 0; i < 10; i++)
			must(mailbox_remove_probe(other.conn, folder, meta[i].uid, &err), &err, "expunge");
		must(conn_noop(s->conn, &err), &err, "noop");
	}
	assert_in_range(listed, N, N + 20);
	must(pull_want(p, meta, listed, &err), &err, "want");
	for (;;) {
		must(pull_next(p, &m, &item, &err), &err, "next");
		if (!m)
			break;
		if (item.kind == ERR_NONE)
			whole++;
		else
			gone += item.kind == ERR_GONE || item.kind == ERR_MESSAGE;
		pull_release(s->budget, &m);
	}
	assert_int_equal(gone, 10);
	assert_int_equal(whole, listed - 10);
	pull_close(&p);
	conn_close(&other.conn);
	for (unsigned i = 0; i < N; i++)
		mail_free(&sent[i]);
}

static void test_probe_is_removed(void **state)
{
	struct server *s = server(state);
	char folder[300];
	struct mail *m = make_numbered(1, 20);
	struct append_item item;
	struct err err = ERR_INIT;
	struct folder_list l;
	uint32_t validity, next, exists;
	struct mailbox_entry entry;
	size_t n;
	make_folder(s, "probe", folder, sizeof(folder));
	append_all(s, folder, &m, "(\\Seen)", &item, 1);
	must_be_placed(&item, 1);
	must(mailbox_select(s->conn, folder, &validity, &next, &exists, &err), &err, "select");
	must(mailbox_list(s->conn, 1, &entry, 1, &n, &err), &err, "list");
	assert_int_equal(n, 1);
	fingerprint_done(&entry.print);
	must(mailbox_remove_probe(s->conn, folder, 0, &err), &err, "not yet: it is not empty");
	must(mailbox_remove_probe(s->conn, folder, entry.uid, &err), &err, "remove");
	must(mailbox_remove_probe(s->conn, folder, 0, &err), &err, "remove the folder");
	must(mailbox_remove_probe(s->conn, folder, 0, &err), &err, "remove what is not there");
	must(folder_list(s->conn, NULL, &l, NULL, &err), &err, "list");
	assert_null(find_raw(&l, folder));
	folder_list_done(&l);
	mail_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_small),
		cmocka_unit_test(test_flags_and_keywords),
		cmocka_unit_test(test_nothing_changes),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_odd_octets),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_ways_to_append),
		cmocka_unit_test(test_folders),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_mailbox),
		cmocka_unit_test(test_expunged_meanwhile),
		cmocka_unit_test(test_probe_is_removed),
	};
	return cmocka_run_group_tests_name("imap contract", tests, setup, teardown);
}
