#include "imap/net.h"

#include "engine/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define UNREAD ((size_t)700 << 10) /* more than a socket holds, less than the stash */
#define SENT ((size_t)8 << 20)

/* A server that answers and answers before it reads on, as a pipelining client must expect. */
static void *stubborn_server(void *arg)
{
	int fd = *(int *)arg;
	static char block[65536];
	size_t left = UNREAD, got = 0;

	for (size_t i = 0; i < sizeof block; i += 8)
		memcpy(block + i, "* 1 XX\r\n", 8);
	while (left) {
		ssize_t n = send(fd, block, left < sizeof block ? left : sizeof block, MSG_NOSIGNAL);
		if (n <= 0)
			return NULL;
		left -= (size_t)n;
	}
	while (got < SENT) {
		ssize_t n = recv(fd, block, sizeof block, 0);
		if (n <= 0)
			return NULL;
		got += (size_t)n;
	}
	send(fd, "1 OK\r\n", 6, MSG_NOSIGNAL);
	return arg;
}

struct pair {
	int far;
	struct net *net;
	mailstream *stream;
};

static void open_pair(struct pair *p, struct stop *stop, int silence_ms)
{
	int ends[2];
	struct err err = ERR_INIT;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	p->far = ends[1];
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(net_new(&p->net, ends[0], stop, silence_ms, &err), 0);
	p->stream = net_stream(p->net);
}

static void close_pair(struct pair *p)
{
	mailstream_close(p->stream);
	net_free(&p->net);
	close(p->far);
}

static void test_a_long_write_does_not_deadlock(void **state)
{
	struct pair p;
	pthread_t thread;
	void *served;
	char *data = calloc(1, SENT), line[200];
	size_t seen = 0;

	(void)state;
	open_pair(&p, NULL, 5000);
	pthread_create(&thread, NULL, stubborn_server, &p.far);
	assert_int_equal(mailstream_write(p.stream, data, SENT), SENT);
	assert_int_equal(mailstream_flush(p.stream), 0);
	while (seen < UNREAD + 6) {
		ssize_t n = mailstream_read(p.stream, line, sizeof line);
		assert_true(n > 0);
		seen += (size_t)n;
	}
	pthread_join(thread, &served);
	assert_non_null(served);
	free(data);
	close_pair(&p);
}

static void test_silence_ends_a_wait(void **state)
{
	struct pair p;
	char text[10];

	(void)state;
	open_pair(&p, NULL, 20);
	int64_t began = clock_mono_ms();
	assert_int_equal(mailstream_read(p.stream, text, sizeof text), -1);
	assert_true(clock_mono_ms() - began < 60000);
	assert_int_equal(net_failure(p.net)->kind, ERR_LOST);
	assert_true(net_is_broken(p.net));
	close_pair(&p);
}

/* An octet at a time until nobody listens, for a minute at most. */
static void *dripping_server(void *arg)
{
	int fd = *(int *)arg;

	for (int64_t end = clock_mono_ms() + 60000; clock_mono_ms() < end;) {
		if (send(fd, ".", 1, MSG_NOSIGNAL) < 0)
			return NULL;
		clock_sleep_ms(2, -1);
	}
	shutdown(fd, SHUT_RDWR);
	return NULL;
}

static void test_an_answer_that_never_ends(void **state)
{
	struct pair p;
	pthread_t thread;
	char text[100];

	(void)state;
	open_pair(&p, NULL, 50);
	net_begin_answer(p.net);
	pthread_create(&thread, NULL, dripping_server, &p.far);
	while (mailstream_read(p.stream, text, sizeof text) > 0)
		;
	assert_int_equal(net_failure(p.net)->kind, ERR_LOST);
	/* or, on a busy machine, the other thread was away for so long */
	if (!strstr(net_failure(p.net)->text, "next to nothing") && !strstr(net_failure(p.net)->text, "was silent"))
		fail_msg("%s", net_failure(p.net)->text);
	mailstream_close(p.stream);
	net_free(&p.net);
	pthread_join(thread, NULL);
	close(p.far);
}

static void test_stop_now_ends_a_wait_and_drain_does_not(void **state)
{
	struct pair p;
	struct stop *stop = stop_new(NULL);
	char text[10];

	(void)state;
	open_pair(&p, stop, 60000);
	stop_request(stop, STOP_DRAIN);
	assert_int_equal(send(p.far, "* OK\r\n", 6, 0), 6);
	assert_true(mailstream_read(p.stream, text, sizeof text) > 0);
	stop_request(stop, STOP_NOW);
	assert_int_equal(mailstream_write(p.stream, "abc", 3), 3);
	assert_int_equal(mailstream_flush(p.stream), -1);
	assert_int_equal(mailstream_read(p.stream, text, sizeof text), -1);
	assert_int_equal(net_failure(p.net)->kind, ERR_STOPPED);
	close_pair(&p);
	stop_free(&stop);
}

