/* A real server's mailbox that may be written to: NF_IMAP_HOST, NF_IMAP_PORT, NF_IMAP_USER, NF_IMAP_PASS, NF_IMAP_CA (unset or empty: without TLS).
   Without NF_IMAP_HOST all tests are skipped. For imap_test.c and mailbox_test.c. */
#ifndef NF_TESTS_IMAP_SCENE_H
#define NF_TESTS_IMAP_SCENE_H

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

static inline void must(int rc, const struct err *err, const char *what)
{
	char line[1600];
	if (rc < 0)
		fail_msg("%s: %s: %s", what, err_kind_name(err->kind), err_line(err, line, sizeof(line)));
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
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

static inline struct server *server(void **state)
{
	if (!*state)
		skip();
	return *state;
}

/* An encoded name below this run's own: "INBOX.nf17…-what". */
static inline void make_name(const struct server *s, const char *what, char *out, size_t size)
{
	char *encoded, text[256];
	struct err err = ERR_INIT;
	snprintf(text, sizeof(text), "%s-%s", s->run, what);
	must(name_encode(text, &encoded, &err), &err, "name");
	snprintf(out, size, "%s%s", s->prefix, encoded);
	free(encoded);
}

static inline void make_folder(const struct server *s, const char *what, char *out, size_t size)
{
	struct err err = ERR_INIT;
	make_name(s, what, out, size);
	must(mailbox_create(s->conn, out, &err), &err, "create");
}

/* A mail whose print and defects are those of its octets. */
static inline struct mail *make_mail(const char *octets, size_t n)
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

static inline struct mail *make_numbered(unsigned i, size_t padding)
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

static inline void append_all(
	struct server *s, const char *folder, struct mail **v, const char *flags, struct append_item *items, size_t n)
{
	struct err err = ERR_INIT;
	for (size_t i = 0; i < n; i++)
		items[i] = (struct append_item){.mail = v[i], .flags = flags};
	must(append_mails(s->conn, folder, items, n, 0, 0, &err), &err, "append");
}

static inline void must_be_placed(const struct append_item *items, size_t n)
{
	char line[1600];
	for (size_t i = 0; i < n; i++)
		if (items[i].result != APPEND_PLACED)
			fail_msg("item %zu: result %d: %s", i, items[i].result,
				err_line(&items[i].err, line, sizeof(line)));
}

/* Everything in a folder through a pull; the caller frees with pull_release. */
static inline size_t pull_all(struct server *s, const char *folder, struct mail **out, size_t cap)
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

static inline int compare_uid(const void *a, const void *b)
{
	const struct mail *const *x = a, *const *y = b;
	return (*x)->uid < (*y)->uid ? -1 : (*x)->uid > (*y)->uid;
}

static inline void same_octets(const struct mail *a, const struct mail *b)
{
	assert_int_equal(a->print.size, b->print.size);
	assert_memory_equal(a->print.sha256, b->print.sha256, 32);
	assert_string_equal(a->print.message_id, b->print.message_id);
	assert_string_equal(a->print.subject, b->print.subject);
}

static inline const struct folder *find_raw(const struct folder_list *l, const char *raw)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i].raw, raw) == 0)
			return &l->v[i];
	return NULL;
}

#endif
