#define _GNU_SOURCE
#include "imap/net.h"

#include "engine/base/clock.h"
#include "imap/dial.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Deadlock: while we pipeline many MB the server answers what it has, and stops reading when nobody reads its answers. So whatever
   waits to write also reads what arrives, into the filter's buffer (at most FILTER_STASH_MAX). */

#define STREAM_BUFFER 32768
#define PARTING_MS 2000
#define TRICKLE_SILENCES 6
#define BUFFER_S 0.25 /* the kernel doubles it */
#define BUFFER_LEAST 8192
#define BUFFER_MOST 200000 /* Linux gives no more to those who ask */

/* A server sends its answers one by one, and each would wake us: the wake-ups cost more than the answers. While much is known to come the kernel
   wakes us for many octets at once, or after a moment. Few levels, because each change costs a call. */
static const int expected_levels[] = {48 * 1024, 16384, 4096, 1536, 512, 192};
#define PATIENCE_MS 10

struct net {
	int fd;                /* owned */
	struct tls *tls;       /* owned; NULL in the clear */
	struct filter *filter; /* owned */
	struct stop *stop;     /* borrowed */
	struct gate *gate;     /* borrowed; NULL: nothing is paced */
	int silence_ms;
	int low_water;           /* SO_RCVLOWAT, as far as we set it */
	int buffer;              /* SO_RCVBUF, as far as we set it; 0: the kernel's own */
	int expected;            /* octets that are worth a wait; 0: the first one is */
	int64_t deadline;        /* 0: none */
	int64_t waited_ms;       /* for the answer under way */
	int64_t octets;          /* of it */
	uint64_t received, sent; /* in the clear */
	struct err scratch;      /* of the call under way: an err is too large to be made anew for each */
	struct err read_failure, write_failure;
	struct err failure; /* the first of them */
};

int net_new(struct net **out, int fd, struct stop *stop, int silence_ms, struct err *err)
{
	struct net *n = calloc(1, sizeof *n);

	*out = NULL;
	if (n)
		n->filter = filter_new();
	if (!n || !n->filter) {
		free(n);
		return err_set(err, ERR_MEMORY, "out of memory");
	}
	n->fd = fd;
	n->stop = stop;
	n->silence_ms = silence_ms;
	n->low_water = 1;
	n->read_failure = n->write_failure = n->failure = ERR_INIT;
	*out = n;
	return 0;
}

void net_free(struct net **n)
{
	if (!*n)
		return;
	if ((*n)->tls && (*n)->failure.kind == ERR_NONE)
		tls_goodbye((*n)->tls);
	tls_free(&(*n)->tls);
	close((*n)->fd);
	filter_free(&(*n)->filter);
	free(*n);
	*n = NULL;
}

void net_set_gate(struct net *n, struct gate *gate)
{
	n->gate = gate;
}

static int fail(struct net *n, struct err *where, const struct err *why)
{
	*where = *why;
	if (n->failure.kind == ERR_NONE)
		n->failure = *why;
	return -1;
}

static int64_t limit(const struct net *n)
{
	int64_t silence = clock_mono_ms() + n->silence_ms;

	return n->deadline && n->deadline < silence ? n->deadline : silence;
}

static int wait_for(struct net *n, short events, short *happened, int64_t until, struct err *err)
{
	int64_t began = clock_mono_ms();

	if (!dial_wait(n->fd, events, happened, n->stop, until, err))
		return 0;
	if (err->kind == ERR_LOST)
		err_set(err, ERR_LOST, "the server was silent for %.1f s", (double)(clock_mono_ms() - began) / 1000);
	return -1;
}

/* >0, 0: not now, -1. */
static long wire_read(struct net *n, void *data, size_t size, short *want, struct err *err)
{
	if (n->tls)
		return tls_read(n->tls, data, size, want, err);
	for (;;) {
		ssize_t r = recv(n->fd, data, size, 0);
		*want = POLLIN;
		if (r > 0) {
			n->received += (uint64_t)r;
			return r;
		}
		if (r == 0)
			return err_set(err, ERR_LOST, "the server closed the connection");
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return 0;
		if (errno != EINTR)
			return err_set(err, ERR_LOST, "the connection broke: %s", strerror(errno));
	}
}

