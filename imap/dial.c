#include "imap/dial.h"

#include "engine/base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESSES_MAX 8
/* A silent address gets this much of a start before the next one is tried beside it (RFC 8305 advises 250 ms; mail servers behind
   slow lines answer later, and two connections at once may count against a limit). */
#define NEXT_ADDRESS_MS 2000

/* Shared by the asking thread and the resolving one; the last to let go frees it. */
struct lookup {
	atomic_int holders;
	atomic_bool done;
	int wake;                 /* eventfd, written once when done */
	int result, system_errno; /* of getaddrinfo; valid once done */
	struct addrinfo *list;    /* owned; valid once done */
	char host[256], service[8];
};

static void let_go(struct lookup *l)
{
	if (atomic_fetch_sub_explicit(&l->holders, 1, memory_order_acq_rel) != 1)
		return;
	if (l->list)
		freeaddrinfo(l->list);
	if (l->wake >= 0)
		close(l->wake);
	free(l);
}

void dial_free(struct lookup **l)
{
	if (*l)
		let_go(*l);
	*l = NULL;
}

static void ask(struct lookup *l, int flags)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};

	l->result = getaddrinfo(l->host, l->service, &hints, &l->list);
	l->system_errno = errno;
}

static void *resolving_thread(void *arg)
{
	struct lookup *l = arg;
	uint64_t one = 1;

	ask(l, AI_ADDRCONFIG);
	atomic_store_explicit(&l->done, true, memory_order_release);
	if (write(l->wake, &one, sizeof one) < 0)
		atomic_store_explicit(&l->done, true, memory_order_release); /* an eventfd of ours cannot be full */
	let_go(l);
	return NULL;
}

static int start_thread(struct lookup *l, struct err *err)
{
	pthread_t thread;
	pthread_attr_t attr;
	sigset_t all, before;

	atomic_fetch_add(&l->holders, 1);
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals belong to one thread */
	int failed = pthread_create(&thread, &attr, resolving_thread, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (!failed)
		return 0;
	atomic_fetch_sub(&l->holders, 1);
	return err_set(err, ERR_DNS, "no thread to resolve %s: %s", l->host, strerror(failed));
}

int dial_wait(int fd, short events, short *happened, struct stop *stop, int64_t deadline, struct err *err)
{
	for (;;) {
		int64_t left = deadline - clock_mono_ms();
		struct pollfd p[2] = {{.fd = fd, .events = events}, {.fd = stop_fd(stop, STOP_NOW), .events = POLLIN}};
		if (stop_is_now(stop))
			return err_set(err, ERR_STOPPED, "stopped on request");
		if (left <= 0)
			return err_set(err, ERR_LOST, "time ran out");
		int r = poll(p, 2, left > 1000000 ? 1000000 : (int)left);
		if (r < 0 && errno != EINTR)
			return err_set(err, ERR_LOST, "poll: %s", strerror(errno));
		if (r > 0 && p[0].revents) {
			if (happened)
				*happened = p[0].revents;
			return 0;
		}
	}
}

static int explain_dns(const struct lookup *l, struct err *err)
{
	if (l->result == EAI_SYSTEM)
		err_set(err, ERR_DNS, "the name %s does not resolve: %s", l->host, strerror(l->system_errno));
	else
		err_set(err, ERR_DNS, "the name %s does not resolve: %s", l->host, gai_strerror(l->result));
	if (l->result == EAI_NONAME)
		err_hint(err, "check the spelling of the host name, and that this machine's resolver knows it");
	else
		err_hint(err, "this machine's name resolver does not work at the moment: see "
			      "/etc/resolv.conf and the firewall for port 53");
	return -1;
}

static int wait_resolved(struct lookup *l, struct stop *stop, int64_t deadline, struct err *err)
{
	while (!atomic_load_explicit(&l->done, memory_order_acquire)) {
		if (!dial_wait(l->wake, POLLIN, NULL, stop, deadline, err))
			continue;
		if (err->kind == ERR_STOPPED)
			return -1;
		err_set(err, ERR_DNS, "the name %s was not resolved in time", l->host);
		err_hint(err, "the name resolver does not answer: see /etc/resolv.conf and the firewall for "
			      "port 53");
		return -1;
	}
	return l->result ? explain_dns(l, err) : 0;
}

int dial_resolve(
	struct lookup **out, const char *host, unsigned port, struct stop *stop, int64_t deadline, struct err *err)
{
	struct lookup *l = calloc(1, sizeof *l);

	*out = NULL;
	if (!l)
		return err_set(err, ERR_MEMORY, "out of memory");
	atomic_init(&l->holders, 1);
	l->wake = -1;
	int n = snprintf(l->host, sizeof l->host, "%s", host);
	if (n <= 0 || (size_t)n >= sizeof l->host || port == 0 || port > 65535) {
		err_set(err, ERR_DNS, "not a host and port: %.100s:%u", host, port);
		goto failed;
	}
	snprintf(l->service, sizeof l->service, "%u", port);
	ask(l, AI_NUMERICHOST); /* does not block */
	if (l->result) {
		l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (l->wake < 0) {
			err_set(err, ERR_DNS, "no descriptor left: %s", strerror(errno));
			goto failed;
		}
		if (start_thread(l, err) || wait_resolved(l, stop, deadline, err))
			goto failed;
	}
	*out = l;
	return 0;
failed:
	let_go(l);
	return -1;
}

/* --- connecting --- */

struct attempt {
	int fd;
	const struct addrinfo *address;
};

struct race {
	struct attempt v[ADDRESSES_MAX];
	size_t n;
	char causes[400]; /* why each address failed, for the text */
	int last_errno;
};

static void name_address(const struct addrinfo *a, char *out, size_t size)
{
	if (getnameinfo(a->ai_addr, a->ai_addrlen, out, (socklen_t)size, NULL, 0, NI_NUMERICHOST))
		snprintf(out, size, "?");
}

static void note_cause(struct race *r, const struct addrinfo *a, int code)
{
	char address[64];
	size_t used = strlen(r->causes);

	name_address(a, address, sizeof address);
	snprintf(r->causes + used, sizeof r->causes - used, "%s%s: %s", used ? "; " : "", address, strerror(code));
	/* A refusal says more than an address family that is not there. */
	if (!r->last_errno || (r->last_errno != ECONNREFUSED && code != ENETUNREACH && code != EADDRNOTAVAIL))
		r->last_errno = code;
}

static void drop(struct race *r, size_t i)
{
	close(r->v[i].fd);
	r->v[i] = r->v[--r->n];
}

/* 1: connected at once. 0: under way or failed. */
static int start_attempt(struct race *r, const struct addrinfo *a)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);

	if (fd < 0) {
		note_cause(r, a, errno);
		return 0;
	}
	int connected = connect(fd, a->ai_addr, a->ai_addrlen);
	if (connected < 0 && errno != EINPROGRESS) {
		note_cause(r, a, errno);
		close(fd);
		return 0;
	}
	r->v[r->n++] = (struct attempt){fd, a};
	return connected == 0;
}

