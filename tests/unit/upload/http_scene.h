/* An HTTP client of ours and a TLS server of the test's, for http_test.c and http_answer_test.c. */
#ifndef NF_TEST_HTTP_SCENE_H
#define NF_TEST_HTTP_SCENE_H

#include "tests/unit/upload/tls_server.h"

#include <signal.h>

static int dummy;
static inline struct permit *a_permit(void)
{
	return (struct permit *)(void *)&dummy;
}

static inline void start(struct tls_server *s, struct reply (*handler)(struct tls_server *, const struct seen *))
{
	memset(s, 0, sizeof(*s));
	s->handler = handler;
	tls_server_start(s, "IP:127.0.0.1");
}

static inline struct http *client(const struct tls_server *s, struct stop *stop)
{
	struct http *h = NULL;
	struct err e = ERR_INIT;
	struct http_conf conf = {.ca_file = s->ca_path, .connect_ms = 5000, .silence_ms = 20000};
	assert_int_equal(http_new(&h, &conf, stop, &e), 0);
	return h;
}

/* No proxy of the machine's comes between. */
static inline void http_begin(void)
{
	signal(SIGPIPE, SIG_IGN);
	unsetenv("https_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("ALL_PROXY");
	unsetenv("all_proxy");
	http_init();
}

#endif