static void test_what_had_arrived_is_read_after_a_failed_write(void **state)
{
	struct pair p;
	struct repair_status words;
	char *data = calloc(1, SENT), line[100];

	(void)state;
	open_pair(&p, NULL, 5000);
	assert_int_equal(send(p.far, "1 OK first\r\n* BYE enough\r\n", 26, 0), 26);
	shutdown(p.far, SHUT_RDWR);
	assert_int_equal(mailstream_write(p.stream, data, SENT), -1);
	assert_int_equal(net_failure(p.net)->kind, ERR_LOST);
	assert_true(filter_peek_words(net_filter(p.net), &words));
	assert_string_equal(words.words, "enough");
	ssize_t n = mailstream_read(p.stream, line, sizeof line - 1);
	assert_int_equal(n, 12);
	line[n] = 0;
	assert_string_equal(line, "1 OK first\r\n");
	free(data);
	close_pair(&p);
}

static void test_octets_after_the_answer_to_starttls_are_refused(void **state)
{
	struct pair p;
	struct err err = ERR_INIT;
	struct tls_facts facts;
	struct tls_conf conf = {.host = "x", .port = 143, .starttls = true};
	char line[100];

	(void)state;
	open_pair(&p, NULL, 5000);
	assert_int_equal(send(p.far, "1 OK go\r\n* CAPABILITY EVIL\r\n", 28, 0), 28);
	assert_int_equal(mailstream_read(p.stream, line, sizeof line), 9);
	assert_int_equal(net_secure(p.net, &conf, clock_mono_ms() + 1000, &facts, &err), -1);
	assert_int_equal(err.kind, ERR_TLS);
	assert_false(net_is_secure(p.net));
	close_pair(&p);
}

static void test_clear_text_on_a_tls_port_is_told(void **state)
{
	struct pair p;
	struct err err = ERR_INIT;
	struct tls_facts facts;
	struct tls_conf conf = {.host = "x", .port = 143};

	(void)state;
	open_pair(&p, NULL, 5000);
	assert_int_equal(send(p.far, "* OK hello\r\n", 12, 0), 12);
	assert_int_equal(net_secure(p.net, &conf, clock_mono_ms() + 1000, &facts, &err), -1);
	assert_int_equal(err.kind, ERR_TLS);
	assert_non_null(strstr(err.text, "clear text"));
	assert_non_null(strstr(err.hint, "starttls"));
	close_pair(&p);
}

static void test_inspectors(void **state)
{
	(void)state;
	assert_string_equal(tls_inspector("C = US, O = Fortinet, CN = FGT60F"), "Fortinet FortiGate");
	assert_string_equal(tls_inspector("CN = ZSCALER Root CA"), "Zscaler");
	assert_null(tls_inspector("C = US, O = DigiCert Inc, CN = DigiCert Global G2"));
	assert_null(tls_inspector("C = US, O = Let's Encrypt, CN = R11"));
}

/* A wait for many octets ends with the few that come: nothing is held back. Over TCP, where the low-water mark counts. */
static void test_fewer_octets_than_expected(void **state)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof any;
	struct err err = ERR_INIT;
	struct net *n;
	const char *line;
	size_t len;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&any, sizeof any) | listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&any, &size), 0);
	assert_int_equal(connect(near, (struct sockaddr *)&any, sizeof any), 0);
	int far = accept(listener, NULL, NULL);
	assert_int_equal(fcntl(near, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(net_new(&n, near, NULL, 60000, &err), 0);
	net_expect(n, 100000);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(send(far, "1 OK done\r\n", 11, 0), 11);
		assert_true(net_peek_line(n, &line, &len));
		assert_int_equal(len, 9);
		filter_pass_line(net_filter(n), len);
	}
	net_expect(n, 0);
	assert_int_equal(send(far, "x\r\n", 3, 0), 3);
	assert_true(net_peek_line(n, &line, &len));
	close(far);
	filter_pass_line(net_filter(n), len);
	net_expect(n, 100000);
	assert_false(net_peek_line(n, &line, &len)); /* the end of the connection is seen too */
	assert_int_equal(net_failure(n)->kind, ERR_LOST);
	net_free(&n);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fewer_octets_than_expected),
		cmocka_unit_test(test_a_long_write_does_not_deadlock),
		cmocka_unit_test(test_silence_ends_a_wait),
		cmocka_unit_test(test_an_answer_that_never_ends),
		cmocka_unit_test(test_stop_now_ends_a_wait_and_drain_does_not),
		cmocka_unit_test(test_what_had_arrived_is_read_after_a_failed_write),
		cmocka_unit_test(test_octets_after_the_answer_to_starttls_are_refused),
		cmocka_unit_test(test_clear_text_on_a_tls_port_is_told),
		cmocka_unit_test(test_inspectors),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
