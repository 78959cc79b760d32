#include "imap/dial.h"

#include "engine/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOON (clock_mono_ms() + 5000)

static void test_what_is_no_host_is_refused(void **state)
{
	struct lookup *l;
	struct err err = ERR_INIT;
	char long_name[400];

	(void)state;
	memset(long_name, 'a', sizeof long_name);
	long_name[sizeof long_name - 1] = 0;
	assert_int_equal(dial_resolve(&l, "", 993, NULL, SOON, &err), -1);
	assert_int_equal(err.kind, ERR_DNS);
	assert_int_equal(dial_resolve(&l, long_name, 993, NULL, SOON, &err), -1);
	assert_int_equal(dial_resolve(&l, "127.0.0.1", 0, NULL, SOON, &err), -1);
	assert_int_equal(dial_resolve(&l, "127.0.0.1", 65536, NULL, SOON, &err), -1);
	assert_null(l);
}

/* Whether the helper thread is faster or left behind: under the sanitizers nothing may leak or be used twice. */
static void test_resolving_can_be_stopped(void **state)
{
	struct stop *stop = stop_new(NULL);
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < 50; i++) {
		struct lookup *l = NULL;
		if (dial_resolve(&l, "localhost", 993, NULL, i % 2 ? SOON : clock_mono_ms(), &err))
			assert_int_equal(err.kind, ERR_DNS);
		dial_free(&l);
		assert_null(l);
	}
	stop_request(stop, STOP_NOW);
	struct lookup *l = NULL;
	if (dial_resolve(&l, "localhost", 993, stop, SOON, &err))
		assert_true(err.kind == ERR_STOPPED || err.kind == ERR_DNS);
	dial_free(&l);
	stop_free(&stop);
}

static int listener(unsigned *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static void test_connects_or_tells_why_not(void **state)
{
	struct lookup *l;
	struct stop *stop = stop_new(NULL);
	struct err err = ERR_INIT;
	char address[64];
	unsigned port;
	int fd, far = listener(&port);

	(void)state;
	assert_int_equal(dial_resolve(&l, "127.0.0.1", port, stop, SOON, &err), 0);
	assert_int_equal(dial_connect(l, stop, SOON, &fd, address, sizeof address, &err), 0);
	assert_string_equal(address, "127.0.0.1");
	close(fd);
	close(far);
	assert_int_equal(dial_connect(l, stop, SOON, &fd, address, sizeof address, &err), -1);
	assert_int_equal(err.kind, ERR_FIREWALL);
	assert_non_null(strstr(err.text, "refused"));
	assert_true(err.hint[0]);
	stop_request(stop, STOP_NOW);
	assert_int_equal(dial_connect(l, stop, SOON, &fd, address, sizeof address, &err), -1);
	assert_int_equal(err.kind, ERR_STOPPED);
	assert_int_equal(fd, -1);
	dial_free(&l);
	stop_free(&stop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_no_host_is_refused),
		cmocka_unit_test(test_resolving_can_be_stopped),
		cmocka_unit_test(test_connects_or_tells_why_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