/* Index of the attempt that succeeded, -1 none yet, -2 stopped. */
static int poll_attempts(struct race *r, struct stop *stop, int64_t until)
{
	struct pollfd p[ADDRESSES_MAX + 1];
	int64_t left = until - clock_mono_ms();

	for (size_t i = 0; i < r->n; i++)
		p[i] = (struct pollfd){.fd = r->v[i].fd, .events = POLLOUT};
	p[r->n] = (struct pollfd){.fd = stop_fd(stop, STOP_NOW), .events = POLLIN};
	if (poll(p, (nfds_t)r->n + 1, left < 0 ? 0 : left > 1000000 ? 1000000 : (int)left) <= 0)
		return -1;
	if (p[r->n].revents)
		return -2;
	for (size_t i = r->n; i-- > 0;) {
		int code = 0;
		socklen_t size = sizeof code;
		if (!p[i].revents)
			continue;
		if (getsockopt(r->v[i].fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
			code = errno;
		if (!code)
			return (int)i;
		note_cause(r, r->v[i].address, code);
		drop(r, i);
	}
	return -1;
}

static int explain_no_connection(const struct lookup *l, const struct race *r, struct err *err)
{
	const char *what = "no answer: a firewall drops the packets, or the host is down: ",
		   *todo = "check host and port; allow outgoing TCP to this port here, and have this machine's address "
			   "allowed at the host";
	if (r->last_errno == ECONNREFUSED) {
		what = "nothing listens there, or a firewall refuses it: ";
		todo = "check host and port, and that its IMAP service runs; if both are right, have this machine's "
		       "address allowed there (many hosts refuse an address after failed sign-ins)";
	} else if (r->last_errno == ENETUNREACH || r->last_errno == EHOSTUNREACH || r->last_errno == EADDRNOTAVAIL) {
		what = "no way leads there from this machine: ";
		todo = "check this machine's network, or use a name with an IPv4 address";
	} else if (r->last_errno == ECONNRESET) {
		what = "something there, or on the way, breaks the connection at once: ";
		todo = "a firewall, or the host's limit of connections an address: have this machine's address "
		       "allowed there, and outgoing TCP to this port here";
	}
	err_set(err, ERR_FIREWALL, "no TCP connection to %s port %s: %s%s", l->host, l->service, what,
		r->causes[0] ? r->causes : "timed out");
	err_hint(err, "%s", todo);
	return -1;
}

static void set_options(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

int dial_connect(const struct lookup *l, struct stop *stop, int64_t deadline, int *fd, char *address, size_t size,
	struct err *err)
{
	struct race race = {0};
	const struct addrinfo *next = l->list;
	int winner = -1;

	*fd = -1;
	while (winner == -1 && clock_mono_ms() < deadline && !stop_is_now(stop) && (next || race.n)) {
		if (next && race.n < ADDRESSES_MAX) {
			if (start_attempt(&race, next))
				winner = (int)race.n - 1;
			next = next->ai_next;
		}
		/* Wait for those under way: to the end if there is no other address, else for its turn. */
		int64_t until = next && race.n < ADDRESSES_MAX ? clock_mono_ms() + NEXT_ADDRESS_MS : deadline;
		while (winner == -1 && race.n && clock_mono_ms() < (until < deadline ? until : deadline) &&
			!stop_is_now(stop)) {
			size_t before = race.n;
			winner = poll_attempts(&race, stop, until < deadline ? until : deadline);
			if (race.n < before)
				break; /* one failed: the next one may start */
		}
	}
	if (winner >= 0) {
		*fd = race.v[winner].fd;
		name_address(race.v[winner].address, address, size);
		set_options(*fd);
		race.v[winner] = race.v[--race.n];
	}
	for (size_t i = 0; i < race.n; i++) {
		if (winner == -1)
			note_cause(&race, race.v[i].address, ETIMEDOUT);
		close(race.v[i].fd);
	}
	if (winner >= 0)
		return 0;
	if (winner == -2 || stop_is_now(stop))
		return err_set(err, ERR_STOPPED, "stopped on request");
	return explain_no_connection(l, &race, err);
}
