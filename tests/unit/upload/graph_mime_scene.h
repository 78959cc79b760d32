/* A target of the route mime, opened in a made-up Graph, and mail for it. For the tests of target_graph_mime*. */
#ifndef NF_TEST_GRAPH_MIME_SCENE_H
#define NF_TEST_GRAPH_MIME_SCENE_H

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

static inline struct graph_world *opened(struct stop *stop)
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

static inline struct mail *mail_of(const char *text, size_t n, unsigned flags, const char *keywords)
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

static inline void scene_begin(void)
{
	signal(SIGPIPE, SIG_IGN);
	unsetenv("https_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("ALL_PROXY");
	unsetenv("all_proxy");
	upload_init();
}

#endif
