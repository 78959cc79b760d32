/* The floor of the benchmark: the least work that moves mail between two IMAP servers over TLS. One thread, plain OpenSSL sockets, one FETCH
   a folder, bodies streamed straight into non-synchronising APPENDs with a window of answers outstanding. No checkpoint, no hash, no
   retry, no care. Only for a well-behaved server pair (Dovecot) in our own harness.
   usage: floor SRC_PORT SRC_USER SRC_PASS DST_PORT DST_USER DST_PASS CA FOLDER... */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#define WINDOW 128
#define LINE 8192

struct wire {
	SSL *ssl;
	char in[65536];
	size_t at, end;
	char out[65536];
	size_t pending;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "floor: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static struct wire *dial(SSL_CTX *ctx, const char *port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
	struct wire *w = calloc(1, sizeof(*w));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (!w || fd < 0)
		die("no memory or socket");
	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		die("cannot connect");
	w->ssl = SSL_new(ctx);
	SSL_set_fd(w->ssl, fd);
	SSL_set1_host(w->ssl, "localhost");
	SSL_set_tlsext_host_name(w->ssl, "localhost");
	if (SSL_connect(w->ssl) != 1)
		die("TLS");
	return w;
}

static void flush(struct wire *w)
{
	if (w->pending && SSL_write(w->ssl, w->out, (int)w->pending) <= 0)
		die("write");
	w->pending = 0;
}

static void put(struct wire *w, const char *data, size_t n)
{
	while (n > 0) {
		size_t room = sizeof(w->out) - w->pending, part = n < room ? n : room;
		memcpy(w->out + w->pending, data, part);
		w->pending += part;
		data += part;
		n -= part;
		if (w->pending == sizeof(w->out))
			flush(w);
	}
}

static void fill(struct wire *w)
{
	int n = SSL_read(w->ssl, w->in, sizeof(w->in));
	if (n <= 0)
		die("the server closed the connection");
	w->at = 0;
	w->end = (size_t)n;
}

/* One line without its CR LF. */
static void get_line(struct wire *w, char *line)
{
	size_t len = 0;
	for (;;) {
		if (w->at == w->end)
			fill(w);
		char c = w->in[w->at++];
		if (c == '\n')
			break;
		if (c != '\r' && len < LINE - 1)
			line[len++] = c;
	}
	line[len] = '\0';
}

/* Reads until the tagged answer and wants OK. */
static void wait_ok(struct wire *w, const char *tag)
{
	char line[LINE];
	size_t n = strlen(tag);
	flush(w);
	do
		get_line(w, line);
	while (strncmp(line, tag, n) != 0);
	if (strncmp(line + n, " OK", 3) != 0)
		die(line);
}

static void login(struct wire *w, const char *user, const char *pass)
{
	char line[LINE];
	get_line(w, line);
	put(w, line, (size_t)snprintf(line, sizeof(line), "l LOGIN \"%s\" \"%s\"\r\n", user, pass));
	wait_ok(w, "l");
}

static void one_answer(struct wire *to, unsigned long *outstanding)
{
	char line[LINE];
	do
		get_line(to, line);
	while (strncmp(line, "p ", 2) != 0);
	if (strncmp(line, "p OK", 4) != 0)
		die(line);
	--*outstanding;
}

/* "* 7 FETCH (UID 7 FLAGS (\Seen) INTERNALDATE "..." BODY[] {123}": what lies between the words. */
static char *cut(char *line, const char *from, char close, const char *what)
{
	char *start = strstr(line, from), *end = start ? strchr(start + strlen(from), close) : NULL;
	if (!end)
		die(what);
	*end = '\0';
	return start + strlen(from);
}

static void move(struct wire *from, struct wire *to, const char *folder)
{
	char line[LINE], head[LINE];
	unsigned long outstanding = 0;

	put(to, line, (size_t)snprintf(line, sizeof(line), "c CREATE \"%s\"\r\n", folder));
	flush(to);
	do
		get_line(to, line);
	while (strncmp(line, "c ", 2) != 0); /* it may be there */
	/* Dovecot opens the folder anew for each APPEND unless it is the selected one. */
	put(to, line, (size_t)snprintf(line, sizeof(line), "s SELECT \"%s\"\r\n", folder));
	wait_ok(to, "s");
	put(from, line, (size_t)snprintf(line, sizeof(line), "e EXAMINE \"%s\"\r\n", folder));
	wait_ok(from, "e");
	put(from, line, (size_t)snprintf(line, sizeof(line), "f UID FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])\r\n"));
	flush(from);
	for (;;) {
		get_line(from, line);
		if (strncmp(line, "f ", 2) == 0)
			break;
		if (!strstr(line, " FETCH ("))
			continue;
		unsigned long left = strtoul(cut(line, "{", '}', "no literal"), NULL, 10);
		char *date = cut(line, "INTERNALDATE \"", '"', "no date"),
		     *flags = cut(line, "FLAGS (", ')', "no flags");
		char *recent = strstr(flags, "\\Recent"); /* the one flag that may not be set; it comes last */
		if (recent)
			*(recent > flags ? recent - 1 : recent) = '\0';
		put(to, head,
			(size_t)snprintf(head, sizeof(head), "p APPEND \"%s\" (%s) \"%s\" {%lu+}\r\n", folder, flags,
				date, left));
		while (left > 0) {
			if (from->at == from->end)
				fill(from);
			size_t part = from->end - from->at;
			part = part < left ? part : left;
			put(to, from->in + from->at, part);
			from->at += part;
			left -= part;
		}
		put(to, "\r\n", 2);
		get_line(from, line); /* ")" */
		if (++outstanding >= WINDOW) {
			flush(to);
			while (outstanding > WINDOW / 2)
				one_answer(to, &outstanding);
		}
	}
	flush(to);
	while (outstanding > 0)
		one_answer(to, &outstanding);
}

int main(int argc, char **argv)
{
	if (argc < 9)
		die("usage: floor SRC_PORT SRC_USER SRC_PASS DST_PORT DST_USER DST_PASS CA FOLDER...");
	signal(SIGPIPE, SIG_IGN);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_load_verify_locations(ctx, argv[7], NULL) != 1)
		die("the CA cannot be read");
	struct wire *from = dial(ctx, argv[1]), *to = dial(ctx, argv[4]);
	login(from, argv[2], argv[3]);
	login(to, argv[5], argv[6]);
	for (int i = 8; i < argc; i++)
		move(from, to, argv[i]);
	put(from, "x LOGOUT\r\n", 10);
	put(to, "x LOGOUT\r\n", 10);
	flush(from);
	flush(to);
	return 0;
}
