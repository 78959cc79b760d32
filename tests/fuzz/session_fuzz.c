/* The whole stack over a socket whose far end says what the fuzzer wants: our driver, the filter, libetpan's parser as Debian ships it,
   our extension and session code, from the greeting through the sign-in to LIST, EXAMINE, FETCH and APPEND. First octet: what to do. */
#include "imap/box.h"
#include "imap/conn_state.h"
#include "imap/fetch.h"

#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	conn_init();
	return 0;
}

static void on_line(void *ctx, const struct fetch_line *line)
{
	*(unsigned *)ctx += line->uid + line->flags + (unsigned)strlen(line->keywords);
}

static bool on_octets(void *ctx, const struct fetch_place *begins, const char *data, size_t n)
{
	(void)begins;
	for (size_t i = 0; i < n; i++)
		*(unsigned *)ctx += (unsigned char)data[i];
	return true;
}

static void append(struct conn *c, struct err *err)
{
	static const char literal[] = "x\r\n\r\n";
	enum reply reply;
	uint32_t validity, uid;
	int tag;

	if (session_send(c, &tag, err, "APPEND \"INBOX\" (\\Seen) {5}") || session_flush(c, err))
		return;
	if (session_continuation(c, tag, &reply, err) == 0 && !session_write(c, literal, sizeof literal - 1, err) &&
		!session_receive(c, tag, &reply, err) && !session_appenduid(c, &validity, &uid))
		session_refusal(c, reply, err, "appending");
}

static void talk(struct conn *c, unsigned what, struct err *err)
{
	unsigned sum = 0;
	struct fetch_sink sink = {.line = on_line, .octets = what & 8 ? on_octets : NULL, .ctx = &sum};
	struct box_state box;
	enum reply reply = REPLY_OK;
	int tag;

	/* Named tags: the greeting and the sign-in took some. */
	if (what & 1 && (session_send(c, &tag, err, "LIST \"\" \"*\"") || session_receive(c, tag, &reply, err)))
		return;
	if (what & 2 && box_open(c, BOX_EXAMINE, "INBOX", &box, err) && conn_is_dead(c))
		return;
	if (what & 4 &&
		fetch_ask(c, &sink, &reply, err, "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
		return;
	if (reply != REPLY_OK)
		session_refusal(c, reply, err, "fetching");
	if (what & 16)
		append(c, err);
	if (what & 32)
		conn_noop(c, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum auth_method methods[] = {AUTH_ANY, AUTH_LOGIN, AUTH_PLAIN, AUTH_XOAUTH2};
	int ends[2];
	struct err err = ERR_INIT;
	struct conn *c = NULL;
	struct conn_facts facts;

	if (size < 2 || size > 100000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends))
		return 0;
	struct secret *secret = secret_new("pw", 2);
	struct conn_conf conf = {.host = "fuzz",
		.port = 143,
		.tls = data[0] == 255 ? TLS_STARTTLS : TLS_NONE,
		.auth = methods[data[0] >> 6 & 3],
		.user = "u",
		.secret = secret,
		.connect_ms = 1000,
		.silence_ms = 1000};
	if (send(ends[1], data + 1, size - 1, MSG_NOSIGNAL) != (ssize_t)size - 1)
		size = 0;
	shutdown(ends[1], SHUT_WR);
	if (!conn_open_over(&c, ends[0], &conf, NULL, NULL, &facts, &err)) {
		talk(c, data[0], &err);
		conn_close(&c);
	}
	if (err.kind >= ERR_KINDS_END || !memchr(err.text, 0, sizeof err.text) ||
		!memchr(err.server, 0, sizeof err.server))
		abort();
	close(ends[1]);
	secret_free(&secret);
	return 0;
}