static long wire_write(struct net *n, const void *data, size_t size, short *want, struct err *err)
{
	if (n->tls)
		return tls_write(n->tls, data, size, want, err);
	for (;;) {
		ssize_t r = send(n->fd, data, size, MSG_NOSIGNAL);
		*want = POLLOUT;
		if (r >= 0) {
			n->sent += (uint64_t)r;
			return r;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return 0;
		if (errno != EINTR)
			return err_set(err, ERR_LOST, "the connection broke: %s", strerror(errno));
	}
}

/* After a BYE, or when nothing can be written any more, the rest comes at once or not at all. */
static int64_t read_limit(const struct net *n)
{
	int64_t usual = limit(n), soon = clock_mono_ms() + PARTING_MS;
	bool leaving = filter_bye(n->filter)->tag[0] || n->write_failure.kind != ERR_NONE;

	return leaving && soon < usual ? soon : usual;
}

/* An answer comes in drips; how fast it is read is no matter, as only waits count. */
static int check_trickle(const struct net *n, struct err *err)
{
	if (n->waited_ms <= (int64_t)TRICKLE_SILENCES * n->silence_ms + n->octets)
		return 0;
	return err_set(err, ERR_LOST,
		"the server keeps the connection open and says next to nothing: %lld octets in %lld s",
		(long long)n->octets, (long long)(n->waited_ms / 1000));
}

void net_begin_answer(struct net *n)
{
	n->waited_ms = 0;
	n->octets = 0;
}

static void set_low_water(struct net *n, int octets)
{
	if (n->low_water != octets && setsockopt(n->fd, SOL_SOCKET, SO_RCVLOWAT, &octets, sizeof octets) == 0)
		n->low_water = octets;
}

/* Until many octets are there or a moment has passed (*patient is false then). 0, or -1: stopped. */
static int wait_patiently(struct net *n, int64_t until, bool *patient, struct err *err)
{
	int64_t soon = clock_mono_ms() + PATIENCE_MS;

	set_low_water(n, n->expected);
	if (!dial_wait(n->fd, POLLIN, NULL, n->stop, soon < until ? soon : until, err))
		return 0;
	*patient = false;
	return err->kind == ERR_STOPPED ? -1 : 0;
}

void net_expect(struct net *n, uint64_t octets)
{
	size_t i = 0, levels = sizeof expected_levels / sizeof *expected_levels;

	while (i < levels && octets < (uint64_t)expected_levels[i])
		i++;
	n->expected = i < levels ? expected_levels[i] : 0;
}

/* However slowly we read, the kernel takes in what its buffer holds as fast as the line brings it: a low rate wants a small one. By itself it grows
   to megabytes. Where the rate is higher, or none is set any more, that is left to the kernel again (Linux 5.14; else by the next connection). */
static void fit_buffer(struct net *n)
{
	double rate = gate_line_rate(n->gate);
	int octets = (int)(rate * BUFFER_S > BUFFER_MOST ? 0 : rate * BUFFER_S), none = 0;

	if (rate > 0 && rate * BUFFER_S < BUFFER_LEAST)
		octets = BUFFER_LEAST;
	if (octets == n->buffer)
		return;
	n->buffer = octets;
	if (octets)
		setsockopt(n->fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
	else
		setsockopt(n->fd, SOL_SOCKET, SO_BUF_LOCK, &none, sizeof none);
}

static long read_waiting(struct net *n, void *data, size_t size)
{
	struct err *err = &n->scratch;
	int64_t until = 0; /* not known yet: mostly something is there */
	short want = POLLIN;
	bool patient = n->expected > 0;
	size_t piece = gate_piece(n->gate);

	fit_buffer(n);
	if (n->read_failure.kind != ERR_NONE)
		return -1;
	for (;;) {
		if (stop_is_now(n->stop)) {
			err_set(err, ERR_STOPPED, "stopped on request");
			return fail(n, &n->read_failure, err);
		}
		long r = wire_read(n, data, size < piece ? size : piece, &want, err);
		if (r > 0) {
			n->octets += r;
			gate_pace(n->gate, (uint64_t)r); /* that is no silence of the server's */
			return r;
		}
		if (r < 0 || check_trickle(n, err))
			return fail(n, &n->read_failure, err);
		int64_t began = clock_mono_ms();
		if (!until)
			until = read_limit(n);
		bool patiently = patient && want == POLLIN;
		if (!patiently)
			set_low_water(n, 1);
		if (patiently ? wait_patiently(n, until, &patient, err) : wait_for(n, want, NULL, until, err))
			return fail(n, &n->read_failure, err);
		n->waited_ms += clock_mono_ms() - began;
	}
}

bool net_fill(struct net *n)
{
	size_t room;
	char *input = filter_room(n->filter, &room, true);
	long r = room ? read_waiting(n, input, room) : -1;

	if (r < 0)
		return false;
	filter_filled(n->filter, (size_t)r);
	return true;
}

bool net_peek_line(struct net *n, const char **line, size_t *octets)
{
	for (;;) {
		switch (filter_peek_line(n->filter, line, octets)) {
		case FILTER_LINE:
			return true;
		case FILTER_NEEDS_MORE:
			if (!net_fill(n))
				return false;
			break;
		case FILTER_NOT_PLAIN:
			return false;
		}
	}
}

/* --- libetpan's driver --- */

static ssize_t driver_read(mailstream_low *low, void *data, size_t size)
{
	struct net *n = low->data;
	struct err err = ERR_INIT;

	for (;;) {
		ssize_t given = filter_give(n->filter, data, size);
		if (given > 0)
			return given;
		if (given < 0) {
			if (n->read_failure.kind != ERR_NONE)
				return -1;
			err_set(&err, ERR_PROTOCOL, "the server's answer breaks a limit: %s", filter_error(n->filter));
			return fail(n, &n->read_failure, &err);
		}
		uint64_t direct = filter_direct(n->filter);
		if (direct) {
			long r = read_waiting(n, data, direct < size ? (size_t)direct : size);
			if (r > 0)
				filter_skipped(n->filter, (size_t)r);
			return r; /* never 0: libetpan would spin */
		}
		if (!net_fill(n))
			return -1;
	}
}

/* Takes in what has arrived while we wait to write; a failure is kept for the reader to find. */
static void absorb(struct net *n)
{
	struct err err = ERR_INIT;
	size_t room;
	short want;

	for (;;) {
		char *input = filter_room(n->filter, &room, true);
		if (!room || n->read_failure.kind != ERR_NONE)
			return;
		long r = wire_read(n, input, room, &want, &err);
		if (r < 0)
			fail(n, &n->read_failure, &err);
		if (r <= 0)
			return;
		filter_filled(n->filter, (size_t)r);
	}
}

static bool can_absorb(struct net *n)
{
	size_t room;

	filter_room(n->filter, &room, true);
	return room > 0 && n->read_failure.kind == ERR_NONE;
}

/* Until the socket takes more; what arrives meanwhile is taken in. The silence is broken by octets in either direction. */
static int wait_to_write(struct net *n, short want, struct err *err)
{
	int64_t until = limit(n);

	set_low_water(n, 1);
	for (;;) {
		bool reading = can_absorb(n);
		short happened = 0;
		if (reading && n->tls && tls_has_pending(n->tls))
			absorb(n);
		if (n->read_failure.kind != ERR_NONE) {
			*err = n->read_failure; /* the server is gone: no use to wait for room */
			return -1;
		}
		if (wait_for(n, (short)(want | (reading ? POLLIN : 0)), &happened, until, err))
			return -1;
		if ((happened & POLLIN) && reading)
			absorb(n);
		if (happened & (want | POLLERR | POLLHUP))
			return 0;
		if (happened & POLLIN)
			until = limit(n);
	}
}

static int write_piece(struct net *n, const char *p, size_t left)
{
	struct err *err = &n->scratch;
	short want = POLLOUT;

	while (left) {
		if (stop_is_now(n->stop)) {
			err_set(err, ERR_STOPPED, "stopped on request");
			return fail(n, &n->write_failure, err);
		}
		long r = wire_write(n, p, left, &want, err);
		if (r < 0)
			absorb(n); /* its parting words */
		if (r < 0 || (r == 0 && wait_to_write(n, want, err)))
			return fail(n, &n->write_failure, err);
		p += r;
		left -= (size_t)r;
	}
	return 0;
}

static ssize_t driver_write(mailstream_low *low, const void *data, size_t size)
{
	struct net *n = low->data;

	if (n->write_failure.kind != ERR_NONE)
		return -1;
	for (size_t at = 0; at < size;) {
		size_t most = gate_piece(n->gate), octets = size - at < most ? size - at : most;
		gate_pace(n->gate, octets);
		if (write_piece(n, (const char *)data + at, octets))
			return -1;
		at += octets;
	}
	return (ssize_t)size;
}

static int driver_close(mailstream_low *low)
{
	(void)low; /* net_free closes */
	return 0;
}

static int driver_fd(mailstream_low *low)
{
	return ((struct net *)low->data)->fd;
}

static void driver_free(mailstream_low *low)
{
	free(low);
}

static void driver_cancel(mailstream_low *low)
{
	(void)low; /* the stop token does this */
}

static mailstream_low_driver driver = {
	.mailstream_read = driver_read,
	.mailstream_write = driver_write,
	.mailstream_close = driver_close,
	.mailstream_get_fd = driver_fd,
	.mailstream_free = driver_free,
	.mailstream_cancel = driver_cancel,
};

mailstream *net_stream(struct net *n)
{
	mailstream_low *low = mailstream_low_new(n, &driver);
	mailstream *stream = low ? mailstream_new(low, STREAM_BUFFER) : NULL;

	if (!stream)
		free(low);
	return stream;
}

int net_secure(struct net *n, const struct tls_conf *conf, int64_t deadline, struct tls_facts *facts, struct err *err)
{
	if (!filter_is_empty(n->filter)) {
		err_set(err, ERR_TLS, "octets in the clear came after the answer to STARTTLS");
		err_hint(err, "somebody on the way may be putting commands into the connection: use --tls "
			      "implicit with --port 993");
		return -1;
	}
	return tls_open(&n->tls, n->fd, conf, n->stop, deadline, facts, err);
}

bool net_is_secure(const struct net *n)
{
	return n->tls != NULL;
}

void net_set_deadline(struct net *n, int64_t deadline)
{
	n->deadline = deadline;
}

const struct err *net_failure(const struct net *n)
{
	return &n->failure;
}

bool net_is_broken(const struct net *n)
{
	return n->failure.kind != ERR_NONE;
}

struct filter *net_filter(struct net *n)
{
	return n->filter;
}

void net_counts(const struct net *n, uint64_t *received, uint64_t *sent)
{
	uint64_t in = 0, out = 0;

	if (n->tls)
		tls_counts(n->tls, &in, &out);
	*received = in + n->received;
	*sent = out + n->sent;
}
