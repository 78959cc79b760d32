/* One pull against the fake server, for pull_test.c, pull_refusal_test.c and pull_list_test.c: what is set before, what came, what is left. */
#ifndef NF_TESTS_PULL_SCENE_H
#define NF_TESTS_PULL_SCENE_H

#include "imap/pull.h"
#include "tests/contract/fake_imap.h"

enum { MOST = 400 };

struct scene {
	struct fake fake;
	struct secret *secret;
	struct conn_conf conf;
	struct conn *conn;
	struct budget *budget;
	struct pull *pull;
	struct pull_conf pull_conf;
	struct folder_state state;
	struct err open_err;
	bool open;
	/* what came */
	struct pull_meta listed[4 * MOST];
	size_t n_listed;
	struct {
		uint32_t uid;
		enum err_kind kind;
		uint64_t size;
		char first;
		char server[64];
	} got[4 * MOST];
	size_t n_got;
	int list_rc, next_rc;
	struct err list_err, next_err;
};

static inline struct fake_message *numbered(size_t n, uint64_t size)
{
	struct fake_message *v = calloc(n, sizeof(*v));
	for (size_t i = 0; i < n; i++)
		v[i] = (struct fake_message){
			.uid = (uint32_t)(10 * (i + 1)), .announced = size, .size = size, .fill = 'x'};
	return v;
}

static inline struct scene *begin(struct fake_message *v, size_t n)
{
	struct scene *s = calloc(1, sizeof(*s));
	s->fake = (struct fake){.v = v, .n = n};
	s->secret = secret_new("pw", 2);
	s->budget = budget_new((uint64_t)8 << 20);
	s->pull_conf = (struct pull_conf){.spool_dir = "/tmp", .memory = s->budget, .set_messages = 10};
	return s;
}

static inline void open_folder(struct scene *s)
{
	struct err err = ERR_INIT;
	fake_start(&s->fake);
	s->conf = (struct conn_conf){.host = "127.0.0.1",
		.port = s->fake.port,
		.tls = TLS_NONE,
		.user = "u",
		.secret = s->secret,
		.quirks = s->conf.quirks,
		.silence_ms = 20000};
	if (conn_open(&s->conn, &s->conf, NULL, NULL, NULL, &err) < 0)
		fail_msg("sign-in: %s %s", err.text, err.server);
	s->open_err = ERR_INIT;
	s->open = pull_open(&s->pull, s->conn, "INBOX", &s->pull_conf, &s->state, &s->open_err) == 0;
}

static inline void list_all(struct scene *s, size_t cap)
{
	s->list_err = ERR_INIT;
	for (size_t n = 1; n > 0; s->n_listed += n) {
		if (s->n_listed + cap > 4 * MOST)
			fail_msg("the listing does not end");
		s->list_rc = pull_list(s->pull, s->listed + s->n_listed, cap, &n, &s->list_err);
		if (s->list_rc < 0)
			return;
	}
}

static inline void next_all(struct scene *s)
{
	struct err item = ERR_INIT;
	struct mail *m;
	s->next_err = ERR_INIT;
	for (;;) {
		s->next_rc = pull_next(s->pull, &m, &item, &s->next_err);
		if (s->next_rc < 0 || !m)
			return;
		assert_true(s->n_got < 4 * MOST);
		s->got[s->n_got].uid = m->uid;
		s->got[s->n_got].kind = item.kind;
		snprintf(s->got[s->n_got].server, sizeof(s->got[0].server), "%s", item.server);
		assert_true((item.kind == ERR_NONE) == (m->body != NULL));
		if (m->body) {
			size_t n;
			struct err err = ERR_INIT;
			s->got[s->n_got].size = m->print.size;
			assert_int_equal(spool_size(m->body), m->print.size);
			if (m->print.size > 0)
				assert_int_equal(
					spool_read(m->body, m->print.size - 1, &s->got[s->n_got].first, 1, &n, &err),
					0);
		}
		s->n_got++;
		pull_release(s->budget, &m);
	}
}

static inline void fetch_all(struct scene *s)
{
	struct err err = ERR_INIT;
	open_folder(s);
	assert_true(s->open);
	list_all(s, MOST);
	assert_int_equal(s->list_rc, 0);
	assert_int_equal(pull_want(s->pull, s->listed, s->n_listed, &err), 0);
	next_all(s);
}

/* The rest of the session still works, and everything reserved was given back. */
static inline void end(struct scene *s)
{
	pull_close(&s->pull);
	assert_int_equal(budget_used(s->budget), 0);
	conn_close(&s->conn);
	fake_stop(&s->fake);
	free(s->fake.v);
	secret_free(&s->secret);
	budget_free(&s->budget);
	free(s);
}

static inline void outcome(const struct scene *s, uint32_t uid, enum err_kind kind)
{
	size_t times = 0;
	for (size_t i = 0; i < s->n_got; i++) {
		if (s->got[i].uid != uid)
			continue;
		times++;
		if (s->got[i].kind != kind)
			fail_msg("uid %u: %s instead of %s", uid, err_kind_name(s->got[i].kind), err_kind_name(kind));
	}
	if (times != 1)
		fail_msg("uid %u came %zu times", uid, times);
}

/* All but one are whole; the one has this kind. */
static inline void all_but(struct scene *s, uint32_t uid, enum err_kind kind)
{
	fake_sync(&s->fake);
	assert_int_equal(s->next_rc, 0);
	assert_int_equal(s->n_got, s->fake.n);
	for (size_t i = 0; i < s->fake.n; i++)
		outcome(s, s->fake.v[i].uid, s->fake.v[i].uid == uid ? kind : ERR_NONE);
}

static inline bool wants_body(const char *items)
{
	return strstr(items, "BODY") != NULL;
}

/* A hook: nothing is said of the special message's body. */
static inline bool no_line(struct fake *f, size_t i, const char *items)
{
	return wants_body(items) && f->v[i].uid == f->special;
}

#endif
